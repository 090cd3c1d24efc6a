"""Files in the ledger: new content, how tasks end, and what a start finds."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from stocktake.errors import LedgerError, SourceChangedError
from stocktake.ship import _ledger_rows as rows
from stocktake.ship._ledger_books import (
    COMPLETED,
    FAILED,
    PENDING,
    PLANNED,
    PLANNING,
    RETRY,
    SHIPPING,
    VANISHED,
    Books,
    insert_source,
    is_inline_done,
)
from stocktake.ship._ledger_facts import drop_retired
from stocktake.ship._ledger_schema import KIND_CODES, LARGE_PLAIN, RETIRED, SMALL_PLAIN, STATES
from stocktake.ship._records import (
    Identity,
    Outcome,
    ReadySource,
    SourceKind,
    SourceState,
    TaskEnd,
)

CLEAR_CHUNK = 2000
"""Rows that one transaction removes at most, so that nobody waits long."""


def add_ready(books: Books, ready: ReadySource, small_max_bytes: int, *, force: bool) -> None:
    """A file that has come to rest: new, changed, or known already."""
    kind = kind_code(ready, small_max_bytes)
    source = books.by_path(ready.path)
    if source is None:
        insert_source(books, ready.path, ready.identity, kind, {})
    elif source["state"] in (PLANNING, SHIPPING):
        if force or rows.identity_of_row(source) != ready.identity:
            extra = rows.extra_of(source)
            extra["successor"] = _successor_json(ready.identity, kind)
            books.set_extra(source["source_id"], extra)
    elif force or rows.identity_of_row(source) != ready.identity:
        renew(books, source, ready.identity, kind)
    elif source["state"] == VANISHED or (source["state"] == RETRY and source["due_ms"] is None):
        books.set_state(source["source_id"], PENDING)


def kind_code(ready: ReadySource, small_max_bytes: int) -> int:
    """The ledger's kind of a file."""
    if ready.kind is SourceKind.PLAIN and ready.identity.size_bytes <= small_max_bytes:
        return SMALL_PLAIN
    return KIND_CODES[ready.kind]


def renew(books: Books, source: sqlite3.Row, identity: Identity, kind: int) -> int:
    """A new generation of a path. What the old one has in the bucket is remembered as ours."""
    source_id, extra = source["source_id"], rows.extra_of(source)
    earlier: list[int] = list(extra.pop("earlier", ()))
    done = is_inline_done(source)
    hashed = rows.hash64(source["path"])
    books.db.execute("DELETE FROM paths WHERE hash = ? AND source_id = ?", (hashed, source_id))
    has_objects = books.one("SELECT 1 FROM objects WHERE source_id = ? LIMIT 1", source_id)
    if done or has_objects:
        earlier.append(source_id)
        if done:
            books.add_key(books.inline_key(source) or "", source_id)
        kept = {
            name: value
            for name, value in extra.items()
            if name not in ("successor", "error", "incomplete_since_s", "skipped", "warnings")
        }
        books.db.execute(
            "UPDATE sources SET state = ?, objects = ?, due_ms = NULL, extra = ?"
            " WHERE source_id = ?",
            (RETIRED, int(done), rows.extra_text(kept), source_id),
        )
        if has_objects:
            books.db.execute("INSERT OR IGNORE INTO garbage VALUES (?)", (source_id,))
    else:
        if source["kind"] == SMALL_PLAIN and "key" in extra:
            books.drop_key(extra["key"], source_id)
        books.db.execute("DELETE FROM sources WHERE source_id = ?", (source_id,))
    return insert_source(books, source["path"], identity, kind, {"earlier": earlier or None})


def _successor_json(identity: Identity, kind: int) -> dict[str, int]:
    return {
        "dev": identity.dev,
        "ino": identity.ino,
        "size_bytes": identity.size_bytes,
        "mtime_ns": identity.mtime_ns,
        "ctime_ns": identity.ctime_ns,
        "kind": kind,
    }


def successor_of(extra: Mapping[str, Any]) -> tuple[Identity, int] | None:
    """Newer content that was seen while a task has the old one."""
    values = extra.get("successor")
    if values is None:
        return None
    fields = ("dev", "ino", "size_bytes", "mtime_ns", "ctime_ns")
    return Identity(*(values[name] for name in fields)), values["kind"]


