"""Declaring a command: its own parameters, plus the ones that every command has.

    app = new_app("What this group is about.")

    @command(app, "ls", exits=(0, 1, 2), examples=("stocktake ls photos/",))
    def ls(run: Run, target: Annotated[str, typer.Argument()] = "") -> None: ...

The function gets a `Run` (settings, output, clock, meter) first. Common options may stand before or
after the command's name; the later one wins.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any

import typer

from stocktake.cli._help import DescribedCommand, DescribedGroup
from stocktake.cli._run import Run
from stocktake.errors import UsageError

_COMMON = "Common options"
_STORE = "Object store options"

COMMON_OPTIONS: dict[str, Any] = {
    "catalog": Annotated[
        str | None,
        typer.Option(
            "--catalog",
            metavar="PLACE",
            help="Directory or s3:// address of the catalog.",
            rich_help_panel=_COMMON,
        ),
    ],
    "json": Annotated[
        bool | None,
        typer.Option("--json", help="Answer with one JSON document.", rich_help_panel=_COMMON),
    ],
    "state_url": Annotated[
        str | None,
        typer.Option(
            "--state-url",
            metavar="URL",
            help="Control database, if not in the catalog.",
            rich_help_panel=_COMMON,
        ),
    ],
    "quiet": Annotated[
        bool | None,
        typer.Option(
            "--quiet", "-q", help="No progress, no notes, no footer.", rich_help_panel=_COMMON
        ),
    ],
    "verbose": Annotated[
        bool | None,
        typer.Option(
            "--verbose", "-v", help="Log details; tracebacks of errors.", rich_help_panel=_COMMON
        ),
    ],
    "no_color": Annotated[
        bool | None,
        typer.Option("--no-color", help="Plain text; so does NO_COLOR.", rich_help_panel=_COMMON),
    ],
    "endpoint_url": Annotated[
        str | None,
        typer.Option(
            "--endpoint-url", metavar="URL", help="Another S3 than AWS.", rich_help_panel=_STORE
        ),
    ],
    "profile": Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="AWS profile to use.", rich_help_panel=_STORE
        ),
    ],
    "region": Annotated[
        str | None,
        typer.Option(
            "--region", metavar="NAME", help="Region to start in.", rich_help_panel=_STORE
        ),
    ],
    "role_arn": Annotated[
        str | None,
        typer.Option("--role-arn", metavar="ARN", help="Role to assume.", rich_help_panel=_STORE),
    ],
    "anonymous": Annotated[
        bool | None,
        typer.Option("--anonymous", help="Sign nothing: public buckets.", rich_help_panel=_STORE),
    ],
    "requester_pays": Annotated[
        bool | None,
        typer.Option("--requester-pays", help="Agree to pay for requests.", rich_help_panel=_STORE),
    ],
}
"""Options of every command, by setting or output switch; None is "not given"."""


def new_app(help_text: str) -> typer.Typer:
    """An empty command group in the house style."""
    return typer.Typer(
        help=help_text,
        cls=DescribedGroup,
        no_args_is_help=False,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def command(
    app: typer.Typer, name: str, *, exits: tuple[int, ...] = (0, 1, 2), examples: tuple[str, ...]
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Register a function as a command; what it returns is the exit code, None is 0."""

    def register(function: Callable[..., int | None]) -> Callable[..., int | None]:
        described = type(
            "Command", (DescribedCommand,), {"exits": (*exits, 130), "examples": examples}
        )
        app.command(name, cls=described)(_with_common(function))
        return function

    return register


def callback(app: typer.Typer, function: Callable[..., int | None] | None = None) -> None:
    """Give a group the common options, and `function` to run when no subcommand is named."""
    default = _no_subcommand if function is None else function
    app.callback(invoke_without_command=True, help=app.info.help)(_with_common(default, group=True))


def _no_subcommand(run: Run) -> None:
    raise UsageError("no command given", hint="--help lists the commands")


def _with_common(
    function: Callable[..., int | None], *, group: bool = False
) -> Callable[..., int | None]:
    signature = inspect.signature(function)
    hints = typing.get_type_hints(function, include_extras=True)
    own = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in list(signature.parameters.values())[1:]
    ]

    def invoke(ctx: typer.Context, **values: Any) -> int | None:
        given = dict(ctx.obj or {})
        given |= {name: v for name in COMMON_OPTIONS if (v := values.pop(name)) is not None}
        ctx.obj = given
        if group and ctx.invoked_subcommand is not None:
            return None
        run = Run.of(given)
        try:
            return function(run, **values)
        finally:
            run.close()

    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in COMMON_OPTIONS.items()
    ]
    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    keyword_own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    parameters = [context, *keyword_own, *shared]
    invoke.__doc__ = function.__doc__
    invoke.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    invoke.__annotations__ = {p.name: p.annotation for p in parameters}
    return invoke
