"""Objects in the ledger: planned, uploaded step by step, completed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from stocktake.errors import KeyCollisionError, LedgerError, SourceChangedError
from stocktake.ship import _ledger_rows as rows
from stocktake.ship._ledger_books import (
    COMPLETED,
    DONE,
    PLANNED,
    PLANNING,
    SHIPPING,
    Books,
    etag_of,
)
from stocktake.ship._ledger_claims import claim_key, drop_replaced
from stocktake.ship._ledger_schema import OBJECT_STATES, RETIRED, SMALL_PLAIN
from stocktake.ship._ledger_sources import check_running, finish
from stocktake.ship._records import (
    ObjectJob,
    ObjectResult,
    PlannedObject,
    PlanSummary,
    UploadCompleting,
    UploadIntended,
    UploadOpened,
    UploadStep,
)

_O_PLANNED, _INTENT, _UPLOADING, _COMPLETING = 2, 3, 4, 5


def add_planned(books: Books, source_id: int, objects: Sequence[PlannedObject]) -> None:
    """Record objects of sweep 1."""
    source = check_running(books, source_id, PLANNING)
    extra = rows.extra_of(source)
    for planned in objects:
        if "key_base" not in extra and planned.entry and planned.key.endswith(planned.entry):
            extra["key_base"] = planned.key[: len(planned.key) - len(planned.entry)]
            books.set_extra(source_id, extra)
        _add_planned(books, source, str(extra.get("key_base", "")), planned)


def _add_planned(books: Books, source: sqlite3.Row, base: str, planned: PlannedObject) -> None:
    own, etag = claim_key(books, planned.key, source)
    derived = planned.entry is not None and base + planned.entry == planned.key
    key = None if derived else planned.key
    for holder in own:
        if holder.source["source_id"] != source["source_id"] or holder.inline:
            continue
        if holder.ordinal >= 0:
            raise KeyCollisionError(f"two members would become `{planned.key}`", key=planned.key)
        if holder.state == DONE and _confirm(books, holder.id, planned, key):
            return
    object_id = books.counter("next_id", 1)
    bound = None if planned.bound_bytes == planned.size_bytes else planned.bound_bytes
    books.db.execute(
        "INSERT INTO objects (object_id, source_id, ordinal, entry, key, state, table_kind,"
        " size_bytes, bound_bytes, since_s, sha256, crc64nvme, md5, plan, extra)"
        " VALUES (?, ?, ?, ?, ?, 2, ?, ?, ?, ?, ?, zeroblob(8), zeroblob(16), ?, ?)",
        (
            object_id,
            source["source_id"],
            planned.ordinal,
            rows.entry_bytes(planned.entry),
            key,
            planned.table,
            planned.size_bytes,
            bound,
            books.now_s,
            rows.hex_bytes(planned.sha256),
            rows.pack_json(planned.plan),
            rows.extra_text({"replaces": etag}),
        ),
    )
    books.add_key(planned.key, object_id)


def _confirm(books: Books, object_id: int, planned: PlannedObject, key: str | None) -> bool:
    """An object of an earlier try stands if it was made of the same bytes in the same way."""
    row = books.one("SELECT * FROM objects WHERE object_id = ?", object_id)
    assert row is not None
    if rows.hex_text(row["sha256"]) != planned.sha256 or row["table_kind"] != planned.table:
        return False
    if row["size_bytes"] != planned.size_bytes:
        return False
    books.db.execute(
        "UPDATE objects SET ordinal = ?, entry = ?, key = ? WHERE object_id = ?",
        (planned.ordinal, rows.entry_bytes(planned.entry), key, object_id),
    )
    return True


def end_plan(books: Books, source_id: int, summary: PlanSummary) -> None:
    """Sweep 1 was clean."""
    source = check_running(books, source_id, PLANNING)
    counted = books.one(
        "SELECT count(*) FROM objects WHERE source_id = ? AND ordinal >= 0", source_id
    )
    if counted is None or counted[0] != summary.objects:
        raise LedgerError(
            f"the plan of source {source_id} has {summary.objects} objects,"
            f" {counted and counted[0]} are recorded"
        )
    extra = rows.extra_of(source) | {
        "skipped": [dict(one) for one in summary.skipped[:1000]] or None,
        "skipped_count": summary.skipped_count or None,
        "warnings": list(summary.warnings[:1000]) or None,
    }
    books.set_extra(source_id, extra)
    books.db.execute(
        "UPDATE sources SET sha256 = ?, objects = ? WHERE source_id = ?",
        (rows.hex_bytes(summary.sha256), summary.objects, source_id),
    )
    if summary.objects:
        books.set_state(source_id, PLANNED)
    else:
        after = books.source(source_id)
        assert after is not None
        finish(books, after)


def next_objects(books: Books, source_id: int, after_ordinal: int, limit: int) -> list[ObjectJob]:
    """Objects that are still to be written."""
    source = books.source(source_id)
    if source is None:
        return []
    found = books.db.execute(
        "SELECT * FROM objects WHERE source_id = ? AND ordinal > ? AND state <> 1"
        " ORDER BY ordinal LIMIT ?",
        (source_id, max(after_ordinal, -1), limit),
    )
    return [
        ObjectJob(
            row["object_id"],
            books.tokens.token(row["object_id"]),
            planned_of(books, row, source),
            rows.extra_of(row).get("replaces"),
        )
        for row in found.fetchall()
    ]


def planned_of(books: Books, row: sqlite3.Row, source: sqlite3.Row) -> PlannedObject:
    """An object's row as it was planned."""
    bound = row["bound_bytes"]
    return PlannedObject(
        row["ordinal"] if row["ordinal"] >= 0 else -1 - row["ordinal"],
        rows.entry_text(row["entry"]),
        books.object_key(row, source),
        row["table_kind"],
        row["size_bytes"],
        row["size_bytes"] if bound is None else bound,
        rows.hex_text(row["sha256"]) or "",
        rows.unpack_json(row["plan"]),
    )


