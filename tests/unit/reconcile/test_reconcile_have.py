"""REC-1: HAVE from a listing, a report, a snapshot or a sample; too old, not there, fallen back."""

from __future__ import annotations

import threading
from datetime import timedelta

import pyarrow as pa
import pytest

from reconcile_world import EARLIER, NOW, RowStore, World, kinds, listed, md5
from snapshot_world import publish, row
from stocktake.clock import FixedClock
from stocktake.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    InvalidUrlError,
    ReportNotFoundError,
    SideUnavailableError,
    SnapshotNotFoundError,
    StrategyRefusedError,
)
from stocktake.inventory import ReportSpec, write_report
from stocktake.model import S3Url, object_schema
from stocktake.reconcile import Bounds, Rule, ScanMode, Severity, ShouldKind, SideKind
from stocktake.testing import MemoryStore

DAY_S = 86_400.0
COLUMNS = ("key", "size_bytes", "last_modified", "etag", "storage_class")


def times(when):
    return when.replace(tzinfo=None)


@pytest.fixture
def memory(tmp_path):
    """Real objects in `have` and `should`, and a bucket for reports."""
    store = MemoryStore(clock=FixedClock(NOW - timedelta(hours=1)))
    for name in ("have", "should", "reports"):
        store.describe("CreateBucket", name)
    world = World(tmp_path, store)
    yield world
    world.catalog.close()


def deliver(
    world: World, keys: list[str], *, config_id: str = "daily", prefix: str = "inv"
) -> None:
    schema = object_schema(COLUMNS)
    rows = [
        {
            "key": key,
            "size_bytes": 1,
            "last_modified": times(EARLIER),
            "etag": md5(b"x"),
            "storage_class": "STANDARD",
        }
        for key in keys
    ]
    spec = ReportSpec(S3Url("reports", prefix), "have", config_id, NOW - timedelta(days=2))
    write_report(world.store, spec, [pa.RecordBatch.from_pylist(rows, schema)])


@pytest.mark.parametrize(
    "location",
    [
        "s3://reports/inv/have/daily",
        "s3://reports/inv/have/",
        "s3://reports/inv",
        "s3://reports/inv/",
        None,
    ],
)
def test_the_newest_report_is_have_from_as_much_as_is_known_of_where_it_is(memory, location):
    for key in ("a", "b"):
        memory.store.put("should", key, b"x")
    deliver(memory, ["a", "c"])
    if location is None:  # imported by somebody else before
        memory.run(have__mode=ScanMode.AWS_INVENTORY, have__inventory="s3://reports/inv")
    report = memory.run(have__mode=ScanMode.AWS_INVENTORY, have__inventory=location)
    # b came after the report: a report that old cannot know it
    assert kinds(report) == {"b": "stale", "c": "extra"}
    assert report.mode is ScanMode.AWS_INVENTORY
    assert report.have.kind is SideKind.AWS_INVENTORY
    assert report.have.as_of == NOW - timedelta(days=2)


def test_several_configurations_have_to_be_told_apart(memory):
    deliver(memory, ["a"])
    deliver(memory, ["a"], config_id="weekly")
    with pytest.raises(SideUnavailableError, match="daily, weekly"):
        memory.run(have__mode=ScanMode.AWS_INVENTORY, have__inventory="s3://reports/inv")


def test_no_report_anywhere_is_said_with_what_helps(memory):
    with pytest.raises(SideUnavailableError, match="no inventory reports of `have`") as caught:
        memory.run(have__mode=ScanMode.AWS_INVENTORY, have__inventory="s3://reports/inv")
    assert "setup check" in caught.value.hint
    with pytest.raises(SideUnavailableError, match="was imported") as caught:
        memory.run(have__mode=ScanMode.AWS_INVENTORY)
    assert "inventory_bucket" in caught.value.hint
    with pytest.raises(ReportNotFoundError):
        memory.run(have__mode=ScanMode.AWS_INVENTORY, have__inventory="s3://reports/inv/have/daily")
    with pytest.raises(InvalidUrlError):
        memory.run(have__mode=ScanMode.AWS_INVENTORY, have__inventory="reports/inv")


