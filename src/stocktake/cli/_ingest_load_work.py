"""Work of `ingest run`: discover, load, say what came of it and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from stocktake.cli._metrics_text import show_metrics
from stocktake.cli._progress import Watched
from stocktake.cli._receipt import Prices, Receipt, show_receipt
from stocktake.cli._run import Run
from stocktake.cli._text import count_text, parse_duration, plural, size_text
from stocktake.errors import UsageError
from stocktake.events import EventQueue
from stocktake.ingest import (
    DiscoveryReport,
    Ingestion,
    IngestionSpec,
    IngestionStatus,
    IngestResult,
    Sink,
    open_ingestion,
    open_sink,
)
from stocktake.listing import StrategyName, parse_settings
from stocktake.store import Store


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `ingest run` was asked for, as typed."""

    name: str
    workers: int = 1
    follow: bool = False
    every: str = "1m"
    command: str | None = None
    discover: bool = True
    audit: bool = False
    full_refresh: bool = False
    accept_deletions: bool = False


def run_ingestion(run: Run, request: RunRequest) -> int:
    """Answer `ingest run`."""
    every = parse_duration(request.every, "--every")
    started_s = run.clock.monotonic_s()
    with run.open_catalog() as catalog:
        store = run.open_store()
        ingestion = open_ingestion(catalog, store, request.name)
        address = _queue_address(ingestion.spec)
        if address is not None:
            queue = EventQueue(address, run.store_options(), clock=run.clock)
            ingestion = open_ingestion(catalog, store, request.name, queue=queue)
        sink = sink_of(run, ingestion.spec, store, request.command)
        try:
            with run.watch() as progress:
                result = _load(ingestion, sink, request, every, progress)
        finally:
            sink.close()
        status = ingestion.status()
    objects = result.report.metrics.objects if result.report else 0
    receipt = Receipt.of(
        "run", run.meter, run.clock.monotonic_s() - started_s, objects, from_report=False
    ).to_dict(Prices.load())
    _show(run, result, status, receipt)
    return 3 if result.failed or result.dead or result.errors else 0


def _queue_address(spec: IngestionSpec) -> str | None:
    """The queue that its settings name, to be asked with the identity of this command."""
    if spec.strategy is not StrategyName.EVENT_DRIVEN:
        return None
    address: str | None = parse_settings(spec.strategy, spec.strategy_settings)["queue_url"]
    return address


def sink_of(run: Run, spec: IngestionSpec, store: Store, command: str | None) -> Sink:
    """The sink to load into. Raises UsageError if there is none."""
    settings: dict[str, Any] | None = spec.sink
    if command is not None:
        settings = {"kind": "command", "command": command}
    if settings is None:
        raise UsageError(
            f"the ingestion `{spec.name}` has no sink: Python code takes its batches",
            hint="give it a command for this run with --exec, or use the Python API",
        )
    return open_sink(settings, store=store, clock=run.clock)


def _load(
    ingestion: Ingestion, sink: Sink, request: RunRequest, every: timedelta, progress: Watched
) -> IngestResult:
    audited = (
        ingestion.discover(audit=True, progress=progress)
        if request.audit and not request.full_refresh
        else None
    )
    progress.phase("loading", None, "objects")
    result = ingestion.run(
        sink,
        workers=request.workers,
        discover_first=request.discover and (request.follow or audited is None),
        full_refresh=request.full_refresh,
        follow=request.follow,
        poll_s=every.total_seconds(),
        progress=progress,
    )
    result.report = result.report or audited
    return result


def _show(run: Run, result: IngestResult, status: IngestionStatus, receipt: dict[str, Any]) -> None:
    out = run.out
    if out.json:
        facts = result.to_dict()
        discovery = facts.pop("report")
        out.document(
            {
                "ingestion": status.name,
                "discovery": discovery,
                "result": facts,
                "status": status.to_dict(),
                "receipt": receipt,
            }
        )
        return
    if result.report is not None:
        show_discovery(run, result.report)
    for line in result_lines(result):
        out.line(line)
    out.line(f"{status.name}: {_left(status)}")
    out.line(f"  {status.claim}")
    for message in result.errors:
        out.warn(message)
    if result.report is not None and not result.report.reused:
        show_metrics(out, result.report.metrics)
    show_receipt(out, receipt)
    if status.dead:
        out.note(f"next: stocktake ingest dead {status.name}")


def show_discovery(run: Run, report: DiscoveryReport) -> None:
    """What a discovery found, for people."""
    metrics = report.metrics
    if report.reused:
        run.out.line(f"discovered by {report.strategy}: not listed again, a young listing is used")
    else:
        found = f"{count_text(metrics.new)} new, {count_text(metrics.changed)} changed"
        run.out.line(
            f"discovered by {report.strategy}: {found}, {count_text(metrics.deleted)} gone"
        )
    for strategy, count in report.missed.items():
        if count:
            run.out.warn(f"{strategy} had missed {plural(count, 'object')}")
    for warning in report.warnings:
        run.out.warn(warning)


def result_lines(result: IngestResult) -> list[str]:
    """What was loaded and what was not."""
    lines = [
        f"loaded {plural(result.files, 'object')}, {size_text(result.size_bytes)}, in "
        f"{plural(result.batches, 'batch')}"
    ]
    others = {
        "found in the sink after a crash, not loaded again": result.recovered,
        "skipped by the filters or the overwrite policy": result.skipped,
        "replaced by newer content before they were read": result.superseded,
        "gone before they were read": result.vanished,
        "failed, will be tried again": result.failed,
        "failed for the last time": result.dead,
    }
    lines += [f"  {count_text(count)} {label}" for label, count in others.items() if count]
    if result.lost:
        lines.append(f"  {count_text(result.lost)} batches were taken over by other workers")
    return lines


def _left(status: IngestionStatus) -> str:
    if not status.files_outstanding:
        return "nothing left to load"
    about = "about " if status.is_estimate else ""
    return (
        f"{about}{plural(status.files_outstanding, 'object')} left, "
        f"{size_text(status.bytes_outstanding)}"
    )
