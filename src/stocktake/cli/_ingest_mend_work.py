"""Work of the commands that change by hand what an ingestion has done or will do."""

from __future__ import annotations

from datetime import datetime

from stocktake.cli._ingest_create_work import parse_instant
from stocktake.cli._run import Run
from stocktake.cli._text import plural
from stocktake.errors import UsageError
from stocktake.ingest import delete_ingestion, open_ingestion


def replay_items(
    run: Run,
    name: str,
    keys: tuple[str, ...],
    seqs: tuple[int, ...],
    prefix: str | None,
    *,
    dead: bool,
) -> int:
    """Answer `ingest replay`."""
    if not (dead or keys or seqs or prefix is not None):
        raise UsageError(
            "replay does not know of what", hint="give --dead, --key, --seq or --prefix"
        )
    with run.open_catalog() as catalog:
        ingestion = open_ingestion(catalog, None, name)
        count = ingestion.replay(dead=dead, keys=keys, seqs=seqs, prefix=prefix)
    return _show_reopened(run, name, count)


def rewind_to(run: Run, name: str, to: str | None, prefix: str | None) -> int:
    """Answer `ingest rewind`."""
    if to is None and prefix is None:
        raise UsageError("rewind does not know where to", hint="give --to SEQ, --to TIME, --prefix")
    seq, time = _place(to)
    with run.open_catalog() as catalog:
        ingestion = open_ingestion(catalog, None, name)
        count = ingestion.rewind(seq=seq, time=time, prefix=prefix)
    return _show_reopened(run, name, count)


def _place(to: str | None) -> tuple[int | None, datetime | None]:
    if to is not None and to.isdecimal():
        return int(to), None
    return None, parse_instant(to, "--to")


def _show_reopened(run: Run, name: str, count: int) -> int:
    if run.out.json:
        run.out.document({"ingestion": name, "reopened": count})
        return 0
    run.out.line(f"{plural(count, 'object')} of {name} will be loaded again")
    run.out.note(f"next: stocktake ingest run {name}")
    return 0


def skip_items(
    run: Run, name: str, keys: tuple[str, ...], seqs: tuple[int, ...], reason: str
) -> int:
    """Answer `ingest skip`."""
    if not (keys or seqs):
        raise UsageError("skip does not know of what", hint="give --key or --seq")
    with run.open_catalog() as catalog:
        count = open_ingestion(catalog, None, name).skip(keys=keys, seqs=seqs, reason=reason)
    if run.out.json:
        run.out.document({"ingestion": name, "skipped": count})
    else:
        run.out.line(f"{plural(count, 'object')} of {name} will not be loaded")
    return 0


def set_paused(run: Run, name: str, *, paused: bool) -> int:
    """Answer `ingest pause` and `resume`."""
    with run.open_catalog() as catalog:
        ingestion = open_ingestion(catalog, None, name)
        if paused:
            ingestion.pause()
        else:
            ingestion.resume()
        state = ingestion.status().state
    if run.out.json:
        run.out.document({"ingestion": name, "state": state})
    else:
        run.out.line(f"{name} is {state}")
    return 0


def delete_one(run: Run, name: str, *, force: bool) -> int:
    """Answer `ingest delete`."""
    with run.open_catalog() as catalog:
        delete_ingestion(catalog, name, force=force)
    if run.out.json:
        run.out.document({"deleted": name})
    else:
        run.out.line(f"deleted {name}; its feed and what was loaded stay")
    return 0
