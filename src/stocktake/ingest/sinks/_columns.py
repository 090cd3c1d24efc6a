"""Tables of many files as one: which columns there are, and whose values do not fit.

A column that nobody has yet is added, always nullable. Values are never changed to make them fit:
integers may widen or become doubles that hold them exactly, a text never becomes a number nor the
other way round. What does not fit is the failure of that one item, not of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from stocktake.errors import SinkError, UnreadableItemError
from stocktake.ingest._sink import Item


@dataclass(frozen=True, slots=True)
class ItemRows:
    """The rows of one object. `item` is None if the rows are the batch's own (lineage only)."""

    item: Item | None
    rows: pa.Table


@dataclass(frozen=True, slots=True)
class Settled:
    """The rows of a batch with one schema, and what had to be left out."""

    rows: pa.Table
    failures: tuple[tuple[Item, UnreadableItemError], ...]


def settle(
    found: Sequence[ItemRows],
    known: pa.Schema | None,
    where: str,
    *,
    fold: Callable[[str], str] = str,
    adapt: Callable[[pa.DataType], pa.DataType] = lambda kind: kind,
) -> Settled:
    """Bring the rows of all items to one schema: the known columns, then new ones.

    Args:
        found: Rows per item, in the order in which they shall stand.
        known: The target's columns; None if the target is made from these rows.
        where: The target, for messages.
        fold: Names that it maps to the same text are the same column to the target.
        adapt: The type in which the target keeps columns of a type; may raise
            `UnreadableItemError`.

    Raises:
        SinkError: The batch's own rows do not fit the target.
    """
    columns = _Columns(known, where, fold, adapt)
    failures: list[tuple[Item, UnreadableItemError]] = []

    def attempt(entry: ItemRows, work: Callable[[], None]) -> None:
        try:
            work()
        except UnreadableItemError as error:
            if entry.item is None:
                raise SinkError(error.message, retryable=False, **error.attrs) from error
            failures.append((entry.item, error))

    plain: list[tuple[ItemRows, pa.Table]] = []
    for entry in found:

        def admit(entry: ItemRows = entry) -> None:
            rows = plain_columns(entry.rows)
            columns.admit(rows.schema)
            plain.append((entry, rows))

        attempt(entry, admit)
    fitted: list[pa.Table] = []
    for entry, rows in plain:
        attempt(entry, lambda rows=rows: fitted.append(columns.fit(rows)))  # type: ignore[misc]
    whole = pa.concat_tables(fitted) if fitted else columns.schema.empty_table()
    return Settled(whole, tuple(failures))


class _Columns:
    """The columns of a target while a batch is fitted to it."""

    def __init__(
        self,
        known: pa.Schema | None,
        where: str,
        fold: Callable[[str], str],
        adapt: Callable[[pa.DataType], pa.DataType],
    ) -> None:
        self._adapt = adapt
        self._fields = {fold(field.name): field for field in known or ()}
        self._fixed = frozenset(self._fields)
        self._where = where
        self._fold = fold

    @property
    def schema(self) -> pa.Schema:
        """All columns so far."""
        return pa.schema(list(self._fields.values()))

    def admit(self, schema: pa.Schema) -> None:
        """Add what is new in `schema`, all of it or, if something cannot be, nothing."""
        grown = dict(self._fields)
        seen: set[str] = set()
        for field in schema:
            name = self._fold(field.name)
            if name in seen:
                raise self._refusal(field.name, "stands twice")
            seen.add(name)
            grown[name] = self._merged(grown.get(name), field)
        self._fields = grown

    def fit(self, rows: pa.Table) -> pa.Table:
        """The rows with exactly these columns."""
        given = {self._fold(name): rows.column(name) for name in rows.column_names}
        fitted = [
            self._fit_column(given.get(name), field, rows.num_rows)
            for name, field in self._fields.items()
        ]
        return pa.Table.from_arrays(fitted, schema=self.schema)

    def _merged(self, old: pa.Field | None, new: pa.Field) -> pa.Field:
        if old is None:
            return pa.field(new.name, self._kept_as(new))
        if self._fold(old.name) in self._fixed:
            if fits(new.type, old.type):
                return old
            raise self._refusal(new.name, f"is {new.type}, and {old.type} in {self._where}")
        kind = _wider(old.type, self._kept_as(new))
        if kind is None:
            raise self._refusal(new.name, f"is {new.type}, and {old.type} in other files")
        return pa.field(old.name, kind)

    def _kept_as(self, field: pa.Field) -> pa.DataType:
        try:
            return self._adapt(field.type)
        except UnreadableItemError as error:
            raise self._refusal(field.name, error.message) from error

    def _fit_column(
        self, column: pa.ChunkedArray | None, field: pa.Field, rows: int
    ) -> pa.ChunkedArray:
        if column is None:
            column = pa.chunked_array([pa.nulls(rows, field.type)], field.type)
        elif column.type != field.type:
            try:
                column = column.cast(field.type, safe=True)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
                raise self._refusal(field.name, f"does not fit {field.type}: {error}") from error
        if not field.nullable and column.null_count:
            raise self._refusal(field.name, f"is required in {self._where}, and missing")
        return column

    def _refusal(self, column: str, why: str) -> UnreadableItemError:
        return UnreadableItemError(f"column `{column}` {why}", column=column, target=self._where)


