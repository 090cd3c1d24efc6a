"""What each way to know a bucket costs: LIST, inventory, S3 Metadata, events. Arithmetic only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from stocktake.setup._prices import Prices, listing_calls

DAYS_PER_MONTH = 30
REPORT_BYTES_PER_OBJECT = 66
"""Of a Parquet report of 982,654,362 objects in 516 parts and 65 GB; CSV takes more."""
REPORTS_KEPT_DAYS = 30
PART_OBJECTS = 1_900_000
"""Objects per part of the same report."""
POLL_S = 20
REQUESTS_PER_EVENT = 2
CHANGED_PER_DAY = 0.01
"""Share of objects that change in a day, if nobody says."""
_DAY_S = 86_400.0
_MILLION = 1_000_000
_METADATA_FRESH_S = 3600.0


@dataclass(frozen=True, slots=True)
class CostQuestion:
    """What is to be known, and how often.

    Attributes:
        objects: How many there are.
        every: How often somebody wants to know; at most that old may the answer be.
        changes_per_day: Objects written or deleted in a day; None: 1 % of all.
    """

    objects: int
    every: timedelta = timedelta(days=1)
    changes_per_day: int | None = None

    @property
    def runs_per_day(self) -> float:
        """How often in a day."""
        return _DAY_S / max(1.0, self.every.total_seconds())

    @property
    def changes(self) -> int:
        """Changes in a day, assumed if they were not given."""
        if self.changes_per_day is not None:
            return self.changes_per_day
        return round(self.objects * CHANGED_PER_DAY)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to know, with its price.

    Attributes:
        id: `list`, `inventory-daily`, `inventory-weekly`, `metadata` or `events`.
        title: Its name.
        fresh_s: How old an answer is at most.
        requests_per_run: Requests that one answer takes; 0 if answers come by themselves.
        per_run: Price of one answer; None if answers are not what is paid for.
        per_month: Price of 30 days, at the frequency asked for, or its own if that is lower.
        fits: Whether it is fresh enough.
        parts: What the month's price consists of.
        notes: What is to be known of it.
        complete: False if a part of the price is not known.
    """

    id: str
    title: str
    fresh_s: float
    requests_per_run: int
    per_run: float | None
    per_month: float
    fits: bool
    parts: dict[str, float]
    notes: tuple[str, ...] = ()
    complete: bool = True

    @property
    def per_day(self) -> float:
        """Price of one day."""
        return self.per_month / DAYS_PER_MONTH

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "id": self.id,
            "title": self.title,
            "fits": self.fits,
            "complete": self.complete,
            "fresh_s": self.fresh_s,
            "requests_per_run": self.requests_per_run,
            "per_run": None if self.per_run is None else _rounded(self.per_run),
            "per_day": _rounded(self.per_day),
            "per_month": _rounded(self.per_month),
            "parts": {name: _rounded(value) for name, value in self.parts.items()},
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class CostReport:
    """All ways, cheapest of those that fit first, and the prices that they were reckoned with.

    Ways of which a part of the price is not known come after those whose price is.
    """

    question: CostQuestion
    ways: tuple[Way, ...]
    prices: Prices

    @property
    def report_to_list_ratio(self) -> float | None:
        """Price of a delivered report by that of a full LIST, per million objects.

        None if a LIST costs nothing. Below 1,000 objects one LIST request is the whole listing.
        """
        listing = self.prices.of_listing(_MILLION)
        return self.prices.of_report(_MILLION) / listing if listing else None

    def honest_sentence(self) -> str:
        """What the prices say about inventory and LIST, which is often told wrongly."""
        ratio = self.report_to_list_ratio
        if ratio is None:
            return "at these prices a LIST costs nothing"
        said = f"a delivered report costs {ratio:.2g} times what a full LIST of the bucket costs"
        if ratio >= 1:
            return f"{said}: no saving"
        return (
            f"{said}: {1 - ratio:.0%} less, not 99 %; what it saves is requests, "
            f"{listing_calls(self.question.objects):,} here for each listing"
        )

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        asked = self.question
        return {
            "every_s": asked.every.total_seconds(),
            "runs_per_month": _rounded(asked.runs_per_day * DAYS_PER_MONTH),
            "changes_per_day": asked.changes,
            "changes_assumed": asked.changes_per_day is None,
            "ways": [one.to_dict() for one in self.ways],
            "report_to_list_ratio": self.report_to_list_ratio,
            "sentence": self.honest_sentence(),
            "left_out": list(LEFT_OUT),
            "prices": self.prices.to_dict(),
        }


