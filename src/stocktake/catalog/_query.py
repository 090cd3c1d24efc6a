"""What every query shares: where an answer comes from, pages, and how pages follow each other.

A page continues from the values of its last row, not from a count of rows before it, so page
10,000 costs what page 1 costs.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._snapshots import Snapshot
from stocktake.catalog.engines._protocol import QueryLimits
from stocktake.clock import format_utc
from stocktake.errors import InvalidQueryError

PAGE_ROWS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an answer comes from and how old it is.

    Attributes:
        source: `bucket/config-id`.
        kind: What produced the snapshot (`SourceKind`).
        as_of: The instant the answer speaks of.
        snapshot_id: The snapshot.
        prefix: Only keys below it were looked at; None if the source does not say.
    """

    source: str
    kind: str
    as_of: datetime
    snapshot_id: str
    prefix: str | None

    @classmethod
    def of(cls, snapshot: Snapshot) -> Origin:
        """The origin of answers about a snapshot."""
        return cls(
            snapshot.source_name,
            snapshot.kind,
            snapshot.as_of,
            snapshot.id,
            snapshot.coverage.prefix,
        )

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "source": self.source,
            "kind": self.kind,
            "as_of": format_utc(self.as_of),
            "snapshot_id": self.snapshot_id,
            "prefix": self.prefix,
        }


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page: at most `rows_max` rows, after the page that gave `cursor`."""

    rows_max: int = 100
    cursor: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.rows_max <= PAGE_ROWS_MAX:
            raise InvalidQueryError(
                f"a page has 1 to {PAGE_ROWS_MAX} rows, not {self.rows_max}",
                rows_max=self.rows_max,
            )


@dataclass(frozen=True, slots=True)
class Page:
    """An answer: rows, and where it comes from. `next_cursor` None: this was the last page.

    `attrs` holds what belongs to the whole answer (the folder's own figures, for example).
    """

    rows: pa.Table
    origin: Origin
    next_cursor: str | None = None
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SortKey:
    """A column of the answer to sort by. NULL comes last in both directions."""

    column: str
    descending: bool = False
    nullable: bool = False


class Keyset:
    """The order of an answer, and the place in it where a page begins.

    The last sort keys must make every row's place unique. `question` is everything else that the
    answer depends on: a cursor of another question is refused.
    """

    def __init__(self, keys: Sequence[SortKey], *question: object) -> None:
        self.keys = tuple(keys)
        described = repr((question, [(k.column, k.descending) for k in self.keys]))
        self._mark = hashlib.sha256(described.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    @property
    def order_by(self) -> str:
        """The ORDER BY list."""
        return ", ".join(
            f"{k.column} {'DESC' if k.descending else 'ASC'} NULLS LAST" for k in self.keys
        )

    def after(self, cursor: str | None) -> tuple[str, list[Any]]:
        """The predicate of rows after the cursor, and its parameters.

        Raises:
            InvalidQueryError: The cursor is not one, or belongs to another question.
        """
        if cursor is None:
            return "true", []
        values = self.values_of(cursor)
        alternatives: list[str] = []
        parameters: list[Any] = []
        for place, key in enumerate(self.keys):
            value = values[place]
            if value is None:  # NULLs are last: nothing of this column comes after one
                continue
            same = [f"{k.column} IS NOT DISTINCT FROM ?" for k in self.keys[:place]]
            beyond = f"{key.column} {'<' if key.descending else '>'} ?"
            if key.nullable:
                beyond = f"({beyond} OR {key.column} IS NULL)"
            alternatives.append(f"({' AND '.join([*same, beyond])})")
            parameters += [*values[:place], value]
        return f"({' OR '.join(alternatives)})", parameters

    def cursor_after(self, row: dict[str, Any]) -> str:
        """The cursor that continues after a row."""
        values = [_packed(row[key.column]) for key in self.keys]
        raw = json.dumps([self._mark, *values], ensure_ascii=True, separators=(",", ":"))
        return base64.urlsafe_b64encode(raw.encode()).decode("ascii").rstrip("=")

    def values_of(self, cursor: str) -> list[Any]:
        """The sort values a cursor was made of."""
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            mark, *values = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
            unpacked = [_unpacked(value) for value in values]
        except (ValueError, TypeError) as error:
            raise InvalidQueryError("the cursor is not one that a page gave") from error
        if mark != self._mark or len(unpacked) != len(self.keys):
            raise InvalidQueryError(
                "the cursor belongs to another question",
                hint="keep snapshot, prefix, sort order and filters the same from page to page",
            )
        return unpacked


def fetch(
    catalog: Catalog,
    statement: str,
    parameters: Sequence[Any],
    *,
    limits: QueryLimits = QueryLimits(rows_max=PAGE_ROWS_MAX + 1),
) -> pa.Table:
    """The whole result of one of the catalog's own statements."""
    return catalog.engine.query(statement, parameters, limits).read_all()


def page_of(
    table: pa.Table,
    keyset: Keyset,
    request: PageRequest,
    origin: Origin,
    attrs: dict[str, Any] | None = None,
) -> Page:
    """The page of a result that was asked for with one row more than the page has."""
    rows = table.slice(0, request.rows_max)
    following = None
    if table.num_rows > request.rows_max:
        following = keyset.cursor_after(rows.slice(rows.num_rows - 1).to_pylist()[0])
    return Page(rows, origin, following, attrs or {})


def _packed(value: Any) -> Any:
    return {"at": value.isoformat()} if isinstance(value, datetime) else value


def _unpacked(value: Any) -> Any:
    return datetime.fromisoformat(value["at"]) if isinstance(value, dict) else value