def _wider(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of both; None if there is none."""
    schemas = [pa.schema([pa.field("", kind)]) for kind in (old, new)]
    try:
        merged = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return None
    return merged if fits(old, merged) and fits(new, merged) else None


def fits(given: pa.DataType, wanted: pa.DataType) -> bool:
    """True if values of one type may be tried as another, without changing what they say."""
    if given == wanted or kinds.is_null(given):
        return True
    if _is_list(given) and _is_list(wanted):
        return fits(given.value_type, wanted.value_type)
    if kinds.is_struct(given) and kinds.is_struct(wanted):
        inner = {field.name: field.type for field in wanted}
        return all(f.name in inner and fits(f.type, inner[f.name]) for f in given)
    if kinds.is_map(given) and kinds.is_map(wanted):
        return fits(given.key_type, wanted.key_type) and fits(given.item_type, wanted.item_type)
    if kinds.is_timestamp(given) and kinds.is_timestamp(wanted):
        return (given.tz is None) == (wanted.tz is None)
    if kinds.is_floating(given) and kinds.is_floating(wanted):
        return bool(given.bit_width <= wanted.bit_width)
    return any(is_a(given) and is_b(wanted) for is_a, is_b in _CASTS)


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(kinds.is_list(kind) or kinds.is_large_list(kind))


_CASTS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], bool]], ...] = (
    (kinds.is_integer, kinds.is_integer),
    (kinds.is_integer, kinds.is_floating),
    (kinds.is_integer, kinds.is_decimal),
    (kinds.is_decimal, kinds.is_decimal),
    (kinds.is_date, kinds.is_date),
    (kinds.is_time, kinds.is_time),
    (_is_text, _is_text),
    (_is_bytes, _is_bytes),
    (kinds.is_fixed_size_binary, _is_bytes),
)


def plain_columns(rows: pa.Table) -> pa.Table:
    """The rows without dictionaries and views, and without columns that are nothing but NULL.

    A column in which no file has a value yet has no type; it appears with its first value.
    """
    names, columns = [], []
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        kind = _plain(column.type)
        if kind is not None:
            names.append(name)
            columns.append(column if kind == column.type else pc.cast(column, kind))
    return pa.Table.from_arrays(columns, names=names)


def _plain(kind: pa.DataType) -> pa.DataType | None:
    """The type to keep a column in; None if it is not known yet."""
    if kinds.is_null(kind):
        return None
    if kinds.is_dictionary(kind):
        return _plain(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    if kinds.is_float16(kind):
        return pa.float32()
    if kind == pa.string_view():
        return pa.string()
    if kind == pa.binary_view():
        return pa.binary()
    if _is_list(kind) or kinds.is_fixed_size_list(kind):
        inner = _plain(kind.value_type)
        return None if inner is None else pa.list_(inner)
    if kinds.is_struct(kind):
        pairs = [(field.name, _plain(field.type)) for field in kind]
        known = [(name, inner) for name, inner in pairs if inner is not None]
        return pa.struct(known) if known else None
    return kind
