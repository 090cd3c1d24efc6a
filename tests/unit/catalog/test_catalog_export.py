"""Exports: nothing is lost or invented on the way out, in bounded memory (CAT-9)."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from snapshot_world import DAY, PLAIN, VERSIONED, naive, publish, row
from stocktake.catalog import Catalog, Snapshot, diff_snapshots
from stocktake.catalog import _export as export
from stocktake.catalog._console import run_sql
from stocktake.catalog._export import ExportFormat, folder_batches, object_batches, write_rows
from stocktake.catalog._export_ncdu import write_ncdu
from stocktake.errors import InvalidQueryError

NASTY = [
    "a\nb",
    'say "hi"',
    "x,y",
    "é/ü",
    "=1+1",
    "-x",
    "@y",
    "+z",
    "\ttab",
    "plain",
    "a\r\nb",
    "''",
]


def written(batches: Any, kind: ExportFormat, **options: bool) -> bytes:
    sink = io.BytesIO()
    write_rows(batches, sink, kind, **options)
    return sink.getvalue()


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.fixture
def snapshot(catalog: Catalog) -> Snapshot:
    rows = [row(key, n, etag=None if n == 3 else f"{n:032x}") for n, key in enumerate(NASTY)]
    return publish(catalog, rows)


def test_csv_keeps_every_key_and_tells_unknown_from_empty(
    catalog: Catalog, snapshot: Snapshot
) -> None:
    content = written(object_batches(catalog, snapshot), ExportFormat.CSV)
    found = table(content)
    assert [r["key"] for r in found] == sorted(NASTY)
    assert {r["last_modified"] for r in found} == {"2026-01-01T00:00:00.000Z"}
    assert sorted(int(r["size_bytes"]) for r in found) == list(range(len(NASTY)))
    assert b'"plain",,,,9,' in content  # version_id, is_latest, is_delete_marker: not known
    one = pl.read_csv(io.BytesIO(content))
    assert one.height == len(NASTY)


def test_csv_for_spreadsheets_runs_nothing(catalog: Catalog, snapshot: Snapshot) -> None:
    safe = written(object_batches(catalog, snapshot), ExportFormat.CSV, spreadsheet_safe=True)
    keys = {r["key"] for r in table(safe)}
    assert {"'=1+1", "'-x", "'@y", "'+z", "'\ttab", "plain"} <= keys
    assert not any(key[0] in "=+-@\t\r\n" for key in keys)
    assert {r["version_id"] for r in table(safe)} == {""}


def test_ndjson_is_one_object_per_line(catalog: Catalog, snapshot: Snapshot) -> None:
    lines = written(object_batches(catalog, snapshot), ExportFormat.NDJSON).decode().split("\n")
    assert lines.pop() == ""
    rows = [json.loads(line) for line in lines]
    assert [r["key"] for r in rows] == sorted(NASTY)
    third = next(r for r in rows if r["key"] == NASTY[3])
    assert third == {
        "key": "é/ü",
        "version_id": None,
        "is_latest": None,
        "is_delete_marker": None,
        "size_bytes": 3,
        "last_modified": "2026-01-01T00:00:00Z",
        "etag": None,
        "storage_class": "STANDARD",
        "checksum_algorithm": None,
    }


def test_parquet_is_the_rows(catalog: Catalog, snapshot: Snapshot) -> None:
    content = written(object_batches(catalog, snapshot), ExportFormat.PARQUET)
    found = pq.read_table(io.BytesIO(content))
    assert found.column("key").to_pylist() == sorted(NASTY)
    assert found.schema.field("size_bytes").type == pa.int64()


@pytest.mark.parametrize("kind", list(ExportFormat))
def test_nothing_to_export_still_has_its_columns(catalog: Catalog, kind: ExportFormat) -> None:
    snapshot = publish(catalog, [])
    for batches in (
        object_batches(catalog, snapshot),
        object_batches(catalog, snapshot, "x/"),
        folder_batches(catalog, snapshot, "x/"),
    ):
        content = written(batches, kind)
        if kind is ExportFormat.CSV:
            assert content.startswith(b'"')
            assert table(content) == []
        elif kind is ExportFormat.PARQUET:
            assert pq.read_table(io.BytesIO(content)).num_rows == 0
        else:
            assert content == b""
    assert written([], kind) == b""


def test_objects_come_in_key_order_over_many_ranges(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_ROWS_PER_RANGE", 50)
    monkeypatch.setattr(export, "_PARQUET_GROUP_ROWS", 100)
    keys = [f"{n % 7}/{n:04}" for n in range(1_000)]
    snapshot = publish(catalog, [row(key) for key in keys], run_rows=64)
    content = written(object_batches(catalog, snapshot), ExportFormat.PARQUET)
    found = pq.ParquetFile(io.BytesIO(content))
    assert found.read().column("key").to_pylist() == sorted(keys)
    assert found.num_row_groups > 1
    below = written(object_batches(catalog, snapshot, "3/"), ExportFormat.NDJSON)
    assert below.count(b"\n") == len([k for k in keys if k.startswith("3/")])


def test_versions_are_exported_newest_first(catalog: Catalog) -> None:
    rows = [
        row("a", n, version_id=f"v{n}", is_latest=n == 2, is_delete_marker=False)
        | {"last_modified": naive(2026, 1, 1 + n)}
        for n in range(3)
    ]
    snapshot = publish(catalog, rows, columns=VERSIONED)
    found = table(written(object_batches(catalog, snapshot, versions=True), ExportFormat.CSV))
    assert [r["version_id"] for r in found] == ["v2", "v1", "v0"]
    current = table(written(object_batches(catalog, snapshot), ExportFormat.CSV))
    assert [r["version_id"] for r in current] == ["v2"]


def test_folders_are_exported_with_their_classes(catalog: Catalog) -> None:
    rows = [row("a/1", 5), row("a/b/2", 7, storage_class="GLACIER"), row("c/3", 1)]
    snapshot = publish(catalog, rows)
    found = table(written(folder_batches(catalog, snapshot, "a"), ExportFormat.CSV))
    assert [(r["folder"], r["total_bytes"], r["bytes_by_class.GLACIER"]) for r in found] == [
        ("a/", "12", "7"),
        ("a/b/", "7", "7"),
    ]
    lines = written(folder_batches(catalog, snapshot), ExportFormat.NDJSON).decode().splitlines()
    assert json.loads(lines[0])["bytes_by_class"] == {"GLACIER": 7, "STANDARD": 6}


def test_diffs_and_statements_are_exported_too(catalog: Catalog) -> None:
    old = publish(catalog, [row("a", 1)])
    new = publish(catalog, [row("b", 2)], as_of=DAY.replace(day=21))
    changes = written(diff_snapshots(catalog, old, new).rows(), ExportFormat.CSV)
    assert [(r["key"], r["change"]) for r in table(changes)] == [("a", "deleted"), ("b", "new")]
    answer = run_sql(catalog, "select sum(size_bytes) s, [1, 2] l from objects", snapshot=new)
    assert written(answer.rows.to_batches(), ExportFormat.NDJSON) == b'{"s":2,"l":[1,2]}\n'
    assert written(answer.rows.to_batches(), ExportFormat.CSV) == b'"s","l"\n2,"[1, 2]"\n'


def test_what_json_has_no_word_for_is_told_plainly() -> None:
    batch = pa.RecordBatch.from_pylist(
        [
            {
                "whole": Decimal("12345678901234567890"),
                "part": Decimal("0.5"),
                "bytes": b"\x00\xff",
                "zoned": datetime(2026, 1, 1, tzinfo=UTC),
                "day": naive(2026, 1, 1).date(),
            }
        ]
    )
    assert json.loads(written([batch], ExportFormat.NDJSON)) == {
        "whole": 12345678901234567890,
        "part": 0.5,
        "bytes": "00ff",
        "zoned": "2026-01-01T00:00:00Z",
        "day": "2026-01-01",
    }


def ncdu(catalog: Catalog, snapshot: Snapshot, *rest: str, **options: bool) -> Any:
    sink = io.BytesIO()
    entries = write_ncdu(catalog, snapshot, sink, *rest, **options)
    raw = json.loads(sink.getvalue())
    assert raw[:2] == [1, 2]
    assert raw[2]["progname"] == "stocktake"
    assert raw[2]["timestamp"] == int(snapshot.as_of.timestamp())
    assert entries == count(raw[3]) - 1
    return raw[3]


def count(folder: list[Any]) -> int:
    return 1 + sum(count(e) if isinstance(e, list) else 1 for e in folder[1:])


def outline(folder: list[Any]) -> Any:
    """Names and sizes of an ncdu folder, as nested dicts."""
    inside = {}
    for entry in folder[1:]:
        if isinstance(entry, list):
            inside[entry[0]["name"] + "/"] = outline(entry)
        else:
            assert entry.get("asize") == entry.get("dsize")
            inside[entry["name"]] = entry.get("asize")
    return inside


def test_ncdu_gets_the_tree(catalog: Catalog) -> None:
    keys = ["a", "a-b/x", "a/b/c", "a/b/d", "a/e", "b//f", "/g", 'q"\n/h', "z"]
    rows = [row(key, size) for size, key in enumerate(keys)]
    snapshot = publish(catalog, [*rows, row("m/", 0), row("u", None), row("d/", 9)])
    top = ncdu(catalog, snapshot)
    assert top[0] == {"name": "s3://photos/"}
    assert outline(top) == {
        "(no name)/": {"g": 6},
        "a": None,
        "a-b/": {"x": 1},
        "a/": {"b/": {"c": 2, "d": 3}, "e": 4},
        "b/": {"(no name)/": {"f": 5}},
        "d/": {"(no name)": 9},
        'q"\n/': {"h": 7},
        "u": None,
        "z": 8,
    }
    assert outline(ncdu(catalog, snapshot, "a/")) == {"b/": {"c": 2, "d": 3}, "e": 4}
    assert {e["mtime"] for e in top[1:] if isinstance(e, dict)} == {1767225600}


def test_ncdu_of_folders_alone_weighs_the_same(catalog: Catalog) -> None:
    rows = [row("a/1", 5), row("a/2", 6), row("a/b/3", 7), row("c/d/4", 8), row("m/", 0)]
    snapshot = publish(catalog, rows)
    assert outline(ncdu(catalog, snapshot, objects=False)) == {
        "a/": {"(2 objects)": 11, "b/": {"(1 objects)": 7}},
        "c/": {"d/": {"(1 objects)": 8}},
        "m/": {},
    }
    assert outline(ncdu(catalog, snapshot, "a/", objects=False)) == {
        "(2 objects)": 11,
        "b/": {"(1 objects)": 7},
    }


def test_ncdu_of_nothing_is_an_empty_folder(catalog: Catalog) -> None:
    assert outline(ncdu(catalog, publish(catalog, []))) == {}


def test_ncdu_without_dates_and_sizes(catalog: Catalog) -> None:
    snapshot = publish(catalog, [{"key": "a"}], columns=("key",))
    assert ncdu(catalog, snapshot)[1] == {"name": "a"}


def test_ncdu_wants_a_folder(catalog: Catalog, snapshot: Snapshot) -> None:
    with pytest.raises(InvalidQueryError, match="not a folder"):
        write_ncdu(catalog, snapshot, io.BytesIO(), "a")


def test_extra_columns_are_exported(catalog: Catalog) -> None:
    snapshot = publish(catalog, [row("a", extra_x="1")], columns=(*PLAIN, "extra_x"))
    assert table(written(object_batches(catalog, snapshot), ExportFormat.CSV))[0]["extra_x"] == "1"
