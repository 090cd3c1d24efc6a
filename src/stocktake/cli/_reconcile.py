"""`stocktake reconcile`: what is there against what should be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stocktake.cli._declare import command, new_app
from stocktake.cli._run import Run

app = new_app("Compare what is there with what should be.")

_OUTPUTS = "Outputs"
_WITHOUT = "Without a configuration file"


def _place(flag: str, metavar: str, text: str) -> object:
    return typer.Option(flag, metavar=metavar, help=text, rich_help_panel=_WITHOUT)


def _file(flag: str, text: str) -> object:
    return typer.Option(flag, metavar="FILE", help=text, rich_help_panel=_OUTPUTS)


Source = Annotated[
    str,
    typer.Argument(
        metavar="[SOURCE]", help="Bucket or prefix: s3://bucket/prefix.", show_default=False
    ),
]


@command(
    app,
    "reconcile",
    exits=(0, 1, 2, 3, 4),
    examples=(
        "stocktake reconcile --config reconcile.yaml",
        "stocktake reconcile --config reconcile.yaml --html out.html --tasks t.json",
        "stocktake reconcile s3://photos/2026/ --folder ./photos",
        "stocktake reconcile s3://photos --dataset 16 --mode sample --json",
        "stocktake reconcile --config reconcile.yaml --every 1h",
    ),
)
def reconcile(  # noqa: PLR0913 - one parameter per option
    run: Run,
    source: Source = "",
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="YAML, JSON or TOML configuration."),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode", metavar="MODE", help="full, sample, aws_inventory or catalog instead."
        ),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on", metavar="SEVERITY", help="From here on the exit code is 4; else LOW."
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option("--every", metavar="TIME", help="Again and again until stopped: 15m, 1h."),
    ] = None,
    folder: Annotated[
        Path | None, _place("--folder", "DIR", "A local folder says what should be there.")
    ] = None,
    dataset: Annotated[
        str | None, _place("--dataset", "ID", "The manifest of a dataset says it.")
    ] = None,
    bucket: Annotated[
        str | None, _place("--bucket", "URL", "Another bucket or prefix says it.")
    ] = None,
    snapshot: Annotated[
        str | None, _place("--snapshot", "REF", "A snapshot of the catalog says it.")
    ] = None,
    html: Annotated[Path | None, _file("--html", "A report with charts, as one page.")] = None,
    tasks: Annotated[Path | None, _file("--tasks", "What to do about each finding, JSON.")] = None,
    findings: Annotated[
        Path | None, _file("--findings", "All findings, one JSON object per line.")
    ] = None,
) -> int:
    """Compare what is in a bucket with what should be there, and change neither.

    What is there is known from a full listing, a sample, an inventory report or the catalog; how
    old and how complete that is stands in every answer. What should be there is a folder, the
    manifest of a dataset, another bucket, a snapshot, or rules. The exit code is 4 if there are
    findings, 3 if not everything could be looked at.

    With --every, a run that fails for a reason that may pass is said, and the next one comes when
    it is due; with --json each run is one line.

    JSON: {format, version, started_at, finished_at, source, mode, mode_asked, fell_back, partial,
    exit_code, fail_on, have: {kind, place, as_of, age_s, complete, objects, size_bytes, requests,
    notes}, should, totals, findings_total, findings_shown, findings_file, by_kind, by_severity,
    findings: [{kind, severity, key, why, expected, found, have_key, should_key, size_bytes,
    is_prefix, rule}], not_comparable, coverage: [{prefix, should, found, extra, different,
    percent}], coverage_left_out, sizes, ages_days, rules, sample, calls_saved, notes, html, tasks,
    receipt}.
    """
    from stocktake.cli._reconcile_work import ReconcileRequest, answer

    request = ReconcileRequest(
        source=source,
        config=config,
        mode=mode,
        fail_on=fail_on,
        every=every,
        places={"folder": folder, "dataset": dataset, "bucket": bucket, "snapshot": snapshot},
        html=html,
        tasks=tasks,
        findings=findings,
    )
    return answer(run, request)
