"""Uploads that a lost ledger made become this ledger's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from stocktake.manifests import UploadRecord
from stocktake.ship import _ledger_rows as rows
from stocktake.ship._ledger_books import (
    COMPLETED,
    DONE,
    PENDING,
    RETRY,
    Books,
    derivable,
    insert_source,
)
from stocktake.ship._ledger_claims import drop_replaced
from stocktake.ship._ledger_schema import KIND_CODES, RETIRED, SMALL_PLAIN
from stocktake.ship._records import Identity, SourceKind

_TABLE, _ARCHIVE = KIND_CODES[SourceKind.TABLE], KIND_CODES[SourceKind.ARCHIVE]


def adopt(
    books: Books, records: Sequence[tuple[UploadRecord, Identity | None]], *, written: bool
) -> None:
    """Record these uploads as completed.

    With an identity (the file's content is proven to be the record's) the file is completed, too;
    an archive is pending, because only its plan shows whether it was shipped whole, but what the
    plan confirms is not uploaded again. Without one the object is ours and will be replaced.
    """
    for record, identity in records:
        if _is_known(books, record):
            continue
        path = path_of(record)
        kind = kind_of_record(record)
        source = _source(books, record, path, kind, identity)
        if kind == SMALL_PLAIN:
            holder_id = _fill_inline(books, source, record)
        else:
            holder_id = _add_object(books, source, record)
        books.db.execute("INSERT OR IGNORE INTO tokens VALUES (?)", (record.token,))
        drop_replaced(books, record.s3_key, holder_id)
        if not written:
            number = books.counter("next_number", 1)
            books.db.execute(
                "INSERT INTO unwritten (number, id) VALUES (?, ?)", (number, holder_id)
            )
        books.counter("objects", 1)
        books.counter("bytes", record.size_bytes)


def _is_known(books: Books, record: UploadRecord) -> bool:
    """Whether it was adopted before, is this ledger's own, or something newer is there."""
    if books.one("SELECT 1 FROM tokens WHERE token = ?", record.token) is not None:
        return True
    if books.tokens.made(record.token, books.counter("next_id")):
        return True
    uploaded_s = int(record.uploaded_at.timestamp())
    return any(
        holder.state == DONE and holder.since_s >= uploaded_s
        for holder in books.holders(record.s3_key)
    )


def path_of(record: UploadRecord) -> bytes:
    """The path of a record's file."""
    if record.source_raw is not None:
        return bytes.fromhex(record.source_raw)
    return record.source.encode("utf-8", "surrogateescape")


def kind_of_record(record: UploadRecord) -> int:
    """What was done with a record's file. Plain files of all sizes are kept as small ones are."""
    if record.entry is not None:
        return _ARCHIVE
    return SMALL_PLAIN if record.sha256 is not None else _TABLE


def _source(
    books: Books, record: UploadRecord, path: bytes, kind: int, identity: Identity | None
) -> sqlite3.Row:
    """The row that the record's facts go to."""
    current = books.by_path(path)
    mtime_ns = record.source_mtime_ns or 0
    stands = identity or Identity(0, 0, record.source_size_bytes or 0, mtime_ns, mtime_ns)
    state = PENDING if kind == _ARCHIVE and identity is not None else COMPLETED
    if current is None:
        source_id = insert_source(books, path, stands, kind, {})
        _set(books, source_id, state, record, kind)
    elif current["kind"] == _ARCHIVE and kind == _ARCHIVE:
        source_id = current["source_id"]
        if identity is not None and current["dev"] == current["ino"] == 0:
            _set_identity(books, source_id, identity)
            books.set_state(source_id, PENDING)
    elif current["state"] in (PENDING, RETRY) and rows.identity_of_row(current) == identity:
        source_id = current["source_id"]
        books.db.execute("UPDATE sources SET kind = ? WHERE source_id = ?", (kind, source_id))
        _set(books, source_id, state, record, kind)
    else:
        source_id = _as_earlier(books, current, path, stands, kind)
    found = books.source(source_id)
    assert found is not None
    return found


def _set(books: Books, source_id: int, state: int, record: UploadRecord, kind: int) -> None:
    books.db.execute(
        "UPDATE sources SET state = ?, due_ms = NULL, since_s = ?, sha256 = ?, objects = ?"
        " WHERE source_id = ?",
        (
            state,
            int(record.uploaded_at.timestamp()),
            rows.hex_bytes(record.source_sha256),
            1 if kind == _TABLE else None,
            source_id,
        ),
    )
    if state == COMPLETED:
        books.counter("files", 1)


