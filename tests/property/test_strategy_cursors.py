"""What cursors are made of: sets of numbers, dates in names, states of folders (STR-3, STR-4)."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stocktake.listing._calendar import UNITS, DateComponent, index_of, instant_of, span_of
from stocktake.listing._folder_state import MARKS_MAX, FolderState, _thin
from stocktake.listing._folder_tree import FolderTree
from stocktake.listing._known_partitions import IndexRanges, KnownPartitions
from stocktake.listing._partition_layout import PartitionLayout, detect_layout

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TIMES = st.datetimes(datetime.fromisoformat("1971-01-01"), datetime.fromisoformat("2190-01-01"))


@given(numbers=st.lists(st.integers(0, 60)), first=st.integers(0, 60), width=st.integers(0, 9))
def test_ranges_are_a_set(numbers, first, width):
    ranges = IndexRanges()
    for number in numbers:
        ranges.add(number)
    model = set(numbers)
    again = IndexRanges(json.loads(json.dumps(ranges.to_json())))
    for one in (ranges, again):
        assert {number for number in range(61) if number in one} == model
        assert len(one) == len(model)
        assert one.meets(first, first + width) == bool(model & set(range(first, first + width + 1)))
    pairs = ranges.to_json()
    assert all(one[1] + 1 < two[0] for one, two in pairwise(pairs))


@given(
    entries=st.lists(st.tuples(st.text("ab/", max_size=5), st.integers(0, 5))), shape=st.text("ab/")
)
def test_known_partitions_are_sets_by_chain(entries, shape):
    known = KnownPartitions()
    for chain, index in entries:
        known.add(chain, index)
    again = KnownPartitions(json.loads(json.dumps(known.to_json())))
    for chain, index in entries:
        assert again.has(chain, index)
    below = {chain for chain, _ in entries if chain.startswith(shape)}
    assert set(again.below(shape)) == below
    assert again.count_below(shape) == len({one for one in entries if one[0] in below})


@given(when=TIMES, unit=st.sampled_from(UNITS))
def test_numbers_of_days_and_hours_follow_each_other_and_go_back_to_their_start(when, unit):
    number = index_of(when, unit)
    start, following = instant_of(number, unit), instant_of(number + 1, unit)
    assert start <= when < following
    assert index_of(start, unit) == number
    assert index_of(following, unit) == number + 1


@given(
    when=TIMES,
    pattern=st.sampled_from(
        ["dt=%Y-%m-%d/hour=%H", "%Y/%m/%d/%H", "%Y%m%d%H", "y=%Y/m=%m/d=%d", "a-%Y_%m_%d-z"]
    ),
)
def test_a_formatted_partition_is_read_back(when, pattern):
    layout = PartitionLayout.parse(pattern)
    name = layout.name_in(layout.pattern, when)
    place = layout.place(name + "/file")
    assert place.index == index_of(when, layout.unit)
    assert place.chain == layout.pattern
    assert layout.name_in(place.chain, instant_of(place.index, layout.unit)) == name


@given(name=KEYS)
def test_no_name_breaks_the_reading_of_dates(name):
    for template in ("dt=%Y-%m-%d", "%Y", "*", "%-m", "%Y-%m-%d %H:%M:%S"):
        component = DateComponent.parse(template)
        found = component.read(name)
        component.shape(name)
        if found and "Y" in found:
            span_of(found, "d")
    detect_layout([name])


_STATES = st.builds(
    FolderState,
    KEYS,
    KEYS,
    st.lists(st.tuples(KEYS, st.floats(0, 1e10)), max_size=4),
    st.floats(0, 1e10),
    st.integers(0, 10**9),
    KEYS,
)


@given(states=st.dictionaries(st.text("ab\x00%", min_size=1, max_size=3), _STATES, max_size=4))
def test_the_folders_of_a_cursor_survive_json_whatever_their_names(states):
    tree = FolderTree()
    for path, state in states.items():
        tree.put(path + "/", state)
    text = json.dumps(tree.to_json())
    assert "\\u0000" not in text
    again = FolderTree.from_json(json.loads(text))
    assert again.folders == tree.folders
    assert again.children("") == tree.children("")


@given(times=st.lists(st.floats(0, 1e6), min_size=1, max_size=30).map(sorted))
def test_thinned_marks_keep_the_oldest_and_the_newest(times):
    marks = [(str(number), at_s) for number, at_s in enumerate(times)]
    kept = _thin(marks)
    assert len(kept) <= MARKS_MAX
    assert (kept[0], kept[-1]) == (marks[0], marks[-1])
    assert kept == sorted(kept, key=lambda mark: int(mark[0]))
