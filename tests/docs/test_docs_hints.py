"""What messages, hints and examples in the code tell people to type exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docs_reference
from stocktake import errors
from stocktake.cli._main import _root

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "stocktake"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]\b")  # `--x-s3` ends names of buckets
COMMAND = re.compile(r"(?<!install )(?<!upgrade )\bstocktake ([a-z]+)")
AWS_OPTIONS = {
    "--inventory-configuration",
    "--key-id",
    "--object-lock-configuration",
    "--output",
    "--ownership-controls",
    "--policy",
    "--policy-name",
    "--query",
    "--request-payment-configuration",
    "--storage-class",
}
OTHERS_OPTIONS = {"--upgrade", "--long", *AWS_OPTIONS}
"""Options of other programs that messages name: pip, zstd, aws."""
FAKES = "testing"
"""The room whose modules are programs of their own, with their own options."""


def leaves() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its words."""
    root = _root()
    context = root.make_context("stocktake", [], resilient_parsing=True)
    for words in docs_reference.commands():
        command = root.get_command(context, words[0])
        yield words, command if len(words) == 1 else command.commands[words[1]]


def known_options() -> set[str]:
    found: set[str] = set()
    for _words, command in leaves():
        for parameter in command.params:
            found |= {*parameter.opts, *parameter.secondary_opts}
    return found | {"--help", "--version"}


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """String literals of a module with their lines; docstrings are not among them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in docstrings:
            continue
        if isinstance(node.value, str):
            yield node.lineno, node.value


def modules() -> list[Path]:
    found = sorted(PACKAGE.rglob("*.py"))
    return [path for path in found if path.relative_to(PACKAGE).parts[0] != FAKES]


def test_options_named_in_messages_exist() -> None:
    known = known_options() | OTHERS_OPTIONS
    unknown = [
        f"{path.relative_to(PACKAGE)}:{line}: {option}"
        for path in modules()
        for line, text in texts(path)
        for option in OPTION.findall(text)
        if option not in known
    ]
    assert unknown == []


def test_commands_named_in_default_hints_exist() -> None:
    commands = {words[0] for words in docs_reference.commands()}
    hints = [
        one.default_hint or ""
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.StocktakeError)
    ]
    named = {word for hint in hints for word in COMMAND.findall(hint)}
    assert named - _VERBS <= commands


_VERBS = {"has", "asks", "the"}
"""What follows the name where a hint speaks about stocktake itself."""


def test_extras_named_in_hints_exist() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = set(re.findall(r"^(\w+) = \[", pyproject.partition("optional-dep")[2], re.MULTILINE))
    named = {
        extra
        for path in PACKAGE.rglob("*.py")
        for extra in re.findall(r"stocktake\[(\w+)\]", path.read_text(encoding="utf-8"))
    }
    assert named <= extras


def test_examples_of_every_command_are_understood() -> None:
    for words, command in leaves():
        if hasattr(command, "commands"):
            continue
        assert command.examples, words
        for example in command.examples:
            typed = docs_reference.documented_commands(f"```sh\n{example}\n```\n")[0]
            assert typed[0] == words[0], example
            # a group's default command is shown by the group's name alone
            rest = typed[len(words) :] if tuple(typed[: len(words)]) == words else typed[1:]
            command.make_context(" ".join(words), rest)
