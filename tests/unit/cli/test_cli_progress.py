"""Progress: lines where nobody watches, bars on a terminal, nothing when quiet."""

import io
from datetime import UTC, datetime

import pytest

from stocktake.cli._output import Output
from stocktake.cli._progress import watch
from stocktake.clock import FixedClock


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


def test_a_phase_in_a_log_is_one_line_with_amount_time_and_rate(clock):
    out = Output(io.StringIO(), io.StringIO())
    with watch(out, clock) as progress:
        progress.phase("reading parts", 100 << 20, "bytes")
        clock.advance(4)
        progress.advance(100 << 20)
        progress.phase("folders", None, "folders")
        clock.advance(0.5)
    assert out.stderr.getvalue().splitlines() == [
        "reading parts: 100.0 MiB in 4.0 s (25.0 MiB/s)",
        "folders: 0.5 s",
    ]
    assert progress.seconds == {"reading parts": 4.0, "folders": 0.5}


def test_a_long_phase_in_a_log_gets_a_line_every_ten_seconds(clock):
    out = Output(io.StringIO(), io.StringIO())
    with watch(out, clock) as progress:
        progress.phase("rows", 1000, "rows")
        for _ in range(25):
            clock.advance(1)
            progress.advance(20)
        lines = out.stderr.getvalue().splitlines()
    assert lines == [
        "rows: 20% (200 rows of 1,000 rows), 20 rows/s, 40.0 s left",
        "rows: 40% (400 rows of 1,000 rows), 20 rows/s, 30.0 s left",
    ]


def test_a_phase_without_a_total_says_what_is_done(clock):
    out = Output(io.StringIO(), io.StringIO())
    with watch(out, clock) as progress:
        progress.phase("listing", None, "objects")
        clock.advance(10)
        progress.advance(5000)
        assert out.stderr.getvalue() == "listing: 5,000 objects, 500 objects/s\n"


def test_quiet_shows_nothing_but_still_measures(clock):
    out = Output(io.StringIO(), Terminal())
    out.quiet = True
    with watch(out, clock) as progress:
        progress.phase("reading", 10, "bytes")
        clock.advance(3)
        progress.advance(10)
        progress.note("resumed")
    assert out.stderr.getvalue() == ""
    assert progress.seconds == {"reading": 3.0}


def test_a_terminal_shows_a_bar_with_share_and_rate(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    out = Output(io.StringIO(), Terminal())
    with watch(out, clock) as progress:
        progress.phase("reading parts", 100 << 20, "bytes")
        clock.advance(2)
        progress.advance(50 << 20)
        progress.note("3 parts were there already")
    text = out.stderr.getvalue()
    assert "reading parts" in text
    assert "━" in text
    assert "50.0 MiB in 2.0 s" in text
    assert "3 parts were there already" in text


def test_the_terminal_is_given_back_when_the_job_fails(clock, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = Output(io.StringIO(), Terminal())
    with pytest.raises(KeyboardInterrupt):
        interrupted(out, clock)
    assert out.stderr.getvalue().rstrip().endswith("\x1b[?25h")


def interrupted(out, clock):
    with watch(out, clock) as progress:
        progress.phase("reading", None, "rows")
        raise KeyboardInterrupt
