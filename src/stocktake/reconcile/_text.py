"""The report for a terminal: the verdict, both sides and their age, numbers, the worst findings.

A list of lines, none wider than asked for; what is left out is counted.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from stocktake.reconcile._findings import Finding, Severity
from stocktake.reconcile._report import ReconcileReport, RuleCheck
from stocktake.reconcile._said import (
    complete_text,
    freshness_text,
    headline,
    interval_text,
    mode_text,
    notes_of,
    requests_text,
    should_text,
)
from stocktake.reconcile._shown import count_text, percent_text, size_text, time_text, visible
from stocktake.reconcile._side import SideFacts, SideKind

_KEYS_PER_GROUP = 5
_FOLDERS_MAX = 10
_RULES_MAX = 20
_NOTES_MAX = 12
_KEY_MIN = 12


def report_lines(report: ReconcileReport, width: int = 80) -> Iterator[str]:
    """The report as lines of at most `width` columns, without colour."""
    yield from _wrapped(f"{report.have.place} against {should_text(report)}", width)
    yield from _wrapped(headline(report), width, "  ")
    if report.fell_back:
        yield from _wrapped(f"THIS IS A SAMPLE: {report.fell_back}", width, "  ")
    yield ""
    yield from _sides(report, width)
    for part in (_totals, _sample, _coverage, _rules, _findings, _notes):
        lines = list(part(report, width))
        if lines:
            yield ""
            yield from lines


def _sides(report: ReconcileReport, width: int) -> Iterator[str]:
    rows = [
        ["", "FROM", "AS OF", "AGE", "OBJECTS", "COMPLETE", "REQUESTS"],
        _side("is there", mode_text(report), report, report.have),
    ]
    if report.should.kind is not SideKind.RULES:
        rows.append(_side("should be", report.should.kind.value, report, report.should))
    yield from _table(rows, width, flexible=1, right={4})


def _side(name: str, origin: str, report: ReconcileReport, side: SideFacts) -> list[str]:
    as_of = time_text(side.as_of).removesuffix(" UTC") if side.as_of else "-"
    return [
        name,
        origin,
        as_of,
        freshness_text(side, report.started_at),
        count_text(side.objects),
        complete_text(report, side).partition(":")[0],
        requests_text(side),
    ]


def _totals(report: ReconcileReport, width: int) -> Iterator[str]:
    totals = report.totals
    if report.should.kind is SideKind.RULES:
        return
    if report.sample is not None:
        yield "in the key ranges that were compared"
    rows = [
        (totals.should, f"expected ({size_text(totals.should_bytes)})"),
        (totals.identical, "identical, proven by a checksum"),
        (totals.unproven, "of the same size, with checksums that cannot be compared"),
        (totals.missing, f"missing ({size_text(totals.missing_bytes)})"),
        (totals.different, "different"),
        (totals.extra, f"extra ({size_text(totals.extra_bytes)})"),
    ]
    kept = [(count_text(count), said) for count, said in rows if count or said[:8] == "expected"]
    wide = max(len(count) for count, _ in kept)
    for count, said in kept:
        yield _cut(f"  {count:>{wide}} {said}", width)


def _sample(report: ReconcileReport, width: int) -> Iterator[str]:
    one = report.sample
    if one is None:
        if report.calls_saved:
            yield from _wrapped(f"{report.calls_saved:,} LIST calls saved by the sample", width)
        return
    if one.cells_compared == one.cells:
        yield from _wrapped("the sample took all of it: these numbers are exact", width)
        return
    yield f"in all, with {one.confidence:.0%} confidence"
    for name, estimate in (
        ("missing", one.missing),
        ("different", one.different),
        ("extra", one.extra),
    ):
        yield f"  {name:<10} {count_text(estimate.value)}, {interval_text(estimate)}"
    cover = one.coverage_percent
    ends = f"{percent_text(cover.low / 100)} to {percent_text(cover.high / 100)}"
    yield f"  {'coverage':<10} {percent_text(cover.value / 100)}, from {ends}"
    said = (
        f"{one.calls:,} LIST calls instead of about {one.calls_full:,}; {one.cells_compared:,} of "
        f"{one.cells:,} key ranges compared exactly"
    )
    yield from _wrapped(said, width, "  ")


def _coverage(report: ReconcileReport, width: int) -> Iterator[str]:
    known = [one for one in report.coverage if one.should]
    if not known:
        return
    worst = sorted(known, key=lambda one: (one.found / one.should, one.prefix))
    rows = [["COVERAGE", "SHOULD", "FOUND", "EXTRA", "DIFFERENT", "FOLDER"]]
    rows += [
        [
            percent_text(one.found / one.should),
            count_text(one.should),
            count_text(one.found),
            count_text(one.extra),
            count_text(one.different),
            visible(one.prefix) or "(in no folder)",
        ]
        for one in worst[:_FOLDERS_MAX]
    ]
    yield from _table(rows, width, flexible=5, right={0, 1, 2, 3, 4})
    left = len(known) + report.coverage_left_out - len(rows) + 1
    if left > 0:
        yield f"  and {left:,} more {'folder' if left == 1 else 'folders'}, no worse"


def _rules(report: ReconcileReport, width: int) -> Iterator[str]:
    if not report.rules:
        return
    order = {"violated": 0, "undecided": 1, "held": 2}
    ordered = sorted(report.rules, key=lambda one: order[one.verdict])
    rows = [["VERDICT", "RULE", "EXPECTATION", "EXPECTED", "FOUND"]]
    rows += [_rule(one) for one in ordered[:_RULES_MAX]]
    yield from _table(rows, width, flexible=1)
    left = len(ordered) - _RULES_MAX
    if left > 0:
        yield f"  and {left:,} more"


def _rule(one: RuleCheck) -> list[str]:
    cells = (one.rule, one.expectation, one.expected, one.found)
    return [str(one.verdict), *(visible(cell, 40) for cell in cells)]


def _findings(report: ReconcileReport, width: int) -> Iterator[str]:
    groups: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault((finding.severity, str(finding.kind)), []).append(finding)
    shown = 0
    for (severity, kind), group in groups.items():
        reasons = {one.why for one in group}
        title = f"{severity} {kind}"
        if len(reasons) == 1:
            title += f": {visible(group[0].why)}"
        yield from _wrapped(title, width)
        some = group[:_KEYS_PER_GROUP]
        for one in some:
            yield from _finding(one, width, alone=len(reasons) > 1)
        if len(group) > len(some):
            yield f"  and {len(group) - len(some):,} more"
        shown += len(group)
    left = report.findings_total - shown
    if left:
        yield f"{left:,} more findings are not in the report"
    if report.findings_file:
        yield _cut(f"all findings: {visible(str(report.findings_file))}", width)


def _finding(one: Finding, width: int, *, alone: bool) -> Iterator[str]:
    size = "" if one.size_bytes is None or one.is_prefix else f"  {size_text(one.size_bytes)}"
    yield f"  {_cut(visible(one.key) or 'everything', width - 2 - len(size))}{size}"
    if alone:
        yield from _wrapped(visible(one.why), width, "    ")


def _notes(report: ReconcileReport, width: int) -> Iterator[str]:
    notes = notes_of(report)
    for note in notes[:_NOTES_MAX]:
        yield from _wrapped(visible(note), width, "- ")
    if len(notes) > _NOTES_MAX:
        yield f"- and {len(notes) - _NOTES_MAX:,} more notes"


# --- lines ---


def _table(
    rows: Sequence[Sequence[str]], width: int, *, flexible: int, right: Iterable[int] = ()
) -> Iterator[str]:
    widths = [max(map(_cells, column)) for column in zip(*rows, strict=True)]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    if over > 0:
        widths[flexible] = max(_KEY_MIN, widths[flexible] - over)
    places = set(right)
    for row in rows:
        cells = []
        for index, cell in enumerate(row):
            text = _cut(cell, widths[index])
            padding = " " * (widths[index] - _cells(text))
            cells.append(padding + text if index in places else text + padding)
        yield _cut("  ".join(cells).rstrip(), width)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    lines = textwrap.wrap(
        visible(text),
        width,
        initial_indent=indent,
        subsequent_indent=" " * max(2, len(indent)),
        break_on_hyphens=False,
    )
    return [_cut(line, width) for line in lines] or [indent.rstrip()]


def _cells(text: str) -> int:
    """Columns that a text takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_char_cells, text))


def _char_cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _cut(text: str, width: int) -> str:
    """The text with its middle left out so that it fits; the ends say most about a key."""
    if _cells(text) <= width:
        return text
    characters = width
    shorter = visible(text, characters)
    while _cells(shorter) > width and characters > 3:
        characters -= 1
        shorter = visible(text, characters)
    return shorter
