"""Archives and tables through both sweeps, over the real ledger (SHP-4, 11, 20, 41)."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ship_recorder import BUCKET, LedgerDesk, at, open_uploads
from stocktake.errors import StoreUnavailableError
from stocktake.ship._records import Outcome
from stocktake.ship._recover import recover_uploads
from stocktake.store import MIB
from stocktake.testing import FaultStore, MemoryStore, Planned, _uploads

CSV = b"id,code\n1,007\n2,008\n"
DICE = random.Random(11)
LARGE = DICE.randbytes(2 * MIB + 9)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LedgerDesk]:
    monkeypatch.setattr(_uploads, "PART_BYTES_MIN", 1)
    store = MemoryStore()
    store.describe("CreateBucket", BUCKET)
    changes = {"part_bytes_min": MIB, "small_max_bytes": MIB}
    desk = LedgerDesk(tmp_path / "watched", store, changes=changes)
    yield desk
    desk.close()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as box:
        for name, body in members.items():
            box.writestr(name, body)
    return file.getvalue()


def arrive(desk: LedgerDesk, name: str, body: bytes) -> None:
    path = desk.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    desk.arrive(name)


def outcomes(ends: Any) -> list[str]:
    return [str(end.outcome) for end in ends]


def rows(desk: LedgerDesk, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(io.BytesIO(desk.read(key))).to_pylist()
    return found


MEMBERS = {
    "sub/a.txt": b"hello",
    "large.bin": LARGE,
    "sub/t.csv": CSV,
    "z.txt": b"",
}


def test_members_of_an_archive_become_objects_below_its_stem(desk: LedgerDesk) -> None:
    """SHP-11, SHP-20: structure kept, tables converted, the archive itself not uploaded."""
    arrive(desk, "d/box.zip", zipped(MEMBERS))
    assert outcomes(desk.run()) == ["done", "done"]
    assert desk.keys() == [
        "d/box/large.bin",
        "d/box/sub/a.txt",
        "d/box/sub/t.parquet",
        "d/box/z.txt",
    ]
    assert desk.read("d/box/large.bin") == LARGE
    assert desk.read("d/box/sub/a.txt") == b"hello"
    assert rows(desk, "d/box/sub/t.parquet") == [
        {"id": 1, "code": "007"},
        {"id": 2, "code": "008"},
    ]
    head = desk.store.head(BUCKET, "in/d/box/sub/t.parquet")
    assert head.content_type == "application/vnd.apache.parquet"
    assert head.metadata["stocktake-entry"] == "sub/t.csv"
    assert head.metadata["stocktake-source"] == "d/box.zip"
    assert desk.states() == {"d/box.zip": "completed"}
    assert open_uploads(desk.store) == []


def test_table_becomes_parquet_and_the_original_is_not_uploaded(desk: LedgerDesk) -> None:
    """SHP-20."""
    arrive(desk, "t.csv", CSV)
    assert outcomes(desk.run()) == ["done", "done"]
    assert desk.keys() == ["t.parquet"]
    (number, record), *_ = desk.ledger.uploads_after(0, 10)
    assert (number, record.rows, record.s3_key) == (1, 2, "in/t.parquet")
    assert [column["name"] for column in record.columns] == ["id", "code"]


def test_large_table_goes_in_parts(desk: LedgerDesk) -> None:
    lines = [f"{n},{DICE.randbytes(400).hex()}\n" for n in range(6000)]
    arrive(desk, "t.csv", ("n,text\n" + "".join(lines)).encode())
    assert outcomes(desk.run()) == ["done", "done"]
    head = desk.store.head(BUCKET, "in/t.parquet")
    assert head.etag is not None
    assert "-" in head.etag
    assert len(rows(desk, "t.parquet")) == 6000


def test_empty_table_and_empty_archive_become_nothing(desk: LedgerDesk) -> None:
    """Fault 43, fault 48."""
    arrive(desk, "t.csv", b"")
    arrive(desk, "box.zip", zipped({}))
    assert outcomes(desk.run()) == ["done", "done"]
    assert desk.keys() == []
    assert set(desk.states().values()) == {"completed"}


def collide(desk: LedgerDesk, first: str, second: str, key: str) -> None:
    """The second fails and nothing of it is uploaded; the first is named and stays."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as crate:
        entry = tarfile.TarInfo("m.txt")
        entry.size = 3
        crate.addfile(entry, io.BytesIO(b"tar"))
    bodies = {
        ".csv": CSV,
        ".json": b'[{"a": 1}]',
        ".parquet": b"PAR1 or not",
        ".txt": b"in the folder",
        ".zip": zipped({"other.txt": b"1", "m.txt": b"2"}),
        ".tar": tar.getvalue(),
    }
    arrive(desk, first, bodies[Path(first).suffix])
    desk.run()
    before, keys = desk.read(key), desk.keys()
    arrive(desk, second, bodies[Path(second).suffix])
    end = desk.run()[-1]
    assert end.outcome is Outcome.FAILED
    assert end.error is not None
    assert end.error["code"] == "key-collision"
    assert first in end.error["message"]
    assert (desk.read(key), desk.keys()) == (before, keys)
    assert desk.states() == {first: "completed", second: "failed"}