def promote(books: Books, source_id: int) -> bool:
    """Let newer content take its place, now that no task has the old one."""
    source = books.source(source_id)
    waiting = None if source is None else successor_of(rows.extra_of(source))
    if source is None or waiting is None:
        return False
    renew(books, source, *waiting)
    return True


def settle(books: Books, end: TaskEnd, due_ms: int | None) -> SourceState:
    """Record how a task ended; gives the state of the path."""
    source = books.source(end.source_id)
    if source is None or source["state"] == RETIRED:
        return SourceState.PENDING  # newer content has taken its place
    state = source["state"]
    if end.outcome is Outcome.DONE:
        if state in (PLANNING, SHIPPING):
            raise LedgerError(f"task of source {end.source_id} is done, its objects are not")
        return STATES[state]
    if state in (COMPLETED, PLANNED, FAILED):
        return STATES[state]  # its facts were recorded before the worker died
    if state not in (PLANNING, SHIPPING):
        raise LedgerError(
            f"source {end.source_id} is {STATES[state]}: no task of it can end {end.outcome}"
        )
    _settle_running(books, source, end, due_ms)
    if promote(books, end.source_id):
        return SourceState.PENDING
    after = books.source(end.source_id)
    assert after is not None
    return STATES[after["state"]]


def _settle_running(books: Books, source: sqlite3.Row, end: TaskEnd, due_ms: int | None) -> None:
    source_id, extra = source["source_id"], rows.extra_of(source)
    if end.outcome is not Outcome.INCOMPLETE:
        extra.pop("incomplete_since_s", None)
    if end.outcome in (Outcome.OUTAGE, Outcome.STOPPED):
        books.set_state(source_id, before_task(source))
        return
    extra["error"] = None if end.error is None else dict(end.error)
    if end.outcome is Outcome.INCOMPLETE:
        extra.setdefault("incomplete_since_s", books.now_s)
    if end.outcome is Outcome.TRANSIENT:
        books.db.execute(
            "UPDATE sources SET attempts = attempts + 1 WHERE source_id = ?", (source_id,)
        )
    books.set_extra(source_id, extra)
    if end.outcome in (Outcome.TRANSIENT, Outcome.INCOMPLETE):
        books.set_state(source_id, RETRY, due_ms=books.now_ms if due_ms is None else due_ms)
    elif end.outcome is Outcome.CHANGED:
        books.set_state(source_id, RETRY, due_ms=due_ms)
    elif end.outcome is Outcome.VANISHED:
        give_up(books, source, VANISHED)
    else:
        give_up(books, source, FAILED)


def give_up(books: Books, source: sqlite3.Row, state: int) -> None:
    """Nothing more of this content is written; what is not uploaded releases its keys."""
    source_id = source["source_id"]
    books.set_state(source_id, state)
    if source["kind"] != SMALL_PLAIN:
        books.db.execute("INSERT OR IGNORE INTO garbage VALUES (?)", (source_id,))


def before_task(source: sqlite3.Row) -> int:
    """The state that a source had before its task."""
    return PLANNED if source["state"] == SHIPPING and source["kind"] != SMALL_PLAIN else PENDING


def release_all(books: Books) -> int:
    """After a restart no task has anything."""
    count = 0
    for state in (PLANNING, SHIPPING):
        found = books.db.execute(
            "SELECT * FROM sources WHERE state = ? AND state > 1", (state,)
        ).fetchall()
        for source in found:
            books.set_state(source["source_id"], before_task(source))
            promote(books, source["source_id"])
        count += len(found)
    books.db.execute(
        "UPDATE sources SET state = ? WHERE state = ? AND state > 1 AND due_ms IS NULL",
        (PENDING, RETRY),
    )
    return count


def wake(books: Books) -> None:
    """Retries that are due are pending again, at their old place in the order."""
    books.db.execute(
        "UPDATE sources SET state = ?, due_ms = NULL WHERE due_ms <= ?", (PENDING, books.now_ms)
    )


def forget(books: Books, path: bytes) -> bool:
    """A file that is gone before it was shipped; False if it did not wait to be."""
    source = books.by_path(path)
    if source is None or source["state"] not in (PENDING, PLANNED, RETRY):
        return False
    give_up(books, source, VANISHED)
    return True


