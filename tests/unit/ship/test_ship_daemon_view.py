"""Figures, the live view and the log of a shipper: SHP-51."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import pytest

from stocktake.cli._ship_live import view_lines
from stocktake.cli._text import cell_width
from stocktake.errors import KeyCollisionError
from stocktake.ship import EventKind, EventLog, ShipEvent, SourceState
from stocktake.ship._figures import FigureBook
from stocktake.ship._log import human_line, json_line

AT = datetime(2026, 11, 21, 12, 30, 5, tzinfo=UTC)
ERROR = KeyCollisionError("`a.csv` would become `a.parquet`", key="a.parquet").to_dict()


class Time:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def book(time: Time) -> FigureBook:
    return FigureBook(time)


def test_throughput_is_that_of_the_last_ten_seconds(book: FigureBook, time: Time) -> None:
    for _ in range(100):
        time.now_s += 0.1
        book.done(1000)
    assert book.snapshot().files_per_s == pytest.approx(10, rel=0.2)
    assert book.snapshot().bytes_per_s == pytest.approx(10_000, rel=0.2)
    time.now_s += 60
    assert (book.snapshot().files_per_s, book.snapshot().files_done) == (0, 100)


def test_memory_of_figures_is_bounded(book: FigureBook, time: Time) -> None:
    """SHP-52: thirty days of files leave nothing behind."""
    for number in range(5000):
        time.now_s += 0.5
        book.begun(number, b"x", "ship", 10)
        book.done(1)
        book.left(number)
        book.failed(b"x", "y")
    assert len(book._recent) < 50
    assert len(book.snapshot().failures) == 50
    assert book.snapshot().active == ()


def test_notice_stands_until_it_is_taken_back(book: FigureBook) -> None:
    book.notice("store", "away")
    book.notice("folder", "gone")
    assert book.snapshot().notice == "away; gone"
    book.notice("store", "")
    assert book.snapshot().notice == "gone"


def test_live_view_fits_80_columns_whatever_the_names(book: FigureBook, time: Time) -> None:
    book.begun(1, ("d/" * 60 + "big.csv").encode(), "ship", 4 << 30)
    book.moved(1, "ship", 1 << 30, 4 << 30)
    book.begun(2, "中文中文中文中文中文中文中文中文中文.csv".encode() * 2, "plan", 0)
    book.begun(3, b"bad\nname\xff.bin", "plan", 10)
    for number in range(4, 40):
        book.begun(number, b"n.bin", "plan", 10)
    book.failed(b"x/y.csv", "row 7 has 3 fields, not 2 " * 10)
    book.notice("store", "the store is away: " + "x" * 100)
    book.put_states({SourceState.PENDING: 123_456, SourceState.RETRY: 3, SourceState.FAILED: 1})
    book.put("waiting", 7)
    book.put("workers", 2)
    time.now_s += 3700
    lines = view_lines("/data/in -> s3://lake/landing/", book.snapshot(), 80)
    assert max(cell_width(line) for line in lines) <= 80
    assert len(lines) < 25
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "25%" in text
    assert "7 not at rest, 123,456 pending, 3 again later, 1 failed  [2 workers]" in text
    assert "and 27 more" in text


def test_every_event_is_one_json_object_with_time_path_and_error() -> None:
    lines = []
    log = EventLog(lines.append, as_json=True, level=logging.DEBUG)
    for kind in EventKind:
        log.on_event(ShipEvent(kind, AT, b"caf\xe9\n.csv", ERROR, {"attempt": 2}))
    parsed = [json.loads(line) for line in lines]
    assert [one["event"] for one in parsed] == [kind.value for kind in EventKind]
    for one in parsed:
        assert one["time"] == "2026-11-21T12:30:05Z"
        assert one["path_hex"] == b"caf\xe9\n.csv".hex()
        assert one["attempt"] == 2
        assert one["error"] == {
            "type": "key-collision",
            "message": "`a.csv` would become `a.parquet`",
            "hint": KeyCollisionError.default_hint,
            "retryable": False,
            "details": {"key": "a.parquet"},
        }
    assert {one["event"] for one in parsed} >= {
        "detected",
        "settled",
        "planned",
        "started",
        "progress",
        "uploaded",
        "failed",
    }


def test_line_for_people_is_one_line() -> None:
    event = ShipEvent(EventKind.FAILED, AT, b"a\nb.csv", ERROR, {"moved_to": None, "s": 1.5})
    line = human_line(event)
    assert line.startswith("2026-11-21 12:30:05 ERROR failed    a b.csv `a.csv` would become")
    assert line.endswith("s=1.5")
    assert "moved_to" not in line
    assert "\n" not in line


def test_level_decides_what_is_written() -> None:
    lines: list[str] = []
    log = EventLog(lines.append, as_json=False, level=logging.WARNING)
    for kind in (EventKind.SETTLED, EventKind.UPLOADED, EventKind.OUTAGE, EventKind.FAILED):
        log.on_event(ShipEvent(kind, AT))
    assert len(lines) == 2


def test_what_the_program_logs_has_the_same_form() -> None:
    lines: list[str] = []
    log = EventLog(lines.append, as_json=True, level=logging.INFO)
    record = logging.LogRecord("stocktake", logging.WARNING, "", 0, "worker %d: x", (1,), None)
    log.handler().emit(record)
    assert json.loads(lines[0])["message"] == "worker 1: x"
    assert json.loads(json_line(ShipEvent(EventKind.BACK, AT)))["level"] == "INFO"
