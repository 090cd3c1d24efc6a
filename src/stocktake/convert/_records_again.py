"""Pass 2 meets only what pass 1 has seen, unless the source changed in between."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from stocktake.errors import ConvertError

_UNPLANNED = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RecursionError,
    NotImplementedError,
)


def as_planned(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches.

    Raises:
        ConvertError: A value does not have the type that was decided. Who compares the checksum of
            the source then says that it changed.
    """
    while True:
        try:
            batch = next(batches, None)
        except _UNPLANNED as error:
            raise ConvertError(f"a value is not as it was planned: {str(error)[:200]}") from error
        if batch is None:
            return
        yield batch
