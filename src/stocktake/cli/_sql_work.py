"""Work of `sql`."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from stocktake.catalog import (
    Catalog,
    QueryLimits,
    Snapshot,
    SqlResult,
    find_snapshot,
    run_sql,
    use_snapshot,
)
from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._sources import show_source
from stocktake.cli._text import count_text
from stocktake.errors import AmbiguousSnapshotError, InvalidQueryError, SnapshotNotFoundError
from stocktake.model import display_key


@dataclass(frozen=True, slots=True)
class SqlRequest:
    """What `sql` was asked for."""

    statement: str
    source: str | None
    snapshot: str
    limit: int
    timeout_s: float

    def text(self) -> str:
        """The statement; `-` reads it from standard input."""
        return sys.stdin.read() if self.statement == "-" else self.statement


def ask(run: Run, request: SqlRequest) -> int:
    """Answer `sql`."""
    statement = request.text()
    limits = QueryLimits(
        rows_max=request.limit, timeout_s=request.timeout_s, memory_mb=run.settings.memory_mb
    )
    with ExitStack() as stack:
        catalog = stack.enter_context(run.open_catalog())
        snapshot, why_none = _snapshot(catalog, request)
        if snapshot is not None:
            stack.enter_context(use_snapshot(catalog, snapshot))
        try:
            result = run_sql(catalog, statement, snapshot=snapshot, limits=limits)
        except InvalidQueryError:
            if why_none is not None:  # it asked for a view that needs to know which snapshot
                raise why_none from None
            raise
    rows = result.rows.rename_columns(_distinct(result.columns))
    if run.out.json:
        _answer(run, result, rows)
        return 0
    columns = [_column(field) for field in rows.schema]
    if not run.out.table(columns, (_cells(row) for row in rows.to_pylist())):
        run.out.note("no rows")
    if result.truncated:
        run.out.note(f"the first {count_text(rows.num_rows)} rows; --limit shows more")
    if snapshot is not None:
        show_source(run.out, snapshot)
    return 0


def _snapshot(
    catalog: Catalog, request: SqlRequest
) -> tuple[Snapshot | None, AmbiguousSnapshotError | SnapshotNotFoundError | None]:
    """The snapshot that the views show; or none and the reason, which may not matter."""
    try:
        return find_snapshot(catalog, request.snapshot, source=request.source), None
    except (AmbiguousSnapshotError, SnapshotNotFoundError) as error:
        if request.source is not None or request.snapshot != "latest":
            raise
        return None, error


def _answer(run: Run, result: SqlResult, rows: pa.Table) -> None:
    head = {
        "source": result.origin.to_dict() if result.origin else None,
        "columns": [{"name": field.name, "type": str(field.type)} for field in rows.schema],
        "truncated": result.truncated,
    }
    run.out.rows_document(head, rows.to_pylist())


def _distinct(names: tuple[str, ...]) -> list[str]:
    """The names with a number after repeated ones: `a, a` becomes `a, a_2`."""
    seen: Counter[str] = Counter()
    distinct: list[str] = []
    for name in names:
        seen[name] += 1
        candidate = name if seen[name] == 1 else f"{name}_{seen[name]}"
        while candidate in distinct:
            seen[name] += 1
            candidate = f"{name}_{seen[name]}"
        distinct.append(candidate)
    return distinct


def _column(field: pa.Field) -> Column:
    kind = field.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    text = pa.types.is_string(kind) or pa.types.is_nested(kind)
    return Column(display_key(field.name), right=number, flexible=text)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(_cell(value) for value in row.values())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
    return display_key(str(value))
