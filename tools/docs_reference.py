"""Write `docs/reference/cli.md` from the commands' own help; find the commands that docs show.

python tools/docs_reference.py            write the page
python tools/docs_reference.py --check    exit 1 if the page is not what would be written
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stocktake.cli._main import _root, run_command
from stocktake.cli._output import Output
from stocktake.settings import SETTINGS

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
"""Where the generated pages are."""

_SETTINGS_OPENING = """# Settings

This page is written by `make docs` from `stocktake.settings`; edit the settings, not the page.

A setting is taken from the first place that has it:

1. the command's option: `--endpoint-url` for `endpoint_url`, where the command has one;
2. the environment variable;
3. `stocktake.toml` in the current directory;
4. `config.toml` in the folder `stocktake` below `XDG_CONFIG_HOME` (`~/.config` if that is not set);
5. the default.

A configuration file is TOML with the names below as keys:

```toml
catalog = "catalog"
endpoint_url = "https://s3.example.com"
workers = 2
```

A key that is no setting, or a variable that is nearly one, is an error and not ignored.
"""
_KINDS = {str: "text", bool: "true or false", int: "whole number", float: "number"}

_COMMANDS_OPENING = """# Commands

This page is written by `make docs` from the commands' own help; edit the help, not the page.

Every command takes the common options and the object store options, before or after its name; they
are shown once, with the overview. Data goes to standard output,
progress and errors to standard error. With `--json` the answer is one JSON document; new fields may
appear in it, so ignore what you do not know. `NO_COLOR` and `--no-color` give plain text.
"""
_BLOCK = re.compile(r"^( *)```(?:console|sh|bash)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_COMMON = re.compile(r"^(?:Common|Object store) options:\n(?:  .*\n)+\n", re.MULTILINE)
_INLINE = re.compile(r"`(stocktake [^`\n]+)`")


def commands() -> Iterator[tuple[str, ...]]:
    """Every command and subcommand, as words after `stocktake`, in the order of the overview."""
    root = _root()
    context: Any = root.make_context("stocktake", [], resilient_parsing=True)
    for name in root.list_commands(context):
        yield (name,)
        command = root.get_command(context, name)
        for subcommand in getattr(command, "commands", {}):
            yield (name, subcommand)


def help_text(words: tuple[str, ...]) -> str:
    """What `stocktake <words> --help` prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        run_command([*words, "--help"], Output())
    return printed.getvalue().rstrip()


def pages() -> dict[Path, str]:
    """Every generated page and its text."""
    return {REFERENCE / "cli.md": commands_page(), REFERENCE / "settings.md": settings_page()}


def settings_page() -> str:
    """The reference of settings."""
    pieces = [_SETTINGS_OPENING]
    for setting in SETTINGS:
        facts = [f"Type: {_KINDS[setting.kind]}.", f"Variable: `{setting.env}`."]
        if setting.default is not None:
            facts.append(f"Default: `{_shown(setting.default)}`.")
        if setting.minimum is not None:
            facts.append(f"Smallest value: `{setting.minimum:g}`.")
        pieces += [f"## `{setting.name}`", "", setting.help, "", " ".join(facts), ""]
    return "\n".join(pieces).rstrip() + "\n"


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


def commands_page() -> str:
    """The reference of commands."""
    pieces = [_COMMANDS_OPENING, "```text", help_text(()), "```", ""]
    for words in commands():
        heading = "##" if len(words) == 1 else "###"
        pieces += [f"{heading} `{' '.join(('stocktake', *words))}`", ""]
        pieces += ["```text", _COMMON.sub("", help_text(words)), "```", ""]
    return "\n".join(pieces).rstrip() + "\n"


def documented_commands(text: str) -> list[list[str]]:
    """The words of every `stocktake ...` command line in a page, without the program's name.

    Taken from shell blocks (with or without a `$` prompt; a backslash goes on in the next line) and
    from inline code. What has `...` in it is a form, not a command line, and is left out.
    """
    lines: list[str] = _INLINE.findall(_BLOCK.sub("", text))
    for block in _BLOCK.findall(text):
        joined = block[1].replace("\\\n", " ")
        lines += [line.strip().removeprefix("$ ") for line in joined.splitlines()]
    wanted = [line for line in lines if line.startswith("stocktake ") and "..." not in line]
    return [_words(line) for line in wanted]


def _words(line: str) -> list[str]:
    """The command's own words: up to a pipe or a redirection, without the program's name."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|<>;&")
    lexer.whitespace_split = True
    return list(itertools.takewhile(lambda word: not set(word) & set("|<>;&"), lexer))[1:]


def main(arguments: list[str]) -> int:
    """Write or check the pages; returns the exit code."""
    stale = [
        path
        for path, text in pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        print(f"{'stale' if arguments == ['--check'] else 'written'}: {path.name}")
        if arguments != ["--check"]:
            path.write_text(pages()[path], encoding="utf-8")
    return 1 if stale and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
