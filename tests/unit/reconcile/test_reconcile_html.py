"""REC-2: the HTML report opens offline, runs nothing, says it all, and no key can act in it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reconcile_samples as samples
from stocktake.listing import Estimate
from stocktake.reconcile import Finding, FindingKind, Severity
from stocktake.reconcile._charts import ChartBar, bar_chart
from stocktake.reconcile._html import HTML_FINDINGS_MAX, render_html
from stocktake.reconcile._shown import age_text, percent_text, size_text, visible

VOID = {"meta", "br", "link", "img", "input", "hr"}
ALLOWED = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "main",
    "h1",
    "h2",
    "h3",
    "p",
    "b",
    "br",
    "span",
    "ul",
    "li",
    "div",
    "section",
    "table",
    "caption",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "bdi",
    "details",
    "summary",
    "footer",
    "svg",
    "desc",
    "g",
    "text",
    "rect",
    "line",
}
REPORTS = {
    name: getattr(samples, name)
    for name in ("report", "everything_wrong", "rules_sampled", "sampled", "hostile")
}


class Page(HTMLParser):
    """What a browser would make of it: elements, attributes, text; and whether it is balanced."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def said(html: str) -> str:
    return " ".join(Page(html).text)


@pytest.mark.parametrize("name", REPORTS)
def test_the_page_loads_nothing_and_runs_nothing(name):
    """REC-2"""
    html = render_html(REPORTS[name]())
    page = Page(html)
    assert {tag for tag, _ in page.elements} <= ALLOWED
    for _, attributes in page.elements:
        assert not {a for a in attributes if a.startswith("on")}
        assert not {"src", "href", "style", "action", "data", "srcset"} & set(attributes)
    assert "url(" not in html.partition("</style>")[0]
    assert "@import" not in html
    (policy,) = [m["content"] for m in page.of("meta") if "http-equiv" in m]
    style = re.search("<style>(.*?)</style>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize("name", REPORTS)
def test_charts_are_well_formed_named_and_told_as_text(name):
    """REC-2: read aloud, and read without pictures."""
    html = render_html(REPORTS[name]())
    charts = re.findall("<svg.*?</svg>", html, re.DOTALL)
    assert charts
    ids = re.findall(' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    for chart in charts:
        root = ET.fromstring(chart)
        assert root.get("role") == "img"
        assert set((root.get("aria-labelledby") or "").split()) <= set(ids)
        assert root.find("title").text
        assert root.find("desc").text
        for element in root.iter():
            for attribute in ("width", "x1", "x2"):
                if (element.get(attribute) or "").endswith("%"):
                    assert 0 <= float(element.get(attribute)[:-1]) <= 100


def test_hostile_keys_are_text_everywhere():
    """REC-2: markup, quotes, direction, control characters, surrogates, entities."""
    html = render_html(samples.hostile())
    html.encode("utf-8")
    page = Page(html)
    assert not page.of("script")
    assert not page.of("img")
    assert len(page.of("h1")) == 1
    assert len(page.of("style")) == 1
    for char in "\u202e\x00\x1b\udcff":
        assert char not in html
    text = " ".join(page.text)
    for shown in (
        "<script>alert(1)</script>.jpg",
        "a\\u202egpj.exe",
        "line\\nbreak",
        "&lt;b&gt;",
        "lone\\udcff.bin",
    ):
        assert shown in text


def test_every_kind_every_side_and_every_number_is_on_the_page():
    """REC-2"""
    text = said(render_html(samples.everything_wrong()))
    for part in (
        *(str(kind) for kind in FindingKind),
        *(str(severity) for severity in Severity),
        "50 findings: 1 CRITICAL, 43 HIGH, 4 MEDIUM, 2 LOW.",
        "2026-11-21 16:50 UTC",
        "10 LIST",
        "a full listing",
        "the folder /srv/photos",
        "60 % of 1,000",
        "Objects by size",
        "Objects by age",
        "50 not compared: multipart ETag of unknown part size",
        "4 names were left out",
        "2 files were changed while they were read",
        "violated",
        "too few",
    ):
        assert part in text, part


def test_a_clean_report_says_so_and_no_more():
    text = said(render_html(samples.report()))
    assert "Everything is as it should be." in text
    assert "None." in text


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"interrupted": True}, "Stopped before the end."),
        ({"interrupted": True}, "not everything could be looked at"),
        ({"fell_back": "no report was found"}, "This is a sample."),
        ({"fell_back": "no report was found"}, "no report was found"),
    ],
)
def test_what_is_not_known_is_never_sold_as_clean(changes, wanted):
    """REC-1: freshness and completeness are always shown."""
    text = said(render_html(samples.report(**changes)))
    assert wanted in text
    if "interrupted" in changes:
        assert "Everything is as it should be" not in text


