"""Every error code has its section in the error reference, and no section is about nothing."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from stocktake import errors

PAGE = "docs/reference/errors.md"


def classes() -> list[type[errors.StocktakeError]]:
    return [
        one
        for one in vars(errors).values()
        if inspect.isclass(one) and issubclass(one, errors.StocktakeError)
    ]


def sections(root: Path) -> dict[str, str]:
    """Text below each `### code` heading."""
    text = (root / PAGE).read_text(encoding="utf-8")
    pieces = re.split(r"^### `([a-z0-9-]+)`\s*$", text, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def test_codes_and_headings_are_the_same_list(root: Path) -> None:
    assert sorted(sections(root)) == sorted(one.code for one in classes())


def test_no_two_errors_share_a_code() -> None:
    codes = [one.code for one in classes()]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("error", classes(), ids=lambda one: one.code)
def test_section_says_cause_and_remedy(error: type[errors.StocktakeError], root: Path) -> None:
    section = sections(root)[error.code]
    assert "**Cause.**" in section
    assert "**What to do.**" in section
    assert f"Exit code {error.exit_code}" in section
    assert ("**Retryable.**" in section) is error.default_retryable


def test_tree_at_the_top_of_the_module_names_every_error() -> None:
    tree = errors.__doc__ or ""
    drawn = {line.split("── ")[1].split()[0] for line in tree.splitlines() if "── " in line}
    assert drawn | {"StocktakeError"} == {one.__name__ for one in classes()}


@pytest.mark.parametrize("error", classes(), ids=lambda one: one.__name__)
def test_default_hint_is_one_line_without_period(error: type[errors.StocktakeError]) -> None:
    hint = error.default_hint
    assert hint is None or ("\n" not in hint and not hint.endswith("."))
