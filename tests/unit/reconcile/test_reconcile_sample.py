"""REC-1: a sample reads few pages, compares those exactly, and says how far off it may be."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from random import Random

import pyarrow as pa
import pytest

from reconcile_world import RowStore, World, kinds, listed
from stocktake.reconcile import ScanMode
from stocktake.reconcile._bounded_mean import bounded_mean
from stocktake.reconcile._cells import CELL_ROWS, draw_cells
from stocktake.reconcile._side import SIDE_ROW
from stocktake.testing import key_shape


def damaged(keys: list[str], manner: str, seed: int = 0) -> tuple[list[str], set[str], set[str]]:
    """What is there of some keys after damage: keys, the missing ones, and extra ones."""
    random = Random(seed)
    count = len(keys) // 50
    if manner == "scattered":
        missing = set(random.sample(keys, count))
    else:
        start = random.randrange(len(keys) - count)
        missing = set(keys[start : start + count])
    extra = {f"{key}.new" for key in random.sample(keys, count)}
    return sorted((set(keys) - missing) | extra), missing, extra


def fill(store: RowStore, should: list[str], have: list[str]) -> None:
    store.fill("should", [listed(key) for key in should])
    store.fill("have", [listed(key) for key in have])


def test_a_sample_that_reads_everything_is_exact(world, store):
    keys = key_shape("flat-hex", 5_000)
    have, missing, extra = damaged(keys, "scattered")
    fill(store, keys, have)
    report = world.sample(world.config(), probes=64)
    assert report.mode is ScanMode.SAMPLE
    figures = report.sample
    for estimate, truth in ((figures.missing, missing), (figures.extra, extra)):
        assert (estimate.low, estimate.value, estimate.high) == (len(truth),) * 3
    assert kinds(report) == {
        **dict.fromkeys(missing, "missing"),
        **dict.fromkeys(extra, "extra"),
    }


def test_a_sample_skips_pages_and_its_findings_are_true(world, store):
    keys = key_shape("flat-hex", 60_000)
    have, missing, extra = damaged(keys, "scattered")
    fill(store, keys, have)
    store.calls = 0
    config = world.config(should="s3://should/")
    report = world.sample(config, probes=20)
    figures = report.sample
    assert figures.calls < 25
    assert figures.calls_saved == figures.calls_full - figures.calls >= 35
    assert store.calls - 60 < 60  # SHOULD itself is a listing here
    found = kinds(report)
    assert found
    assert {key for key, kind in found.items() if kind == "missing"} < missing
    assert {key for key, kind in found.items() if kind == "extra"} < extra
    assert figures.missing.low <= len(missing) <= figures.missing.high
    assert figures.coverage_percent.low <= 98.0 <= figures.coverage_percent.high
    assert figures.extra.low <= len(extra) <= figures.extra.high
    assert report.totals.should == figures.objects_compared < 20_000


def test_the_same_seed_compares_the_same_ranges(world, store):
    keys = key_shape("flat-hex", 20_000)
    fill(store, keys, damaged(keys, "scattered")[0])
    one, two = (world.sample(world.config(), probes=8, seed=3) for _ in range(2))
    other = world.sample(world.config(), probes=8, seed=4)
    assert one.sample == two.sample
    assert kinds(one) == kinds(two) != kinds(other)


def test_what_was_added_before_and_behind_everything_is_always_found(world, store):
    keys = [f"m/{number:06}" for number in range(50_000)]
    fill(store, keys, ["a/first", *keys, "z/last"])
    report = world.sample(world.config(), probes=5)
    assert kinds(report) == {"a/first": "extra", "z/last": "extra"}


def test_a_range_full_of_extras_is_not_read_to_its_end_and_that_is_said(world, store):
    """What is behind them may be there or not: the upper end of both stays open or high."""
    keys = [f"{number:06}" for number in range(1_000)]
    fill(store, keys, [*keys[:500], *(f"000499.{n:06}" for n in range(30_000)), *keys[500:]])
    report = world.sample(world.config(), probes=5)
    figures = report.sample
    assert not figures.extra.is_bounded
    assert figures.extra.low >= 19_000
    assert figures.missing.low == 0
    assert figures.missing.high >= 300
    assert figures.calls <= 22


def test_nothing_should_be_there_and_nothing_is(world, store):
    fill(store, [], [])
    report = world.sample(world.config())
    assert report.findings_total == 0
    assert report.sample.missing.high == 0
    assert report.sample.coverage_percent.value == 100.0


@pytest.mark.parametrize("rows", [0, 1, 799, 800, 801, 1600, 5000])
def test_cells_tile_the_whole_line_and_each_row_is_in_one(rows):
    keys = [f"{number:06}" for number in range(rows)]
    batches = [
        pa.RecordBatch.from_pylist([{"key": key} for key in keys[start : start + 333]], SIDE_ROW)
        for start in range(0, rows, 333)
    ]
    drawn = draw_cells(iter(batches), 100, 0)
    cells = sorted([*drawn.ends, *drawn.drawn], key=lambda cell: cell.number)
    assert drawn.rows == rows
    assert drawn.cells == len(cells) == max(1, -(-rows // CELL_ROWS))
    assert cells[0].low == ""
    assert cells[-1].high is None
    assert [one.high for one in cells[:-1]] == [one.low for one in cells[1:]]
    for cell in cells:
        stop = len(keys) if cell.high is None else bisect_right(keys, cell.high)
        start = bisect_right(keys, cell.low) if cell.low else bisect_left(keys, "")
        assert cell.rows.column("key").to_pylist() == keys[start:stop]


def test_every_cell_is_drawn_about_equally_often():
    keys = [f"{number:06}" for number in range(12 * CELL_ROWS)]
    batch = pa.RecordBatch.from_pylist([{"key": key} for key in keys], SIDE_ROW)
    counts = [0] * 12
    for seed in range(400):
        for cell in draw_cells(iter([batch]), 5, seed).drawn:
            counts[cell.number] += 1
    assert (counts[0], counts[11]) == (0, 0)
    assert all(80 <= one <= 160 for one in counts[1:11]), counts  # 120 are expected


@pytest.mark.parametrize(
    "population",
    [
        [0.0] * 400,
        [1.0] * 400,
        [1.0] * 2 + [0.0] * 398,
        [1.0] * 40 + [0.0] * 360,
        [number % 7 / 100 for number in range(400)],
        [0.5] * 200 + [0.01] * 200,
    ],
)
def test_the_interval_of_a_mean_holds_for_whatever_is_drawn(population):
    truth = sum(population) / len(population)
    held = 0
    for seed in range(60):
        draws = Random(seed).sample(population, 40)
        low, high = bounded_mean(draws, 400, 0.95)
        assert 0.0 <= low <= high <= 1.0
        held += low <= truth <= high
    assert held >= 57


def test_the_interval_of_a_mean_shrinks_with_draws_and_ends_exact():
    population = [number % 5 / 20 for number in range(300)]
    widths = []
    for count in (20, 60, 180, 300):
        low, high = bounded_mean(Random(1).sample(population, count), 300, 0.95)
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0.0


@pytest.mark.parametrize("manner", ["scattered", "in one place"])
def test_intervals_hold_the_truth_in_a_few_seeded_runs(tmp_path, manner):
    """The 200 of `bench reconcile` are the slow test below."""
    assert _held(tmp_path, "flat-hex", manner, runs=12)["missing"] >= 11


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "manner"), [("flat-hex", "scattered"), ("one-dir-90", "in one place")]
)
def test_intervals_hold_the_truth_in_95_of_100_seeded_runs(tmp_path, manner, shape):
    """REC-1: 200 runs, each of another damage; few pages of many, so most is estimated."""
    held = _held(tmp_path, shape, manner, runs=200)
    assert held["missing"] >= 190, held
    assert held["extra"] >= 190, held
    assert held["different"] >= 190, held
    assert held["calls"] < held["calls_full"] / 2


def _held(tmp_path, shape: str, manner: str, *, runs: int) -> dict[str, float]:
    """How many runs' intervals held the truth; 30 pages, of which 12 are read."""
    keys = key_shape(shape, 24_000)
    store = RowStore()
    store.fill("should", [listed(key) for key in keys])
    fresh = {key: f"{key}.new" for key in keys}
    world = World(tmp_path, store)
    held = dict.fromkeys(("missing", "extra", "different", "calls", "calls_full"), 0.0)
    whole = store.columns["should"]
    for seed in range(runs):
        random, count = Random(seed), len(keys) // 50
        start = random.randrange(len(keys) - count)
        places = range(start, start + count)
        missing = set(
            places if manner == "in one place" else random.sample(range(len(keys)), count)
        )
        kept = [place for place in range(len(keys)) if place not in missing]
        other = set(random.sample(kept, 300))
        extra = sorted(random.sample(range(len(keys)), count))
        store.fill_columns("have", _have(whole, kept, other, [fresh[keys[n]] for n in extra]))
        figures = world.sample(world.config(), probes=12, seed=seed).sample
        truth = {"missing": len(missing), "extra": len(extra), "different": len(other)}
        for name, number in truth.items():
            estimate = getattr(figures, name)
            held[name] += estimate.low <= number <= estimate.high
        held["calls"] += figures.calls
        held["calls_full"] += figures.calls_full
    world.catalog.close()
    return held


def _have(
    whole: pa.RecordBatch, kept: list[int], other: set[int], extra: list[str]
) -> pa.RecordBatch:
    """Some rows of a bucket, some of them with another size, and some that are new."""
    rows = whole.take(pa.array(kept))
    sizes = pa.array([2 if place in other else 1 for place in kept], pa.int64())
    columns = [sizes if name == "size_bytes" else rows.column(name) for name in rows.schema.names]
    new = whole.slice(0, len(extra))
    fresh = [pa.array(extra) if name == "key" else new.column(name) for name in whole.schema.names]
    tables = [pa.RecordBatch.from_arrays(one, schema=whole.schema) for one in (columns, fresh)]
    table = pa.Table.from_batches(tables).sort_by("key").combine_chunks()
    return table.to_batches()[0]
