"""The second, patient parse of a CSV block that the fast one refused.

Every column is read as text and converted on its own; a value that cannot be becomes None and
costs its row a mark, not the import.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from stocktake.inventory._layout import CsvLayout
from stocktake.model import object_schema

TEXT_TYPES: dict[str, pa.DataType] = {"key": pa.binary()}
INT64_MAX = 2**63 - 1
_DIGITS = re.compile(r"\d{1,19}")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}

BadRows = list[tuple[str, str]]


def parse_tolerant(data: bytes, layout: CsvLayout) -> tuple[pa.RecordBatch, BadRows]:
    """Typed columns of a block of whole rows, and the rows or values that could not be read.

    Rows with another number of fields are left out. Key stays binary. Order as in the block.
    """
    bad: BadRows = []
    columns = _text_columns(data, layout, bad)
    schema = object_schema(layout.output)
    arrays: dict[str, pa.Array] = {}
    for name in layout.output:
        if name == "key":
            arrays[name] = pa.array([value or None for value in columns[name]], pa.binary())
            continue
        convert = _CONVERTERS.get(name, _text)
        values: list[Any] = []
        for raw in columns[name]:
            try:
                values.append(convert(raw.decode("utf-8", "backslashreplace")) if raw else None)
            except ValueError:
                values.append(None)
                if name != "size_bytes":  # a missing size is counted where sizes are checked
                    bad.append((repr(raw), f"{name} cannot be read"))
        arrays[name] = pa.array(values, schema.field(name).type)
    return pa.RecordBatch.from_pydict(arrays), bad


def parse_options(data: bytes, refuse: Callable[[pacsv.InvalidRow], str]) -> pacsv.ParseOptions:
    """How pyarrow parses this text: `refuse` is asked about rows of another width.

    It cannot be asked about text that is not UTF-8 (pyarrow fails to hand the row over, noisily);
    then such a row fails the parse, and the text is read row by row.
    """
    try:
        utf8 = data.isascii() or bool(data.decode())
    except UnicodeDecodeError:
        utf8 = False
    return pacsv.ParseOptions(invalid_row_handler=refuse if utf8 else None)


def _text_columns(data: bytes, layout: CsvLayout, bad: BadRows) -> dict[str, list[bytes]]:
    def refuse(row: pacsv.InvalidRow) -> str:
        reason = f"{row.actual_columns} fields instead of {row.expected_columns}"
        refused.append((row.text, reason))
        return "skip"

    refused: BadRows = []
    names = list(layout.columns)
    try:
        table = pacsv.read_csv(
            pa.BufferReader(data),
            read_options=pacsv.ReadOptions(
                use_threads=False, column_names=names, block_size=len(data) + 1
            ),
            parse_options=parse_options(data, refuse),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()), include_columns=list(layout.output)
            ),
        )
    except pa.ArrowInvalid:
        return _by_row(data, layout, bad)
    bad.extend(refused)
    if not table.num_rows:
        return {name: [] for name in layout.output}
    return {name: table.column(name).to_pylist() for name in layout.output}


def _by_row(data: bytes, layout: CsvLayout, bad: BadRows) -> dict[str, list[bytes]]:
    """Row by row, for text whose quoting is broken: Latin-1 keeps every byte as it is."""
    columns: dict[str, list[bytes]] = {name: [] for name in layout.output}
    position = {name: layout.columns.index(name) for name in layout.output}
    width = len(layout.columns)
    for line in data.split(b"\n"):
        text = line.decode("latin-1").rstrip("\r")
        if not text:
            continue
        try:
            fields = next(csv.reader([text]), [])
        except csv.Error as error:
            bad.append((text, str(error)))
            continue
        if len(fields) != width or text.count('"') % 2:
            bad.append((text, f"{len(fields)} fields instead of {width}, or a quote is open"))
            continue
        for name, at in position.items():
            columns[name].append(fields[at].encode("latin-1"))
    return columns


def _text(text: str) -> str:
    return text


def _size(text: str) -> int:
    if not _DIGITS.fullmatch(text.strip()) or int(text) > INT64_MAX:
        raise ValueError(text)
    return int(text)


def _boolean(text: str) -> bool:
    value = _BOOLEANS.get(text.strip().lower())
    if value is None:
        raise ValueError(text)
    return value


def _instant(text: str) -> datetime:
    value = datetime.fromisoformat(text.strip())
    return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "size_bytes": _size,
    "is_latest": _boolean,
    "is_delete_marker": _boolean,
    "last_modified": _instant,
}
