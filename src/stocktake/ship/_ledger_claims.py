"""Who gets which key, and which files are handed out next."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from stocktake.errors import KeyCollisionError, StocktakeError
from stocktake.ship import _ledger_rows as rows
from stocktake.ship._ledger_books import (
    DONE,
    OPEN_FROM,
    PENDING,
    PLANNED,
    PLANNING,
    RETRY,
    SHIPPING,
    SUPERSEDED,
    Books,
    Holder,
    derivable,
)
from stocktake.ship._ledger_facts import drop_object, drop_retired, shown_path
from stocktake.ship._ledger_schema import KINDS
from stocktake.ship._ledger_sources import clear_planned, settle
from stocktake.ship._records import FileJob, Outcome, SourceJob, TaskEnd

_MAY_STILL_WRITE = (PENDING, PLANNING, PLANNED, SHIPPING, RETRY)


def claim_key(books: Books, key: str, source: sqlite3.Row) -> tuple[list[Holder], str | None]:
    """Whether this source may write this key: what it had there, and the ETag it replaces.

    Raises:
        KeyCollisionError: It is another file's.
    """
    ours = {source["source_id"], *rows.extra_of(source).get("earlier", ())}
    own: list[Holder] = []
    etag: str | None = None
    for holder in sorted(books.holders(key), key=lambda one: one.id):
        if holder.source["source_id"] not in ours and _blocks(holder):
            other, _ = shown_path(holder.source["path"])
            mine, _ = shown_path(source["path"])
            raise KeyCollisionError(
                f"`{mine}` would become `{key}`, which is of `{other}`", key=key, other=other
            )
        if holder.state in (DONE, SUPERSEDED):
            etag = holder.etag
        if holder.source["source_id"] in ours:
            own.append(holder)
    return own, etag


def _blocks(holder: Holder) -> bool:
    if holder.state == SUPERSEDED:
        return False
    if holder.state == DONE or holder.state >= OPEN_FROM:
        return True
    return not holder.inline and holder.source["state"] in _MAY_STILL_WRITE


def drop_replaced(books: Books, key: str, by_id: int) -> None:
    """What was at a key before has been replaced by this object: its rows go."""
    for holder in list(books.holders(key)):
        if holder.id == by_id or holder.state not in (DONE, SUPERSEDED):
            continue
        if holder.inline:
            drop_retired(books, holder.source)
        else:
            drop_object(books, holder.id, key)


def source_job(source: sqlite3.Row) -> SourceJob:
    """A source as a task gets it."""
    return SourceJob(
        source["source_id"],
        source["path"],
        rows.identity_of_row(source),
        KINDS[source["kind"]],
        source["attempts"] + 1,
        rows.hex_text(source["sha256"]),
    )


def claim_files(
    books: Books,
    *,
    files_max: int,
    bytes_max: int,
    key_of: Callable[[bytes], str],
) -> tuple[list[FileJob], list[TaskEnd]]:
    """Small plain files in order, at least one; those without a key of their own have failed."""
    jobs: list[FileJob] = []
    ends: list[TaskEnd] = []
    taken_bytes = 0
    found = books.db.execute(
        "SELECT * FROM sources WHERE state = ? AND state > 1 AND (kind > 0) = 0"
        " ORDER BY source_id LIMIT ?",
        (PENDING, files_max),
    ).fetchall()
    for source in found:
        if jobs and taken_bytes + source["size_bytes"] > bytes_max:
            break
        try:
            jobs.append(_claim_file(books, source, key_of))
            taken_bytes += source["size_bytes"]
        except StocktakeError as error:
            end = TaskEnd(source["source_id"], Outcome.FAILED, error.to_dict())
            books.set_state(source["source_id"], SHIPPING)
            settle(books, end, None)
            ends.append(end)
    books.db.executemany(
        "UPDATE sources SET state = ?, since_s = ? WHERE source_id = ?",
        [(SHIPPING, books.now_s, job.object_id) for job in jobs],
    )
    return jobs, ends


def _claim_file(books: Books, source: sqlite3.Row, key_of: Callable[[bytes], str]) -> FileJob:
    source_id, key = source["source_id"], key_of(source["path"])
    _, etag = claim_key(books, key, source)
    extra = rows.extra_of(source)
    before = dict(extra)
    explicit = None if derivable(books, key, source["path"]) else key
    if "key" in extra and extra["key"] != explicit:
        books.drop_key(extra["key"], source_id)
    if explicit is not None:
        books.add_key(key, source_id)
    extra["key"], extra["replaces"] = explicit, etag
    extra = {name: value for name, value in extra.items() if value is not None}
    if extra != before:
        books.set_extra(source_id, extra)
    return FileJob(source_job(source), source_id, books.tokens.token(source_id), key, etag)


def first_to_plan(books: Books) -> int | None:
    """The next file that needs sweep 1."""
    row = books.one(
        "SELECT min(source_id) FROM sources WHERE state = 2 AND state > 1 AND (kind > 0) = 1"
    )
    return None if row is None else row[0]


def claim_plan(books: Books) -> SourceJob | int | None:
    """The next file for sweep 1. A number: rows of it were cleared, call again."""
    source_id = first_to_plan(books)
    if source_id is None:
        return None
    if clear_planned(books, source_id):
        return source_id
    books.db.execute("DELETE FROM garbage WHERE source_id = ?", (source_id,))
    books.set_state(source_id, PLANNING)
    source = books.source(source_id)
    assert source is not None
    return source_job(source)


def claim_ship(books: Books) -> SourceJob | None:
    """The next file for sweep 2; uploads that nobody settled are set aside and begun anew."""
    row = books.one("SELECT min(source_id) FROM sources WHERE state = 4 AND state > 1")
    if row is None or row[0] is None:
        return None
    source_id: int = row[0]
    books.set_state(source_id, SHIPPING)
    source = books.source(source_id)
    assert source is not None
    left = books.db.execute(
        "SELECT o.* FROM objects AS o WHERE o.state > 2 AND +o.source_id = ? AND o.ordinal >= 0",
        (source_id,),
    ).fetchall()
    _begin_anew(books, source, left)
    return source_job(source)


def _begin_anew(books: Books, source: sqlite3.Row, left: Iterable[sqlite3.Row]) -> None:
    for row in left:
        extra = rows.extra_of(row)
        object_id = books.counter("next_id", 1)
        books.db.execute(
            "INSERT INTO objects (object_id, source_id, ordinal, entry, key, state, table_kind,"
            " size_bytes, bound_bytes, since_s, sha256, plan, extra)"
            " SELECT ?, source_id, ordinal, entry, key, 2, table_kind, size_bytes, bound_bytes, ?,"
            " sha256, plan, ? FROM objects WHERE object_id = ?",
            (
                object_id,
                books.now_s,
                rows.extra_text({"replaces": extra.get("replaces")}),
                row["object_id"],
            ),
        )
        books.add_key(books.object_key(row, source), object_id)
        books.db.execute(
            "UPDATE objects SET ordinal = -1 - ordinal WHERE object_id = ?", (row["object_id"],)
        )
