"""Sinks as JSON: checked when an ingestion is made, opened when it runs (ING-4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sink_world import FixedBatch, bucket_of, items_of, lines
from stocktake.errors import InvalidSettingError, InvalidUrlError
from stocktake.ingest import (
    SINK_SETTINGS,
    CallableSink,
    CommandSink,
    DuckDbSink,
    IcebergSink,
    Item,
    ParquetSink,
    SinkKind,
    check_sink,
    describe_sink,
    open_sink,
    per_item,
)
from stocktake.store import ObjectBody
from stocktake.testing import FakeS3


@pytest.mark.parametrize(
    ("raw", "kind", "text"),
    [
        (
            {"kind": "parquet", "location": "/d/set", "reader": "auto", "threads": 3},
            ParquetSink,
            "Parquet dataset /d/set, rows read as auto",
        ),
        (
            {"kind": "parquet", "location": "s3://out/set", "endpoint_url": "http://127.0.0.1:9"},
            ParquetSink,
            "Parquet dataset s3://out/set, one row per object",
        ),
        (
            {"kind": "duckdb", "database": "/d/x.db", "table": "s.t", "csv_types": "infer"},
            DuckDbSink,
            "DuckDB table s.t in /d/x.db, one row per object",
        ),
        (
            {"kind": "iceberg", "table": "a.b.c", "catalog": {"name": "lake", "password": "x"}},
            IcebergSink,
            "Iceberg table a.b.c in catalog lake, one row per object",
        ),
        (
            {"kind": "iceberg", "table": "a.b", "catalog": "prod"},
            IcebergSink,
            "Iceberg table a.b in catalog prod, one row per object",
        ),
        (
            {"kind": "command", "command": "load 'a b' --all", "timeout_s": 1.5},
            CommandSink,
            "command, once per batch: load 'a b' --all",
        ),
        (
            {"kind": "command", "command": ["load", "{key}"]},
            CommandSink,
            "command, once per object: load '{key}'",
        ),
    ],
)
def test_every_kind_is_opened_and_described(raw: dict[str, Any], kind: type, text: str) -> None:
    assert check_sink(raw) == raw
    sink = open_sink(raw)
    assert isinstance(sink, kind)
    assert describe_sink(raw) == text
    sink.close()


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = {"kind": "duckdb", "database": "lake.db", "table": "t", "reader": None}
    expected = {"kind": "duckdb", "database": str(tmp_path / "lake.db"), "table": "t"}
    assert check_sink(raw, folder=tmp_path) == expected
    monkeypatch.chdir(tmp_path)
    assert check_sink(raw) == expected
    monkeypatch.setenv("HOME", str(tmp_path))
    dataset = check_sink({"kind": "parquet", "location": "~/set"})
    assert dataset["location"] == str(tmp_path / "set")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, "`None` is not a kind of sink"),
        ({"kind": "kafka"}, "`kafka` is not a kind of sink"),
        ({"kind": "parquet"}, "needs `location`"),
        ({"kind": "duckdb", "database": "x"}, "needs `table`"),
        ({"kind": "parquet", "location": 5}, "`location` of a sink cannot be `5`"),
        ({"kind": "parquet", "location": "/x", "threads": 0}, "`threads` of a sink is at least 1"),
        ({"kind": "parquet", "location": "/x", "threads": True}, "cannot be `True`"),
        ({"kind": "parquet", "location": "/x", "reader": "orc"}, "is one of files, parquet, csv"),
        ({"kind": "parquet", "location": "/x", "reader": 1}, "is one of files, parquet, csv"),
        ({"kind": "parquet", "location": "/x", "csv_delimiter": "||"}, "not one ASCII character"),
        ({"kind": "iceberg", "table": "b"}, "`b` is not an Iceberg table name"),
        ({"kind": "command", "command": "load 'a"}, "cannot be parsed"),
        ({"kind": "command", "command": ["load", 1]}, "list of texts"),
        ({"kind": "command", "command": []}, "needs `command`"),
        ({"kind": "command", "command": "a", "timeout_s": 0}, "at least 0.001"),
    ],
)
def test_settings_that_cannot_be(raw: dict[str, Any], said: str) -> None:
    for use in (check_sink, open_sink):
        with pytest.raises(InvalidSettingError) as caught:
            use(raw)
        assert said in caught.value.message


def test_an_unknown_setting_says_what_was_meant() -> None:
    with pytest.raises(InvalidSettingError) as caught:
        check_sink({"kind": "parquet", "location": "/x", "raeder": "csv"})
    assert caught.value.hint == "did you mean `reader`?"
    with pytest.raises(InvalidUrlError):
        check_sink({"kind": "parquet", "location": "s3:///x"})


def test_settings_are_documented() -> None:
    assert set(SINK_SETTINGS) == set(SinkKind)
    for settings in SINK_SETTINGS.values():
        assert all(setting.help for setting in settings)


def test_a_dataset_goes_to_the_store_that_was_given_or_named(
    fake_s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bucket_of({"a.jsonl": lines({"n": 1})})
    source.describe("CreateBucket", "out")
    fake_s3.create_bucket("out")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stocktake")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "stocktake-secret")
    raw = {"kind": "parquet", "location": "s3://out/set"}
    named = raw | {"endpoint_url": fake_s3.options().endpoint_url, "region": "us-east-1"}
    for spec in (raw, named):
        sink = open_sink(spec, store=source)
        sink.load(FixedBatch("clm_1", source, items_of(source, ["a.jsonl"])))
        sink.close()
    assert source.head("out", "set/part-clm_1.parquet").size_bytes
    assert fake_s3.buckets["out"].table.find("set/part-clm_1.parquet", None)


def test_functions_are_sinks_that_keep_no_tokens() -> None:
    store = bucket_of({"a": b"1", "b": b"2", "c": b"3", "d": b"4"})
    batch = FixedBatch("clm_1", store, items_of(store, ["a", "b", "c", "d"]))
    batch.items[3] = Item(4, "d", None, None, None, None, True, 1)
    store.put("lake", "c", b"replaced")
    seen: list[tuple[str, bytes | None]] = []

    def load(item: Item, body: ObjectBody | None) -> None:
        if item.key == "b":
            raise KeyError("no such photo")
        seen.append((item.key, None if body is None else body.read()))

    sink = per_item(load)
    sink.load(batch)
    assert seen == [("a", b"1"), ("d", None)]
    assert isinstance(batch.failed[2], KeyError)
    assert batch.gone == {3}
    assert not sink.keeps_tokens
    assert sink.landed("photos", ["clm_1"]) == {}
    whole: list[str] = []
    CallableSink(lambda taken: whole.append(taken.token)).load(batch)
    CallableSink(lambda taken: whole.append(taken.token)).load(FixedBatch("clm_2", store, []))
    assert whole == ["clm_1"]
    sink.close()
