"""Checking a whole report: every part is named, whatever became of it."""

from __future__ import annotations

import gzip

import pytest

from stocktake.errors import (
    PartCorruptError,
    ReportChangedError,
    ReportExpiredError,
    StoreUnavailableError,
    TooManyBadRowsError,
)
from stocktake.inventory import ReadOptions, bad_rows_allowed, check_bad_rows, verify_report
from stocktake.model import PartTally


class Watcher:
    def __init__(self) -> None:
        self.phases: list[tuple] = []
        self.done = 0
        self.notes: list[str] = []

    def phase(self, name, total, unit) -> None:
        self.phases.append((name, total, unit))

    def advance(self, amount) -> None:
        self.done += amount

    def note(self, text) -> None:
        self.notes.append(text)


def body(n: int) -> bytes:
    return gzip.compress(f'"src","a{n}","{n}"\n"src","%FF","1"\n'.encode(), mtime=0)


def deliver(desk, parts: int = 5) -> None:
    files = [desk.part(f"{n}.csv.gz", body(n)) for n in range(parts)]
    desk.publish(desk.manifest(files, "Bucket, Key, Size"))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_sound_report_is_ok(desk, workers) -> None:
    """INV-5, INV-8."""
    deliver(desk)
    report, watcher = desk.open(options=ReadOptions(workers=workers)), Watcher()
    result = verify_report(report, progress=watcher)
    assert result.ok
    assert [verdict.part.index for verdict in result.parts] == [0, 1, 2, 3, 4]
    assert (result.rows, result.bad_rows, result.failed) == (10, 0, ())
    assert watcher.phases == [("verify", report.size_bytes, "bytes")]
    assert watcher.done == result.size_bytes == report.size_bytes


def test_every_damaged_part_is_named(desk) -> None:
    """INV-5."""
    deliver(desk)
    desk.put("p/src/cfg/data/1.csv.gz", body(1)[:-1] + b"x")
    desk.store.delete("dest", ["p/src/cfg/data/3.csv.gz"])
    watcher = Watcher()
    result = verify_report(desk.open(), progress=watcher)
    assert not result.ok
    assert [(v.part.index, type(v.error)) for v in result.failed] == [
        (1, PartCorruptError),
        (3, ReportExpiredError),
    ]
    assert result.rows == 6
    assert len(watcher.notes) == 2
    # manifest and checksum, three sound parts, the damaged one twice, the missing one once
    assert desk.store.meter.calls["GetObject"] == 2 + 3 + 2 + 1


def test_too_many_bad_rows_are_not_ok(desk) -> None:
    """INV-7."""
    desk.csv(*['"src"'] * 11, schema="Bucket, Key")
    result = verify_report(desk.open())
    assert (result.ok, result.failed, result.bad_rows) == (False, (), 11)


def test_report_rewritten_while_it_is_checked_is_told(desk) -> None:
    """INV-2."""
    deliver(desk)
    report = desk.open()
    desk.publish(desk.manifest([]))
    with pytest.raises(ReportChangedError):
        verify_report(report)


def test_failure_of_the_store_is_not_a_verdict(desk) -> None:
    deliver(desk)
    report = desk.open()
    desk.store.faults["p/src/cfg/data/2.csv.gz"] = StoreUnavailableError("down")
    with pytest.raises(StoreUnavailableError):
        verify_report(report)


def test_empty_report_is_ok(desk) -> None:
    desk.publish(desk.manifest([]))
    assert verify_report(desk.open()).ok


def tally(rows: int, bad: int) -> PartTally:
    made = PartTally(rows=rows)
    for n in range(bad):
        made.note_bad("p", f"row\n{n}", "why")
    return made


@pytest.mark.parametrize(
    ("rows", "allowed"), [(0, 10), (100_000, 10), (110_000, 11), (1_000_000, 100)]
)
def test_bad_rows_are_tolerated_up_to_ten_or_a_hundredth_of_a_percent(rows, allowed) -> None:
    """INV-7."""
    assert bad_rows_allowed(rows) == allowed
    assert check_bad_rows([tally(rows, allowed)], source_name="s") == allowed
    with pytest.raises(TooManyBadRowsError):
        check_bad_rows([tally(rows, 5), tally(0, allowed - 4)], source_name="s")


def test_message_about_bad_rows_is_one_safe_line() -> None:
    with pytest.raises(TooManyBadRowsError) as caught:
        check_bad_rows([tally(0, 11)], source_name="src/cfg")
    assert "src/cfg" in caught.value.message
    assert "\n" not in (caught.value.hint or "")
