"""A batch as tables: objects are fetched and parsed by a few threads, in order, within bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from stocktake.clock import Clock
from stocktake.errors import SinkError, UnreadableItemError
from stocktake.ingest._sink import Item, OpenItems
from stocktake.ingest.sinks._columns import ItemRows
from stocktake.ingest.sinks._failures import OF_THE_OBJECT
from stocktake.ingest.sinks._formats import CsvLook, Reader, parse_rows
from stocktake.ingest.sinks._landing import KEY_COLUMN, SEQ_COLUMN

FILES: pa.Schema = pa.schema(
    [
        pa.field("bucket", pa.string()),
        pa.field("key", pa.string()),
        pa.field("version_id", pa.string()),
        pa.field("etag", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("last_modified", pa.timestamp("us", tz="UTC")),
        pa.field("deleted", pa.bool_()),
        pa.field("seq", pa.int64()),
    ]
)
"""What the reader `files` makes: one row per change."""

LINEAGE: pa.Schema = pa.schema([(KEY_COLUMN, pa.string()), (SEQ_COLUMN, pa.int64())])
"""What readers of content add to the columns of an object."""

_RENEW_S = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """How the objects of a batch become rows.

    Attributes:
        reader: The format.
        csv: How CSV files are written.
        threads: Objects that are fetched at the same time.
        ahead_bytes: Most bytes of objects under way; a larger object is fetched alone.
        rows_bytes_max: Most bytes of Arrow tables that a batch may become.
    """

    reader: Reader = Reader.FILES
    csv: CsvLook = CsvLook()
    threads: int = 8
    ahead_bytes: int = 64 << 20
    rows_bytes_max: int = 2 << 30


@dataclass(frozen=True, slots=True)
class Found:
    """What a batch holds: rows per item, and every number that is loaded with them."""

    rows: Sequence[ItemRows]
    seqs: frozenset[int]


def read_batch(batch: OpenItems, reading: Reading, clock: Clock) -> Found:
    """Everything of a batch that can be read; what cannot is noted with `batch.fail`.

    A deletion has no rows for readers of content, and counts as loaded. Memory: the batch's rows
    as Arrow tables, `rows_bytes_max` at most, and the objects under way.

    Raises:
        SinkError: The rows are more than `rows_bytes_max`.
        StoreError: The store fails for more than one object (credentials, throttling, network).
        LeaseLostError: Another worker took the batch over.
    """
    if reading.reader is Reader.FILES:
        items = tuple(batch.items)
        rows = [ItemRows(None, _file_rows(batch.bucket, items))] if items else []
        return Found(rows, frozenset(item.seq for item in items))
    found: list[ItemRows] = []
    seqs = {item.seq for item in batch.items if item.deleted}
    total_bytes = 0
    for entry in _fetched(batch, reading, clock):
        if entry.item is None:
            continue
        total_bytes += entry.rows.nbytes
        if total_bytes > reading.rows_bytes_max:
            raise SinkError(
                f"a batch becomes more than {reading.rows_bytes_max} bytes of rows in memory",
                hint="let batches be smaller (files_max, batch_bytes_max), "
                "or raise rows_bytes_max in the sink's settings",
                retryable=False,
            )
        found.append(entry)
        seqs.add(entry.item.seq)
    return Found(found, frozenset(seqs))


def _file_rows(bucket: str, items: Sequence[Item]) -> pa.Table:
    columns = [
        [bucket] * len(items),
        [item.key for item in items],
        [item.version_id for item in items],
        [item.etag for item in items],
        [item.size_bytes for item in items],
        [item.last_modified for item in items],
        [item.deleted for item in items],
        [item.seq for item in items],
    ]
    arrays = [pa.array(c, field.type) for c, field in zip(columns, FILES, strict=True)]
    return pa.Table.from_arrays(arrays, schema=FILES)


def _fetched(batch: OpenItems, reading: Reading, clock: Clock) -> Iterator[ItemRows]:
    """Rows per item in the order of the batch, read ahead within `ahead_bytes`."""
    waiting = deque(item for item in batch.items if not item.deleted)
    under_way: deque[tuple[Item, Future[pa.Table | None]]] = deque()
    ahead_bytes = 0
    renewed_s = clock.monotonic_s()
    with ThreadPoolExecutor(reading.threads, thread_name_prefix="sink-read") as pool:
        try:
            while waiting or under_way:
                while waiting and len(under_way) < 2 * reading.threads:
                    size_bytes = waiting[0].size_bytes or 0
                    if under_way and ahead_bytes + size_bytes > reading.ahead_bytes:
                        break
                    item = waiting.popleft()
                    under_way.append((item, pool.submit(_rows_of, batch, item, reading)))
                    ahead_bytes += size_bytes
                item, future = under_way.popleft()
                rows = _result(batch, item, future)
                ahead_bytes -= item.size_bytes or 0
                if clock.monotonic_s() - renewed_s > _RENEW_S:
                    batch.renew()
                    renewed_s = clock.monotonic_s()
                if rows is not None:
                    yield ItemRows(item, rows)
        finally:
            for _, future in under_way:
                future.cancel()


def _result(batch: OpenItems, item: Item, future: Future[pa.Table | None]) -> pa.Table | None:
    try:
        return future.result()
    except OF_THE_OBJECT as error:
        batch.fail(item, error)
        return None


def _rows_of(batch: OpenItems, item: Item, reading: Reading) -> pa.Table | None:
    with batch.open(item) as body:
        if body is None:
            return None
        data = body.read()
    rows = parse_rows(reading.reader, item.key, data, reading.csv)
    for name in (KEY_COLUMN, SEQ_COLUMN):
        if name in rows.column_names:
            raise UnreadableItemError(
                f"`{item.key}` has a column `{name}` of its own", key=item.key, column=name
            )
    keys = pa.repeat(pa.scalar(item.key, pa.string()), rows.num_rows)
    seqs = pa.repeat(pa.scalar(item.seq, pa.int64()), rows.num_rows)
    if not rows.num_columns:
        return pa.table({KEY_COLUMN: keys, SEQ_COLUMN: seqs})
    return rows.append_column(KEY_COLUMN, keys).append_column(SEQ_COLUMN, seqs)
