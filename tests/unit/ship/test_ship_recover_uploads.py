"""Uploads that a crash left open (SHP-41): completed if they were, else ended, all of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ship_recorder import BUCKET, NOW, Desk, at, open_uploads
from stocktake.clock import FixedClock
from stocktake.errors import (
    AccessDeniedError,
    ObjectNotFoundError,
    StoreUnavailableError,
    UnsupportedOperationError,
)
from stocktake.ship._records import ObjectState, Outcome, SourceJob
from stocktake.ship._recover import recover_uploads
from stocktake.store import MIB
from stocktake.testing import FaultStore, MemoryStore, Planned, _uploads

BODY = random.Random(9).randbytes(2 * MIB + 5)


class Killed(BaseException):
    """The process is dead."""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(_uploads, "PART_BYTES_MIN", 1)
    clock = FixedClock(NOW)
    store = MemoryStore(clock=clock)
    store.describe("CreateBucket", BUCKET)
    changes = {"part_bytes_min": MIB, "small_max_bytes": MIB}
    desk = Desk(tmp_path / "watched", store, clock=clock, changes=changes)
    desk.ledger.clock = clock
    yield desk
    desk.tasks.close()


def kill(desk: Desk, monkeypatch: pytest.MonkeyPatch, point: str) -> SourceJob:
    """A worker that dies at a fault point: nothing of it has an effect any more."""

    class Dead:
        def __getattr__(self, name: str) -> Any:
            raise Killed

    def die() -> None:
        desk.tasks._context.uploader.store = Dead()  # type: ignore[assignment]
        desk.tasks._context.uploader.recorder = Dead()  # type: ignore[assignment]
        raise Killed

    job = desk.job("big.bin", BODY)
    assert desk.plan(job).outcome is Outcome.DONE
    with monkeypatch.context() as patch:
        at(patch, point, die)
        monkeypatch.setattr("stocktake.ship._tasks.outcome_of", _raise)
        with pytest.raises(Killed):
            desk.ship(job)
    monkeypatch.undo()
    monkeypatch.setattr(_uploads, "PART_BYTES_MIN", 1)
    return job


def _raise(error: BaseException) -> Any:
    raise error


def recovered(desk: Desk) -> Any:
    return recover_uploads(desk.ledger, desk.store, desk.settings, clock=desk.clock)


@pytest.mark.parametrize(
    ("point", "state"),
    [
        ("ship.intended", ObjectState.INTENT),
        ("ship.upload-created", ObjectState.INTENT),
        ("ship.upload-recorded", ObjectState.UPLOADING),
        ("ship.parts-sent", ObjectState.UPLOADING),
        ("ship.source-rechecked", ObjectState.UPLOADING),
    ],
)
def test_fault_60_killed_before_completion_is_aborted_and_shipped_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, point: str, state: ObjectState
) -> None:
    job = kill(desk, monkeypatch, point)
    (left,) = desk.ledger.open_uploads()
    assert left.state is state
    report = recovered(desk)
    assert report.dropped == 1
    assert report.aborted == (0 if point == "ship.intended" else 1)
    assert open_uploads(desk.store) == []
    assert desk.again().ship(job).outcome is Outcome.DONE
    assert desk.read("big.bin") == BODY


@pytest.mark.parametrize("point", ["ship.completing-recorded", "ship.complete-sent"])
def test_fault_60_killed_around_completion_is_completed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Between the last part and Complete, and after Complete before the ledger's commit."""
    kill(desk, monkeypatch, point)
    report = recovered(desk)
    assert (report.completed, report.aborted, report.problems) == (1, 0, ())
    assert desk.read("big.bin") == BODY
    result = desk.ledger.results["in/big.bin"]
    assert (result.verified_by, result.part_size_bytes) == ("checksum", MIB)
    assert open_uploads(desk.store) == []


def test_completion_whose_upload_is_gone_is_done_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = kill(desk, monkeypatch, "ship.completing-recorded")
    (left,) = open_uploads(desk.store)
    desk.store.begin_upload(BUCKET, "in/big.bin", upload_id=left["UploadId"]).abort()
    assert recovered(desk).dropped == 1
    assert desk.again().ship(job).outcome is Outcome.DONE


