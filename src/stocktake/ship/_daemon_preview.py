"""What a run would do, found out without touching anything: no ledger is made, nothing is sent."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stocktake.clock import Clock
from stocktake.errors import StocktakeError
from stocktake.ship._folder import identity_of
from stocktake.ship._keys import escape_path, member_key, plain_key, single_member, table_key
from stocktake.ship._kinds import kind_of
from stocktake.ship._ledger import Ledger
from stocktake.ship._records import (
    Identity,
    ObjectJob,
    ObjectResult,
    Outcome,
    PlannedObject,
    PlanSummary,
    SourceJob,
    SourceKind,
    SourceState,
    UploadStep,
)
from stocktake.ship._scan import look
from stocktake.ship._settings import ShipSettings
from stocktake.ship._tasks import Tasks
from stocktake.store import Store, UploadProfile

_REASONS = {
    SourceKind.PLAIN: "shipped as it is",
    SourceKind.TABLE: "a data file: becomes Parquet",
    SourceKind.ARCHIVE: "an archive: its members are shipped",
}


@dataclass(frozen=True, slots=True)
class FilePreview:
    """What would become of one file.

    Attributes:
        path: Relative to the folder.
        size_bytes: Of the file.
        kind: What would be done with it.
        key: Destination; of an archive, where its members go. None if it has none.
        reason: Why, for people.
        state: What the ledger says of this content; None if it is new.
        error: Why it could not be shipped.
        objects: With `deep`: keys of all objects that it would become.
    """

    path: bytes
    size_bytes: int
    kind: SourceKind
    key: str | None
    reason: str
    state: SourceState | None
    error: dict[str, Any] | None = None
    objects: tuple[str, ...] = ()

    @property
    def would_ship(self) -> bool:
        """True if a run would take it up."""
        return self.error is None and self.state not in (
            SourceState.COMPLETED,
            SourceState.FAILED,
        )


def preview(
    settings: ShipSettings, ledger: Ledger | None, *, clock: Clock, deep: Store | None = None
) -> Iterator[FilePreview]:
    """Every file of the folder, by path.

    Args:
        settings: How it would be shipped.
        ledger: Opened for reading; None if there is none yet.
        clock: For reading files.
        deep: Given a store, which is not asked, every new file is read as sweep 1 reads it.

    Raises:
        OSError: The folder cannot be read.
    """
    known = {} if ledger is None else {p: (i, s) for p, i, s in ledger.identities()}
    keys: dict[str, bytes] = {}
    error_folder = os.fsencode(settings.error_folder)
    for path, status in _files(os.fsencode(settings.folder), b"", error_folder):
        identity = identity_of(status)
        before, state = known.get(path, (None, None))
        one = _previewed(settings, path, identity, state if before == identity else None)
        if one.key is not None and one.kind is not SourceKind.ARCHIVE:
            first = keys.setdefault(one.key, path)
            if first != path:
                one = _collides(one, first)
        if deep is not None and one.would_ship and one.kind is not SourceKind.PLAIN:
            one = _read(settings, one, identity, deep, clock)
        yield one


def _files(root: bytes, below: bytes, skipped: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    sight = look(root + b"/" + below if below else root, {})
    deeper = below + b"/" if below else b""
    files = dict(sight.changed)
    folders = {name for name, _ in sight.folders}
    for name in sorted(files.keys() | folders):
        if name in files:
            yield deeper + name, files[name]
        elif root + b"/" + deeper + name != skipped:
            yield from _files(root, deeper + name, skipped)


def _previewed(
    settings: ShipSettings, path: bytes, identity: Identity, state: SourceState | None
) -> FilePreview:
    kind = kind_of(settings, path, identity.size_bytes)
    one = FilePreview(path, identity.size_bytes, kind, None, _REASONS[kind], state)
    try:
        if kind is SourceKind.ARCHIVE:
            key = _archive_key(settings, path)
        else:
            key = (table_key if kind is SourceKind.TABLE else plain_key)(settings, path)
    except StocktakeError as error:
        return replace(one, error=error.to_dict(), reason=error.message)
    if state is SourceState.COMPLETED:
        return replace(one, key=key, reason="shipped already, and unchanged")
    if state is SourceState.FAILED:
        return replace(one, key=key, reason="failed before: `stocktake ship failed` says why")
    return replace(one, key=key)


def _archive_key(settings: ShipSettings, path: bytes) -> str:
    """The folder of its members, or the one object that a packed file becomes."""
    only = single_member(path)
    if only is None:
        return member_key(settings, path, "x", False).removesuffix("x")  # noqa: FBT003
    is_table = kind_of(settings, os.fsencode(only), 1) is SourceKind.TABLE
    return member_key(settings, path, only, is_table)


def _collides(one: FilePreview, first: bytes) -> FilePreview:
    message = f"would become the same object as `{escape_path(first)}`"
    return replace(
        one,
        reason=message,
        error={
            "code": "key-collision",
            "message": message,
            "hint": "rename one of them, or ship with --on-collision suffix",
        },
    )


def _read(
    settings: ShipSettings, one: FilePreview, identity: Identity, store: Store, clock: Clock
) -> FilePreview:
    found = _Collecting()
    tasks = Tasks(
        settings,
        store,
        found,
        ship_id="",
        knows_token=lambda _token: False,
        profile=_ANY_STORE,
        clock=clock,
        listener=found,
    )
    try:
        end = tasks.plan(SourceJob(0, one.path, identity, one.kind, 1))
    finally:
        tasks.close()
    objects = tuple(found.keys)
    if end.outcome is Outcome.DONE:
        return replace(one, objects=objects)
    error = dict(end.error or {})
    return replace(one, objects=objects, error=error, reason=str(error.get("message")))


_ANY_STORE = UploadProfile(**dict.fromkeys(UploadProfile.__dataclass_fields__, True))


@dataclass(slots=True)
class _Collecting:
    """A recorder that only remembers, and a listener that does not listen."""

    keys: list[str] = field(default_factory=list)

    def add_planned(self, source_id: int, objects: Sequence[PlannedObject]) -> None:
        """Remember the keys."""
        self.keys += [one.key for one in objects]

    def end_plan(self, source_id: int, summary: PlanSummary) -> None:
        """Nothing to remember."""

    def next_objects(self, source_id: int, after_ordinal: int, limit: int) -> list[ObjectJob]:
        """There are none: nothing is shipped."""
        return []

    def record(self, step: UploadStep) -> None:
        """Never called."""

    def complete(self, results: Sequence[ObjectResult]) -> None:
        """Never called."""

    def end_source(self, source_id: int) -> None:
        """Never called."""

    def progress(self, source_id: int, phase: str, bytes_done: int, bytes_total: int) -> None:
        """Nobody listens."""

    def outage(self, error: StocktakeError) -> None:
        """Nobody listens."""

    def recovered(self) -> None:
        """Nobody listens."""