def test_fault_25_two_tables_of_one_name(desk: LedgerDesk) -> None:
    collide(desk, "a.csv", "a.json", "a.parquet")


@pytest.mark.parametrize(("first", "second"), [("a.csv", "a.parquet"), ("a.parquet", "a.csv")])
def test_fault_26_table_and_a_parquet_file_that_is_there(
    desk: LedgerDesk, first: str, second: str
) -> None:
    collide(desk, first, second, "a.parquet")


@pytest.mark.parametrize(
    ("first", "second"), [("x.zip", "x.tar"), ("x.zip", "x/m.txt"), ("x/m.txt", "x.zip")]
)
def test_fault_27_two_archives_of_one_stem_and_a_folder_of_its_name(
    desk: LedgerDesk, first: str, second: str
) -> None:
    collide(desk, first, second, "x/m.txt")


def test_fault_25_suffix_keeps_them_apart(desk: LedgerDesk) -> None:
    desk.changes["on_collision"] = "suffix"
    arrive(desk, "a.csv", CSV)
    arrive(desk, "a.json", b'[{"a": 1}]')
    desk.run()
    assert desk.keys() == ["a.csv.parquet", "a.json.parquet"]


def test_two_members_of_one_key_fail_the_archive(desk: LedgerDesk) -> None:
    arrive(desk, "x.zip", zipped({"ok.txt": b"1", "a.csv": CSV, "a.tsv": b"id\n1\n"}))
    ends = desk.run()
    assert ends[-1].outcome is Outcome.FAILED
    assert ends[-1].error["code"] == "key-collision"
    assert desk.keys() == []


def test_damaged_member_fails_the_whole_before_anything_is_uploaded(desk: LedgerDesk) -> None:
    """SHP-11, SHP-12."""
    body = bytearray(zipped({"a.txt": b"1" * 5000, "b.txt": b"2" * 5000}, zipfile.ZIP_STORED))
    body[body.index(b"2" * 100) + 50] ^= 1
    arrive(desk, "x.zip", bytes(body))
    (end,) = desk.run()
    assert end.outcome is Outcome.FAILED
    assert end.error is not None
    assert end.error["code"].startswith("archive")
    assert desk.keys() == []


def test_bad_table_in_an_archive_fails_the_whole(desk: LedgerDesk) -> None:
    arrive(desk, "x.zip", zipped({"a.txt": b"1", "t.csv": b'a,b\n1,2\n3,"unclosed\n'}))
    (end,) = desk.run()
    assert end.outcome is Outcome.FAILED
    assert end.error is not None
    assert "x.zip!t.csv" in end.error["message"]
    assert desk.keys() == []


class Killed(BaseException):
    """The process is dead."""


