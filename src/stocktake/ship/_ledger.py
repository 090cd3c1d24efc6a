"""The ledger: what was seen, planned, begun and completed, on disk before anybody is told."""

from __future__ import annotations

import itertools
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from stocktake.clock import Clock
from stocktake.errors import LedgerError
from stocktake.manifests import UploadRecord
from stocktake.ship import _ledger_claims as claims
from stocktake.ship import _ledger_objects as objects
from stocktake.ship import _ledger_sources as sources
from stocktake.ship._ledger_adopt import adopt
from stocktake.ship._ledger_books import DONE, Books
from stocktake.ship._ledger_lock import lock_ledger
from stocktake.ship._ledger_rows import SourceRow
from stocktake.ship._ledger_schema import check_version, connect, migrate, shrink
from stocktake.ship._ledger_tokens import Tokens
from stocktake.ship._ledger_view import LedgerView, source_row
from stocktake.ship._ledger_writer import LedgerWriter, typed
from stocktake.ship._records import (
    FileJob,
    Identity,
    ObjectResult,
    PlannedObject,
    PlanSummary,
    ReadySource,
    SourceJob,
    SourceState,
    TaskEnd,
    UploadStep,
)

T = TypeVar("T")

_CHUNK = 1000
_LOG_BYTES = 16 << 20
"""A write-ahead log that grew larger is cut to this."""

SMALL_MAX_BYTES = 8 << 20


class _WritingLedger(LedgerView):
    """The half of the ledger that workers write to. See `Recorder`."""

    _writer: LedgerWriter | None = None

    def add_planned(self, source_id: int, objects_: Sequence[PlannedObject]) -> None:
        """Record objects of sweep 1, in order."""
        self._write(lambda books: objects.add_planned(books, source_id, objects_))

    def end_plan(self, source_id: int, summary: PlanSummary) -> None:
        """Sweep 1 was clean: the source is `planned`, or `completed` if it becomes nothing."""
        self._write(lambda books: objects.end_plan(books, source_id, summary))

    def record(self, step: UploadStep) -> None:
        """Record a step of one multipart upload."""
        self._write(lambda books: objects.record(books, step))

    def complete(self, results: Sequence[ObjectResult]) -> None:
        """These objects are completed; a source whose only object this is, too."""
        self._write(lambda books: objects.complete(books, results))

    def end_source(self, source_id: int) -> None:
        """All objects are completed: so is the source."""
        self._write(lambda books: objects.end_source(books, source_id))

    def _write(self, work: Callable[[Books], T]) -> T:
        if self._writer is None:
            raise LedgerError("the ledger was opened for reading")

        def run(connection: sqlite3.Connection) -> T:
            books = self._writing_books(connection)
            answer = work(books)
            books.flush()
            return answer

        return self._writer.run(run)

    def _writing_books(self, connection: sqlite3.Connection) -> Books:
        return Books(connection, self._tokens, int(self._clock.now().timestamp() * 1000))


