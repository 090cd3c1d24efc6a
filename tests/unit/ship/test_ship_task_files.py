"""Small plain files, one PUT each (SHP-30)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ship_recorder import BUCKET, Desk, at
from stocktake.errors import StoreUnavailableError
from stocktake.ship._records import Outcome
from stocktake.store import PutOptions, crc64nvme, encode_crc64nvme
from stocktake.testing import FaultStore, MemoryStore, Planned


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = MemoryStore()
    store.describe("CreateBucket", BUCKET)
    desk = Desk(tmp_path / "watched", store)
    yield desk
    desk.tasks.close()


def test_batch_is_put_whole_and_recorded_with_its_proofs(desk: Desk) -> None:
    """SHP-30: one PUT with checksum, content type and metadata."""
    jobs = [desk.file_job(f"a/{n}.txt", b"x" * n) for n in range(50)]
    ends = desk.put(jobs)
    assert {end.outcome for end in ends.values()} == {Outcome.DONE}
    assert len(ends) == 50
    result = desk.ledger.results["in/a/7.txt"]
    body = b"x" * 7
    assert result.sha256 == hashlib.sha256(body).hexdigest()
    assert result.md5 == hashlib.md5(body).hexdigest()
    assert result.crc64nvme == encode_crc64nvme(crc64nvme(body))
    assert (result.verified_by, result.part_size_bytes) == ("checksum", None)
    head = desk.store.head(BUCKET, "in/a/7.txt")
    assert head.etag == result.etag
    assert head.content_type == "text/plain"
    assert head.metadata["stocktake-token"] == jobs[7].token
    assert head.metadata["stocktake-sha256"] == result.sha256
    assert head.metadata["stocktake-source"] == "a/7.txt"
    assert head.metadata["stocktake-size"] == "7"
    assert head.metadata["stocktake-mtime"] == str(jobs[7].source.identity.mtime_ns)
    assert desk.read("a/7.txt") == body


def test_fault_14_name_that_is_not_utf8_is_escaped(desk: Desk) -> None:
    ends = desk.put([desk.file_job(b"caf\xe9.csv.txt", b"1")])
    assert next(iter(ends.values())).outcome is Outcome.DONE
    assert desk.store.head(BUCKET, "in/caf%E9.csv.txt").metadata["stocktake-source"] == (
        "caf%E9.csv.txt"
    )


def test_long_path_does_not_break_the_limit_of_metadata(desk: Desk) -> None:
    """S3 takes 2,048 bytes of user metadata."""
    name = "/".join(["ü" * 60] * 7) + ".txt"
    desk.put([desk.file_job(name, b"1")])
    said = desk.store.head(BUCKET, "in/" + name).metadata
    assert sum(len(k) + len(v) for k, v in said.items()) <= 2048
    assert all((k + v).isascii() for k, v in said.items())


def test_written_to_before_it_is_read_is_changed(desk: Desk) -> None:
    job = desk.file_job("a.txt", b"1")
    (desk.folder / "a.txt").write_bytes(b"22")
    (end,) = desk.put([job]).values()
    assert end.outcome is Outcome.CHANGED
    assert desk.ledger.results == {}


def test_fault_03_replaced_by_rename_while_it_is_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = desk.file_job("a.txt", b"1")
    real = os.pread

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        (desk.folder / "other").write_bytes(b"2")
        (desk.folder / "other").replace(desk.folder / "a.txt")
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    (end,) = desk.put([job]).values()
    assert end.outcome is Outcome.CHANGED


def test_fault_06_deleted_before_or_while_it_is_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = desk.file_job("gone.txt", b"1")
    (desk.folder / "gone.txt").unlink()
    going = desk.file_job("going.txt", b"1")
    real = os.pread

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        (desk.folder / "going.txt").unlink(missing_ok=True)
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    ends = desk.put([gone, going])
    assert {end.outcome for end in ends.values()} == {Outcome.VANISHED}


def test_one_bad_file_does_not_stop_the_others(desk: Desk) -> None:
    jobs = [desk.file_job(f"{n}.txt", b"1") for n in range(20)]
    (desk.folder / "3.txt").unlink()
    ends = desk.put(jobs)
    assert sorted(end.outcome for end in ends.values()) == ["done"] * 19 + ["vanished"]


def test_lost_answer_is_settled_and_written_once(desk: Desk) -> None:
    """SHP-31: the answer was lost, the object is there with our token."""
    inner = desk.store
    lost = Planned("put", StoreUnavailableError("reset"), after_effect=True)
    desk.again(FaultStore(inner, [lost]))
    (end,) = desk.put([desk.file_job("a.txt", b"1")]).values()
    assert end.outcome is Outcome.DONE
    assert desk.ledger.results["in/a.txt"].verified_by == "checksum"
    assert ("outage", "store-unavailable") in desk.listener.told


def test_fault_28_unknown_object_with_other_bytes_is_replaced_conditionally(desk: Desk) -> None:
    """SHP-33."""
    desk.store.put(BUCKET, "in/a.txt", b"somebody's")
    (end,) = desk.put([desk.file_job("a.txt", b"ours")]).values()
    assert end.outcome is Outcome.DONE
    assert desk.read("a.txt") == b"ours"


def test_fault_28_unknown_object_with_the_same_bytes_is_adopted(desk: Desk) -> None:
    desk.store.put(BUCKET, "in/a.txt", b"same", PutOptions(content_type="x/y"))
    (end,) = desk.put([desk.file_job("a.txt", b"same")]).values()
    assert end.outcome is Outcome.DONE
    assert desk.ledger.results["in/a.txt"].verified_by == "adopted"
    assert desk.store.head(BUCKET, "in/a.txt").content_type == "x/y"


def test_fault_29_object_of_another_shipper_stops_the_key(desk: Desk) -> None:
    metadata = {"stocktake-token": "f" * 32, "stocktake-ship": "other"}
    desk.store.put(BUCKET, "in/a.txt", b"theirs", PutOptions(metadata=metadata))
    (end,) = desk.put([desk.file_job("a.txt", b"ours")]).values()
    assert end.outcome is Outcome.FAILED
    assert end.error is not None
    assert end.error["code"] == "foreign-writer"
    assert desk.read("a.txt") == b"theirs"


def test_new_content_replaces_our_own_object_on_condition_of_its_etag(desk: Desk) -> None:
    """SHP-4: a file that changed after its upload is uploaded again."""
    desk.put([desk.file_job("a.txt", b"1")])
    etag = desk.ledger.results["in/a.txt"].etag
    desk.put([desk.file_job("a.txt", b"22", replaces_etag=etag)])
    assert desk.read("a.txt") == b"22"


def test_touched_file_is_looked_at_and_not_sent_again(desk: Desk) -> None:
    """SHP-4: new times, the same bytes; also after a ledger was made anew."""
    desk.put([desk.file_job("a.txt", b"1")])
    before = desk.store.head(BUCKET, "in/a.txt")
    desk.put([desk.file_job("a.txt", b"1", replaces_etag=before.etag)])
    after = desk.store.head(BUCKET, "in/a.txt")
    assert after.metadata == before.metadata  # a second PUT would have its own token
    assert desk.ledger.results["in/a.txt"].etag == before.etag


def test_own_object_that_somebody_deleted_is_written_again(desk: Desk) -> None:
    desk.put([desk.file_job("a.txt", b"1")])
    etag = desk.ledger.results["in/a.txt"].etag
    desk.store.delete(BUCKET, ["in/a.txt"])
    (end,) = desk.put([desk.file_job("a.txt", b"22", replaces_etag=etag)]).values()
    assert end.outcome is Outcome.DONE


def test_stop_ends_what_is_not_begun(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [desk.file_job(f"{n}.txt", b"1") for n in range(100)]
    at(monkeypatch, "ship.put-sent", desk.tasks.stop, turn=10)
    ends = desk.put(jobs)
    outcomes = [end.outcome for end in ends.values()]
    assert set(outcomes) == {Outcome.DONE, Outcome.STOPPED}
    assert len(desk.ledger.results) == outcomes.count(Outcome.DONE)


def test_results_share_commits(desk: Desk) -> None:
    desk.put([desk.file_job(f"{n}.txt", b"1") for n in range(300)])
    assert desk.ledger.commits < 300
