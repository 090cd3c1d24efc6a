"""One thread writes the ledger: whatever waits for it shares one commit."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from stocktake import faults
from stocktake.errors import DiskFullError, LedgerError

T = TypeVar("T")

GROUP_MAX = 512
"""Operations that share a commit at most."""

_DISK_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}


@dataclass(frozen=True, slots=True)
class _Operation:
    work: Callable[[sqlite3.Connection], Any]
    answer: Future[Any]


class LedgerWriter:
    """Runs operations one after the other on its own thread and commits them in groups.

    An operation that raises takes back what it did and nothing else. `idle` is called when nobody
    waits, again and again as long as it gives True; it does its own transactions' work in one.
    """

    def __init__(
        self, connection: sqlite3.Connection, idle: Callable[[sqlite3.Connection], bool]
    ) -> None:
        self._connection = connection
        self._idle = idle
        self._waiting: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._closed = False
        self._gate = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Queue an operation; the future is done when its commit is on disk, or it failed."""
        answer: Future[T] = Future()
        with self._gate:
            if self._closed:
                raise LedgerError("the ledger is closed")
            self._waiting.put(_Operation(work, answer))
        return answer

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do an operation and wait for its commit."""
        return self.submit(work).result()

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        busy = True
        while True:
            first = self._next(busy=busy)
            if first is None:
                return
            if first is _TIDY:
                busy = self._tidy()
                continue
            group, ended = [first], False
            while len(group) < GROUP_MAX and not ended:
                try:
                    more = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    ended = True
                else:
                    group.append(more)
            self._commit(group)
            busy = True
            if ended:
                return

    def _next(self, *, busy: bool) -> _Operation | None:
        if not busy:
            return self._waiting.get()
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            return _TIDY

    def _tidy(self) -> bool:
        answer: Future[Any] = Future()
        self._commit([_Operation(self._idle, answer)], named=False)
        return answer.exception() is None and bool(answer.result())

    def _commit(self, group: list[_Operation], *, named: bool = True) -> None:
        connection = self._connection
        outcomes: list[tuple[_Operation, Any, BaseException | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            outcomes.extend((one, *_attempt(connection, one)) for one in group)
            if named:
                faults.reached("ledger.committing")
            connection.execute("COMMIT")
            if named:
                faults.reached("ledger.committed")
        except BaseException as error:  # noqa: BLE001
            # boundary: every caller of the group is told
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for operation in group:
                operation.answer.set_exception(typed(error))
            return
        for operation, result, failure in outcomes:
            if failure is None:
                operation.answer.set_result(result)
            else:
                operation.answer.set_exception(failure)


def _attempt(
    connection: sqlite3.Connection, operation: _Operation
) -> tuple[Any, BaseException | None]:
    """Run one operation so that its failure does not touch the others."""
    connection.execute("SAVEPOINT one")
    try:
        result = operation.work(connection)
    except BaseException as error:  # boundary: its own caller is told
        if not connection.in_transaction or _fatal(error):
            raise
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return None, typed(error)
    connection.execute("RELEASE one")
    return result, None


def _fatal(error: BaseException) -> bool:
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.InterfaceError
    )


def typed(error: BaseException) -> BaseException:
    """A database error as ours; all others as they are."""
    if not isinstance(error, sqlite3.Error):
        return error
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in _DISK_FULL:
        return DiskFullError(
            f"the ledger cannot be written: {error}",
            hint="free space where the ledger lies (--state-folder); nothing was recorded by half",
            retryable=True,
        )
    return LedgerError(f"the ledger cannot be used: {error}")


_TIDY = _Operation(lambda _: None, Future())
