"""The second, patient parse of a CSV block that the fast one refused.

Every column is read as text and converted on its own; a value that cannot be becomes None and
costs its row a mark, not the import.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.csv as pacsv

from stocktake.inventory._csv_rows import read_row
from stocktake.inventory._layout import CsvLayout
from stocktake.model import object_schema

_INT64_MAX = 2**63 - 1
_BROKEN_ROW_BYTES_MAX = 64 << 10
_SIZE = re.compile(r"-?[0-9]+|0[xX][0-9a-fA-F]{1,16}")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}

BadRows: TypeAlias = list[tuple[str, str]]
Refuse: TypeAlias = Callable[[pacsv.InvalidRow], str]


def parse_tolerant(
    data: bytes, layout: CsvLayout, *, by_row: bool = False
) -> tuple[dict[str, pa.Array], BadRows]:
    """Typed columns of a block of whole rows, and the rows or values that could not be read.

    Rows with another number of fields are left out. Key stays binary. Order as in the block.
    `by_row` is for text with an open quote.
    """
    bad: BadRows = []
    texts = (_by_row if by_row else _text_columns)(data, layout, bad)
    schema = object_schema(layout.output)
    columns: dict[str, pa.Array] = {}
    for name in layout.output:
        if name == "key":
            columns[name] = pa.array([value or None for value in texts[name]], pa.binary())
            continue
        convert = _CONVERTERS.get(name, _text)
        values: list[Any] = []
        for raw in texts[name]:
            try:
                values.append(convert(raw.decode("utf-8", "backslashreplace")) if raw else None)
            except (ValueError, OverflowError):
                values.append(None)
                if name != "size_bytes":  # a missing size is counted where sizes are checked
                    bad.append((repr(raw), f"{name} cannot be read"))
        columns[name] = pa.array(values, schema.field(name).type)
    return columns, bad


def rows_refused(data: bytes, bad: BadRows) -> Refuse | None:
    """What makes pyarrow leave out rows of another width, noting them in `bad`.

    One of several lines fails the parse: an open quote may have swallowed other rows. None if the
    text is not UTF-8: pyarrow fails, noisily, to hand such a row over; without a refuser such a row
    fails the parse too.
    """

    def refuse(row: pacsv.InvalidRow) -> str:
        if not _LINE_END.search(row.text.encode()):
            bad.append((row.text, _width(row.actual_columns, row.expected_columns)))
            return "skip"
        return "error"

    try:
        data.decode()
    except UnicodeDecodeError:
        return None
    return refuse


def _text_columns(data: bytes, layout: CsvLayout, bad: BadRows) -> dict[str, list[bytes]]:
    refused: BadRows = []
    names = list(layout.columns)
    try:
        table = pacsv.read_csv(
            pa.BufferReader(data),
            read_options=pacsv.ReadOptions(
                use_threads=False, column_names=names, block_size=len(data) + 1
            ),
            parse_options=pacsv.ParseOptions(invalid_row_handler=rows_refused(data, refused)),
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
    """Row by row, for text whose quoting is broken.

    A row of another width with odd quotes may have swallowed others through an open one, so from
    there on the search goes line by line until a row is right.
    """
    columns: dict[str, list[bytes]] = {name: [] for name in layout.output}
    position = {name: layout.columns.index(name) for name in layout.output}
    width = len(layout.columns)
    at = 0
    suspect = False
    while at < len(data):
        if data[at] in b"\r\n":  # an empty line is no row, not even of one column
            at += 1
            continue
        row = read_row(data, at, min(at + _BROKEN_ROW_BYTES_MAX, len(data)))
        if row is not None and len(row.fields) == width:
            for name, index in position.items():
                columns[name].append(row.fields[index])
            at = row.end
            suspect = False
            continue
        suspect = suspect or row is None or row.odd_quotes
        end = row.end if row is not None and not suspect else _line_end(data, at)
        text = data[at:end].decode("utf-8", "backslashreplace").rstrip("\r\n")
        reason = "a quote is open" if row is None else _width(len(row.fields), width)
        bad.append((text, reason))
        at = end
    return columns


def _line_end(data: bytes, start: int) -> int:
    line = _LINE_END.search(data, start)
    return line.end() if line else len(data)


def _width(fields: int, expected: int) -> str:
    return f"{fields} fields instead of {expected}"


def _text(text: str) -> str:
    return text


def _size(text: str) -> int:
    """What the fast parse reads too, so that a size does not depend on its neighbours."""
    text = text.strip()
    if not _SIZE.fullmatch(text):
        raise ValueError(text)
    size_bytes = int(text, 16) if text[1:2] in ("x", "X") else int(text)
    if size_bytes > _INT64_MAX or size_bytes < -_INT64_MAX:
        raise ValueError(text)
    return size_bytes


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
