"""The bytes of one object as an Arrow table: Parquet, CSV, JSON lines, plain or gzipped.

Nothing is guessed that could change a value: CSV fields stay text unless types are asked for, and
texts in JSON that look like a date stay text.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.json as arrow_json
import pyarrow.parquet as pq
import pyarrow.types as kinds
from isal import igzip

from stocktake.errors import UnreadableItemError

INFLATED_BYTES_MAX = 2 << 30
_BLOCK_BYTES_MAX = 1 << 30
_GZIP_MAGIC = b"\x1f\x8b"


class Reader(StrEnum):
    """What a sink makes of an object."""

    FILES = "files"
    """One row about the object itself; it is not opened."""
    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"
    AUTO = "auto"
    """By the key's ending: `.parquet`, `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.json`, and `.gz`."""


class CsvTypes(StrEnum):
    """How CSV fields are understood."""

    TEXT = "text"
    """As they stand: `007` stays `007`, an empty field is an empty text."""
    INFER = "infer"
    """Numbers, dates and booleans are recognised, per file; an empty field is NULL."""


@dataclass(frozen=True, slots=True)
class CsvLook:
    """How CSV files are written. `delimiter` None: a comma, or a tab if the key ends in `.tsv`."""

    delimiter: str | None = None
    types: CsvTypes = CsvTypes.TEXT


_ENDINGS: Mapping[str, Reader] = {
    "parquet": Reader.PARQUET,
    "pq": Reader.PARQUET,
    "csv": Reader.CSV,
    "tsv": Reader.CSV,
    "jsonl": Reader.JSONL,
    "ndjson": Reader.JSONL,
    "json": Reader.JSONL,
}


def parse_rows(reader: Reader, key: str, data: bytes, look: CsvLook = CsvLook()) -> pa.Table:
    """The rows in `data`; a file without a single byte has none and no columns.

    Takes a few times the size of `data` in memory; inflates to 2 GiB at most.

    Raises:
        UnreadableItemError: It is not of that format, or `auto` does not know the ending.
    """
    chosen = _by_ending(key) if reader is Reader.AUTO else reader
    try:
        if chosen is Reader.PARQUET:
            return pq.read_table(pa.BufferReader(data), use_threads=False)
        plain = _inflated(data, key)
        if not plain.strip():
            return pa.table({})
        if chosen is Reader.CSV:
            return _csv(plain, look.delimiter or _delimiter(key), look.types)
        return _json_lines(plain)
    except (pa.ArrowException, OSError, ValueError, csv.Error, EOFError, zlib.error) as error:
        cause = " ".join(str(error).split())
        raise UnreadableItemError(
            f"`{key}` cannot be read as {chosen.value}: {cause}", key=key, reader=chosen.value
        ) from error


def _ending(key: str) -> str:
    name = key.rpartition("/")[2].lower()
    for packed in (".gz", ".gzip"):
        name = name.removesuffix(packed)
    return name.rpartition(".")[2] if "." in name else ""


def _by_ending(key: str) -> Reader:
    reader = _ENDINGS.get(_ending(key))
    if reader is None:
        raise UnreadableItemError(
            f"the format of `{key}` is not known from its ending",
            hint="say it in the sink's settings: reader = parquet, csv, jsonl or files",
            key=key,
        )
    return reader


def _delimiter(key: str) -> str:
    return "\t" if _ending(key) == "tsv" else ","


def _inflated(data: bytes, key: str) -> bytes:
    if not data.startswith(_GZIP_MAGIC):
        return data
    with cast("BinaryIO", igzip.open(io.BytesIO(data))) as file:  # type: ignore[no-untyped-call]
        plain = file.read(INFLATED_BYTES_MAX + 1)
    if len(plain) > INFLATED_BYTES_MAX:
        raise UnreadableItemError(
            f"`{key}` inflates to more than {INFLATED_BYTES_MAX} bytes", key=key
        )
    return plain


def _csv(data: bytes, delimiter: str, types: CsvTypes) -> pa.Table:
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="")
    names = next(csv.reader(text, delimiter=delimiter))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"column `{twice}` stands twice in its first line")
    if types is CsvTypes.TEXT:
        convert = arrow_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    else:
        convert = arrow_csv.ConvertOptions(strings_can_be_null=True)
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        # types are taken from the first block, so the first block is everything
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=_block_bytes(data)),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=convert,
    )


def _json_lines(data: bytes) -> pa.Table:
    rows = _read_json(data, None)
    texts = [field.with_type(_dates_as_text(field.type)) for field in rows.schema]
    if all(a.type == b.type for a, b in zip(texts, rows.schema, strict=True)):
        return rows
    return _read_json(data, pa.schema(texts))


def _read_json(data: bytes, schema: pa.Schema | None) -> pa.Table:
    return arrow_json.read_json(
        pa.BufferReader(data),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=_block_bytes(data)),
        parse_options=arrow_json.ParseOptions(explicit_schema=schema),
    )


def _block_bytes(data: bytes) -> int:
    return min(len(data) + 1, _BLOCK_BYTES_MAX)


def _dates_as_text(kind: pa.DataType) -> pa.DataType:
    """The type without the timestamps that the JSON reader makes of texts."""
    if kinds.is_timestamp(kind):
        return pa.string()
    if kinds.is_list(kind):
        return pa.list_(_dates_as_text(kind.value_type))
    if kinds.is_struct(kind):
        return pa.struct([field.with_type(_dates_as_text(field.type)) for field in kind])
    return kind
