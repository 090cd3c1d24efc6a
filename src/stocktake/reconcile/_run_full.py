"""HAVE read whole, against everything that should be there: one pass over both sides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from stocktake.reconcile._align import aligned
from stocktake.reconcile._compare import Comparer, Sinks
from stocktake.reconcile._desk import Desk
from stocktake.reconcile._named_side import NamedSide
from stocktake.reconcile._report import ReconcileReport
from stocktake.reconcile._request import ReconcileConfig, ShouldKind
from stocktake.reconcile._rules import RuleBook
from stocktake.reconcile._should import open_should
from stocktake.reconcile._side import Side
from stocktake.reconcile._tally import Tally
from stocktake.reconcile._workplace import Workplace, rule_coverage, rules_facts


def compare_all(
    config: ReconcileConfig, desk: Desk, have_side: Side, place: Workplace
) -> ReconcileReport:
    """The report of a mode that reads all of HAVE."""
    book = RuleBook(config.should.rules, place.offences().add)
    have = NamedSide(have_side, exclude=config.checks.exclude)
    desk.progress.phase("compare", None, "rows")
    if config.should.kind is ShouldKind.RULES:
        report = _rules_only(config, desk, have, book, place)
    else:
        report = _both_sides(config, desk, have, book, place)
    return report


def _rules_only(
    config: ReconcileConfig, desk: Desk, have: NamedSide, book: RuleBook, place: Workplace
) -> ReconcileReport:
    total = Tally()
    for rows in _looked_at(have, book, desk):
        total.have += rows.num_rows
        place.histograms.add(rows)
    total.have_bytes = have.facts.size_bytes
    place.note_age(have.facts)
    _judge(book, place)
    totals = total.totals(excluded=have.excluded, outside=0)
    report = place.report(config.have.mode, have.facts, rules_facts(config.should.place), totals)
    return replace(report, coverage=rule_coverage(place.rules, config.should.rules))


def _both_sides(
    config: ReconcileConfig, desk: Desk, have: NamedSide, book: RuleBook, place: Workplace
) -> ReconcileReport:
    exclude = config.checks.exclude
    should = NamedSide(open_should(desk, config), names=config.names, exclude=exclude)
    sinks = Sinks(place.log, place.maker(should, have), place.coverage, place.histograms)
    comparer = Comparer(should, have, config.checks, sinks, place.started_at)
    total = Tally()
    for piece in aligned(should.batches(), _looked_at(have, book, desk)):
        total.add(comparer.compare(piece))
    place.note_age(have.facts)
    place.note_empty_folders()
    _judge(book, place)
    totals = total.totals(excluded=have.excluded + should.excluded, outside=should.outside)
    report = place.report(config.have.mode, have.facts, should.facts, totals)
    return replace(report, not_comparable=dict(comparer.not_comparable.most_common()))


def _looked_at(have: NamedSide, book: RuleBook, desk: Desk) -> Iterator[pa.RecordBatch]:
    for rows in have.batches():
        book.add(rows)
        desk.progress.advance(rows.num_rows)
        yield rows


def _judge(book: RuleBook, place: Workplace) -> None:
    judge = place.judge()
    for seen in book.seen:
        place.rules += judge.judge(seen)
