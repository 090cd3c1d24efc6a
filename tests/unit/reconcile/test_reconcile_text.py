"""REC-1, REC-2: the report on a terminal: never wider than it, never better than what is known."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reconcile_samples as samples
from stocktake.model import display_key
from stocktake.reconcile import Finding, FindingKind, ReconcileReport, Severity, report_lines
from stocktake.reconcile._text import _cells

REPORTS = ("report", "everything_wrong", "rules_sampled", "sampled", "hostile")


def text(report: ReconcileReport, width: int = 80) -> str:
    return "\n".join(report_lines(report, width))


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("name", REPORTS)
def test_no_line_is_wider_than_the_terminal(name, width):
    for line in report_lines(getattr(samples, name)(), width):
        assert _cells(line) <= width
        assert display_key(line) == line


def test_a_clean_comparison_says_so_with_both_sides_and_their_age():
    """REC-1"""
    said = text(samples.report())
    assert "Everything is as it should be." in said
    assert "a full listing" in said
    assert "2026-11-21 16:50  live" in said
    assert "10,003 expected" in said
    assert "9,990 identical, proven by a checksum" in said


def test_findings_are_grouped_the_worst_first_and_the_rest_is_counted():
    """REC-2"""
    said = text(samples.everything_wrong())
    assert said.index("CRITICAL checksum-mismatch") < said.index("HIGH missing")
    assert "HIGH missing: it is missing" in said
    assert "  and 36 more" in said
    assert "  2025/img_0000.jpg  1.2 KiB" in said
    assert "60 %   1,000    600" in said
    assert "violated  daily  objects      at least 1,000  600" in said
    assert "- 4 names were left out" in said


def test_findings_with_different_reasons_have_each_its_own():
    findings = [
        samples.finding(FindingKind.SIZE_MISMATCH, f"k{n}", why=f"it has {n} bytes")
        for n in range(3)
    ]
    lines = list(report_lines(samples.report(findings)))
    assert "HIGH size-mismatch" in lines
    assert lines[lines.index("  k1  1.2 KiB") + 1] == "    it has 1 bytes"


def test_findings_beyond_the_report_are_counted_and_the_file_is_named(tmp_path):
    made = samples.report(
        [samples.finding(FindingKind.MISSING, "k")],
        findings_total=1_001,
        by_severity={Severity.HIGH: 1_001},
        findings_file=tmp_path / "all.jsonl",
    )
    said = text(made, 200)
    assert "1,000 more findings are not in the report" in said
    assert f"all findings: {tmp_path / 'all.jsonl'}" in said


def test_a_fallback_to_a_sample_is_said_loudly():
    """REC-1"""
    said = text(samples.rules_sampled())
    assert "THIS IS A SAMPLE: the newest report is of 2026-11-01, older than 1 d" in said
    assert "936 LIST calls saved by the sample" in said
    assert "1 rule is undecided." in said


def test_a_sample_says_intervals_and_calls():
    """REC-1"""
    said = text(samples.sampled())
    for part in (
        "in the key ranges that were compared",
        "in all, with 95% confidence",
        "missing    120, from 60 to 220",
        "extra      5, at least 5, with no upper end",
        "coverage   98.8 %, from 97.8 % to 99.4 %",
        "70 LIST calls instead of about 1,000; 64 of 1,000 key ranges compared exactly",
    ):
        assert part in said
    figures = samples.sampled().sample
    whole = dataclasses.replace(
        samples.sampled(), sample=dataclasses.replace(figures, cells=64, cells_compared=64)
    )
    assert "the sample took all of it" in text(whole)


def test_an_incomplete_side_is_never_clean():
    """REC-1"""
    made = samples.report(interrupted=True)
    assert "not everything could be looked at" in text(made)


@given(st.text(), st.text(), st.integers(60, 120))
def test_any_key_and_reason_fit_and_act_on_nothing(key, why, width):
    one = Finding(FindingKind.EXTRA, Severity.LOW, key, why, have_key=key, size_bytes=1)
    two = Finding(FindingKind.EXTRA, Severity.LOW, key + "x", "other", have_key=key, size_bytes=1)
    for line in report_lines(samples.report([one, two], notes=(why,)), width):
        assert _cells(line) <= width
        assert display_key(line) == line
