"""Discovery end to end on a store in memory: what is new gets a number, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from discovery_world import SOURCE, DiscoveryWorld

from stocktake.catalog import Catalog, ImportOptions, import_snapshot, list_snapshots
from stocktake.clock import format_utc
from stocktake.errors import (
    ConfirmationNeededError,
    DiscoveryRunningError,
    StoreUnavailableError,
    StrategyRefusedError,
    UnsupportedOperationError,
)
from stocktake.ingest import create_ingestion, discover, next_audit
from stocktake.listing import ListSource, StrategyName
from stocktake.model import S3Url
from stocktake.testing import FaultStore, MemorySink, Planned

FULL, LEXICAL, TIME = (
    StrategyName.FULL,
    StrategyName.INCREMENTAL_LEXICAL,
    StrategyName.INCREMENTAL_TIME,
)


@pytest.fixture
def place(catalog: Catalog) -> DiscoveryWorld:
    return DiscoveryWorld(catalog)


def test_a_full_scan_numbers_what_is_new_modified_and_gone(place: DiscoveryWorld) -> None:
    """STR-1, STR-9, STR-10."""
    place.put("in/a", "in/b", "other")
    started = place.clock.now()
    report = place.discover()
    assert (report.first_seq, report.last_seq, report.metrics.objects) == (1, 2, 2)
    assert (report.claim.complete_through, report.claim.scan) == (started, 1)
    place.wait(minutes=1)
    place.put("in/b", "in/c", body=b"other")
    place.delete("in/a")
    report = place.discover()
    assert place.changes(2) == [("deleted", "in/a"), ("modified", "in/b"), ("new", "in/c")]
    assert (report.metrics.new, report.metrics.changed, report.metrics.deleted) == (1, 1, 1)
    assert place.discover().first_seq is None


def test_each_run_is_kept_with_its_metrics(place: DiscoveryWorld) -> None:
    """STR-10."""
    place.put("in/a")
    report = place.discover()
    run = place.feed.runs(1)[0]
    assert (run.id, run.state, run.strategy) == (report.run_id, "finished", FULL)
    assert run.metrics == report.metrics
    assert run.metrics is not None
    assert (run.metrics.objects, run.metrics.new, run.metrics.requests) == (1, 1, 1)


def test_a_sample_cannot_feed_an_ingestion(place: DiscoveryWorld) -> None:
    with pytest.raises(StrategyRefusedError):
        place.discover(StrategyName.SAMPLE)


def test_a_prefix_is_discovered_by_one_process_at_a_time(place: DiscoveryWorld) -> None:
    held = place.feed.discovering(FULL)
    with held, pytest.raises(DiscoveryRunningError, match="s3://photos/in/ is being discovered"):
        place.discover()


def test_a_listing_cut_short_by_503_deletes_nothing(place: DiscoveryWorld) -> None:
    """Facts 4.1, full: a scan that failed halfway is no scan; its run says why."""
    place.put(*(f"in/{n:04}" for n in range(1500)))
    place.discover()
    before = place.feed.claim()
    place.wait(minutes=1)
    error = StoreUnavailableError("503 Slow Down")
    broken = FaultStore(place.memory, [Planned("list_page", error, skip=1, times=99)])
    with pytest.raises(StoreUnavailableError):
        discover(place.catalog, broken, place.spec())
    assert place.feed.claim() == before
    assert place.feed.last_seq() == 1500
    run = place.feed.runs(1)[0]
    assert run.state == "failed"
    assert run.error is not None
    assert run.error["message"] == "503 Slow Down"
    assert place.discover().first_seq is None


def test_a_mass_deletion_has_to_be_confirmed(place: DiscoveryWorld) -> None:
    """Facts 4.1, full: the guard; a small prefix that empties is no mass deletion."""
    keys = [f"in/{n:04}" for n in range(400)]
    place.put(*keys)
    place.discover()
    place.wait(minutes=1)
    place.delete(*keys[:50])
    assert place.discover().metrics.deleted == 50
    place.wait(minutes=1)
    place.delete(*keys[50:250])
    with pytest.raises(ConfirmationNeededError, match="200 of 350 objects of s3://photos/in/"):
        place.discover()
    place.wait(minutes=1)
    report = discover(place.catalog, place.store, place.spec(), accept_deletions=True)
    assert report.metrics.deleted == 200


def test_an_object_moved_during_the_listing_is_told_at_the_latest_by_the_next(
    place: DiscoveryWorld,
) -> None:
    """Facts 4.1, full: a listing is a fuzzy picture; a rename is seen twice, or not at all."""
    keys = [f"in/{n:04}" for n in range(1500)]
    place.put(*keys)

    class Moving(FaultStore):
        def list_page(self, query):  # type: ignore[no-untyped-def]
            page = super().list_page(query)
            if place.memory.head("photos", "in/0000").size_bytes == 1:
                place.put("in/0000", body=b"moved on")  # behind the page that was just read
                place.put("in/9999")
                place.delete("in/0001")
            return page

    discover(place.catalog, Moving(place.memory, []), place.spec())
    told = place.feed.last_seq()
    place.wait(minutes=1)
    place.discover()
    assert sorted(place.changes(told)) == [("deleted", "in/0001"), ("modified", "in/0000")]
    assert place.changes().count(("new", "in/9999")) == 1


def test_a_slow_listing_says_so(place: DiscoveryWorld) -> None:
    """STR-10: more than five minutes."""
    place.put("in/a")

    class Slow(FaultStore):
        def list_page(self, query):  # type: ignore[no-untyped-def]
            place.wait(minutes=7)
            return super().list_page(query)

    report = discover(place.catalog, Slow(place.memory, []), place.spec())
    assert "listing took 7 min" in report.warnings[0]
    assert place.discover().warnings == ()


def test_a_young_run_is_not_listed_again(place: DiscoveryWorld) -> None:
    """STR-11."""
    place.put("in/a")
    first = place.discover(max_age=timedelta(hours=1))
    place.put("in/b")
    place.wait(minutes=59)
    again = place.discover(max_age=timedelta(hours=1))
    assert (again.reused, again.run_id, again.metrics.requests) == (True, first.run_id, 0)
    assert again.warnings[0].startswith(f"not listed again: the run {first.run_id} is of ")
    assert [run.state for run in place.feed.runs(1)] == ["reused"]
    place.wait(minutes=2)
    assert not place.discover(max_age=timedelta(hours=1)).reused
    assert not place.discover(max_age=timedelta(hours=1), audit=True).reused
    assert place.changes() == [("new", "in/a"), ("new", "in/b")]


@pytest.mark.parametrize("strategy", [FULL, LEXICAL])
def test_a_young_snapshot_is_absorbed_without_listing(
    place: DiscoveryWorld, strategy: StrategyName
) -> None:
    """STR-11: what `stocktake scan` kept counts, also of a prefix above."""
    place.put("in/a", "out/b")
    scanned_at = place.clock.now()
    listing = ListSource(place.store, S3Url("photos"), clock=place.clock)
    import_snapshot(place.catalog, listing, ImportOptions(deletion_margin=timedelta()))
    place.wait(minutes=5)
    report = place.discover(strategy, max_age=timedelta(hours=1))
    assert (report.reused, report.metrics.requests) == (True, 0)
    assert report.claim.complete_through == scanned_at
    assert list_snapshots(place.catalog)[0].id in report.warnings[0]
    assert place.changes() == [("new", "in/a")]
    assert place.discover(strategy, max_age=timedelta(hours=1)).first_seq is None


def test_a_partial_strategy_is_audited_when_it_is_due(place: DiscoveryWorld) -> None:
    """STR-3, STR-8: what it misses is found, counted against it, and marked late."""
    hourly = {"audit_every": timedelta(hours=1), "strategy_settings": {"lookback": "1s"}}
    place.put("in/m", "in/n")
    report = place.discover(LEXICAL, **hourly)
    assert report.claim.scan == 1
    spec = place.spec(LEXICAL, **hourly)
    assert next_audit(place.feed, spec) == place.clock.now() + timedelta(hours=1)
    place.wait(minutes=30)
    place.put(*(f"in/{n:04}" for n in range(200)), "in/p")
    place.discover(LEXICAL, **hourly)
    place.wait(minutes=1)
    place.put("in/o-late")
    place.delete("in/n")
    place.wait(minutes=1)
    place.put("in/q")
    assert place.discover(LEXICAL, **hourly).claim.scan == 1
    place.wait(minutes=40)
    report = place.discover(LEXICAL, **hourly)
    assert report.claim.scan == 2
    missed = sum(report.missed.values())
    rows = [row for found in place.feed.read(0, 10**6) for row in found.to_pylist()]
    assert missed == sum(row["late"] for row in rows)
    record = place.feed.audit_record()[LEXICAL]
    assert (record.audits, record.missed, record.trusted) == (2, missed, missed == 0)
    assert {k for _, k in place.changes()} >= {"in/o-late", "in/q", "in/0199"}
    assert ("deleted", "in/n") in place.changes()


@pytest.mark.parametrize(("lists_uploads", "late"), [(True, 0), (False, 1)])
def test_a_slow_upload_is_not_missed_by_time(
    place: DiscoveryWorld, lists_uploads: bool, late: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STR-2, facts 4.1: a multipart object carries the time at which its upload began.

    An upload that is seen open holds the watermark back; one that is not seen comes late.
    """
    if not lists_uploads:
        known = place.memory.describe

        def describe(operation: str, bucket: str, **parameters: Any) -> dict[str, Any]:
            if operation == "ListMultipartUploads":
                raise UnsupportedOperationError("not here")
            return known(operation, bucket, **parameters)

        monkeypatch.setattr(place.memory, "describe", describe)
    upload = place.memory.begin_upload("photos", "in/slow")
    part = upload.put_part(1, b"x")
    place.wait(hours=1)
    place.put("in/quick")
    place.discover(TIME)
    place.wait(hours=1)
    upload.complete({1: part})
    report = place.discover(TIME)
    assert place.changes() == [("new", "in/quick"), ("new", "in/slow")]
    assert (report.metrics.late, report.missed) == (late, {})
    assert report.claim.scan == 2


