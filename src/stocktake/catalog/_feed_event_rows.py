"""From events to rows of a segment, with a look at the store where only that helps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._feed_events import Fact, NeedsLook, fact_of, judge
from stocktake.catalog._feed_known import Knowledge
from stocktake.catalog._feed_segments import SEGMENT
from stocktake.catalog._feed_sight import (
    Look,
    aware_rows,
    change_between,
    fact_of_head,
    look_at,
)
from stocktake.catalog._feed_times import naive, rounded_up
from stocktake.clock import Clock
from stocktake.events import ObjectEvent
from stocktake.model import object_schema

_KEYS: pa.Schema = object_schema(())


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One change of one key. `storage_class` is known after a look only."""

    kind: str
    key: str
    fact: Fact
    storage_class: str | None = None


def known_facts(catalog: Catalog, known: Knowledge, keys: Iterable[str]) -> dict[str, Fact]:
    """What is known of each of some keys."""
    batch = pa.RecordBatch.from_pylist([{"key": key} for key in keys], _KEYS)
    seen = known.objects.base_seen
    unseen = Fact(present=False)
    if seen is not None:
        unseen = Fact(present=False, seen_from=seen[0], seen_to=seen[1])
    facts = {}
    for net in catalog.engine.observe(known.objects, [batch], unchanged=True):
        for row in aware_rows(net):
            facts[row["key"]] = fact_of(row, unseen)
    return facts


def changes_of_events(
    facts: Mapping[str, Fact],
    by_key: Mapping[str, Sequence[ObjectEvent]],
    look: Look | None,
    clock: Clock,
) -> list[KeyChange]:
    """The changes that events make, by key and then in order.

    Raises:
        DiscoveryError: The store must be asked, and `look` is not given.
    """
    changes: list[KeyChange] = []
    unsure: list[str] = []
    now = clock.now()
    for key, events in by_key.items():
        try:
            changes += [KeyChange(kind, key, fact) for kind, fact in judge(facts[key], events, now)]
        except NeedsLook:
            unsure.append(key)
    at = clock.now()
    for key, head in look_at(look, unsure).items():
        after = fact_of_head(head, at)
        kind = change_between(facts[key], after)
        if kind is not None:
            changes.append(KeyChange(kind, key, after, head.storage_class if head else None))
    return sorted(changes, key=lambda change: change.key)


def event_rows(
    changes: Iterable[KeyChange], origin: str, run_id: str, seen_to: datetime
) -> pa.RecordBatch:
    """Rows of SEGMENT."""
    rows = [
        {
            "change": change.kind,
            "key": change.key,
            "version_id": change.fact.version_id,
            "size_bytes": change.fact.size_bytes,
            "last_modified": naive(change.fact.last_modified),
            "etag": change.fact.etag,
            "storage_class": change.storage_class,
            "sequencer": change.fact.sequencer,
            "observed_at": naive(change.fact.seen_from),
            "origin": origin,
            "run_id": run_id,
            "late": False,
            "seen_to": rounded_up(seen_to),
        }
        for change in changes
    ]
    return pa.RecordBatch.from_pylist(rows, SEGMENT)
