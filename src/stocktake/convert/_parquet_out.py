"""Record batches to one Parquet file in a sink: row groups of a size that readers like.

The writer of pyarrow makes one row group of each batch, and its destructor writes a footer even
after a failure: both are dealt with here.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from stocktake.convert._plan import ByteSink, ConvertOptions

_PAGE_BYTES = 1 << 20
_ZSTD_LEVEL = 1
_WIDE_COLUMNS = 500
_LARGE_BYTES = 16 << 20


class _CountedSink:
    """A file object of the kind pyarrow writes to; counts, and can be shut."""

    def __init__(self, sink: ByteSink) -> None:
        self._sink = sink
        self.size_bytes = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        if self.closed:
            raise ValueError("this Parquet file was given up")
        piece = bytes(data)
        self._sink.write(piece)
        self.size_bytes += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self.size_bytes

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


class ParquetOut:
    """One Parquet file. Memory: one row group in Arrow (`row_group_bytes`) and one packed column.

    Nothing but `close` makes the file whole: after an error call `abandon`.

    Attributes:
        rows: Taken so far.
    """

    def __init__(
        self,
        sink: ByteSink,
        schema: pa.Schema,
        metadata: Mapping[bytes, bytes],
        options: ConvertOptions,
        *,
        plain_columns: Sequence[str] = (),
    ) -> None:
        """Begin the file.

        Args:
            sink: Takes the bytes.
            schema: Of every batch.
            metadata: Key-value pairs of the file.
            options: Compression and size of row groups.
            plain_columns: Columns whose values hardly repeat: no dictionary is tried.
        """
        self._options = options
        self._counted = _CountedSink(sink)
        plain = set(plain_columns)
        with_dictionary = [name for name in schema.names if name not in plain]
        self._writer = pq.ParquetWriter(
            self._counted,
            schema.with_metadata(dict(metadata)),
            compression=options.compression,
            compression_level=_ZSTD_LEVEL if options.compression == "zstd" else None,
            use_dictionary=with_dictionary if plain else True,
            store_decimal_as_integer=True,
            data_page_size=_PAGE_BYTES,
            version="2.6",
        )
        self._waiting: list[pa.RecordBatch | pa.Buffer] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._row_groups = 0
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch; writes a row group when enough have come together.

        Whatever the sink raises comes out here.
        """
        if not batch.num_rows:
            return
        wide = batch.num_columns >= _WIDE_COLUMNS
        self._waiting.append(batch.serialize() if wide else batch)
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes
        self.rows += batch.num_rows
        if (
            self._waiting_rows >= self._options.row_group_rows
            or self._waiting_bytes >= self._options.row_group_bytes
        ):
            self._write_group()

    def close(self) -> tuple[int, int, int]:
        """Write what is left and the footer; returns (size_bytes, row_groups, rows)."""
        if self._waiting:
            self._write_group()
        self._writer.close()
        self._counted.closed = True
        return self._counted.size_bytes, self._row_groups, self.rows

    def abandon(self) -> None:
        """Give the file up: not a byte more reaches the sink."""
        self._counted.closed = True
        self._writer.is_open = False
        self._waiting.clear()

    def _write_group(self) -> None:
        schema = self._writer.schema
        group = pa.Table.from_batches(
            [
                one if isinstance(one, pa.RecordBatch) else pa.ipc.read_record_batch(one, schema)
                for one in self._waiting
            ]
        )
        self._waiting.clear()
        self._writer.write_table(group, row_group_size=max(1, group.num_rows))
        large = group.nbytes >= _LARGE_BYTES
        del group
        if large:
            # an error that the sink caught may hold the frames below it, and so this group, in a
            # cycle: without this two groups are in memory at a time
            gc.collect()
        pa.default_memory_pool().release_unused()  # or the next group comes on top
        self._row_groups += 1
        self._waiting_rows = self._waiting_bytes = 0
