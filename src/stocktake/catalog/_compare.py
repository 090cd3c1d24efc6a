"""Comparisons kept as a file: what changed between two snapshots, how much, and where."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._coverage import common_coverage
from stocktake.catalog._parquet import parquet_writer
from stocktake.catalog._ranges import prefix_range
from stocktake.catalog._snapshot_uses import use_snapshot
from stocktake.catalog._snapshots import Snapshot
from stocktake.catalog.engines._protocol import DIFF, DiffRules, QueryLimits, SnapshotView
from stocktake.errors import InvalidQueryError
from stocktake.telemetry import NoProgress, Progress

DIFFS_FOLDER = "diffs"
CHANGE_KINDS = ("new", "modified", "deleted", "renamed", "unconfirmed")
_SCAN = "read_parquet(?, hive_partitioning=false)"
_LIMITS = QueryLimits(rows_max=2**62, timeout_s=3600.0)


@dataclass(frozen=True, slots=True)
class DiffSummary:
    """How many keys changed how, and the bytes behind them (unknown sizes count as 0).

    A rename is one change, and neither new nor deleted. `unconfirmed`: gone from the newer report,
    but modified too shortly before it for that to mean anything.
    """

    new: int = 0
    modified: int = 0
    deleted: int = 0
    renamed: int = 0
    unconfirmed: int = 0
    new_bytes: int = 0
    deleted_bytes: int = 0
    modified_old_bytes: int = 0
    modified_new_bytes: int = 0

    @property
    def changes(self) -> int:
        """All changes but the unconfirmed."""
        return self.new + self.modified + self.deleted + self.renamed

    @property
    def bytes_delta(self) -> int:
        """How much the bucket grew."""
        return (
            self.new_bytes - self.deleted_bytes + self.modified_new_bytes - self.modified_old_bytes
        )

    def to_dict(self) -> dict[str, int]:
        """All figures, for `--json`."""
        return {**asdict(self), "changes": self.changes, "bytes_delta": self.bytes_delta}


class SummaryCounter:
    """Adds up a summary over batches of schema DIFF."""

    def __init__(self) -> None:
        self._figures = dict.fromkeys(DiffSummary.__dataclass_fields__, 0)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count one batch."""
        for kind in CHANGE_KINDS:
            rows = batch.filter(pc.equal(batch.column("change"), kind))
            if not rows.num_rows:
                continue
            self._figures[kind] += rows.num_rows
            if kind == "new":
                self._figures["new_bytes"] += _total(rows, "new_size_bytes")
            elif kind == "deleted":
                self._figures["deleted_bytes"] += _total(rows, "old_size_bytes")
            elif kind == "modified":
                self._figures["modified_old_bytes"] += _total(rows, "old_size_bytes")
                self._figures["modified_new_bytes"] += _total(rows, "new_size_bytes")

    def summary(self) -> DiffSummary:
        """The figures so far."""
        return DiffSummary(**self._figures)


def _total(rows: pa.RecordBatch, name: str) -> int:
    return int(pc.sum(rows.column(name)).as_py() or 0)


