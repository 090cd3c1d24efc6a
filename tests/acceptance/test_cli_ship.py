"""`stocktake ship` as users run it: SHP-1, SHP-50, SHP-51."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance_shell import PROGRAM, Inside, Shell, help_of, members_in

from stocktake.cli._ship_options import COMMON, FLAGS, HIDDEN, SHOWN
from stocktake.ship import SHIP_SETTINGS
from stocktake.store import ListQuery, iter_listing, open_store
from stocktake.testing import FakeS3

ENV = """STOCKTAKE_SHIP_FOLDER={folder}
STOCKTAKE_SHIP_BUCKET=s3://lake/landing
STOCKTAKE_SHIP_STATE_FOLDER={state}
STOCKTAKE_SHIP_SETTLE_S=0.05
STOCKTAKE_SHIP_SETTLE_UNKNOWN_S=0.1
STOCKTAKE_SHIP_SCAN_INTERVAL_S=0.2
STOCKTAKE_SHIP_WORKERS=1
STOCKTAKE_SHIP_ENDPOINT_URL={endpoint}
AWS_REGION=us-east-1
AWS_ACCESS_KEY_ID={key}
AWS_SECRET_ACCESS_KEY={secret}
"""
EXIT_PARTIAL = 3


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    with FakeS3() as server:
        server.create_bucket("lake")
        yield server


@pytest.fixture
def home(tmp_path: Path, fake: FakeS3) -> Path:
    """A directory with a `.env` that says everything."""
    (tmp_path / "in").mkdir()
    identity = fake.credentials
    text = ENV.format(
        folder=tmp_path / "in",
        state=tmp_path / "state",
        endpoint=fake.endpoint_url,
        key=identity.access_key_id,
        secret=identity.secret_access_key,
    )
    (tmp_path / ".env").write_text(text)
    return tmp_path


@pytest.fixture
def here(home: Path) -> Inside:
    return Inside(home, {})


def keys(fake: FakeS3) -> list[str]:
    pages = iter_listing(open_store(fake.options()), ListQuery("lake", "landing/"))
    found = [one.key for page in pages for one in page.objects]
    return [key for key in found if "/.stocktake/" not in key]


def test_once_ships_all_that_env_says_and_sums_up(home: Path, fake: FakeS3, here: Inside) -> None:
    (home / "in/a.txt").write_text("hello")
    (home / "in/t.csv").write_text("id,code\n1,007\n")
    answer = here("ship", "once")
    assert answer.code == 0, answer.err
    assert f"{home}/in -> s3://lake/landing/" in answer.out
    assert "shipped             2" in answer.out
    assert keys(fake) == ["landing/a.txt", "landing/t.parquet"]
    again = here("ship", "once", "--json")
    assert again.code == 0
    assert (again.json["shipped"], again.json["states"]) == (0, {"completed": 2})


def test_json_is_the_contract_that_the_help_tells(home: Path, here: Inside) -> None:
    (home / "in/bad.csv").write_text("a,b\n1,2\n1,2,3\n")
    (home / "in/good.txt").write_text("x")
    once = here("ship", "once", "--json")
    assert once.code == EXIT_PARTIAL
    assert set(once.json) == members_in(help_of(here, "ship", "once"))
    assert once.json["failures"][0]["path"] == "bad.csv"
    status = here("ship", "status", "--json")
    assert set(status.json) == members_in(help_of(here, "ship", "status"))
    assert status.json["running"] is False
    assert status.json["states"] == {"completed": 1, "failed": 1}
    failed = here("ship", "failed", "--json")
    (row,) = failed.json["files"]
    assert (row["path"], row["error"]["code"]) == ("bad.csv", "bad-row")
    retried = here("ship", "retry", "--json")
    assert retried.json == {"retried": ["bad.csv"], "put_back": ["bad.csv"], "kept": []}
    assert (home / "in/bad.csv").exists()


def test_plan_says_what_would_become_of_each_file_and_touches_nothing(
    home: Path, fake: FakeS3, here: Inside
) -> None:
    for name in ("a.txt", "t.csv", "t.json", "sub/x.zip"):
        (home / "in" / name).parent.mkdir(exist_ok=True)
        (home / "in" / name).write_text("x")
    before = sorted(home.rglob("*"))
    answer = here("ship", "plan", "--json")
    assert answer.code == EXIT_PARTIAL
    told = {one["path"]: (one["kind"], one["key"], one["state"]) for one in answer.json["files"]}
    assert told == {
        "a.txt": ("plain", "landing/a.txt", "new"),
        "sub/x.zip": ("archive", "landing/sub/x/", "new"),
        "t.csv": ("table", "landing/t.parquet", "new"),
        "t.json": ("table", "landing/t.parquet", "new"),
    }
    refused = [one for one in answer.json["files"] if one["error"]]
    assert [one["error"]["code"] for one in refused] == ["key-collision"]
    assert answer.json["totals"] == {"files": 4, "bytes": 4, "new": 3, "known": 0, "refused": 1}
    deep = here("ship", "plan", "--deep", "--on-collision", "suffix", "--json")
    errors = {one["path"]: one["error"] for one in deep.json["files"]}
    assert errors["sub/x.zip"]["code"] == "not-an-archive"
    assert sorted(home.rglob("*")) == before
    assert keys(fake) == []
    assert "becomes Parquet" in here("ship", "plan").out


def test_check_looks_at_all_and_tells_no_secret(home: Path, fake: FakeS3, here: Inside) -> None:
    """SHP-1."""
    answer = here("ship", "check", "--json")
    assert answer.code == 0, answer.out
    assert {one["name"] for one in answer.json["findings"]} >= {"folder", "bucket", "lease"}
    assert answer.json["settings"]["bucket"] == "lake"
    assert fake.credentials.secret_access_key not in answer.out + answer.err
    refused = here("ship", "check", STOCKTAKE_SHIP_BUCKET="nowhere")
    assert refused.code == 1
    assert "nowhere" in refused.out


def test_missing_setting_is_named_with_the_way_to_set_it(tmp_path: Path) -> None:
    """SHP-1."""
    answer = Inside(tmp_path, {})("ship", "once")
    assert answer.code == 2
    assert "`folder` is not set" in answer.err
    assert "STOCKTAKE_SHIP_FOLDER" in answer.err


def test_status_before_the_first_run_says_what_to_do(here: Inside) -> None:
    answer = here("ship", "status")
    assert answer.code == 1
    assert "stocktake ship once" in answer.err


@pytest.mark.slow
def test_rebuild_finds_what_was_shipped(home: Path, here: Inside) -> None:
    """SHP-41."""
    (home / "in/a.txt").write_text("hello")
    here("ship", "once")
    answer = here("ship", "rebuild", "--json")
    assert answer.code == 0, answer.err
    assert (answer.json["records"], answer.json["matched"]) == (1, 1)
    assert set(answer.json) == members_in(help_of(here, "ship", "rebuild"))
    assert here("ship", "once", "--json").json["shipped"] == 0


def test_every_setting_is_an_option(here: Inside) -> None:
    options = {*SHOWN, *HIDDEN, *FLAGS, *COMMON}
    assert options == {setting.name for setting in SHIP_SETTINGS}
    shown = help_of(here, "ship", "run")
    for setting in SHIP_SETTINGS:
        if SHOWN.get(setting.name):
            assert setting.option in shown


def test_option_wins_over_env(home: Path, here: Inside) -> None:
    (home / "in/t.csv").write_text("a\n1\n")
    words = ("ship", "plan", "--no-convert-tables", str(home / "in"), "s3://other/x/", "--json")
    (file,) = here(*words).json["files"]
    assert file["key"] == "x/t.csv"


@pytest.mark.parametrize("command", ["run", "once", "status", "plan"])
def test_help_fits_80_columns(command: str, here: Inside) -> None:
    assert max(len(line) for line in help_of(here, "ship", command).splitlines()) <= 80


def test_log_is_one_json_object_per_event(home: Path) -> None:
    """SHP-51."""
    (home / "in/a.txt").write_text("hello")
    (home / "in/bad.csv").write_text("a,b\n1,2\n1,2,3\n")
    answer = Shell(home, {})("ship", "once", "--log-format", "json", "--log-level", "debug")
    assert answer.code == EXIT_PARTIAL
    lines = [json.loads(line) for line in answer.err.splitlines() if line.startswith("{")]
    mine = [line["event"] for line in lines if line.get("path") == "a.txt"]
    assert mine == ["detected", "settled", "started", "uploaded"]
    (failed,) = [line for line in lines if line["event"] == "failed"]
    assert failed["error"]["type"] == "bad-row"
    assert failed["error"]["details"]["row"] == 3
    assert {"time", "level"} <= set(failed)


@pytest.mark.slow
def test_live_view_shows_queue_throughput_and_failures(home: Path) -> None:
    """SHP-51: on a terminal of 80 columns."""
    for number in range(50):
        (home / f"in/n{number}.txt").write_text("x")
    (home / "in/bad.csv").write_text("a,b\n1,2\n1,2,3\n")
    shell = Shell(home, {"TERM": "xterm"})
    parent, child = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, "ship", "once", "--progress"],
        cwd=home,
        env=shell.environment,
        stdout=subprocess.DEVNULL,
        stderr=child,
    ) as process:
        os.close(child)
        seen = io.BytesIO()
        end_s = time.monotonic() + 60
        while time.monotonic() < end_s:
            ready, _, _ = select.select([parent], [], [], 0.2)
            if ready:
                try:
                    seen.write(os.read(parent, 65536))
                except OSError:
                    break
        assert process.wait(30) == EXIT_PARTIAL
    os.close(parent)
    text = seen.getvalue().decode()
    assert "files/s" in text
    assert "queue" in text
    assert "failed  bad.csv: bad.csv: row 3" in text
