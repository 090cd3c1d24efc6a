"""Work of `reconcile`: the configuration, one run or many, and the answer in every form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stocktake.cli._output import portable
from stocktake.cli._receipt import Prices, Receipt, dollars_text
from stocktake.cli._reconcile_config import config_of
from stocktake.cli._run import Run
from stocktake.cli._text import duration_text, parse_duration, plural
from stocktake.cli._whole_file import check_writable, write_whole
from stocktake.clock import format_utc
from stocktake.errors import InvalidSettingError, StocktakeError
from stocktake.reconcile import (
    Desk,
    ReconcileConfig,
    ReconcileReport,
    ScanMode,
    reconcile,
    render_html,
    report_lines,
    report_to_json,
    tasks_document,
)

_EVERY_MIN_S = 1.0
_WIDTH_DEFAULT = 80
_WIDTH_MIN = 60


@dataclass(frozen=True, slots=True)
class ReconcileRequest:
    """What `reconcile` was asked for, as typed."""

    source: str = ""
    config: Path | None = None
    mode: str | None = None
    fail_on: str | None = None
    every: str | None = None
    places: Mapping[str, str | Path | None] = field(default_factory=dict)
    html: Path | None = None
    tasks: Path | None = None
    findings: Path | None = None


def answer(run: Run, request: ReconcileRequest) -> int:
    """Answer `reconcile`, once or until stopped."""
    config = config_of(
        source=request.source,
        file=request.config,
        places=request.places,
        mode=request.mode,
        fail_on=request.fail_on,
    )
    if request.findings is not None:
        config = replace(config, findings_file=request.findings)
    every_s = parse_duration(request.every, "--every").total_seconds() if request.every else None
    if every_s is not None and every_s < _EVERY_MIN_S:
        raise InvalidSettingError(f"--every is `{request.every}`, less than a second")
    for path in (request.html, request.tasks, config.findings_file):
        if path is not None:
            check_writable(path)
    if every_s is None:
        return _answer_once(run, config, request)
    return _answer_again(run, config, request, every_s)


def _answer_again(
    run: Run, config: ReconcileConfig, request: ReconcileRequest, every_s: float
) -> int:
    """A run, then the next when it is due; never ends by itself but for what will not pass."""
    due_s = run.clock.monotonic_s()
    while True:
        once = run.with_options()  # with a meter of its own
        try:
            _answer_once(once, config, request, repeated=True)
        except StocktakeError as error:  # boundary: what may pass is said; the next run comes
            if not error.retryable:
                raise
            run.out.error(error)
        finally:
            once.close()
        run.out.flush()
        now_s = run.clock.monotonic_s()
        due_s += every_s * max(1, -(-(now_s - due_s) // every_s))
        run.out.note(f"next run in {duration_text(due_s - now_s)}")
        run.clock.sleep(max(0.0, due_s - now_s))


def _answer_once(
    run: Run, config: ReconcileConfig, request: ReconcileRequest, *, repeated: bool = False
) -> int:
    started_s = run.clock.monotonic_s()
    report = run_reconcile(run, config)
    receipt = Receipt.of(
        "reconcile",
        run.meter,
        run.clock.monotonic_s() - started_s,
        report.have.objects,
        from_report=report.mode is ScanMode.AWS_INVENTORY,
    ).to_dict(Prices.load())
    _write_files(run, report, request)
    if run.out.json:
        document = {
            **report_to_json(report),
            "html": str(request.html) if request.html else None,
            "tasks": str(request.tasks) if request.tasks else None,
            "receipt": receipt,
        }
        if repeated:
            run.out.line(json.dumps(portable(document)))
        else:
            run.out.document(document)
    else:
        _show(run, report, request, receipt, repeated=repeated)
    return report.exit_code


def run_reconcile(run: Run, config: ReconcileConfig) -> ReconcileReport:
    """One reconciliation with the settings of a run."""
    with run.open_catalog(create=True) as catalog, run.watch() as watched:
        desk = Desk(
            store=run.open_store(),
            catalog=catalog,
            clock=run.clock,
            meter=run.meter,
            progress=watched,
            open_store=lambda url: run.with_options(endpoint_url=url).open_store(),
        )
        return reconcile(config, desk)


def _write_files(run: Run, report: ReconcileReport, request: ReconcileRequest) -> None:
    if request.html is not None:
        write_whole(request.html, render_html(report).encode())
    if request.tasks is not None:
        document = tasks_document(report, endpoint_url=run.settings.endpoint_url)
        write_whole(request.tasks, (json.dumps(portable(document), indent=2) + "\n").encode())


def _show(
    run: Run,
    report: ReconcileReport,
    request: ReconcileRequest,
    receipt: Mapping[str, Any],
    *,
    repeated: bool,
) -> None:
    out = run.out
    if report.fell_back:
        out.warn("this is a sample, not what was asked for: see below")
    if repeated:
        out.line(format_utc(report.started_at))
    for line in report_lines(report, max(_WIDTH_MIN, out.width or _WIDTH_DEFAULT)):
        out.line(line)
    for path, what in ((request.html, "report"), (request.tasks, "tasks")):
        if path is not None:
            out.note(f"{what}: {path}")
    calls = sum(receipt["calls"].values())
    cost = dollars_text(receipt["cost"]["total_usd"])
    took = duration_text(receipt["elapsed_s"])
    out.note(f"{plural(calls, 'request')}, {took}, about {cost}")
    if report.findings_total and request.tasks is None:
        out.note("--tasks FILE writes what to do about each; --html FILE a report with charts")