@dataclass(frozen=True, slots=True)
class DiffResult:
    """A finished comparison: a Parquet file of schema DIFF in key order, and its summary."""

    catalog: Catalog
    path: str
    summary: DiffSummary
    prefix: str
    warnings: tuple[str, ...]

    @property
    def engine_path(self) -> str:
        """Under what name the engine opens the file."""
        return self.catalog.files.engine_path(self.path)

    def rows(
        self,
        kinds: tuple[str, ...] = (),
        *,
        prefix: str = "",
        after: str | None = None,
        limit: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Changes in key order, of some kinds, below a prefix, after a key: batches of DIFF."""
        unknown = sorted(set(kinds) - set(CHANGE_KINDS))
        if unknown:
            raise InvalidQueryError(
                f"`{unknown[0]}` is not a kind of change",
                hint=f"kinds are {', '.join(CHANGE_KINDS)}",
            )
        low, high = prefix_range(prefix)
        where = [
            ("list_contains(?, change)", list(kinds) or None),
            ("key >= ?", low),
            ("key < ?", high),
            ("key > ?", after),
        ]
        used = [(sql, value) for sql, value in where if value is not None]
        condition = " AND ".join(sql for sql, _ in used) or "true"
        bound = "" if limit is None else f" LIMIT {int(limit)}"
        statement = f"SELECT * FROM {_SCAN} WHERE {condition} ORDER BY key{bound}"
        values = [[self.engine_path], *(value for _, value in used)]
        for batch in self.catalog.engine.query(statement, values, _LIMITS):
            yield pa.RecordBatch.from_arrays(batch.columns, schema=DIFF)

    def folders(self, *, depth: int | None = None, limit: int = 1000) -> list[dict[str, Any]]:
        """Changes per folder, the folders with most changes first.

        A rename counts in the folder of the new key; its bytes leave the one of the old key.

        Args:
            depth: Count changes in the ancestor at this depth; None is the direct folder.
            limit: At most so many folders.
        """
        folder = "regexp_extract(key, '^(?s:.*/)')"
        if depth is not None:
            folder = f"regexp_extract(key, '^(?:[^/]*/){{0,{int(depth)}}}')"
        counts = ", ".join(
            f"count(*) FILTER (change = '{kind}') AS {kind}" for kind in CHANGE_KINDS
        )
        statement = f"""
            SELECT {folder} AS folder, {counts}, CAST(sum(delta) AS BIGINT) AS bytes_delta
            FROM (
                SELECT key, change, coalesce(new_size_bytes, 0)
                    - CASE WHEN change IN ('deleted', 'modified')
                        THEN coalesce(old_size_bytes, 0) ELSE 0 END AS delta
                FROM {_SCAN}
                UNION ALL
                SELECT renamed_from, NULL, -coalesce(old_size_bytes, 0)
                FROM {_SCAN} WHERE change = 'renamed')
            GROUP BY 1 ORDER BY count(change) DESC, 1 LIMIT {int(limit)}
        """
        rows: list[dict[str, Any]] = []
        paths = [[self.engine_path], [self.engine_path]]
        for batch in self.catalog.engine.query(statement, paths, _LIMITS):
            rows.extend(batch.to_pylist())
        return rows


def diff_snapshots(
    catalog: Catalog,
    old: Snapshot,
    new: Snapshot,
    *,
    prefix: str = "",
    progress: Progress = NoProgress(),
) -> DiffResult:
    """What changed from one snapshot to another, also over any number of reports between.

    The result is kept below `diffs/` and made once per pair and prefix. Memory: as `Engine.diff`.

    Raises:
        CoverageMismatchError: They do not speak of the same keys.
        SnapshotNotFoundError: One of them is gone, or going.
    """
    common = common_coverage(old.manifest, new.manifest)
    below = _deeper(common.prefix, prefix)
    path = f"{DIFFS_FOLDER}/{old.id}/{new.id}{_suffix(below)}.parquet"
    if not catalog.files.exists(path):
        progress.phase("compare", None, "changes")
        with use_snapshot(catalog, old), use_snapshot(catalog, new):
            write_changes(catalog, old.view, new.view, DiffRules(key_prefix=below), path, progress)
    counter = SummaryCounter()
    for batch in catalog.engine.query(f"SELECT * FROM {_SCAN}", [_opened(catalog, path)], _LIMITS):
        counter.add(batch)
    return DiffResult(catalog, path, counter.summary(), below, common.warnings)


def write_changes(
    catalog: Catalog,
    old: SnapshotView,
    new: SnapshotView,
    rules: DiffRules,
    path: str,
    progress: Progress,
    *,
    unconfirmed_path: str | None = None,
) -> DiffSummary:
    """Compare into a file of schema DIFF in key order; unconfirmed rows may go to their own."""
    counter = SummaryCounter()
    with ExitStack() as stack:
        main = _writer(stack, catalog, path)
        aside: pq.ParquetWriter | None = None
        for batch in catalog.engine.diff(old, new, rules):
            counter.add(batch)
            progress.advance(batch.num_rows)
            if unconfirmed_path is None:
                main.write_batch(batch)
                continue
            doubtful = pc.equal(batch.column("change"), "unconfirmed")
            main.write_batch(batch.filter(pc.invert(doubtful)))
            if doubtful.true_count:
                aside = aside or _writer(stack, catalog, unconfirmed_path)
                aside.write_batch(batch.filter(doubtful))
    return counter.summary()


def _writer(stack: ExitStack, catalog: Catalog, path: str) -> pq.ParquetWriter:
    sink = stack.enter_context(catalog.files.create(path))
    return stack.enter_context(parquet_writer(sink, DIFF, compression="zstd", compression_level=1))


def _opened(catalog: Catalog, path: str) -> list[str]:
    return [catalog.files.engine_path(path)]


def _deeper(common: str, wanted: str) -> str:
    if wanted.startswith(common):
        return wanted
    if common.startswith(wanted):
        return common
    raise InvalidQueryError(
        f"nothing below `{wanted}` is in both snapshots",
        hint=f"both cover keys below `{common}`",
    )


def _suffix(prefix: str) -> str:
    return "-" + hashlib.sha256(prefix.encode()).hexdigest()[:16] if prefix else ""
