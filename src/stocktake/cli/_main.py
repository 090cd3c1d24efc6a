"""From arguments to exit code: the root command, loading on demand, and the error boundary."""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
import typer.main

from stocktake import __version__
from stocktake.cli._commands import BY_NAME, COMMANDS
from stocktake.cli._declare import callback, new_app
from stocktake.cli._help import DescribedGroup
from stocktake.cli._interrupt import EXIT_INTERRUPTED, EXIT_TERMINATED, Interrupter
from stocktake.cli._output import Output
from stocktake.cli._run import Run
from stocktake.errors import InterruptedRunError, StocktakeError, UsageError

EXIT_BROKEN_PIPE = 128 + signal.SIGPIPE
_SUGGESTIONS = (
    re.compile(r"\(Possible options: ([^)]*)\)"),
    re.compile(r"Did you mean:? ([^?]*)\?"),
)
_TyperUsageError: Any = typer.BadParameter.__mro__[1]


class LazyGroup(DescribedGroup):
    """The root: lists commands from a table and imports a command's module when it is named."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands, in the order of the overview."""
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load one command; None if there is no such name."""
        entry = BY_NAME.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"stocktake.cli.{entry.module}")
        group = typer.main.get_group(module.app)
        group.name = entry.name
        return group if entry.group else group.commands[entry.name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, with a suggestion for a misspelt one."""
        # typer suggests from what is loaded, and nothing is yet
        self.commands: dict[str, Any] = dict.fromkeys(BY_NAME)
        return super().resolve_command(ctx, args)

    def write_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the overview, by section."""
        for title in dict.fromkeys(entry.section for entry in COMMANDS):
            with formatter.section(title):
                rows = [(e.name.ljust(9), e.help) for e in COMMANDS if e.section == title]
                formatter.write_dl(rows)


def _overview(
    run: Run,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> int:
    if version:
        run.out.line(f"stocktake {__version__}")
    else:
        run_command(["--help"], run.out)
    return 0


def _root() -> Any:
    app = new_app(
        "Know what is in your object storage: import an S3 Inventory report (or write one), then "
        "browse, search, compare and query it.\n\nOptions may stand before or after the command. "
        "STOCKTAKE_... variables and stocktake.toml set defaults."
    )
    app.info.cls = LazyGroup
    callback(app, _overview)
    return typer.main.get_group(app)


def run_command(args: Sequence[str], out: Output) -> int:
    """Run one command line without a boundary; returns its exit code."""
    result = _root().main(
        args=list(args), prog_name="stocktake", standalone_mode=False, obj={"out": out}
    )
    return result if isinstance(result, int) else 0


def run(args: Sequence[str], out: Output | None = None) -> int:
    """Run one command line; failures are worded, whatever they are. Returns the exit code."""
    out = out or Output()
    _peek(args, out)
    try:
        code = run_command(args, out)
        out.stdout.flush()
    except StocktakeError as error:
        out.error(error)
        return error.exit_code
    except _TyperUsageError as error:
        out.error(_worded(error))
        return UsageError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = InterruptedRunError.exit_code
    except SystemExit as stop:  # SIGTERM
        return stop.code if isinstance(stop.code, int) else StocktakeError.exit_code
    except BrokenPipeError:
        return _abandon_stdout(out)
    except Exception as error:  # noqa: BLE001  # boundary: nobody above can word it
        out.error(_unexpected(error))
        return StocktakeError.exit_code
    if code == InterruptedRunError.exit_code:
        out.error(_interrupted())
    return code


def main() -> NoReturn:
    """The console command."""
    # read when Arrow is first loaded: its own allocator keeps, and first touches, 100 MB more here
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    out = Output()
    Interrupter(lambda code: _last_words(out, code)).install()
    code = run(sys.argv[1:], out)
    if code in (EXIT_INTERRUPTED, EXIT_TERMINATED):
        # the interpreter would wait for threads that wait for the network
        out.flush()
        os._exit(code)
    sys.exit(code)


def _last_words(out: Output, code: int) -> None:
    out.restore_terminal()
    if code == EXIT_INTERRUPTED:
        out.error(_interrupted())


def _interrupted() -> InterruptedRunError:
    return InterruptedRunError("interrupted; everything finished is kept")


def _peek(args: Sequence[str], out: Output) -> None:
    """What errors of parsing need to know before there is anything parsed."""
    own = args[: args.index("--")] if "--" in args else args
    out.json = "--json" in own
    out.verbose = "-v" in own or "--verbose" in own
    out.no_color = out.no_color or "--no-color" in own


def _worded(error: Any) -> UsageError:
    """A parsing error in our words: what is wrong, and what to type instead."""
    text = " ".join(error.format_message().split()).replace("'", "`")
    if "Missing command" in text:
        text = "no command given"
    message, suggestion = text, None
    for pattern in _SUGGESTIONS:
        if found := pattern.search(text):
            message, suggestion = text[: found.start()], f"did you mean {found[1]}?"
    if suggestion is None:
        suggestion = f"see {error.ctx.command_path if error.ctx else 'stocktake'} --help"
    message = message.strip(" .")
    return UsageError(message[:1].lower() + message[1:], hint=suggestion)


def _unexpected(error: Exception) -> StocktakeError:
    name = type(error).__name__
    wrapped = StocktakeError(
        f"unexpected {name}: {error}", hint="this is a bug; -v shows where, please report it"
    )
    wrapped.__cause__ = error
    return wrapped


def _abandon_stdout(out: Output) -> int:
    """The reader of stdout has gone (`| head`): end quietly, as other filters do."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    return EXIT_BROKEN_PIPE
