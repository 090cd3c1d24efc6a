"""ORC and Parquet files: what columns they have, and their rows in bounded batches.

The file's footer says what is in it; the manifest's schema text is never asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.orc as paorc
import pyarrow.parquet as papq

from stocktake.errors import PartBombError, PartCorruptError, StocktakeError
from stocktake.inventory._manifest import ReportFormat
from stocktake.model import PartRef

BATCH_ROWS = 65_536
_ORC_BATCH_ROWS = 16_384
_READ_BYTES = 1 << 20
"""How far each Parquet column is read ahead; without it a column chunk is read whole."""
_ROWS_PER_BYTE_MAX = 64
_ROWS_SLACK = 1 << 20
_RATIO_MAX = 400
_RATIO_SLACK_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file says about itself."""

    columns: tuple[str, ...]
    rows: int


def read_footer(source: Any, file_format: ReportFormat, part: PartRef) -> Footer:
    """Column names and row count, from a file or buffer that pyarrow can seek in.

    Raises:
        PartCorruptError: It is not such a file, or its footer is damaged.
        PartBombError: It claims far more rows or bytes than its size can hold.
    """
    with _parsing(source, part):
        if file_format is ReportFormat.ORC:
            orc = paorc.ORCFile(source)
            footer = Footer(tuple(orc.schema.names), orc.nrows)
            inflated_bytes = 0
        else:
            parquet = papq.ParquetFile(source, pre_buffer=False)
            meta = parquet.metadata
            footer = Footer(tuple(parquet.schema_arrow.names), meta.num_rows)
            groups = range(meta.num_row_groups)
            inflated_bytes = sum(meta.row_group(group).total_byte_size for group in groups)
    _refuse_bomb(footer, inflated_bytes, part)
    return footer


def read_batches(
    source: Any, file_format: ReportFormat, part: PartRef, columns: list[str]
) -> Iterator[pa.RecordBatch]:
    """The rows of these columns, at most 65,536 at a time, in the file's order.

    Memory: a few batches and about 1 MB per column; a stripe or row group is never held whole.

    Raises:
        PartCorruptError: The file is damaged.
    """
    with _parsing(source, part):
        if file_format is ReportFormat.ORC:
            fragment = pads.OrcFileFormat().make_fragment(source)
            yield from fragment.to_batches(
                columns=columns,
                batch_size=_ORC_BATCH_ROWS,
                batch_readahead=1,
                fragment_readahead=1,
                use_threads=False,
            )
        else:
            parquet = papq.ParquetFile(
                source,
                pre_buffer=False,
                buffer_size=_READ_BYTES,
                coerce_int96_timestamp_unit="ms",
            )
            yield from parquet.iter_batches(
                batch_size=BATCH_ROWS, columns=columns, use_threads=False
            )


@contextmanager
def _parsing(source: Any, part: PartRef) -> Iterator[None]:
    """Give pyarrow's complaints our name; what the store said inside counts more."""
    try:
        yield
    except StocktakeError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        failure = getattr(source, "failure", None)
        if failure is not None:
            raise failure from error
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PartCorruptError(
            f"part {part.name} cannot be read: {cause}", retryable=not part.md5, part=part.name
        ) from error


def _refuse_bomb(footer: Footer, inflated_bytes: int, part: PartRef) -> None:
    rows_max = _ROWS_SLACK + _ROWS_PER_BYTE_MAX * part.size_bytes
    bytes_max = _RATIO_SLACK_BYTES + _RATIO_MAX * part.size_bytes
    if footer.rows > rows_max or inflated_bytes > bytes_max:
        raise PartBombError(
            f"part {part.name} of {part.size_bytes} bytes claims {footer.rows} rows and "
            f"{inflated_bytes} bytes",
            part=part.name,
            rows=footer.rows,
        )
