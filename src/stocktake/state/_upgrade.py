"""Schema versions: what the database has, what this stocktake needs, and the way between them.

Migrations are Alembic scripts shipped in `_migrations/versions`, named by the version they lead to.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from stocktake.clock import Clock
from stocktake.errors import CatalogVersionError, StateError
from stocktake.state._tables import metadata

SCHEMA_VERSION = "0003"
"""The newest migration; a test compares it with the scripts."""

KNOWN_VERSIONS = ("0001", "0002", "0003")
"""Every version there was, oldest first."""

_VERSION_TABLE = "alembic_version"
# any number, the same in every process: one schema change at a time
_ADVISORY_LOCK = 7_386_146_201


def check_version(connection: Connection, address: str, *, upgrade: bool = False) -> bool:
    """True if the schema is current, False if the database is to be (or may be) brought there.

    Raises:
        CatalogVersionError: The schema is newer than this stocktake.
        StateError: Something else's tables are there, or it is an older PostgreSQL schema and
            `upgrade` was not asked for.
    """
    found = _version_of(connection, address)
    if found == SCHEMA_VERSION:
        return True
    if found is not None and connection.dialect.name == "postgresql" and not upgrade:
        raise StateError(
            f"the control database `{address}` has schema {found}, this stocktake needs "
            f"{SCHEMA_VERSION}",
            hint="upgrade it once no older stocktake uses it: stocktake catalog upgrade",
            address=address,
            reason="old",
        )
    return False


def bring_up_to_date(connection: Connection, address: str, clock: Clock) -> None:
    """Migrate inside the caller's write transaction; a SQLite file with data is copied first."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:n)"), {"n": _ADVISORY_LOCK})
    found = _version_of(connection, address)
    if found == SCHEMA_VERSION:
        return
    if found is not None and connection.dialect.name == "sqlite":
        _back_up(connection, found, clock)
    # start-up time: alembic takes longer to load than most commands run, and is rarely needed
    from stocktake.state._alembic import run_migrations

    run_migrations(connection)


def _version_of(connection: Connection, address: str) -> str | None:
    """The schema's version, None for a database without tables."""
    tables = set(inspect(connection).get_table_names())
    if _VERSION_TABLE not in tables:
        if tables & set(metadata.tables):
            raise StateError(
                f"the database `{address}` has tables of other origin with our names",
                hint="use an empty database",
                address=address,
                reason="foreign",
            )
        return None
    found = connection.execute(text(f"select version_num from {_VERSION_TABLE}")).scalar()  # noqa: S608
    if found is None:
        return None
    if found not in KNOWN_VERSIONS:
        raise CatalogVersionError(
            f"the control database `{address}` has schema {found}, this stocktake knows up to "
            f"{SCHEMA_VERSION}",
            address=address,
            schema=found,
        )
    return str(found)


def _back_up(connection: Connection, found: str, clock: Clock) -> None:
    # the caller holds the write lock, so a second connection copies exactly what will be migrated
    path = Path(str(connection.engine.url.database))
    stamp = clock.now().strftime("%Y%m%dT%H%M%SZ")
    copy = path.with_name(f"{path.name}.schema-{found}.{stamp}")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