LEFT_OUT = (
    "transfer to another region or out of the cloud",
    "KMS requests for encrypted reports",
    "queries and storage of S3 Metadata's tables",
    "the machine that runs it",
)


def compare_costs(question: CostQuestion, prices: Prices) -> CostReport:
    """Every way to know the bucket, with its price at these prices; those that fit come first."""
    made = [one(question, prices) for one in _WAYS]
    ways = sorted(made, key=lambda one: (not one.fits, not one.complete, one.per_month))
    return CostReport(question, tuple(ways), prices)


def _listing(question: CostQuestion, prices: Prices) -> Way:
    per_run = prices.of_listing(question.objects)
    per_month = per_run * question.runs_per_day * DAYS_PER_MONTH
    return Way(
        id="list",
        title="full LIST",
        fresh_s=0.0,
        requests_per_run=listing_calls(question.objects),
        per_run=per_run,
        per_month=per_month,
        fits=True,
        parts={"requests": per_month},
        notes=("each run is as fresh as it is; `stocktake plan` knows cheaper, partial listings",),
    )


def _inventory(name: str, days: int) -> Callable[[CostQuestion, Prices], Way]:
    def way(question: CostQuestion, prices: Prices) -> Way:
        parts_count = -(-question.objects // PART_OBJECTS)
        reading = {"ListObjectsV2": 1, "HeadObject": 2, "GetObject": 2 + parts_count}
        per_report = prices.of_report(question.objects)
        per_run = per_report + prices.of_calls(reading)
        reports = DAYS_PER_MONTH / days
        kept_bytes = question.objects * REPORT_BYTES_PER_OBJECT * REPORTS_KEPT_DAYS / days
        storage = kept_bytes / 1e9 * prices.storage_per_gb_month
        fresh_s = (days + 1) * _DAY_S
        return Way(
            id=f"inventory-{name}",
            title=f"inventory, {name}",
            fresh_s=fresh_s,
            requests_per_run=sum(reading.values()),
            per_run=per_run,
            per_month=per_run * reports + storage,
            fits=question.every.total_seconds() >= days * _DAY_S,
            parts={
                "delivery": per_report * reports,
                "requests": prices.of_calls(reading) * reports,
                "storage": storage,
            },
            notes=(
                f"a report is delivered up to a day after its stamp; {REPORTS_KEPT_DAYS} days of "
                f"Parquet reports are kept, {REPORT_BYTES_PER_OBJECT} bytes per object",
            ),
        )

    return way


def _metadata(question: CostQuestion, prices: Prices) -> Way:
    per_month = question.changes * DAYS_PER_MONTH / 1e6 * prices.metadata_per_million
    backfill = prices.backfill_per_million
    first = "what the first filling costs is not in the price list"
    if backfill is not None:
        first = f"the first filling costs {question.objects / 1e6 * backfill:.2f} once"
    return Way(
        id="metadata",
        title="S3 Metadata",
        fresh_s=_METADATA_FRESH_S,
        requests_per_run=0,
        per_run=None,
        per_month=per_month,
        fits=question.every.total_seconds() >= _METADATA_FRESH_S,
        parts={"updates": per_month},
        notes=(
            f"whole general purpose buckets only, in some regions; {first}; stocktake does not "
            "read its tables yet",
        ),
        complete=backfill is not None,
    )


def _events(question: CostQuestion, prices: Prices) -> Way:
    events = question.changes * DAYS_PER_MONTH * REQUESTS_PER_EVENT
    polls = DAYS_PER_MONTH * _DAY_S / POLL_S
    queue = (events + polls) / 1e6 * prices.queue_per_million
    audits = prices.of_listing(question.objects) * DAYS_PER_MONTH / 7
    return Way(
        id="events",
        title="events, weekly audit",
        fresh_s=60.0,
        requests_per_run=0,
        per_run=None,
        per_month=queue + audits,
        fits=True,
        parts={"queue": queue, "audits": audits},
        notes=(
            "begins with what is there when it is set up: one listing first; a lost message is "
            "found by the next audit",
        ),
    )


_WAYS: tuple[Callable[[CostQuestion, Prices], Way], ...] = (
    _listing,
    _inventory("daily", 1),
    _inventory("weekly", 7),
    _metadata,
    _events,
)


def _rounded(amount: float) -> float:
    return round(amount, 9)
