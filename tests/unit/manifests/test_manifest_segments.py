"""A dataset's manifest in the bucket: segments written once, merged, read newest first."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stocktake.clock import FixedClock
from stocktake.errors import (
    AccessDeniedError,
    ForeignWriterError,
    ObjectNotFoundError,
    SegmentError,
    StoreUnavailableError,
    UnsupportedOperationError,
)
from stocktake.manifests import (
    SegmentLog,
    UploadRecord,
    manifest_prefix,
    record_from_json,
    record_to_json,
)
from stocktake.store import Store
from stocktake.telemetry import Meter
from stocktake.testing import FaultStore, MemoryStore, Planned

BUCKET = "photos"
PREFIX = manifest_prefix("in/", "cameras")
GOLDEN = Path(__file__).parents[2] / "fixtures" / "manifests" / "v1"
NOW = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)


def record(number: int, key: str | None = None) -> UploadRecord:
    return UploadRecord(
        s3_key=key or f"in/{number}",
        size_bytes=number,
        etag=f"{number:032x}",
        version_id=None,
        md5=f"{number:032x}",
        sha256=f"{number:064x}",
        crc64nvme="AAAAAAAAAAE=",
        part_size_bytes=None,
        token=f"{number:032x}",
        uploaded_at=NOW + timedelta(seconds=number),
        verified_by="checksum",
        source=f"d/{number}",
        source_raw=None,
        source_sha256=f"{number:064x}",
        source_size_bytes=number,
        source_mtime_ns=number * 10**9,
    )


TABLE = replace(
    record(3, "in/tafel.parquet"),
    sha256=None,
    part_size_bytes=8 << 20,
    version_id="v1",
    source="caf%E9\n.csv",
    source_raw=b"caf\xe9\n.csv".hex(),
    entry="inner/caf\udce9.csv",
    rows=7,
    columns=({"name": "Größe", "type": "int64", "why": "all rows"},),
)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def store(clock: FixedClock, meter: Meter) -> MemoryStore:
    made = MemoryStore(clock=clock, meter=meter)
    made.describe("CreateBucket", BUCKET)
    return made


def log_of(store: Store) -> SegmentLog:
    return SegmentLog(store, BUCKET, PREFIX)


def names(store: Store) -> list[str]:
    return [one.key.removeprefix(PREFIX) for one in log_of(store).segments()]


def test_records_come_back_newest_first_and_as_they_were(store: MemoryStore) -> None:
    """MAN-1, MAN-2: all fields a manifest needs are in a segment."""
    log = log_of(store)
    key = log.append("ship1", 1, [record(1), record(2), TABLE])
    assert key == f"{PREFIX}000000000001-000000000003-ship1.jsonl.gz"
    assert PREFIX == "in/.stocktake/manifests/cameras/"
    assert list(log.read()) == [TABLE, record(2), record(1)]


def test_later_number_wins_by_key(store: MemoryStore) -> None:
    log = log_of(store)
    log.append("ship1", 1, [record(1, "in/a"), record(2, "in/b")])
    log.append("ship1", 3, [record(3, "in/a"), record(4, "in/c"), record(5, "in/c")])
    assert list(log.read()) == [record(5, "in/c"), record(3, "in/a"), record(2, "in/b")]


def test_reading_costs_one_request_for_a_thousand_segments_and_one_each(
    store: MemoryStore, meter: Meter
) -> None:
    log = log_of(store)
    for number in range(1, 6):
        log.append("ship1", number, [record(number)])
    before = dict(meter.calls)
    assert len(list(log.read())) == 5
    assert meter.calls["ListObjectsV2"] - before["ListObjectsV2"] == 1
    assert meter.calls["GetObject"] - before.get("GetObject", 0) == 5


def test_many_small_segments_become_few(store: MemoryStore) -> None:
    log = log_of(store)
    for number in range(1, 201):
        log.append("ship1", number, [record(number)])
    assert len(names(store)) <= 16
    assert [one.size_bytes for one in log.read()] == list(range(200, 0, -1))


def test_another_process_goes_on_with_the_merging(store: MemoryStore) -> None:
    for number in range(1, 101):
        log_of(store).append("ship1", number, [record(number)])
    assert len(names(store)) <= 16


def test_merge_that_was_killed_between_leaves_everything_twice_and_is_finished_later(
    store: MemoryStore,
) -> None:
    log = log_of(store)
    for number in range(1, 9):
        log.append("ship1", number, [record(number)])
    parts = log.segments()
    bodies = [store.get(BUCKET, one.key).read() for one in parts]
    merged = f"{PREFIX}000000000001-000000000008-ship1.jsonl.gz"
    store.put(BUCKET, merged, b"".join(bodies))
    assert len(names(store)) == 9
    assert [one.size_bytes for one in log.read()] == list(range(8, 0, -1))
    assert log.merge("ship1") == 8
    assert log.merge("ship1") == 0
    assert [one.size_bytes for one in log.read()] == list(range(8, 0, -1))
    assert names(store) == ["000000000001-000000000008-ship1.jsonl.gz"]


def test_merge_without_the_right_to_delete_loses_nothing(store: MemoryStore) -> None:
    refused = AccessDeniedError("no")
    faulty = FaultStore(store, [Planned("delete", error=refused, times=10**6)])
    log = SegmentLog(faulty, BUCKET, PREFIX)
    for number in range(1, 40):
        log.append("ship1", number, [record(number)])
    assert [one.size_bytes for one in log.read()] == list(range(39, 0, -1))


def test_segments_of_other_ledgers_are_never_merged_or_removed(store: MemoryStore) -> None:
    log = log_of(store)
    log.append("other", 1, [record(500, "in/other")])
    for number in range(1, 33):
        log.append("ship1", number, [record(number)])
    assert "000000000001-000000000001-other.jsonl.gz" in names(store)
    assert record(500, "in/other") in list(log.read())


def test_ledger_that_began_anew_without_a_rebuild_is_newer_than_the_lost_one(
    store: MemoryStore, clock: FixedClock
) -> None:
    log = log_of(store)
    log.append("lost", 900, [record(900, "in/a")])
    clock.advance(60)
    log.append("anew", 1, [record(1, "in/a")])
    assert list(log.read()) == [record(1, "in/a")]


def test_answer_that_is_lost_is_settled_by_the_content(store: MemoryStore) -> None:
    """SHP-31."""
    log = log_of(store)
    first = log.append("ship1", 1, [record(1)])
    assert log.append("ship1", 1, [record(1)]) == first  # as a retry meets it
    with pytest.raises(ForeignWriterError):
        log.append("ship1", 1, [record(2)])
    assert list(log.read()) == [record(1)]


def test_segment_written_again_with_more_records_does_no_harm(store: MemoryStore) -> None:
    """Killed after it was written and before it was recorded; then more was completed."""
    log = log_of(store)
    log.append("ship1", 1, [record(1), record(2)])
    log.append("ship1", 1, [record(1), record(2), record(3)])
    assert [one.size_bytes for one in log.read()] == [3, 2, 1]
    log.merge("ship1")
    assert names(store) == ["000000000001-000000000003-ship1.jsonl.gz"]


def test_store_without_conditional_writes_is_written_without(store: MemoryStore) -> None:
    plan = Planned("put", error=UnsupportedOperationError("501"), times=1)
    SegmentLog(FaultStore(store, [plan]), BUCKET, PREFIX).append("ship1", 1, [record(1)])
    assert list(log_of(store).read()) == [record(1)]


def test_store_that_is_away_is_told(store: MemoryStore) -> None:
    plan = Planned("put", error=StoreUnavailableError("away"), times=1)
    with pytest.raises(StoreUnavailableError):
        SegmentLog(FaultStore(store, [plan]), BUCKET, PREFIX).append("ship1", 1, [record(1)])


def test_segment_that_is_merged_while_it_is_read_is_read_from_the_merged_one(
    store: MemoryStore,
) -> None:
    log = log_of(store)
    for number in range(1, 12):
        log.append("ship1", number, [record(number)])
    reading = log.read()
    assert next(reading).size_bytes == 11
    for number in range(12, 40):
        log.append("ship1", number, [record(number)])
    assert sorted(one.size_bytes for one in reading if one.size_bytes < 11) == list(range(1, 11))


def test_segments_that_vanish_for_ever_are_an_error(store: MemoryStore) -> None:
    log_of(store).append("ship1", 1, [record(1)])
    gone = Planned("get", error=ObjectNotFoundError("gone"), times=100)
    with pytest.raises(ForeignWriterError):
        list(SegmentLog(FaultStore(store, [gone]), BUCKET, PREFIX).read())


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "short", "version", "headless"])
def test_damaged_or_newer_segment_is_an_error_that_names_it(
    store: MemoryStore, damage: str
) -> None:
    log = log_of(store)
    key = log.append("ship1", 1, [record(1), record(2)])
    body = store.get(BUCKET, key).read()
    lines = gzip.decompress(body).splitlines(keepends=True)
    changed = {
        "cut": body[:-20],
        "flipped": body[:60] + bytes([body[60] ^ 1]) + body[61:],
        "text": b"<html>",
        "short": gzip.compress(b"".join(lines[:-1])),
        "version": gzip.compress(lines[0].replace(b'"version":1', b'"version":2')),
        "headless": gzip.compress(b"".join(lines[1:])),
    }[damage]
    store.put(BUCKET, key, changed)
    with pytest.raises(SegmentError, match="version 2" if damage == "version" else key):
        list(log.read())


def test_what_is_not_a_segment_is_passed_over(store: MemoryStore) -> None:
    log = log_of(store)
    store.put(BUCKET, f"{PREFIX}notes.txt", b"hello")
    store.put(BUCKET, f"{PREFIX}deeper/000000000001-000000000001-x.jsonl.gz", b"")
    assert log.segments() == []
    assert list(log.read()) == []


def test_ledgers_of_a_manifest_are_known_before_their_first_segment(store: MemoryStore) -> None:
    log = log_of(store)
    log.add_ship("ship2")
    log.add_ship("ship2")
    log.append("ship1", 1, [record(1)])
    assert log.ship_ids() == {"ship1", "ship2"}


def test_golden_segment_always_loads() -> None:
    """docs/formats/manifest-segment.md: version 1."""
    golden = MemoryStore()
    golden.describe("CreateBucket", BUCKET)
    for path in GOLDEN.glob("*.jsonl.gz"):
        golden.put(BUCKET, PREFIX + path.name, path.read_bytes())
    assert list(log_of(golden).read()) == [TABLE, record(2), record(1)]


def test_same_records_give_the_same_segment_as_ever(store: MemoryStore) -> None:
    key = log_of(store).append("golden", 1, [record(1), record(2), TABLE])
    [path] = GOLDEN.glob("*.jsonl.gz")
    assert key.removeprefix(PREFIX) == path.name
    written = gzip.decompress(store.get(BUCKET, key).read())
    assert written == gzip.decompress(path.read_bytes())


def test_record_of_a_later_version_with_more_fields_is_read() -> None:
    values = json.loads(json.dumps(record_to_json(TABLE))) | {"new": 1}
    assert record_from_json(values) == TABLE
    for missing in ("s3_key", "uploaded_at", "size_bytes"):
        with pytest.raises(SegmentError):
            record_from_json({k: v for k, v in values.items() if k != missing})