def record(books: Books, step: UploadStep) -> None:
    """A step of one multipart upload."""
    row = books.one("SELECT * FROM objects WHERE object_id = ?", step.object_id)
    if row is None:
        raise SourceChangedError(
            f"object {step.object_id} is of content that was replaced", object_id=step.object_id
        )
    extra = rows.extra_of(row)
    if isinstance(step, UploadIntended):
        _check_shipping(books, row)
        _move(books, row, (_O_PLANNED,), _INTENT, extra)
    elif isinstance(step, UploadOpened):
        extra |= {"upload_id": step.upload_id, "part_size": step.part_size_bytes}
        _move(books, row, (_INTENT,), _UPLOADING, extra)
    elif isinstance(step, UploadCompleting):
        extra |= {
            "etags": list(step.etags),
            "size": step.size_bytes,
            "crc": step.crc64nvme,
            "md5": step.md5,
        }
        _move(books, row, (_UPLOADING,), _COMPLETING, extra)
    elif row["ordinal"] < 0:
        source = books.source(row["source_id"])
        assert source is not None
        books.drop_key(books.object_key(row, source), row["object_id"])
        books.db.execute("DELETE FROM objects WHERE object_id = ?", (row["object_id"],))
        _drop_if_empty(books, source)
    else:
        kept = {"replaces": extra.get("replaces")}
        _move(books, row, (_INTENT, _UPLOADING, _COMPLETING), _O_PLANNED, kept)


def _drop_if_empty(books: Books, source: sqlite3.Row) -> None:
    """A retired source goes with its last object, unless newer content counts on it."""
    source_id = source["source_id"]
    if source["state"] != RETIRED or source["kind"] == SMALL_PLAIN:
        return
    if not books.one("SELECT 1 FROM objects WHERE source_id = ? LIMIT 1", source_id):
        books.db.execute("DELETE FROM sources WHERE source_id = ?", (source_id,))


def _check_shipping(books: Books, row: sqlite3.Row) -> None:
    check_running(books, row["source_id"], SHIPPING)


def _move(
    books: Books, row: sqlite3.Row, allowed: tuple[int, ...], state: int, extra: dict[str, Any]
) -> None:
    if row["state"] not in allowed:
        was, to = OBJECT_STATES[row["state"]], OBJECT_STATES[state]
        raise LedgerError(f"object {row['object_id']} is {was}: it cannot become {to}")
    books.db.execute(
        "UPDATE objects SET state = ?, since_s = ?, extra = ? WHERE object_id = ?",
        (state, books.now_s, rows.extra_text(extra), row["object_id"]),
    )


def complete(books: Books, results: Sequence[ObjectResult]) -> None:
    """These objects are in the store, proven."""
    for result in results:
        row = books.one("SELECT * FROM objects WHERE object_id = ?", result.object_id)
        if row is None:
            _complete_inline(books, result)
        else:
            _complete_object(books, row, result)


