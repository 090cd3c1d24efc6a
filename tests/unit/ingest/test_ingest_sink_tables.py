"""Parquet datasets and DuckDB tables beyond the contract, and what they keep (ING-4)."""

from __future__ import annotations

import base64
import errno
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sink_world import BUCKET, T0, FixedBatch, SinkPlace, bucket_of, items_of, lines
from stocktake.clock import FixedClock, SystemClock
from stocktake.errors import (
    SinkError,
    UnsupportedOperationError,
)
from stocktake.ingest import (
    Dataset,
    DuckDbSink,
    LocalDataset,
    ParquetSink,
    Reader,
    Reading,
    S3Dataset,
)
from stocktake.ingest.sinks import _dataset
from stocktake.ingest.sinks._landing import decode_seqs, encode_seqs, token_name, token_time
from stocktake.model import S3Url
from stocktake.store import PutOptions
from stocktake.testing import MemoryStore

AUTO = Reading(Reader.AUTO)


def store_of(count: int) -> MemoryStore:
    store = bucket_of({f"in/{n:03}.jsonl": lines({"n": n}) for n in range(count)})
    store.describe("CreateBucket", "sinks")
    return store


def whole(store: MemoryStore, count: int, token: str = "clm_1") -> FixedBatch:
    return FixedBatch(token, store, items_of(store, [f"in/{n:03}.jsonl" for n in range(count)]))


# Parquet


def test_a_file_carries_its_batch_and_other_programs_read_the_dataset(tmp_path: Path) -> None:
    store = store_of(3)
    sink = ParquetSink(LocalDataset(tmp_path / "set"), AUTO, SystemClock())
    sink.load(whole(store, 2))
    later = items_of(store, ["in/002.jsonl"], first_seq=3)
    store.put(BUCKET, "in/002.jsonl", lines({"n": 2, "more": "x"}))
    later = items_of(store, ["in/002.jsonl"], first_seq=3)
    sink.load(FixedBatch("clm_2", store, later))
    kept = pq.read_metadata(tmp_path / "set" / "part-clm_1.parquet").metadata
    assert kept[b"stocktake.commit-token"] == b"clm_1"
    assert kept[b"stocktake.consumer"] == b"photos"
    assert list(decode_seqs(kept[b"stocktake.seqs"].decode(), "here")) == [1, 2]
    assert pds.dataset(tmp_path / "set").to_table(columns=["n"]).num_rows == 3
    rows = duckdb.sql(
        f"SELECT n, more FROM read_parquet('{tmp_path}/set/*.parquet', union_by_name=true)"
        " ORDER BY n"
    ).fetchall()
    assert rows == [(0, None), (1, None), (2, "x")]


def test_a_batch_of_deletions_leaves_a_file_that_others_can_read(tmp_path: Path) -> None:
    store = store_of(2)
    batch = whole(store, 2)
    batch.items = [replace(i, deleted=True, etag=None, size_bytes=None) for i in batch.items]
    sink = ParquetSink(LocalDataset(tmp_path), AUTO, SystemClock())
    sink.load(batch)
    sink.load(whole(store, 1, "clm_2"))
    assert sorted(sink.landed("photos", ["clm_1"])["clm_1"].seqs) == [1, 2]
    files = f"read_parquet('{tmp_path}/*.parquet', union_by_name=true)"
    assert duckdb.sql(f"SELECT n, _stocktake_seq FROM {files}").fetchall() == [(0, 1)]


def test_one_row_per_object_without_opening_any(tmp_path: Path) -> None:
    store = store_of(2)
    batch = whole(store, 2)
    batch.items[1] = replace(batch.items[1], deleted=True, etag=None, size_bytes=None)
    ParquetSink(LocalDataset(tmp_path), Reading(), SystemClock()).load(batch)
    assert batch.opened == 0
    rows = pq.read_table(tmp_path / "part-clm_1.parquet").to_pylist()
    assert rows[0] == {
        "bucket": BUCKET,
        "key": "in/000.jsonl",
        "version_id": None,
        "etag": batch.items[0].etag,
        "size_bytes": 9,
        "last_modified": T0,
        "deleted": False,
        "seq": 1,
    }
    assert rows[1]["deleted"]


