"""The ledger inside one transaction: rows, numbers, and who holds which key."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stocktake.ship import _ledger_rows as rows
from stocktake.ship._ledger_schema import LARGE_PLAIN, RETIRED, SMALL_PLAIN
from stocktake.ship._ledger_tokens import Tokens
from stocktake.ship._records import Identity

COMPLETED, PENDING, PLANNING, PLANNED, SHIPPING, RETRY, FAILED, VANISHED = range(1, 9)
SUPERSEDED, DONE, OPEN_FROM = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Holder:
    """Something that has a key: an object's row, or the source row of a small plain file."""

    id: int
    source: sqlite3.Row
    state: int
    ordinal: int
    etag: str | None
    since_s: int
    inline: bool


class Books:
    """What operations of the ledger are written with. One per transaction or reading."""

    def __init__(self, db: sqlite3.Connection, tokens: Tokens, now_ms: int = 0) -> None:
        self.db = db
        self.tokens = tokens
        self.now_ms = now_ms
        self.now_s = now_ms // 1000
        self._counters: dict[str, int] | None = None
        self._changed = False
        self._prefix: str | None = None

    def one(self, statement: str, *values: Any) -> sqlite3.Row | None:
        """The first row of an answer."""
        row: sqlite3.Row | None = self.db.execute(statement, values).fetchone()
        return row

    def meta(self, name: str) -> Any:
        """A value of the ledger itself."""
        row = self.one("SELECT value FROM meta WHERE name = ?", name)
        return None if row is None else row[0]

    def set_meta(self, name: str, value: Any) -> None:
        """Set a value of the ledger itself."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def counter(self, name: str, add: int = 0) -> int:
        """A counter as it was; `add` makes it larger once `flush` is called."""
        if self._counters is None:
            row = self.one("SELECT * FROM counters")
            self._counters = {} if row is None else dict(row)
        value: int = self._counters[name]
        if add:
            self._counters[name] = value + add
            self._changed = True
        return value

    def flush(self) -> None:
        """Write the counters."""
        if self._changed and self._counters is not None:
            self.db.execute(
                "UPDATE counters SET next_id = :next_id, next_number = :next_number,"
                " last_segment = :last_segment, files = :files, objects = :objects,"
                " bytes = :bytes",
                self._counters,
            )
            self._changed = False

    def source(self, source_id: int) -> sqlite3.Row | None:
        """A source's row."""
        return self.one("SELECT * FROM sources WHERE source_id = ?", source_id)

    def by_path(self, path: bytes) -> sqlite3.Row | None:
        """The row of a path's newest content."""
        found = self.db.execute(
            "SELECT s.* FROM paths AS p JOIN sources AS s USING (source_id) WHERE p.hash = ?",
            (rows.hash64(path),),
        )
        return next((row for row in found if row["path"] == path), None)

    def set_state(self, source_id: int, state: int, *, due_ms: int | None = None) -> None:
        """Move a source; the time of it is kept."""
        self.db.execute(
            "UPDATE sources SET state = ?, due_ms = ?, since_s = ? WHERE source_id = ?",
            (state, due_ms, self.now_s, source_id),
        )

    def set_extra(self, source_id: int, extra: dict[str, Any]) -> None:
        """Write the seldom values of a source."""
        self.db.execute(
            "UPDATE sources SET extra = ? WHERE source_id = ?",
            (rows.extra_text(extra), source_id),
        )

    # keys

    def prefix(self) -> str | None:
        """What most keys of small files are in front of their path; None: not known yet."""
        if self._prefix is None:
            self._prefix = self.meta("prefix")
        return self._prefix

    def inline_key(self, source: sqlite3.Row) -> str | None:
        """The key of a small plain file; None if it never had one."""
        explicit = rows.extra_of(source).get("key")
        if explicit is not None:
            return str(explicit)
        prefix = self.prefix()
        try:
            return None if prefix is None else prefix + source["path"].decode("utf-8")
        except UnicodeDecodeError:
            return None

    def object_key(self, row: sqlite3.Row, source: sqlite3.Row) -> str:
        """The key of an object's row."""
        if row["key"] is not None:
            return str(row["key"])
        entry = rows.entry_text(row["entry"]) or ""
        return str(rows.extra_of(source).get("key_base", "")) + entry

    def add_key(self, key: str, holder_id: int) -> None:
        """Remember who holds a key."""
        self.db.execute("INSERT OR IGNORE INTO keys VALUES (?, ?)", (rows.key_hash(key), holder_id))

    def drop_key(self, key: str, holder_id: int) -> None:
        """Forget that."""
        self.db.execute(
            "DELETE FROM keys WHERE hash = ? AND id = ?", (rows.key_hash(key), holder_id)
        )

    def holders(self, key: str) -> Iterator[Holder]:
        """All that have this key, compared in full."""
        found = self.db.execute("SELECT id FROM keys WHERE hash = ?", (rows.key_hash(key),))
        for (holder_id,) in found.fetchall():
            held = self._holder(holder_id, key)
            if held is not None:
                yield held
        prefix = self.prefix()
        if prefix is not None and key.startswith(prefix):
            source = self.by_path(key[len(prefix) :].encode("utf-8", "surrogatepass"))
            if (
                source is not None
                and source["kind"] == SMALL_PLAIN
                and "key" not in rows.extra_of(source)
            ):
                yield self._inline_holder(source)

    def _holder(self, holder_id: int, key: str) -> Holder | None:
        row = self.one("SELECT * FROM objects WHERE object_id = ?", holder_id)
        if row is None:
            source = self.source(holder_id)
            if source is None or self.inline_key(source) != key:
                return None
            return self._inline_holder(source)
        source = self.source(row["source_id"])
        if source is None or self.object_key(row, source) != key:
            return None
        etag = etag_of(row)
        return Holder(
            holder_id, source, row["state"], row["ordinal"], etag, row["since_s"], inline=False
        )

    def _inline_holder(self, source: sqlite3.Row) -> Holder:
        done = is_inline_done(source)
        state = DONE if done else OPEN_FROM if source["state"] == SHIPPING else 2
        if done and source["objects"] == 2:
            state = SUPERSEDED
        etag = etag_of(source) if done else None
        return Holder(source["source_id"], source, state, 0, etag, source["since_s"], inline=True)


