"""Questions in SQL, exports, Iceberg; and that every JSON answer has the members its help names."""

from __future__ import annotations

import json
import re

import pyarrow.parquet as pq
import pytest
from acceptance_shell import (
    ADDED,
    ADDRESS,
    CHANGED,
    GONE,
    REPORTS,
    SOURCE,
    help_of,
    members_in,
)

from stocktake.cli._commands import COMMANDS, EXIT_CODES
from stocktake.cli._main import _root


def test_sql_answers_over_objects_and_differences(world):
    """CAT-8"""
    count = world.inside("sql", "select count(*) as n from objects", "--json").json
    assert count["rows"] == [{"n": 8}]
    assert count["columns"] == [{"name": "n", "type": "int64"}]
    assert count["source"]["snapshot_id"] == world.second.json["snapshot_id"]
    question = "select key from diff('previous', 'latest') where change = 'deleted'"
    assert world.inside("sql", question, "--json").json["rows"] == [{"key": GONE}]
    older = world.inside("sql", "select max(key) as k from objects", "--snapshot", "previous")
    assert older.out.splitlines() == ["k", GONE]


def test_sql_reads_a_statement_from_standard_input(world):
    answer = world.inside("sql", "-", "--json", stdin="select 1 as a, 2 as a")
    assert answer.json["rows"] == [{"a": 1, "a_2": 2}]


def test_sql_says_when_there_is_more_than_the_limit(world):
    answer = world.inside("sql", "select key from objects", "--limit", "3", "--json").json
    assert (len(answer["rows"]), answer["truncated"]) == (3, True)
    assert "the first 3 rows" in world.inside("sql", "from objects", "--limit", "3").err


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_csv('/etc/passwd')",
        "copy objects to '/tmp/x.csv'",
        "drop view objects",
        "select 1; select 2",
        "selec 1",
    ],
)
def test_sql_does_nothing_but_one_select_over_the_catalog(world, statement):
    """CAT-8"""
    answer = world.inside("sql", statement, "--json")
    assert answer.code == 2
    assert answer.json["error"]["code"] == "invalid-query"


def test_export_writes_every_format_whole_with_all_rows(world, tmp_path):
    """CAT-9"""
    for name in ("csv", "ndjson", "parquet"):
        file = tmp_path / f"objects.{name}"
        answer = world.inside("export", "--format", name, "--out", str(file), "--json").json
        assert (answer["rows"], answer["size_bytes"]) == (8, file.stat().st_size)
    keys = pq.read_table(tmp_path / "objects.parquet").column("key").to_pylist()
    lines = (tmp_path / "objects.ndjson").read_text().splitlines()
    assert keys == [json.loads(line)["key"] for line in lines]
    assert keys == sorted(keys)
    assert (tmp_path / "objects.csv").read_text().startswith('"key",')
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "objects.csv",
        "objects.ndjson",
        "objects.parquet",
    ]


def test_export_to_standard_output_is_the_data_alone(world):
    answer = world.shell("export", "2026/", "--format", "ndjson")
    keys = [json.loads(line)["key"] for line in answer.out.splitlines()]
    assert keys[:2] == [CHANGED, ADDED]
    assert "as of 20" in answer.err


def test_export_of_the_differences_and_of_the_tree(world, tmp_path):
    file = tmp_path / "x"
    diff = ("export", "--view", "diff", "--format", "ndjson", "--out", str(file))
    assert world.inside(*diff).code == 0
    assert {json.loads(line)["change"] for line in file.read_text().splitlines()} == {
        "new",
        "modified",
        "deleted",
        "renamed",
    }
    nothing = (*diff[:4], "csv", *diff[5:], "--old", "latest")
    assert "wrote 0 rows" in world.inside(*nothing).out
    assert file.read_text().startswith('"key","change"')
    assert world.inside("export", "--format", "ncdu", "--out", str(file)).code == 0
    assert json.loads(file.read_text())[3][0]["name"] == f"s3://{SOURCE}/"


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["--json"], "--out FILE"),
        (["--format", "xls"], "csv, ndjson, parquet, ncdu"),
        (["--view", "everything"], "objects, folders, diff"),
        (["--view", "diff", "--format", "ncdu"], "leave out --view diff"),
        (["--out", "/no/such/directory/x"], "another file"),
    ],
)
def test_export_says_what_it_cannot_do(world, args, hint):
    answer = world.inside("export", *args)
    assert answer.code == 2
    assert hint in answer.err + answer.out


