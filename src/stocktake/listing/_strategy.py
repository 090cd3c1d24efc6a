"""What a listing strategy is, and what each one promises.

A strategy knows a way to learn what is new below a prefix. What it promises is data (`GUARANTEES`):
the contract tests, the planner, `explain` and the table in the documentation are made from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import pyarrow as pa

from stocktake.clock import Clock
from stocktake.listing._metrics import ListingMetrics
from stocktake.model import S3Url
from stocktake.store import Store, StoreProfile


class StrategyName(StrEnum):
    """Every way to discover, by the name that users type."""

    FULL = "full"
    INCREMENTAL_TIME = "incremental_time"
    INCREMENTAL_LEXICAL = "incremental_lexical"
    PARTITIONED = "partitioned"
    INVENTORY = "inventory"
    EVENT_DRIVEN = "event_driven"
    SAMPLE = "sample"


class Promise(StrEnum):
    """How far a strategy sees something: by itself, only when its audit scan runs, or never."""

    ALWAYS = "always"
    AT_AUDIT = "at the next audit"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Guarantees:
    """What a strategy promises.

    Attributes:
        sees_late_arrivals: Objects that appear behind its position (a smaller key, an older time).
        sees_overwrites: A known key with other content.
        sees_deletes: A known key that is gone.
        freshness: How old its answer may be, in words.
        requests_per_million_keys: LIST requests of one incremental run over 1 M keys of which 1 %
            are new, in 200 daily folders; a full listing knows where to cut from the one before.
            Events and reports need next to none. The contract tests measure it.
        moves_claim: A finished run proves completeness through its start.
    """

    sees_late_arrivals: Promise
    sees_overwrites: Promise
    sees_deletes: Promise
    freshness: str
    requests_per_million_keys: float
    moves_claim: bool


_ALWAYS, _AUDIT, _NEVER = Promise.ALWAYS, Promise.AT_AUDIT, Promise.NEVER

GUARANTEES: Mapping[StrategyName, Guarantees] = {
    StrategyName.FULL: Guarantees(
        _ALWAYS, _ALWAYS, _ALWAYS, "the last scan", 1_150, moves_claim=True
    ),
    StrategyName.INCREMENTAL_TIME: Guarantees(
        _ALWAYS, _ALWAYS, _ALWAYS, "the last scan", 1_150, moves_claim=True
    ),
    StrategyName.INCREMENTAL_LEXICAL: Guarantees(
        _AUDIT, _AUDIT, _AUDIT, "the last run", 25, moves_claim=False
    ),
    StrategyName.PARTITIONED: Guarantees(
        _AUDIT, _AUDIT, _AUDIT, "the last run", 40, moves_claim=False
    ),
    StrategyName.INVENTORY: Guarantees(
        _ALWAYS, _ALWAYS, _ALWAYS, "a day, or the tail's last run", 0, moves_claim=False
    ),
    StrategyName.EVENT_DRIVEN: Guarantees(
        _ALWAYS, _ALWAYS, _ALWAYS, "seconds; lost events at the next audit", 0, moves_claim=False
    ),
    StrategyName.SAMPLE: Guarantees(_NEVER, _NEVER, _NEVER, "an estimate", 0, moves_claim=False),
}


@dataclass(frozen=True, slots=True)
class ListingJob:
    """One task for a strategy.

    Attributes:
        store: Where the bucket is.
        source: Bucket and prefix.
        clock: For stamps and latencies.
        cursor: What the strategy's last committed run left; empty at first.
        split_keys: Sorted keys that cut what was last known into about equal pieces; may be empty.
        keys_expected: How many objects were last known; None if nothing is known.
        settings: The strategy's own settings, as its `parse_settings` gave them.
        profile: What the store was found to do, if it was probed.
    """

    store: Store
    source: S3Url
    clock: Clock
    cursor: Mapping[str, Any] = field(default_factory=dict)
    split_keys: tuple[str, ...] = ()
    keys_expected: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    profile: StoreProfile | None = None


class StrategyRun(Protocol):
    """One run of a partial strategy. Read `batches` to the end, then take the other two."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Objects that may be new: batches of the object record, current objects only.

        A superset of what is new since the cursor as far as the strategy sees; known objects may be
        among them, a key at most once. No order is promised.
        """

    def cursor(self) -> dict[str, Any]:
        """What the next run goes on from, JSON. Only after `batches` has ended.

        Commit it together with what was found: a cursor that is ahead of its objects loses them.
        """

    def passed(self) -> list[tuple[str, datetime]]:
        """Key ranges this strategy will not look at again, for the count of late objects.

        Pairs (up to and including this key within its ordering domain, since when).
        """

    @property
    def metrics(self) -> ListingMetrics:
        """Figures so far."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know, one sentence each. Only after `batches` has ended."""
