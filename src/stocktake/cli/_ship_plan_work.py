"""What `ship plan` does: say what each file would become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any

from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._ship_settings import ship_settings, target_text
from stocktake.cli._text import plural, size_text
from stocktake.ship import FilePreview, Ledger, ledger_path, path_text, preview
from stocktake.store import open_store

EXIT_PARTIAL = 3


def show_plan(run: Run, options: Mapping[str, Any], *, deep: bool) -> int:
    """Print what each file would become; returns the exit code."""
    settings = ship_settings(run, options)
    totals: Counter[str] = Counter()
    with ExitStack() as stack:
        ledger = store = None
        if ledger_path(settings).exists():
            opened = Ledger.open(ledger_path(settings), clock=run.clock, read_only=True)
            ledger = stack.enter_context(closing(opened))
        if deep:
            store = stack.enter_context(closing(open_store(settings.store, clock=run.clock)))
        files = _counted(preview(settings, ledger, clock=run.clock, deep=store), totals)
        if run.out.json:
            run.out.rows_document(
                {},
                (_values(one, deep=deep) for one in files),
                name="files",
                tail=lambda: {"totals": _totals(totals)},
            )
        else:
            run.out.line(f"{settings.folder} -> {target_text(settings)}")
            columns = (
                Column("file", flexible=True),
                Column("size", right=True),
                Column("becomes", flexible=True),
                Column("because", flexible=True),
            )
            run.out.table(columns, (_cells(one) for one in files))
            run.out.line(_totals_text(totals))
    return EXIT_PARTIAL if totals["refused"] else 0


def _counted(files: Iterator[FilePreview], totals: Counter[str]) -> Iterator[FilePreview]:
    for one in files:
        totals["files"] += 1
        totals["bytes"] += one.size_bytes
        totals["refused" if one.error else "new" if one.would_ship else "known"] += 1
        yield one


def _totals(totals: Counter[str]) -> dict[str, int]:
    return {name: totals[name] for name in ("files", "bytes", "new", "known", "refused")}


def _totals_text(totals: Counter[str]) -> str:
    return (
        f"{plural(totals['files'], 'file')}, {size_text(totals['bytes'])}: "
        f"{totals['new']} to ship, {totals['known']} known, {totals['refused']} refused"
    )


def _cells(one: FilePreview) -> tuple[str, str, str, str]:
    key = one.key or "-"
    if one.objects:
        key = f"{key} ({plural(len(one.objects), 'object')})"
    return path_text(one.path), size_text(one.size_bytes), key, one.reason


def _values(one: FilePreview, *, deep: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        "path": path_text(one.path),
        "state": one.state.value if one.state else "new",
        "kind": one.kind.value,
        "key": one.key,
        "size_bytes": one.size_bytes,
        "reason": one.reason,
        "error": one.error,
    }
    if deep:
        values["objects"] = list(one.objects)
    return values
