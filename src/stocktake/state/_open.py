"""Opening the control database: address -> connections with the right settings -> `State`."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from stocktake.clock import Clock
from stocktake.errors import InvalidSettingError, MissingExtraError
from stocktake.state._state import WRITE_OPTION, State
from stocktake.state._upgrade import check_version

BUSY_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 10
_WAL_RETRY_S = 0.02


def open_state(
    url: str, *, clock: Clock, busy_timeout_s: float = BUSY_TIMEOUT_S, upgrade: bool = False
) -> State:
    """The control database at `sqlite:///file` or `postgresql://user@host/name`, ready for use.

    A new database gets its tables. An older SQLite one is migrated at once, after a backup copy
    beside it; an older PostgreSQL one only with `upgrade`, because servers and agents that
    share it are upgraded at different times.

    Args:
        url: The address.
        clock: What stamps are taken from.
        busy_timeout_s: How long a transaction waits for another one's locks.
        upgrade: Migrate an older PostgreSQL schema too.

    Raises:
        InvalidSettingError: Not such an address.
        MissingExtraError: PostgreSQL without its driver.
        CatalogVersionError: Its schema is newer than this stocktake.
        StateLockedError: Locked by another process.
        StateError: It cannot be opened, is damaged, or (PostgreSQL) must be upgraded first.
    """
    address = _parsed(url)
    if address.get_backend_name() == "sqlite":
        engine = _sqlite_engine(address, busy_timeout_s, clock)
    else:
        engine = _postgres_engine(address, busy_timeout_s)
    state = State(engine, clock)
    try:
        with state.read() as connection:
            current = check_version(connection, state.address, upgrade=upgrade)
        if not current:
            state.upgrade()
    except BaseException:
        state.close()
        raise
    return state


def _parsed(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise InvalidSettingError(
            "the control database's address is not one",
            hint="write sqlite:////path/state.db or postgresql://user@host/name",
        ) from error
    backend = address.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise InvalidSettingError(
            f"a control database cannot be `{backend}`",
            hint="use sqlite:////path/state.db or postgresql://user@host/name",
            backend=backend,
        )
    if backend == "sqlite" and address.database in (None, "", ":memory:"):
        raise InvalidSettingError(
            "a control database cannot live in memory: several connections share it",
            hint="name a file: sqlite:////path/state.db",
        )
    return address


def _sqlite_engine(address: URL, busy_timeout_s: float, clock: Clock) -> Engine:
    engine = create_engine(
        address.set(drivername="sqlite+pysqlite"),
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
        pool_size=4,
        max_overflow=28,
        pool_timeout=busy_timeout_s,
    )

    @event.listens_for(engine, "connect")
    def _settle(raw: sqlite3.Connection, _record: Any) -> None:
        # the driver's own BEGIN comes too late and never IMMEDIATE: transactions are ours
        raw.isolation_level = None
        _use_wal(raw, busy_timeout_s, clock)
        raw.execute("PRAGMA synchronous = FULL")
        raw.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(WRITE_OPTION, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _use_wal(raw: sqlite3.Connection, busy_timeout_s: float, clock: Clock) -> None:
    """Switch to write-ahead logging.

    SQLite's own time-out does not wait for this lock, so of two processes that make the same
    database at once, one would fail.
    """
    deadline_s = clock.monotonic_s() + busy_timeout_s
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or clock.monotonic_s() >= deadline_s:
                raise
            clock.sleep(_WAL_RETRY_S)
        else:
            return


def _postgres_engine(address: URL, busy_timeout_s: float) -> Engine:
    try:
        return create_engine(
            address.set(drivername="postgresql+psycopg"),
            connect_args={
                "connect_timeout": _CONNECT_TIMEOUT_S,
                "application_name": "stocktake",
                "options": f"-c lock_timeout={int(busy_timeout_s * 1000)} -c timezone=UTC",
            },
            pool_size=4,
            max_overflow=28,
            pool_timeout=busy_timeout_s,
            pool_pre_ping=True,
        )
    except ImportError as error:
        raise MissingExtraError(
            "the PostgreSQL driver is not installed",
            hint="pip install 'stocktake[postgres]'",
            extra="postgres",
        ) from error
