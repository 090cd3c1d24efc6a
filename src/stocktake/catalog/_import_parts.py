"""Reads the parts of a source into object files, several at a time, each one a checkpoint."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import pyarrow as pa

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._format import ObjectFile
from stocktake.catalog._import_ledger import ImportRun, PartRecord, record_part
from stocktake.catalog._runs import RunWriter, WrittenRows
from stocktake.errors import PartCorruptError
from stocktake.faults import reached
from stocktake.model import PartRef, PartTally, SnapshotSource, SourceHeader, object_schema
from stocktake.telemetry import Progress

_READS_MAX = 2


class LeaseCheck(Protocol):
    """Knows whether this process still holds the import."""

    def check(self) -> None:
        """Raise `ImportRunningError` if it does not."""


@dataclass(frozen=True, slots=True)
class PartReader:
    """Everything that reading one part needs. `lease.check()` raises if the lease is lost."""

    catalog: Catalog
    run: ImportRun
    source: SnapshotSource
    progress: Progress
    lease: LeaseCheck

    def read_all(self, todo: list[PartRef], workers: int) -> dict[int, PartRecord]:
        """Read parts with that many threads; the first failure ends it, finished parts stay.

        Raises:
            ReportError, StoreError, DiskFullError: What the first failing part met.
        """
        stop = threading.Event()
        records: dict[int, PartRecord] = {}
        pending: dict[Future[PartRecord], PartRef] = {}
        with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="part") as pool:
            try:
                queue = iter(todo)
                while True:
                    for part in queue:
                        pending[pool.submit(self._read_checked, part, stop)] = part
                        if len(pending) >= workers:
                            break
                    if not pending:
                        return records
                    done, _ = wait(pending, return_when=FIRST_COMPLETED)
                    for future in done:
                        part = pending.pop(future)
                        records[part.index] = future.result()
                        self.lease.check()
            except BaseException:
                stop.set()
                raise

    def _read_checked(self, part: PartRef, stop: threading.Event) -> PartRecord:
        """One part, read again once if its bytes were wrong: an overwrite or a bad transfer."""
        watched = _PartProgress(self.progress, part.size_bytes)
        for attempt in range(1, _READS_MAX + 1):
            try:
                record = self._read(part, stop, watched)
                break
            except PartCorruptError as error:
                if attempt == _READS_MAX or not error.retryable:
                    raise
                self.progress.note(f"reading `{part.name}` again: {error.message}")
        reached("import.part-written")
        record_part(self.catalog, self.run, part, fingerprint(self.source.header, part), record)
        reached("import.part-recorded")
        return record

    def _read(self, part: PartRef, stop: threading.Event, watched: _PartProgress) -> PartRecord:
        schema = object_schema(self.source.header.columns)
        tally = PartTally()
        stem = f"{part.index:05d}-{part.md5[:8] or 'part'}-{self.run.fence}"
        good = _LazyFile(self.catalog, f"{self.run.folder}/objects/{stem}.parquet", schema)
        odd = _LazyFile(self.catalog, f"{self.run.folder}/undecodable/{stem}.parquet", schema)
        with ExitStack() as stack:
            for block in self.source.read(part, tally):
                if stop.is_set():
                    raise _StoppedError
                reached("import.part-block")
                good.add(stack, block.rows)
                if block.undecodable is not None:
                    odd.add(stack, block.undecodable)
                watched.reach(tally.bytes_read)
            good.finish()
            odd.finish()
        watched.reach(part.size_bytes)
        written = good.written or WrittenRows()
        return PartRecord(
            tally=tally,
            file=good.to_file(),
            undecodable=odd.to_file(),
            repeats=tuple(written.repeats),
            samples=tuple(written.samples),
        )


def fingerprint(header: SourceHeader, part: PartRef) -> str:
    """What must be the same for a part that an earlier run finished to be used again."""
    encoding = header.attrs.get("key_encoding", "")
    return f"{part.md5}:{part.size_bytes}:{encoding}:{','.join(header.columns)}"


class _PartProgress:
    """How far a part is: reading it again advances only beyond where the first reading came."""

    def __init__(self, progress: Progress, size_bytes: int) -> None:
        self._progress = progress
        self._size_bytes = size_bytes
        self._reached_bytes = 0

    def reach(self, done_bytes: int) -> None:
        further = min(done_bytes, self._size_bytes) - self._reached_bytes
        if further > 0:
            self._progress.advance(further)
            self._reached_bytes += further


class _StoppedError(Exception):
    """Another part failed; this one's work is thrown away."""


class _LazyFile:
    """An object file that is only made when there is a row for it."""

    def __init__(self, catalog: Catalog, path: str, schema: pa.Schema) -> None:
        self._catalog = catalog
        self._path = path
        self._schema = schema
        self._sink: BinaryIO | None = None
        self._writer: RunWriter | None = None
        self.written: WrittenRows | None = None

    def add(self, stack: ExitStack, batch: pa.RecordBatch) -> None:
        if batch.num_rows == 0:
            return
        if self._writer is None:
            self._sink = stack.enter_context(self._catalog.files.create(self._path))
            self._writer = stack.enter_context(RunWriter(self._sink, self._schema))
        self._writer.add(batch)

    def finish(self) -> None:
        if self._writer is not None:
            self.written = self._writer.close()

    def to_file(self) -> ObjectFile | None:
        if self.written is None:
            return None
        name = "/".join(self._path.split("/")[-2:])
        return self.written.to_file(name, self._catalog.files.size_bytes(self._path))
