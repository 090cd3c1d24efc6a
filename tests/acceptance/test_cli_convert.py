"""SHP-23: `stocktake convert`, for files that have nothing to do with shipping."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from acceptance_shell import Inside, Shell


@pytest.fixture
def inside(tmp_path):
    (tmp_path / "orders.csv").write_text("id,code,price\n1,007,1.50\n2,008,20.25\n")
    (tmp_path / "bad.csv").write_text("a,b\n1\n")
    (tmp_path / "empty.csv").write_text("")
    return Inside(tmp_path, {})


def test_one_file_becomes_parquet_and_says_why(inside) -> None:
    answer = inside("convert", "orders.csv", "-o", "out.parquet")
    assert answer.code == 0, answer.err
    table = pq.read_table(inside.home / "out.parquet")
    assert [str(kind) for kind in table.schema.types] == ["int64", "string", "decimal128(4, 2)"]
    assert "orders.csv: 2 rows" in answer.out
    assert "row 2 rules out integers (a sign or zero in front" in answer.out


def test_json_has_all_files_and_one_failure_stops_no_other(inside) -> None:
    (inside.home / "out").mkdir()
    answer = inside("convert", "bad.csv", "orders.csv", "empty.csv", "-o", "out", "--json")
    assert answer.code == 3
    files = {one["source"]: one for one in answer.json["files"]}
    assert {name: one["state"] for name, one in files.items()} == {
        "bad.csv": "failed",
        "orders.csv": "converted",
        "empty.csv": "skipped-empty",
    }
    assert files["bad.csv"]["error"]["code"] == "bad-row"
    assert files["bad.csv"]["error"]["attrs"]["row"] == 2
    assert files["orders.csv"]["columns"][1] == {
        "name": "code",
        "source_name": None,
        "type": "string",
        "why": "row 2 rules out integers (a sign or zero in front that a number does not keep)",
    }
    assert [path.name for path in (inside.home / "out").iterdir()] == ["orders.parquet"]
    assert (answer.json["converted"], answer.json["failed"]) == (1, 1)


def test_failure_of_the_only_file_is_the_answer(inside) -> None:
    answer = inside("convert", "bad.csv")
    assert answer.code == 1
    assert "bad.csv: row 2 (line 2) has 1 fields, not 2" in answer.err
    assert "--bad-rows reject:N" in answer.err
    assert not list(inside.home.glob("*.parquet"))


def test_bad_rows_can_be_put_aside(inside) -> None:
    answer = inside("convert", "bad.csv", "--bad-rows", "reject:1", "--json")
    assert answer.code == 0, answer.err
    one = answer.json["files"][0]
    assert one["rejected"] == [{"row": 2, "line": 2, "reason": "1 fields, not 2"}]
    assert one["target"] == "bad.parquet"


def test_a_file_that_is_there_is_not_replaced_unasked(inside) -> None:
    target = inside.home / "orders.parquet"
    target.write_text("mine")
    answer = inside("convert", "orders.csv")
    assert answer.code == 2
    assert "--overwrite" in answer.err
    assert target.read_text() == "mine"
    assert inside("convert", "orders.csv", "--overwrite").code == 0
    assert pq.read_table(target).num_rows == 2


def test_dry_run_writes_nothing(inside) -> None:
    before = sorted(inside.home.iterdir())
    answer = inside("convert", "orders.csv", "--dry-run", "--json")
    assert answer.json["files"][0]["state"] == "planned"
    assert sorted(inside.home.iterdir()) == before


def test_types_from_a_file(inside) -> None:
    (inside.home / "types.json").write_text(json.dumps({"code": "int32"}))
    answer = inside("convert", "orders.csv", "--types", "types.json", "--json")
    assert answer.json["files"][0]["columns"][1]["type"] == "int32"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("orders.csv", "bad.csv", "-o", "one.parquet"), "many files cannot become one"),
        (("orders.txt",), "is not called like a table"),
        (("orders.csv", "--types", "nothing.json"), "which is no JSON file"),
        (("orders.csv", "--bad-rows", "some"), "--bad-rows is `some`"),
        (("orders.csv", "./orders.csv"), "two files would become"),
        (("missing.csv",), "No such file"),
        (("orders.csv", "--delimiter", "ab"), "is not one ASCII character"),
        (("orders.csv", "--compression", "lzo"), "is not zstd or snappy"),
    ],
)
def test_what_cannot_be_meant_is_refused(inside, words, says) -> None:
    answer = inside("convert", *words)
    assert answer.code == 2
    assert says in answer.err
    assert not list(inside.home.glob("*.parquet"))


def test_the_command_itself_converts(inside) -> None:
    shell = Shell(inside.home, {})
    answer = shell("convert", "orders.csv", "-q")
    assert answer.code == 0, answer.err
    assert pq.read_table(inside.home / "orders.parquet").num_rows == 2