def test_publish_makes_an_iceberg_table_that_others_read(world, inside):
    """CAT-11"""
    inside("inventory", "import", "--manifest", world.wrote.json["manifest_url"])
    answer = inside("catalog", "publish", "--iceberg", "--json")
    assert answer.code == 0, answer
    published = answer.json
    assert (published["files"], published["rows"]) == (1, 8)
    assert published["snapshot"]["pinned"] is True
    assert published["table"] == f"stocktake.{SOURCE.replace('-', '_')}"
    assert "metadata.json" in published["metadata_location"]
    assert inside("catalog", "publish").code == 2


def test_bench_measures_an_import_and_leaves_nothing_behind(shell):
    answer = shell("bench", "--rows", "5000", "--parts", "2", "--json", "--quiet")
    assert answer.code == 0, answer
    facts = answer.json
    assert (facts["rows"], facts["parts"], facts["format"]) == (5000, 2, "csv")
    assert facts["cpu_s"] > 0
    assert facts["peak_rss_bytes"] > 10 << 20
    assert not (shell.home / "stocktake-bench").exists()


GROUPS = {entry.name for entry in COMMANDS if entry.group}

ANSWERS = {
    "ls": ["ls"],
    "tree": ["tree"],
    "du": ["du"],
    "find": ["find"],
    "top": ["top"],
    "dupes": ["dupes"],
    "diff": ["diff"],
    "sql": ["sql", "select 1"],
    "export": ["export", "--out", "exported.csv"],
    "version": ["version"],
    "inventory dates": ["inventory", "dates", ADDRESS],
    "inventory import": ["inventory", "import", ADDRESS],
    "inventory verify": ["inventory", "verify", ADDRESS],
    "inventory write": [
        *("inventory", "write", f"s3://{SOURCE}", "--to", f"s3://{REPORTS}/contract"),
        "--overwrite",
    ],
    "snapshots list": ["snapshots"],
    "snapshots pin": ["snapshots", "pin", "latest"],
    "snapshots unpin": ["snapshots", "unpin", "latest"],
    "snapshots retain": ["snapshots", "retain", "--keep-last", "9"],
}


@pytest.mark.parametrize("command", ANSWERS)
def test_an_answer_has_exactly_the_members_that_the_help_names(world, command):
    named = members_in(help_of(world.inside, *command.split()))
    answer = world.inside(*ANSWERS[command], "--json", "--quiet")
    assert answer.code in (0, 4), answer
    assert set(answer.json) == named


def every_command():
    root = _root()
    context = root.make_context("stocktake", [], resilient_parsing=True)
    for entry in COMMANDS:
        loaded = root.get_command(context, entry.name)
        yield entry.name
        yield from (f"{entry.name} {name}" for name in getattr(loaded, "commands", {}))


@pytest.mark.parametrize("command", list(every_command()))
def test_help_of_every_command_fits_80_columns_and_lists_its_exit_codes(inside, command):
    text = help_of(inside, *command.split())
    assert text.startswith(f"Usage: stocktake {command} ")
    assert max(map(len, text.splitlines())) <= 80
    listed = re.search(r"Exit codes:\n((?:  .+\n)+)", text)
    codes = [int(line.split()[0]) for line in listed[1].splitlines()]
    assert {0, 2, 130} <= set(codes) <= set(EXIT_CODES)
    if " " in command or command not in GROUPS:
        assert "Examples:\n  stocktake " in text
        assert "JSON" in text
