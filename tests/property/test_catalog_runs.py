"""Object files and key ranges against plain Python (CAT-1)."""

from __future__ import annotations

import io
import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from catalog_models import PLAIN, Row, batch_of, keys, manifest_of, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.catalog import _runs
from stocktake.catalog._format import ObjectFile, RowGroup
from stocktake.catalog._ranges import (
    WHOLE,
    KeyRange,
    files_in_range,
    intersect,
    overlaps,
    plan_ranges,
    prefix_range,
    thin,
)
from stocktake.catalog._runs import RunWriter, WrittenRows
from stocktake.catalog.engines._duckdb_duplicates import suspect_ranges
from stocktake.catalog.engines._protocol import SnapshotView
from stocktake.model import object_schema

quick = settings(deadline=None, max_examples=50)
SCHEMA = object_schema(PLAIN)
bounds = st.none() | keys
key_ranges = st.tuples(bounds, bounds).filter(
    lambda pair: None in pair or pair[0] < pair[1]  # type: ignore[operator]
)


@pytest.fixture(autouse=True, scope="module")
def _small_runs() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_runs, "ROW_GROUP_ROWS", 4)
        patch.setattr(_runs, "SAMPLE_EVERY", 3)
        patch.setattr(_runs, "_BREAK_ROWS_MIN", 3)
        yield


def written_file(batches: list[list[Row]], run_rows: int) -> tuple[pq.ParquetFile, WrittenRows]:
    sink = io.BytesIO()
    writer = RunWriter(sink, SCHEMA, run_rows=run_rows)
    for batch in batches:
        writer.add(batch_of(batch, SCHEMA))
    written = writer.close()
    return pq.ParquetFile(io.BytesIO(sink.getvalue())), written


def keys_in_group(file: pq.ParquetFile, number: int) -> list[str]:
    keys: list[str] = file.read_row_group(number, columns=["key"]).column("key").to_pylist()
    return keys


def utf8(key: str) -> bytes:
    return key.encode()


def as_text(row: Row) -> str:
    return repr(sorted(row.items(), key=lambda item: item[0]))


def inside(key: str, wanted: KeyRange) -> bool:
    low, high = wanted
    return (low is None or utf8(low) <= utf8(key)) and (high is None or utf8(key) < utf8(high))


batch_lists = st.lists(
    st.lists(rows, max_size=12) | st.lists(rows, max_size=12).map(lambda b: sorted(b, key=_by_key)),
    max_size=8,
)


def _by_key(row: Row) -> str:
    return str(row["key"])


@given(batch_lists, st.sampled_from([8, 12, 100]))
@quick
def test_every_row_stands_once_in_sorted_groups_with_exact_bounds(
    batches: list[list[Row]], run_rows: int
) -> None:
    file, written = written_file(batches, run_rows)
    expected = [row for batch in batches for row in batch]
    found = file.read().to_pylist()
    assert sorted(found, key=as_text) == sorted(expected, key=as_text)
    assert written.rows == len(expected)
    assert file.metadata.num_row_groups == len(written.row_groups)
    for index, group in enumerate(written.row_groups):
        content = keys_in_group(file, index)
        assert content == sorted(content, key=utf8)
        assert (group.min_key, group.max_key, group.rows) == (content[0], content[-1], len(content))


@given(batch_lists)
@quick
def test_a_key_that_stands_twice_lies_in_a_suspect_range(batches: list[list[Row]]) -> None:
    made = [written_file(batches[start::3], 8) for start in range(3)]
    made = [(file, written) for file, written in made if written.rows]
    view = SnapshotView(
        manifest_of([written.to_file("f", 1) for _, written in made]), paths=(), folders_path=""
    )
    repeats = [written.row_groups[at] for _, written in made for at in written.repeats]

    def keys_of(file_index: int, number: int) -> list[str]:
        return keys_in_group(made[file_index][0], number)

    ranges = suspect_ranges(view, repeats, keys_of)
    assert all(one[1] < other[0] for one, other in itertools.pairwise(ranges))  # type: ignore[operator]
    every = [row["key"] for batch in batches for row in batch]
    for key in {key for key in every if every.count(key) > 1}:
        assert any(inside(key, suspect) for suspect in ranges)


@given(st.lists(rows, min_size=1, max_size=40))
@quick
def test_groups_that_hold_a_key_twice_are_flagged(content: list[Row]) -> None:
    file, written = written_file([content], 100)
    twice = []
    for index in range(file.metadata.num_row_groups):
        group = keys_in_group(file, index)
        if len(set(group)) < len(group):
            twice.append(index)
    assert set(twice) <= set(written.repeats)


