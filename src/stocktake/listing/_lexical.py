"""Incremental listing by key order: only what follows the end of each ordering domain.

What it costs per run: one request per open folder and per 1,000 keys that are new or within the
lookback. What it sees: keys after the end of their domain; late keys within the lookback; new
folders. What it does not: overwrites and deletions behind the lookback, later keys. Audits do.

The cursor holds, per open folder, at most `2 + MARKS_MAX` keys: about 300 bytes, at most
`domains_max` folders. Folders of past dates are closed and take no space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import StrategyRefusedError
from stocktake.listing._counted_pages import CountedPages
from stocktake.listing._folder_state import FolderListing, FolderState, Lookback
from stocktake.listing._folder_tree import LAST_IN_FOLDER, DomainRule, FolderTree
from stocktake.listing._key_order import judge_order
from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._strategy import ListingJob
from stocktake.listing._strategy_settings import parse_settings
from stocktake.store import KeyPage

CURSOR_VERSION = 1
_WHOLE_PAGE = 1000
_SAMPLE_PAGES = 32


class LexicalRun:
    """One run of `incremental_lexical`; see `StrategyRun`."""

    def __init__(self, job: ListingJob) -> None:
        """Prepare a run.

        Raises:
            StrategyRefusedError: The store lists in an order of its own.
        """
        refuse_unordered(job)
        self._job = job
        self._settings = parse_settings("incremental_lexical", job.settings)
        pattern = self._settings["domain_pattern"]
        self._rule = DomainRule(
            self._settings["domain_depth"], re.compile(pattern) if pattern else None
        )
        self._look = Lookback(
            self._settings["lookback_keys"],
            self._settings["lookback_s"],
            self._settings["settle_s"],
            self._settings["size_min_bytes"],
            self._settings["unfinished_max_s"],
        )
        self._metrics = ListingMetrics()
        self._pages = CountedPages(job.store, job.source, job.clock, self._metrics)
        self._tree = FolderTree.from_json(job.cursor.get("folders", {}))
        self._is_first = not job.cursor
        self._sample = _KeySample()
        self._started: datetime | None = None
        self._ended = False
        self._warnings: list[str] = []

    @property
    def metrics(self) -> ListingMetrics:
        """Figures so far."""
        return self._metrics

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should know about the names that were seen."""
        return tuple(self._warnings)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """New keys and those within the lookback; see `StrategyRun`.

        Raises:
            StrategyRefusedError: The names do not ascend with time, or there are too many domains;
                the message shows two keys, and `force` goes on nevertheless.
        """
        clock = self._job.clock
        self._started = clock.now()
        began_s = clock.monotonic_s()
        if self._is_first:
            yield from self._list_whole("")
        else:
            yield from self._list_open()
        self._judge()
        self._close_idle()
        self._check_size()
        self._pages.finish(began_s)
        self._ended = True

    def cursor(self) -> dict[str, Any]:
        """The cursor for the next run; see `StrategyRun`."""
        if not self._ended or self._started is None:
            raise RuntimeError("the cursor is there once batches() has ended")
        return {
            "v": CURSOR_VERSION,
            "at": format_utc(self._started),
            "folders": self._tree.to_json(),
        }

    def passed(self) -> list[tuple[str, datetime]]:
        """Ends of domains (whole keys), each with the time since which the run has been past it.

        A domain has several: the earlier the time, the smaller the key. A key of a domain was
        passed at the first of them that is not smaller.
        """
        found: list[tuple[str, datetime]] = []
        for path, state in self._tree.folders.items():
            base = self._job.source.key + path
            found += [
                (base + key, datetime.fromtimestamp(at_s, UTC)) for key, at_s in state.marks if key
            ]
            if state.closed:
                news = datetime.fromtimestamp(state.news_s, UTC)
                found.append((base + state.closed + LAST_IN_FOLDER, news))
        return found

    @property
    def _run_s(self) -> float:
        assert self._started is not None
        return self._started.timestamp()

    def _list_open(self) -> Iterator[pa.RecordBatch]:
        """Each open folder from its start, then the folders that are new."""
        fresh: list[str] = []
        for path in sorted(self._tree.folders):
            state = self._tree.folders[path]
            base = self._job.source.key + path
            whole = self._rule.is_whole(path)
            began = self._start_of(path, state)
            seen = FolderListing(
                state,
                began=began,
                run_s=self._run_s,
                look=self._look,
                last_run_s=parse_utc(self._job.cursor["at"]).timestamp(),
            )
            for page in self._pages.read(
                base, start_after=base + began if began else "", delimiter="" if whole else "/"
            ):
                for key, size_bytes, modified_s in _rows(page, len(base)):
                    seen.see(key, size_bytes, modified_s)
                fresh += self._fresh_children(page)
                yield from self._give(page)
            self._tree.folders[path] = seen.finish()
            self._count(seen)
        for path in fresh:
            yield from self._list_whole(path)

    def _start_of(self, path: str, state: FolderState) -> str:
        """Where to begin: folders among few keys are looked for from the front.

        New ones may sort anywhere; among many keys only behind the cursor.
        """
        if self._rule.is_whole(path) or state.direct > _WHOLE_PAGE:
            return state.start
        if state.direct == 0 and state.closed:
            return state.closed + LAST_IN_FOLDER
        return "" if not path or self._tree.children(path) or state.closed else state.start

    def _fresh_children(self, page: KeyPage) -> list[str]:
        skip = len(self._job.source.key)
        paths = [prefix[skip:] for prefix in page.prefixes]
        known = self._tree.folders
        return [path for path in paths if path not in known and not self._tree.is_closed(path)]

    def _list_whole(self, path: str) -> Iterator[pa.RecordBatch]:
        """Everything below a new folder, in one listing, and the domains in it."""
        skip = len(self._job.source.key)
        open_listings: dict[str, FolderListing] = {}
        self._tree.add(path)
        for page in self._pages.read(self._job.source.key + path):
            for key, size_bytes, modified_s in _rows(page, skip):
                domain = self._rule.domain_of(key)
                seen = open_listings.get(domain)
                if seen is None:
                    self._settle(open_listings, key)
                    seen = FolderListing(None, began="", run_s=self._run_s, look=self._look)
                    open_listings[domain] = seen
                seen.see(key[len(domain) :], size_bytes, modified_s)
                self._metrics.new += not self._is_first
            yield from self._give(page)
        self._settle(open_listings, None)

    def _settle(self, listings: dict[str, FolderListing], key: str | None) -> None:
        """Turn the domains that a listing has left behind into states; close what is idle."""
        for path in [path for path in listings if key is None or not key.startswith(path)]:
            self._tree.put(path, listings.pop(path).finish())
            above = path
            while above:
                above = above[: above.rfind("/", 0, len(above) - 1) + 1]
                self._tree.close_idle(above, self._idle_before_s)

    @property
    def _idle_before_s(self) -> float:
        names = ("close_after_s", "lookback_s", "settle_s", "unfinished_max_s")
        return self._run_s - max(float(self._settings[name]) for name in names)

    def _close_idle(self) -> None:
        for path in sorted(self._tree.folders, reverse=True):
            if path in self._tree.folders:
                self._tree.close_idle(path, self._idle_before_s)

    def _give(self, page: KeyPage) -> Iterator[pa.RecordBatch]:
        self._sample.take(page)
        self._metrics.objects += page.rows.num_rows
        if page.rows.num_rows:
            yield page.rows

    def _count(self, seen: FolderListing) -> None:
        metrics = self._metrics
        metrics.new += seen.new
        metrics.late += seen.late
        if seen.late:
            metrics.lateness_max_s = max(metrics.lateness_max_s or 0.0, seen.lateness_max_s)

    def _judge(self) -> None:
        """Refuse names that do not ascend; lateness counts only where all keys were seen."""
        skip = len(self._job.source.key)
        keys, times = self._sample.rows()
        verdict = judge_order(
            [key[skip:] for key in keys],
            times if self._is_first else None,
            domain_of=self._rule.domain_of,
            lookback_s=self._look.time_s,
        )
        self._warnings += verdict.warnings
        if verdict.ascends:
            return
        if self._settings["force"]:
            self._warnings += [f"forced, although {reason}" for reason in verdict.reasons]
            return
        raise StrategyRefusedError(
            f"incremental_lexical would miss objects of {self._job.source}: {verdict.reasons[0]}",
            hint="use full, partitioned or event_driven; the setting force=true goes on anyway",
            reasons="; ".join(verdict.reasons),
        )

    def _check_size(self) -> None:
        count, most = len(self._tree.folders), self._settings["domains_max"]
        if count > most:
            raise StrategyRefusedError(
                f"incremental_lexical would keep {count} ordering domains of {self._job.source}, "
                f"more than {most}",
                hint="set domain_depth if the folders themselves ascend with time (0: one domain), "
                "raise domains_max, or use the strategy full",
                folders=count,
            )


