"""Pages hold together: links lead somewhere, commands exist, every setting and page is listed."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

import docs_reference
from stocktake.cli._commands import EXIT_CODES
from stocktake.cli._main import _root
from stocktake.settings import SETTINGS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "changes").glob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def name_of(value: Any) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else " ".join(value)


def anchors(page: Path) -> set[str]:
    """Anchors that headings get, on the built site and on code hosts."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "").lower()).strip()
        found.add(re.sub(r"[\s]+", "-", plain))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        if not other.exists() or (anchor and anchor not in anchors(other)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", [page for page in PAGES if DOCS in page.parents], ids=name_of)
def test_page_is_in_the_navigation(page: Path) -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert re.search(rf"[ :]{re.escape(str(page.relative_to(DOCS)))}$", navigation, re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if DOCS in page.parents], ids=name_of)
def test_page_has_one_title(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


def shown_commands() -> list[list[str]]:
    found = {
        tuple(words)
        for page in PAGES
        for words in docs_reference.documented_commands(page.read_text(encoding="utf-8"))
    }
    return [list(words) for words in sorted(found)]


def parse(words: list[str]) -> None:
    """Parse a command line as the program would, without running it.

    A command named without arguments is a mention: it must exist, its arguments may be absent.
    """
    command: Any = _root()
    context = command.make_context("stocktake", list(words))
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        if not rest:
            return
        name, command, rest = command.resolve_command(context, rest)
        if not rest:
            return
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("words", shown_commands(), ids=name_of)
def test_command_line_in_the_docs_is_understood(words: list[str]) -> None:
    parse([] if words == ["--version"] else [word for word in words if word != "--help"])


def test_docs_show_every_command() -> None:
    shown = {tuple(words) for words in shown_commands()}
    for command in docs_reference.commands():
        assert any(words[: len(command)] == command for words in shown), f"{command} is not shown"


@pytest.mark.parametrize("page", sorted(path.name for path in docs_reference.pages()))
def test_generated_page_is_up_to_date(page: str) -> None:
    path = docs_reference.REFERENCE / page
    wanted = docs_reference.pages()[path]
    assert path.read_text(encoding="utf-8") == wanted, "run `make docs` and commit the page"


def test_every_setting_is_documented() -> None:
    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## `(\w+)`$", page, re.MULTILINE)) == {one.name for one in SETTINGS}
    assert [one.env for one in SETTINGS if f"`{one.env}`" not in page] == []


def test_exit_codes_are_documented() -> None:
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    listed = page.partition("Exit codes are the same")[2].partition("## ")[0]
    assert {int(code) for code in re.findall(r"\b(\d+) [a-z]", listed)} == set(EXIT_CODES)


def test_every_public_module_is_in_the_python_reference() -> None:
    page = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in (ROOT / "src" / "stocktake").glob("*/__init__.py")}
    modules = {path.stem for path in (ROOT / "src" / "stocktake").glob("[a-z]*.py")} - {"faults"}
    named = set(re.findall(r"^::: stocktake\.(\w+)$", page, re.MULTILINE))
    assert named == (rooms | modules) - {"cli"}


def test_readme_names_the_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(r"(?:^|[`$] ?)make ([a-z-]+)", text, re.MULTILINE))
        assert named <= targets, page


def test_make_help_lists_every_target() -> None:
    listing = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for target in ("setup", "demo", "test", "test-all", "lint", "bench", "docs", "lock", "clean"):
        assert re.search(rf"make {target}\s", listing), target


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_commands_are_found_in_blocks_and_inline() -> None:
    text = (
        "Try `stocktake ls photos/` or `stocktake inventory ...`.\n\n"
        "```console\n$ stocktake find \\\n    --name '*.jpg'  # pictures\noutput\n"
        "$ stocktake export --format ncdu | ncdu -f-\n```\n"
    )
    assert docs_reference.documented_commands(text) == [
        ["ls", "photos/"],
        ["find", "--name", "*.jpg"],
        ["export", "--format", "ncdu"],
    ]


def test_a_command_that_does_not_exist_is_noticed() -> None:
    for words in (["lst"], ["inventory", "imprt"], ["ls", "--fast"], ["sql", "a", "b"]):
        with pytest.raises(typer.BadParameter.__mro__[1]):
            parse(words)


def test_published_links_of_the_package_are_files() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (ROOT / project["readme"]).is_file()
    assert all((ROOT / name).is_file() for name in project["license-files"])


def test_python_examples_in_pages_are_valid() -> None:
    for page in PAGES:
        blocks = re.findall(
            r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
        for block in blocks:
            compile(block, f"{page}", "exec")
