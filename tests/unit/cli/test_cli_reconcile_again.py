"""REC-3: `reconcile --every`: what may pass is said and the next run comes; the rest ends it."""

from __future__ import annotations

import errno
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

import reconcile_samples as samples
from stocktake.cli import _reconcile_work, _whole_file
from stocktake.cli._output import Output
from stocktake.cli._reconcile_work import ReconcileRequest, answer
from stocktake.cli._run import Run
from stocktake.cli._whole_file import check_writable, write_whole
from stocktake.clock import FixedClock
from stocktake.errors import AccessDeniedError, DiskFullError, StoreUnavailableError, UsageError
from stocktake.settings import load_settings


class StoppedError(Exception):
    """The user's Ctrl-C, here."""


class Clock(FixedClock):
    """Notes each wait; stops after some."""

    def __init__(self, waits_max: int) -> None:
        super().__init__(datetime(2026, 11, 21, tzinfo=UTC))
        self.waits: list[float] = []
        self._waits_max = waits_max

    def sleep(self, duration_s: float) -> None:
        self.waits.append(duration_s)
        if len(self.waits) == self._waits_max:
            raise StoppedError
        super().sleep(duration_s)


def again(monkeypatch, outcomes, *, takes_s=2.0, every="10s", as_json=False):
    """What was printed, and how long each wait was."""
    clock = Clock(len(outcomes))
    out = Output(io.StringIO(), io.StringIO())
    out.json = as_json
    run = Run(
        load_settings({}, environ={"HOME": "/none"}, project_dir=Path("/none")), out, {}, clock
    )
    coming = iter(outcomes)

    def reconcile(_run, _config):
        clock.advance(takes_s)
        outcome = next(coming)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(_reconcile_work, "run_reconcile", reconcile)
    request = ReconcileRequest(source="s3://bucket/p/", places={"folder": "/tmp"}, every=every)
    with pytest.raises(StoppedError):
        answer(run, request)
    return out.stdout.getvalue(), out.stderr.getvalue(), clock.waits


def test_runs_begin_at_the_interval_whatever_they_take(monkeypatch):
    out, _, waits = again(monkeypatch, [samples.report(), samples.everything_wrong()])
    assert waits == [8.0, 8.0]
    assert "Everything is as it should be." in out
    assert "50 findings" in out


def test_a_run_that_takes_longer_skips_what_it_missed(monkeypatch):
    _, _, waits = again(monkeypatch, [samples.report()] * 2, takes_s=25.0)
    assert waits == [5.0, 5.0]


def test_an_outage_is_said_and_the_next_run_comes(monkeypatch):
    gone = StoreUnavailableError("no answer from the store")
    assert gone.retryable
    out, err, waits = again(monkeypatch, [gone, samples.report()])
    assert "error: no answer from the store" in err
    assert len(waits) == 2
    assert "Everything is as it should be." in out


def test_with_json_each_run_is_a_line(monkeypatch):
    out, _, _ = again(monkeypatch, [samples.report()] * 3, as_json=True)
    lines = [json.loads(line) for line in out.splitlines()]
    assert [one["exit_code"] for one in lines] == [0, 0, 0]


def test_what_will_not_pass_ends_it(monkeypatch):
    with pytest.raises(AccessDeniedError):
        again(monkeypatch, [AccessDeniedError("denied"), samples.report()])


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_whole(path, b"first")
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_whole_file.os, "fsync", full)
    with pytest.raises(DiskFullError, match=r"report\.html"):
        write_whole(path, b"third")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    check_writable(tmp_path / "new.html")
    for wrong, said in (
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "x", "there is no folder"),
        (Path("/proc/x.html"), ""),
    ):
        if said:
            with pytest.raises(UsageError, match=said):
                check_writable(wrong)
        else:
            with pytest.raises(UsageError):
                write_whole(wrong, b"x")
