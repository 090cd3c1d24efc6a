"""How help reads: plain text, 80 columns, options in groups, exit codes and examples at the end."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import typer.core

from stocktake.cli._commands import EXIT_CODES

WIDTH = 80
_RANGE = re.compile(r"; x>=\d+|\s*\[x>=\d+\]")


def write_help(command: Any, ctx: Any, formatter: Any) -> None:
    """Write a command's help: usage, what it does, arguments, options, exit codes, examples."""
    _write_opening(command, ctx, formatter)
    for title, rows in _parameter_sections(command, ctx):
        with formatter.section(title):
            formatter.write_dl(rows, col_max=26)


def _write_opening(command: Any, ctx: Any, formatter: Any) -> None:
    formatter.width = WIDTH
    command.format_usage(ctx, formatter)
    for paragraph in paragraphs(command.help or ""):
        formatter.write_paragraph()
        # an address or option that is broken at a hyphen cannot be copied
        lines = textwrap.wrap(paragraph, WIDTH, break_on_hyphens=False, break_long_words=False)
        formatter.write("\n".join(lines) + "\n")


def write_ending(formatter: Any, exits: Iterable[int], examples: Sequence[str]) -> None:
    """Write the list of exit codes and the examples."""
    with formatter.section("Exit codes"):
        formatter.write_dl([(str(code), EXIT_CODES[code]) for code in sorted(exits)])
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(" " * formatter.current_indent + example + "\n")


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a docstring, each as one line."""
    blocks = inspect.cleandoc(text).split("\n\n")
    return [" ".join(block.split()) for block in blocks if block.strip()]


def _parameter_sections(command: Any, ctx: Any) -> list[tuple[str, list[tuple[str, str]]]]:
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        default = "Options"
        if parameter.param_type_name == "argument":
            default, record = (
                "Arguments",
                (
                    record[0].partition(" ")[0].strip("{}"),
                    record[1],
                ),
            )
        title = getattr(parameter, "rich_help_panel", None) or default
        record = (record[0], _RANGE.sub("", record[1]))
        if "--help" in parameter.opts:
            title = "Common options"
            record = (record[0], "Show this help.")
        sections.setdefault(title, []).append(record)
    return [(title, rows) for title, rows in sections.items() if rows]


class DescribedCommand(typer.core.TyperCommand):
    """A command whose help ends with its exit codes and examples."""

    exits: tuple[int, ...] = (0, 1, 2)
    examples: tuple[str, ...] = ()

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The parts of the usage line; required arguments stand bare."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of this command."""
        write_help(self, ctx, formatter)
        write_ending(formatter, self.exits, self.examples)


class DescribedGroup(typer.core.TyperGroup):
    """A command with subcommands."""

    examples: tuple[str, ...] = ()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of this group with a line per subcommand."""
        _write_opening(self, ctx, formatter)
        self.write_commands(ctx, formatter)
        for title, rows in _parameter_sections(self, ctx):
            with formatter.section(title):
                formatter.write_dl(rows, col_max=26)
        write_ending(formatter, EXIT_CODES, self.examples)

    def write_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of subcommands."""
        rows = [
            (name, paragraphs(command.help or "")[0].rstrip("."))
            for name, command in self.commands.items()
            if not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