def refuse_unordered(job: ListingJob) -> None:
    """Stop a strategy that needs key order where there is none.

    Raises:
        StrategyRefusedError: A directory bucket, or a store that was found to list unordered.
    """
    why = None
    if job.source.bucket.endswith("--x-s3"):
        why = "it is a directory bucket, which lists in no order and cannot start after a key"
    elif job.profile is not None and not job.profile.ordered:
        why = "this store does not list in the order of keys"
    elif job.profile is not None and not job.profile.start_after:
        why = "this store cannot start a listing after a key"
    if why is not None:
        raise StrategyRefusedError(
            f"cannot list {job.source} by key order: {why}",
            hint="use the strategy full, or event_driven",
            bucket=job.source.bucket,
        )


class _KeySample:
    """Some pages of a listing, spread over all of it: whole pages, because order is local."""

    def __init__(self) -> None:
        self._pages: list[pa.RecordBatch] = []
        self._seen = 0
        self._every = 1

    def take(self, page: KeyPage) -> None:
        if page.rows.num_rows and self._seen % self._every == 0:
            self._pages.append(page.rows.select(["key", "last_modified"]))
            if len(self._pages) > _SAMPLE_PAGES:
                self._pages = self._pages[::2]
                self._every *= 2
        self._seen += page.rows.num_rows > 0

    def rows(self) -> tuple[list[str], list[datetime | None]]:
        keys: list[str] = []
        times: list[datetime | None] = []
        for page in self._pages:
            keys += page.column(0).to_pylist()
            times += page.column(1).to_pylist()
        return keys, times


def _rows(page: KeyPage, skip: int) -> Iterator[tuple[str, int, float]]:
    """Key without its first `skip` characters, size, seconds since 1970."""
    rows = page.rows
    keys = rows.column("key").to_pylist()
    sizes = pc.fill_null(rows.column("size_bytes"), 0).to_pylist()
    stamps = pc.fill_null(rows.column("last_modified").cast(pa.int64()), 0).to_pylist()
    for key, size_bytes, stamp in zip(keys, sizes, stamps, strict=True):
        yield key[skip:], size_bytes, stamp / 1000
