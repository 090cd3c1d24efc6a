"""REC-1, REC-2: whatever two sides hold and however they are cut, as a dict would say it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.model import S3Url
from stocktake.reconcile import Checks, FindingKind, SeverityRule
from stocktake.reconcile._align import aligned
from stocktake.reconcile._compare import Comparer, Sinks
from stocktake.reconcile._coverage import CoverageTable
from stocktake.reconcile._finding_log import FindingLog
from stocktake.reconcile._finding_make import FindingMaker
from stocktake.reconcile._globs import matches, regex_of
from stocktake.reconcile._histograms import Histograms
from stocktake.reconcile._named_side import NamedSide
from stocktake.reconcile._side import SIDE_ROW, SideFacts, SideKind
from stocktake.reconcile._side_rows import nothing_proven
from stocktake.reconcile._tally import Tally

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = st.text(
    st.one_of(st.sampled_from("ab/"), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=5,
)
# a trailing slash with no bytes would be a folder marker
SIDES = st.dictionaries(KEYS, st.tuples(st.integers(1, 3), st.sampled_from(["x", "y", None])))
CUTS = st.integers(1, 4)


class Rows:
    """A side made of a dict."""

    def __init__(self, held: dict, cut: int, place: str):
        self._rows = [
            {"key": key, "size_bytes": size, "sha256": sha}
            for key, (size, sha) in sorted(held.items())
        ]
        self._cut = cut
        self.facts = SideFacts(SideKind.LISTING, place, NOW, objects_at=S3Url(place))

    def batches(self) -> Iterator[pa.RecordBatch]:
        for start in range(0, len(self._rows), self._cut):
            yield pa.RecordBatch.from_pylist(self._rows[start : start + self._cut], SIDE_ROW)

    def prove(self, pairs):
        return nothing_proven(pairs)


def compared(should: dict, have: dict, cuts: tuple[int, int]):
    left, right = NamedSide(Rows(should, cuts[0], "one")), NamedSide(Rows(have, cuts[1], "two"))
    log, coverage = FindingLog(10_000), CoverageTable(1)
    make = FindingMaker(log, SeverityRule(), left, right)
    comparer = Comparer(left, right, Checks(), Sinks(log, make, coverage, Histograms(NOW)), NOW)
    total = Tally()
    for piece in aligned(left.batches(), right.batches()):
        total.add(comparer.compare(piece))
    return log, coverage, total


@settings(max_examples=150)
@given(SIDES, SIDES, CUTS, CUTS)
def test_findings_and_numbers_are_those_of_a_dict(should, have, cut, other):
    log, coverage, total = compared(should, have, (cut, other))
    both = should.keys() & have.keys()
    sizes = {key for key in both if should[key][0] != have[key][0]}
    known = {key for key in both - sizes if None not in (should[key][1], have[key][1])}
    bytes_differ = {key for key in known if should[key][1] != have[key][1]}
    expected = {
        **dict.fromkeys(should.keys() - have.keys(), FindingKind.MISSING),
        **dict.fromkeys(have.keys() - should.keys(), FindingKind.EXTRA),
        **dict.fromkeys(sizes, FindingKind.SIZE_MISMATCH),
        **dict.fromkeys(bytes_differ, FindingKind.CHECKSUM_MISMATCH),
    }
    assert {one.key: one.kind for one in log.kept()} == expected
    assert log.total == len(expected)
    assert total.identical == len(known - bytes_differ)
    assert total.unproven == len(both - sizes - known)
    assert total.should == len(should)
    assert total.have_bytes == sum(size for size, _ in have.values())
    folders = {}
    for key in should:
        folder = key[: key.find("/") + 1]
        folders.setdefault(folder, [0, 0])[0] += 1
        folders[folder][1] += key in have
    found = {one.prefix: [one.should, one.found] for one in coverage.rows() if one.should}
    assert found == folders


GLOBS = st.lists(
    st.sampled_from(
        ["*", "**", "?", "a", "b", "/", ".", "+", " ", "é", "\n", "[ab]", "[!a]", "(", "\\"]
    ),
    min_size=1,
    max_size=6,
).map("".join)


@settings(max_examples=200)
@given(GLOBS, st.text(st.sampled_from("ab/.+ é\n(\\"), max_size=6))
def test_globs_mean_the_same_by_columns_as_in_python(glob, key):
    pattern = regex_of((glob,)).replace(r"\z", r"\Z")
    expected = re.match(pattern, key) is not None
    assert matches(pa.array([key]), (glob,)).to_pylist() == [expected]