class Ledger(_WritingLedger):
    """The ledger of one folder, open for writing by this process alone.

    Every call returns when its facts are on disk; facts of several threads share one commit.

    Attributes:
        lock_fd: The lock's descriptor, for workers: while one lives, no second daemon starts.
        is_new: It was made just now: what is in the bucket already has to be found out.
    """

    lock_fd: int = -1
    is_new: bool = False
    _small_max_bytes: int = SMALL_MAX_BYTES

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        clock: Clock,
        read_only: bool = False,
        small_max_bytes: int = SMALL_MAX_BYTES,
    ) -> Ledger:
        """Open or make the ledger.

        Raises:
            ShipRunningError: Another process has it, or a worker that one left behind.
            LedgerError: It is damaged (`set_aside` it and rebuild), or newer than this stocktake.
            DiskFullError: No space is left where it lies.
        """
        if read_only:
            view = LedgerView.view(path, clock=clock)
            return cls(view._reading, view._tokens, clock=clock)
        lock_fd = lock_ledger(path)
        try:
            return cls._open(path, clock, small_max_bytes, lock_fd)
        except BaseException:
            os.close(lock_fd)
            raise

    @classmethod
    def _open(cls, path: Path, clock: Clock, small_max_bytes: int, lock_fd: int) -> Ledger:
        if path.exists() and not path.stat().st_size:
            raise LedgerError(f"the ledger {path} is empty: it was cut", path=str(path))
        writing = connect(path, mode="rwc")
        try:
            is_new = check_version(writing) == 0
            if not is_new:
                _quick_check(writing, path)
            migrate(writing, _name_ship)
            tokens = _begin_session(writing)
            ledger = cls(connect(path, mode="rw"), tokens, clock=clock)
        except BaseException as error:
            writing.close()
            if isinstance(error, sqlite3.Error):
                raise typed(error) from error
            raise
        ledger.lock_fd, ledger.is_new = lock_fd, is_new
        ledger._small_max_bytes = small_max_bytes
        ledger._writing = writing
        ledger._writer = LedgerWriter(writing, ledger._tidy)
        return ledger

    _writing: sqlite3.Connection | None = None

    def close(self) -> None:
        """Finish what is queued and let another process have it."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        super().close()
        if self._writing is not None:
            self._writing.close()
            self._writing = None
        if self.lock_fd >= 0:
            os.close(self.lock_fd)
            self.lock_fd = -1

    def add_sources(self, ready: Sequence[ReadySource], *, force: bool = False) -> None:
        """New or changed content becomes pending, in this order; known content changes nothing.

        While a task has the old content, the new one waits for its end. `force` takes known
        content for new (it was found to differ although size and times do not).
        """
        for start in range(0, len(ready), _CHUNK):
            chunk = ready[start : start + _CHUNK]
            self._write(lambda books, chunk=chunk: self._add(books, chunk, force=force))  # type: ignore[misc]

    def _add(self, books: Books, ready: Sequence[ReadySource], *, force: bool) -> None:
        for one in ready:
            sources.add_ready(books, one, self._small_max_bytes, force=force)

    def claim_files(
        self,
        *,
        files_max: int,
        bytes_max: int,
        small_max_bytes: int,
        key_of: Callable[[bytes], str],
    ) -> tuple[list[FileJob], list[TaskEnd]]:
        """Small plain files that are pending or due, in order of their arrival, at least one.

        Files without a key of their own come back as failed ends, which are recorded.
        """
        self._set_small(small_max_bytes)

        def work(books: Books) -> tuple[list[FileJob], list[TaskEnd]]:
            sources.wake(books)
            return claims.claim_files(
                books, files_max=files_max, bytes_max=bytes_max, key_of=key_of
            )

        return self._write(work)

    def claim_plan(self) -> SourceJob | None:
        """The first table, archive or large file that is pending or due."""

        def work(books: Books) -> SourceJob | int | None:
            sources.wake(books)
            return claims.claim_plan(books)

        claimed = self._write(work)
        while isinstance(claimed, int):
            claimed = self._write(work)
        return claimed

    def claim_ship(self) -> SourceJob | None:
        """The first file that is planned."""
        return self._write(claims.claim_ship)

    def settle_task(self, end: TaskEnd, *, retry_at: datetime | None = None) -> SourceState:
        """Record how a task ended; gives the state that the path is in now.

        Only TRANSIENT counts an attempt. CHANGED without `retry_at` waits for `add_sources`.
        """
        due_ms = None if retry_at is None else int(retry_at.timestamp() * 1000)
        return self._write(lambda books: sources.settle(books, end, due_ms))

    def release_all(self) -> int:
        """At the start: what a dead process had in work is free again; gives how many."""
        return self._write(sources.release_all)

    def retry(self, paths: Sequence[bytes] | None) -> list[SourceRow]:
        """Failed files (all for None) become pending, with all their tries."""
        return self._write(lambda books: _retried(books, paths))

    def forget(self, path: bytes) -> None:
        """A file is gone before it was shipped."""
        self._write(lambda books: sources.forget(books, path))

    def segment_written(self, number: int, name: str) -> None:
        """Completed objects up to this number are in the bucket's manifest."""

        def work(books: Books) -> None:
            books.db.execute("DELETE FROM unwritten WHERE number <= ?", (number,))
            books.counter("last_segment", max(0, number - books.counter("last_segment")))
            books.set_meta("last_segment_name", name)

        self._write(work)

    def adopt(
        self, records: Iterable[tuple[UploadRecord, Identity | None]], *, written: bool = True
    ) -> None:
        """Take over uploads that a lost ledger made: their tokens are known, their keys are ours.

        With an identity the file is completed (an archive: planned again, and what it has
        uploaded stands). `written` False: no manifest segment has them yet.
        """
        remaining = iter(records)
        while chunk := list(itertools.islice(remaining, _CHUNK)):
            self._write(lambda books, chunk=chunk: adopt(books, chunk, written=written))  # type: ignore[misc]

    def known_etags(self, keys: Sequence[str]) -> dict[str, str | None]:
        """ETags of the completed objects of this ledger among these keys."""
        with self._books() as books:
            return {
                key: holder.etag
                for key in keys
                for holder in books.holders(key)
                if holder.state == DONE
            }

    def adopt_tokens(self, tokens: Sequence[str]) -> None:
        """Objects with these tokens are ours, whatever they were made of."""
        values = [(token,) for token in tokens]
        self._write(
            lambda books: books.db.executemany("INSERT OR IGNORE INTO tokens VALUES (?)", values)
        )

    def continue_numbers(self, after: int) -> None:
        """Completed objects get numbers above this one: segments with those below exist."""

        def work(books: Books) -> None:
            books.counter("next_number", max(0, after + 1 - books.counter("next_number")))
            books.counter("last_segment", max(0, after - books.counter("last_segment")))

        self._write(work)

    def _set_small(self, small_max_bytes: int) -> None:
        self._small_max_bytes = small_max_bytes
        with self._books() as books:
            if books.meta("small_max") == small_max_bytes:
                return

        def work(books: Books) -> None:
            books.set_meta("small_max", small_max_bytes)
            sources.sort_anew(books, small_max_bytes)

        self._write(work)

    def _tidy(self, connection: sqlite3.Connection) -> bool:
        books = self._writing_books(connection)
        row = books.one("SELECT source_id FROM garbage LIMIT 1")
        if row is None:
            return shrink(connection)
        if not sources.clear_planned(books, row[0]):
            books.db.execute("DELETE FROM garbage WHERE source_id = ?", (row[0],))
            sources.drop_retired_if_useless(books, row[0])
        return True


