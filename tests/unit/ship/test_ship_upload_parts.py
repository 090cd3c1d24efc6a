"""Large plain files through both sweeps: one multipart upload, its steps, and what may go wrong."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ship_recorder import BUCKET, Desk, at, open_uploads
from stocktake.errors import (
    ObjectNotFoundError,
    PreconditionFailedError,
    SourceTooLargeError,
    StoreUnavailableError,
    ThrottledError,
)
from stocktake.ship._records import (
    Outcome,
    UploadCompleting,
    UploadDropped,
    UploadIntended,
    UploadOpened,
)
from stocktake.store import (
    MIB,
    OBJECT_BYTES_MAX,
    S3_UPLOADS,
    PutOptions,
    crc64nvme,
    encode_crc64nvme,
    part_size_bytes,
    parts_at_once,
)
from stocktake.testing import FaultStore, MemoryStore, Planned, _uploads

BODY = random.Random(3).randbytes(3 * MIB + 17)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(_uploads, "PART_BYTES_MIN", 1)
    store = MemoryStore()
    store.describe("CreateBucket", BUCKET)
    changes = {"part_bytes_min": MIB, "small_max_bytes": MIB}
    desk = Desk(tmp_path / "watched", store, changes=changes)
    yield desk
    desk.tasks.close()


def faulty(desk: Desk, *plans: Planned) -> None:
    desk.again(FaultStore(desk.store, plans))


def test_steps_of_an_upload_are_recorded_in_order(desk: Desk) -> None:
    """SHP-30: the id is on disk before part 1, the completion before it is asked for."""
    end = desk.plan_and_ship(desk.job("big.bin", BODY))
    assert end.outcome is Outcome.DONE, end.error
    assert [type(step) for step in desk.ledger.steps] == [
        UploadIntended,
        UploadOpened,
        UploadCompleting,
    ]
    result = desk.ledger.results["in/big.bin"]
    assert result.crc64nvme == encode_crc64nvme(crc64nvme(BODY))
    assert result.md5 == hashlib.md5(BODY).hexdigest()
    assert result.sha256 == hashlib.sha256(BODY).hexdigest()
    assert (result.part_size_bytes, result.verified_by) == (MIB, "checksum")
    head = desk.store.head(BUCKET, "in/big.bin")
    assert head.checksums == {"crc64nvme": result.crc64nvme}
    assert head.etag is not None
    assert head.etag.endswith("-4")
    assert head.metadata["stocktake-sha256"] == result.sha256
    assert desk.read("big.bin") == BODY
    assert open_uploads(desk.store) == []
    assert end.figures["bytes"] == len(BODY)


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1])
def test_sizes_around_a_part(desk: Desk, size: int) -> None:
    end = desk.plan_and_ship(desk.job("x.bin", BODY[:size]))
    assert end.outcome is Outcome.DONE, end.error
    assert desk.read("x.bin") == BODY[:size]
    assert (desk.ledger.results["in/x.bin"].part_size_bytes is None) == (size <= MIB)


@pytest.mark.parametrize("point", ["ship.upload-recorded", "ship.part-sent", "ship.parts-sent"])
@pytest.mark.parametrize("deed", ["append", "truncate", "replace", "rewrite"])
def test_fault_04_source_that_changes_during_the_upload_leaves_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, point: str, deed: str
) -> None:
    """Faults 3 and 4: the upload is aborted, the file is new when it has come to rest."""
    job = desk.job("big.bin", BODY)
    path = desk.folder / "big.bin"

    def change() -> None:
        if deed == "append":
            with path.open("ab") as file:
                file.write(b"more")
        elif deed == "truncate":
            os.truncate(path, 1000)
        elif deed == "rewrite":
            status = path.stat()
            path.write_bytes(bytes(len(BODY)))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        else:
            (desk.folder / "new").write_bytes(BODY)
            (desk.folder / "new").replace(path)

    at(monkeypatch, point, change)
    end = desk.plan_and_ship(job)
    assert end.outcome is Outcome.CHANGED
    assert open_uploads(desk.store) == []
    assert isinstance(desk.ledger.steps[-1], UploadDropped)
    with pytest.raises(ObjectNotFoundError):
        desk.read("big.bin")


@pytest.mark.parametrize("with_crc", [True, False])
def test_other_bytes_than_planned_never_become_an_object(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, with_crc: bool
) -> None:
    """Even if size and times say that nothing changed: the checksum of sweep 1 is compared."""
    from stocktake.ship._task_source import SourceFile

    if not with_crc:
        desk.profile = DEGRADED
    jobs = [desk.job("big.bin", BODY), desk.job("small.bin", b"1" * 100)]
    for job in jobs:
        assert desk.plan(job).outcome is Outcome.DONE
    monkeypatch.setattr(SourceFile, "_check", lambda self, status: None)
    (desk.folder / "big.bin").write_bytes(BODY[:-1] + b"?")
    (desk.folder / "small.bin").write_bytes(b"2" * 100)
    for job in jobs:
        assert desk.ship(job).outcome is Outcome.CHANGED
        with pytest.raises(ObjectNotFoundError):
            desk.read(job.path.decode())
    assert open_uploads(desk.store) == []


def test_fault_06_source_deleted_during_the_upload_is_vanished(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = desk.job("big.bin", BODY)
    at(monkeypatch, "ship.part-sent", (desk.folder / "big.bin").unlink)
    end = desk.plan_and_ship(job)
    assert end.outcome is Outcome.VANISHED
    assert open_uploads(desk.store) == []


def test_fault_23_too_large_for_any_object_fails_before_it_is_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = desk.job("big.bin", b"x")
    huge = replace(job, identity=replace(job.identity, size_bytes=OBJECT_BYTES_MAX + 1))
    end = desk.plan(huge)
    assert end.outcome is Outcome.FAILED
    assert end.error is not None
    assert end.error["code"] == "source-too-large"


def test_fault_23_limit_of_the_settings(desk: Desk) -> None:
    desk.changes["file_bytes_max"] = 10
    end = desk.plan(desk.job("big.bin", b"x" * 11))
    assert end.error is not None
    assert (end.outcome, end.error["code"]) == (Outcome.FAILED, "source-too-large")
    assert "10 are allowed" in end.error["message"]


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (0, 8 * MIB),
        (9_000 * 8 * MIB, 8 * MIB),
        (9_000 * 8 * MIB + 1, 9 * MIB),
        (5 << 40, 583 * MIB),
        (9_000 * (5 << 30), 5 << 30),
        (OBJECT_BYTES_MAX, 5 << 30),
    ],
)
def test_fault_23_part_size_follows_from_the_bound(bound: int, expected: int) -> None:
    size = part_size_bytes(bound, 8 * MIB)
    assert size == expected
    assert -(-bound // size) <= 10_000
    assert size <= 5 << 30


def test_fault_23_nothing_larger_than_an_object_has_a_part_size() -> None:
    with pytest.raises(SourceTooLargeError):
        part_size_bytes(OBJECT_BYTES_MAX + 1, 8 * MIB)


def test_parts_in_flight_stay_within_their_memory() -> None:
    """SHP-13."""
    for size in (5 * MIB, 8 * MIB, 12 * MIB, 16 * MIB, 32 * MIB, 64 * MIB, 600 * MIB):
        count = parts_at_once(size)
        assert 1 <= count <= 4
        assert (count + 1) * size <= 64 * MIB or count == 1


def test_fault_24_sparse_file_goes_as_it_is_read(desk: Desk) -> None:
    path = desk.folder / "sparse.bin"
    with path.open("wb") as file:
        file.seek(2 * MIB)
        file.write(b"end")
    end = desk.plan_and_ship(desk.job("sparse.bin"))
    assert end.outcome is Outcome.DONE
    assert desk.read("sparse.bin") == bytes(2 * MIB) + b"end"


LOST = StoreUnavailableError("the connection was reset")


@pytest.mark.parametrize("verb", ["begin_upload", "put_part", "complete", "head"])
@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("error", [LOST, ThrottledError("slow down")])
def test_fault_60_lost_requests_and_answers_end_in_one_object(
    desk: Desk, verb: str, error: Any, after_effect: bool
) -> None:
    """SHP-31, SHP-32: the file pays nothing."""
    inner = desk.store
    faulty(desk, Planned(verb, error, times=2, after_effect=after_effect))
    end = desk.plan_and_ship(desk.job("big.bin", BODY))
    assert end.outcome is Outcome.DONE, end.error
    assert desk.read("big.bin") == BODY
    assert open_uploads(inner) == []


def test_fault_60_upload_that_is_gone_is_begun_anew_next_time(desk: Desk) -> None:
    """NoSuchUpload at Complete, and no object: a loss, not a success."""
    gone = ObjectNotFoundError("NoSuchUpload", store_code="NoSuchUpload")
    inner = desk.store
    faulty(desk, Planned("complete", gone))
    job = desk.job("big.bin", BODY)
    end = desk.plan_and_ship(job)
    assert end.outcome is Outcome.TRANSIENT
    assert end.error is not None
    assert end.error["code"] == "upload-mismatch"
    assert open_uploads(inner) == []
    assert desk.again(inner).ship(job).outcome is Outcome.DONE
    assert desk.read("big.bin") == BODY


def test_fault_60_part_of_an_upload_that_was_aborted_by_somebody(desk: Desk) -> None:
    gone = ObjectNotFoundError("NoSuchUpload")
    faulty(desk, Planned("put_part", gone, skip=1))
    end = desk.plan_and_ship(desk.job("big.bin", BODY))
    assert end.outcome is Outcome.TRANSIENT


def test_fault_60_precondition_failed_because_of_our_own_completion(desk: Desk) -> None:
    """The first Complete worked, its answer was lost, the second is refused with 412."""
    refused = PreconditionFailedError("412")
    faulty(desk, Planned("complete", refused, after_effect=True))
    end = desk.plan_and_ship(desk.job("big.bin", BODY))
    assert end.outcome is Outcome.DONE
    assert desk.ledger.results["in/big.bin"].verified_by == "checksum"


def test_fault_28_object_that_appears_during_the_upload_is_replaced_or_adopted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def appear() -> None:
        desk.store.put(BUCKET, "in/big.bin", b"somebody's")

    at(monkeypatch, "ship.parts-sent", appear)
    end = desk.plan_and_ship(desk.job("big.bin", BODY))
    assert end.outcome is Outcome.DONE, end.error
    assert desk.read("big.bin") == BODY

    def appear_same() -> None:
        desk.store.put(BUCKET, "in/same.bin", BODY[::-1])

    at(monkeypatch, "ship.parts-sent", appear_same)
    end = desk.plan_and_ship(desk.job("same.bin", BODY[::-1]))
    assert end.outcome is Outcome.DONE
    assert open_uploads(desk.store) == []


def test_fault_28_same_source_that_is_there_is_not_sent_again(desk: Desk) -> None:
    """After a lost ledger: the object's own metadata proves the source."""
    job = desk.job("big.bin", BODY)
    desk.plan_and_ship(job)
    etag = desk.store.head(BUCKET, "in/big.bin").etag
    other = Desk(desk.folder, desk.store, changes=desk.changes)
    end = other.plan_and_ship(other.job("big.bin"))
    assert end.outcome is Outcome.DONE
    assert other.ledger.steps == []
    assert other.ledger.results["in/big.bin"].verified_by == "adopted"
    assert desk.store.head(BUCKET, "in/big.bin").etag == etag
    other.tasks.close()


