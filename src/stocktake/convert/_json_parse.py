"""Blocks to record batches: by pyarrow where that is exact, else value by value. Both agree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from stocktake.convert._json_blocks import Block
from stocktake.convert._json_scan import SPACE
from stocktake.convert._json_shape import FORM, JSON_FORM, holds_json, holds_type
from stocktake.convert._json_values import ValueRefusedError, decode, encode
from stocktake.errors import BadDocumentError, ConvertLimitError, StocktakeError, TextEncodingError

_EXPONENTS = re.compile(rb"(?<=[\[:,\s])-?[0-9][0-9.]*[eE][+-]?[0-9]{3,}")
_NUMBER = re.compile(rb"-?[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?")
_Positions = npt.NDArray[np.int64]
_MAY_STAND_BEFORE = np.isin(np.arange(256), list(b"[:, \t\r\n"))
_MINUS, _NEWLINE, _SMALL_E, _CAPITAL_E = b"-\neE"
_SMALL_BYTES = 256 << 10
_MEMORY_BYTES_MAX = 128 << 20
_BLANKS = " \t\r\n"
_LONG = 16
_DIGIT = ord("0")
_AS_DIGITS = bytes(
    _DIGIT if byte in b"0123456789." else byte if byte in b"eE+-" else 32 for byte in range(256)
).translate(bytes.maketrans(b"E", b"e"))
_NOT_FINITE = re.compile(rb"[:,\[]\s*-?(?:NaN|Inf)")
_EXACT_IN_DOUBLE = float(2**53)
CELLS_MAX = 4_000_000
"""Values of one batch, nulls counted: many rows of many columns that are seldom there."""


def leaves(schema: pa.Schema) -> int:
    """Columns that Parquet needs for the schema."""
    return sum(_leaves(field.type) for field in schema) or 1


def _leaves(kind: pa.DataType) -> int:
    if pa.types.is_struct(kind):
        return sum(_leaves(kind.field(index).type) for index in range(kind.num_fields))
    return _leaves(kind.value_type) if pa.types.is_list(kind) else 1


def is_fast(schema: pa.Schema) -> bool:
    """True if pyarrow can be asked at all: no JSON text, no decimals."""
    return not any(
        holds_json(field) or holds_type(field.type, pa.decimal128(38, 0)) for field in schema
    )


def parse_fast(block: Block, schema: pa.Schema) -> pa.RecordBatch | None:
    """The block's objects as pyarrow reads them; None if it cannot, or would not be exact.

    pyarrow refuses by itself: a key twice, a key that the schema does not have, another type than
    the schema's, a fraction for an integer, half of a surrogate pair. It would accept NaN, round
    long numbers and take bytes that are no UTF-8, so none of these may reach it.
    """
    rows = block.objects
    if rows is None or rows * leaves(schema) > CELLS_MAX or not _is_utf8(block.text):
        return None
    has_doubles = any(holds_type(field.type, pa.float64()) for field in schema)
    numbers_are_small = True
    if has_doubles:
        verdict = _numbers(block.text)
        if verdict is None:
            return None
        numbers_are_small = verdict
    text = block.text
    if block.separator == b",":
        text = _as_lines(block)
    try:
        table = pj.read_json(
            pa.BufferReader(text),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(block.text) + 64),
            parse_options=pj.ParseOptions(
                explicit_schema=schema,
                newlines_in_values=True,
                unexpected_field_behavior="error",
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    if table.num_rows != rows or table.schema.names != schema.names:
        return None
    (batch,) = table.combine_chunks().to_batches()
    if not numbers_are_small and not all(_doubles_are_small(column) for column in batch.columns):
        return None
    return batch


def _as_lines(block: Block) -> pa.Buffer:
    text = np.frombuffer(block.text, dtype=np.uint8).copy()
    text[block.structure.separators] = _NEWLINE
    return pa.py_buffer(text)


def _is_utf8(text: bytes) -> bool:
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return False
    return True


def _numbers(text: bytes) -> bool | None:
    """None: a fraction that no double is, or no number. False: a whole number that none is."""
    if (b"NaN" in text or b"Inf" in text) and _NOT_FINITE.search(text):
        return None
    are_small = True
    for token in _long_numbers(text):
        try:
            number = float(token)
        except ValueError:
            return None
        if repr(number).encode() == token:
            continue
        if token.lstrip(b"-").isdigit():
            are_small = False
        elif number in (float("inf"), float("-inf")) or _differ(number, token):
            return None
    return are_small


def _long_numbers(text: bytes) -> Iterator[bytes]:
    """Numbers of so many digits or so large an exponent that a double may not be them."""
    text = b" " + text + b" "  # whatever a number begins with, something stands before it
    digits = text.translate(_AS_DIGITS)
    if b"0" * _LONG in digits:
        is_digit = np.frombuffer(digits, dtype=np.uint8) == _DIGIT
        turns = np.flatnonzero(is_digit[1:] != is_digit[:-1]) + 1
        begins, ends = turns[::2], turns[1::2]
        are_long = ends - begins >= _LONG
        yield from _doubtful(text, begins[are_long], ends[are_long])
    if b"0e" in digits and any(long in digits for long in (b"e000", b"e-000", b"e+000")):
        yield from _EXPONENTS.findall(text)


def _doubtful(text: bytes, begins: _Positions, ends: _Positions) -> Iterator[bytes]:
    """The numbers among these digits that are not the shortest text of a double."""
    codes = np.frombuffer(text, dtype=np.uint8)
    signed = begins - (codes[begins - 1] == _MINUS)
    are_numbers = _MAY_STAND_BEFORE[codes[signed - 1]]
    after = codes[ends]
    with_exponent = (after == _SMALL_E) | (after == _CAPITAL_E)
    for at in signed[are_numbers & with_exponent].tolist():
        if found := _NUMBER.match(text, at):
            yield found.group()
    plain = are_numbers & ~with_exponent
    begins, lengths = begins[plain], (ends - begins)[plain]
    offsets = np.zeros(len(begins) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    gathered = np.repeat(begins - offsets[:-1], lengths) + np.arange(offsets[-1])
    tokens = pa.StringArray.from_buffers(
        len(begins), pa.py_buffer(offsets), pa.py_buffer(codes[gathered])
    )
    try:
        back = pc.cast(pc.cast(tokens, pa.float64()), pa.string())
    except pa.ArrowInvalid:  # two dots in one: a text that looks like a number
        back = pa.nulls(len(tokens), pa.string())
    same = pc.fill_null(pc.equal(tokens, back), fill_value=False)
    for token in tokens.filter(pc.invert(same)).to_pylist():
        yield token.encode()


def _differ(number: float, token: bytes) -> bool:
    try:
        return Decimal(repr(number)) != Decimal(token.decode())
    except ArithmeticError:
        return True


def _doubles_are_small(values: pa.Array) -> bool:
    if pa.types.is_float64(values.type):
        ends = pc.min_max(values).as_py()
        return ends["min"] is None or (
            ends["min"] > -_EXACT_IN_DOUBLE and ends["max"] < _EXACT_IN_DOUBLE
        )
    if pa.types.is_struct(values.type):
        return all(_doubles_are_small(part) for part in values.flatten())
    if pa.types.is_list(values.type):
        return _doubles_are_small(values.flatten())
    return True


def values_of(block: Block) -> Iterator[tuple[int, Any]]:
    """The elements one by one with their row (from 1), exactly as they are.

    Raises:
        BadDocumentError: With row and line.
    """
    block.check_depth()
    values = _all_at_once(block)
    if values is not None:
        yield from enumerate(values, block.row + 1)
        return
    row = block.row
    for at, piece in block.pieces():
        row += 1
        _check_memory(block, at, piece, row)
        try:
            value = decode(piece)
        except (ValueError, RecursionError) as error:
            raise _refusal(block, at, row, error) from error
        yield row, value


def _all_at_once(block: Block) -> list[Any] | None:
    """The values of all elements; None if one of them is none, or there are too many."""
    text = block.text
    if _memory_bytes(text) > _MEMORY_BYTES_MAX // 2:
        return None
    wanted = len(block.structure.separators) + 1
    if block.separator == b"\n":
        if wanted != text.count(b"\n") + 1:  # a line ends inside a value
            return None
        lines = [line for line in text.split(b"\n") if line.strip(SPACE)]
        text, wanted = b",".join(lines), len(lines)
    try:
        values = decode(b"[" + text + b"]")
    except (ValueError, RecursionError):
        return None  # the one that is wrong is found element by element
    return values if len(values) == wanted else None


def _memory_bytes(text: bytes) -> int:
    """What the values of a text may take, generously."""
    objects, lists, values = (text.count(mark) for mark in (b"{", b"[", b","))
    return 2 * len(text) + 250 * objects + 90 * lists + 40 * values


def _check_memory(block: Block, at: int, piece: bytes, row: int) -> None:
    """Refuse a record that is short as text, and fills the memory as values: `[{},{},{},...`."""
    if len(piece) <= _SMALL_BYTES:
        return
    if _memory_bytes(piece) > _MEMORY_BYTES_MAX:
        line = block.place(at)
        raise ConvertLimitError(
            f"row {row}, line {line}: a record of too many values for the memory",
            hint="name where the records are: --records-path",
            row=row,
            line=line,
        )


def values_again(block: Block) -> Iterator[Any]:
    """The elements of a block whose every value was seen before: nothing is refused any more."""
    if _memory_bytes(block.text) <= _MEMORY_BYTES_MAX and _numbers(block.text) is not None:
        text = block.text.decode()
        if block.separator == b"\n":
            text = ",".join(line for line in text.split("\n") if line.strip(_BLANKS))
        yield from json.loads(f"[{text}]")
        return
    for _, value in values_of(block):
        yield value


def _refusal(block: Block, at: int, row: int, error: Exception) -> StocktakeError:
    line = block.place(at)
    where = f"row {row}, line {line}"
    if isinstance(error, RecursionError):
        return ConvertLimitError(f"{where}: nested too deeply", row=row, line=line)
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return TextEncodingError(f"{where}: byte 0x{byte:02x} is no UTF-8", row=row, line=line)
    if isinstance(error, ValueRefusedError):
        return BadDocumentError(f"{where}: {error}", row=row, line=line)
    reason = getattr(error, "msg", str(error))
    inner = getattr(error, "lineno", 1) - 1
    if inner and block.separator == b",":
        lead = piece_lead(block.text[at:])
        line += max(0, inner - lead)
        where = f"row {row}, line {line}"
    return BadDocumentError(f"{where}: {reason}", row=row, line=line)


def piece_lead(text: bytes) -> int:
    """Newlines before the first byte that is no blank."""
    return text[: len(text) - len(text.lstrip(b" \t\r\n"))].count(b"\n")


def batch_of(values: list[Any], schema: pa.Schema, *, is_value: bool) -> pa.RecordBatch:
    """Python values as a batch of this schema.

    Args:
        values: One per row; None is a row of nulls.
        schema: From the shape that has seen all of them.
        is_value: The one column is the value itself, not a member of it.
    """
    columns = []
    for field in schema:
        name = field.name
        if is_value:
            column = values
        else:
            column = [None if value is None else value.get(name) for value in values]
        columns.append(pa.array(_with_text(column, field), field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _with_text(values: list[Any], field: pa.Field) -> list[Any]:
    """The values, with JSON text in place of what this field keeps as text."""
    if field.metadata and field.metadata.get(FORM) == JSON_FORM:
        return [None if value is None else encode(value) for value in values]
    if not holds_json(field):
        return values
    kind = field.type
    if pa.types.is_list(kind):
        inner = kind.value_field
        return [None if value is None else _with_text(value, inner) for value in values]
    members = [kind.field(index) for index in range(kind.num_fields)]
    rows: list[Any] = [None if value is None else {} for value in values]
    for member in members:
        parts = [None if value is None else value.get(member.name) for value in values]
        for row, part in zip(rows, _with_text(parts, member), strict=True):
            if row is not None:
                row[member.name] = part
    return rows