def test_full_refresh_lists_anew(place: DiscoveryWorld) -> None:
    """STR-2."""
    place.discover(TIME, max_age=timedelta(hours=1))
    refresh = {"max_age": timedelta(hours=1), "strategy_settings": {"full_refresh": True}}
    assert place.discover(TIME, max_age=timedelta(hours=1)).reused
    assert not place.discover(TIME, **refresh).reused


def test_an_interrupted_scan_goes_on_and_keeps_what_was_learnt_meanwhile(
    place: DiscoveryWorld,
) -> None:
    """STR-9: the claim is that of the first beginning; what events told since stays on top."""
    place.put(*(f"in/{n:05}" for n in range(3000)))
    place.discover()
    place.wait(minutes=10)
    error = StoreUnavailableError("503")
    broken = FaultStore(place.memory, [Planned("list_page", error, skip=2, times=99)])
    with pytest.raises(StoreUnavailableError):
        discover(place.catalog, broken, place.spec())
    place.wait(minutes=30)
    place.put("in/00000", body=b"new")
    place.hold(place.event("in/00000"))
    told = place.discover(StrategyName.EVENT_DRIVEN)
    assert told.metrics.changed == 1
    place.discover()
    place.wait(minutes=1)
    assert place.discover().first_seq is None
    assert place.changes(3000) == [("modified", "in/00000")]


def test_a_source_prefix_is_taken_literally(place: DiscoveryWorld) -> None:
    strange = S3Url("photos", "a%2F+\x01/")
    place.put("a%2F+\x01/b", "a%2F+\x01/../c")
    report = discover(place.catalog, place.store, replace(place.spec(), source=strange))
    assert report.metrics.new == 2
    assert strange != SOURCE


def test_since_of_incremental_time_is_a_filter_that_a_full_refresh_lifts(
    place: DiscoveryWorld,
) -> None:
    """STR-2: what `since` holds back is known and skipped; `full_refresh` loads it after all."""
    place.put("in/old")
    place.wait(hours=2)
    since = format_utc(place.clock.now())
    place.put("in/new")
    spec = place.spec(TIME, strategy_settings={"since": since})
    ingestion = create_ingestion(place.catalog, spec, place.store)
    sink = MemorySink()
    assert ingestion.run(sink).files == 1
    assert place.changes() == [("new", "in/new"), ("new", "in/old")]
    assert "modified before" in ingestion.explain("in/old").sentence()
    again = ingestion.run(sink, full_refresh=True)
    assert again.files == 2
    assert "loaded" in ingestion.explain("in/old").sentence()