def forget_vanished(ledger: Ledger, paths: Sequence[bytes]) -> list[bytes]:
    """`Ledger.forget` of many paths, few commits; gives those that waited to be shipped."""
    found: list[bytes] = []
    for start in range(0, len(paths), _CHUNK):
        chunk = paths[start : start + _CHUNK]

        def work(books: Books, chunk: Sequence[bytes] = chunk) -> list[bytes]:
            return [path for path in chunk if sources.forget(books, path)]

        found += ledger._write(work)
    return found


def request_retry(path: Path, paths: Sequence[bytes] | None, *, clock: Clock) -> list[SourceRow]:
    """`Ledger.retry` from another process, also while the daemon is at work: it takes no lock."""
    connection = connect(path, mode="rw")
    try:
        check_version(connection)
        now_ms = int(clock.now().timestamp() * 1000)
        connection.execute("BEGIN IMMEDIATE")
        retried = _retried(Books(connection, Tokens(connection), now_ms), paths)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise typed(error) from error
    finally:
        connection.close()
    return retried


def set_aside(path: Path) -> Path:
    """Rename a damaged ledger so that a new one can be made; gives its new name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for ending in ("-wal", "-shm"):
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + ending))
    path.rename(aside)
    return aside


def _retried(books: Books, paths: Sequence[bytes] | None) -> list[SourceRow]:
    found = sources.retry(books, None if paths is None else list(paths))
    return [source_row(books.source(source_id)) for source_id in found]


def _quick_check(connection: sqlite3.Connection, path: Path) -> None:
    said = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if said != "ok":
        raise LedgerError(f"the ledger {path} is damaged: {said}", path=str(path))


def _name_ship(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO meta VALUES ('ship_id', ?)", (secrets.token_hex(8),))


def _begin_session(connection: sqlite3.Connection) -> Tokens:
    """Numbers that are given from now on have a secret of this process."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    tokens = Tokens(connection)
    row = connection.execute("SELECT next_id FROM counters").fetchone()
    tokens.begin(connection, row[0])
    return tokens
