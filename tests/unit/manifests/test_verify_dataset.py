"""What each level of verification finds, what it cannot, and what it costs (MAN-4, MAN-5)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from restore_world import BUCKET, PREFIX, RestoreWorld, Served, record_of, restore_world, serve
from stocktake.clock import SystemClock
from stocktake.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    LocalFolderError,
    StoreUnavailableError,
    UsageError,
)
from stocktake.manifests import RunKind, VerifyLevel, VerifyOptions, VerifyResult, verify_dataset
from stocktake.store import PutOptions
from stocktake.testing import FaultStore, Planned
from stocktake.testing._blobs import BytesBlob, md5_hex

FILES = {f"d/{n:02}.bin": b"%02d" % n * 50 for n in range(20)}
VICTIM = "d/07.bin"
LIST, HEAD, FULL, LOCAL = VerifyLevel


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as served:
        yield served


@pytest.fixture
def world(served: Served, tmp_path: Path) -> Iterator[RestoreWorld]:
    with restore_world(served, tmp_path) as world:
        yield world


def _verify(world: RestoreWorld, level: VerifyLevel, **options: Any) -> VerifyResult:
    return verify_dataset(
        world.dataset,
        world.store,
        level,
        VerifyOptions(**options),
        clock=SystemClock(),
        meter=world.meter,
    )


def _found(result: VerifyResult) -> dict[str, str]:
    return {one.key.removeprefix(PREFIX): str(one.what) for one in result.findings}


def _same_bytes_again(world: RestoreWorld) -> None:
    world.put(VICTIM, FILES[VICTIM])


def _other_bytes(world: RestoreWorld) -> None:
    world.put(VICTIM, b"x" * len(FILES[VICTIM]))


def _rot(world: RestoreWorld) -> None:
    world.rot(VICTIM, blob=BytesBlob(b"x" * len(FILES[VICTIM])))


def _metadata(world: RestoreWorld) -> None:
    world.rot(VICTIM, metadata={"stocktake-token": "another"})


def _reuploaded_in_parts(world: RestoreWorld) -> None:
    """The same bytes, so the same checksum, under another kind of ETag."""
    version = world.fake.buckets[BUCKET].table.find(PREFIX + VICTIM)
    world.rot(VICTIM, etag=md5_hex(b"parts") + "-2", checksums=version.checksums)


DAMAGES: dict[str, tuple[Callable[[RestoreWorld], None], str | None, str | None, str | None]] = {
    # what is done, and as what it is found at list, head and full
    "deleted": (lambda w: w.delete(VICTIM), "missing", "missing", "missing"),
    "truncated": (lambda w: w.put(VICTIM, b"short"), "size", "size", "size"),
    "same size, other bytes": (_other_bytes, "etag", "etag", "checksum"),
    "the same bytes again": (_same_bytes_again, None, "changed", "changed"),
    "other metadata": (_metadata, None, "changed", "changed"),
    "the same bytes in parts": (_reuploaded_in_parts, "etag", "changed", "changed"),
    "damage at rest": (_rot, None, None, "checksum"),
    "extra": (lambda w: w.put("d/new", b"?"), "extra", "extra", "extra"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_found_at_the_levels_that_can(world: RestoreWorld, name: str) -> None:
    """The table in docs/how-to/verify-and-restore.md is this one."""
    world.add(FILES)
    damage, *expected = DAMAGES[name]
    damage(world)
    for level, what in zip((LIST, HEAD, FULL), expected, strict=True):
        result = _verify(world, level)
        victim = "d/new" if name == "extra" else VICTIM
        assert _found(result) == ({} if what is None else {victim: what}), level
        assert result.differences == (what is not None)
        assert result.blind_spots


@pytest.mark.parametrize(
    ("level", "calls", "received"),
    [
        (LIST, {"ListObjectsV2": 1}, False),
        (HEAD, {"ListObjectsV2": 1, "HeadObject": 20}, False),
        (FULL, {"ListObjectsV2": 1, "GetObject": 20}, True),
    ],
)
def test_calls_and_bytes_of_each_level(
    world: RestoreWorld, level: VerifyLevel, calls: dict[str, int], received: bool
) -> None:
    world.add(FILES)
    result = _verify(world, level)
    assert result.calls == calls
    assert (result.received_bytes >= result.size_bytes) is received
    assert (result.checked, result.identical, result.unproven) == (20, 20, 0)
    assert result.is_whole


def test_listing_of_many_costs_one_call_for_a_thousand(world: RestoreWorld) -> None:
    world.enter(*(record_of(f"{n:05}", b"x") for n in range(1500)))
    version = _version(world, b"x")
    table = world.fake.buckets[BUCKET].table
    for n in range(1500):
        table.put(replace(version, key=f"{PREFIX}{n:05}"))
    result = _verify(world, LIST)
    assert result.calls == {"ListObjectsV2": 2}
    assert result.identical == 1500


def _version(world: RestoreWorld, data: bytes) -> Any:
    world.put("one", data)
    version = world.fake.buckets[BUCKET].table.find(PREFIX + "one")
    world.delete("one")
    return version


def test_version_of_the_bucket_is_compared(served: Served, tmp_path: Path) -> None:
    """The same bytes with the same token, written once more: only the version tells."""
    with restore_world(served, tmp_path, versioned=True) as world:
        world.add({"a": b"1"})
        version = world.fake.buckets[BUCKET].table.find(PREFIX + "a")
        world.put("a", b"1", PutOptions(metadata=version.metadata))
        assert _found(_verify(world, LIST)) == {}
        assert _found(_verify(world, HEAD)) == {"a": "changed"}


def test_own_objects_and_folder_markers_are_not_extra(world: RestoreWorld) -> None:
    world.add(FILES)
    world.put(".stocktake/manifests/16_s3_manifest.json", b"{}")
    world.put("", b"")
    world.put("d/", b"")
    world.put("marker with data/", b"x")
    assert _found(_verify(world, LIST)) == {"marker with data/": "extra"}


def test_neighbour_prefix_is_not_looked_at(world: RestoreWorld) -> None:
    world.add(FILES)
    world.store.put(BUCKET, "styles/160/x", b"not ours")
    assert _verify(world, LIST).differences == 0


def test_unreadable_is_no_difference_but_not_whole(world: RestoreWorld) -> None:
    world.add(FILES)
    denied = Planned("get", AccessDeniedError("no permission"), key=PREFIX + VICTIM)
    result = verify_dataset(
        world.dataset, FaultStore(world.store, [denied]), FULL, clock=SystemClock()
    )
    assert _found(result) == {VICTIM: "unreadable"}
    assert result.differences == 0
    assert not result.is_whole


def test_archived_objects_are_compared_as_far_as_they_can_be(world: RestoreWorld) -> None:
    world.add(FILES)
    world.rot(VICTIM, storage_class="DEEP_ARCHIVE")
    assert _verify(world, HEAD).is_whole
    result = _verify(world, FULL)
    assert _found(result) == {VICTIM: "archived"}
    assert not result.is_whole


def test_bytes_without_known_digest_are_counted_as_unproven(world: RestoreWorld) -> None:
    """Imported from another program: a multipart ETag and no digest of the bytes."""
    record = world.upload("a", b"data")
    nothing: dict[str, Any] = {"md5": None, "sha256": None, "crc64nvme": None, "token": ""}
    world.rot("a", etag="0" * 32 + "-7", checksums={})
    world.enter(replace(record, etag="0" * 32 + "-7", **nothing))
    result = _verify(world, FULL)
    assert (result.identical, result.unproven) == (1, 1)
    assert result.differences == 0


def test_sample_looks_at_no_more_and_says_how_sure_it_is(world: RestoreWorld) -> None:
    world.add({f"{n:03}": b"%03d" % n for n in range(300)})
    for n in range(0, 300, 3):
        world.delete(f"{n:03}")
    result = _verify(world, HEAD, sample=60, seed=5)
    assert result.calls == {"HeadObject": 60}
    assert result.checked == 60
    assert result.share is not None
    assert (result.share.drawn, result.share.of) == (60, 300)
    assert result.share.low < 1 / 3 < result.share.high
    again = _verify(world, HEAD, sample=60, seed=5)
    assert again.findings == result.findings
    assert _verify(world, HEAD, sample=60, seed=6).findings != result.findings


def test_interval_of_a_sample_holds_the_truth(world: RestoreWorld) -> None:
    """REC-2's bar for samples, here for those of verify: at least 95 % of 200 seeded runs."""
    from stocktake.manifests._verify_share import draw_entries, share_of

    world.enter(*(record_of(f"{n:04}", b"x") for n in range(2000)))
    entries = list(world.dataset.entries())
    bad = {one.record.s3_key for one in entries[::40]}
    held = 0
    for seed in range(200):
        drawn, total = draw_entries(entries, 150, seed)
        found = sum(one.record.s3_key in bad for one in drawn)
        share = share_of(found, len(drawn), total)
        held += share.low <= len(bad) / total <= share.high
    assert held >= 190
    assert share_of(3, 10, 10).low == share_of(3, 10, 10).high == 0.3


