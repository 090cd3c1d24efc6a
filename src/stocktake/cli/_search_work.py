"""Work of `find`, `top` and `dupes`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stocktake.catalog import (
    ALL_EVIDENCE,
    Evidence,
    Extreme,
    KeyPattern,
    Origin,
    Page,
    PageRequest,
    Snapshot,
    by_extension,
    by_storage_class,
    find_duplicates,
    search,
    top_objects,
)
from stocktake.cli._output import Column
from stocktake.cli._pages import Pages
from stocktake.cli._run import Run
from stocktake.cli._sources import Place, open_place, show_source
from stocktake.cli._text import count_text, parse_size, size_text, time_text
from stocktake.clock import parse_utc
from stocktake.errors import InvalidQueryError, InvalidSettingError
from stocktake.model import display_key

_OBJECTS = (
    Column("SIZE", right=True),
    Column("MODIFIED (UTC)"),
    Column("KEY", flexible=True),
)
_GROUPS = (Column("SIZE", right=True), Column("OBJECTS", right=True), Column("NAME"))
_COPIES = (
    Column("WASTED", right=True),
    Column("COPIES", right=True),
    Column("EVIDENCE"),
    Column("KEY", flexible=True),
)
_EXTREMES = {"size": Extreme.LARGEST, "oldest": Extreme.OLDEST, "newest": Extreme.NEWEST}
_GROUPINGS = {
    "extension": (by_extension, "extension"),
    "class": (by_storage_class, "storage_class"),
}


@dataclass(frozen=True, slots=True)
class FindRequest:
    """What `find` was asked for. `sizes` and `dates` are (at least, at most) as typed."""

    target: str
    snapshot: str
    name: str | None
    contains: str | None
    ignore_case: bool
    sizes: tuple[str | None, str | None]
    dates: tuple[str | None, str | None]
    storage_class: str | None
    limit: int
    cursor: str | None

    def pattern(self, snapshot: Snapshot) -> KeyPattern:
        """All conditions as one predicate.

        Raises:
            InvalidQueryError: The snapshot lacks a column that a condition is about.
        """
        conditions: list[KeyPattern] = []
        if self.name is not None:
            conditions.append(KeyPattern.glob(self.name, ignore_case=self.ignore_case))
        if self.contains is not None:
            conditions.append(KeyPattern.substring(self.contains, ignore_case=self.ignore_case))
        conditions += [KeyPattern(sql, (value,)) for sql, value in self._bounds(snapshot)]
        return KeyPattern(
            " AND ".join(f"({one.predicate})" for one in conditions) or "true",
            tuple(value for one in conditions for value in one.parameters),
            max((one.literal_prefix for one in conditions), key=len, default=""),
        )

    def _bounds(self, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
        bounds = (
            ("--min-size", "size_bytes >= CAST(? AS BIGINT)", self.sizes[0], _size),
            ("--max-size", "size_bytes <= CAST(? AS BIGINT)", self.sizes[1], _size),
            ("--newer", "last_modified >= CAST(? AS TIMESTAMP)", self.dates[0], _instant),
            ("--older", "last_modified < CAST(? AS TIMESTAMP)", self.dates[1], _instant),
            ("--class", "storage_class = ?", self.storage_class, lambda text, _: text.upper()),
        )
        for option, predicate, text, parse in bounds:
            if text is None:
                continue
            column = predicate.partition(" ")[0]
            if column not in snapshot.manifest.header.columns:
                raise InvalidQueryError(
                    f"the snapshot has no {column}, so {option} cannot be answered",
                    hint="add the field to the inventory configuration",
                    column=column,
                )
            yield predicate, parse(text, option)


@dataclass(frozen=True, slots=True)
class TopRequest:
    """What `top` was asked for."""

    target: str
    snapshot: str
    by: str
    limit: int
    cursor: str | None


@dataclass(frozen=True, slots=True)
class DupesRequest:
    """What `dupes` was asked for."""

    target: str
    snapshot: str
    evidence: str
    min_size: str
    limit: int
    cursor: str | None

    def grades(self) -> tuple[Evidence, ...]:
        """The grades that are at least as sure."""
        try:
            least = Evidence(self.evidence)
        except ValueError:
            names = ", ".join(one.value for one in ALL_EVIDENCE)
            raise InvalidSettingError(
                f"--evidence is `{self.evidence}`", hint=f"it can be {names}"
            ) from None
        return ALL_EVIDENCE[: ALL_EVIDENCE.index(least) + 1]


def show_found(run: Run, request: FindRequest) -> int:
    """Answer `find`."""
    with open_place(run, request.target, request.snapshot) as place:
        pattern = request.pattern(place.snapshot)

        def fetch(page: PageRequest) -> Page:
            return search(place.catalog, place.snapshot, pattern, prefix=place.prefix, page=page)

        pages = Pages(fetch, request.limit, request.cursor)
        return _show(run, place, pages, _OBJECTS, _object_cells)


def show_top(run: Run, request: TopRequest) -> int:
    """Answer `top`."""
    by = request.by
    if by not in _EXTREMES and by not in _GROUPINGS:
        names = ", ".join([*_EXTREMES, *_GROUPINGS])
        raise InvalidSettingError(f"--by is `{by}`", hint=f"it can be {names}")
    with open_place(run, request.target, request.snapshot) as place:
        pages = Pages(_top_query(place, by), request.limit, request.cursor)
        if by in _EXTREMES:
            return _show(run, place, pages, _OBJECTS, _object_cells, by=by)
        name = _GROUPINGS[by][1]
        return _show(run, place, pages, _GROUPS, lambda row: [_group_cells(row, name)], by=by)


def _top_query(place: Place, by: str) -> Callable[[PageRequest], Page]:
    catalog, snapshot, prefix = place.catalog, place.snapshot, place.prefix
    if by in _EXTREMES:
        return lambda page: top_objects(catalog, snapshot, _EXTREMES[by], prefix=prefix, page=page)
    grouped = _GROUPINGS[by][0]
    return lambda page: grouped(catalog, snapshot, prefix, page=page)


def show_duplicates(run: Run, request: DupesRequest) -> int:
    """Answer `dupes`."""
    grades, size_bytes_min = request.grades(), parse_size(request.min_size, "--min-size")
    with open_place(run, request.target, request.snapshot) as place:
        pages = Pages(
            lambda page: find_duplicates(
                place.catalog,
                place.snapshot,
                place.prefix,
                evidence=grades,
                size_bytes_min=size_bytes_min,
                page=page,
            ),
            request.limit,
            request.cursor,
        )
        return _show(run, place, pages, _COPIES, _copy_cells)


def _show(
    run: Run,
    place: Place,
    pages: Pages,
    columns: tuple[Column, ...],
    cells: Callable[[dict[str, Any]], Iterable[tuple[str, ...]]],
    **facts: str,
) -> int:
    if run.out.json:
        origin = Origin.of(place.snapshot).to_dict()
        head = {"source": origin, "prefix": place.prefix, **facts}
        run.out.rows_document(head, pages.rows(), tail=pages.tail)
        return 0
    rows = (line for row in pages.rows() for line in cells(row))
    if not run.out.table(columns, rows):
        run.out.note("nothing found")
    pages.say_more(run.out)
    show_source(run.out, place.snapshot)
    return 0


def _object_cells(row: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    yield size_text(row["size_bytes"]), time_text(row["last_modified"]), display_key(row["key"])


def _group_cells(row: dict[str, Any], name: str) -> tuple[str, ...]:
    label = row[name] or ("(none)" if name == "extension" else "?")
    return size_text(row["size_bytes"]), count_text(row["objects"]), display_key(label)


def _copy_cells(row: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    figures = size_text(row["wasted_bytes"]), count_text(row["copies"]), row["evidence"]
    for index, key in enumerate(row["keys"]):
        yield (*(figures if index == 0 else ("", "", "")), display_key(key))
    if row["copies"] > len(row["keys"]):
        yield "", "", "", f"… {count_text(row['copies'] - len(row['keys']))} more"


def _size(text: str, option: str) -> str:
    return str(parse_size(text, option))


def _instant(text: str, option: str) -> str:
    try:
        instant: datetime = parse_utc(text)
    except ValueError:
        raise InvalidSettingError(
            f"{option} is `{text}`, not a date", hint="write 2026-11-20 or 2026-11-20T01:00"
        ) from None
    return instant.replace(tzinfo=None).isoformat(sep=" ")
