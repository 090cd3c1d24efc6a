"""Coverage, histograms and estimates of the HTML report: a chart and a table each."""

from __future__ import annotations

from collections.abc import Iterator

from stocktake.reconcile._charts import ChartBar, bar_chart
from stocktake.reconcile._html_parts import key, number, table, text, words
from stocktake.reconcile._report import Bar, PrefixCoverage, ReconcileReport
from stocktake.reconcile._said import interval_text
from stocktake.reconcile._shown import count_text, percent_text, size_text

_CHART_PREFIXES = 12
_TABLE_PREFIXES = 500


def coverage_part(report: ReconcileReport) -> str:
    """Coverage by folder: the worst in the chart, all of them in the table."""
    known = [one for one in report.coverage if one.should]
    if not report.coverage:
        return ""
    worst = sorted(known, key=lambda one: (one.found / one.should, one.prefix))[:_CHART_PREFIXES]
    chart = bar_chart(
        "coverage", "Coverage by folder, the worst first", [_bar(one) for one in worst], most=1.0
    )
    rows = [
        (
            key(one.prefix or "(in no folder)"),
            number(count_text(one.should)),
            number(count_text(one.found)),
            number(percent_text(one.found / one.should) if one.should else "-"),
            number(count_text(one.extra)),
            number(count_text(one.different)),
        )
        for one in report.coverage[:_TABLE_PREFIXES]
    ]
    head = ("Folder", "Should be", "Found", "Coverage", "Extra", "Different")
    left = report.coverage_left_out + max(0, len(report.coverage) - _TABLE_PREFIXES)
    more = f"<p>{left:,} more folders are not shown.</p>" if left else ""
    return (
        f"<section><h3>Coverage by folder, the worst first</h3>{chart if worst else ''}"
        f"<details><summary>{len(report.coverage):,} folders</summary>"
        f"{table('Coverage by folder', head, rows, (1, 2, 3, 4, 5))}{more}</details></section>"
    )


def _bar(one: PrefixCoverage) -> ChartBar:
    share = one.found / one.should
    tone = "good" if share == 1 else "high" if share < 0.9 else "medium"
    label = one.prefix or "(in no folder)"
    said = f"{percent_text(share)} of {count_text(one.should)}"
    return ChartBar(label, share, said, tone)


def histogram_parts(report: ReconcileReport) -> Iterator[str]:
    """Sizes and ages of what is there."""
    for identity, title, bars in (
        ("sizes", "Objects by size", report.sizes),
        ("ages", "Objects by age", report.ages),
    ):
        if any(bar.objects for bar in bars):
            yield _histogram(identity, title, bars)


def _histogram(identity: str, title: str, bars: tuple[Bar, ...]) -> str:
    chart = bar_chart(
        identity, title, [ChartBar(bar.label, bar.objects, count_text(bar.objects)) for bar in bars]
    )
    rows = [
        (words(bar.label), number(count_text(bar.objects)), number(size_text(bar.bytes)))
        for bar in bars
    ]
    figures = table(title, ("From ... to", "Objects", "Bytes"), rows, (1, 2))
    return (
        f"<section><h3>{text(title)}</h3>{chart}"
        f"<details><summary>As a table</summary>{figures}</details></section>"
    )


def sample_part(report: ReconcileReport) -> str:
    """What a sample says of all objects, with intervals and what it cost."""
    figures = report.sample
    if figures is None:
        return ""
    estimates = [
        ("missing", figures.missing),
        ("different", figures.different),
        ("extra", figures.extra),
    ]
    bars = [
        ChartBar(
            name,
            one.value,
            f"{count_text(one.value)}, {interval_text(one)}",
            low=one.low,
            high=one.high if one.is_bounded else None,
        )
        for name, one in estimates
    ]
    rows = [
        (words(name), number(count_text(one.value)), number(interval_text(one)))
        for name, one in estimates
    ]
    coverage = figures.coverage_percent
    rows.append(
        (
            words("coverage"),
            number(percent_text(coverage.value / 100)),
            number(f"{percent_text(coverage.low / 100)} to {percent_text(coverage.high / 100)}"),
        )
    )
    story = (
        f"{figures.cells_compared:,} of {figures.cells:,} key ranges were compared exactly "
        f"({figures.objects_compared:,} expected objects), with {figures.calls:,} LIST calls "
        f"instead of about {figures.calls_full:,}. {figures.confidence:.0%} of such intervals "
        f"hold the truth. Seed {figures.seed}."
    )
    return (
        f"<h2>Estimates</h2><p>{text(story)}</p>"
        f"{bar_chart('estimates', 'Estimates with their intervals', bars)}"
        f"{table('Estimates for all objects', ('', 'Estimate', 'Interval'), rows, (1, 2))}"
    )
