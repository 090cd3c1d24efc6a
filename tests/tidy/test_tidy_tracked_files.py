"""Nothing in the repository belongs to one machine, one registry or one author's tools.

The words looked for are put together from pieces, so that this file does not contain them.
"""

from __future__ import annotations

import re
from pathlib import Path

LINES_MAX = 500
FIXTURES = ("tests", "fixtures")


def join(*pieces: str) -> str:
    return "".join(pieces)


MACHINE_PATHS = re.compile(
    "|".join(
        [
            join("(?<![\\w.-])/wor", "k/"),
            join("/ro", "ot/"),
            join("/hom", "e/[a-z]+/"),
            join("/Use", "rs/[A-Za-z]+/"),
            join("\\.", "pyenv"),
            join("/op", "t/(wheels|pypi)"),
        ]
    )
)
REGISTRY_HOSTS = re.compile(
    "|".join(
        [
            join("pyp", "i\\.org"),
            join("python", "hosted"),
            join("registry\\.", "npm", "js"),
            join("deb\\.", "debian"),
            join("crates", "\\.io"),
        ]
    ),
    re.IGNORECASE,
)
AUTHORING_TOOLS = re.compile(
    "|".join(
        [
            join("\\bChat", "GPT\\b"),
            join("\\bCla", "ude\\b"),
            join("\\bAnth", "ropic\\b"),
            join("\\bOpen", "AI\\b"),
            join("\\bCop", "ilot\\b"),
            join("\\bL", "LM\\b"),
            join("\\bA", "I (assistant|agent|model)"),
            join("\\blanguage ", "model"),
            join("generated ", "with\\b"),
            join("Co-Auth", "ored-By"),
        ]
    ),
    re.IGNORECASE,
)
PLANNING_PAGES = re.compile(join("(?<!\\w)sha", "red/(facts|spec|design|fixtures|tools|hooks)"))
UNFINISHED = re.compile(
    "|".join(
        [
            join("\\bTO", "DO\\b"),
            join("\\bFIX", "ME\\b"),
            join("\\bX", "XX\\b"),
            join("\\bNotImple", "mentedError"),
            join("pytest\\.", "skip"),
            join("mark\\.", "skip"),
            join("\\bimport", "orskip"),
            join("mark\\.xf", "ail"),
            join("pytest\\.xf", "ail"),
        ]
    )
)


def is_fixture(path: Path) -> bool:
    return any(path.parts[i : i + 2] == FIXTURES for i in range(len(path.parts)))


def text_of(path: Path) -> str | None:
    """The file as text, None for what is not text."""
    raw = path.read_bytes()
    if b"\0" in raw:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def hits(paths: list[Path], pattern: re.Pattern[str], root: Path) -> list[str]:
    found = []
    for path in paths:
        text = text_of(path)
        for number, line in enumerate((text or "").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(root)}:{number}: {line.strip()[:120]}")
    return found


def our_own(tracked: list[Path]) -> list[Path]:
    return [path for path in tracked if not is_fixture(path)]


def test_no_path_of_one_machine(tracked: list[Path], root: Path) -> None:
    assert hits(our_own(tracked), MACHINE_PATHS, root) == []


def test_no_host_of_a_package_registry(tracked: list[Path], root: Path) -> None:
    assert hits(tracked, REGISTRY_HOSTS, root) == []


def test_no_word_about_the_tools_of_an_author(tracked: list[Path], root: Path) -> None:
    assert hits(our_own(tracked), AUTHORING_TOOLS, root) == []


def test_no_page_that_is_not_in_the_repository_is_named(tracked: list[Path], root: Path) -> None:
    assert hits(our_own(tracked), PLANNING_PAGES, root) == []


def test_nothing_is_left_unfinished_or_skipped(tracked: list[Path], root: Path) -> None:
    python = [path for path in tracked if path.suffix == ".py"]
    assert hits(python, UNFINISHED, root) == []


def test_no_source_file_is_longer_than_500_lines(tracked: list[Path], root: Path) -> None:
    sources = [path for path in our_own(tracked) if path.suffix in {".py", ".sh", ".sql", ".toml"}]
    long = {
        str(path.relative_to(root)): lines
        for path in sources
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX
    }
    assert long == {}


def test_no_large_file_is_tracked(tracked: list[Path], root: Path) -> None:
    large = [str(path.relative_to(root)) for path in tracked if path.stat().st_size > 1_000_000]
    assert large == []


def test_no_two_test_files_share_a_name(tracked: list[Path]) -> None:
    names = [path.name for path in tracked if path.name.startswith("test_")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_no_test_imports_a_conftest(tracked: list[Path], root: Path) -> None:
    """There are several modules of that name; which one is found depends on what else is run."""
    tests = [path for path in tracked if path.suffix == ".py" and "tests" in path.parts]
    assert hits(tests, re.compile(r"^\s*(from conftest import|import conftest)"), root) == []


def test_the_patterns_recognise_what_they_are_for() -> None:
    assert MACHINE_PATHS.search(join("see /wor", "k/main/x"))
    assert not MACHINE_PATHS.search(join("docs/wor", "k/x"))
    assert REGISTRY_HOSTS.search(join("https://pyp", "i.org/simple"))
    assert AUTHORING_TOOLS.search(join("Co-Auth", "ored-By: somebody"))
    assert PLANNING_PAGES.search(join("see sha", "red/facts/engine.md"))
    assert UNFINISHED.search(join("# TO", "DO: later"))
    assert not UNFINISHED.search("todos = 1")
    assert not UNFINISHED.search(join("pa.ArrowNotImple", "mentedError"))
