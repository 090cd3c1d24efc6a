"""The comparison itself: two pieces of the same range of names, by columns, to findings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stocktake.reconcile._align import Piece
from stocktake.reconcile._checksums import DIFFERENT, SAME, UNKNOWN, verdicts, why_unknown
from stocktake.reconcile._coverage import CoverageTable
from stocktake.reconcile._finding_log import FindingLog
from stocktake.reconcile._finding_make import FindingMaker
from stocktake.reconcile._findings import FindingKind
from stocktake.reconcile._histograms import Histograms
from stocktake.reconcile._named_side import NamedSide
from stocktake.reconcile._request import Checks
from stocktake.reconcile._side import Pair, Proof, Same, SideKind
from stocktake.reconcile._side_rows import surely
from stocktake.reconcile._tally import Tally

_PROVEN_AT_ONCE = 256
_STANDARD = "STANDARD"
_DATED = (SideKind.AWS_INVENTORY, SideKind.CATALOG)


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where a comparison puts what it finds."""

    log: FindingLog
    make: FindingMaker
    coverage: CoverageTable
    histograms: Histograms


class Comparer:
    """Compares pieces; findings, coverage and histograms go to the sinks, numbers come back.

    Cost: a hash join per piece and a few passes over columns; only rows that differ become Python
    values. Memory: the piece.
    """

    def __init__(
        self, should: NamedSide, have: NamedSide, checks: Checks, sinks: Sinks, now: datetime
    ) -> None:
        self.not_comparable: Counter[str] = Counter()
        self._should = should
        self._checks = checks
        self._sinks = sinks
        should_at, have_at = should.facts.objects_at, have.facts.objects_at
        # the same keys in the same bucket: prefix and name map together make one key of both
        self._same_objects = (
            should_at is not None
            and have_at is not None
            and should_at.bucket == have_at.bucket
            and should_at.key + should.names.strip == have_at.key + should.names.add
        )
        self._unknown_since = _unknown_since(have, now)
        self._tolerance = timedelta(seconds=checks.stale_tolerance_s)

    def compare(self, piece: Piece) -> Tally:
        """Compare one piece."""
        should, have = piece
        tally = Tally(
            should=should.num_rows,
            have=have.num_rows,
            should_bytes=_bytes(should),
            have_bytes=_bytes(have),
        )
        self._sinks.coverage.add("should", should.column("key"))
        self._sinks.histograms.add(have)
        self._check_classes(have)
        pairs_should, pairs_have = self._join(should, have, tally)
        if pairs_should.num_rows:
            self._check_pairs(pairs_should, pairs_have, tally)
        return tally

    def _join(self, should: pa.RecordBatch, have: pa.RecordBatch, tally: Tally) -> Piece:
        """The rows that both have, side by side; the others become findings."""
        if should.column("key").equals(have.column("key")):
            return should, have
        at = pc.index_in(have.column("key"), value_set=should.column("key"))
        known = pc.is_valid(at)
        there = np.zeros(should.num_rows, dtype=bool)
        there[np.asarray(at.drop_null())] = True
        # both ascend, so what is left of both is in the same order
        pairs_should, pairs_have = should.filter(pa.array(there)), have.filter(known)
        if pairs_have.num_rows < have.num_rows:
            self._extra(have.filter(pc.invert(known)), tally)
        if pairs_should.num_rows < should.num_rows:
            self._missing(should.filter(pa.array(~there)), tally)
        return pairs_should, pairs_have

    def _extra(self, rows: pa.RecordBatch, tally: Tally) -> None:
        tally.extra += rows.num_rows
        tally.extra_bytes += _bytes(rows)
        self._sinks.coverage.add("extra", rows.column("key"))
        if not self._checks.allow_extra:
            self._sinks.make.surplus(rows)

    def _missing(self, rows: pa.RecordBatch, tally: Tally) -> None:
        tally.missing += rows.num_rows
        tally.missing_bytes += _bytes(rows)
        self._sinks.coverage.add("missing", rows.column("key"))
        since, now = self._unknown_since
        if since is None:
            self._sinks.make.missing(rows)
            return
        times = rows.column("last_modified")
        newer = surely(pc.and_(pc.greater(times, since), pc.less_equal(times, now)))
        self._sinks.make.missing(rows.filter(pc.invert(newer)))
        self._sinks.make.not_known_yet(rows.filter(newer))

    def _check_classes(self, have: pa.RecordBatch) -> None:
        allowed = self._checks.storage_classes
        if not allowed or not have.num_rows:
            return
        classes = pc.fill_null(have.column("storage_class"), _STANDARD)
        wrong = pc.invert(pc.is_in(classes, value_set=pa.array(allowed)))
        if pc.any(wrong).as_py():
            self._sinks.make.wrong_class(have.filter(wrong), allowed)

    def _check_pairs(self, should: pa.RecordBatch, have: pa.RecordBatch, tally: Tally) -> None:
        other_size = surely(pc.not_equal(should.column("size_bytes"), have.column("size_bytes")))
        if pc.any(other_size).as_py():
            self._sizes_differ(should.filter(other_size), have.filter(other_size), tally)
            alike = pc.invert(other_size)
            should, have = should.filter(alike), have.filter(alike)
        if not self._checks.checksums:
            tally.unproven += should.num_rows
            self._check_stale(should, have)
            return
        found = verdicts(
            should, have, same_objects=self._same_objects, trust_etags=self._checks.trust_etags
        )
        same = _count(found, SAME)
        tally.identical += same
        if same == should.num_rows:
            return
        self._bytes_differ(_where(should, found, DIFFERENT), _where(have, found, DIFFERENT), tally)
        self._look_closer(_where(should, found, UNKNOWN), _where(have, found, UNKNOWN), tally)

    def _sizes_differ(self, should: pa.RecordBatch, have: pa.RecordBatch, tally: Tally) -> None:
        tally.different += should.num_rows
        self._sinks.coverage.add("different", should.column("key"))
        empty = pc.equal(have.column("size_bytes"), 0)
        make = self._sinks.make
        make.differing(FindingKind.EMPTY, should.filter(empty), have.filter(empty), is_total=True)
        rest = pc.invert(empty)
        make.differing(FindingKind.SIZE_MISMATCH, should.filter(rest), have.filter(rest))

    def _bytes_differ(
        self,
        should: pa.RecordBatch,
        have: pa.RecordBatch,
        tally: Tally,
        proofs: list[Proof] | None = None,
    ) -> None:
        if not should.num_rows:
            return
        tally.different += should.num_rows
        self._sinks.coverage.add("different", should.column("key"))
        self._sinks.make.differing(
            FindingKind.CHECKSUM_MISMATCH,
            should,
            have,
            proofs=proofs,
            same_objects=self._same_objects,
        )

    def _look_closer(self, should: pa.RecordBatch, have: pa.RecordBatch, tally: Tally) -> None:
        for start in range(0, should.num_rows, _PROVEN_AT_ONCE):
            left = should.slice(start, _PROVEN_AT_ONCE)
            right = have.slice(start, _PROVEN_AT_ONCE)
            proofs = self._should.prove(_pairs(left, right))
            self._sort_proofs(left, right, proofs, tally)

    def _sort_proofs(
        self, should: pa.RecordBatch, have: pa.RecordBatch, proofs: list[Proof], tally: Tally
    ) -> None:
        by = {one: [i for i, proof in enumerate(proofs) if proof.same is one] for one in Same}
        tally.identical += len(by[Same.SAME])
        tally.unproven += len(by[Same.UNKNOWN])
        if by[Same.DIFFERENT]:
            places = pa.array(by[Same.DIFFERENT])
            wrong = [proofs[i] for i in by[Same.DIFFERENT]]
            self._bytes_differ(should.take(places), have.take(places), tally, wrong)
        if not by[Same.UNKNOWN]:
            return
        places = pa.array(by[Same.UNKNOWN])
        left, right = should.take(places), have.take(places)
        etags = zip(left.column("etag").to_pylist(), right.column("etag").to_pylist(), strict=True)
        for index, (one, other) in zip(by[Same.UNKNOWN], etags, strict=True):
            self.not_comparable[proofs[index].why or why_unknown(one, other)] += 1
        self._check_stale(left, right)

    def _check_stale(self, should: pa.RecordBatch, have: pa.RecordBatch) -> None:
        """An unproven copy that is older than what it should be a copy of."""
        if not self._checks.check_stale or self._same_objects or not should.num_rows:
            return
        due = pc.subtract(should.column("last_modified"), self._tolerance)
        older = surely(pc.less(have.column("last_modified"), due))
        if pc.any(older).as_py():
            self._sinks.make.differing(FindingKind.STALE, should.filter(older), have.filter(older))


