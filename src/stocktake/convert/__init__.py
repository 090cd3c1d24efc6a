"""CSV, TSV, JSON, JSON lines and XML to Parquet, in two passes, without losing a value.

In: a stream that can be had twice. Out: a plan (types and why), then Parquet bytes into a sink.
Never: a file on disk, a type that changes a value, more memory for a larger file.
"""

from stocktake.convert._convert import plan_conversion, write_parquet
from stocktake.convert._kinds import table_kind
from stocktake.convert._plan import (
    ByteSink,
    ByteStream,
    ColumnDecision,
    ConversionPlan,
    ConversionResult,
    ConvertOptions,
    TableKind,
)
from stocktake.convert._plan_json import plan_from_json, plan_to_json
from stocktake.convert._typed_text import to_text

__all__ = [
    "ByteSink",
    "ByteStream",
    "ColumnDecision",
    "ConversionPlan",
    "ConversionResult",
    "ConvertOptions",
    "TableKind",
    "plan_conversion",
    "plan_from_json",
    "plan_to_json",
    "table_kind",
    "to_text",
    "write_parquet",
]
