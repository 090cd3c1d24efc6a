"""Write the generated pages of `docs/reference/`; find the commands that docs show.

python tools/docs_reference.py            write the pages
python tools/docs_reference.py --check    exit 1 if a page is not what would be written
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stocktake.cli._main import _root, run_command
from stocktake.cli._output import Output
from stocktake.ingest import FIGURES, SINK_SETTINGS, SinkSetting
from stocktake.listing import STRATEGY_SETTINGS, StrategySetting, guarantee_rows
from stocktake.reconcile import CONFIG_SECTIONS, DEFAULT_SEVERITIES, Severity
from stocktake.settings import SETTINGS
from stocktake.ship import SHIP_SETTINGS

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

_SHIP_SETTINGS_OPENING = """# Settings of shipping

This page is written by `make docs` from `stocktake.ship.SHIP_SETTINGS`; edit the settings, not the
page. `stocktake ship check` looks at them, at the machine and at the bucket.

A setting is taken from the first place that has it:

1. the command's option, also for settings that the help does not show;
2. the environment: `STOCKTAKE_SHIP_...`, then the other variables named below;
3. the same variables in the file given by `--env-file`, else in `.env` of the current directory;
4. the table `[ship]` of `stocktake.toml` in the current directory, then that of the user's
   `config.toml`;
5. the default.

```ini
# .env
STOCKTAKE_SHIP_FOLDER=/srv/incoming
STOCKTAKE_SHIP_BUCKET=s3://landing/from-here
AWS_ACCESS_KEY_ID=...
AWS_SECRET_ACCESS_KEY=...
AWS_ENDPOINT_URL=https://s3.example.com
```

Credentials are `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, or a profile;
all of them from the first place that has any, and not in `stocktake.toml`. If there are none they
are looked up the AWS way. They are never shown.

Sizes are written as `64MB` (decimal), `64MiB` or `64M` (binary), or in bytes; durations as `30s`,
`5m`, `1h30m`, `250ms`, or in seconds. A relative folder in a file is relative to that file. A name
that is no setting is an error and not ignored.
"""
_COMMANDS_OPENING = """# Commands

This page is written by `make docs` from the commands' own help; edit the help, not the page.

Every command takes the common options and the object store options, before or after its name; they
are shown once, with the overview. Data goes to standard output,
progress and errors to standard error. With `--json` the answer is one JSON document; new fields may
appear in it, so ignore what you do not know. `NO_COLOR` and `--no-color` give plain text.
"""
_STRATEGIES_OPENING = """# Strategies

This page is written by `make docs` from `stocktake.listing`; the contract tests and the planner use
the same data. [Choose a strategy](../how-to/choose-a-strategy.md) says which one to take,
[How discovery works](../explanation/discovery.md) why.

Requests are LIST requests of one run over a million objects of which one percent is new. *At the
next audit* means: only when a full scan beside the strategy finds it; the scan counts it as missed.

"""
_STRATEGY_SETTINGS_OPENING = """
## Settings

`stocktake ingest create ... --set name=value` sets them. Names that other programs use for the same
are understood too.
"""
_SINKS_OPENING = """# Sinks

This page is written by `make docs` from `stocktake.ingest.SINK_SETTINGS`.
[Ingest new files](../how-to/ingest-new-files.md) says what each sink does and promises.

`stocktake ingest create ... --sink KIND --sink-set name=value` sets them; a name with a dot is a
member: `--sink-set catalog.uri=...`. Paths are kept absolute. Settings are kept as they are given,
so leave secrets to the environment or to the configuration of the sink's own client.
"""
_METRICS_OPENING = """# Metrics

This page is written by `make docs` from `stocktake.ingest.FIGURES`. `stocktake ingest metrics`
prints them in the text format of Prometheus, with `stocktake_` before each name. Rules to begin
with: [Operate an ingestion](../how-to/operate-an-ingestion.md#metrics-and-alerts). Counters are
sums over the runs that the catalog keeps.

"""
_RECONCILE_OPENING = """# Reconcile configuration

This page is written by `make docs` from `stocktake.reconcile.CONFIG_SECTIONS`; edit the names, not
the page. [Reconcile](../how-to/reconcile.md) says how to use them.

`stocktake reconcile --config reconcile.yaml` reads YAML (which needs `pip install
'stocktake[reconcile]'`), JSON or TOML, by the file's ending. All three have the same names:

```yaml
s3:
  bucket: my-bucket
  prefix: styles/
  inventory_bucket: my-reports
  inventory_prefix: inventories
scan_mode: aws_inventory
fallback_to_sample: true
max_age: 26h
expect:
  folder: ./styles
rules:
  - prefix: 16/
    objects: {min: 1000}
    max_age: 1d
    storage_class: [STANDARD, INTELLIGENT_TIERING]
  - name: nothing but tables
    patterns: ["**.parquet", _SUCCESS]
severity:
  missing: CRITICAL
