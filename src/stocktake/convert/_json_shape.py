"""What the values of a JSON field have been so far, and the one type that holds them all.

A shape only grows. Its type follows from everything seen, not from the order it was seen in, nor
from the blocks it came in; a type is widened until it keeps every value, at the end to JSON text.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

FORM = b"stocktake.form"
"""Field metadata; `json` says that the text of this field is JSON."""
JSON_FORM = b"json"
MAP_KEYS_MAX = 256
"""An object below the top with more keys than this is a map, not a struct."""

_INT64 = (-(2**63), 2**63 - 1)
_UINT64_MAX = 2**64 - 1
_DECIMAL_MAX = 10**38 - 1
_EXACT_IN_DOUBLE = 2**53
_ARTICLES = {"boolean": "a", "number": "a", "string": "a", "list": "a", "object": "an"}
_KINDS = {
    bool: "boolean",
    int: "number",
    float: "number",
    Decimal: "number",
    str: "string",
    list: "list",
    dict: "object",
}


class Shape:
    """One place in the documents: a column, a member of an object, the items of a list."""

    __slots__ = ("fields", "fields_max", "first", "item", "levels_left", "range", "text_because")

    def __init__(self, levels_left: int, fields_max: int = MAP_KEYS_MAX) -> None:
        self.first: dict[str, int] = {}
        """Row of the first value of each kind; also of `fraction` and `inexact` numbers."""
        self.range: tuple[int, int] | None = None
        self.fields: dict[str, Shape] = {}
        self.fields_max = fields_max
        self.item: Shape | None = None
        self.levels_left = levels_left
        self.text_because: str | None = None

    def observe(self, value: Any, row: int) -> None:
        """Take one value, of this row (from 1)."""
        if value is None:
            return
        kind = type(value)
        name = _KINDS[kind]
        if name not in self.first:
            self.first[name] = row
        if kind is dict:
            self._observe_object(value, row)
        elif kind is list:
            self._observe_list(value, row)
        elif kind is int:
            low, high = self.range or (value, value)
            self.range = (min(low, value), max(high, value))
        elif kind is float:
            self.first.setdefault("fraction", row)
        elif kind is Decimal:
            self.first.setdefault("inexact", row)

    def _observe_object(self, value: dict[str, Any], row: int) -> None:
        if self.text_because is not None:
            return
        if self.levels_left <= 0 and value:
            self.collapse(f"nested too deeply for columns in row {row}")
            return
        fields = self.fields
        for key, member in value.items():
            shape = fields.get(key)
            if shape is None:
                shape = fields[key] = Shape(self.levels_left - 1)
            shape.observe(member, row)
        if len(fields) > self.fields_max:
            self.collapse(f"more than {self.fields_max:,} different keys by row {row}")

    def _observe_list(self, value: list[Any], row: int) -> None:
        if self.text_because is not None:
            return
        if self.levels_left <= 0 and value:
            self.collapse(f"nested too deeply for columns in row {row}")
            return
        if self.item is None:
            self.item = Shape(self.levels_left - 1)
        for item in value:
            self.item.observe(item, row)

    def collapse(self, because: str) -> None:
        """Keep what is here as text from now on."""
        self.text_because = because
        self.fields = {}
        self.item = None

    def absorb(self, values: pa.Array) -> None:
        """Take an array of this shape's own type, as the fast parser gives it."""
        if pa.types.is_integer(values.type):
            ends = pc.min_max(values)
            if ends["min"].is_valid:
                low, high = self.range or (ends["min"].as_py(), ends["max"].as_py())
                self.range = (min(low, ends["min"].as_py()), max(high, ends["max"].as_py()))
        elif pa.types.is_struct(values.type):
            for name, shape in self.fields.items():
                shape.absorb(values.field(name))
        elif pa.types.is_list(values.type) and self.item is not None:
            self.item.absorb(values.values)

    def fits(self, values: pa.Array) -> bool:
        """False if a value stands where only nulls were seen so far: its type is not known yet."""
        if not self.first:
            return bool(values.null_count == len(values))
        if pa.types.is_struct(values.type):
            return all(shape.fits(values.field(name)) for name, shape in self.fields.items())
        if pa.types.is_list(values.type) and self.item is not None:
            return self.item.fits(values.values)
        return True

    def kinds(self) -> set[str]:
        """Kinds of values seen, nulls not counted."""
        return set(self.first) & set(_KINDS.values())

    def leaves(self) -> int:
        """Columns that Parquet needs for it."""
        if self.item is not None:
            return self.item.leaves()
        return sum(shape.leaves() for shape in self.fields.values()) or 1

    def type_and_reason(self) -> tuple[pa.DataType | None, str]:
        """The type, None for JSON text, and for people why it is this one."""
        kinds = self.kinds()
        if not kinds:
            return pa.string(), "only nulls"
        if len(kinds) > 1:
            rows = sorted((self.first[kind], kind) for kind in kinds)
            return None, "; ".join(
                f"row {row} holds {_ARTICLES[kind]} {kind}" for row, kind in rows
            )
        (kind,) = kinds
        if self.text_because is not None:
            return None, self.text_because
        if kind == "boolean":
            return pa.bool_(), "true and false only"
        if kind == "string":
            return pa.string(), "strings stay strings"
        if kind == "number":
            return self._number()
        if kind == "list":
            return pa.list_(self._item().to_field("item")), "lists of one type"
        if not self.fields:
            return None, "objects without any key"
        members = [shape.to_field(name) for name, shape in self.fields.items()]
        return pa.struct(members), "objects of one shape"

    def to_field(self, name: str) -> pa.Field:
        """The Arrow field; JSON text is marked in its metadata."""
        kind, _ = self.type_and_reason()
        if kind is None:
            return pa.field(name, pa.string(), metadata={FORM: JSON_FORM})
        return pa.field(name, kind)

    def _item(self) -> Shape:
        return self.item or Shape(0)

    def _number(self) -> tuple[pa.DataType | None, str]:
        low, high = self.range or (0, 0)
        if "inexact" in self.first:
            return None, f"no double is the number in row {self.first['inexact']}"
        if "fraction" in self.first:
            row = self.first["fraction"]
            if low < -_EXACT_IN_DOUBLE or high > _EXACT_IN_DOUBLE:
                return None, f"row {row} has a fraction, and no double holds all of {low} to {high}"
            return pa.float64(), f"row {row} has a fraction or an exponent"
        span = f"whole numbers from {low} to {high}"
        if low >= _INT64[0] and high <= _INT64[1]:
            return pa.int64(), span
        if low >= 0 and high <= _UINT64_MAX:
            return pa.uint64(), span
        if low >= -_DECIMAL_MAX and high <= _DECIMAL_MAX:
            return pa.decimal128(38, 0), span
        return None, "whole numbers of more than 38 digits"


def holds_json(field: pa.Field) -> bool:
    """True if this field, or one in it, is JSON text."""
    if field.metadata and field.metadata.get(FORM) == JSON_FORM:
        return True
    kind = field.type
    if pa.types.is_struct(kind):
        return any(holds_json(kind.field(index)) for index in range(kind.num_fields))
    if pa.types.is_list(kind):
        return holds_json(kind.value_field)
    return False


def holds_type(kind: pa.DataType, wanted: pa.DataType) -> bool:
    """True if the type is this one, or has it somewhere inside."""
    if pa.types.is_struct(kind):
        return any(holds_type(kind.field(index).type, wanted) for index in range(kind.num_fields))
    if pa.types.is_list(kind):
        return holds_type(kind.value_type, wanted)
    return bool(kind.equals(wanted))
