"""Options of `stocktake ship`: one per setting, most of them hidden from the help.

The table stands here and not in `ship`, because the help must not wait for its imports; a test
holds the two together. Endpoint, region and identity are options of every command.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

SHOWN = {
    "prefix": "",
    "workers": "Worker processes.",
    "uploads": "Requests in flight per worker.",
    "dataset": "Name of the upload manifest in the bucket.",
    "state_folder": "Where the ledger lies.",
    "error_folder": "Where failed files are moved.",
    "settle_s": "How long a file must be unchanged (2s, 1m).",
    "done_marker": "Ship `a.csv` when `a.csv` + this is there (.done).",
    "attempts_max": "Tries of a file whose failure may pass.",
    "on_collision": "fail, or suffix: `a.csv` is `a.csv.parquet`.",
    "archive_root": "stem: members below the archive's name; flat: beside it.",
    "types": "auto, or strings: no types are found for CSV.",
    "log_level": "debug, info, warning or error.",
    "log_format": "human or json.",
}
"""Settings that the help shows, with a short text."""

HIDDEN = (
    "folder",
    "bucket",
    "connect_timeout_s",
    "read_timeout_s",
    "worker_memory_bytes",
    "retry_cap_s",
    "stop_grace_s",
    "manifest_interval_s",
    "settle_unknown_s",
    "scan_interval_s",
    "incomplete_grace_s",
    "small_max_bytes",
    "part_bytes_min",
    "file_bytes_max",
    "archive_members_max",
    "archive_bytes_max",
    "archive_ratio_max",
    "archive_ratio_free_bytes",
    "archive_depth_max",
    "archive_nested_memory_bytes",
    "archive_decoder_memory_bytes",
    "archive_duration_max_s",
    "schema",
    "compression",
    "delimiter",
    "fallback_encoding",
    "bad_rows_max",
    "records_path",
    "row_group_rows",
    "row_group_bytes",
    "field_bytes_max",
    "columns_max",
    "depth_max",
)
"""Settings with an option that the help does not show; the reference page has them."""

FLAGS = {
    "checksum": "Read shipped files again to find hidden changes.",
    "convert_tables": "Data files become Parquet (default), or not.",
    "follow_links": "Follow symbolic links inside the folder.",
    "header": "The first line of CSV is data.",
}
"""Settings that are yes or no."""

COMMON = ("endpoint_url", "region", "profile", "role_arn")
"""Settings that are options of every command."""

_PANEL = "Shipping options"


def with_ship_options(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Give a command FOLDER, TARGET and an option per setting, as one dict `options`."""
    own = list(inspect.signature(function, eval_str=True).parameters.values())
    rest = [parameter for parameter in own[1:] if parameter.name != "options"]
    added = _parameters()

    def command(run: Any, **values: Any) -> int | None:
        options = {name: values.pop(name) for name in added}
        options["folder"] = options.pop("folder_argument") or options["folder"]
        options["bucket"] = options.pop("target") or options["bucket"]
        return function(run, options=options, **values)

    parameters = [own[0], *added.values(), *rest]
    command.__doc__ = function.__doc__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _parameters() -> dict[str, inspect.Parameter]:
    annotations: dict[str, Any] = {
        "folder_argument": _argument("FOLDER", "The folder to ship, if .env does not say it."),
        "target": _argument("TARGET", "Where to: s3://bucket/prefix, if .env does not say it."),
        "env_file": _option("env_file", "Read settings from this file, not from .env."),
    }
    annotations |= {name: _option(name, text) for name, text in SHOWN.items() if text}
    annotations |= {name: _option(name, "", hidden=True) for name in HIDDEN}
    annotations["prefix"] = _option("prefix", "", hidden=True)
    annotations |= {name: _flag(name, text) for name, text in FLAGS.items()}
    return {
        name: inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
        )
        for name, annotation in annotations.items()
    }


def _argument(metavar: str, text: str) -> Any:
    return Annotated[str | None, typer.Argument(metavar=metavar, help=text, show_default=False)]


def _option(name: str, text: str, *, hidden: bool = False) -> Any:
    return Annotated[
        str | None,
        typer.Option(
            "--" + name.replace("_", "-"),
            metavar="VALUE",
            help=text,
            hidden=hidden,
            rich_help_panel=_PANEL,
        ),
    ]


def _flag(name: str, text: str) -> Any:
    dashed = name.replace("_", "-")
    against = f"no-{dashed}"
    shown = f"--{dashed}/--{against}"
    return Annotated[
        bool | None,
        typer.Option(shown, help=text, hidden=name == "header", rich_help_panel=_PANEL),
    ]
