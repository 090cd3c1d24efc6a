"""Work of `diff`: compare two snapshots and show what changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from stocktake.catalog import (
    CHANGE_KINDS,
    DiffResult,
    Snapshot,
    diff_snapshots,
    find_snapshot,
    snapshot_json,
    use_snapshot,
)
from stocktake.cli._changes import changes_line
from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._sources import source_text, split_target
from stocktake.cli._text import count_text, signed_size_text, size_text, time_text
from stocktake.errors import InvalidSettingError
from stocktake.model import display_key

EXIT_DIFFERENT = 4
_ROWS = (
    Column("CHANGE"),
    Column("BEFORE", right=True),
    Column("NOW", right=True),
    Column("KEY", flexible=True),
)
_FOLDERS = (
    Column("NEW", right=True),
    Column("MODIFIED", right=True),
    Column("DELETED", right=True),
    Column("RENAMED", right=True),
    Column("BYTES", right=True),
    Column("FOLDER", flexible=True),
)


@dataclass(frozen=True, slots=True)
class DiffRequest:
    """What `diff` was asked for. `view` is rows, folders or summary."""

    target: str
    old: str
    new: str
    kinds: tuple[str, ...] = ()
    view: str = "rows"
    limit: int = 100


def show_diff(run: Run, request: DiffRequest) -> int:
    """Answer `diff`."""
    for kind in request.kinds:
        if kind not in CHANGE_KINDS:
            raise InvalidSettingError(
                f"--kind is `{kind}`", hint=f"it can be {', '.join(CHANGE_KINDS)}"
            )
    bucket, prefix = split_target(request.target)
    with ExitStack() as stack:
        catalog = stack.enter_context(run.open_catalog())
        old, new = (
            stack.enter_context(
                use_snapshot(catalog, find_snapshot(catalog, reference, source=bucket))
            )
            for reference in (request.old, request.new)
        )
        with run.watch() as progress:
            result = diff_snapshots(catalog, old, new, prefix=prefix, progress=progress)
        if run.out.json:
            _answer(run, request, result, old, new)
        else:
            _show(run, request, result, old, new)
    return EXIT_DIFFERENT if result.summary.changes else 0


def _answer(
    run: Run, request: DiffRequest, result: DiffResult, old: Snapshot, new: Snapshot
) -> None:
    head = {
        "old": snapshot_json(old),
        "new": snapshot_json(new),
        "prefix": result.prefix,
        "summary": result.summary.to_dict(),
        "warnings": list(result.warnings),
    }
    rows: Iterable[dict[str, Any]] = ()
    if request.view == "rows":
        rows = _changed(result, request)
    elif request.view == "folders":
        rows = result.folders(limit=request.limit)
    run.out.rows_document(head, rows)


def _show(run: Run, request: DiffRequest, result: DiffResult, old: Snapshot, new: Snapshot) -> None:
    shown = 0
    if request.view == "rows":
        rows = list(_changed(result, request))
        shown = len(rows)
        run.out.table(_ROWS, _row_cells(rows))
    elif request.view == "folders":
        run.out.table(_FOLDERS, map(_folder_cells, result.folders(limit=request.limit)))
    if not result.summary.changes:
        run.out.line("no differences")
    else:
        run.out.line(changes_line(result.summary))
    for warning in result.warnings:
        run.out.warn(warning)
    total = sum(getattr(result.summary, kind) for kind in request.kinds or CHANGE_KINDS)
    if request.view == "rows" and shown < total:
        run.out.note(f"{count_text(total - shown)} more: --limit, or --folders for totals")
    run.out.note(source_text(new))
    run.out.note(f"from {time_text(old.as_of)} UTC, {old.id}")
    run.out.note(f"to   {time_text(new.as_of)} UTC, {new.id}")


def _changed(result: DiffResult, request: DiffRequest) -> Iterator[dict[str, Any]]:
    for batch in result.rows(request.kinds, limit=request.limit):
        yield from batch.to_pylist()


def _row_cells(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    for row in rows:
        change = row["change"]
        before = "" if change == "new" else size_text(row["old_size_bytes"])
        now = "" if change in ("deleted", "unconfirmed") else size_text(row["new_size_bytes"])
        yield change, before, now, display_key(row["key"])
        if row["renamed_from"] is not None:
            yield "", "", "", f"  was {display_key(row['renamed_from'])}"


def _folder_cells(row: dict[str, Any]) -> tuple[str, ...]:
    counts = (count_text(row[kind]) for kind in ("new", "modified", "deleted", "renamed"))
    return (*counts, signed_size_text(row["bytes_delta"]), display_key(row["folder"]) or "/")
