"""The report as one HTML file: opens offline, loads nothing, runs nothing, says it all.

It is made of one `ReconcileReport`. Charts are inline SVG with a table beside them; the content
security policy of the page allows its own style and nothing else, should anything ever slip through
the escaping.
"""

from __future__ import annotations

from collections.abc import Iterator

from stocktake.reconcile._charts import ChartBar, bar_chart
from stocktake.reconcile._findings import Finding, Severity
from stocktake.reconcile._html_figures import coverage_part, histogram_parts, sample_part
from stocktake.reconcile._html_parts import Cell, facts, key, number, said, table, tag, text, words
from stocktake.reconcile._html_style import content_policy, style
from stocktake.reconcile._report import ReconcileReport, RuleCheck
from stocktake.reconcile._said import (
    complete_text,
    freshness_text,
    headline,
    mode_text,
    notes_of,
    requests_text,
    should_text,
    verdict_tone,
)
from stocktake.reconcile._shown import age_text, count_text, size_text, time_text
from stocktake.reconcile._side import SideKind

HTML_FINDINGS_MAX = 2_000
_RULES_MAX = 1_000


def render_html(report: ReconcileReport) -> str:
    """The report as a self-contained HTML page, always valid UTF-8.

    At most 2,000 findings stand in it, the worst; it says how many are left out and where they are.
    """
    title = f"{report.have.place} against {should_text(report)}"
    return "".join(
        (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{content_policy()}">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            '<meta name="referrer" content="no-referrer">'
            '<meta name="robots" content="noindex">'
            f"<title>Reconciliation: {text(title)}</title><style>{style()}</style></head><body>"
            f"<main><h1><bdi>{text(report.have.place)}</bdi> against "
            f"<bdi>{text(should_text(report))}</bdi></h1>",
            *_parts(report),
            "</main>",
            _footer(report),
            "</body></html>\n",
        )
    )


def _parts(report: ReconcileReport) -> Iterator[str]:
    yield f'<p class="verdict {verdict_tone(report)}">{text(headline(report))}</p>'
    if report.fell_back:
        yield f'<p class="warn"><b>This is a sample.</b> {text(report.fell_back)}</p>'
    if report.interrupted:
        yield (
            '<p class="warn"><b>Stopped before the end.</b> What is found is true; what is not '
            "found says nothing.</p>"
        )
    yield _totals(report)
    yield _sides(report)
    yield f'<h2>In pictures</h2><div class="charts">{_severity_part(report)}'
    yield coverage_part(report)
    yield from histogram_parts(report)
    yield "</div>"
    yield sample_part(report)
    yield _rules(report)
    yield _findings(report)
    yield _notes(report)


def _totals(report: ReconcileReport) -> str:
    totals = report.totals
    figures = [
        ("should be there", count_text(totals.should), size_text(totals.should_bytes)),
        ("are there", count_text(totals.have), size_text(totals.have_bytes)),
        ("proven identical", count_text(totals.identical), "by a checksum"),
        ("of the same size", count_text(totals.unproven), "checksums not comparable"),
        ("missing", count_text(totals.missing), size_text(totals.missing_bytes)),
        ("different", count_text(totals.different), "size or bytes"),
        ("extra", count_text(totals.extra), size_text(totals.extra_bytes)),
    ]
    if report.should.kind is SideKind.RULES:
        if not totals.have:  # a sample: its estimates stand with the rules
            return ""
        figures = figures[1:2]
    items = "".join(
        f"<li><b>{text(count)}</b>{text(name)}<br><span class=dim>{text(more)}</span></li>"
        for name, count, more in figures
    )
    scope = ""
    if report.sample is not None:
        scope = '<p class="dim">Objects of the key ranges that were compared; not of all.</p>'
    return f'<ul class="figures">{items}</ul>{scope}'