def _unknown_since(have: NamedSide, now: datetime) -> tuple[pa.Scalar | None, pa.Scalar | None]:
    """From when to when HAVE cannot know: what was made then is not missing, HAVE is old."""
    facts = have.facts
    if facts.kind not in _DATED or facts.as_of is None:
        return None, None
    return _stamp(facts.as_of), _stamp(now)


def _stamp(when: datetime) -> pa.Scalar:
    return pa.scalar(when.astimezone(UTC).replace(tzinfo=None), pa.timestamp("ms"))


def _pairs(should: pa.RecordBatch, have: pa.RecordBatch) -> list[Pair]:
    rows = have.select(["size_bytes", "etag", "md5", "sha256", "encryption"]).to_pylist()
    keys = should.column("key").to_pylist()
    return [
        Pair(key=key, **{**row, "size_bytes": row["size_bytes"] or 0})
        for key, row in zip(keys, rows, strict=True)
    ]


def _where(rows: pa.RecordBatch, found: pa.Int8Array, verdict: int) -> pa.RecordBatch:
    return rows.filter(pc.equal(found, verdict))


def _count(found: pa.Int8Array, verdict: int) -> int:
    return int(pc.sum(pc.equal(found, verdict), min_count=0).as_py())


def _bytes(rows: pa.RecordBatch) -> int:
    return int(pc.sum(rows.column("size_bytes"), min_count=0).as_py())
