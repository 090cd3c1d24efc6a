"""The transaction rules, the same on both databases.

One state change is one `write()` block: it commits when the block ends normally and leaves nothing
otherwise. Keep blocks short and never do I/O on object stores inside one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from sqlalchemy import Connection, Engine

from stocktake.clock import Clock
from stocktake.state._failures import typed_failures
from stocktake.state._upgrade import bring_up_to_date

WRITE_OPTION = "stocktake_write"
"""Execution option that makes SQLite take the write lock at BEGIN, not at the first write."""


class State:
    """An open control database. Safe to share between threads; each block has its connection.

    Attributes:
        address: Where it is, without password.
        clock: What stamps are taken from.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self.clock = clock
        self.address = engine.url.render_as_string(hide_password=True)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write.

        SQLite: one writer at a time, from the start of the block (a block that read first can
        never fail because somebody wrote in between). PostgreSQL: READ COMMITTED; lock the rows
        you decide on with `with_for_update()`.

        Raises:
            StateLockedError: Another process held the lock for the whole busy time-out.
            DiskFullError: No space left.
            StateError: The database cannot be opened or failed.
            sqlalchemy.exc.IntegrityError: A constraint said no; nothing was written.
        """
        with typed_failures(self.address), self._engine.connect() as connection:
            connection.execution_options(**{WRITE_OPTION: True})
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only transaction that sees one moment of the database. Never blocks writers.

        Raises:
            StateError: The database cannot be opened or failed.
        """
        with typed_failures(self.address), self._engine.connect() as connection:
            if self.dialect == "postgresql":
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield connection

    def upgrade(self) -> None:
        """Bring the schema to this version: migrations, after a backup copy on SQLite.

        Nothing happens when it is current. Safe when several processes do it at once.

        Raises:
            CatalogVersionError: The schema is newer than this stocktake.
            StateError: The database cannot be opened or migrated.
        """
        with self.write() as connection:
            bring_up_to_date(connection, self.address, self.clock)

    def close(self) -> None:
        """Give back every connection."""
        self._engine.dispose()

    def __enter__(self) -> State:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
