"""A lost ledger is made anew: from segments, then LIST and HEAD. SHP-33, SHP-41, fault 61."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stocktake.clock import FixedClock
from stocktake.errors import StoreUnavailableError
from stocktake.manifests import SegmentLog, manifest_prefix
from stocktake.ship import (
    FileJob,
    ObjectResult,
    PlannedObject,
    PlanSummary,
    ReadySource,
    ShipSettings,
    SourceJob,
    SourceKind,
    SourceState,
)
from stocktake.ship._folder import identity_of
from stocktake.ship._keys import member_key, plain_key, table_key
from stocktake.ship._kinds import kind_of
from stocktake.ship._ledger import Ledger
from stocktake.ship._ledger_segments import write_segments
from stocktake.ship._metadata import object_metadata
from stocktake.ship._rebuild import RebuildReport, rebuild_ledger
from stocktake.store import PutOptions
from stocktake.telemetry import Meter
from stocktake.testing import FaultStore, MemoryStore, Planned

BUCKET = "photos"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
FILES = {
    b"a.bin": b"alpha",
    b"d/caf\xe9 %.bin": b"beta",
    b" spaced .bin": b"gamma",
    b"t.csv": b"a\n1\n",
    b"x.zip": b"an archive",
}
MEMBERS = ("m0.bin", "t/m1.csv", "m2.bin")


class World:
    """A folder, a bucket and ledgers that come and go."""

    def __init__(self, root: Path) -> None:
        self.clock = FixedClock(NOW)
        self.meter = Meter()
        self.store = MemoryStore(clock=self.clock, meter=self.meter)
        self.store.describe("CreateBucket", BUCKET)
        self.folder = root / "watched"
        self.settings = ShipSettings(self.folder, BUCKET, prefix="in/", dataset="cameras")
        self.root = root
        self.number = 0
        self.ledger = self.new_ledger()
        rebuild_ledger(self.ledger, self.store, self.settings)
        for path, body in FILES.items():
            self.write(path, body)

    def new_ledger(self) -> Ledger:
        self.number += 1
        return Ledger.open(self.root / f"ledger{self.number}.db", clock=self.clock)

    def lose_ledger(self, **changes: object) -> RebuildReport:
        self.ledger.close()
        self.ledger = self.new_ledger()
        settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        return rebuild_ledger(self.ledger, self.store, settings)

    def write(self, path: bytes, body: bytes) -> None:
        place = self.folder / os.fsdecode(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body)

    def arrive(self) -> None:
        """What the arrival would report: all files, as they are."""
        found = []
        for place in sorted(self.folder.rglob("*")):
            if place.is_file():
                path = os.fsencode(place.relative_to(self.folder))
                kind = kind_of(self.settings, path, 1)
                found.append(ReadySource(path, identity_of(place.stat()), kind))
        known = {path: identity for path, identity, _ in self.ledger.identities()}
        self.ledger.add_sources([one for one in found if known.get(one.path) != one.identity])

    def ship(self) -> list[str]:
        """Ship what is pending; gives the keys that were written, and over which ETag."""
        self.arrive()
        written = []
        jobs, ends = self.ledger.claim_files(
            files_max=99,
            bytes_max=10**9,
            small_max_bytes=10**6,
            key_of=lambda path: plain_key(self.settings, path),
        )
        assert not ends
        for job in jobs:
            written.append(self.put(job.source, job, job.key, None, job.replaces_etag))
        while (plan := self.ledger.claim_plan()) is not None:
            self.plan(plan)
        while (source := self.ledger.claim_ship()) is not None:
            for one in self.ledger.next_objects(source.source_id, -1, 99):
                planned = one.planned
                written.append(self.put(source, one, planned.key, planned.entry, one.replaces_etag))
            self.ledger.end_source(source.source_id)
        return written

    def plan(self, job: SourceJob) -> None:
        sha256 = self.sha256(job)
        if job.kind is SourceKind.TABLE:
            key = table_key(self.settings, job.path)
            plan = {"columns": [{"name": "a", "type": "int64", "why": "all"}]}
            objects = [PlannedObject(0, None, key, "csv", 4, 99, sha256, plan)]
        else:
            objects = [self.member(job, place, name, sha256) for place, name in enumerate(MEMBERS)]
        self.ledger.add_planned(job.source_id, objects)
        self.ledger.end_plan(job.source_id, PlanSummary(sha256, len(objects)))

    def member(self, job: SourceJob, place: int, name: str, sha256: str) -> PlannedObject:
        table = "csv" if name.endswith(".csv") else None
        key = member_key(self.settings, job.path, name, table is not None)
        size_bytes = len(key) + 65
        own = hashlib.sha256(sha256.encode() + name.encode()).hexdigest()
        return PlannedObject(place, name, key, table, size_bytes, size_bytes, own)

    def sha256(self, job: SourceJob) -> str:
        place = self.folder / os.fsdecode(job.path)
        return hashlib.sha256(place.read_bytes()).hexdigest()

    def put(
        self, source: SourceJob, job: object, key: str, entry: str | None, over: str | None
    ) -> str:
        sha256 = self.sha256(source)
        token: str = job.token  # type: ignore[attr-defined]
        metadata = object_metadata(
            source, sha256, token=token, ship_id=self.ledger.ship_id, entry=entry
        )
        body = b"%s %s" % (key.encode(), sha256.encode())
        options = PutOptions(metadata=metadata, if_absent=over is None, if_match=over)
        head = self.store.put(BUCKET, key, body, options)
        own = sha256
        if not isinstance(job, FileJob):
            own = job.planned.sha256  # type: ignore[attr-defined]
        md5 = hashlib.md5(body).hexdigest()
        self.ledger.complete(
            [
                ObjectResult(
                    job.object_id,  # type: ignore[attr-defined]
                    *(len(body), None, md5, own, head.etag, None, None, None, "checksum"),
                )
            ]
        )
        return key

    def segments(self) -> int:
        prefix = manifest_prefix("in/", "cameras")
        return write_segments(self.ledger, SegmentLog(self.store, BUCKET, prefix))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.ledger.close()


def test_lost_ledger_comes_back_from_segments_without_an_upload(world: World) -> None:
    """SHP-41: an archive is planned again, and what it has uploaded stands."""
    keys = world.ship()
    assert len(keys) == 7
    token = world.store.head(BUCKET, "in/a.bin").metadata["stocktake-token"]
    assert world.segments() == 7
    before = world.meter.calls.get("HeadObject", 0)
    report = world.lose_ledger()
    assert (report.records, report.matched, report.headed) == (7, 7, 0)
    assert world.meter.calls.get("HeadObject", 0) == before
    assert world.ledger.counts() == {SourceState.COMPLETED: 4, SourceState.PENDING: 1}
    assert world.ledger.knows_token(token)
    assert world.ship() == ["in/x/t/m1.parquet"]  # a table: only its own bytes' hash is known
    assert world.ledger.counts() == {SourceState.COMPLETED: 5}
    # numbers go on where the lost ledger ended
    assert [number for number, _ in world.ledger.uploads_after(7, 9)] == [8]


def test_what_changed_meanwhile_is_shipped_over_our_own_objects(world: World) -> None:
    world.ship()
    world.segments()
    world.write(b"a.bin", b"changed")
    world.write(b"t.csv", b"a\n1\n2\n")
    (world.folder / "x.zip").unlink()
    report = world.lose_ledger()
    assert report.matched == 2
    assert world.ship() == ["in/a.bin", "in/t.parquet"]
    assert world.ship() == []


def test_same_size_and_time_but_other_bytes_are_found_with_checksums(world: World) -> None:
    """Fault 21."""
    world.ship()
    world.segments()
    status = (world.folder / "a.bin").stat()
    world.write(b"a.bin", b"ALPHA")
    os.utime(world.folder / "a.bin", ns=(status.st_atime_ns, status.st_mtime_ns))
    report = world.lose_ledger(checksum=True)
    assert (report.records, report.matched) == (7, 6)
    assert "in/a.bin" in world.ship()


def test_objects_in_no_segment_are_asked_for(world: World) -> None:
    """The last minute before the ledger was lost."""
    world.ship()
    report = world.lose_ledger()
    assert (report.records, report.headed, report.adopted, report.foreign) == (0, 7, 7, 0)
    again = world.ship()
    assert sorted(again) == ["in/x/m0.bin", "in/x/m2.bin", "in/x/t/m1.parquet"]
    for key in again:
        assert world.ledger.knows_token(world.store.head(BUCKET, key).metadata["stocktake-token"])
    assert world.segments() == 10
    assert world.lose_ledger().headed == 0


def test_objects_of_others_are_neither_adopted_nor_touched(world: World) -> None:
    """SHP-31, SHP-33: never what is not proven ours."""
    world.ship()
    stranger = {"stocktake-token": "f" * 32, "stocktake-ship": "somebody"}
    world.store.put(BUCKET, "in/foreign", b"x", PutOptions(metadata=stranger))
    world.store.put(BUCKET, "in/plain", b"x")
    world.store.put(BUCKET, "outside", b"x")
    report = world.lose_ledger()
    assert (report.headed, report.adopted, report.foreign) == (9, 7, 2)
    assert not world.ledger.knows_token("f" * 32)


def test_rebuild_that_is_run_twice_or_killed_between_changes_nothing(world: World) -> None:
    world.ship()
    world.segments()
    world.lose_ledger()
    rows = world.ledger.sources(limit=99)
    rebuild_ledger(world.ledger, world.store, world.settings)
    assert world.ledger.sources(limit=99) == rows
    world.ship()
    counts = world.ledger.counts()
    rebuild_ledger(world.ledger, world.store, world.settings)
    assert world.ledger.counts() == counts == {SourceState.COMPLETED: 5}
    assert world.ship() == []


def test_bucket_that_is_away_is_told_and_the_rebuild_goes_on_later(world: World) -> None:
    world.ship()
    world.segments()
    world.ledger.close()
    world.ledger = world.new_ledger()
    away = Planned("list_page", error=StoreUnavailableError("away"), times=1)
    faulty = FaultStore(world.store, [away])
    with pytest.raises(StoreUnavailableError):
        rebuild_ledger(world.ledger, faulty, world.settings)
    assert rebuild_ledger(world.ledger, faulty, world.settings).records == 7


def test_object_overwritten_by_a_stranger_is_looked_at(world: World) -> None:
    world.ship()
    world.segments()
    world.store.put(BUCKET, "in/a.bin", b"not ours")
    report = world.lose_ledger()
    assert (report.headed, report.foreign) == (1, 1)


def test_objects_that_are_no_longer_in_the_bucket_are_shipped_again(world: World) -> None:
    """A manifest is no proof that they are still there."""
    world.ship()
    world.segments()
    world.store.delete(BUCKET, ["in/a.bin", "in/x/m2.bin"])
    report = world.lose_ledger()
    assert (report.records, report.missing) == (7, 2)
    assert world.ship() == ["in/a.bin", "in/x/t/m1.parquet", "in/x/m2.bin"]


def test_uploads_below_an_earlier_prefix_are_believed(world: World) -> None:
    world.ship()
    world.segments()
    world.settings = replace(world.settings, prefix="in/d/")
    for one in SegmentLog(world.store, BUCKET, manifest_prefix("in/", "cameras")).segments():
        moved = one.key.replace("in/", "in/d/", 1)
        world.store.put(BUCKET, moved, world.store.get(BUCKET, one.key).read())
    report = world.lose_ledger()
    assert (report.records, report.missing) == (7, 0)


def test_empty_bucket_gives_an_empty_ledger(world: World) -> None:
    assert world.lose_ledger() == RebuildReport()
    assert world.ledger.counts() == {}
