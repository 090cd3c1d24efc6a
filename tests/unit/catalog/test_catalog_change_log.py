"""The change log: dense numbers, and the same rows from wherever one starts to read (CAT-7)."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapshot_world import source_row
from stocktake.catalog import Catalog, open_catalog
from stocktake.catalog._change_log import append_changes, changes_path, newest_seq, read_changes
from stocktake.clock import FixedClock
from stocktake.errors import CatalogCorruptError


def append(catalog: Catalog, source_id: str, name: str, count: int) -> tuple[int, int] | None:
    """Changes `name:0`, `name:1`, ... as one publication would add them."""
    path = changes_path(source_id, name)
    with catalog.files.create(path) as sink:
        table = pa.table({"key": [f"{name}:{n}" for n in range(count)], "change": ["new"] * count})
        pq.write_table(table, sink, row_group_size=4)
    with catalog.state.write() as connection:
        return append_changes(
            connection,
            catalog,
            source_id,
            old_snapshot_id=None,
            new_snapshot_id=name,
            path=path,
            count=count,
        )


def read(catalog: Catalog, source_id: str, after: int = 0, limit: int = 10**6) -> list[tuple]:
    return [
        (row["seq"], row["key"])
        for batch in read_changes(catalog, source_id, after, limit)
        for row in batch.to_pylist()
    ]


def test_numbers_go_on_from_publication_to_publication(catalog: Catalog) -> None:
    source = source_row(catalog, "photos", "daily")
    assert newest_seq(catalog, source) == 0
    assert append(catalog, source, "a", 3) == (1, 3)
    assert append(catalog, source, "b", 0) is None
    assert append(catalog, source, "c", 2) == (4, 5)
    assert newest_seq(catalog, source) == 5
    assert read(catalog, source) == [(1, "a:0"), (2, "a:1"), (3, "a:2"), (4, "c:0"), (5, "c:1")]
    assert read(catalog, source, 5) == []


def test_each_source_has_its_own_numbers(catalog: Catalog) -> None:
    one, other = (source_row(catalog, bucket, "daily") for bucket in ("photos", "films"))
    append(catalog, one, "a", 3)
    assert append(catalog, other, "b", 1) == (1, 1)
    assert read(catalog, other) == [(1, "b:0")]


def test_a_publication_that_fails_gives_no_numbers_away(catalog: Catalog) -> None:
    source = source_row(catalog, "photos", "daily")
    append(catalog, source, "a", 3)

    def fail() -> None:
        with catalog.state.write() as connection:
            append_changes(
                connection,
                catalog,
                source,
                old_snapshot_id=None,
                new_snapshot_id="x",
                path="x",
                count=9,
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert append(catalog, source, "b", 1) == (4, 4)


def test_two_publishers_at_once_leave_no_gap(catalog: Catalog) -> None:
    source = source_row(catalog, "photos", "daily")

    def publish(name: str) -> None:
        for number in range(8):
            append(catalog, source, f"{name}{number}", 1 + number % 3)

    threads = [threading.Thread(target=publish, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = read(catalog, source)
    assert [seq for seq, _ in rows] == list(range(1, newest_seq(catalog, source) + 1))
    assert len({key for _, key in rows}) == len(rows) == 2 * sum(1 + n % 3 for n in range(8))


def test_a_segment_that_lost_rows_is_told(catalog: Catalog) -> None:
    source = source_row(catalog, "photos", "daily")
    append(catalog, source, "a", 6)
    path = changes_path(source, "a")
    with catalog.files.create(path) as sink:
        pq.write_table(pa.table({"key": ["a:0"], "change": ["new"]}), sink)
    with pytest.raises(CatalogCorruptError, match="changes 3 to 6 are not all in"):
        read(catalog, source, 2)
    catalog.files.remove(path)
    with pytest.raises(CatalogCorruptError):
        read(catalog, source)


@settings(max_examples=20)
@given(counts=st.lists(st.integers(0, 9), max_size=6), data=st.data(), limit=st.integers(1, 12))
def test_reading_from_any_number_gives_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], data: st.DataObject, limit: int
) -> None:
    where: Path = tmp_path_factory.mktemp("log") / "catalog"
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    with open_catalog(str(where), create=True, threads=1, clock=clock) as catalog:
        source = source_row(catalog, "photos", "daily")
        for number, count in enumerate(counts):
            append(catalog, source, f"s{number}", count)
        whole = read(catalog, source)
        assert [seq for seq, _ in whole] == list(range(1, sum(counts) + 1))
        assert [key for _, key in whole] == [
            f"s{number}:{n}" for number, count in enumerate(counts) for n in range(count)
        ]
        after = data.draw(st.integers(0, sum(counts) + 2))
        assert read(catalog, source, after, limit) == whole[after : after + limit]