def retry(books: Books, paths: list[bytes] | None) -> list[int]:
    """Failed files are pending again, with all their tries."""
    if paths is None:
        found = books.db.execute(
            "SELECT * FROM sources WHERE state = ? AND state > 1", (FAILED,)
        ).fetchall()
    else:
        known = (books.by_path(path) for path in paths)
        found = [row for row in known if row is not None and row["state"] == FAILED]
    for source in found:
        extra = rows.extra_of(source)
        extra.pop("error", None)
        extra.pop("incomplete_since_s", None)
        books.set_extra(source["source_id"], extra)
        books.db.execute(
            "UPDATE sources SET state = ?, attempts = 0, since_s = ? WHERE source_id = ?",
            (PENDING, books.now_s, source["source_id"]),
        )
    return [source["source_id"] for source in found]


def clear_planned(books: Books, source_id: int, limit: int = CLEAR_CHUNK) -> bool:
    """Remove a few objects that no plan stands for; True if there are more.

    Completed and open ones stay, with a negative ordinal until a plan confirms them.
    """
    source = books.source(source_id)
    if source is None:
        return False
    found = books.db.execute(
        "SELECT * FROM objects WHERE source_id = ? AND ordinal >= 0 LIMIT ?", (source_id, limit)
    ).fetchall()
    for row in found:
        if row["state"] == 2:
            books.drop_key(books.object_key(row, source), row["object_id"])
            books.db.execute("DELETE FROM objects WHERE object_id = ?", (row["object_id"],))
        else:
            set_aside(books, row)
    return len(found) == limit


def set_aside(books: Books, row: sqlite3.Row) -> None:
    """An object that the current plan does not stand for (yet): its ordinal is negative."""
    books.db.execute(
        "UPDATE objects SET ordinal = -1 - ordinal WHERE object_id = ? AND ordinal >= 0",
        (row["object_id"],),
    )


def finish(books: Books, source: sqlite3.Row) -> None:
    """All objects are there: the source is completed, what it no longer has is superseded."""
    source_id, extra = source["source_id"], rows.extra_of(source)
    for earlier_id in (*extra.pop("earlier", ()), source_id):
        condition = (
            "UPDATE objects SET state = 0 WHERE source_id = ? AND state = 1 AND ordinal < 0"
            if earlier_id == source_id
            else "UPDATE objects SET state = 0 WHERE source_id = ? AND state = 1"
        )
        books.db.execute(condition, (earlier_id,))
        if earlier_id != source_id:
            _supersede(books, earlier_id)
    for name in ("error", "incomplete_since_s"):
        extra.pop(name, None)
    books.set_extra(source_id, extra)
    books.set_state(source_id, COMPLETED)
    books.counter("files", 1)
    promote(books, source_id)


def _supersede(books: Books, source_id: int) -> None:
    """Earlier content is of no more use; a small file's row stays if its key was not written."""
    source = books.source(source_id)
    if source is None:
        return
    if is_inline_done(source):
        books.db.execute("UPDATE sources SET objects = 2 WHERE source_id = ?", (source_id,))
    else:
        drop_retired(books, source)


def check_running(books: Books, source_id: int, state: int) -> sqlite3.Row:
    """The row of a source that a task has.

    Raises:
        SourceChangedError: It has newer content.
        LedgerError: It is in another state: a mistake in the caller.
    """
    source = books.source(source_id)
    if source is None or source["state"] == RETIRED:
        raise SourceChangedError(
            f"source {source_id} has newer content than this task", source_id=source_id
        )
    if source["state"] != state:
        raise LedgerError(
            f"source {source_id} is {STATES[source['state']]}, not {STATES[state]}",
            source_id=source_id,
        )
    return source


def sort_anew(books: Books, small_max_bytes: int) -> None:
    """The limit of small files is another one: what waits goes the other way."""
    for was, becomes, condition in (
        (SMALL_PLAIN, LARGE_PLAIN, "size_bytes > ?"),
        (LARGE_PLAIN, SMALL_PLAIN, "size_bytes <= ?"),
    ):
        books.db.execute(
            "UPDATE sources SET kind = ? WHERE kind = ? AND state IN (2, 6, 7) AND state > 1"  # noqa: S608
            f" AND {condition} AND NOT EXISTS (SELECT 1 FROM objects AS o"
            " WHERE o.source_id = sources.source_id)",
            (becomes, was, small_max_bytes),
        )


def drop_retired_if_useless(books: Books, source_id: int) -> None:
    """A retired source of which nothing is in the bucket goes."""
    source = books.source(source_id)
    if source is not None and source["state"] == RETIRED and not is_inline_done(source):
        drop_retired(books, source)