def _sides(report: ReconcileReport) -> str:
    have, should = report.have, report.should
    rows = [
        ("Place", (have.place, should.place)),
        ("Known from", (mode_text(report), should_text(report))),
        ("As of", (time_text(have.as_of), time_text(should.as_of) if should.as_of else "-")),
        (
            "Age",
            (freshness_text(have, report.started_at), freshness_text(should, report.started_at)),
        ),
        ("Complete", (complete_text(report, have), complete_text(report, should))),
        ("Objects read", (count_text(have.objects), count_text(should.objects))),
        ("Requests", (requests_text(have), requests_text(should))),
    ]
    return "<h2>The two sides</h2>" + facts(
        rows, ("Is there", "Should be"), "Where each side comes from and how old"
    )


def _severity_part(report: ReconcileReport) -> str:
    bars = [
        ChartBar(str(one), count, count_text(count), one.lower())
        for one in Severity
        for count in (report.by_severity.get(one, 0),)
    ]
    kinds = table(
        "Findings by kind",
        ("Kind", "Findings"),
        [
            (words(kind), number(count_text(count)))
            for kind, count in sorted(report.by_kind.items(), key=lambda item: -item[1])
        ],
        (1,),
    )
    details = f"<details><summary>By kind</summary>{kinds}</details>" if report.by_kind else ""
    chart = bar_chart("severity", "Findings by severity", bars)
    return f"<section><h3>Findings by severity</h3>{chart}{details}</section>"


def _rules(report: ReconcileReport) -> str:
    if not report.rules:
        return ""
    shown = sorted(report.rules, key=lambda one: _VERDICT_ORDER[one.verdict])[:_RULES_MAX]
    rows = [_rule(one) for one in shown]
    head = ("Verdict", "Rule", "Prefix", "Expectation", "Expected", "Found", "Why")
    left = len(report.rules) - len(shown)
    more = f"<p>{left:,} more are not shown.</p>" if left else ""
    return f"<h2>Rules</h2>{table('Each expectation and what became of it', head, rows)}{more}"


_VERDICT_ORDER = {"violated": 0, "undecided": 1, "held": 2}


def _rule(one: RuleCheck) -> tuple[Cell, ...]:
    return (
        tag(str(one.verdict)),
        key(one.rule),
        key(one.prefix or "everything"),
        said(one.expectation),
        said(one.expected),
        said(one.found),
        Cell(text(one.why), "why"),
    )


def _findings(report: ReconcileReport) -> str:
    shown = report.findings[:HTML_FINDINGS_MAX]
    if not shown:
        return "<h2>Findings</h2><p>None.</p>"
    pieces = ["<h2>Findings</h2>"]
    for severity in Severity:
        group = [one for one in shown if one.severity is severity]
        total = report.by_severity.get(severity, 0)
        if total:
            pieces.append(_group(severity, group, total))
    left = report.findings_total - len(shown)
    if left:
        where = f" All are in {report.findings_file}." if report.findings_file else ""
        pieces.append(f"<p>{left:,} more findings are not shown.{text(where)}</p>")
    return "".join(pieces)


def _group(severity: Severity, group: list[Finding], total: int) -> str:
    head = ("Kind", "Key", "Why", "Expected", "Found", "Size")
    rows = [
        (
            words(one.kind),
            key(one.key or "everything"),
            Cell(text(f"{one.why} (rule {one.rule})" if one.rule else one.why), "why"),
            said(one.expected if one.expected is not None else ""),
            said(one.found if one.found is not None else ""),
            number("" if one.size_bytes is None else size_text(one.size_bytes)),
        )
        for one in group
    ]
    some = "" if len(group) == total else f", {len(group):,} shown"
    return (
        f'<details open><summary><span class="tag {severity.lower()}">{severity}</span> '
        f"{total:,}{some}</summary>"
        f"{table(f'{severity} findings', head, rows, (5,))}</details>"
    )


def _notes(report: ReconcileReport) -> str:
    notes = notes_of(report)
    if not notes:
        return ""
    items = "".join(f"<li>{text(note)}</li>" for note in notes)
    return f"<h2>Notes</h2><ul>{items}</ul>"


def _footer(report: ReconcileReport) -> str:
    took = age_text(report.finished_at - report.started_at)
    return (
        f"<footer><p>Made by stocktake, {text(time_text(report.finished_at))}; took {text(took)}. "
        "This page loads nothing and runs nothing.</p></footer>"
    )
