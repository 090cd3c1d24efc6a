"""The figures of discovery and ingestion that are worth watching, as data (STR-10).

Names that other programs use for the same come first. What listings did is added up over the runs
that are kept; everything else is the state of now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from stocktake.catalog import Catalog, Feed, ListingRun, list_feeds
from stocktake.events import QueuePulse, count_quarantined, held_buckets
from stocktake.ingest._ingestion import open_ingestion
from stocktake.ingest._registry import list_ingestions
from stocktake.ingest._status import IngestionStatus
from stocktake.listing import StrategyName
from stocktake.model import display_key

PREFIX = "stocktake_"
_RUNS_MAX = 1_000_000
_PLACE = ("bucket", "prefix")
_RUN = (*_PLACE, "strategy")
_CONSUMER = ("ingestion",)


class FigureKind(StrEnum):
    """How a figure moves."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its name without `stocktake_`, how it moves, what it means, its labels."""

    name: str
    kind: FigureKind
    help: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a figure."""

    name: str
    labels: Mapping[str, str]
    value: float


_COUNTER, _GAUGE = FigureKind.COUNTER, FigureKind.GAUGE

FIGURES: tuple[Figure, ...] = (
    Figure(
        "list_requests_total",
        _COUNTER,
        "Requests of listings, by kind: page, probe, empty, versions, uploads, head, receive",
        (*_RUN, "kind"),
    ),
    Figure("throttles_total", _COUNTER, "Answers that asked to slow down", _RUN),
    Figure("objects_seen_total", _COUNTER, "Objects that listings saw", _RUN),
    Figure("objects_new_total", _COUNTER, "Of these, not known before", _RUN),
    Figure("objects_changed_total", _COUNTER, "Known with other content", _RUN),
    Figure("objects_deleted_total", _COUNTER, "Known before and gone", _RUN),
    Figure("late_objects_total", _COUNTER, "Found after a partial strategy had passed them", _RUN),
    Figure("audit_missed_total", _COUNTER, "Objects that audits found a strategy had missed", _RUN),
    Figure("listing_runs_total", _COUNTER, "Runs, by how they ended", (*_RUN, "state")),
    Figure("listing_seconds", _GAUGE, "How long the last finished run took", _RUN),
    Figure("list_efficiency", _GAUGE, "Keys per request of the last run, 1 is 1,000", _RUN),
    Figure("list_p50_seconds", _GAUGE, "Median latency of a request of the last run", _RUN),
    Figure("list_p99_seconds", _GAUGE, "99th percentile of it", _RUN),
    Figure("diff_seconds", _GAUGE, "How long the last comparison with what was known took", _RUN),
    Figure(
        "discovery_watermark_timestamp_seconds",
        _GAUGE,
        "Everything that existed then and still does is discovered; moved by full scans only",
        _PLACE,
    ),
    Figure(
        "discovery_fresh_timestamp_seconds",
        _GAUGE,
        "The newest instant that anything discovered speaks of",
        _PLACE,
    ),
    Figure("discovery_lag_seconds", _GAUGE, "How long ago that was", _PLACE),
    Figure("event_gap_seconds", _GAUGE, "How long the event queue has been silent", _PLACE),
    Figure("events_held", _GAUGE, "Events that wait for a discovery of their prefix", ("bucket",)),
    Figure("events_undecodable", _GAUGE, "Messages in quarantine", ()),
    Figure("files_outstanding", _GAUGE, "Objects to be loaded", _CONSUMER),
    Figure("bytes_outstanding", _GAUGE, "Their bytes", _CONSUMER),
    Figure("approximate_queue_size", _GAUGE, "The same as files_outstanding", _CONSUMER),
    Figure(
        "oldest_unprocessed_age_seconds",
        _GAUGE,
        "How long ago the first of them was discovered",
        _CONSUMER,
    ),
    Figure("files_loaded_total", _COUNTER, "Objects loaded", _CONSUMER),
    Figure("bytes_loaded_total", _COUNTER, "Their bytes", _CONSUMER),
    Figure("batches_total", _COUNTER, "Batches committed", _CONSUMER),
    Figure("claims", _GAUGE, "Batches that are not finished", _CONSUMER),
    Figure("claims_abandoned", _GAUGE, "Of these, without a worker", _CONSUMER),
    Figure("retry_items", _GAUGE, "Objects that wait for another attempt", _CONSUMER),
    Figure("dead_items", _GAUGE, "Objects that failed for the last time", _CONSUMER),
    Figure("superseded_items", _GAUGE, "Objects replaced before they were read", _CONSUMER),
    Figure("vanished_items", _GAUGE, "Objects gone before they were read", _CONSUMER),
    Figure("state_bytes", _GAUGE, "What an ingestion remembers", _CONSUMER),
)
"""Every figure there is."""


def figures(catalog: Catalog) -> list[Sample]:
    """Every figure of every feed and ingestion of a catalog, in the order of `FIGURES`.

    Reads what is outstanding of each ingestion, up to 200,000 changes each. A figure that is not
    known (no finished run, no claim) has no sample.
    """
    now = catalog.clock.now()
    found = [sample for feed in list_feeds(catalog) for sample in _of_feed(feed, now)]
    for row in list_ingestions(catalog):
        found += _of_ingestion(open_ingestion(catalog, None, row.spec.name).status())
    for held in held_buckets(catalog.state):
        found.append(Sample("events_held", {"bucket": held.bucket}, held.events))
    found.append(Sample("events_undecodable", {}, count_quarantined(catalog.state)))
    order = {figure.name: number for number, figure in enumerate(FIGURES)}
    return sorted(found, key=lambda sample: order[sample.name])


@dataclass(slots=True)
class _Totals:
    """What all runs of one strategy came to, and its newest finished run."""

    counts: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    last: ListingRun | None = None

    def add(self, run: ListingRun) -> None:
        self.states[run.state] += 1
        metrics = run.metrics
        if metrics is None or run.state == "reused":
            return
        self.requests.update(metrics.calls)
        for name in ("objects", "new", "changed", "deleted", "late", "throttles"):
            self.counts[name] += getattr(metrics, name)
        if run.state == "finished" and self.last is None:  # runs come newest first
            self.last = run


def _of_feed(feed: Feed, now: datetime) -> Iterator[Sample]:
    place = {"bucket": feed.bucket, "prefix": display_key(feed.prefix)}
    totals: dict[str, _Totals] = {}
    missed: Counter[str] = Counter()
    for run in feed.runs(_RUNS_MAX):
        totals.setdefault(run.strategy, _Totals()).add(run)
        missed.update(run.audit_missed)
    for strategy, total in totals.items():
        yield from _of_runs({**place, "strategy": strategy}, total)
    for strategy, count in missed.items():
        yield Sample("audit_missed_total", {**place, "strategy": strategy}, count)
    yield from _of_claim(feed, place, now)


def _of_runs(labels: Mapping[str, str], total: _Totals) -> Iterator[Sample]:
    for kind, count in total.requests.items():
        yield Sample("list_requests_total", {**labels, "kind": kind}, count)
    for state, count in total.states.items():
        yield Sample("listing_runs_total", {**labels, "state": state}, count)
    for name, count in (
        ("throttles_total", total.counts["throttles"]),
        ("objects_seen_total", total.counts["objects"]),
        ("objects_new_total", total.counts["new"]),
        ("objects_changed_total", total.counts["changed"]),
        ("objects_deleted_total", total.counts["deleted"]),
        ("late_objects_total", total.counts["late"]),
    ):
        yield Sample(name, labels, count)
    metrics = total.last.metrics if total.last else None
    if metrics is not None:
        for name, value in (
            ("listing_seconds", metrics.wall_s),
            ("list_efficiency", metrics.efficiency),
            ("list_p50_seconds", metrics.p50_s),
            ("list_p99_seconds", metrics.p99_s),
            ("diff_seconds", metrics.diff_s),
        ):
            if value is not None:
                yield Sample(name, labels, value)


def _of_claim(feed: Feed, place: Mapping[str, str], now: datetime) -> Iterator[Sample]:
    claim = feed.claim()
    if claim.complete_through is not None:
        at = claim.complete_through.timestamp()
        yield Sample("discovery_watermark_timestamp_seconds", place, at)
    if claim.fresh_to is not None:
        yield Sample("discovery_fresh_timestamp_seconds", place, claim.fresh_to.timestamp())
        yield Sample("discovery_lag_seconds", place, (now - claim.fresh_to).total_seconds())
    pulse = feed.cursor(StrategyName.EVENT_DRIVEN).get("pulse")
    gap_s = QueuePulse.from_dict(pulse).gap_s(now) if pulse else None
    if gap_s is not None:
        yield Sample("event_gap_seconds", place, gap_s)


def _of_ingestion(status: IngestionStatus) -> Iterator[Sample]:
    labels = {"ingestion": status.name}
    for name, value in (
        ("files_outstanding", status.files_outstanding),
        ("bytes_outstanding", status.bytes_outstanding),
        ("approximate_queue_size", status.approximate_queue_size),
        ("oldest_unprocessed_age_seconds", status.oldest_unprocessed_age_seconds or 0.0),
        ("files_loaded_total", status.files),
        ("bytes_loaded_total", status.size_bytes),
        ("batches_total", status.batches),
        ("claims", len(status.in_flight)),
        ("claims_abandoned", sum(claim.is_abandoned for claim in status.in_flight)),
        ("retry_items", status.retries_waiting),
        ("dead_items", status.dead),
        ("superseded_items", status.superseded),
        ("vanished_items", status.vanished),
        ("state_bytes", status.state_bytes),
    ):
        yield Sample(name, labels, value)