def _set_identity(books: Books, source_id: int, identity: Identity) -> None:
    books.db.execute(
        "UPDATE sources SET dev = ?, ino = ?, size_bytes = ?, mtime_ns = ?, ctime_after_ns = ?"
        " WHERE source_id = ?",
        (*rows.identity_columns(identity), source_id),
    )


def _as_earlier(
    books: Books, current: sqlite3.Row, path: bytes, identity: Identity, kind: int
) -> int:
    """A retired row beside the current one: its object is ours, and is replaced one day."""
    source_id = insert_source(books, path, identity, kind, {})
    books.db.execute(
        "DELETE FROM paths WHERE hash = ? AND source_id = ?", (rows.hash64(path), source_id)
    )
    books.db.execute(
        "UPDATE sources SET state = ?, objects = ? WHERE source_id = ?",
        (RETIRED, 1 if kind == SMALL_PLAIN else 0, source_id),
    )
    extra = rows.extra_of(current)
    if current["state"] == COMPLETED:  # nothing will look at a list of earlier ones
        if kind == SMALL_PLAIN:
            books.db.execute("UPDATE sources SET objects = 2 WHERE source_id = ?", (source_id,))
    else:
        extra["earlier"] = [*extra.get("earlier", ()), source_id]
        books.set_extra(current["source_id"], extra)
    return source_id


def _seldom(record: UploadRecord, size_bytes: int) -> dict[str, Any]:
    return {
        "size": None if record.size_bytes == size_bytes else record.size_bytes,
        "etag": None if record.etag == record.md5 else record.etag or "",
        "version_id": record.version_id,
        "part_size": record.part_size_bytes,
        "rows": record.rows,
        "verified_by": None if record.verified_by == "checksum" else record.verified_by,
        "token": record.token,
    }


def _facts(record: UploadRecord, sha256: str | None) -> tuple[bytes | None, ...]:
    return (
        rows.hex_bytes(sha256),
        rows.crc_bytes(record.crc64nvme),
        rows.hex_bytes(record.md5),
    )


def _fill_inline(books: Books, source: sqlite3.Row, record: UploadRecord) -> int:
    source_id: int = source["source_id"]
    extra = rows.extra_of(source) | _seldom(record, source["size_bytes"])
    retired = source["state"] == RETIRED
    explicit = retired or not derivable(books, record.s3_key, source["path"])
    if explicit:
        extra["key"] = record.s3_key
        books.add_key(record.s3_key, source_id)
    books.db.execute(
        "UPDATE sources SET since_s = ?, sha256 = ?, crc64nvme = ?, md5 = ?, extra = ?"
        " WHERE source_id = ?",
        (
            int(record.uploaded_at.timestamp()),
            *_facts(record, record.source_sha256),
            rows.extra_text(extra),
            source_id,
        ),
    )
    return source_id


def _add_object(books: Books, source: sqlite3.Row, record: UploadRecord) -> int:
    """A completed object that no plan of this ledger stands for: its ordinal is negative."""
    object_id = books.counter("next_id", 1)
    single = record.entry is None and source["state"] == COMPLETED
    state = 0 if source["state"] == RETIRED and not _awaited(books, source) else 1
    books.db.execute(
        "INSERT INTO objects (object_id, source_id, ordinal, entry, key, state, table_kind,"
        " size_bytes, since_s, sha256, crc64nvme, md5, plan, extra)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            object_id,
            source["source_id"],
            0 if single else -object_id,
            rows.entry_bytes(record.entry),
            record.s3_key,
            state,
            None if record.sha256 is not None else "table",
            record.size_bytes,
            int(record.uploaded_at.timestamp()),
            *_facts(record, record.sha256),
            rows.pack_json([dict(one) for one in record.columns] or None),
            rows.extra_text(_seldom(record, record.size_bytes)),
        ),
    )
    books.add_key(record.s3_key, object_id)
    return object_id


def _awaited(books: Books, source: sqlite3.Row) -> bool:
    current = books.by_path(source["path"])
    return current is not None and current["state"] != COMPLETED
