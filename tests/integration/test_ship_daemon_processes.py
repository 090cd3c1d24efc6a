"""Workers that die, signals, and a daemon that is killed: SHP-40, 43, 52."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipyard import BUCKET, Shipyard
from stocktake.errors import WorkerDiedError
from stocktake.ship import EventKind, SourceState, is_locked, ledger_path
from stocktake.testing import FakeS3

PROGRAM = Path(sys.executable).with_name("stocktake")
LONGEST_S = 60


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Shipyard]:
    with FakeS3() as fake:
        fake.create_bucket(BUCKET)
        yield Shipyard(tmp_path, fake)


def until(true: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + LONGEST_S
    while not true():
        assert time.monotonic() < end_s, what
        time.sleep(0.05)


class Running:
    """`stocktake ship run` as a process of its own."""

    def __init__(self, yard: Shipyard, *more: str) -> None:
        settings = yard.settings
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(yard.folder.parent),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": str(settings.store.access_key_id),
            "AWS_SECRET_ACCESS_KEY": str(settings.store.secret_access_key),
            "STOCKTAKE_ENDPOINT_URL": str(settings.store.endpoint_url),
            "STOCKTAKE_SHIP_SETTLE_S": "0.05",
            "STOCKTAKE_SHIP_SCAN_INTERVAL_S": "0.2",
            "STOCKTAKE_SHIP_WORKERS": "1",
            "STOCKTAKE_SHIP_LOG_LEVEL": "debug",
        }
        command = [PROGRAM, "ship", "run", settings.folder, f"s3://{BUCKET}/in/"]
        self.env_file = yard.folder.parent / ".env"
        self.process = subprocess.Popen(
            [*command, "--state-folder", settings.state_folder, "--log-format", "json", *more],
            cwd=yard.folder.parent,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[dict[str, object]] = []
        self.rest: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("{"):
                self.lines.append(json.loads(line))
            else:
                self.rest.append(line)

    def events(self, name: str) -> list[dict[str, object]]:
        return [line for line in self.lines if line["event"] == name]

    def wait_for(self, name: str, count: int = 1) -> None:
        until(lambda: len(self.events(name)) >= count, f"no {name}: {self.lines} {self.rest}")

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait(LONGEST_S)
        self._reader.join(LONGEST_S)
        return code

    def workers(self) -> list[int]:
        below = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in below.split()]

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.wait(LONGEST_S)
        self._reader.join(LONGEST_S)
        if self.process.stderr is not None:
            self.process.stderr.close()


def test_worker_may_write_no_file(tmp_path: Path) -> None:
    """SHP-43: the kernel says so, whatever a library wants."""
    code = (
        "import os, sys\n"
        "from stocktake.ship import _sandbox\n"
        "_sandbox.enter(os.getppid())\n"
        "try:\n"
        "    os.write(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY), b'spilled')\n"
        "except OSError as error:\n"
        "    sys.exit(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "spill"], check=False)
    assert done.returncode == errno.EFBIG
    assert (tmp_path / "spill").read_bytes() == b""


def test_worker_whose_daemon_ends_before_it_is_told_anything_says_nothing() -> None:
    """The daemon was stopped while the store was away: no traceback for the user."""
    ours, its = socket.socketpair()
    with ours, its:
        command = [sys.executable, "-P", "-m", "stocktake.ship._worker_main"]
        worker = subprocess.Popen(
            [*command, str(its.fileno()), str(os.getpid())],
            pass_fds=[its.fileno()],
            stderr=subprocess.PIPE,
        )
        its.close()
        ours.close()
        _, said = worker.communicate(timeout=LONGEST_S)
    assert (worker.returncode, said) == (0, b"")


def test_file_that_kills_three_workers_fails_and_the_others_are_shipped(
    yard: Shipyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory in a file's own plan, for example."""
    monkeypatch.setattr("stocktake.ship._daemon_crew.RESPAWN_S", 0.01)
    monkeypatch.setenv("STOCKTAKE_KILL_AT", "ship.plan-begun")
    yard.put("t.csv", "a\n1\n")
    for number in range(30):
        yard.put(f"n{number}.txt", str(number))
    summary = yard.once(attempts_max=8)
    assert summary.figures.files_done == 30
    ((path, reason),) = summary.figures.failures
    assert path == b"t.csv"
    assert "SIGKILL" in reason
    assert summary.figures.workers_died == 3


