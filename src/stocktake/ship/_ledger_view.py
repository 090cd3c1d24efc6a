"""Reading the ledger: also while another process writes it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from stocktake.clock import Clock
from stocktake.errors import LedgerError
from stocktake.manifests import UploadRecord
from stocktake.ship import _ledger_rows as rows
from stocktake.ship._ledger_books import PENDING, PLANNED, RETRY, Books
from stocktake.ship._ledger_facts import upload_record
from stocktake.ship._ledger_objects import next_objects, planned_of
from stocktake.ship._ledger_rows import LedgerFigures, OpenUpload, SourceRow
from stocktake.ship._ledger_schema import (
    KINDS,
    OBJECT_STATES,
    STATE_CODES,
    STATES,
    check_version,
    connect,
)
from stocktake.ship._ledger_sources import successor_of
from stocktake.ship._ledger_tokens import Tokens
from stocktake.ship._ledger_writer import typed
from stocktake.ship._records import Identity, ObjectJob, SourceState

_PAGE = 5000


class LedgerView:
    """What the ledger says. Any thread may ask; one is answered at a time."""

    def __init__(self, connection: sqlite3.Connection, tokens: Tokens, *, clock: Clock) -> None:
        self._reading = connection
        self._tokens = tokens
        self._clock = clock
        self._reading_lock = threading.Lock()

    @classmethod
    def view(cls, path: Path, *, clock: Clock) -> LedgerView:
        """Open for reading only; no lock is taken, and a daemon may be at work.

        Raises:
            LedgerError: There is none, it is damaged, or newer than this stocktake.
        """
        connection = _connect_reading(path)
        try:
            return LedgerView(connection, Tokens(connection), clock=clock)
        except sqlite3.Error as error:
            connection.close()
            raise typed(error) from error
        except LedgerError:
            connection.close()
            raise

    @property
    def ship_id(self) -> str:
        """Random name of this ledger; every object's metadata has it."""
        with self._books() as books:
            return str(books.meta("ship_id"))

    def close(self) -> None:
        """Give the file back."""
        with self._reading_lock:
            self._reading.close()

    def identities(self) -> Iterator[tuple[bytes, Identity, SourceState]]:
        """Every path with the content that is known of it, in order of their numbers.

        Files whose task found them changed are left out: they have to come to rest again.
        """
        for row in self._pages("SELECT * FROM sources WHERE source_id > ? AND state <> 0"):
            newer = successor_of(rows.extra_of(row)) if row["extra"] else None
            if newer is not None:
                yield row["path"], newer[0], SourceState.PENDING
            elif row["state"] != RETRY or row["due_ms"] is not None:
                yield row["path"], rows.identity_of_row(row), STATES[row["state"]]

    def has_due(self) -> bool:
        """Whether a claim would give something."""
        with self._books() as books:
            return self._due(books)

    def next_due_s(self) -> float | None:
        """Seconds until a claim would give something; None: nothing waits for its time."""
        with self._books() as books:
            if self._due(books):
                return 0.0
            row = books.one("SELECT min(due_ms) FROM sources WHERE due_ms IS NOT NULL")
            if row is None or row[0] is None:
                return None
            return max(0.0, (int(row[0]) - books.now_ms) / 1000)

    def next_objects(self, source_id: int, after_ordinal: int, limit: int) -> list[ObjectJob]:
        """Objects that are not completed, with a larger ordinal, in order."""
        with self._books() as books:
            return next_objects(books, source_id, after_ordinal, limit)

    def open_uploads(self, *, orphaned_only: bool = False) -> list[OpenUpload]:
        """Multipart uploads that were begun and have not ended."""
        with self._books() as books:
            found = books.db.execute("SELECT * FROM objects WHERE state > 2").fetchall()
            uploads = [_open_upload(books, row) for row in found]
        return [one for one in uploads if one.orphaned or not orphaned_only]

    def knows_token(self, token: str) -> bool:
        """Whether an object with this token is of this ledger, or was adopted by it."""
        with self._books() as books:
            if self._tokens.made(token, books.counter("next_id")):
                return True
            return books.one("SELECT 1 FROM tokens WHERE token = ?", token) is not None

    def incomplete_since(self, source_id: int) -> datetime | None:
        """When this content was first found to end too early; None: it was not, or not last."""
        with self._books() as books:
            row = books.source(source_id)
            since = None if row is None else rows.extra_of(row).get("incomplete_since_s")
        return None if since is None else rows.from_seconds(since)

    def counts(self) -> dict[SourceState, int]:
        """Files by state; states without any are left out."""
        with self._books() as books:
            return _counts(books)

    def figures(self) -> LedgerFigures:
        """The ledger in a few numbers."""
        with self._books() as books:
            oldest = books.one(
                "SELECT min(since_s) FROM (SELECT since_s FROM sources"
                " WHERE state = 2 AND state > 1 ORDER BY kind > 0, source_id LIMIT 1000)"
            )
            since = None if oldest is None else oldest[0]
            pages = books.one("SELECT * FROM pragma_page_count, pragma_page_size")
            return LedgerFigures(
                _counts(books),
                books.counter("files"),
                books.counter("objects"),
                books.counter("bytes"),
                _count(books, "SELECT count(*) FROM objects WHERE state > 2"),
                _count(books, "SELECT count(*) FROM unwritten"),
                None if since is None else rows.from_seconds(since),
                0 if pages is None else pages[0] * pages[1],
            )

    def sources(
        self,
        states: Iterable[SourceState] | None = None,
        *,
        path_like: str | None = None,
        limit: int = 100,
    ) -> list[SourceRow]:
        """Files in these states (all for None), first come first; `path_like` is a part of it."""
        codes = [STATE_CODES[state] for state in (states or STATE_CODES)]
        found: list[SourceRow] = []
        with self._books() as books:
            for code in sorted(codes, reverse=True):
                rows_left = limit - len(found)
                found.extend(map(source_row, _of_state(books, code, path_like, rows_left)))
        return found

    def uploads_after(self, number: int, limit: int) -> list[tuple[int, UploadRecord]]:
        """Completed objects that are in no manifest segment yet, numbered without gaps."""
        with self._books() as books:
            found = books.db.execute(
                "SELECT * FROM unwritten WHERE number > ? ORDER BY number LIMIT ?",
                (number, limit),
            ).fetchall()
            return [(row["number"], upload_record(books, row)) for row in found]

    def last_segment_number(self) -> int:
        """Number of the last completed object that is in a manifest segment."""
        with self._books() as books:
            return books.counter("last_segment")

    # inside

    @contextmanager
    def _books(self) -> Iterator[Books]:
        with self._reading_lock:
            now_ms = int(self._clock.now().timestamp() * 1000)
            try:
                yield Books(self._reading, self._tokens, now_ms)
            except sqlite3.Error as error:
                raise typed(error) from error

    def _pages(self, statement: str) -> Iterator[sqlite3.Row]:
        after = 0
        while True:
            with self._books() as books:
                page = books.db.execute(
                    f"{statement} ORDER BY source_id LIMIT {_PAGE}", (after,)
                ).fetchall()
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1]["source_id"]

    def _due(self, books: Books) -> bool:
        for state in (PENDING, PLANNED):
            if books.one("SELECT 1 FROM sources WHERE state = ? AND state > 1 LIMIT 1", state):
                return True
        return bool(books.one("SELECT 1 FROM sources WHERE due_ms <= ? LIMIT 1", books.now_ms))


