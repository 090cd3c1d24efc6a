"""Fixtures say where they come from, change fragments and decisions have their form."""

from __future__ import annotations

import re
from pathlib import Path

DECISION_LINES_MAX = 60
DECISION_SECTIONS = [
    "Context",
    "Options",
    "Decision",
    "Consequences",
    "What would change our mind",
]


def test_every_group_of_fixtures_has_its_source_and_licence(root: Path) -> None:
    fixtures = root / "tests" / "fixtures"
    sources = (fixtures / "SOURCES.md").read_text(encoding="utf-8")
    groups = [path for path in fixtures.glob("*/*") if path.is_dir()]
    assert [group.name for group in groups if group.name not in sources] == []


def test_change_fragments_are_named_and_worded_for_users(root: Path) -> None:
    for fragment in sorted((root / "changes").glob("*")):
        if fragment.name == "README.md":
            continue
        assert re.fullmatch(r"[a-z0-9-]+\.(feature|fix|break)\.md", fragment.name), fragment.name
        text = fragment.read_text(encoding="utf-8")
        assert text.strip(), fragment.name
        assert "src/" not in text, fragment.name


def test_decisions_are_short_numbered_and_complete(root: Path) -> None:
    records = sorted((root / "docs" / "decisions").glob("[0-9]*.md"))
    index = (root / "docs" / "decisions" / "index.md").read_text(encoding="utf-8")
    assert [int(path.name[:4]) for path in records] == list(range(len(records)))
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= DECISION_LINES_MAX, record.name
        assert text.startswith(f"# {record.name[:4]} "), record.name
        assert "Status: " in text, record.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == DECISION_SECTIONS, record.name
        assert record.name in index, record.name
