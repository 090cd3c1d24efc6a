"""One object as one file: only the bytes that the manifest has get their name (MAN-4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from restore_world import BUCKET, PREFIX, RestoreWorld, Served, restore_world, serve
from stocktake.errors import (
    ArchivedObjectError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RestoreMismatchError,
    StoreUnavailableError,
)
from stocktake.manifests import FileHasher
from stocktake.manifests._restore_fetch import Fetched, FetchRequest, check_file, fetch_file
from stocktake.manifests._restore_folder import TargetFolder
from stocktake.manifests._verify_bytes import ByteCheck, Expected
from stocktake.testing import FaultStore, Planned
from stocktake.testing._blobs import BytesBlob

DATA = b"abc" * 1000


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serve() as served:
        yield served


@pytest.fixture
def world(served: Served, tmp_path: Path) -> Iterator[RestoreWorld]:
    with restore_world(served, tmp_path) as world:
        yield world


def _fetch(world: RestoreWorld, expected: Expected, **more: object) -> Fetched:
    request = FetchRequest(BUCKET, PREFIX + "a", expected, b"d/a", **more)  # type: ignore[arg-type]
    with TargetFolder(world.folder, "run") as folder:
        return fetch_file(world.store, request, folder)


def test_object_becomes_a_file(world: RestoreWorld) -> None:
    record = world.upload("a", DATA)
    fetched = _fetch(world, Expected.of(record), mtime_ns=5_000_000_000)
    assert fetched.verdict.same
    assert fetched.verdict.by == "sha256"
    assert world.tree() == {"d/a": DATA}
    assert (world.folder / "d/a").stat().st_mtime_ns == 5_000_000_000


def test_unknown_object_is_taken_with_its_digests(world: RestoreWorld) -> None:
    world.put("a", DATA)
    hasher = FileHasher()
    request = FetchRequest(BUCKET, PREFIX + "a", Expected(None), b"a")
    with TargetFolder(world.folder, "run") as folder:
        fetched = fetch_file(world.store, request, folder, hasher=hasher)
    assert fetched.verdict.same is None
    assert hasher.digests().sha256 == hashlib.sha256(DATA).hexdigest()
    assert fetched.head.etag == hashlib.md5(DATA).hexdigest()


def test_overwritten_object_is_not_taken(world: RestoreWorld) -> None:
    expected = Expected.of(world.upload("a", DATA))
    world.put("a", b"other")
    with pytest.raises(PreconditionFailedError):
        _fetch(world, expected)
    assert world.tree() == {}


def test_same_bytes_under_another_etag_are_taken(world: RestoreWorld) -> None:
    """Uploaded again in parts, or copied from another bucket: the digest decides, not the ETag."""
    expected = Expected.of(world.upload("a", DATA))
    world.rot("a", etag="0" * 32 + "-3")
    assert _fetch(world, expected).verdict.by == "sha256"
    assert world.tree() == {"d/a": DATA}


def test_other_bytes_of_the_same_size_are_another_object(world: RestoreWorld) -> None:
    expected = Expected.of(world.upload("a", DATA))
    world.put("a", b"z" + DATA[1:])
    with pytest.raises(PreconditionFailedError, match="another object"):
        _fetch(world, expected)
    only_etag = Expected(expected.size_bytes, etag=expected.etag)
    with pytest.raises(PreconditionFailedError):
        _fetch(world, only_etag)
    assert world.tree() == {}


def test_deleted_object_is_said_to_be_gone(world: RestoreWorld) -> None:
    expected = Expected.of(world.upload("a", DATA))
    world.delete("a")
    with pytest.raises(ObjectNotFoundError):
        _fetch(world, expected)


@pytest.mark.parametrize("known", ["sha256", "md5", "crc64nvme"])
def test_bytes_that_rotted_get_no_name(world: RestoreWorld, known: str) -> None:
    """The ETag is what it was; only the bytes tell."""
    record = world.upload("a", DATA)
    world.rot("a", blob=BytesBlob(b"x" + DATA[1:]))
    kept: dict[str, Any] = {name: None for name in ("sha256", "md5", "crc64nvme") if name != known}
    with pytest.raises(RestoreMismatchError, match=known):
        _fetch(world, Expected.of(replace(record, **kept)))
    assert world.tree() == {}
    assert not list(world.folder.rglob("*.part"))


def test_etag_alone_never_disproves_bytes(world: RestoreWorld) -> None:
    """Encrypted by KMS, the ETag is no MD5; If-Match has shown that the object is the one meant."""
    record = world.upload("a", DATA)
    world.rot("a", etag="0" * 32)
    only = {"md5": None, "sha256": None, "crc64nvme": None, "etag": "0" * 32}
    fetched = _fetch(world, Expected.of(replace(record, **only)))  # type: ignore[arg-type]
    assert fetched.verdict.same is None
    assert world.tree() == {"d/a": DATA}


def test_other_size_is_not_even_read(world: RestoreWorld) -> None:
    record = world.upload("a", DATA)
    world.rot("a", blob=BytesBlob(DATA[:-1]))
    before = world.meter.received_bytes
    with pytest.raises(RestoreMismatchError, match="2,999 bytes, not 3,000 bytes"):
        _fetch(world, Expected.of(record))
    assert world.meter.received_bytes - before < len(DATA)


def test_version_is_asked_for_only_if_it_is_needed(served: Served, tmp_path: Path) -> None:
    with restore_world(served, tmp_path, versioned=True) as world:
        record = world.upload("a", DATA)
        assert record.version_id
        expected = Expected.of(record)
        calls = world.meter.calls.get("GetObject", 0)
        _fetch(world, expected, version_id=record.version_id)
        assert world.meter.calls["GetObject"] == calls + 1
        world.put("a", b"other")
        (world.folder / "d/a").unlink()
        _fetch(world, expected, version_id=record.version_id)
        assert world.tree() == {"d/a": DATA}
        world.delete("a")
        (world.folder / "d/a").unlink()
        calls = world.meter.calls["GetObject"]
        _fetch(world, expected, version_id=record.version_id, by_version=True)
        assert world.meter.calls["GetObject"] == calls + 1
        assert world.tree() == {"d/a": DATA}


def test_archived_object_is_said_to_be_archived(world: RestoreWorld) -> None:
    expected = Expected.of(world.upload("a", DATA))
    world.rot("a", storage_class="DEEP_ARCHIVE")
    with pytest.raises(ArchivedObjectError):
        _fetch(world, expected)


def test_cut_in_the_middle_leaves_nothing(world: RestoreWorld) -> None:
    expected = Expected.of(world.upload("a", DATA))
    cut = Planned("get", StoreUnavailableError("cut"), after_bytes=1000)
    request = FetchRequest(BUCKET, PREFIX + "a", expected, b"d/a")
    with (
        TargetFolder(world.folder, "run") as folder,
        pytest.raises(StoreUnavailableError),
    ):
        fetch_file(FaultStore(world.store, [cut]), request, folder)
    assert world.tree() == {}


def test_file_of_the_folder_is_compared(world: RestoreWorld) -> None:
    expected = Expected.of(world.upload("a", DATA))
    _fetch(world, expected)
    path = world.folder / "d/a"
    with TargetFolder(world.folder, "run") as folder:
        assert check_file(folder, b"d/a", expected).same
        path.write_bytes(b"y" + DATA[1:])
        assert check_file(folder, b"d/a", expected).same is False
        path.write_bytes(DATA[1:])
        assert check_file(folder, b"d/a", expected).by == "size"


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 25])
@pytest.mark.parametrize("step", [1, 7, 100])
def test_multipart_etag_is_compared_in_its_parts(size: int, step: int) -> None:
    data = bytes(range(size))
    parts = [data[at : at + 10] for at in range(0, size, 10)] or [b""]
    whole = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
    expected = Expected(size, etag=f"{whole}-{len(parts)}", part_size_bytes=10)
    for changed, same in (
        (data, True),
        (data[:-1] + b"!" if data else data, None if data else True),
    ):
        check = ByteCheck(expected)
        for at in range(0, size, step):
            check.update(changed[at : at + step])
        assert check.verdict.same is same
        assert check.verdict.by == "etag"


@pytest.mark.parametrize("etag", [None, "opaque", "d41d8cd98f00b204e9800998ecf8427e-2"])
def test_nothing_to_compare_with_is_not_called_the_same(etag: str | None) -> None:
    """An ETag of parts that no usual part size gives proves nothing."""
    check = ByteCheck(Expected(3, etag=etag))
    check.update(b"abc")
    assert check.verdict.same is None


def test_usual_part_size_is_found_by_itself() -> None:
    """Uploaded by the AWS CLI: 8 MiB parts, and nobody wrote that down."""
    data, part = bytes(9 << 20), 8 << 20
    digests = hashlib.md5(data[:part]).digest() + hashlib.md5(data[part:]).digest()
    check = ByteCheck(Expected(len(data), etag=hashlib.md5(digests).hexdigest() + "-2"))
    check.update(data)
    assert check.verdict.same
    assert check.verdict.by == "etag"
