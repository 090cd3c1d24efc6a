"""REC-3: what the pages about reconciling show is read as they say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import reconcile_samples as samples
from stocktake.reconcile import (
    CONFIG_SECTIONS,
    ScanMode,
    parse_config,
    report_to_json,
    tasks_document,
)

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(yaml|toml|json)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def configurations() -> list[tuple[str, str, str]]:
    pages = [DOCS / "reference/reconcile-config.md", *DOCS.glob("how-to/reconcile*.md")]
    return [(page.name, *block) for page in pages for block in blocks(page)]


@pytest.mark.parametrize(("page", "language", "text"), configurations())
def test_every_configuration_that_a_page_shows_is_one(page, language, text):
    parse_config(text.encode(), f"reconcile.{language}", Path("/etc"))


def test_the_example_means_what_it_says():
    (language, text), *_ = blocks(DOCS / "reference/reconcile-config.md")
    config = parse_config(text.encode(), f"reconcile.{language}", Path("/etc"))
    assert config.have.mode is ScanMode.AWS_INVENTORY
    assert config.have.fallback_to_sample
    assert config.should.place == "/etc/styles"
    assert [rule.name for rule in config.should.rules] == ["16/", "nothing but tables"]


def test_the_reference_has_every_name():
    page = (DOCS / "reference/reconcile-config.md").read_text(encoding="utf-8")
    for _, _, keys in CONFIG_SECTIONS:
        for key in keys:
            assert f"| `{key.name}` |" in page


def test_the_format_page_describes_every_member():
    page = (DOCS / "formats/reconcile-report.md").read_text(encoding="utf-8")
    report = samples.everything_wrong()
    members = {*report_to_json(report), *report_to_json(report)["findings"][0]}
    document = tasks_document(report)
    members |= {*document, *document["tasks"][0]}
    missing = {name for name in members if f"`{name}`" not in page and f'"{name}"' not in page}
    assert missing == set()


def test_the_task_that_the_format_page_shows_has_the_members_of_one():
    (_, _), (_, text) = blocks(DOCS / "formats/reconcile-report.md")
    shown = json.loads(text)
    real = tasks_document(samples.everything_wrong())
    assert list(shown) == list(real)
    assert list(shown["tasks"][0]) == list(real["tasks"][0])