@pytest.mark.parametrize("links", [True, False])
def test_the_first_writer_wins_also_without_links(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:

        def refuse(*_: Any) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(Path, "hardlink_to", refuse)
    dataset = LocalDataset(tmp_path)
    with dataset.create("x") as first:
        first.write(b"first")
        with dataset.create("x") as second:
            second.write(b"second")
    assert dataset.tail("x", 100) == b"second"
    with dataset.create("x") as third:
        third.write(b"third")
    assert dataset.tail("x", 3) == b"ond"
    assert dataset.tail("y", 3) is None
    left = [path.name for path in (tmp_path / ".stocktake").iterdir()]
    assert left == ([] if links else ["lock"])


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    dataset = LocalDataset(tmp_path)
    (tmp_path / ".stocktake").mkdir()
    dead = tmp_path / ".stocktake" / "part-clm_9.parquet.00.part"
    dead.write_bytes(b"half")
    with dataset.create("a") as living:
        living.write(b"a")
        with dataset.create("b") as other:
            other.write(b"b")
        assert not dead.exists()
    assert dataset.tail("a", 9) == b"a"
    assert list((tmp_path / ".stocktake").iterdir()) == []


def write_half(dataset: Dataset, pieces: list[bytes]) -> None:
    with dataset.create("broken") as sink:
        for piece in pieces:
            sink.write(piece)
        raise KeyError


def test_an_exception_leaves_nothing_behind(tmp_path: Path) -> None:
    dataset = LocalDataset(tmp_path)
    with pytest.raises(KeyError):
        write_half(dataset, [b"half"])
    assert dataset.tail("broken", 9) is None
    assert list((tmp_path / ".stocktake").iterdir()) == []


def test_a_directory_that_cannot_be_written_is_a_failure_of_the_sink(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    sink = ParquetSink(LocalDataset(tmp_path / "file" / "set"), AUTO, SystemClock())
    with pytest.raises(SinkError, match="cannot write to the dataset"):
        sink.load(whole(store_of(1), 1))


def test_a_foreign_file_under_the_name_is_not_taken_for_the_batch(tmp_path: Path) -> None:
    sink = ParquetSink(LocalDataset(tmp_path), AUTO, SystemClock())
    for content in (b"", b"hello, world", b"\x10\0\0\0PAR1"):
        (tmp_path / "part-clm_1.parquet").write_bytes(content)
        with pytest.raises(SinkError, match="is not a Parquet file"):
            sink.load(whole(store_of(1), 1))


def test_a_footer_larger_than_the_first_look_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(1)
    row = {f"column_{n:05}_{'x' * 40}": n for n in range(800)}
    store.put(BUCKET, "in/000.jsonl", lines(row))
    for dataset in (LocalDataset(tmp_path), S3Dataset(store, S3Url("sinks", "set"))):
        sink = ParquetSink(dataset, AUTO, SystemClock())
        sink.load(whole(store, 1))
        assert list(sink.landed("photos", ["clm_1"])["clm_1"].seqs) == [1]


def test_a_large_file_goes_in_parts_and_is_there_whole_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_dataset, "_PART_BYTES", 5 << 20)
    store = store_of(0)
    dataset = S3Dataset(store, S3Url("sinks", "set/"))
    pieces = [os.urandom(1 << 20) for _ in range(12)]
    with dataset.create("big") as sink:
        for piece in pieces:
            sink.write(piece)
        assert dataset.tail("big", 1) is None
    assert dataset.tail("big", 13 << 20) == b"".join(pieces)
    with dataset.create("big") as sink:
        for _ in range(6):
            sink.write(pieces[0])
    assert dataset.tail("big", 13 << 20) == b"".join(pieces), "the first one stays"
    with pytest.raises(KeyError):
        write_half(dataset, pieces)
    assert dataset.tail("broken", 1) is None
    assert store._uploads["sinks"]._uploads == {}, "nothing is left under way"


def test_a_store_without_conditional_writes_has_one_file_still() -> None:
    class Plain(MemoryStore):
        def put(self, *arguments: Any) -> Any:
            options = arguments[3] if len(arguments) > 3 else PutOptions()
            if options.if_absent:
                raise UnsupportedOperationError("no conditional writes")
            return super().put(*arguments)

    store = Plain()
    for bucket in (BUCKET, "sinks"):
        store.describe("CreateBucket", bucket)
    store.put(BUCKET, "in/000.jsonl", lines({"n": 1}))
    place = SinkPlace("parquet-s3", Path(), store)
    for _ in range(2):
        place.open().load(whole(store, 1))
    assert place.seqs() == [1]


# DuckDB


def rows_of(path: Path, sql: str) -> list[Any]:
    with duckdb.connect(str(path)) as connection:
        return connection.execute(sql).fetchall()


def test_columns_grow_and_differ_in_more_than_case(tmp_path: Path) -> None:
    store = store_of(1)
    path = tmp_path / "deep" / "lake.db"
    sink = DuckDbSink(path, 'odd schema.t"1', AUTO, SystemClock())
    contents: list[dict[str, Any]] = [
        {"n": 1, "Name": "a"},
        {"N": 2, "name": "b", "new column": [1, 2]},
        {"n": "three"},
        {"n": 4, "deep": {"x": {"y": None, "z": 1}}},
    ]
    keys = []
    for n, row in enumerate(contents):
        keys.append(f"odd/{n}.jsonl")
        store.put(BUCKET, keys[-1], lines(row))
    for n, key in enumerate(keys, 1):
        batch = FixedBatch(f"clm_{n}", store, items_of(store, [key], first_seq=n))
        sink.load(batch)
        assert list(batch.failed) == ([3] if n == 3 else [])
    assert rows_of(path, 'SELECT * FROM "odd schema"."t""1" ORDER BY n') == [
        (1, "a", "odd/0.jsonl", 1, None, None),
        (2, "b", "odd/1.jsonl", 2, [1, 2], None),
        (4, None, "odd/3.jsonl", 4, None, {"x": {"z": 1}}),
    ]
    tokens = rows_of(path, "SELECT token, consumer, table_name FROM _stocktake_commits ORDER BY 1")
    assert tokens == [(f"clm_{n}", "photos", 'odd schema.t"1') for n in (1, 2, 4)]


def test_keys_with_odd_characters_survive(tmp_path: Path) -> None:
    keys = ["a\0b.jsonl", "é/\U0001f600.jsonl", "a'b\"c.jsonl", "\u007f\n.jsonl"]
    store = bucket_of({key: lines({"n": 1}) for key in keys})
    path = tmp_path / "lake.db"
    batch = FixedBatch("clm_1", store, items_of(store, keys))
    DuckDbSink(path, "t", AUTO, SystemClock()).load(batch)
    found = rows_of(path, "SELECT _stocktake_key FROM t ORDER BY _stocktake_seq")
    assert [row[0] for row in found] == keys


def test_a_table_of_the_user_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lake.db"
    rows_of(path, "CREATE TABLE t (n DOUBLE, extra VARCHAR DEFAULT 'x')")
    batch = whole(store_of(2), 2)
    DuckDbSink(path, "t", AUTO, SystemClock()).load(batch)
    assert rows_of(path, "SELECT n, extra, _stocktake_seq FROM t ORDER BY n") == [
        (0.0, None, 1),
        (1.0, None, 2),
    ]


def test_a_constraint_of_the_users_table_refuses_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "lake.db"
    rows_of(path, "CREATE TABLE t (n BIGINT CHECK (n < 1))")
    sink = DuckDbSink(path, "t", AUTO, FixedClock(T0))
    with pytest.raises(SinkError, match="CHECK constraint"):
        sink.load(whole(store_of(2), 2))
    assert rows_of(path, "SELECT count(*) FROM t") == [(0,)]
    assert sink.landed("photos", ["clm_1"]) == {}


def test_workers_of_other_processes_wait_for_the_file(tmp_path: Path) -> None:
    path = tmp_path / "lake.db"
    rows_of(path, "CREATE TABLE other (n INT)")
    code = f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print(1, flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "1\n"

    class Waiting(FixedClock):
        def sleep(self, duration_s: float) -> None:
            super().sleep(duration_s)
            if self.monotonic_s() > 5 and holder.poll() is None:
                holder.communicate("\n")

    clock = Waiting(T0)
    DuckDbSink(path, "t", AUTO, clock).load(whole(store_of(1), 1))
    assert clock.monotonic_s() > 5
    assert rows_of(path, "SELECT n FROM t") == [(0,)]


def test_a_file_that_stays_locked_is_a_failure_that_may_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise duckdb.IOException("IO Error: Could not set lock on file")

    monkeypatch.setattr(duckdb, "connect", refuse)
    clock = FixedClock(T0)
    with pytest.raises(SinkError, match="Could not set lock") as caught:
        DuckDbSink(tmp_path / "lake.db", "t", AUTO, clock).load(whole(store_of(1), 1))
    assert caught.value.retryable
    assert caught.value.hint == "close other programs that have it open"
    assert 60 < clock.monotonic_s() < 200


def test_a_file_that_is_no_database_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "lake.db").write_bytes(b"hello, world" * 1000)
    clock = FixedClock(T0)
    with pytest.raises(SinkError, match="not a valid DuckDB database"):
        DuckDbSink(tmp_path / "lake.db", "t", AUTO, clock).load(whole(store_of(1), 1))
    assert clock.monotonic_s() == 0


def test_python_variables_are_never_taken_for_tables(tmp_path: Path) -> None:
    """DuckDB looks for an unknown table among the caller's variables; these are some of ours."""
    for name in ("rows", "settled", "connection", "batch"):
        path = tmp_path / f"{name}.db"
        DuckDbSink(path, name, AUTO, SystemClock()).load(whole(store_of(1), 1))
        assert rows_of(path, f"SELECT n FROM {name}") == [(0,)]


# what is kept of a batch


def test_numbers_as_text() -> None:
    for seqs in ([], [1], list(range(1, 1001)), [1, 2**40, 2**62]):
        assert list(decode_seqs(encode_seqs(seqs), "here")) == seqs
    assert len(encode_seqs(range(1, 1001))) < 50
    for text in ("", "x", "AAAA", encode_seqs([1])[:-4]):
        with pytest.raises(SinkError, match="here carries numbers"):
            decode_seqs(text, "here")


@given(st.sets(st.integers(0, 2**63 - 1), max_size=50))
def test_any_numbers_come_back(seqs: set[int]) -> None:
    assert set(decode_seqs(encode_seqs(seqs), "here")) == seqs


@given(st.binary(max_size=60))
def test_no_text_makes_more_than_a_failure_of_the_sink(raw: bytes) -> None:
    text = base64.b64encode(raw).decode()
    with suppress(SinkError):
        decode_seqs(text, "here")


def test_tokens_as_file_names() -> None:
    assert token_name("clm_01jd") == "clm_01jd"
    for odd in ("../x", "a/b", "", "é", "x" * 200):
        assert token_name(odd).isalnum()
        assert len(token_name(odd)) == 64
    assert token_time("clm_1") is None
    assert token_time("clm_" + "z" * 26) is None


# formats that are kept for ever: written here by hand, as the documentation says

GOLDEN_SEQS = "AgAAAAAAAAAAAAAAOzAAAAEAAAwAAgABAAIACgAJAAEAAAA6MAAAAQAAAAAAAAAQAAAABQA="
GOLDEN = [1, 2, 3, *range(10, 20), 2**32 + 5]


def test_numbers_of_older_versions_are_read() -> None:
    assert list(decode_seqs(GOLDEN_SEQS, "here")) == GOLDEN


def test_parquet_files_of_older_versions_are_known(tmp_path: Path) -> None:
    kept = {
        "stocktake.commit-token": "clm_1",
        "stocktake.consumer": "photos",
        "stocktake.seqs": GOLDEN_SEQS,
    }
    table = pa.table({"n": [1]}).replace_schema_metadata(kept)
    pq.write_table(table, tmp_path / "part-clm_1.parquet")
    found = ParquetSink(LocalDataset(tmp_path), AUTO, SystemClock()).landed("photos", ["clm_1"])
    assert list(found["clm_1"].seqs) == GOLDEN


def test_duckdb_tables_of_older_versions_are_known(tmp_path: Path) -> None:
    path = tmp_path / "lake.db"
    rows_of(
        path,
        "CREATE TABLE _stocktake_commits (token VARCHAR PRIMARY KEY, consumer VARCHAR NOT NULL,"
        " table_name VARCHAR NOT NULL, seqs VARCHAR NOT NULL, committed_at VARCHAR NOT NULL)",
    )
    values = f"('clm_1', 'photos', 't', '{GOLDEN_SEQS}', '2026-11-20T12:00:00Z')"
    rows_of(path, f"INSERT INTO _stocktake_commits VALUES {values}")
    sink = DuckDbSink(path, "t", AUTO, SystemClock())
    assert list(sink.landed("photos", ["clm_1"])["clm_1"].seqs) == GOLDEN
    assert DuckDbSink(path, "u", AUTO, SystemClock()).landed("photos", ["clm_1"]) == {}
    sink.load(whole(store_of(2), 2))
    assert rows_of(path, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 't'") == [(0,)]
