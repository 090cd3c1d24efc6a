"""The real command as a subprocess, against a real local S3 server."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from stocktake.cli._main import run
from stocktake.cli._output import Output
from stocktake.clock import SystemClock
from stocktake.inventory import ReportSpec, write_report
from stocktake.listing import list_objects
from stocktake.model import S3Url
from stocktake.store import Store, open_store
from stocktake.testing import Server, start_ministack

PROGRAM = Path(sys.executable).with_name("stocktake")
SOURCE = "acceptance-photos"
REPORTS = "acceptance-reports"
FIRST = {
    "2025/spring/a.jpg": b"a" * 3000,
    "2025/spring/copy of a.jpg": b"a" * 3000,
    "2025/autumn/b.jpg": b"b" * 50_000,
    "2026/c.cr3": b"c" * 120_000,
    "2026/right\u202eto left.txt": b"x",
    "notes/100% + more.txt": b"n" * 10,
    "notes//double.txt": b"d" * 20,
    "top.txt": b"t",
}
ADDRESS = f"s3://{REPORTS}/one/{SOURCE}/stocktake"
GONE, CHANGED, MOVED, ADDED = "top.txt", "2026/c.cr3", "2025/autumn/b.jpg", "2026/new.jpg"


@dataclass(frozen=True)
class Answer:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs `stocktake` in a directory of its own, with nobody's settings."""

    def __init__(self, home: Path, server_environment: dict[str, str]) -> None:
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "COLUMNS": "80",
            "LANG": "C.UTF-8",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **server_environment,
        }

    def __call__(self, *args: str, stdin: str = "", **environment: str) -> Answer:
        done = subprocess.run(
            [PROGRAM, *args],
            cwd=self.home,
            env={**self.environment, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PROGRAM, *args],
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def interrupt(process: subprocess.Popen[str]) -> Answer:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        return Answer(process.returncode, out, err)


class Inside(Shell):
    """The same command lines within this process: a start-up less per question."""

    def __call__(self, *args: str, stdin: str = "", **environment: str) -> Answer:
        out = Output(io.StringIO(), io.StringIO())
        with (
            mock.patch.dict(os.environ, {**self.environment, **environment}, clear=True),
            mock.patch("sys.stdin", io.StringIO(stdin)),
            contextlib.chdir(self.home),
        ):
            code = run(args, out)
        return Answer(code, out.stdout.getvalue(), out.stderr.getvalue())


@pytest.fixture(scope="session")
def acceptance_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_ministack(tmp_path_factory.mktemp("acceptance-server")) as server:
        yield server


@pytest.fixture(scope="session")
def acceptance_store(acceptance_server: Server) -> Store:
    store = open_store(acceptance_server.options())
    for bucket in (SOURCE, REPORTS):
        store.describe("CreateBucket", bucket)
    return store


@pytest.fixture(scope="session")
def make_shell(
    acceptance_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Shell]:
    return lambda: Shell(tmp_path_factory.mktemp("home"), acceptance_server.environment())


@pytest.fixture
def shell(make_shell: Callable[[], Shell]) -> Shell:
    """A user with an empty home, on the server."""
    return make_shell()


@pytest.fixture
def inside(shell: Shell) -> Inside:
    """The same user, within this process."""
    return Inside(shell.home, shell.environment)


@dataclass(frozen=True)
class World:
    """A catalog with two snapshots, made with the command alone, and what it said meanwhile."""

    shell: Shell
    wrote: Answer
    first: Answer
    second: Answer

    @property
    def inside(self) -> Inside:
        return Inside(self.shell.home, self.shell.environment)


@pytest.fixture(scope="session")
def world(make_shell: Callable[[], Shell], acceptance_store: Store) -> World:
    shell = make_shell()
    for key, body in FIRST.items():
        acceptance_store.put(SOURCE, key, body)
    wrote = shell("inventory", "write", f"s3://{SOURCE}", "--to", f"s3://{REPORTS}/one", "--json")
    first = shell("inventory", "import", ADDRESS, "--json")
    acceptance_store.put(SOURCE, CHANGED, b"C" * 130_000)
    acceptance_store.put(SOURCE, ADDED, b"new")
    acceptance_store.put(SOURCE, MOVED.replace("b.jpg", "moved.jpg"), FIRST[MOVED])
    acceptance_store.delete(SOURCE, [GONE, MOVED])
    write_later_report(acceptance_store)
    second = shell(
        *("inventory", "import", ADDRESS, "--json"),
        *("--accept-deletions", "--deletion-margin", "0"),
    )
    return World(shell, wrote, first, second)


def write_later_report(store: Store) -> None:
    """The second report. Reports are dated by the minute, and this one must not share the first's
    nor be older than what it lists."""
    spec = ReportSpec(
        destination=S3Url(REPORTS, "one"),
        source_bucket=SOURCE,
        config_id="stocktake",
        stamp=SystemClock().now() + timedelta(minutes=2),
    )
    write_report(store, spec, list_objects(store, S3Url(SOURCE)))
