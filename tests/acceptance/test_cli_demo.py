"""`stocktake demo`: what `make demo` shows, run twice in a row, and interrupted."""

from __future__ import annotations

import json
import time

import psutil
import pytest
from acceptance_shell import Answer, Shell

from stocktake.cli._demo_bucket import changes, first_state


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return Shell(tmp_path_factory.mktemp("demo"), {})


@pytest.fixture(scope="module")
def told(home) -> Answer:
    return home("demo")


def servers_in(shell: Shell) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "cwd"])
        if "ministack" in (process.info["cmdline"] or [])
        and str(process.info["cwd"] or "").startswith(str(shell.home))
    ]


def test_the_demo_shows_the_tree_the_difference_and_what_to_try_next(told):
    assert told.code == 0, told
    then = changes()
    for text in (
        f"{len(first_state()):,} objects, 33.7 MiB in s3://demo-archive",
        "s3://demo-archive/",
        "├── photos/",
        "│   ├── 2024/",
        f"{then.new} new, {then.modified} modified, {then.deleted} deleted, "
        f"{then.renamed} renamed, +2.6 MiB",
        "What to try next",
        "stocktake inventory import s3://my-reports/my-bucket/my-configuration",
    ):
        assert text in told.out
    assert "receipt of this import" in told.err
    assert max(len(line) for line in told.out.splitlines() if not line.startswith("$")) <= 100


def test_every_command_that_the_demo_suggests_works_without_its_server(home, told):
    suggested = [
        line.strip().removeprefix("stocktake ")
        for line in told.out.splitlines()
        if line.startswith("  stocktake ") and "--catalog" in line
    ]
    assert len(suggested) >= 5
    import shlex

    for line in suggested:
        answer = home(*shlex.split(line))
        assert answer.code in (0, 4), (line, answer)
        assert len(answer.out.splitlines()) > 1


def test_the_demo_leaves_a_catalog_and_no_server(home, told):
    assert servers_in(home) == []
    names = {path.name for path in (home.home / "demo-catalog").iterdir()}
    assert "catalog.json" in names
    assert "ministack.log" not in names


def test_the_demo_runs_again_from_the_start_or_goes_on(home, told):
    again = home("demo", "--json", "--quiet")
    assert again.code == 0, again
    facts = again.json
    assert len(facts["snapshots"]) == 2
    then = changes()
    assert {kind: facts["changes"][kind] for kind in ("new", "modified", "deleted", "renamed")} == {
        "new": then.new,
        "modified": then.modified,
        "deleted": then.deleted,
        "renamed": then.renamed,
    }
    assert len(facts["receipts"]) == 2
    assert set(facts) == {"catalog", "bucket", "snapshots", "changes", "receipts", "elapsed_s"}


def test_the_demo_never_removes_what_it_did_not_make(home):
    mine = home.home / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    answer = home("demo", "--dir", "mine")
    assert answer.code == 2
    assert "no demo made it" in answer.err
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_ctrl_c_ends_the_demo_and_its_server(tmp_path):
    shell = Shell(tmp_path, {})
    process = shell.start("demo")
    deadline_s = time.monotonic() + 60
    while not servers_in(shell):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    time.sleep(0.5)
    answer = Shell.interrupt(process)
    assert answer.code == 130, answer
    deadline_s = time.monotonic() + 10
    while servers_in(shell):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    marker = json.loads((tmp_path / "demo-catalog" / "demo.json").read_text())
    assert marker == {"bucket": "demo-archive"}
