"""Sources, files and watchers that fail on request or remember, for tests of the import."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from stocktake.catalog import Catalog, Snapshot
from stocktake.catalog._files import CatalogFiles
from stocktake.catalog.engines._protocol import QueryLimits
from stocktake.clock import Clock
from stocktake.errors import StocktakeError
from stocktake.model import Block, PartRef, PartTally, SnapshotSource, SourceHeader

_LIMITS = QueryLimits(rows_max=10**6)


class FailingSource:
    """A source whose parts fail when `plan` says so; errors of a part are raised one per read."""

    def __init__(self, inner: SnapshotSource, plan: dict[int, list[Exception]]) -> None:
        self._inner = inner
        self._plan = plan
        self.before_read: Callable[[PartRef], None] = lambda _: None

    @property
    def header(self) -> SourceHeader:
        return self._inner.header

    def parts(self) -> Any:
        return self._inner.parts()

    def read(self, part: PartRef, tally: PartTally) -> Iterator[Block]:
        """All blocks, and then the failure: a checksum is known last."""
        self.before_read(part)
        yield from self._inner.read(part, tally)
        if self._plan.get(part.index):
            raise self._plan[part.index].pop(0)

    def recheck(self, found: PartTally | None = None) -> None:
        self._inner.recheck(found)


class FailingFiles:
    """Catalog files of which some cannot be written."""

    def __init__(self, inner: CatalogFiles, error: StocktakeError, *ends: str) -> None:
        self._inner = inner
        self._error = error
        self._ends = ends
        self.location = inner.location

    @contextmanager
    def create(self, path: str) -> Iterator[BinaryIO]:
        with self._inner.create(path) as sink:
            yield sink
            if path.endswith(self._ends):
                raise self._error

    def read(self, path: str) -> bytes:
        return self._inner.read(path)

    def exists(self, path: str) -> bool:
        return self._inner.exists(path)

    def listing(self, folder: str) -> Iterator[str]:
        return self._inner.listing(folder)

    def remove(self, path: str) -> None:
        self._inner.remove(path)

    def engine_path(self, path: str) -> str:
        return self._inner.engine_path(path)

    def size_bytes(self, path: str) -> int:
        return self._inner.size_bytes(path)

    def remove_leftovers(self, clock: Clock) -> list[str]:
        return self._inner.remove_leftovers(clock)


class Watcher:
    """A `Progress` that remembers."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int | None, str]] = []
        self.done: dict[str, int] = {}
        self.notes: list[str] = []

    def phase(self, name: str, total: int | None, unit: str) -> None:
        self.phases.append((name, total, unit))

    def advance(self, amount: int) -> None:
        name = self.phases[-1][0]
        self.done[name] = self.done.get(name, 0) + amount

    def note(self, text: str) -> None:
        self.notes.append(text)


def rows_of(catalog: Catalog, snapshot: Snapshot) -> list[dict[str, Any]]:
    """Every row of the snapshot's files, by key and version."""
    found: list[dict[str, Any]] = []
    if snapshot.view.paths:
        for batch in catalog.engine.query(
            "SELECT * FROM read_parquet(?)", [list(snapshot.view.paths)], _LIMITS
        ):
            found += batch.to_pylist()
    return sorted(found, key=lambda row: (row["key"], row.get("version_id") or ""))


def files_of(catalog: Catalog) -> list[str]:
    """Every file in the catalog but its database."""
    return [path for path in catalog.files.listing("") if not path.startswith("state.db")]