def test_completion_that_was_overwritten_since_is_not_taken_for_ours(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that is there is no proof: its token and its bytes are."""
    kill(desk, monkeypatch, "ship.complete-sent")
    desk.store.put(BUCKET, "in/big.bin", b"somebody's")
    report = recovered(desk)
    assert (report.completed, report.dropped) == (0, 1)
    assert desk.read("big.bin") == b"somebody's"


def test_uploads_of_others_are_left_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """SHP-31: an upload begun before our intent, or to a longer key, is not ours."""
    before = desk.store.begin_upload(BUCKET, "in/big.bin")
    desk.clock.sleep(timedelta(minutes=5).total_seconds())
    beside = desk.store.begin_upload(BUCKET, "in/big.bin2")
    kill(desk, monkeypatch, "ship.upload-created")
    assert recovered(desk).aborted == 1
    left = {one["UploadId"] for one in open_uploads(desk.store)}
    assert left == {before.upload_id, beside.upload_id}


def test_fault_60_refused_abort_is_told_and_hinders_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(desk, monkeypatch, "ship.parts-sent")
    inner = desk.store
    desk.store = FaultStore(inner, [Planned("abort", AccessDeniedError("no"))])
    report = recovered(desk)
    assert [type(problem) for problem in report.problems] == [AccessDeniedError]
    assert len(desk.ledger.open_uploads()) == 1
    desk.store = inner
    assert recovered(desk).aborted == 1
    assert desk.ledger.open_uploads() == []


def test_outage_while_recovering_loses_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    kill(desk, monkeypatch, "ship.complete-sent")
    inner = desk.store
    for verb in ("head", "complete"):
        desk.store = FaultStore(inner, [Planned(verb, StoreUnavailableError("away"))])
        desk.store.delete(BUCKET, [])
        if verb == "head":
            with pytest.raises(StoreUnavailableError):
                recovered(desk)
    desk.store = inner
    assert recovered(desk).completed == 1


class LateParts:
    """A store where a part lands after the first abort, and brings the upload back."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.aborts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def begin_upload(self, *args: Any, **more: Any) -> Any:
        upload, late = self.inner.begin_upload(*args, **more), self

        class Upload:
            upload_id = upload.upload_id

            def abort(self) -> None:
                late.aborts += 1
                if late.aborts > 2:
                    upload.abort()

        return Upload()


def test_abort_is_repeated_until_the_upload_is_gone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(desk, monkeypatch, "ship.parts-sent")
    late = LateParts(desk.store)
    desk.store = late  # type: ignore[assignment]
    assert recovered(desk).aborted == 1
    assert late.aborts == 3
    assert open_uploads(late.inner) == []


class ExactKeysOnly:
    """A store that lists uploads of whole keys only, like MinIO, or none at all."""

    def __init__(self, inner: Any, *, lists: bool) -> None:
        self.inner = inner
        self.lists = lists

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def describe(self, operation: str, bucket: str, **parameters: Any) -> Any:
        answer = self.inner.describe(operation, bucket, **parameters)
        if operation == "ListMultipartUploads":
            if not self.lists:
                raise UnsupportedOperationError("NotImplemented")
            kept = [u for u in answer.get("Uploads", []) if u["Key"] == parameters.get("Prefix")]
            answer["Uploads"] = kept
        return answer


@pytest.mark.parametrize("lists", [True, False])
def test_store_that_lists_uploads_of_exact_keys_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, lists: bool
) -> None:
    kill(desk, monkeypatch, "ship.upload-created")
    inner = desk.store
    desk.store = ExactKeysOnly(inner, lists=lists)  # type: ignore[assignment]
    report = recovered(desk)
    assert (report.dropped, report.aborted) == (1, int(lists))
    assert len(open_uploads(inner)) == (0 if lists else 1)


def test_nothing_open_asks_nothing(desk: Desk) -> None:
    desk.store = FaultStore(desk.store, [Planned("head", ObjectNotFoundError("x"), times=99)])
    assert recovered(desk).completed == 0