@pytest.mark.slow
def test_batch_that_a_worker_died_in_is_shipped_without_a_victim(
    yard: Shipyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files go one at a time after that; none is blamed for another's fault."""
    monkeypatch.setattr("stocktake.ship._daemon_crew.RESPAWN_S", 0.01)
    monkeypatch.setenv("STOCKTAKE_KILL_AT", "ship.put-sending:5")
    for number in range(14):
        yard.put(f"n{number}.txt", str(number))
    summary = yard.once(uploads=1)
    assert summary.is_complete
    assert summary.figures.files_done == 14
    assert summary.figures.workers_died >= 3


@pytest.mark.slow
def test_upload_that_a_dead_worker_left_open_is_ended_before_it_is_made_anew(
    yard: Shipyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SHP-31: no orphan upload stays behind."""
    monkeypatch.setattr("stocktake.ship._daemon_crew.RESPAWN_S", 0.01)
    monkeypatch.setenv("STOCKTAKE_KILL_AT", "ship.parts-sent")
    yard.put("large.bin", os.urandom(6 << 20))

    def heal(event: object) -> None:
        if yard.watcher.count(EventKind.WORKER):
            os.environ.pop("STOCKTAKE_KILL_AT", None)

    yard.watcher.on = heal
    summary = yard.once()
    assert summary.is_complete
    answer = yard.store().describe("ListMultipartUploads", BUCKET)
    assert answer.get("Uploads", []) == []
    assert yard.keys_there() == ["large.bin"]


def test_sigterm_ends_it_with_all_recorded_and_exit_0(yard: Shipyard) -> None:
    """SHP-52."""
    with Running(yard) as running:
        yard.put("a.txt", "x")
        running.wait_for("uploaded")
        assert running.end(signal.SIGTERM) == 0
        assert [line["by"] for line in running.events("stopping")] == ["SIGTERM"]
        assert not running.rest
    assert not is_locked(ledger_path(yard.settings))
    assert yard.once().states == {SourceState.COMPLETED: 1}
    assert yard.watcher.count(EventKind.UPLOADED) == 0


@pytest.mark.slow
def test_sigint_exits_with_130(yard: Shipyard) -> None:
    with Running(yard) as running:
        running.wait_for("begun")
        assert running.end(signal.SIGINT) == 130


def test_file_that_arrives_and_changes_while_it_runs_is_shipped(yard: Shipyard) -> None:
    """SHP-4: well within two minutes."""
    with Running(yard) as running:
        running.wait_for("begun")
        yard.put("a.txt", "one")
        running.wait_for("uploaded")
        yard.put("a.txt", "two")
        running.wait_for("uploaded", 2)
        assert yard.read("a.txt") == b"two"
        assert running.end(signal.SIGTERM) == 0


def test_sighup_takes_over_what_can_be_and_says_what_cannot(yard: Shipyard) -> None:
    """SHP-52."""
    with Running(yard) as running:
        running.wait_for("begun")
        running.env_file.write_text(
            "STOCKTAKE_SHIP_ATTEMPTS_MAX=2\nSTOCKTAKE_SHIP_DATASET=other\n"
            "STOCKTAKE_SHIP_COMPRESSION=snappy\n"
        )
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("reloaded")
        (said,) = running.events("reloaded")
        assert sorted(said["taken"]) == ["attempts_max", "convert"]  # type: ignore[call-overload]
        assert said["needs_restart"] == ["dataset"]
        running.env_file.write_text("STOCKTAKE_SHIP_ATTEMPTS_MAX=many\n")
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("reloaded", 2)
        assert running.events("reloaded")[1]["refused"] is True
        yard.put("a.txt", "x")
        running.wait_for("uploaded")
        assert running.end(signal.SIGTERM) == 0


@pytest.mark.slow
def test_workers_end_with_a_daemon_that_is_killed_and_the_next_one_starts(yard: Shipyard) -> None:
    """SHP-40: nobody writes while another one does."""
    with Running(yard) as running:
        yard.put("a.txt", "x")
        running.wait_for("uploaded")
        workers = running.workers()
        assert workers
        running.end(signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "orphans")
    assert yard.once().is_complete


@pytest.mark.slow
def test_secrets_are_in_no_argument_of_a_worker(yard: Shipyard) -> None:
    """SHP-1."""
    with Running(yard) as running:
        yard.put("a.txt", "x")
        running.wait_for("uploaded")
        secret = str(yard.settings.store.secret_access_key)
        for pid in running.workers():
            assert secret not in Path(f"/proc/{pid}/cmdline").read_text()
        running.end(signal.SIGTERM)
        assert secret not in json.dumps(running.lines)


@pytest.mark.slow
def test_stop_during_an_outage_waits_for_nothing(yard: Shipyard) -> None:
    """SHP-52: no task can end without a store; what was begun goes on at the next start."""
    with Running(yard, "--read-timeout-s", "1") as running:
        yard.put("a.txt", "x")
        running.wait_for("uploaded")
        yard.fake.__exit__(None, None, None)
        yard.put("b.txt", "y")
        running.wait_for("outage")
        began_s = time.monotonic()
        assert running.end(signal.SIGTERM) == 0
        assert time.monotonic() - began_s < 15
        assert running.events("failed") == []


def test_workers_that_cannot_start_are_an_error_and_no_loop(
    yard: Shipyard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stocktake.ship._daemon_crew.RESPAWN_S", 0.01)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    yard.put("a.txt", "x")
    with pytest.raises(WorkerDiedError, match="as soon as they are started"):
        yard.once()