@given(st.lists(keys, unique=True, min_size=1))
@quick
def test_rows_that_come_sorted_are_written_as_they_came(content: list[str]) -> None:
    ordered = [{"key": key} for key in sorted(content, key=utf8)]
    batches = [ordered[start : start + 5] for start in range(0, len(ordered), 5)]
    _, written = written_file(batches, 10_000)
    # no break: one run, so groups follow each other without overlap
    assert all(
        utf8(one.max_key) < utf8(other.min_key)
        for one, other in itertools.pairwise(written.row_groups)
    )


def test_an_order_break_ends_the_run_so_that_bounds_stay_tight() -> None:
    _, written = written_file([[{"key": k} for k in "defgabc"]], 100)
    assert [(g.min_key, g.max_key) for g in written.row_groups] == [("d", "g"), ("a", "c")]


def test_a_break_after_few_rows_does_not_make_a_tiny_run() -> None:
    _, written = written_file([[{"key": k} for k in "deabc"]], 100)
    assert [(g.min_key, g.max_key) for g in written.row_groups] == [("a", "d"), ("e", "e")]


@given(st.lists(keys), st.integers(0, 1000), st.integers(1, 300), keys)
def test_every_key_is_in_exactly_one_planned_range(
    samples: list[str], row_count: int, per_range: int, key: str
) -> None:
    plan = plan_ranges(thin(samples, 50), row_count, per_range)
    assert plan[0][0] is None
    assert plan[-1][1] is None
    assert sum(inside(key, part) for part in plan) == 1
    assert len(plan) <= max(1, -(-row_count // per_range))


@given(keys | st.just(""), keys)
def test_prefix_range_holds_exactly_the_keys_that_start_so(prefix: str, key: str) -> None:
    assert inside(key, prefix_range(prefix)) == key.startswith(prefix)
    assert inside(prefix + key, prefix_range(prefix))


@given(key_ranges, key_ranges, keys)
def test_intersection_holds_what_both_hold(one: KeyRange, other: KeyRange, key: str) -> None:
    common = intersect(one, other)
    assert (common is not None and inside(key, common)) == (inside(key, one) and inside(key, other))


@given(keys, keys, key_ranges, keys)
def test_bounds_that_hold_a_key_of_the_range_overlap_it(
    one: str, other: str, wanted: KeyRange, key: str
) -> None:
    low, high = sorted((one, other), key=utf8)
    if utf8(low) <= utf8(key) <= utf8(high) and inside(key, wanted):
        assert overlaps(low, high, wanted)
    if not inside(low, wanted) and not inside(high, wanted) and overlaps(low, high, wanted):
        assert wanted[0] is not None
        assert utf8(low) < utf8(wanted[0])


@given(st.lists(st.lists(keys, min_size=1, max_size=4), max_size=5), key_ranges)
def test_no_file_with_a_key_of_the_range_is_left_out(
    groups: list[list[str]], wanted: KeyRange
) -> None:
    files = [
        ObjectFile(
            "f", len(group), 1, min(group), max(group), (RowGroup(min(group), max(group), 1),)
        )
        for group in groups
    ]
    chosen = files_in_range(files, wanted)
    for index, group in enumerate(groups):
        if any(inside(key, wanted) for key in group):
            assert index in chosen


def test_a_file_whose_row_groups_all_miss_the_range_is_left_out() -> None:
    file = ObjectFile("f", 2, 1, "a", "z", (RowGroup("a", "b", 1), RowGroup("y", "z", 1)))
    assert files_in_range([file], ("c", "d")) == []
    assert files_in_range([file], WHOLE) == [0]


@given(st.lists(keys), st.integers(1, 20))
def test_thinned_samples_are_few_sorted_and_some_of_all(samples: list[str], most: int) -> None:
    found = thin(samples, most)
    assert found == sorted(set(found), key=utf8)
    assert set(found) <= set(samples)
    assert len(found) <= most
    if len(samples) <= most:
        assert set(found) == set(samples)


def test_a_writer_without_rows_makes_a_readable_empty_file() -> None:
    file, written = written_file([[]], 8)
    assert (file.metadata.num_rows, written.rows) == (0, 0)
    assert file.schema_arrow.remove_metadata() == SCHEMA


def test_times_are_kept_as_naive_milliseconds() -> None:
    file, _ = written_file([[{"key": "a"}]], 8)
    assert file.schema_arrow.field("last_modified").type == pa.timestamp("ms")
