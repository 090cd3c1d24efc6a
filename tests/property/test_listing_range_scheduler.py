"""LST-1: whatever the keys, hints and order of answers: each key once, in order, in few calls."""

from __future__ import annotations

from random import Random

from hypothesis import example, given
from hypothesis import strategies as st
from listing_models import ROW_BYTES, ModelStore, drive

from stocktake.listing._range_scheduler import RangeScheduler, ScanPlan
from stocktake.model import successor

# few characters, so that keys share much and differ early, late and in length
_NARROW = st.text("ab/-0\x00\x01\ud7ff\ue000\uffff\U00010000\U0010ffff", min_size=1, max_size=6)
_WIDE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_NUMBERS = st.integers(0, 3000).map(lambda number: f"log/{number:06d}.gz")
_TREES = st.tuples(st.integers(0, 5), st.integers(0, 12), st.integers(0, 40)).map(
    lambda at: f"a{at[0]}/2026/{at[1]:02d}/x{at[2]}"
)
_KEYS = st.one_of(
    st.sets(_NARROW, max_size=60),
    st.sets(_WIDE, max_size=60),
    st.sets(_NUMBERS, max_size=150),
    st.sets(_TREES, max_size=150),
)


@st.composite
def scans(draw: st.DrawFn) -> tuple[list[str], ScanPlan]:
    keys = sorted(draw(_KEYS))
    hints = draw(
        st.one_of(
            st.just([]),
            st.sets(_NARROW, max_size=20).map(sorted),
            st.integers(1, 9).map(lambda step: keys[::step]),
        )
    )
    plan = ScanPlan(
        prefix=draw(
            st.one_of(st.just(""), st.sampled_from(["a", "a/", "log/", "a1/2026", "\x00"]))
        ),
        split_keys=hints,
        rows_expected=draw(st.one_of(st.none(), st.integers(1, 2000))),
        workers=draw(st.integers(1, 9)),
        page_rows=draw(st.integers(1, 7)),
        speculation=draw(st.sampled_from([0.0, 0.25, 0.5, 3.0])),
        buffer_bytes=draw(st.sampled_from([1, 2000, 1 << 20])),
    )
    return keys, plan


@given(scan=scans(), seed=st.integers(0, 1 << 32), lazy=st.sampled_from([0.0, 0.7]))
@example((["a", "a\x00"], ScanPlan(page_rows=1, workers=2, speculation=3.0)), 0, 0.0)
def test_every_key_once_and_in_order(scan, seed, lazy) -> None:
    keys, plan = scan
    random = Random(seed)
    store = ModelStore(keys, plan.page_rows, random=random)
    driven = drive(RangeScheduler(plan), store, random, lazy=lazy)
    assert driven.keys == [key for key in keys if key.startswith(plan.prefix)]


@given(scan=scans(), seed=st.integers(0, 1 << 32))
def test_throttles_and_empty_pages_lose_nothing(scan, seed) -> None:
    """Trap: `Contents` may be empty while IsTruncated is true."""
    keys, plan = scan
    random = Random(seed)
    store = ModelStore(keys, plan.page_rows, gaps=0.3, random=random)
    driven = drive(RangeScheduler(plan), store, random, throttles=0.3)
    assert driven.keys == [key for key in keys if key.startswith(plan.prefix)]


@given(scan=scans(), copies=st.integers(1, 9), seed=st.integers(0, 1 << 32))
def test_ranges_never_cut_between_versions_of_a_key(scan, copies, seed) -> None:
    """LST-4: a page may end inside of a key; no range does."""
    keys, plan = scan
    random = Random(seed)
    plan = ScanPlan(
        versions=True,
        split_keys=plan.split_keys,
        workers=plan.workers,
        page_rows=plan.page_rows,
        speculation=plan.speculation,
    )
    versions = [key for key in keys for _ in range(random.randint(1, copies))]
    driven = drive(
        RangeScheduler(plan), ModelStore(versions, plan.page_rows, versions=True), random
    )
    assert driven.keys == versions


@given(scan=scans(), seed=st.integers(0, 1 << 32), data=st.data())
def test_a_span_holds_what_lies_between_its_bounds(scan, seed, data) -> None:
    keys, plan = scan
    random = Random(seed)
    after = data.draw(st.one_of(st.just(""), _NARROW, st.sampled_from(keys or ["a"])))
    before = data.draw(st.one_of(st.none(), _NARROW, st.sampled_from(keys or ["a"])))
    if before is not None and before <= after:
        before = successor(after)
    plan = ScanPlan(
        after=after,
        before=before,
        split_keys=plan.split_keys,
        workers=plan.workers,
        page_rows=plan.page_rows,
        speculation=plan.speculation,
    )
    store = ModelStore(keys, plan.page_rows, before=before)
    driven = drive(RangeScheduler(plan), store, random)
    wanted = [key for key in keys if after < key and (before is None or key < before)]
    assert driven.keys == wanted


@given(scan=scans(), seed=st.integers(0, 1 << 32))
def test_at_most_one_useless_call_for_the_first_ten_pages(scan, seed) -> None:
    """A bucket of 10,000 objects costs at most one call more than a serial listing."""
    keys, plan = scan
    mine = [key for key in keys if key.startswith(plan.prefix)]
    serial = max(1, -(-len(mine) // plan.page_rows))
    plan = ScanPlan(
        prefix=plan.prefix, workers=plan.workers, page_rows=plan.page_rows, speculation=0.5
    )
    driven = drive(RangeScheduler(plan), ModelStore(keys, plan.page_rows), Random(seed))
    if serial <= 10:
        assert driven.calls <= serial + (1 if serial > 1 else 0)
    else:
        assert driven.calls <= serial + 2 + min(serial, 32) + 0.5 * serial


@given(scan=scans(), seed=st.integers(0, 1 << 32))
def test_what_waits_stays_within_the_limit(scan, seed) -> None:
    """The limit may be passed by the pages under way when it was reached, by no more."""
    keys, plan = scan
    driven = drive(RangeScheduler(plan), ModelStore(keys, plan.page_rows), Random(seed), lazy=0.9)
    page_bytes = ROW_BYTES * plan.page_rows
    assert driven.buffered_max <= plan.buffer_bytes + page_bytes * (plan.workers + 1)