def test_store_that_stops_answering_is_given_up(world: RestoreWorld) -> None:
    world.add({f"{n:03}": b"%03d" % n for n in range(200)})
    dead = Planned("head", StoreUnavailableError("nobody there"), times=10**6, skip=5)
    result = verify_dataset(
        world.dataset,
        FaultStore(world.store, [dead]),
        HEAD,
        VerifyOptions(workers=2),
        clock=SystemClock(),
    )
    assert result.interrupted == "nobody there"
    assert result.checked < 50
    assert result.differences == 0
    assert not result.is_whole


def test_what_is_committed_meanwhile_is_no_finding(
    world: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add(FILES)
    version = world.dataset.info().version
    entries = list(world.dataset.entries(version=version))

    def slowly(**_: object) -> Iterator[object]:
        yield from entries
        world.add({VICTIM: b"a new upload", "d/added": b"new"})
        world.drop("d/08.bin")
        world.delete("d/08.bin")

    world.put(VICTIM, b"a new upload")
    world.put("d/added", b"new")
    world.delete("d/09.bin")
    monkeypatch.setattr(world.dataset, "entries", slowly)
    result = _verify(world, LIST)
    assert _found(result) == {"d/09.bin": "missing"}
    assert result.meanwhile == 2


def test_runs_are_noted(world: RestoreWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(FILES)
    world.delete(VICTIM)
    _verify(world, LIST)
    (run,) = world.dataset.runs(RunKind.VERIFY)
    assert run.state == "done"
    assert run.result["counts"] == {"missing": 1}
    assert run.result["calls"] == {"ListObjectsV2": 1}
    world.fake.buckets.clear()
    with pytest.raises(BucketNotFoundError):
        _verify(world, LIST)
    assert world.dataset.runs(RunKind.VERIFY)[0].state == "failed"


def test_contradicting_options_are_refused(world: RestoreWorld, tmp_path: Path) -> None:
    for level, options in (
        (LIST, {"sample": 5}),
        (LOCAL, {}),
        (LIST, {"folder": tmp_path}),
        (HEAD, {"sample": 0}),
    ):
        with pytest.raises(UsageError):
            _verify(world, level, **options)
    with pytest.raises(UsageError, match="needs a store"):
        verify_dataset(world.dataset, None, LIST, clock=SystemClock())


# --- the local folder ---


@pytest.fixture
def folder(world: RestoreWorld, tmp_path: Path) -> Path:
    """The folder that the dataset was uploaded from."""
    root = tmp_path / "local"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    world.add(FILES)
    return root


def test_folder_is_compared_by_its_bytes_without_a_request(
    world: RestoreWorld, folder: Path
) -> None:
    assert _verify(world, LOCAL, folder=folder).identical == 20
    (folder / VICTIM).write_bytes(b"x" * len(FILES[VICTIM]))
    (folder / "d/01.bin").write_bytes(b"short")
    (folder / "d/02.bin").unlink()
    (folder / "d/new").write_bytes(b"new")
    (folder / "d/.x.0123456789ab-01234567.part").write_bytes(b"unfinished")
    (folder / "d/03.bin").unlink()
    (folder / "d/03.bin").symlink_to("04.bin")
    before = dict(world.meter.calls)
    result = _verify(world, LOCAL, folder=folder)
    assert _found(result) == {
        "d/01.bin": "size",
        "d/02.bin": "missing",
        "d/03.bin": "unreadable",
        VICTIM: "checksum",
        "d/new": "extra",
    }
    assert world.meter.calls == before
    assert result.calls == {}


def test_excluded_files_are_neither_missing_nor_extra(world: RestoreWorld, folder: Path) -> None:
    (folder / "new.tmp").write_bytes(b"")
    (folder / VICTIM).unlink()
    assert _verify(world, LOCAL, folder=folder, exclude=("*.tmp", "07.bin")).differences == 0


def test_names_that_keys_escape_are_found(world: RestoreWorld, folder: Path) -> None:
    raws = {
        "a%0Ab": b"a\nb",
        "caf%E9 1%25": b"caf\xe9 1%",
        "z%0A/y": b"z\n/y",
        "plain 5%": b"plain 5%",
    }
    for key, raw in raws.items():
        path = folder / raw.decode("utf-8", "surrogateescape")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(raw)
        world.enter(replace(world.upload(key, raw), source=key, source_raw=raw.hex()))
    result = _verify(world, LOCAL, folder=folder)
    assert _found(result) == {}
    assert result.identical == 24


def test_what_was_made_of_a_file_is_compared_with_that_file(
    world: RestoreWorld, folder: Path
) -> None:
    """A table's object has other bytes than its CSV; what the manifest says of the CSV counts."""
    csv = b"a,b\n1,2\n"
    (folder / "t.csv").write_bytes(csv)
    table = record_of("t.parquet", b"PAR1...")
    made = replace(
        table, source="t.csv", source_sha256=record_of("x", csv).sha256, source_size_bytes=len(csv)
    )
    world.enter(replace(made, rows=1, sha256=None))
    assert _verify(world, LOCAL, folder=folder).differences == 0
    (folder / "t.csv").write_bytes(b"a,b\n1,3\n")
    assert _found(_verify(world, LOCAL, folder=folder)) == {"t.parquet": "checksum"}
    (folder / "t.csv").unlink()
    assert _found(_verify(world, LOCAL, folder=folder)) == {"t.parquet": "missing"}


def test_foreign_etag_of_parts_is_compared_with_the_file(world: RestoreWorld, folder: Path) -> None:
    import hashlib

    data = bytes(9 << 20)
    part = 8 << 20
    digests = hashlib.md5(data[:part]).digest() + hashlib.md5(data[part:]).digest()
    (folder / "big").write_bytes(data)
    nothing: dict[str, Any] = {"md5": None, "sha256": None, "crc64nvme": None}
    etag = hashlib.md5(digests).hexdigest() + "-2"
    world.enter(replace(record_of("big", data), etag=etag, **nothing))
    result = _verify(world, LOCAL, folder=folder)
    assert (result.differences, result.unproven) == (0, 0)


def test_missing_folder_is_an_error_not_a_thousand_findings(
    world: RestoreWorld, tmp_path: Path
) -> None:
    world.add(FILES)
    with pytest.raises(LocalFolderError):
        _verify(world, LOCAL, folder=tmp_path / "nowhere")


def test_no_thread_is_left(world: RestoreWorld) -> None:
    world.add(FILES)
    _verify(world, HEAD)
    assert not [one for one in threading.enumerate() if one.name.startswith("verify")]