def test_an_incomplete_side_is_not_clean_either():
    made = samples.report()
    partial = dataclasses.replace(made.have, complete=False, notes=("a page could not be read",))
    text = said(render_html(dataclasses.replace(made, have=partial)))
    assert "not everything could be looked at" in text
    assert "no: see the notes" in text
    assert "a page could not be read" in text


def test_a_sample_gives_intervals_calls_and_what_it_cannot_say():
    """REC-1"""
    text = said(render_html(samples.sampled()))
    assert "120, from 60 to 220" in text
    assert "at least 5, with no upper end" in text
    assert "97.8 % to 99.4 %" in text
    assert "70 LIST calls instead of about 1,000" in text
    assert "95% of such intervals hold the truth" in text
    assert "no: a sample" in text
    clean = dataclasses.replace(
        samples.sampled(), findings=(), findings_total=0, by_kind={}, by_severity={}
    )
    assert "Nothing wrong was found in the sample." in said(render_html(clean))


def test_undecided_rules_are_counted_and_named():
    """REC-2"""
    text = said(render_html(samples.rules_sampled()))
    assert "1 rule is undecided." in text
    assert "9 to 21" in text
    assert "the newest report is of 2026-11-01, older than 1 d" in text


def test_ten_thousand_findings_stay_a_page_that_opens_and_says_what_is_left_out(tmp_path):
    findings = [samples.finding(FindingKind.MISSING, f"k{n:05d}") for n in range(10_000)]
    made = samples.report(
        findings,
        findings_total=250_000,
        by_severity={Severity.HIGH: 250_000},
        findings_file=tmp_path / "all.jsonl",
    )
    html = render_html(made)
    assert len(html) < 1_500_000
    assert html.count("<tr>") < HTML_FINDINGS_MAX + 100
    text = said(html)
    assert "248,000 more findings are not shown." in text
    assert "all.jsonl" in text
    assert "250,000 , 2,000 shown" in text or "250,000, 2,000 shown" in text


def test_the_page_is_the_same_each_time():
    assert render_html(samples.everything_wrong()) == render_html(samples.everything_wrong())


@given(st.text(), st.text(), st.text())
def test_no_text_can_become_an_element_or_an_attribute(key, why, note):
    """Property: whatever the texts are, the page has the elements it has with plain ones."""

    def elements(key: str, why: str, note: str) -> list[tuple[str, tuple[str, ...]]]:
        one = Finding(FindingKind.MISSING, Severity.HIGH, key, why, note, note, key, key)
        made = samples.report([one], notes=(note,) if note else ("-",))
        page = Page(render_html(made))
        return [(tag, tuple(attributes)) for tag, attributes in page.elements]

    assert elements(key, why, note) == elements("k", "w", "n")


@given(
    st.lists(
        st.tuples(st.text(), st.floats(0, 1e18), st.floats(0, 1e18), st.floats(0, 1e18)),
        max_size=5,
    )
)
def test_any_values_make_a_chart_inside_its_frame(rows):
    bars = [ChartBar(label, v, f"{v:g}", low=low, high=high) for label, v, low, high in rows]
    root = ET.fromstring(bar_chart("x", "any", bars))
    widths = [e.get("width") for e in root.iter("rect")] + [e.get("x2") for e in root.iter("line")]
    assert all(0 <= float(width[:-1]) <= 100 for width in widths)


def test_an_open_interval_has_no_whisker():
    closed = bar_chart("x", "t", [ChartBar("a", 5, "5", low=1, high=9)])
    open_ended = bar_chart("x", "t", [ChartBar("a", 5, "5", low=1)])
    assert ("whisker" in closed, "whisker" in open_ended) == (True, False)
    assert Estimate(1, 1, float("inf")).is_bounded is False


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (None, "?"),
        (0, "0 %"),
        (1, "100 %"),
        (0.99999, "99.99 %"),
        (0.00001, "< 0.01 %"),
        (0.5, "50 %"),
        (0.9876, "98.76 %"),
        (0.9999, "99.99 %"),
        (0.0001, "0.01 %"),
    ],
)
def test_almost_all_is_never_all(share, shown):
    assert percent_text(share) == shown


def test_sizes_and_ages_read_as_people_say_them():
    seconds = [0, 59, 60, 3_600, 3_660, 86_400, 93_600, 40 * 86_400]
    shown = [age_text(samples.timedelta(seconds=s)) for s in seconds]
    assert shown == ["0 s", "59 s", "1 min", "1 h", "1 h 1 min", "1 d", "1 d 2 h", "40 d"]
    assert [size_text(n) for n in (None, 0, 1023, 1024, 1048575, 1 << 60)] == [
        "?",
        "0 B",
        "1023 B",
        "1.0 KiB",
        "1.0 MiB",
        "1.0 EiB",
    ]
    assert visible("abcdefghij", 5) == "ab…ij"
