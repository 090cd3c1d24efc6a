"""Writes an inventory report in AWS layout, so that every store can have one.

Nothing is a delivery until `manifest.checksum` is there, and that is written last.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Protocol

import pyarrow as pa

from stocktake.errors import (
    ObjectNotFoundError,
    ReportExistsError,
    ReportWriteError,
    StoreError,
)
from stocktake.inventory._address import CHECKSUM_NAME, MANIFEST_NAME
from stocktake.inventory._manifest import ReportFormat
from stocktake.inventory._write_columnar import OrcPart, ParquetPart
from stocktake.inventory._write_columns import (
    DEFAULT_COLUMNS,
    aws_order,
    part_suffix,
    report_columns,
)
from stocktake.inventory._write_csv import CsvPart
from stocktake.inventory._write_manifest import (
    ReportPart,
    checksum_text,
    hive_folder,
    manifest_text,
    symlink_text,
)
from stocktake.inventory._write_sink import PartSink, ReportStore
from stocktake.inventory._write_spec import ReportSpec, WrittenReport
from stocktake.telemetry import NoProgress, Progress


class _PartEncoder(Protocol):
    def write(self, batch: pa.RecordBatch) -> None: ...

    def finish(self) -> None: ...

    def abandon(self) -> None: ...


class ReportWriter:
    """Writes the parts of one delivery and then publishes it.

    Use it as a context manager: leaving it without `finish` removes what was written. Parts may be
    written from several threads. Holds one upload chunk of 8 MB per part under way, and for
    Parquet one row group of 64 MB, for ORC one stripe of 16 MB.

    Args:
        store: Where the report goes.
        spec: Which report; its `columns` decide the schema of all parts.
        overwrite: Replace a delivery of the same stamp instead of refusing. Its parts stay.
        seed: Names parts by this number instead of by chance.
    """

    def __init__(
        self,
        store: ReportStore,
        spec: ReportSpec,
        *,
        overwrite: bool = False,
        seed: int | None = None,
    ) -> None:
        self._store = store
        self._spec = spec
        self._overwrite = overwrite
        self._seed = seed
        self._columns = report_columns(spec.columns or DEFAULT_COLUMNS)
        self._parts: dict[int, ReportPart] = {}
        self._written: list[str] = []
        self._lock = threading.Lock()
        self._finished = False
        if not overwrite:
            self._refuse_existing()

    def __enter__(self) -> ReportWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._finished:
            self.discard()

    def write_part(self, index: int, batches: Iterable[pa.RecordBatch]) -> ReportPart:
        """Write one part whole, its rows in the order given. `index` places it in the manifest."""
        key = self._part_key(index)
        sink = PartSink(self._store, self._spec.base.bucket, key)
        encoder = self._encoder(sink)
        rows = 0
        try:
            for batch in batches:
                encoder.write(self._checked(batch))
                rows += batch.num_rows
            encoder.finish()
            self._remember(key)
            sink.finish()
        except BaseException:
            _abandon(encoder, sink)
            raise
        part = ReportPart(key, sink.size_bytes, sink.md5, rows)
        with self._lock:
            self._parts[index] = part
        return part

    def finish(self) -> WrittenReport:
        """Publish the parts: symlinks, manifest, and last its checksum."""
        parts = tuple(self._parts[index] for index in sorted(self._parts))
        spec = self._spec
        bucket = spec.base.bucket
        manifest = manifest_text(
            spec.source_bucket, bucket, spec.stamp, spec.file_format, self._columns, parts
        )
        url = spec.manifest_url
        checksum_key = url.key.removesuffix(MANIFEST_NAME) + CHECKSUM_NAME
        symlink = spec.base.join("hive", hive_folder(spec.stamp), "symlink.txt")
        if self._overwrite:
            # up to here the old delivery is whole, from here on there is none until the last line
            self._store.delete(bucket, [checksum_key])
        self._put(symlink.key, symlink_text(bucket, parts))
        self._put(url.key, manifest)
        self._put(checksum_key, checksum_text(manifest))
        self._finished = True
        return WrittenReport(
            manifest_url=url,
            manifest_md5=hashlib.md5(manifest, usedforsecurity=False).hexdigest(),
            parts=parts,
            rows=sum(part.rows for part in parts),
            size_bytes=sum(part.size_bytes for part in parts),
        )

    def discard(self) -> None:
        """Remove everything this writer has put into the store, manifest first."""
        keys = self._written[::-1]
        # the error that led here matters more than one about the leftovers
        with contextlib.suppress(StoreError):
            if keys:
                self._store.delete(self._spec.base.bucket, keys)
        self._written = []

    def _refuse_existing(self) -> None:
        url = self._spec.manifest_url
        try:
            self._store.head(url.bucket, url.key)
        except ObjectNotFoundError:
            return
        raise ReportExistsError(f"there is a report at {url} already", url=str(url))

    def _part_key(self, index: int) -> str:
        name = uuid.uuid4() if self._seed is None else _seeded_uuid(self._seed, index)
        suffix = part_suffix(self._spec.file_format)
        return self._spec.base.join("data", f"{name}{suffix}").key

    def _encoder(self, sink: PartSink) -> _PartEncoder:
        bucket = self._spec.source_bucket
        match self._spec.file_format:
            case ReportFormat.CSV:
                return CsvPart(sink, self._columns, bucket, self._spec.csv_style)
            case ReportFormat.ORC:
                return OrcPart(sink, self._columns, bucket)
            case ReportFormat.PARQUET:
                return ParquetPart(sink, self._columns, bucket)

    def _checked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        held = set(batch.schema.names)
        for column in self._columns:
            if column.name != "bucket" and column.name not in held:
                raise ReportWriteError(
                    f"a batch lacks the column `{column.name}` of this report", column=column.name
                )
        if batch.column("key").null_count:
            raise ReportWriteError("a batch has a row without a key")
        return batch

    def _remember(self, key: str) -> None:
        with self._lock:
            self._written.append(key)

    def _put(self, key: str, body: bytes) -> None:
        self._remember(key)
        self._store.put(self._spec.base.bucket, key, body)


def write_report(
    store: ReportStore,
    spec: ReportSpec,
    batches: Iterable[pa.RecordBatch],
    *,
    overwrite: bool = False,
    seed: int | None = None,
    progress: Progress = NoProgress(),
) -> WrittenReport:
    """Write a whole delivery from batches of object records, which must all have one schema.

    Rows keep their order. Batches are consumed one at a time; memory as in `ReportWriter`. A
    failure leaves no manifest and no unfinished upload.

    Raises:
        ReportExistsError: There is a delivery of this stamp and `overwrite` is off.
        ReportWriteError: A column or value does not fit the format.
        StoreError: The store failed.
    """
    stream = iter(batches)
    first = next(stream, None)
    if first is not None and not spec.columns:
        spec = replace(spec, columns=aws_order(first.schema.names))
    rows = _Rows(first, stream, progress)
    progress.phase("write report", None, "rows")
    with ReportWriter(store, spec, overwrite=overwrite, seed=seed) as writer:
        index = 0
        while rows.more():
            writer.write_part(index, rows.take(spec.rows_per_part))
            index += 1
        return writer.finish()


class _Rows:
    """Batches that can be taken by number of rows."""

    def __init__(
        self, first: pa.RecordBatch | None, rest: Iterator[pa.RecordBatch], progress: Progress
    ) -> None:
        self._held = first
        self._rest = rest
        self._progress = progress

    def more(self) -> bool:
        while self._held is not None and self._held.num_rows == 0:
            self._held = next(self._rest, None)
        return self._held is not None

    def take(self, rows_max: int) -> Iterator[pa.RecordBatch]:
        left = rows_max
        while left > 0 and self.more():
            batch: pa.RecordBatch = self._held
            piece = batch.slice(0, left)
            self._held = batch.slice(left) if batch.num_rows > left else next(self._rest, None)
            left -= piece.num_rows
            self._progress.advance(piece.num_rows)
            yield piece


def _abandon(encoder: _PartEncoder, sink: PartSink) -> None:
    """Abort the upload, then close the encoder into the deaf sink so that it frees its memory."""
    with contextlib.suppress(StoreError):
        sink.abort()
    with contextlib.suppress(pa.ArrowException, ValueError, OSError):
        encoder.abandon()


def _seeded_uuid(seed: int, index: int) -> uuid.UUID:
    digest = hashlib.md5(f"{seed}/{index}".encode(), usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest, version=4)