def test_fault_29_another_shipper_completes_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = {"stocktake-token": "f" * 32, "stocktake-ship": "other"}

    def appear() -> None:
        desk.store.put(BUCKET, "in/big.bin", b"theirs", PutOptions(metadata=metadata))

    at(monkeypatch, "ship.parts-sent", appear)
    end = desk.plan_and_ship(desk.job("big.bin", BODY))
    assert end.error is not None
    assert (end.outcome, end.error["code"]) == (Outcome.FAILED, "foreign-writer")
    assert desk.read("big.bin") == b"theirs"
    assert open_uploads(desk.store) == []


def test_upload_of_somebody_else_to_the_same_key_is_never_aborted(desk: Desk) -> None:
    """SHP-31: only what our ledger proves is ours."""
    theirs = desk.store.begin_upload(BUCKET, "in/big.bin")
    end = desk.plan_and_ship(desk.job("big.bin", BODY))
    assert end.outcome is Outcome.DONE
    assert [one["UploadId"] for one in open_uploads(desk.store)] == [theirs.upload_id]


DEGRADED = replace(
    S3_UPLOADS,
    crc64nvme=False,
    tells_crc64nvme=False,
    full_object_crc=False,
    tells_full_object_crc=False,
)
BLIND = replace(
    DEGRADED,
    put_if_absent=False,
    put_if_match=False,
    complete_if_absent=False,
    complete_if_match=False,
)