def test_a_snapshot_that_covers_is_have_and_its_age_is_shown(world, store):
    store.fill("should", [listed("p/a"), listed("p/b")])
    publish(world.catalog, [row("p/a"), row("p/c"), row("q/z")], bucket="have", kind="list",
            config_id="list", as_of=EARLIER)  # fmt: skip
    report = world.run("s3://have/p/", "s3://should/p/", have__mode=ScanMode.CATALOG)
    assert report.have.kind is SideKind.CATALOG
    assert report.have.as_of == EARLIER
    assert report.have.requests is None
    assert report.totals.extra == 1
    with pytest.raises(SideUnavailableError, match="no snapshot that covers s3://other/"):
        world.run("s3://other/", have__mode=ScanMode.CATALOG)
    with pytest.raises(SnapshotNotFoundError):
        world.run(have__mode=ScanMode.CATALOG, have__snapshot="previous")


def test_what_was_made_after_the_snapshot_is_not_called_missing(world, store):
    """A HAVE of last week cannot know it: stale, not missing; files from the future are missing."""
    future = NOW + timedelta(days=900)
    store.fill(
        "should",
        [
            listed("before", last_modified=EARLIER - timedelta(days=1)),
            listed("since", last_modified=EARLIER + timedelta(days=1)),
            listed("wrong-clock", last_modified=future),
        ],
    )
    publish(world.catalog, [row("x")], bucket="have", kind="list", as_of=EARLIER)
    report = world.run(have__mode=ScanMode.CATALOG)
    found = kinds(report)
    assert found == {
        "before": "missing",
        "since": "stale",
        "wrong-clock": "missing",
        "x": "extra",
    }


def test_a_snapshot_that_is_too_old_is_a_finding_or_a_sample_instead(world, store):
    store.fill("should", [listed("a")])
    store.fill("have", [listed("a")])
    publish(world.catalog, [row("a")], bucket="have", kind="list", as_of=NOW - timedelta(days=3))
    asked = {"have__mode": ScanMode.CATALOG, "have__max_age_s": DAY_S}
    report = world.run(**asked)
    assert [(str(one.kind), one.is_prefix) for one in report.findings] == [("stale", True)]
    assert world.run(**{**asked, "have__max_age_s": 7 * DAY_S}).findings_total == 0
    instead = world.run(**asked, have__fallback_to_sample=True)
    assert instead.mode is ScanMode.SAMPLE
    assert "older than allowed" in instead.fell_back
    assert instead.findings_total == 0


@pytest.mark.parametrize(
    "asked",
    [
        {"have__mode": ScanMode.CATALOG},
        {"have__mode": ScanMode.AWS_INVENTORY},
        {"have__mode": ScanMode.AWS_INVENTORY, "have__inventory": "s3://nowhere/inv"},
    ],
)
def test_what_is_not_to_be_had_becomes_a_sample_if_that_is_allowed(world, store, asked):
    store.fill("should", [listed("a"), listed("b")])
    store.fill("have", [listed("a")])
    report = world.run(**asked, have__fallback_to_sample=True)
    assert report.mode is ScanMode.SAMPLE
    assert report.fell_back.startswith(f"{asked['have__mode']} is not to be had: ")
    assert kinds(report) == {"b": "missing"}
    assert report.have.kind is SideKind.SAMPLE


def test_a_listing_that_fails_in_the_middle_becomes_a_sample_without_doubled_findings(
    world, store, tmp_path
):
    store.fill("should", [listed(f"{n:05}") for n in range(3_000)])
    store.fill("have", [listed(f"{n:05}") for n in range(2_999)])
    original, calls = store.list_columns, []

    def failing(query):
        calls.append(query)
        if query.bucket == "have" and len([c for c in calls if c.bucket == "have"]) == 2:
            raise AccessDeniedError("not allowed any more")
        return original(query)

    store.list_columns = failing
    file = tmp_path / "found.jsonl"
    report = world.run(have__fallback_to_sample=True, findings_file=file)
    assert report.mode is ScanMode.SAMPLE
    assert "not allowed any more" in report.fell_back
    assert len(file.read_text().splitlines()) == report.findings_total == 1


def test_a_should_that_fails_is_no_reason_for_a_sample(world, store):
    store.fill("have", [listed("a")])
    with pytest.raises(BucketNotFoundError):
        world.run(have__fallback_to_sample=True)


