"""event_driven and inventory: what events and reports tell, beside what listings prove."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest
from discovery_world import DiscoveryWorld

from stocktake.catalog import Catalog, import_snapshot, list_snapshots
from stocktake.errors import SnapshotNotFoundError
from stocktake.events import EventKind, EventQueue, Message, QueuePulse, held_events
from stocktake.ingest import discover
from stocktake.listing import ListingMetrics, ListSource, StrategyName
from stocktake.model import Coverage
from stocktake.testing import FaultStore, MemorySource

EVENTS, INVENTORY = StrategyName.EVENT_DRIVEN, StrategyName.INVENTORY


@pytest.fixture
def place(catalog: Catalog) -> DiscoveryWorld:
    return DiscoveryWorld(catalog)


class Heads(FaultStore):
    """Counts HEADs."""

    def __init__(self, inner) -> None:  # type: ignore[no-untyped-def]
        super().__init__(inner, [])
        self.heads: list[str] = []

    def head(self, bucket, key, *, version_id=None):  # type: ignore[no-untyped-def]
        self.heads.append(key)
        return super().head(bucket, key, version_id=version_id)


def started(place: DiscoveryWorld) -> Heads:
    """A feed whose first scan was an hour ago."""
    place.put("in/a")
    place.discover(EVENTS)
    place.wait(hours=1)
    heads = Heads(place.memory)
    place.store = heads
    return heads


def test_the_first_run_of_events_looks_at_what_is_there(place: DiscoveryWorld) -> None:
    """STR-6."""
    place.put("in/a")
    report = place.discover(EVENTS)
    assert (place.changes(), report.claim.scan) == ([("new", "in/a")], 1)
    report = place.discover(EVENTS)
    assert (report.first_seq, report.metrics.requests, report.claim.scan) == (None, 0, 1)


def test_events_on_hold_go_into_the_feed_once(place: DiscoveryWorld) -> None:
    """STR-6, STR-9, EVT-2: freshness moves, the claim does not; nothing is on hold any more."""
    heads = started(place)
    place.put("in/b", "in/a", body=b"22")
    place.hold(place.event("in/b"), place.event("in/a"), place.event("in/b"))
    report = place.discover(EVENTS)
    assert place.changes(1) == [("modified", "in/a"), ("new", "in/b")]
    assert (report.claim.scan, report.claim.fresh_to) == (1, place.clock.now())
    assert report.claim.sentence().endswith("Z (events)")
    assert held_events(place.catalog.state, "photos", "", 10) == []
    place.hold(place.event("in/b", sequencer="0000000000000001"))
    place.discover(EVENTS)
    assert place.feed.last_seq() == 3
    assert heads.heads == []


def test_events_of_other_prefixes_stay_on_hold(place: DiscoveryWorld) -> None:
    started(place)
    place.put("out/b")
    place.hold(place.event("out/b"))
    place.discover(EVENTS)
    assert len(held_events(place.catalog.state, "photos", "", 10)) == 1


def test_a_deletion_is_told_once(place: DiscoveryWorld) -> None:
    started(place)
    place.delete("in/a")
    gone = place.event("in/a", EventKind.DELETED)
    for _ in range(2):
        place.hold(gone)
        place.discover(EVENTS)
    assert place.changes(1) == [("deleted", "in/a")]


@pytest.mark.parametrize(
    "kind", [EventKind.UNKNOWN, EventKind.CREATED, EventKind.DELETED, EventKind.ATTRIBUTES]
)
def test_events_that_do_not_say_what_is_there_are_looked_up(
    place: DiscoveryWorld, kind: EventKind
) -> None:
    """Facts 4.1, events: unknown names and removed versions end in a HEAD, not in a guess."""
    heads = started(place)
    place.put("in/b")
    vague = {"size_bytes": None, "etag": None, "version_id": None}
    if kind is EventKind.DELETED:  # of one version: another one may have come to light
        vague["version_id"] = "v1"
    place.hold(place.event("in/b", kind, **vague), place.event("in/c", kind=EventKind.UNKNOWN))
    report = place.discover(EVENTS)
    assert place.changes(1) == [("new", "in/b")]
    assert sorted(heads.heads) == ["in/b", "in/c"]
    assert report.metrics.calls == {"head": 2}
    assert place.feed.history("in/b")[0]["last_modified"] is not None


def test_reordered_events_do_not_take_the_feed_back(place: DiscoveryWorld) -> None:
    """Facts 4.1, events: unordered; the greatest sequencer wins, right-padded."""
    started(place)
    place.put("in/b", body=b"1")
    first = place.event("in/b", sequencer="0055AED6DCD90281E5")
    place.wait(seconds=1)
    place.put("in/b", body=b"2222")
    second = place.event("in/b", sequencer="0055AED6DCD90281E50001")
    for event in (second, first, second):
        place.hold(event)
        place.discover(EVENTS)
    assert [r["size_bytes"] for r in place.feed.history("in/b")] == [4]


def test_an_event_of_the_time_of_a_scan_is_looked_up(place: DiscoveryWorld) -> None:
    """Facts 1.3: neither the scan nor the event is known to be the newer; clocks differ."""
    heads = started(place)
    place.put("in/b", body=b"1")
    early = place.event("in/b", occurred_at=place.clock.now() + timedelta(seconds=30))
    place.wait(minutes=1)
    place.put("in/b", body=b"22")
    place.discover(EVENTS, audit=True)
    place.wait(minutes=1)
    place.hold(early)
    place.discover(EVENTS)
    assert [r["size_bytes"] for r in place.feed.history("in/b")] == [2]
    place.put("in/b", body=b"333")
    place.hold(place.event("in/b"))
    place.discover(EVENTS)
    assert [r["size_bytes"] for r in place.feed.history("in/b")] == [2, 3]
    assert heads.heads == ["in/b"]  # the first one was older than what the scan saw


def test_an_event_of_an_object_that_the_scan_saw_tells_nothing_twice(
    place: DiscoveryWorld,
) -> None:
    started(place)
    place.put("in/b")
    event = place.event("in/b")
    place.wait(seconds=1)
    place.discover(EVENTS, audit=True)
    place.hold(event)
    place.discover(EVENTS)
    assert place.changes(1) == [("new", "in/b")]


def test_the_same_bytes_written_again_are_a_new_version(place: DiscoveryWorld) -> None:
    """Facts 4.1, any: the ETag is not the identity; event and audit tell of it once."""
    started(place)
    place.put("in/a")
    place.hold(place.event("in/a"))
    place.discover(EVENTS)
    place.wait(hours=1)
    place.discover(EVENTS, audit=True)
    assert place.changes(1) == [("modified", "in/a")]


def test_lost_events_are_found_by_the_audit_and_counted(place: DiscoveryWorld) -> None:
    """STR-6, STR-8, facts 4.1: the proof that nothing is lost is the audit."""
    started(place)
    place.put("in/lost", "in/told")
    place.hold(place.event("in/told"))
    place.wait(hours=1)
    place.put("in/fresh")
    place.hold(place.event("in/fresh"))
    place.discover(EVENTS)
    place.wait(minutes=1)
    report = place.discover(EVENTS, audit_every=timedelta(hours=2))
    assert report.claim.scan == 2
    assert report.missed == {"event_driven": 1}
    assert [r["late"] for r in place.feed.history("in/lost")] == [True]
    assert not place.feed.audit_record()[EVENTS].trusted
    place.wait(hours=2)
    place.discover(EVENTS, audit_every=timedelta(hours=2))
    record = place.feed.audit_record()[EVENTS]
    assert (record.missed, record.trusted) == (1, True)


def test_events_between_scan_and_absorption_stay_on_top_of_an_older_listing(
    place: DiscoveryWorld,
) -> None:
    """STR-11 beside STR-6: a listing adopted later does not undo what events told since."""
    started(place)
    source = place.spec().source
    import_snapshot(place.catalog, ListSource(place.memory, source, clock=place.clock))
    place.wait(minutes=20)
    place.put("in/b")
    place.hold(place.event("in/b"))
    place.delete("in/a")
    place.hold(place.event("in/a", EventKind.DELETED))
    place.discover(EVENTS)
    told = place.feed.last_seq()
    place.wait(minutes=1)
    assert place.discover(max_age=timedelta(hours=1)).reused
    assert place.changes(told) == []
    place.wait(minutes=1)
    place.discover()
    assert place.changes(told) == []


# reports


def report_of_bucket(place: DiscoveryWorld, *, age: timedelta) -> None:
    """Import a report whose stamp is some time ago, of what is in the bucket now."""
    table = place.memory.buckets["photos"]
    rows = [
        {
            "key": row.key,
            "size_bytes": row.size_bytes,
            "etag": row.etag,
            "last_modified": row.last_modified.replace(tzinfo=None),
            "storage_class": "STANDARD",
        }
        for row, _ in table.page("", "", "", 1000).versions
    ]
    as_of = (place.clock.now() - age).replace(second=0, microsecond=0)
    source = MemorySource([rows], as_of=as_of, coverage=Coverage(prefix=""))
    import_snapshot(place.catalog, source)


def test_a_report_is_the_base_and_a_listing_its_tail(place: DiscoveryWorld) -> None:
    """STR-5."""
    place.put("in/a", "in/b", "other")
    report_of_bucket(place, age=timedelta(hours=5))
    place.put("in/c")
    report = place.discover(INVENTORY)
    assert place.changes() == [("new", "in/a"), ("new", "in/b"), ("new", "in/c")]
    assert (report.claim.scan, report.first_seq, report.last_seq) == (1, 1, 3)
    origins = [r["origin"] for key in ("in/a", "in/c") for r in place.feed.history(key)]
    assert origins == ["inventory", "full"]


def test_a_report_alone_never_moves_the_claim(place: DiscoveryWorld) -> None:
    """STR-5, STR-9, facts 4.1, inventory: a report is a past, fuzzy picture."""
    place.put("in/a")
    report_of_bucket(place, age=timedelta(hours=5))
    alone = {"strategy_settings": {"tail": "none"}}
    report = place.discover(INVENTORY, **alone)
    assert (report.claim.complete_through, report.claim.scan) == (None, 0)
    assert "not complete yet" in report.claim.sentence()
    again = place.discover(INVENTORY, **alone)
    assert (again.reused, again.first_seq) == (True, None)


def test_a_stale_report_does_not_bring_back_or_delete(place: DiscoveryWorld) -> None:
    """Facts 4.1, inventory: stale taken for truth. What was listed after its stamp stays."""
    place.put("in/gone", "in/kept", "in/same")
    report_of_bucket(place, age=timedelta(hours=3))  # read from the past: before the next three
    place.delete("in/gone")
    place.put("in/kept", body=b"new")
    place.put("in/added")
    place.discover()
    told = place.changes()
    place.wait(minutes=1)
    report = place.discover(INVENTORY, strategy_settings={"tail": "none"})
    assert place.changes() == told
    assert report.first_seq is None
    place.wait(minutes=1)
    place.discover()
    assert place.changes() == told


def test_a_newer_report_adds_and_deletes_only_what_it_can_witness(place: DiscoveryWorld) -> None:
    """Facts 4.1, inventory: absent from a report is deleted only if it was there long before."""
    place.put("in/old", "in/stays")
    place.wait(days=3)
    place.put("in/young")
    place.discover()
    place.wait(hours=10)
    place.delete("in/old", "in/young")
    place.put("in/late")
    report_of_bucket(place, age=timedelta(hours=1))
    place.put("in/young", body=b"is back")
    alone = {"strategy_settings": {"tail": "none"}}
    place.discover(INVENTORY, **alone)
    assert sorted(place.changes(3)) == [("deleted", "in/old"), ("new", "in/late")]
    place.wait(minutes=1)
    place.discover()
    assert place.changes(5) == [("modified", "in/young")]


def test_events_are_the_tail_of_a_report(place: DiscoveryWorld) -> None:
    """STR-5."""
    place.put("in/a")
    report_of_bucket(place, age=timedelta(hours=50))
    place.wait(hours=1)
    place.put("in/b")
    place.hold(place.event("in/b"))
    tail = {"strategy_settings": {"tail": "events"}}
    report = place.discover(INVENTORY, **tail)
    assert place.changes() == [("new", "in/a"), ("new", "in/b")]
    assert (report.claim.scan, report.claim.fresh_by) == (0, "event_driven")
    assert place.discover(INVENTORY, **tail).reused


def test_without_any_report_there_is_nothing_to_stand_on(place: DiscoveryWorld) -> None:
    with pytest.raises(SnapshotNotFoundError, match="no inventory report of s3://photos/in/"):
        place.discover(INVENTORY)
    assert list_snapshots(place.catalog) == []


class SilentQueue:
    """A queue that has nothing to say."""

    address = "https://queue.example/lake"

    def receive(self, *_: object, **__: object) -> list[Message]:
        return []


def test_a_queue_that_fell_silent_is_told_of_when_nothing_came(place: DiscoveryWorld) -> None:
    """The symptom: events stop, and a run that found nothing says that all is well."""
    place.put("in/a")
    spec = place.spec(StrategyName.EVENT_DRIVEN)
    discover(place.catalog, place.store, spec)
    since = place.clock.now()
    pulse = QueuePulse(since - timedelta(days=3), since, 600.0)
    place.hold(place.event("in/a"))
    with place.feed.discovering(StrategyName.EVENT_DRIVEN) as writer:
        writer.absorb([], cursor={"pulse": pulse.to_dict()}, metrics=ListingMetrics())
    place.discover(StrategyName.EVENT_DRIVEN)  # takes what was on hold
    queue = cast("EventQueue", SilentQueue())
    assert discover(place.catalog, place.store, spec, queue=queue).warnings == ()
    place.wait(hours=7)
    report = discover(place.catalog, place.store, spec, queue=queue)
    assert "has been silent for 7.0 h" in report.warnings[0]
    assert report.first_seq is None