def insert_source(
    books: Books, path: bytes, identity: Identity, kind: int, extra: dict[str, Any]
) -> int:
    """A new pending source. Plain files get the room that their facts will need."""
    source_id = books.counter("next_id", 1)
    plain = kind in (SMALL_PLAIN, LARGE_PLAIN)
    room = (bytes(32), bytes(8), bytes(16)) if plain else (None, None, None)
    books.db.execute(
        "INSERT INTO sources (source_id, path, kind, state, dev, ino, size_bytes, mtime_ns,"
        " ctime_after_ns, since_s, sha256, crc64nvme, md5, extra)"
        " VALUES (?, ?, ?, 2, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            source_id,
            path,
            kind,
            *rows.identity_columns(identity),
            books.now_s,
            *room,
            rows.extra_text(extra),
        ),
    )
    books.db.execute("INSERT INTO paths VALUES (?, ?)", (rows.hash64(path), source_id))
    return source_id


def derivable(books: Books, key: str, path: bytes) -> bool:
    """Whether a small file's key is the ledger's prefix and its path; learns the prefix."""
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if not key.endswith(text):
        return False
    prefix = key[: len(key) - len(text)]
    known = books.prefix()
    if known is None:
        books.set_meta("prefix", prefix)
        return True
    return bool(known == prefix)


def is_inline_done(source: sqlite3.Row) -> bool:
    """Whether a source row carries the facts of a completed small file."""
    return bool(
        source["kind"] == SMALL_PLAIN
        and (source["state"] == COMPLETED or (source["state"] == RETIRED and source["objects"]))
    )


def etag_of(row: sqlite3.Row) -> str | None:
    """The ETag of a completed object: its MD5 unless another one was kept."""
    extra = rows.extra_of(row)
    if "etag" in extra:
        return str(extra["etag"]) or None
    return rows.hex_text(row["md5"])
