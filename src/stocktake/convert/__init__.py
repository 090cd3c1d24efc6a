"""CSV, TSV, JSON, JSON lines and XML to Parquet, in two passes, without losing a value.

In: a stream that can be had twice. Out: a plan (types and why), then Parquet bytes into a sink.
Never: a file on disk, a type that changes a value, more memory for a larger file.
"""

from stocktake.convert._plan import (
    ByteSink,
    ByteStream,
    ColumnDecision,
    ConversionPlan,
    ConversionResult,
    ConvertOptions,
    TableKind,
)

__all__ = [
    "ByteSink",
    "ByteStream",
    "ColumnDecision",
    "ConversionPlan",
    "ConversionResult",
    "ConvertOptions",
    "TableKind",
]
