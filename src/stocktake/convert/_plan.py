"""What is to be converted, what pass 1 found out, and what pass 2 wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class TableKind(StrEnum):
    """Formats that become Parquet, by the file's extension."""

    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    JSONL = "jsonl"
    XML = "xml"


class ByteStream(Protocol):
    """Bytes from the front to the end, once. `read` gives b"" at the end only."""

    def read(self, size_bytes: int = -1, /) -> bytes:
        """Up to that many bytes."""


class ByteSink(Protocol):
    """Where Parquet goes, from the front to the end, nothing twice."""

    def write(self, data: bytes, /) -> object:
        """Take these bytes; may block."""


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """How to convert. The defaults lose nothing and guess nothing.

    Attributes:
        types: `auto` finds lossless types, `strings` takes every CSV value as text.
        schema: Types by column name, as Arrow writes them (`int64`, `decimal128(10, 2)`); a value
            that does not fit fails with its row. Other columns follow `types`.
        compression: `zstd` or `snappy`.
        delimiter: Of CSV; None finds it.
        header: False: the first line is data, columns are `_c1`, `_c2`, ...
        fallback_encoding: For text that is not UTF-8 and has no byte order mark; None fails.
        bad_rows_max: So many rows of another width are put aside instead of failing.
        records_path: Where the records of a JSON object or an XML document are, parts by `/`;
            None finds them.
        row_group_rows: A row group has at least so many rows, unless it is the last or ...
        row_group_bytes: ... it holds this many bytes (Arrow, in memory).
        field_bytes_max: A single value may have this many bytes.
        columns_max: Columns that a table may have.
        depth_max: Levels of nested JSON or XML.
    """

    types: str = "auto"
    schema: Mapping[str, str] = field(default_factory=dict)
    compression: str = "zstd"
    delimiter: str | None = None
    header: bool = True
    fallback_encoding: str | None = None
    bad_rows_max: int = 0
    records_path: str | None = None
    row_group_rows: int = 1_000_000
    row_group_bytes: int = 64 << 20
    field_bytes_max: int = 16 << 20
    columns_max: int = 20_000
    depth_max: int = 32


@dataclass(frozen=True, slots=True)
class ColumnDecision:
    """One column and why it has its type.

    Attributes:
        name: In the Parquet file.
        source_name: In the source, if it was another one (empty, there twice); None if the same.
        type: As Arrow writes it.
        why: For people: what ruled the next narrower type out, and in which row.
    """

    name: str
    source_name: str | None
    type: str
    why: str


@dataclass(frozen=True, slots=True)
class ConversionPlan:
    """All that pass 2 needs; goes through JSON unchanged.

    Attributes:
        kind: The source's format.
        sha256: Hex digest of the source's bytes; pass 2 must read the same ones.
        size_bytes: Of the source.
        rows: Rows there will be. None: no rows and no columns, so nothing to write.
        columns: In the order of the file.
        details: What the format's own pass 2 needs (dialect, encoding, record path, Arrow schema),
            as JSON values.
        warnings: One line each.
        bound_bytes: The Parquet file will not be larger (a generous estimate from pass 1).
    """

    kind: TableKind
    sha256: str
    size_bytes: int
    rows: int | None
    columns: tuple[ColumnDecision, ...]
    details: Mapping[str, Any]
    warnings: tuple[str, ...]
    bound_bytes: int


@dataclass(frozen=True, slots=True)
class ConversionResult:
    """What pass 2 wrote.

    Attributes:
        rows: Rows written.
        rejected: Rows put aside (`bad_rows_max`), as {"row", "line", "reason"}.
        size_bytes: Of the Parquet file.
        row_groups: How many.
    """

    rows: int
    rejected: tuple[Mapping[str, Any], ...]
    size_bytes: int
    row_groups: int