def _complete_inline(books: Books, result: ObjectResult) -> None:
    source = books.source(result.object_id)
    if source is None or source["state"] == RETIRED or source["kind"] != SMALL_PLAIN:
        raise SourceChangedError(
            f"object {result.object_id} is of content that was replaced",
            object_id=result.object_id,
        )
    if source["state"] == COMPLETED and etag_of(source) == result.etag:
        return
    if source["state"] != SHIPPING:
        check_running(books, result.object_id, SHIPPING)
    extra = rows.extra_of(source)
    ends_here = extra.keys() <= {"key"}
    replaces = extra.pop("replaces", None)
    extra |= _seldom(result, source["size_bytes"])
    books.db.execute(
        "UPDATE sources SET state = ?, since_s = ?, sha256 = ?, crc64nvme = ?, md5 = ?, extra = ?"
        " WHERE source_id = ?",
        (
            COMPLETED if ends_here else SHIPPING,
            books.now_s,
            *_facts(result),
            rows.extra_text(extra),
            result.object_id,
        ),
    )
    _count(books, result)
    if ends_here:
        books.counter("files", 1)
        return
    if replaces is not None:
        drop_replaced(books, books.inline_key(source) or "", result.object_id)
    after = books.source(result.object_id)
    assert after is not None
    finish(books, after)


def _complete_object(books: Books, row: sqlite3.Row, result: ObjectResult) -> None:
    if row["state"] == DONE and etag_of(row) == result.etag:
        return
    source = books.source(row["source_id"])
    assert source is not None
    if row["ordinal"] >= 0 and row["state"] == _O_PLANNED:
        check_running(books, row["source_id"], SHIPPING)
    if row["state"] not in (_O_PLANNED, _COMPLETING):
        raise LedgerError(
            f"object {row['object_id']} is {OBJECT_STATES[row['state']]}: it cannot be completed"
        )
    before = rows.extra_of(row)
    extra = _seldom(result, row["size_bytes"])
    plan = rows.unpack_json(row["plan"])
    columns = None if plan is None else plan.get("columns")
    books.db.execute(
        "UPDATE objects SET state = 1, since_s = ?, sha256 = ?, crc64nvme = ?, md5 = ?, plan = ?,"
        " extra = ? WHERE object_id = ?",
        (
            books.now_s,
            *_facts(result),
            rows.pack_json(columns),
            rows.extra_text(extra),
            row["object_id"],
        ),
    )
    _count(books, result)
    if before.get("replaces") is not None:
        drop_replaced(books, books.object_key(row, source), row["object_id"])
    if row["ordinal"] < 0:
        _tell_successors(books, books.object_key(row, source), row["object_id"], result.etag)
    if source["objects"] == 1 and row["ordinal"] >= 0 and source["state"] == SHIPPING:
        finish(books, source)


def _tell_successors(books: Books, key: str, object_id: int, etag: str | None) -> None:
    """An upload that was set aside came through after all: what follows replaces it."""
    for holder in books.holders(key):
        if not holder.inline and holder.id > object_id and holder.state >= _O_PLANNED:
            row = books.one("SELECT extra FROM objects WHERE object_id = ?", holder.id)
            books.db.execute(
                "UPDATE objects SET extra = ? WHERE object_id = ?",
                (rows.extra_text(rows.extra_of(row) | {"replaces": etag}), holder.id),
            )


def _facts(result: ObjectResult) -> tuple[bytes | None, bytes | None, bytes | None]:
    return (
        rows.hex_bytes(result.sha256),
        rows.crc_bytes(result.crc64nvme),
        rows.hex_bytes(result.md5),
    )


def _seldom(result: ObjectResult, size_bytes: int) -> dict[str, Any]:
    return {
        "size": None if result.size_bytes == size_bytes else result.size_bytes,
        "etag": None if result.etag == result.md5 else result.etag or "",
        "version_id": result.version_id,
        "part_size": result.part_size_bytes,
        "rows": result.rows,
        "verified_by": None if result.verified_by == "checksum" else result.verified_by,
    }


def _count(books: Books, result: ObjectResult) -> None:
    books.counter("objects", 1)
    books.counter("bytes", result.size_bytes)
    books.db.execute(
        "INSERT INTO unwritten (number, id) VALUES (?, ?)",
        (books.counter("next_number", 1), result.object_id),
    )


def end_source(books: Books, source_id: int) -> None:
    """All objects are completed: so is the source."""
    source = books.source(source_id)
    if source is not None and source["state"] == COMPLETED:
        return
    source = check_running(books, source_id, SHIPPING)
    left = books.one(
        "SELECT count(*) FROM objects WHERE source_id = ? AND ordinal >= 0 AND state <> 1",
        source_id,
    )
    if source["kind"] == SMALL_PLAIN or (left is not None and left[0]):
        raise LedgerError(f"source {source_id} has objects that are not completed")
    finish(books, source)
