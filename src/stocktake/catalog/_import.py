"""Makes a snapshot of a source: the one pipeline, from parts to publication.

    begin -> read parts (each a checkpoint) -> recheck the source -> drop surplus rows
          -> roll up folders -> compare with the last snapshot -> guard -> publish

Nothing is visible before the last step, which is one transaction; a run that was killed anywhere
before it is taken up by the next one with its finished parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

import pyarrow as pa

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._compare import DiffSummary
from stocktake.catalog._format import SnapshotStats
from stocktake.catalog._guard import check_deletions, check_not_empty
from stocktake.catalog._import_ledger import (
    LEASE,
    AlreadyPublished,
    ImportRun,
    PartRecord,
    begin_import,
    fail_import,
    renew_lease,
)
from stocktake.catalog._import_parts import PartReader, fingerprint
from stocktake.catalog._publish import Publication
from stocktake.catalog._renewal import LostLease, renewing
from stocktake.catalog._snapshot_uses import use_snapshot
from stocktake.catalog._snapshots import find_snapshot
from stocktake.errors import DiskFullError, ImportRunningError, StateError
from stocktake.faults import reached
from stocktake.inventory import check_bad_rows
from stocktake.model import PartRef, PartTally, SnapshotSource
from stocktake.telemetry import NoProgress, Progress

DELETION_MARGIN = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to import.

    Attributes:
        workers: Parts read at the same time.
        force: Also a report that is older than the newest snapshot.
        accept_deletions: Also an empty report or one with a mass deletion.
        compare: Compare with the last snapshot: for the guard and the change log.
        deletion_margin: A key modified later than this before the report's instant is not called
            deleted by it: reports are a fuzzy, past picture.
    """

    workers: int = 2
    force: bool = False
    accept_deletions: bool = False
    compare: bool = True
    deletion_margin: timedelta = DELETION_MARGIN


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import came to.

    Attributes:
        state: 'published', or 'no-change' if this very content was a snapshot already.
        snapshot_id: Of the snapshot, new or old.
        stats: Its totals; None for 'no-change'.
        parts: Parts of the source.
        resumed_parts: Parts that an earlier, interrupted run had finished.
        part_bytes: Stored bytes of all parts.
        phase_s: Seconds spent by phase.
        diff: What changed since the last snapshot; None for the first one.
        warnings: What a person should know.
    """

    state: str
    snapshot_id: str
    stats: SnapshotStats | None = None
    parts: int = 0
    resumed_parts: int = 0
    part_bytes: int = 0
    phase_s: dict[str, float] = field(default_factory=dict)
    diff: DiffSummary | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything, for `--json` and the receipt."""
        return {
            "state": self.state,
            "snapshot_id": self.snapshot_id,
            "stats": asdict(self.stats) if self.stats else None,
            "parts": self.parts,
            "resumed_parts": self.resumed_parts,
            "part_bytes": self.part_bytes,
            "phase_s": {name: round(value, 3) for name, value in self.phase_s.items()},
            "diff": self.diff.to_dict() if self.diff else None,
            "warnings": list(self.warnings),
        }


def import_snapshot(
    catalog: Catalog,
    source: SnapshotSource,
    options: ImportOptions = ImportOptions(),
    *,
    progress: Progress = NoProgress(),
) -> ImportResult:
    """Make a snapshot of everything the source holds, or say that it is there already.

    Peak memory is that of `workers` parts in work plus the engine's limit, at any size. Safe to
    kill and run again; two imports of one source exclude each other, others run side by side.

    Raises:
        ImportRunningError: Another process imports this source.
        StaleReportError: Older than the newest snapshot, without `force`.
        ReportError, StoreError: What reading the source met; finished parts are kept.
        TooManyBadRowsError: More than max(10, 0.01 %) of the rows are unreadable.
        ConfirmationNeededError: It looks like a mass deletion, without `accept_deletions`.
        DiskFullError: No space; finished parts are kept.
    """
    parts = list(source.parts())
    fingerprints = {part.index: fingerprint(source.header, part) for part in parts}
    begun = begin_import(catalog, source.header, fingerprints, force=options.force)
    if isinstance(begun, AlreadyPublished):
        return ImportResult("no-change", begun.snapshot_id, parts=len(parts))
    reached("import.begun")
    try:
        with renewing(
            lambda: renew_lease(catalog, begun), LEASE, begun.id, ImportRunningError
        ) as lost:
            return _Work(catalog, source, options, progress, begun, lost).run(parts)
    except BaseException as error:
        # a database that fails too must not hide what happened first; the lease runs out by itself
        with suppress(StateError, DiskFullError):
            fail_import(catalog, begun, error)
        raise


class _Work:
    """One run of the pipeline by the holder of the lease."""

    def __init__(
        self,
        catalog: Catalog,
        source: SnapshotSource,
        options: ImportOptions,
        progress: Progress,
        run: ImportRun,
        lost: LostLease,
    ) -> None:
        self._catalog = catalog
        self._source = source
        self._options = options
        self._progress = progress
        self._run = run
        self._lost = lost
        self._phase_s: dict[str, float] = {}

    def run(self, parts: list[PartRef]) -> ImportResult:
        header, run = self._source.header, self._run
        if not self._options.accept_deletions:
            check_not_empty(header.source_name, len(parts))
        records = self._read(parts)
        tallies = [record.tally for record in records.values()]
        check_bad_rows(tallies, source_name=header.source_name)
        reached("import.parts-read")
        with self._phase("recheck"):
            self._source.recheck(PartTally.sum(tallies))
        publication = Publication(self._catalog, run, header, records)
        with self._phase("deduplicate"):
            publication.drop_surplus()
        reached("import.deduplicated")
        with self._phase("folders"):
            publication.roll_up()
        reached("import.folders-written")
        with self._phase("compare"):
            diff = self._compare(publication)
        reached("import.compared")
        result = ImportResult(
            "published",
            run.snapshot_id,
            stats=publication.manifest.stats,
            parts=len(parts),
            resumed_parts=len(run.finished),
            part_bytes=sum(part.size_bytes for part in parts),
            phase_s=self._phase_s,
            diff=diff,
            warnings=publication.manifest.warnings,
        )
        with self._phase("publish"):
            publication.publish(diff, result.to_dict())
        return result

    def _read(self, parts: list[PartRef]) -> dict[int, PartRecord]:
        todo = [part for part in parts if part.index not in self._run.finished]
        reader = PartReader(self._catalog, self._run, self._source, self._progress, self._lost)
        with self._phase("read", sum(part.size_bytes for part in todo), "bytes"):
            read = reader.read_all(todo, self._options.workers)
        records = {**self._run.finished, **read}
        # the readers' buffers are of no use to the engine, which has a limit of its own
        pa.default_memory_pool().release_unused()
        return records

    def _compare(self, publication: Publication) -> DiffSummary | None:
        previous_id = self._run.previous_id
        if previous_id is None or not self._options.compare:
            return None
        previous = find_snapshot(self._catalog, previous_id)
        with use_snapshot(self._catalog, previous):
            diff = publication.compare(previous, self._options.deletion_margin, self._progress)
        if diff is not None and not self._options.accept_deletions:
            name = self._source.header.source_name
            check_deletions(name, previous.objects, diff)
        return diff

    @contextmanager
    def _phase(self, name: str, total: int | None = None, unit: str = "") -> Iterator[None]:
        self._lost.check()
        self._progress.phase(name, total, unit)
        started_s = self._catalog.clock.monotonic_s()
        yield
        self._phase_s[name] = self._catalog.clock.monotonic_s() - started_s
