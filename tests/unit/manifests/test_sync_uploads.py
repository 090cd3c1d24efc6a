"""What a sync sends in parts, and what it makes of answers that are lost or odd (MAN-3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from folder_sync_world import (
    BUCKET,
    PREFIX,
    FolderSyncWorld,
    SyncServer,
    folder_sync_world,
    sync_server,
)
from stocktake.errors import (
    AccessDeniedError,
    DigestRefusedError,
    PreconditionFailedError,
    StoreUnavailableError,
    UnsupportedOperationError,
)
from stocktake.manifests import OnConflict
from stocktake.store import PutOptions, RetryPolicy, S3StoreOptions, Store, open_store
from stocktake.testing import FaultStore, Planned

MIB = 1 << 20
LARGE = bytes(range(256)) * (11 * MIB // 256) + b"end"
PARTS: dict[str, Any] = {"multipart_bytes_min": 6 * MIB, "part_bytes_min": 5 * MIB}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncServer]:
    with sync_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, server: SyncServer) -> Iterator[FolderSyncWorld]:
    with folder_sync_world(tmp_path, server) as world:
        yield world


def test_a_large_file_goes_in_parts_and_is_known_by_their_etag(world: FolderSyncWorld) -> None:
    world.write({"large": LARGE, "small": b"s"})
    result = world.sync(**PARTS)
    assert (result.uploaded, result.uploaded_bytes) == (2, len(LARGE) + 1)
    assert world.calls["UploadPart"] == 3
    record = world.entries()["large"].record
    assert (record.etag or "").endswith("-3")
    assert (record.part_size_bytes, record.verified_by) == (5 * MIB, "checksum")
    world.check_agreement()
    assert world.sync(**PARTS).identical == 2
    assert world.calls == {"ListObjectsV2": 1}


def test_a_large_file_that_is_there_is_recognised_by_its_part_size(
    world: FolderSyncWorld,
) -> None:
    upload = world.store.begin_upload(BUCKET, PREFIX + "large", PutOptions())
    cuts = range(0, len(LARGE), 8 * MIB)
    etags = {
        number: upload.put_part(number, LARGE[start : start + 8 * MIB])
        for number, start in enumerate(cuts, start=1)
    }
    upload.complete(etags)
    world.write({"large": LARGE})
    result = world.sync()
    assert (result.uploaded, result.recorded) == (0, 1)
    assert world.calls == {"ListObjectsV2": 1}
    world.check_agreement()


@pytest.mark.parametrize("verb", ["put", "complete"])
@pytest.mark.parametrize(
    "error",
    [StoreUnavailableError("cut"), PreconditionFailedError("our own first try")],
    ids=["lost", "refused"],
)
def test_an_answer_that_was_lost_is_settled_by_looking(
    world: FolderSyncWorld, verb: str, error: Exception
) -> None:
    world.write({"a": b"x"} if verb == "put" else {"large": LARGE})
    world.store.add(Planned(verb, error, after_effect=True))  # type: ignore[arg-type]
    result = world.sync(**PARTS)
    assert (result.uploaded, result.failed, result.conflicts) == (1, 0, 0)
    world.check_agreement()


@pytest.mark.parametrize("verb", ["put", "put_part", "complete", "begin_upload"])
def test_what_the_store_refuses_is_told_and_hinders_nobody(
    world: FolderSyncWorld, verb: str
) -> None:
    world.write({"large": LARGE} | {f"small-{number}": b"x" for number in range(3)})
    world.store.add(Planned(verb, AccessDeniedError("no")))
    result = world.sync(workers=1, **PARTS)
    assert (result.uploaded, result.failed, result.state) == (3, 1, "partial")
    assert [one.kind for one in result.findings] == ["failed"]
    assert world.open_uploads() == []
    assert world.sync(**PARTS).uploaded == 1
    world.check_agreement()


def test_what_somebody_puts_there_meanwhile_is_not_overwritten(world: FolderSyncWorld) -> None:
    world.write({"a": b"mine", "large": LARGE})
    _before(world, "put", lambda: world.put("a", b"theirs"))
    _before(world, "complete", lambda: world.put("large", b"theirs"))
    result = world.sync(**PARTS)
    assert (result.uploaded, result.conflicts) == (0, 2)
    assert world.objects() == {"a": b"theirs", "large": b"theirs"}
    assert world.entries() == {}
    assert world.open_uploads() == []


def test_what_somebody_changes_meanwhile_is_not_overwritten(world: FolderSyncWorld) -> None:
    world.write({"a": b"mine"})
    world.sync()
    world.write({"a": b"mine too"})
    _before(world, "put", lambda: world.put("a", b"theirs"))
    assert world.sync(on_conflict=OnConflict.LOCAL).conflicts == 1
    assert world.objects() == {"a": b"theirs"}


def test_the_same_bytes_of_somebody_else_are_adopted(world: FolderSyncWorld) -> None:
    world.write({"a": b"same"})
    _before(world, "put", lambda: world.put("a", b"same"))
    result = world.sync()
    assert (result.uploaded, result.recorded, result.conflicts) == (0, 1, 0)
    assert world.entries()["a"].record.verified_by == "adopted"
    world.check_agreement()


def test_a_store_without_conditions_is_written_after_a_look(world: FolderSyncWorld) -> None:
    world.write({"a": b"1", "b": b"2"})
    world.store.add(Planned("put", UnsupportedOperationError("no conditions")))
    result = world.sync(workers=1)
    assert result.uploaded == 2
    assert any("condition" in one for one in result.warnings)
    world.check_agreement()


def test_a_store_that_reckons_whole_checksums_otherwise_is_sent_none(
    world: FolderSyncWorld,
) -> None:
    world.write({"large": LARGE, "large-too": LARGE})
    world.store.add(Planned("complete", DigestRefusedError("another one")))
    result = world.sync(workers=1, **PARTS)
    assert (result.uploaded, result.failed) == (2, 0)
    assert world.calls["UploadPart"] == 9
    assert {one.record.verified_by for one in world.entries().values()} == {"etag"}
    world.check_agreement()
    world.write({"large": LARGE[::-1]})
    world.store.add(Planned("complete", DigestRefusedError("damaged"), times=2))
    assert world.sync(**PARTS).failed == 1
    assert world.objects()["large"] == LARGE


def test_a_file_that_changes_while_it_is_sent_does_not_become_an_object(
    world: FolderSyncWorld,
) -> None:
    world.write({"large": LARGE, "small": b"s"})
    path = world.folder / "large"
    _before(world, "put_part", lambda: path.write_bytes(LARGE[::-1]))
    result = world.sync(**PARTS)
    assert (result.uploaded, result.failed) == (1, 1)
    assert result.findings[0].code == "source-changed"
    assert set(world.objects()) == {"small"}
    assert world.open_uploads() == []
    assert world.sync(**PARTS).uploaded == 1
    world.check_agreement()


def test_a_store_that_goes_away_ends_it_and_everything_finished_is_kept(
    world: FolderSyncWorld,
) -> None:
    world.write({f"{number:03}": b"x" for number in range(100)})
    world.store.add(Planned("put", StoreUnavailableError("cut"), skip=20, times=10**6))
    world.store.add(Planned("head", StoreUnavailableError("cut"), times=10**6))
    result = world.sync(workers=2)
    assert result.state == "partial"
    assert 18 <= result.uploaded <= 22
    assert result.not_done > 0
    assert result.failed == 0
    assert {one.kind for one in result.findings} == {"not-done"}
    assert len(world.entries()) == result.uploaded
    run = world.dataset.runs()[0]
    assert (run.state, run.result["uploaded"]) == ("partial", result.uploaded)


def test_a_dead_store_is_an_error_not_a_result(world: FolderSyncWorld) -> None:
    world.write({"a": b"1"})
    world.store = FaultStore(_dead_store())
    with pytest.raises(StoreUnavailableError):
        world.sync()
    assert world.dataset.runs()[0].state == "failed"


def _dead_store() -> Store:
    return open_store(
        S3StoreOptions(
            endpoint_url="http://127.0.0.1:9",
            access_key_id="a",
            secret_access_key="b",
            retry=RetryPolicy(attempts_max=1),
        )
    )


def _before(world: FolderSyncWorld, verb: str, deed: Callable[[], Any]) -> None:
    """Do something at the instant before the store gets the next call of that verb."""

    class Deed(Planned):
        def takes(self, verb: str, key: str | None) -> bool:
            mine = super().takes(verb, key)
            if mine:
                deed()
            return mine

    world.store.add(Deed(verb))
