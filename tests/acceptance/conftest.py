"""A user at a shell, a local S3 server, and a catalog made with the command alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from acceptance_shell import (
    ADDED,
    ADDRESS,
    CHANGED,
    FIRST,
    GONE,
    MOVED,
    REPORTS,
    SOURCE,
    Answer,
    Inside,
    Shell,
)

from stocktake.clock import SystemClock
from stocktake.inventory import ReportSpec, write_report
from stocktake.listing import list_objects
from stocktake.model import S3Url
from stocktake.store import Store, open_store
from stocktake.testing import Server, start_ministack


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
