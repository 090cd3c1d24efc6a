"""What a plan is made from: a few probes of the prefix and what earlier runs have shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

import pyarrow.compute as pc

from stocktake.clock import Clock
from stocktake.errors import StoreError, StrategyRefusedError
from stocktake.listing._counted_pages import CountedPages
from stocktake.listing._key_order import OrderVerdict, judge_order
from stocktake.listing._metrics import ListingMetrics
from stocktake.listing._partition_layout import PartitionLayout, detect_layout
from stocktake.listing._range_keys import middle_key
from stocktake.listing._strategy import StrategyName
from stocktake.model import S3Url, folder_of, successor
from stocktake.store import KeyPage, Store, StoreProfile

PROBES_MAX = 12
"""Most requests that gathering evidence makes."""

KEYS_UNKNOWN = 1_000_000
"""What is assumed of a prefix that nobody has counted."""

_DESCENTS = 4
_PLACES = 6


@dataclass(frozen=True, slots=True)
class PastRun:
    """One earlier run over the prefix.

    Attributes:
        strategy: What ran.
        started_at: When.
        metrics: What it did and cost; None if that is not known.
        audit_missed: Of a full scan: strategy -> objects that it had missed.
    """

    strategy: StrategyName
    started_at: datetime
    metrics: ListingMetrics | None = None
    audit_missed: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a prefix without asking the store. Everything may be missing.

    Attributes:
        runs: Earlier runs, in any order.
        keys: Objects of the newest snapshot.
        bytes: Their bytes.
        split_keys: Sorted keys that cut them into about equal pieces.
        event_queue: Events of the bucket arrive in a queue that we may read.
        inventory: Reports of the bucket are delivered.
        profile: What the store was found to do.
    """

    runs: Sequence[PastRun] = ()
    keys: int | None = None
    bytes: int | None = None
    split_keys: tuple[str, ...] = ()
    event_queue: bool = False
    inventory: bool = False
    profile: StoreProfile | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for and against each strategy at one prefix. `plan_strategy` needs no more.

    Attributes:
        source: The prefix.
        calls: Requests that were made to find this out.
        keys: Objects; None if nobody knows. `keys_exact` says whether they were counted.
        keys_exact: See there.
        page_s: Median latency of a page.
        ordered: Listings come in key order and can start after a key.
        order: What keys and their times say about lexical order.
        pattern: How partitions are named; None without dates in the folders.
        chains: Chains of partitions (one per account, region, table ...), in the keys seen.
        partitions: About how many partitions they span; 0 without dates.
        folders: About how many folders hold objects.
        new_per_run: Median of new objects of earlier runs.
        lateness_max_s: The longest that an object was seen to come late (p100).
        missed: Strategy -> objects that audits found it had missed.
        audits: How many full scans have looked after other strategies.
        event_queue: See `History`.
        inventory: See `History`.
        notes: What could not be found out, and why.
    """

    source: S3Url
    calls: int = 0
    keys: int | None = None
    keys_exact: bool = False
    page_s: float | None = None
    ordered: bool = True
    order: OrderVerdict = OrderVerdict(())
    pattern: str | None = None
    chains: int = 1
    partitions: int = 0
    folders: int = 1
    new_per_run: float | None = None
    lateness_max_s: float | None = None
    missed: Mapping[StrategyName, int] = field(default_factory=dict)
    audits: int = 0
    event_queue: bool = False
    inventory: bool = False
    notes: tuple[str, ...] = ()


def gather_evidence(
    store: Store, source: S3Url, clock: Clock, history: History = History()
) -> Evidence:
    """Look at the prefix with at most `PROBES_MAX` requests, and at its history.

    The first page; the names of folders, some levels down; pages from a few places spread over the
    keys. A prefix of one page is known completely then. Holds these pages.

    Raises:
        StoreError: The prefix cannot be listed at all.
    """
    looker = _Looker(store, source, clock)
    ordered = not source.bucket.endswith("--x-s3")
    profile = history.profile
    if profile is not None:
        ordered = ordered and profile.ordered and profile.start_after
    if ordered:
        try:
            looker.look(history.split_keys)
        except StrategyRefusedError as error:
            ordered = False
            looker.notes.append(error.message)
    return looker.evidence(history, ordered=ordered)


class _Looker:
    """Makes the probes and sums up what the pages say."""

    def __init__(self, store: Store, source: S3Url, clock: Clock) -> None:
        self._source = source
        self._metrics = ListingMetrics()
        self._reader = CountedPages(store, source, clock, self._metrics)
        self._clock = clock
        self._pages: list[KeyPage] = []
        self._is_all = False
        self.notes: list[str] = []

    def look(self, split_keys: Sequence[str]) -> None:
        """One page; then folders, then other places, unless the page was all there is."""
        began_s = self._clock.monotonic_s()
        first = next(self._reader.read(self._source.key))
        self._pages.append(first)
        self._is_all = first.next_token is None
        if not self._is_all:
            try:
                for place in self._places(self._folders(), split_keys):
                    if self._metrics.requests >= PROBES_MAX:
                        break
                    page = next(self._reader.read(self._source.key, start_after=place))
                    self._pages.append(page)
            except StrategyRefusedError:
                raise
            except StoreError as error:
                self.notes.append(f"a probe failed: {error.message}")
        self._reader.finish(began_s)

    def _folders(self) -> list[str]:
        """Names of the first level that has several folders: one request per level."""
        at = self._source.key
        for _ in range(_DESCENTS):
            page = next(self._reader.read(at, delimiter="/", kind="probe"))
            if len(page.prefixes) != 1 or page.rows.num_rows:
                return list(page.prefixes)
            at = page.prefixes[0]
        return [at]

    def _places(self, folders: list[str], split_keys: Sequence[str]) -> list[str]:
        """Where to look: spread over what was known, or over the folders, or over the key space."""
        known = list(split_keys) or folders
        if len(known) > 1:
            step = max(1, len(known) // _PLACES)
            return known[step - 1 :: step][:_PLACES]
        places: list[str] = []
        first = self._pages[0].rows  # a page may be empty and not the last
        after: str | None = first.column("key")[-1].as_py() if first.num_rows else self._source.key
        for _ in range(_PLACES):  # each time half of what is left
            after = (
                middle_key(after, successor(self._source.key), self._source.key) if after else None
            )
            if after is None:
                break
            places.append(after)
        return places

    def evidence(self, history: History, *, ordered: bool) -> Evidence:
        """Everything together."""
        keys, times = self._sample()
        skip = len(self._source.key)
        names = [key[skip:] for key in keys]
        folders = list(dict.fromkeys(folder_of(name) for name in names))
        layout = detect_layout([folder for folder in folders if folder])
        counted = sum(page.rows.num_rows for page in self._pages) if self._is_all else history.keys
        chains, partitions = _partitions(layout, folders)
        lateness = [
            run.metrics.lateness_max_s
            for run in history.runs
            if run.metrics is not None and run.metrics.lateness_max_s is not None
        ]
        order = judge_order(names, times)
        if order.lateness_max_s is not None:
            lateness.append(order.lateness_max_s)
        missed, audits = _missed(history.runs)
        return Evidence(
            source=self._source,
            calls=self._metrics.requests,
            keys=counted,
            keys_exact=self._is_all,
            page_s=self._metrics.p50_s or _past_latency(history.runs),
            ordered=ordered,
            order=order,
            pattern=layout.pattern if layout else None,
            chains=chains,
            partitions=partitions,
            folders=max(len(folders), round((counted or KEYS_UNKNOWN) * self._folder_rate())),
            new_per_run=_new_per_run(history.runs),
            lateness_max_s=max(lateness, default=None),
            missed=missed,
            audits=audits,
            event_queue=history.event_queue,
            inventory=history.inventory,
            notes=tuple(self.notes),
        )

    def _folder_rate(self) -> float:
        """Folders per object, of folders that begin and end within a page."""
        whole = rows = 0
        for page in self._pages:
            names = {folder_of(key) for key in page.rows.column("key").to_pylist()}
            whole += max(0, len(names) - 2)
            rows += page.rows.num_rows
        return whole / rows if rows else 0.0

    def _sample(self) -> tuple[list[str], list[datetime | None]]:
        seen: dict[str, datetime | None] = {}
        for page in self._pages:
            times = pc.cast(page.rows.column("last_modified"), "timestamp[us]").to_pylist()
            seen.update(zip(page.rows.column("key").to_pylist(), times, strict=True))
        return list(seen), list(seen.values())


def _partitions(layout: PartitionLayout | None, folders: Sequence[str]) -> tuple[int, int]:
    """Chains of partitions in some folders, and how many partitions they span."""
    spans: dict[str, list[int]] = {}
    for place in map(layout.place, folders) if layout is not None else ():
        if place is not None:
            spans.setdefault(place.chain, []).append(place.index)
    return max(1, len(spans)), sum(max(found) - min(found) + 1 for found in spans.values())


def _missed(runs: Sequence[PastRun]) -> tuple[dict[StrategyName, int], int]:
    missed: dict[StrategyName, int] = {}
    audits = 0
    for run in runs:
        audits += run.strategy in {StrategyName.FULL, StrategyName.INCREMENTAL_TIME}
        for name, count in run.audit_missed.items():
            if count:
                missed[StrategyName(name)] = missed.get(StrategyName(name), 0) + count
    return missed, audits


def _new_per_run(runs: Sequence[PastRun]) -> float | None:
    """Median over runs; the first found everything new and says nothing."""
    ordered = sorted(runs, key=lambda run: run.started_at)[1:]
    counts = [run.metrics.new for run in ordered if run.metrics is not None]
    return float(median(counts)) if counts else None


def _past_latency(runs: Sequence[PastRun]) -> float | None:
    known = [run.metrics.p50_s for run in runs if run.metrics is not None and run.metrics.p50_s]
    return float(median(known)) if known else None
