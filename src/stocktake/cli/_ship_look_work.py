"""What `ship status`, `failed`, `retry` and `rebuild` do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._ship_settings import ship_settings, target_text
from stocktake.cli._text import count_text, plural, size_text, time_text
from stocktake.errors import LedgerError
from stocktake.ship import (
    Ledger,
    ShipSettings,
    SourceRow,
    SourceState,
    is_locked,
    ledger_path,
    path_text,
    rebuild_anew,
    request_retry,
    restore_failed,
)
from stocktake.store import open_store


def show_status(run: Run, options: Mapping[str, Any]) -> int:
    """Print the ledger's figures."""
    settings = ship_settings(run, options, folder_must_exist=False)
    with closing(_open(run, settings)) as ledger:
        figures = ledger.figures()
    running = is_locked(ledger_path(settings))
    states = {state.value: count for state, count in figures.sources.items()}
    if run.out.json:
        run.out.document(
            {
                "folder": str(settings.folder),
                "target": target_text(settings),
                "running": running,
                "states": states,
                "files": figures.files_completed,
                "objects": figures.objects_completed,
                "bytes": figures.bytes_completed,
                "open_uploads": figures.open_uploads,
                "unwritten_records": figures.unwritten_records,
                "oldest_pending": figures.oldest_pending,
                "ledger_bytes": figures.file_bytes,
            }
        )
        return 0
    out = run.out
    out.line(f"{settings.folder} -> {target_text(settings)}")
    out.line(f"  {'a shipper is running' if running else 'no shipper is running'}")
    for name, count in states.items():
        out.line(f"  {name:<12}{count_text(count):>12}")
    out.line(
        f"  shipped so far: {plural(figures.files_completed, 'file')} as "
        f"{plural(figures.objects_completed, 'object')}, {size_text(figures.bytes_completed)}"
    )
    if figures.open_uploads:
        out.line(f"  open uploads: {count_text(figures.open_uploads)}")
    if figures.oldest_pending is not None:
        out.line(f"  the oldest waits since {time_text(figures.oldest_pending)}")
    return 0


def show_failed(run: Run, options: Mapping[str, Any], limit: int) -> int:
    """List what failed, or is tried again."""
    settings = ship_settings(run, options, folder_must_exist=False)
    states = (SourceState.FAILED, SourceState.RETRY)
    with closing(_open(run, settings)) as ledger:
        rows = ledger.sources(states, limit=limit)
    if run.out.json:
        run.out.rows_document({}, (_row_values(row) for row in rows), name="files")
        return 0
    columns = (Column("state"), Column("tries", right=True), Column("file", flexible=True))
    shown = [(row.state.value, str(row.attempts), _reason_text(row)) for row in rows]
    if not run.out.table(columns, shown):
        run.out.line("nothing failed")
    return 0


def retry_failed(run: Run, options: Mapping[str, Any], paths: Sequence[str] | None) -> int:
    """Put failed files back and let them be tried anew."""
    settings = ship_settings(run, options)
    wanted = None if paths is None else [os.fsencode(path) for path in paths]
    with closing(_open(run, settings)) as ledger:
        failed = [
            row.path
            for row in ledger.sources((SourceState.FAILED,), limit=1_000_000)
            if wanted is None or row.path in wanted
        ]
    restored = restore_failed(settings, failed)
    retried = request_retry(ledger_path(settings), failed, clock=run.clock)
    if run.out.json:
        run.out.document(
            {
                "retried": [path_text(row.path) for row in retried],
                "put_back": [path_text(path) for path in restored.restored],
                "kept": [{"path": path_text(path), "reason": why} for path, why in restored.kept],
            }
        )
        return 0
    run.out.line(f"{plural(len(retried), 'file')} to be tried again")
    for path, why in restored.kept:
        run.out.warn(f"{path_text(path)} stays in the error folder: {why}")
    if retried and not is_locked(ledger_path(settings)):
        run.out.note("no shipper is running: `stocktake ship once` tries them now")
    return 0


def rebuild(run: Run, options: Mapping[str, Any]) -> int:
    """Set the ledger aside and make it anew."""
    settings = ship_settings(run, options)
    with closing(open_store(settings.store, clock=run.clock)) as store, run.watch() as watched:
        kept, report = rebuild_anew(settings, store, clock=run.clock, progress=watched)
    if run.out.json:
        run.out.document({"kept_as": None if kept is None else str(kept), **asdict(report)})
        return 0
    if kept is not None:
        run.out.line(f"the old ledger is kept as {kept}")
    run.out.line(
        f"{plural(report.records, 'upload')} in the manifest, {count_text(report.adopted)} more in "
        f"the bucket; {count_text(report.matched)} of them are files of the folder as it is"
    )
    if report.foreign:
        run.out.note(f"{plural(report.foreign, 'object')} there are of somebody else")
    return 0


def _open(run: Run, settings: ShipSettings) -> Ledger:
    path = ledger_path(settings)
    if not path.exists():
        raise LedgerError(
            f"nothing was shipped yet from {settings.folder} to {target_text(settings)}",
            hint="`stocktake ship once` or `stocktake ship run` begins; "
            "is --state-folder or STOCKTAKE_SHIP_STATE_FOLDER another one?",
            path=str(path),
        )
    return Ledger.open(path, clock=run.clock, read_only=True)


def _row_values(row: SourceRow) -> dict[str, Any]:
    return {
        "path": path_text(row.path),
        "state": row.state.value,
        "kind": row.kind.value,
        "size_bytes": row.size_bytes,
        "attempts": row.attempts,
        "since": row.since,
        "due": row.due,
        "error": row.error,
    }


def _reason_text(row: SourceRow) -> str:
    return f"{path_text(row.path)}: {(row.error or {}).get('message', '')}"