def _connect_reading(path: Path) -> sqlite3.Connection:
    """A connection that has read the version; also where nothing may be written beside the file."""
    modes = ["ro"]
    if not path.with_name(path.name + "-wal").exists():
        modes.append("ro&immutable=1")
    for last, mode in enumerate(modes, start=1):
        connection = connect(path, mode=mode)
        try:
            _check_ledger(connection, path)
        except sqlite3.Error as error:
            connection.close()
            if last == len(modes):
                raise typed(error) from error
        except LedgerError:
            connection.close()
            raise
        else:
            return connection
    raise LedgerError(f"cannot open the ledger {path}", path=str(path))


def _check_ledger(connection: sqlite3.Connection, path: Path) -> None:
    if check_version(connection) == 0:
        raise LedgerError(f"{path} is not a ledger", path=str(path))


def _of_state(books: Books, code: int, path_like: str | None, limit: int) -> Iterable[sqlite3.Row]:
    if limit <= 0:
        return []
    live = "state > 1 AND" if code > 1 else ""
    part = None if path_like is None else path_like.encode("utf-8", "surrogateescape")
    return books.db.execute(
        f"SELECT * FROM sources WHERE {live} state = ? AND (? IS NULL OR instr(path, ?) > 0)"  # noqa: S608
        " ORDER BY source_id LIMIT ?",
        (code, part, part, limit),
    ).fetchall()


def _count(books: Books, statement: str) -> int:
    row = books.one(statement)
    return 0 if row is None else int(row[0])


def _counts(books: Books) -> dict[SourceState, int]:
    found = books.db.execute("SELECT state, count(*) FROM sources WHERE state > 1 GROUP BY state")
    counts = {STATES[code]: int(number) for code, number in found}
    completed = _count(books, "SELECT count(*) FROM paths") - sum(counts.values())
    if completed:
        counts[SourceState.COMPLETED] = completed
    return counts


def source_row(row: Any) -> SourceRow:
    """A source's row for people."""
    extra = rows.extra_of(row)
    since = extra.get("incomplete_since_s")
    done_inline = row["kind"] == 0 and row["state"] == 1
    return SourceRow(
        row["source_id"],
        row["path"],
        KINDS[row["kind"]],
        STATES[row["state"]],
        row["size_bytes"],
        row["attempts"],
        rows.from_seconds(row["since_s"]),
        rows.from_millis(row["due_ms"]),
        extra.get("error"),
        rows.hex_text(row["sha256"]),
        1 if done_inline else row["objects"],
        tuple(extra.get("skipped", ())),
        extra.get("skipped_count", 0),
        tuple(extra.get("warnings", ())),
        None if since is None else rows.from_seconds(since),
    )


def _open_upload(books: Books, row: sqlite3.Row) -> OpenUpload:
    source = books.source(row["source_id"])
    assert source is not None
    extra = rows.extra_of(row)
    return OpenUpload(
        row["object_id"],
        row["source_id"],
        source["path"],
        rows.hex_text(source["sha256"]),
        books.tokens.token(row["object_id"]),
        OBJECT_STATES[row["state"]],
        planned_of(books, row, source),
        extra.get("upload_id"),
        extra.get("part_size"),
        tuple(extra.get("etags", ())),
        extra.get("size"),
        extra.get("crc"),
        extra.get("md5"),
        rows.from_seconds(row["since_s"]),
        extra.get("replaces"),
        row["ordinal"] < 0 or source["state"] != STATE_CODES[SourceState.SHIPPING],
    )


def shipped_sha256(ledger: LedgerView, path: bytes) -> str | None:
    """Hex digest of what was shipped of a path; None if its content is not completed."""
    with ledger._books() as books:
        source = books.by_path(path)
    if source is None or STATES[source["state"]] is not SourceState.COMPLETED:
        return None
    return rows.hex_text(source["sha256"])