def test_without_a_fallback_the_error_says_what_is_wrong(world, store):
    store.fill("should", [])
    with pytest.raises(BucketNotFoundError):
        world.run()


def test_a_snapshot_as_should_shows_what_changed_since(world, store):
    publish(world.catalog, [row("p/a"), row("p/b")], bucket="have", kind="list", as_of=EARLIER)
    changed = listed("p/a", etag="c" * 32)
    store.fill("have", [changed, listed("p/new")])
    report = world.run("s3://have/p/", "have@latest", should__kind=ShouldKind.SNAPSHOT)
    assert kinds(report) == {
        "a": "checksum-mismatch",  # the same place: another ETag is another object
        "b": "missing",
        "new": "extra",
    }


def test_a_bucket_of_another_store_has_to_be_openable(world, store):
    store.fill("have", [])
    with pytest.raises(SideUnavailableError, match="https://elsewhere"):
        world.run(should__endpoint_url="https://elsewhere")


def test_a_snapshot_of_another_prefix_is_no_should_for_all(world, store):
    publish(world.catalog, [row("p/a")], bucket="have", kind="list", prefix="p/")
    store.fill("have", [listed("q/a")])
    with pytest.raises(SideUnavailableError, match="does not cover s3://have/q/"):
        world.run("s3://have/q/", "have@latest", should__kind=ShouldKind.SNAPSHOT)


def test_a_bucket_without_key_order_cannot_be_sampled(world):
    with pytest.raises(StrategyRefusedError, match="cannot be sampled"):
        world.run("s3://have--use1-az4--x-s3/", have__mode=ScanMode.SAMPLE)


def test_memory_ends_are_given_back_when_a_sample_fails_in_the_middle(world, store):
    store.fill("should", [listed(f"{n:06}") for n in range(40_000)])
    with pytest.raises(BucketNotFoundError):
        world.run(have__mode=ScanMode.SAMPLE)
    assert not [one for one in threading.enumerate() if one.name.startswith("stocktake-sample")]


def test_a_bucket_of_the_same_name_at_another_store_has_other_objects(world, store):
    """Its ETags may be made otherwise: another one is no other object."""
    other = RowStore()
    other.fill("have", [listed("a", etag="1" * 32), listed("b")])
    store.fill("have", [listed("a", etag="2" * 32), listed("c")])
    world.elsewhere["http://other"] = other
    report = world.run(should="s3://have/", should__endpoint_url="http://other")
    assert kinds(report) == {"b": "missing", "c": "extra"}
    assert report.totals.unproven == 1
    assert other.calls == store.calls == 1


def away_after(store, bucket: str, calls: int):
    """The store refuses that bucket after so many pages."""
    original, seen = store.list_columns, []

    def failing(query):
        if query.bucket == bucket:
            seen.append(query)
            if len(seen) > calls:
                raise AccessDeniedError("not allowed any more")
        return original(query)

    store.list_columns = failing


@pytest.mark.parametrize("side", ["have", "should"])
def test_a_store_that_fails_in_the_middle_leaves_a_partial_report_of_what_is_true(
    world, store, side
):
    keys = [f"{n:05}" for n in range(40_000)]
    store.fill("should", [listed(key) for key in keys])
    store.fill("have", [listed(key) for key in keys[:5] + keys[6:]])
    away_after(store, side, 25)
    report = world.run(have__workers=1, fail_on=Severity.CRITICAL)
    assert report.interrupted
    assert report.exit_code == 3
    assert kinds(report) == {"00005": "missing"}
    assert 0 < report.totals.should < 40_000
    assert report.notes == ("stopped before the end: not allowed any more",)
    with pytest.raises(AccessDeniedError):  # before anything was compared
        world.run()


def test_a_listing_that_was_stopped_proves_no_rule_about_all_of_it(world, store):
    store.fill("have", [listed(f"{n:05}") for n in range(40_000)])
    away_after(store, "have", 25)
    rules = (
        Rule("few", "", objects=Bounds(40_000, None), required=("39999", "00001")),
        Rule("many", "", objects=Bounds(None, 10)),
    )
    report = world.run(
        should="rules", should__kind=ShouldKind.RULES, should__rules=rules, have__workers=1
    )
    assert [str(one.verdict) for one in report.rules] == [
        "undecided",
        "undecided",
        "held",
        "violated",
    ]
    assert report.interrupted
