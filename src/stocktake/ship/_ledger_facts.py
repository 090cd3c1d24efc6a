"""What a completed object leaves behind: its manifest record, and rows nothing needs any more."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from stocktake.manifests import UploadRecord
from stocktake.ship import _ledger_rows as rows
from stocktake.ship._ledger_books import Books, etag_of, is_inline_done
from stocktake.ship._ledger_rows import from_seconds
from stocktake.ship._ledger_schema import SMALL_PLAIN


def drop_object(books: Books, object_id: int, key: str) -> None:
    """Remove an object's row; what the manifest still needs of it is kept."""
    keep_record(books, object_id)
    books.drop_key(key, object_id)
    books.db.execute("DELETE FROM objects WHERE object_id = ?", (object_id,))


def drop_retired(books: Books, source: sqlite3.Row) -> None:
    """Remove the row of earlier content that nothing needs any more."""
    source_id = source["source_id"]
    if books.one("SELECT 1 FROM objects WHERE source_id = ? LIMIT 1", source_id):
        return
    if is_inline_done(source):
        keep_record(books, source_id)
    if source["kind"] == SMALL_PLAIN:
        key = books.inline_key(source)
        if key is not None:
            books.drop_key(key, source_id)
    books.db.execute("DELETE FROM sources WHERE source_id = ?", (source_id,))


def keep_record(books: Books, holder_id: int) -> None:
    """Write down the manifest record of a row that is about to go or to change."""
    waiting = books.one("SELECT number FROM unwritten WHERE id = ? AND record IS NULL", holder_id)
    if waiting is not None:
        record = record_json(books, holder_id)
        books.db.execute(
            "UPDATE unwritten SET record = ? WHERE number = ?",
            (json.dumps(record), waiting[0]),
        )


def record_json(books: Books, holder_id: int) -> dict[str, Any]:
    """The manifest record of a completed object, as JSON values."""
    row = books.one("SELECT * FROM objects WHERE object_id = ?", holder_id)
    source = books.source(holder_id if row is None else row["source_id"])
    assert source is not None
    key = books.inline_key(source) if row is None else books.object_key(row, source)
    held = source if row is None else row
    extra = rows.extra_of(held)
    plain = row is None or (row["entry"] is None and row["table_kind"] is None)
    own = row is not None and row["table_kind"] is not None
    sha256 = rows.hex_text(held["sha256"])
    shown, raw = shown_path(source["path"])
    of_source = rows.hex_text(source["sha256"]) or sha256
    return {
        "s3_key": key,
        "size_bytes": extra.get("size", held["size_bytes"]),
        "etag": etag_of(held),
        "version_id": extra.get("version_id"),
        "md5": rows.hex_text(held["md5"]),
        "sha256": None if own else sha256,
        "crc64nvme": rows.crc_text(held["crc64nvme"]),
        "part_size_bytes": extra.get("part_size"),
        "token": extra.get("token") or books.tokens.token(holder_id),
        "uploaded_at_s": held["since_s"],
        "verified_by": extra.get("verified_by", "checksum"),
        "source": shown,
        "source_raw": raw,
        "source_sha256": sha256 if plain else of_source,
        "source_size_bytes": source["size_bytes"],
        "source_mtime_ns": rows.identity_of_row(source).mtime_ns,
        "entry": None if row is None else rows.entry_text(row["entry"]),
        "rows": extra.get("rows"),
        "columns": [] if row is None else rows.unpack_json(row["plan"]) or [],
    }


def shown_path(path: bytes) -> tuple[str, str | None]:
    """A path as text; its bytes as hex if they are not UTF-8."""
    try:
        return path.decode("utf-8"), None
    except UnicodeDecodeError:
        text = path.decode("utf-8", "surrogateescape")
        return (
            "".join(
                f"%{ord(sign) - 0xDC00:02X}" if 0xDC80 <= ord(sign) <= 0xDCFF else sign
                for sign in text
            ),
            path.hex(),
        )


def upload_record(books: Books, waiting: sqlite3.Row) -> UploadRecord:
    """The manifest record of a completed object that waits for a segment."""
    text = waiting["record"]
    values = record_json(books, waiting["id"]) if text is None else json.loads(text)
    return record_of(values)


def record_of(values: dict[str, Any]) -> UploadRecord:
    """`record_json` as the manifests' own type."""
    fields = dict(values)
    uploaded_at = from_seconds(fields.pop("uploaded_at_s"))
    columns = tuple(fields.pop("columns"))
    return UploadRecord(**fields, uploaded_at=uploaded_at, columns=columns)
