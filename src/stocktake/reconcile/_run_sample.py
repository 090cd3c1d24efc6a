"""HAVE by a sample: drawn cells against SHOULD, estimates against rules."""

from __future__ import annotations

from dataclasses import replace

from stocktake.errors import StrategyRefusedError
from stocktake.listing import is_directory_bucket, known_profile
from stocktake.reconcile._cell_reader import CellReader
from stocktake.reconcile._compare import Comparer, Sinks
from stocktake.reconcile._desk import Desk
from stocktake.reconcile._named_side import NamedSide
from stocktake.reconcile._report import ReconcileReport
from stocktake.reconcile._request import ReconcileConfig, ScanMode, ShouldKind
from stocktake.reconcile._rules_sampled import RuleSampler
from stocktake.reconcile._sampled import compare_sample
from stocktake.reconcile._should import open_should
from stocktake.reconcile._tally import Tally
from stocktake.reconcile._workplace import Workplace, rule_coverage, rules_facts


def compare_by_sample(config: ReconcileConfig, desk: Desk, place: Workplace) -> ReconcileReport:
    """The report of a sample. Findings are of what was read; the rest is estimated.

    Raises:
        StrategyRefusedError: The store does not list in key order, so pages cannot be skipped.
    """
    _check_order(desk, config.have.source.bucket)
    spec, checks = config.have, config.checks
    reader = CellReader(desk.store, spec.source, desk.clock, spec.workers)
    have = NamedSide(reader, exclude=checks.exclude)
    if config.should.kind is ShouldKind.RULES:
        return _rules(config, desk, have, place)
    should = NamedSide(open_should(desk, config), names=config.names, exclude=checks.exclude)
    sinks = Sinks(place.log, place.maker(should, have), place.coverage, place.histograms)
    comparer = Comparer(should, have, checks, sinks, place.started_at)
    desk.progress.phase("sample", spec.probes, "ranges")
    total, figures = compare_sample(should, have, reader, comparer, spec, desk.progress.advance)
    totals = total.totals(excluded=have.excluded + should.excluded, outside=should.outside)
    saved = figures.calls_saved
    if config.should.rules:
        saved += _judge_rules(config, desk, have, place).calls_saved
    report = place.report(ScanMode.SAMPLE, have.facts, should.facts, totals)
    return replace(
        report,
        sample=figures,
        calls_saved=saved,
        not_comparable=dict(comparer.not_comparable.most_common()),
    )


def _rules(
    config: ReconcileConfig, desk: Desk, have: NamedSide, place: Workplace
) -> ReconcileReport:
    sampler = _judge_rules(config, desk, have, place)
    facts = replace(
        have.facts,
        objects=sampler.count.objects,
        size_bytes=sampler.count.size_bytes,
        requests={"LIST": sampler.calls},
    )
    total = Tally(have=sampler.count.objects, have_bytes=sampler.count.size_bytes)
    totals = total.totals(excluded=have.excluded, outside=0)
    report = place.report(ScanMode.SAMPLE, facts, rules_facts(config.should.place), totals)
    return replace(
        report,
        calls_saved=sampler.calls_saved,
        coverage=rule_coverage(place.rules, config.should.rules),
    )


def _judge_rules(
    config: ReconcileConfig, desk: Desk, have: NamedSide, place: Workplace
) -> RuleSampler:
    sampler = RuleSampler(desk.store, desk.catalog, config.have, have, place.offences().add)
    judge = place.judge()
    desk.progress.phase("sample", len(config.should.rules), "rules")
    for seen, numbers in sampler.sample_all(config.should.rules):
        place.rules += judge.judge(seen, numbers)
        desk.progress.advance(1)
    return sampler


def _check_order(desk: Desk, bucket: str) -> None:
    profile = known_profile(desk.catalog.state, desk.store, bucket)
    if is_directory_bucket(bucket) or (profile is not None and profile.needs_tree):
        raise StrategyRefusedError(
            f"`{bucket}` cannot be sampled: it does not list in key order",
            hint="use the mode full",
            bucket=bucket,
        )