def test_fault_47_killed_between_members_goes_on_at_the_first_that_is_missing(
    desk: LedgerDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SHP-41, fault 46: what is completed is not written again."""
    desk.changes["uploads"] = 1
    members = {f"m{n:03}.txt": b"%d" % n for n in range(40)}
    arrive(desk, "x.zip", zipped(members))
    stopped: list[str] = []

    def stop() -> None:
        desk.tasks.stop()
        stopped.append("yes")

    at(monkeypatch, "ship.put-sent", stop, turn=20)
    end = desk.run()[-1]
    assert stopped
    assert end.outcome is Outcome.STOPPED
    before = desk.keys()
    first = {key: desk.store.head(BUCKET, "in/" + key).last_modified for key in before}
    assert 15 <= len(first) < 40
    puts: list[str] = []
    real = desk.store.put

    def counted(bucket: str, key: str, *args: Any, **more: Any) -> Any:
        puts.append(key)
        return real(bucket, key, *args, **more)

    monkeypatch.setattr(desk.store, "put", counted)
    desk.again()
    ends = desk.run()
    assert ends[-1].outcome is Outcome.DONE
    assert len(desk.keys()) == 40
    assert len(puts) <= 40 - len(first) + 1
    assert {desk.read(f"x/{name}") for name in members} == set(members.values())


def test_fault_46_many_members_go_through_the_ledger_in_pages(
    desk: LedgerDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither sweep holds all members; a row each, so that a crash near the end resumes there."""
    added: list[int] = []
    asked: list[int] = []
    add, following = desk.ledger.add_planned, desk.ledger.next_objects

    def add_planned(source_id: int, objects: Any) -> None:
        added.append(len(objects))
        add(source_id, objects)

    def next_objects(source_id: int, after: int, limit: int) -> Any:
        asked.append(limit)
        return following(source_id, after, limit)

    monkeypatch.setattr(desk.ledger, "add_planned", add_planned)
    monkeypatch.setattr(desk.ledger, "next_objects", next_objects)
    arrive(desk, "x.zip", zipped({f"m{n}": b"" for n in range(1203)}))
    assert outcomes(desk.run()) == ["done", "done"]
    assert added == [500, 500, 203]
    assert set(asked) == {500}
    assert len(desk.ledger.uploads_after(0, 2000)) == 1203


def test_fault_47_written_but_not_recorded_is_settled_by_its_token(
    desk: LedgerDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(desk, "x.zip", zipped({"a.txt": b"1"}))
    inner = desk.store
    away = [Planned("put", StoreUnavailableError("away"), times=3, after_effect=True)]
    desk.again(FaultStore(inner, away))
    assert outcomes(desk.run()) == ["done", "done"]
    assert desk.keys() == ["x/a.txt"]


def test_archive_that_changes_between_the_sweeps_is_planned_again(desk: LedgerDesk) -> None:
    """SHP-4."""
    arrive(desk, "x.zip", zipped({"a.txt": b"1", "b.csv": CSV}))
    job = desk.ledger.claim_plan()
    assert desk.tasks.plan(job).outcome is Outcome.DONE
    (desk.folder / "x.zip").write_bytes(zipped({"a.txt": b"2", "c.csv": CSV}))
    end = desk.tasks.ship(desk.ledger.claim_ship())
    assert end.outcome is Outcome.CHANGED
    desk.ledger.settle_task(end)
    desk.arrive("x.zip")
    assert outcomes(desk.run()) == ["done", "done"]
    assert desk.keys() == ["x/a.txt", "x/c.parquet"]
    assert desk.read("x/a.txt") == b"2"


def test_changed_file_is_shipped_again_over_its_own_object(desk: LedgerDesk) -> None:
    """SHP-4: small, large, table and archive."""
    files = {
        "s.txt": (b"1", b"22"),
        "l.bin": (LARGE, LARGE[::-1] + b"x"),
        "t.csv": (CSV, CSV + b"3,009\n"),
        "x.zip": (zipped({"a.txt": b"1"}), zipped({"a.txt": b"2", "b.txt": b"3"})),
    }
    for turn in range(2):
        for name, bodies in files.items():
            arrive(desk, name, bodies[turn])
        assert set(outcomes(desk.run())) == {"done"}
    assert desk.read("s.txt") == b"22"
    assert desk.read("l.bin") == LARGE[::-1] + b"x"
    assert len(rows(desk, "t.parquet")) == 3
    assert (desk.read("x/a.txt"), desk.read("x/b.txt")) == (b"2", b"3")
    assert set(desk.states().values()) == {"completed"}


def test_recovery_over_the_real_ledger(desk: LedgerDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """SHP-41: an upload that a dead worker left is completed from the ledger alone."""
    arrive(desk, "l.bin", LARGE)
    assert desk.tasks.plan(desk.ledger.claim_plan()).outcome is Outcome.DONE

    class Dead:
        def __getattr__(self, name: str) -> Any:
            raise Killed

    def die() -> None:
        desk.tasks._context.uploader.store = Dead()  # type: ignore[assignment]
        desk.tasks._context.uploader.recorder = Dead()  # type: ignore[assignment]
        raise Killed

    at(monkeypatch, "ship.complete-sent", die)
    assert desk.tasks.ship(desk.ledger.claim_ship()).outcome is Outcome.FAILED
    desk.again()
    desk.ledger.release_all()
    report = recover_uploads(desk.ledger, desk.store, desk.settings, clock=desk.clock)
    assert (report.completed, report.problems) == (1, ())
    assert outcomes(desk.run()) == ["done"]
    assert desk.states() == {"l.bin": "completed"}
