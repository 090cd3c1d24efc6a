"""Database failures as our errors: which database, what it said, what helps.

Constraint violations pass unchanged: they are answers to whoever wrote the row, not failures.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from stocktake.errors import DiskFullError, StateError, StateLockedError, StocktakeError

_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_READ_ONLY = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})
# serialization failure, deadlock, lock not available, too many connections
_PG_LOCKED = frozenset({"40001", "40P01", "55P03", "53300"})


@contextmanager
def typed_failures(address: str) -> Iterator[None]:
    """Turn driver failures inside the block into the `StateError` family or `DiskFullError`.

    `address` is the database's address without password, for the message.
    """
    try:
        yield
    except PoolTimeoutError as error:
        raise StateLockedError(
            f"no connection to the control database `{address}` became free", address=address
        ) from error
    except (IntegrityError, ProgrammingError):
        raise
    except DBAPIError as error:
        raise _typed(error, address) from error


def _typed(error: DBAPIError, address: str) -> StocktakeError:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _typed_sqlite(cause, address)
    return _typed_postgres(cause, address)


def _typed_sqlite(cause: sqlite3.Error, address: str) -> StocktakeError:
    # extended codes carry the primary code in the low byte; misuse of the driver has none
    code = (getattr(cause, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR) & 0xFF
    said = f"the control database `{address}`"
    if code in _LOCKED:
        return StateLockedError(f"{said} is locked by another process", address=address)
    if code == sqlite3.SQLITE_FULL:
        return DiskFullError(f"no space left for {said}", address=address)
    if code in _CORRUPT:
        return StateError(
            f"{said} is damaged or not a database: {cause}",
            hint="restore it from a backup copy; the snapshots' files are not touched by this",
            address=address,
            reason="corrupt",
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return StateError(
            f"{said} cannot be opened: {cause}",
            hint="check that its folder exists and may be written",
            address=address,
            reason="cannot-open",
        )
    if code in _READ_ONLY:
        return StateError(
            f"{said} may not be written: {cause}",
            hint="check the owner and permissions of the file and of its folder",
            address=address,
            reason="read-only",
        )
    return StateError(f"{said} failed: {cause}", address=address, reason="failed")


def _typed_postgres(cause: BaseException | None, address: str) -> StocktakeError:
    state = str(getattr(cause, "sqlstate", None) or "")
    text = " ".join(str(cause).split())
    said = f"the control database `{address}`"
    if state in _PG_LOCKED:
        return StateLockedError(f"{said} is busy: {text}", address=address)
    if state == "53100":
        return DiskFullError(f"no space left for {said}: {text}", address=address)
    if state in ("", "57P01", "57P02", "57P03") or state.startswith("08"):
        return StateError(
            f"{said} cannot be reached: {text}",
            hint="check the address, the user and that the server runs",
            retryable=True,
            address=address,
            reason="cannot-open",
        )
    return StateError(f"{said} failed: {text}", address=address, reason="failed")