@pytest.mark.parametrize("profile", [DEGRADED, BLIND])
@pytest.mark.parametrize("there", [None, b"somebody's"])
def test_store_that_can_less_is_used_as_far_as_it_goes(
    desk: Desk, profile: Any, there: bytes | None
) -> None:
    """SHP-30: no CRC64NVME: the ETag proves; no conditions: a look before."""
    desk.profile = profile
    for name in ("big.bin", "small.bin"):
        if there is not None:
            desk.store.put(BUCKET, "in/" + name, there)
    assert desk.plan_and_ship(desk.job("big.bin", BODY)).outcome is Outcome.DONE
    (end,) = desk.put([desk.file_job("small.bin", b"1")]).values()
    assert end.outcome is Outcome.DONE
    for name, body in (("big.bin", BODY), ("small.bin", b"1")):
        result = desk.ledger.results["in/" + name]
        assert (result.verified_by, result.crc64nvme) == ("etag", None)
        assert desk.read(name) == body


class NoProofs:
    """A store whose ETags are no MD5s and that tells no checksums, as with SSE-KMS."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def head(self, *args: Any, **more: Any) -> Any:
        return replace(self._inner.head(*args, **more), etag="0" * 32, checksums={})

    def put(self, *args: Any, **more: Any) -> Any:
        return replace(self._inner.put(*args, **more), etag="0" * 32, checksums={})

    def get(self, bucket: str, key: str, **more: Any) -> Any:
        more.pop("if_match", None)
        return self._inner.get(bucket, key, **more)


def test_store_that_proves_nothing_is_read_back(desk: Desk) -> None:
    desk.profile = DEGRADED
    desk.again(NoProofs(desk.store))  # type: ignore[arg-type]
    assert desk.plan_and_ship(desk.job("big.bin", BODY)).outcome is Outcome.DONE
    desk.put([desk.file_job("small.bin", b"1")])
    by = [result.verified_by for result in desk.ledger.results.values()]
    assert by == ["read-back", "read-back"]


def test_stop_during_an_upload_aborts_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    job = desk.job("big.bin", BODY)
    at(monkeypatch, "ship.part-sent", desk.tasks.stop)
    end = desk.plan_and_ship(job)
    assert end.outcome is Outcome.STOPPED
    assert open_uploads(desk.store) == []
    assert desk.again().ship(job).outcome is Outcome.DONE


def test_abort_that_is_refused_leaves_the_upload_in_the_ledger(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 60: 403 on Abort. The first error is the one that is told."""
    from stocktake.errors import AccessDeniedError

    faulty(desk, Planned("abort", AccessDeniedError("no"), times=9))
    job = desk.job("big.bin", BODY)
    at(monkeypatch, "ship.part-sent", (desk.folder / "big.bin").unlink)
    assert desk.plan_and_ship(job).outcome is Outcome.VANISHED
    assert len(desk.ledger.open_uploads()) == 1
