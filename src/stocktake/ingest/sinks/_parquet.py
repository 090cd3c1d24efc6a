"""Batches as a dataset of Parquet files, one file per batch."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.clock import Clock
from stocktake.errors import SinkError
from stocktake.faults import reached
from stocktake.ingest._sink import Landed, OpenItems
from stocktake.ingest.sinks._columns import settle
from stocktake.ingest.sinks._dataset import Dataset
from stocktake.ingest.sinks._landing import labels, landed_of, token_name
from stocktake.ingest.sinks._read import LINEAGE, Reading, read_batch

_TAIL_BYTES = 64 << 10
_END = struct.Struct("<I4s")


class ParquetSink:
    """One Parquet file per batch, named after the token and never written again.

    Token, consumer and numbers are in the file's key-value metadata, so the file is the commit:
    `stocktake.commit-token`, `stocktake.consumer`, `stocktake.seqs` (base64 of a Roaring bitmap).
    Files of one dataset may differ in their columns: read them with a union by name. A batch of
    which nothing could be loaded leaves no file. Deleting or rewriting files (compaction) before
    the ingestion has committed them makes it load them again.

    Args:
        dataset: Where files go.
        reading: What is read out of objects.
        clock: For renewing the lease during long batches.
    """

    keeps_tokens = True

    def __init__(self, dataset: Dataset, reading: Reading, clock: Clock) -> None:
        self._dataset = dataset
        self._reading = reading
        self._clock = clock

    def load(self, batch: OpenItems) -> None:
        """Write the file, unless it is there.

        Raises:
            SinkError: The directory cannot be written.
            StoreError: Objects cannot be read, or the dataset's store refuses.
        """
        name = _file_name(batch.token)
        if self._landed(name, batch.consumer) is not None:
            return
        found = read_batch(batch, self._reading, self._clock)
        settled = settle(found.rows, None, self._dataset.location)
        for item, error in settled.failures:
            batch.fail(item, error)
        seqs = found.seqs - {item.seq for item, _ in settled.failures}
        if not seqs:
            return
        batch.renew()
        reached("sink.rows-ready")
        # a batch of deletions has no columns at all, and a file without any cannot be read
        rows = settled.rows if settled.rows.num_columns else LINEAGE.empty_table()
        schema = rows.schema.with_metadata(labels(batch, seqs))
        with (
            self._dataset.create(name) as sink,
            pq.ParquetWriter(sink, schema, compression="zstd") as writer,
        ):
            writer.write_table(rows.replace_schema_metadata(schema.metadata))

    def landed(self, consumer: str, tokens: Sequence[str]) -> Mapping[str, Landed]:
        """Batches whose file is there; one look-up per token."""
        found = (self._landed(_file_name(token), consumer) for token in tokens)
        return {landed.token: landed for landed in found if landed is not None}

    def close(self) -> None:
        """Give back the dataset's connections."""
        self._dataset.close()

    def _landed(self, name: str, consumer: str) -> Landed | None:
        tail = self._dataset.tail(name, _TAIL_BYTES)
        if tail is None:
            return None
        where = f"`{name}` in {self._dataset.location}"
        needed_bytes = _footer_bytes(tail, where)
        if needed_bytes > len(tail):
            tail = self._dataset.tail(name, needed_bytes) or b""
        return landed_of(_properties(tail, where), consumer, where)


def _file_name(token: str) -> str:
    return f"part-{token_name(token)}.parquet"


def _footer_bytes(tail: bytes, where: str) -> int:
    if len(tail) < _END.size or not tail.endswith(b"PAR1"):
        raise _foreign(where, "it has no footer")
    return int(_END.unpack(tail[-_END.size :])[0]) + _END.size


def _properties(tail: bytes, where: str) -> dict[str, str]:
    """Key-value metadata out of a file's end; the footer is complete in itself."""
    try:
        metadata = pq.read_metadata(pa.BufferReader(b"PAR1" + tail)).metadata
    except (pa.ArrowException, OSError) as error:
        raise _foreign(where, str(error)) from error
    return {name.decode(): value.decode() for name, value in (metadata or {}).items()}


def _foreign(where: str, why: str) -> SinkError:
    return SinkError(
        f"{where} is not a Parquet file: {why}",
        hint="something else wrote it; move it away",
        retryable=False,
    )
