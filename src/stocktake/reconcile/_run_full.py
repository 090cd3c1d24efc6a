"""HAVE read whole, against everything that should be there: one pass over both sides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf

import pyarrow as pa

from stocktake.errors import StoreError
from stocktake.listing import Estimate
from stocktake.reconcile._align import aligned
from stocktake.reconcile._compare import Comparer, Sinks
from stocktake.reconcile._desk import Desk
from stocktake.reconcile._named_side import NamedSide
from stocktake.reconcile._report import ReconcileReport
from stocktake.reconcile._request import ReconcileConfig, ShouldKind
from stocktake.reconcile._rule_verdicts import Numbers
from stocktake.reconcile._rules import RuleBook, Seen
from stocktake.reconcile._should import open_should
from stocktake.reconcile._side import Side
from stocktake.reconcile._tally import Tally
from stocktake.reconcile._workplace import Workplace, rule_coverage, rules_facts


def compare_all(
    config: ReconcileConfig, desk: Desk, have_side: Side, place: Workplace
) -> ReconcileReport:
    """The report of a mode that reads all of HAVE.

    A store that fails in the middle ends it: what was found is true, the report is `interrupted`.
    If a sample is allowed instead, or nothing was compared yet, the failure is raised.
    """
    book = RuleBook(config.should.rules, place.offences().add)
    have = NamedSide(have_side, exclude=config.checks.exclude)
    desk.progress.phase("compare", None, "rows")
    if config.should.kind is ShouldKind.RULES:
        return _rules_only(config, desk, have, book, place)
    return _both_sides(config, desk, have, book, place)


def _rules_only(
    config: ReconcileConfig, desk: Desk, have: NamedSide, book: RuleBook, place: Workplace
) -> ReconcileReport:
    total = Tally()

    def count(rows: pa.RecordBatch) -> Tally:
        place.histograms.add(rows)
        return Tally(have=rows.num_rows)

    interrupted = _go_through(map(count, _looked_at(have, book, desk)), total, config, place)
    total.have_bytes = have.facts.size_bytes
    place.note_age(have.facts)
    _judge(book, place, interrupted=interrupted)
    totals = total.totals(excluded=have.excluded, outside=0)
    report = place.report(config.have.mode, have.facts, rules_facts(config.should.place), totals)
    coverage = rule_coverage(place.rules, config.should.rules)
    return replace(report, coverage=coverage, interrupted=interrupted)


def _both_sides(
    config: ReconcileConfig, desk: Desk, have: NamedSide, book: RuleBook, place: Workplace
) -> ReconcileReport:
    exclude = config.checks.exclude
    should = NamedSide(open_should(desk, config), names=config.names, exclude=exclude)
    sinks = Sinks(place.log, place.maker(should, have), place.coverage, place.histograms)
    comparer = Comparer(should, have, config.checks, sinks, place.started_at)
    total = Tally()
    pieces = aligned(should.batches(), _looked_at(have, book, desk))
    interrupted = _go_through(map(comparer.compare, pieces), total, config, place)
    place.note_age(have.facts)
    if not interrupted:
        place.note_empty_folders()
    _judge(book, place, interrupted=interrupted)
    totals = total.totals(excluded=have.excluded + should.excluded, outside=should.outside)
    report = place.report(config.have.mode, have.facts, should.facts, totals)
    unknown = dict(comparer.not_comparable.most_common())
    return replace(report, not_comparable=unknown, interrupted=interrupted)


def _go_through(
    tallies: Iterable[Tally], total: Tally, config: ReconcileConfig, place: Workplace
) -> bool:
    """Add up all pieces; True if a store failed before the last of them."""
    try:
        for one in tallies:
            total.add(one)
    except StoreError as error:
        if config.have.fallback_to_sample or not (total.have or total.should):
            raise
        place.notes.append(f"stopped before the end: {error.message}")
        return True
    return False


def _looked_at(have: NamedSide, book: RuleBook, desk: Desk) -> Iterator[pa.RecordBatch]:
    for rows in have.batches():
        book.add(rows)
        desk.progress.advance(rows.num_rows)
        yield rows


def _judge(book: RuleBook, place: Workplace, *, interrupted: bool) -> None:
    judge = place.judge()
    for seen in book.seen:
        place.rules += judge.judge(seen, _at_least(seen) if interrupted else None)


def _at_least(seen: Seen) -> Numbers:
    """What a listing that was stopped says of a rule: so much, or more."""
    objects, size = float(seen.objects), float(seen.bytes)
    return Numbers(Estimate(objects, objects, inf), Estimate(size, size, inf))
