"""Work of `snapshots`: list, pin, delete, thin out."""

from __future__ import annotations

from stocktake.catalog import (
    RetentionPolicy,
    Snapshot,
    delete_snapshot,
    find_snapshot,
    list_snapshots,
    pin_snapshot,
    retain,
)
from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._sources import about
from stocktake.cli._text import count_text, plural, size_text, time_text

_COLUMNS = (
    Column("AS OF (UTC)"),
    Column("OBJECTS", right=True),
    Column("SIZE", right=True),
    Column("SOURCE", flexible=True),
    Column("ID"),
)


def show_snapshots(run: Run, source: str | None) -> int:
    """Answer `snapshots list`."""
    with run.open_catalog() as catalog:
        found = list_snapshots(catalog, source=source)
        location = catalog.location
    if run.out.json:
        run.out.rows_document(
            {"catalog": location}, (about(one) for one in found), name="snapshots"
        )
        return 0
    if not run.out.table(_COLUMNS, (_row(one) for one in found)):
        run.out.line("no snapshots yet")
    run.out.note(f"catalog {location}")
    return 0


def set_pin(run: Run, reference: str, *, pinned: bool) -> int:
    """Answer `snapshots pin` and `unpin`."""
    with run.open_catalog() as catalog:
        pin_snapshot(catalog, find_snapshot(catalog, reference), pinned=pinned)
        snapshot = find_snapshot(catalog, reference)
    if run.out.json:
        run.out.document({"snapshot": about(snapshot)})
    else:
        run.out.line(f"{'pinned' if pinned else 'unpinned'} {_name(snapshot)}")
    return 0


def delete_one(run: Run, reference: str, *, force: bool) -> int:
    """Answer `snapshots delete`."""
    with run.open_catalog() as catalog:
        snapshot = find_snapshot(catalog, reference)
        delete_snapshot(catalog, snapshot, force=force)
    if run.out.json:
        run.out.document({"deleted": about(snapshot)})
    else:
        run.out.line(f"deleted {_name(snapshot)}")
    return 0


def thin_out(run: Run, policy: RetentionPolicy, source: str | None, *, apply: bool) -> int:
    """Answer `snapshots retain`."""
    with run.open_catalog() as catalog:
        plan = retain(catalog, policy, source=source, dry_run=not apply)
    if run.out.json:
        kept = [{"snapshot": about(one), "reasons": list(why)} for one, why in plan.kept]
        deleted = [about(one) for one in plan.deleted]
        run.out.document({"applied": apply, "kept": kept, "deleted": deleted})
        return 0
    for one, why in plan.kept:
        run.out.line(f"keep    {_name(one)}: {', '.join(why)}")
    for one in plan.deleted:
        run.out.line(f"delete  {_name(one)}")
    done = "deleted" if apply else "would be deleted"
    run.out.note(f"{plural(len(plan.deleted), 'snapshot')} {done}")
    if plan.deleted and not apply:
        run.out.note("nothing was deleted: add --apply")
    return 0


def _row(one: Snapshot) -> tuple[str, ...]:
    return (
        time_text(one.as_of),
        count_text(one.objects),
        size_text(one.size_bytes),
        one.source_name,
        f"{one.id} pinned" if one.pinned else one.id,
    )


def _name(one: Snapshot) -> str:
    return f"{one.source_name} of {time_text(one.as_of)} UTC, {one.id}"
