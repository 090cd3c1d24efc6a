"""What `ship run` and `ship once` do: the daemon, its log, its signals, its summary."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from stocktake.cli._output import Output
from stocktake.cli._run import Run
from stocktake.cli._ship_live import LiveView
from stocktake.cli._ship_settings import ship_settings, target_text
from stocktake.cli._text import count_text, duration_text, size_text
from stocktake.errors import InterruptedRunError
from stocktake.ship import (
    LOG_LEVELS,
    Daemon,
    EventLog,
    ShipSettings,
    ShipSummary,
    path_text,
    signals_to,
)
from stocktake.telemetry import logger

EXIT_PARTIAL = 3
_FAILURES_SHOWN = 20


def ship(run: Run, options: Mapping[str, Any], *, once: bool, progress: bool) -> int:
    """Ship, and say how it went; returns the exit code."""
    settings = ship_settings(run, options)
    live = LiveView(run.out, settings) if progress and run.out.is_live else None
    log = _log(run.out, settings, live, once=once)

    def reload() -> ShipSettings:
        wanted = ship_settings(run, options)
        log.level = LOG_LEVELS[wanted.log_level]
        return wanted

    daemon = Daemon(settings, clock=run.clock, listener=log, reload=reload)
    with ExitStack() as stack:
        stack.enter_context(_logging_to(log))
        stack.enter_context(signals_to(daemon))
        if live is not None:
            stack.enter_context(live.of(daemon))
        summary = daemon.run(once=once)
    if once:
        _report(run.out, settings, summary)
    if summary.stopped_by == signal.SIGINT.name:
        return InterruptedRunError.exit_code
    if once and not summary.is_complete:
        return EXIT_PARTIAL
    return 0


def _log(out: Output, settings: ShipSettings, live: LiveView | None, *, once: bool) -> EventLog:
    level = LOG_LEVELS[settings.log_level]
    if out.verbose:
        level = min(level, logging.DEBUG)
    elif once and settings.log_level == "info" and settings.log_format == "auto":
        level = logging.WARNING  # the summary says it
    if out.quiet:
        level = max(level, logging.ERROR)
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not once and not out.stderr.isatty()
    )

    def write(line: str) -> None:
        if live is not None and live.is_up:
            live.line(line)
            return
        out.stderr.write(line + "\n")
        out.stderr.flush()

    return EventLog(write, as_json=as_json, level=level)


@contextmanager
def _logging_to(log: EventLog) -> Iterator[None]:
    before, level = logger.handlers[:], logger.level
    logger.handlers[:] = [log.handler()]
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.handlers[:] = before
        logger.setLevel(level)


def _report(out: Output, settings: ShipSettings, summary: ShipSummary) -> None:
    figures = summary.figures
    if out.json:
        out.document(
            {
                "folder": str(settings.folder),
                "target": target_text(settings),
                "shipped": figures.files_done,
                "failed": figures.files_failed,
                "retried": figures.files_retried,
                "waiting": summary.waiting,
                "unreadable": figures.unreadable,
                "bytes": figures.bytes_done,
                "states": {state.value: count for state, count in summary.states.items()},
                "failures": [
                    {"path": path_text(path), "reason": reason} for path, reason in figures.failures
                ],
                "stopped_by": summary.stopped_by,
                "elapsed_s": round(figures.elapsed_s, 3),
            }
        )
        return
    out.line(f"{settings.folder} -> {target_text(settings)}")
    rows = [
        ("shipped", count_text(figures.files_done), size_text(figures.bytes_done)),
        ("failed", count_text(figures.files_failed), ""),
        ("not at rest", count_text(summary.waiting), ""),
        ("unreadable", count_text(figures.unreadable), ""),
        ("known", count_text(sum(summary.states.values())), "in the ledger"),
    ]
    for name, count, more in rows:
        if count != "0" or name == "shipped":
            out.line(f"  {name:<12}{count:>9}  {more}".rstrip())
    for path, reason in figures.failures[:_FAILURES_SHOWN]:
        out.line(f"  failed: {path_text(path)}: {reason}")
    out.note(f"in {duration_text(figures.elapsed_s)}")