fail_on: MEDIUM
```

Sizes are written as `10MB` (decimal), `1.5GiB` (binary) or in bytes, lengths of time as `90s`,
`15m`, `1h30m`, `2d`, `1w`, shares as `0.05` or `5%`; where texts are asked for, one text will do.
In globs `*` stops at `/` and `**` does not. Paths are relative to the file.

Whatever is wrong is an error that names the file, the line and the name: a name that is not known
(with the one that was probably meant), one that stands twice, a value of the wrong kind (`prefix:
no` is not text in YAML), settings that contradict each other. Tags and merge keys (`<<`) are
refused, and so are files above 1 MiB, 20 levels or 20,000 values after aliases.
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
    return {
        REFERENCE / "cli.md": commands_page(),
        REFERENCE / "settings.md": settings_page(),
        REFERENCE / "ship-settings.md": ship_settings_page(),
        REFERENCE / "strategies.md": strategies_page(),
        REFERENCE / "sinks.md": sinks_page(),
        REFERENCE / "metrics.md": metrics_page(),
        REFERENCE / "reconcile-config.md": reconcile_config_page(),
    }


def strategies_page() -> str:
    """The table of what each strategy promises, and the settings of each."""
    rows = guarantee_rows()
    table = _markdown(list(rows[0]), ([f"`{r['strategy']}`", *list(r.values())[1:]] for r in rows))
    pieces = [_STRATEGIES_OPENING + table, _STRATEGY_SETTINGS_OPENING]
    for name, settings in STRATEGY_SETTINGS.items():
        if settings:
            pieces += [f"### `{name}`", "", _strategy_settings(settings), ""]
    return "\n".join(pieces).rstrip() + "\n"


def _strategy_settings(settings: tuple[StrategySetting, ...]) -> str:
    def row(one: StrategySetting) -> list[str]:
        default = "" if one.default is None else f"`{_shown(one.default)}`"
        also = ", ".join(f"`{alias}`" for alias in one.aliases)
        return [f"`{one.name}`", one.kind.value, default, one.help, also]

    return _markdown(["name", "value", "default", "what it does", "also"], map(row, settings))


def sinks_page() -> str:
    """The settings of every sink."""
    pieces = [_SINKS_OPENING]
    for kind, settings in SINK_SETTINGS.items():
        rows = (_sink_setting(one) for one in settings)
        pieces += [f"## `{kind}`", "", _markdown(["name", "what it is"], rows), ""]
    return "\n".join(pieces).rstrip() + "\n"


def _sink_setting(one: SinkSetting) -> list[str]:
    return [f"`{one.name}`", f"{one.help}{' (required)' if one.required else ''}"]


def metrics_page() -> str:
    """Every figure that can be watched."""
    rows = (
        [f"`{one.name}`", one.kind.value, ", ".join(f"`{n}`" for n in one.labels), one.help]
        for one in FIGURES
    )
    return _METRICS_OPENING + _markdown(["name", "kind", "labels", "what it is"], rows) + "\n"


def reconcile_config_page() -> str:
    """Every name of a reconciliation's configuration, and the default severities."""
    pieces = [_RECONCILE_OPENING]
    for title, sentence, keys in CONFIG_SECTIONS:
        rows = ([f"`{key.name}`", key.kind, key.default, key.help] for key in keys)
        table = _markdown(["name", "value", "default", "what it does"], rows)
        pieces += [f"## {title}", "", sentence, "", table, ""]
    rows = ([f"`{kind}`", str(severity)] for kind, severity in DEFAULT_SEVERITIES.items())
    words = ", ".join(f"`{one}`" for one in Severity)
    pieces += [
        "## `severity`",
        "",
        f"By kind of finding: {words}. Without it, two are worse than the table says: nothing at "
        "all where something is expected is CRITICAL, and an empty object that should hold bytes "
        "is HIGH.",
        "",
        _markdown(["kind", "default"], rows),
        "",
    ]
    return "\n".join(pieces).rstrip() + "\n"


def _markdown(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


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


def ship_settings_page() -> str:
    """The reference of shipping's settings."""
    pieces = [_SHIP_SETTINGS_OPENING]
    for one in SHIP_SETTINGS:
        variables = ", ".join(f"`{variable}`" for variable in one.variables)
        facts = [f"Value: {' or '.join(f'`{c}`' for c in one.choices) or one.form}."]
        facts.append(f"{'Variables' if one.also else 'Variable'}: {variables}.")
        if one.default_text is not None:
            facts.append(f"Default: `{one.default_text}`.")
        for bound, text in (("Smallest", one.minimum_text), ("Largest", one.maximum_text)):
            if text is not None:
                facts.append(f"{bound} value: `{text}`.")
        pieces += [f"## `{one.name}`", "", one.help, "", " ".join(facts), ""]
    return "\n".join(pieces).rstrip() + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else f"{value:.10g}"


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
