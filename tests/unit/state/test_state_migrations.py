"""Migrations: a migrated database equals a fresh one, and old data is copied before it changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from stocktake.clock import FixedClock
from stocktake.state import _alembic, _upgrade, metadata, open_state, properties

CURRENT = _upgrade.SCHEMA_VERSION
CLOCK = FixedClock(datetime(2026, 1, 10, 12, tzinfo=UTC))


def indexes(inspector: sa.Inspector, table: str) -> Any:
    return sorted(
        (index["name"], index["column_names"], index["unique"])
        for index in inspector.get_indexes(table)
    )


def shape(connection: sa.Connection) -> dict[str, Any]:
    """Everything a schema consists of, without the names that databases make up."""
    inspector = sa.inspect(connection)
    return {
        table: {
            "columns": [
                (c["name"], str(c["type"]), c["nullable"], c["default"])
                for c in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "references": sorted(
                (f["constrained_columns"], f["referred_table"], str(f["options"]))
                for f in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(
                (u["name"], u["column_names"]) for u in inspector.get_unique_constraints(table)
            ),
            "indexes": indexes(inspector, table),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def addresses(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two empty databases of one kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'one.db'}", f"sqlite:///{tmp_path / 'two.db'}"
    else:
        server = request.getfixturevalue("postgres")
        yield server.new_database(), server.new_database()


def engine_of(address: str) -> sa.Engine:
    return sa.create_engine(address.replace("postgresql://", "postgresql+psycopg://"))


def test_a_migrated_schema_equals_a_fresh_one(addresses: tuple[str, str]) -> None:
    open_state(addresses[0], clock=CLOCK).close()
    migrated, fresh = engine_of(addresses[0]), engine_of(addresses[1])
    metadata.create_all(fresh)
    with migrated.connect() as one, fresh.connect() as other:
        assert shape(one) == shape(other)
        assert compare_metadata(MigrationContext.configure(one), metadata) == []
    migrated.dispose()
    fresh.dispose()


def test_the_version_in_the_code_is_the_newest_script() -> None:
    scripts = ScriptDirectory.from_config(_alembic.script_config())
    known = [script.revision for script in scripts.walk_revisions()]
    assert scripts.get_current_head() == _upgrade.SCHEMA_VERSION
    assert tuple(reversed(known)) == _upgrade.KNOWN_VERSIONS


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stocktake that has one migration more."""
    scripts = tmp_path / "scripts 100%"
    (scripts / "versions").mkdir(parents=True)
    package = Path(_alembic.__file__).parent / "_migrations"
    for path in package.rglob("*.py"):
        (scripts / path.relative_to(package)).write_text(path.read_text())
    (scripts / "versions" / "v9999_colour.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision = '9999', '{_upgrade.SCHEMA_VERSION}'\n"
        "def upgrade():\n    op.add_column('properties', sa.Column('colour', sa.String()))\n"
    )
    monkeypatch.setattr(_alembic, "_SCRIPTS", scripts)
    monkeypatch.setattr(_upgrade, "KNOWN_VERSIONS", (*_upgrade.KNOWN_VERSIONS, "9999"))
    monkeypatch.setattr(_upgrade, "SCHEMA_VERSION", "9999")


def old_database(address: str) -> None:
    with open_state(address, clock=CLOCK) as state, state.write() as connection:
        connection.execute(sa.insert(properties).values(name="a", value="kept"))


def test_an_old_database_is_copied_then_migrated(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "state.db"
    old_database(f"sqlite:///{path}")
    request.getfixturevalue("next_version")
    with open_state(f"sqlite:///{path}", clock=CLOCK) as state, state.read() as connection:
        row = connection.execute(sa.text("select value, colour from properties")).one()
    assert tuple(row) == ("kept", None)
    copy = tmp_path / f"state.db.schema-{CURRENT}.20260110T120000Z"
    with closing(sqlite3.connect(copy)) as raw:
        assert raw.execute("select value from properties").fetchall() == [("kept",)]
        assert raw.execute("select version_num from alembic_version").fetchall() == [(CURRENT,)]


def test_a_failed_migration_changes_nothing(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "state.db"
    old_database(f"sqlite:///{path}")
    request.getfixturevalue("next_version")
    script = next((tmp_path / "scripts 100%" / "versions").glob("v9999*"))
    script.write_text(script.read_text() + "    op.execute('no such statement')\n")
    for _ in range(2):
        with pytest.raises(Exception, match="syntax error"):
            open_state(f"sqlite:///{path}", clock=CLOCK)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("select * from properties").fetchall() == [("a", "kept")]


@pytest.mark.servers
def test_postgres_is_migrated_only_when_asked(
    request: pytest.FixtureRequest,
) -> None:
    address = request.getfixturevalue("postgres").new_database()
    old_database(address)
    state = open_state(address, clock=CLOCK)
    request.getfixturevalue("next_version")
    with pytest.raises(_upgrade.StateError, match="this stocktake needs 9999") as caught:
        open_state(address, clock=CLOCK)
    assert caught.value.attrs["reason"] == "old"
    state.upgrade()
    state.close()
    with open_state(address, clock=CLOCK) as state, state.read() as connection:
        row = connection.execute(sa.text("select value, colour from properties")).one()
    assert tuple(row) == ("kept", None)
