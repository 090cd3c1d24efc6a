"""Listing by partitions: those in the window whole, the names of all others, nothing else.

A window reaches from `lookback` before the last run to `horizon` after now. Partitions in it are
listed whole. Folders above partitions are listed by name, so a partition that appears late, or far
in the future, is found: at once where the window's own folders show it, else within a sweep that
spends `late_calls` requests per run. A late object in an old, known partition is found by audits.

The cursor holds the known partitions as ranges of numbers: some bytes per chain of partitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import StrategyRefusedError
from stocktake.listing._calendar import DateComponent, index_of, instant_of, span_of
from stocktake.listing._counted_pages import CountedPages
from stocktake.listing._folder_tree import LAST_IN_FOLDER
from stocktake.listing._known_partitions import KnownPartitions
from stocktake.listing._lexical import refuse_unordered
from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._partition_layout import PartitionLayout, detect_layout
from stocktake.listing._strategy import ListingJob
from stocktake.listing._strategy_settings import parse_settings
from stocktake.model import display_key, escape_key, folder_of, unescape_key
from stocktake.store import KeyPage

CURSOR_VERSION = 1
_DETECT_FOLDERS = 20_000
_MANY_NAMES = 900
_COLUMNS_MAX = 200


@dataclass(frozen=True, slots=True)
class _Node:
    """A folder above the partitions: its path, its level, and the dates in its name."""

    path: str = ""
    depth: int = 0
    shape: str = ""
    fields: tuple[tuple[str, int], ...] = ()


class PartitionedRun:
    """One run of `partitioned`; see `StrategyRun`."""

    def __init__(self, job: ListingJob) -> None:
        """Prepare a run.

        Raises:
            StrategyRefusedError: The store lists in an order of its own.
        """
        refuse_unordered(job)
        self._job = job
        self._settings = parse_settings("partitioned", job.settings)
        self._metrics = ListingMetrics()
        self._pages = CountedPages(job.store, job.source, job.clock, self._metrics)
        cursor = job.cursor
        pattern = self._settings["pattern"] or cursor.get("pattern")
        self._layout = PartitionLayout.parse(pattern) if pattern else None
        # under another pattern the numbers mean something else
        self._is_first = not cursor or pattern != cursor.get("pattern")
        self._known = KnownPartitions({} if self._is_first else cursor["known"])
        self._strays = set(map(unescape_key, cursor.get("strays", ())))
        self._columns = set(map(unescape_key, cursor.get("columns", ())))
        self._new_columns: set[str] = set()
        self._sweep_at = unescape_key(cursor.get("sweep", ""))
        self._budget = int(self._settings["late_calls"])
        self._paused = False
        self._names: dict[str, list[str]] = {}
        self._listed: set[str] = set()
        self._last_folder: str | None = None
        self._window = (0, 0)
        self._started: datetime | None = None
        self._ended = False
        self._warnings: list[str] = []

    @property
    def metrics(self) -> ListingMetrics:
        """Figures so far."""
        return self._metrics

    @property
    def warnings(self) -> tuple[str, ...]:
        """Partitions and columns that appeared unexpectedly."""
        return tuple(self._warnings)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Everything in the window's partitions and in partitions not known; see `StrategyRun`.

        Raises:
            StrategyRefusedError: No dates in the folders' names, or too many folders without one.
        """
        clock = self._job.clock
        self._started = clock.now()
        began_s = clock.monotonic_s()
        if self._is_first:
            yield from self._list_first()
        else:
            assert self._layout is not None
            self._window = self._find_window(self._layout)
            yield from self._walk(_Node())
            yield from self._sweep(_Node(), self._sweep_at)
            if not self._paused:
                self._sweep_at = ""
            yield from self._list_strays()
        self._note_columns()
        self._pages.finish(began_s)
        self._ended = True

    def cursor(self) -> dict[str, Any]:
        """The cursor for the next run; see `StrategyRun`."""
        if not self._ended or self._started is None or self._layout is None:
            raise RuntimeError("the cursor is there once batches() has ended")
        return {
            "v": CURSOR_VERSION,
            "at": format_utc(self._started),
            "pattern": self._layout.pattern,
            "known": self._known.to_json(),
            "strays": sorted(map(escape_key, self._strays)),
            "columns": sorted(map(escape_key, self._columns)),
            "sweep": escape_key(self._sweep_at),
        }

    def passed(self) -> list[tuple[str, datetime]]:
        """Per chain, the end of the last partition before the window, and when this run was."""
        if self._layout is None or self._started is None:
            return []
        when = instant_of(self._find_window(self._layout)[0] - 1, self._layout.unit)
        base = self._job.source.key
        return [
            (base + name + LAST_IN_FOLDER, self._started)
            for chain in self._known.below("")
            if (name := self._layout.name_in(chain, when)) is not None
        ]

    def _find_window(self, layout: PartitionLayout) -> tuple[int, int]:
        """First and last partition to list whole, as numbers."""
        assert self._started is not None
        since = self._started
        if not self._is_first:
            # what was written after the last run is new, however long ago that was
            since = min(since, parse_utc(self._job.cursor["at"]))
        first, last = local_window(
            since - timedelta(seconds=self._settings["lookback_s"]),
            self._started + timedelta(seconds=self._settings["horizon_s"]),
            ZoneInfo(self._settings["time_zone"]),
        )
        return index_of(first, layout.unit), index_of(last, layout.unit)

    def _list_first(self) -> Iterator[pa.RecordBatch]:
        """Everything, in one listing; the layout is found out on the way."""
        folders: dict[str, None] = {}
        skip = len(self._job.source.key)
        for page in self._pages.read(self._job.source.key):
            for key in page.rows.column("key").to_pylist():
                folder = folder_of(key)[skip:]
                if folder == self._last_folder:
                    continue
                self._last_folder = folder
                folders[folder] = None
                if len(folders) >= _DETECT_FOLDERS:
                    self._learn(list(folders))
                    folders.clear()
            yield from self._give(page)
        self._learn(list(folders))

    def _learn(self, folders: list[str]) -> None:
        """Remember the partitions that these folders are, or lie in."""
        if self._layout is None:
            inner = [folder for folder in folders if folder]
            self._layout = detect_layout(inner, self._settings["partition_columns"])
            if self._layout is None:
                shown = ", ".join(f"`{display_key(folder)}`" for folder in inner[:3])
                raise StrategyRefusedError(
                    f"partitioned finds no dates in the folders of {self._job.source}"
                    + (f": {shown}" if inner else ", which has no folders"),
                    hint="give the pattern, such as dt=%Y-%m-%d/hour=%H; or use the strategy full",
                    folders=len(inner),
                )
        for folder in folders:
            self._learn_folder(folder)

    def _learn_folder(self, folder: str) -> bool:
        """Take in one folder that was listed whole; whether its partition was not known."""
        assert self._layout is not None
        for name in folder.split("/")[:-1]:
            column, equals, _ = name.partition("=")
            if equals and column not in self._columns and len(self._columns) < _COLUMNS_MAX:
                self._columns.add(column)
                self._new_columns.add(column)
        place = self._layout.place(folder)
        if place is None:
            stray = self._layout.stray_of(folder)
            if stray is not None:
                self._add_stray(stray)
            return False
        fresh = not self._known.has(place.chain, place.index)
        self._known.add(place.chain, place.index)
        return fresh

    def _add_stray(self, path: str) -> None:
        self._strays.add(path)
        if len(self._strays) > self._settings["strays_max"]:
            shown = ", ".join(f"`{display_key(one)}`" for one in sorted(self._strays)[:3])
            raise StrategyRefusedError(
                f"partitioned finds {len(self._strays)} folders without a date below "
                f"{self._job.source}: {shown}",
                hint="give the pattern, raise strays_max, or use the strategy full",
                strays=len(self._strays),
            )

    def _walk(self, node: _Node) -> Iterator[pa.RecordBatch]:
        """List the window's partitions below a folder, and those that are not known."""
        assert self._layout is not None
        component = self._layout.components[node.depth]
        if not component.fields and "*" not in component.template:
            yield from self._enter(node, [component.template])
            return
        after = self._skip_to(node, component)
        names: list[str] = []
        for page in self._name_pages(node, after):
            names += self._names_of(page, node)
            yield from self._give(page)
        if not after:
            self._names[node.path] = names
        yield from self._enter(node, names)

    def _enter(self, node: _Node, names: list[str]) -> Iterator[pa.RecordBatch]:
        for name in names:
            child = self._child(node, name)
            if child is None:
                self._add_stray(f"{node.path}{name}/")
            elif self._in_window(child):
                if child.depth == len(self._layout_of().components):
                    yield from self._list_partition(child.path, late=False)
                else:
                    yield from self._walk(child)
            elif not self._is_known(child):
                yield from self._list_partition(child.path, late=True)

    def _sweep(self, node: _Node, resume: str) -> Iterator[pa.RecordBatch]:
        """Look for partitions not known outside of the window, as far as the budget reaches.

        `resume` is the last folder that an earlier run finished; this one goes on behind it.
        """
        component = self._layout_of().components[node.depth]
        done = resume[len(node.path) :].partition("/")[0] if resume.startswith(node.path) else ""
        if done and resume != f"{node.path}{done}/":
            yield from self._sweep_child(node, done, resume)
            if self._paused:
                return
        if not component.fields and "*" not in component.template:
            if not done:
                yield from self._sweep_child(node, component.template, "")
            return
        for names in self._sweep_names(node, done):
            for name in names:
                yield from self._sweep_child(node, name, "")
                if self._paused:
                    return

    def _sweep_names(self, node: _Node, done: str) -> Iterator[list[str]]:
        """Names below a folder after one that is done, by pages; what was seen is not asked for."""
        if node.path in self._names:
            yield [name for name in self._names[node.path] if name + "/" > done + "/"]
            return
        pages = self._name_pages(node, done + LAST_IN_FOLDER if done else "")
        while True:
            if self._budget <= 0:
                self._paused = True
                return
            page = next(pages)
            self._budget -= 1
            yield self._names_of(page, node)
            if page.next_token is None:
                return

    def _sweep_child(self, node: _Node, name: str, resume: str) -> Iterator[pa.RecordBatch]:
        child = self._child(node, name)
        if child is not None:
            if not self._in_window(child) and not self._is_known(child):
                yield from self._list_partition(child.path, late=True)
            elif child.depth < len(self._layout_of().components):
                yield from self._sweep(child, resume)
                if self._paused:
                    return
        self._sweep_at = f"{node.path}{name}/"

    def _list_strays(self) -> Iterator[pa.RecordBatch]:
        for path in sorted(self._strays):
            yield from self._list_partition(path, late=False)

    def _list_partition(self, path: str, *, late: bool) -> Iterator[pa.RecordBatch]:
        """Everything below a folder, once per run."""
        if path in self._listed:
            return
        self._listed.add(path)
        skip = len(self._job.source.key)
        count = 0
        for page in self._pages.read(self._job.source.key + path):
            for key in page.rows.column("key").to_pylist():
                folder = folder_of(key)[skip:]
                if folder != self._last_folder:
                    self._last_folder = folder
                    self._learn_folder(folder)
            count += page.rows.num_rows
            yield from self._give(page)
        if late and count:
            self._metrics.late += count
            self._warnings.append(
                f"partition `{display_key(path)}` appeared outside of the window ({count} objects)"
            )

    def _child(self, node: _Node, name: str) -> _Node | None:
        """The folder below a node; None if its name is not of the layout."""
        component = self._layout_of().components[node.depth]
        found = component.read(name)
        if found is None:
            return None
        fields = (*node.fields, *found.items())
        if fields and span_of(dict(fields), self._layout_of().unit) is None:
            return None
        shape = f"{node.shape}{component.shape(name)}/"
        return _Node(f"{node.path}{name}/", node.depth + 1, shape, fields)

    def _in_window(self, node: _Node) -> bool:
        span = span_of(dict(node.fields), self._layout_of().unit) if node.fields else None
        return span is None or (span[0] <= self._window[1] and span[1] >= self._window[0])

    def _is_known(self, node: _Node) -> bool:
        span = span_of(dict(node.fields), self._layout_of().unit)
        shape = node.shape
        if node.depth == len(self._layout_of().components):
            shape = shape[:-1]
        return span is not None and self._known.has_below(shape, *span)

    def _skip_to(self, node: _Node, component: DateComponent) -> str:
        """Where the window begins among many names: older ones are left to the sweep."""
        layout = self._layout_of()
        if not component.fields or self._known.count_below(node.shape) < _MANY_NAMES:
            return ""
        when = instant_of(self._window[0] - 1, layout.unit)
        spellings = {
            chain[len(node.shape) :].partition("/")[0] for chain in self._known.below(node.shape)
        }
        parts = [DateComponent.parse(spelling) for spelling in spellings]
        if not all(part.ascends for part in parts):
            return ""
        return min(part.format(when) for part in parts)

    def _name_pages(self, node: _Node, after: str) -> Iterator[KeyPage]:
        base = self._job.source.key + node.path
        return self._pages.read(
            base, start_after=base + after if after else "", delimiter="/", kind="probe"
        )

    def _names_of(self, page: KeyPage, node: _Node) -> list[str]:
        skip = len(self._job.source.key) + len(node.path)
        return [prefix[skip:-1] for prefix in page.prefixes]

    def _layout_of(self) -> PartitionLayout:
        assert self._layout is not None
        return self._layout

    def _give(self, page: KeyPage) -> Iterator[pa.RecordBatch]:
        self._metrics.objects += page.rows.num_rows
        if page.rows.num_rows:
            yield page.rows

    def _note_columns(self) -> None:
        if not self._is_first:
            self._warnings += [
                f"new partition column `{display_key(column)}`"
                for column in sorted(self._new_columns)
            ]


def local_window(since: datetime, until: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The local times (naive) that cover everything between two instants.

    Where clocks are put back an hour has two instants and local time does not ascend; the offsets
    at both ends widen the window to hold whatever lies between.
    """
    offsets = [when.astimezone(zone).utcoffset() or timedelta() for when in (since, until)]
    first, last = since + min(offsets), until + max(offsets)
    return first.replace(tzinfo=None), last.replace(tzinfo=None)
