"""Opening a control database: settings, versions, and what goes wrong."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError

from stocktake.clock import FixedClock
from stocktake.errors import (
    CatalogVersionError,
    DiskFullError,
    InvalidSettingError,
    MissingExtraError,
    StateError,
    StateLockedError,
)
from stocktake.state import State, open_state, properties, sources

CLOCK = FixedClock(datetime(2026, 1, 10, 12, tzinfo=UTC))


def at(path: Path) -> str:
    return f"sqlite:///{path / 'state.db'}"


def opened(path: Path, **options: float) -> State:
    return open_state(at(path), clock=CLOCK, **options)


def put(state: State, name: str, value: str = "x") -> None:
    with state.write() as connection:
        connection.execute(insert(properties).values(name=name, value=value))


def names(state: State) -> list[str]:
    with state.read() as connection:
        return list(connection.execute(select(properties.c.name)).scalars())


def test_a_write_is_there_after_reopening(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        put(state, "a")
    with opened(tmp_path) as state:
        assert names(state) == ["a"]


def put_and_fail(state: State) -> None:
    with state.write() as connection:
        connection.execute(insert(properties).values(name="a", value="x"))
        raise ZeroDivisionError


def test_a_failed_block_leaves_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        with pytest.raises(ZeroDivisionError):
            put_and_fail(state)
        assert names(state) == []


def test_sqlite_is_durable_and_checks_references(tmp_path: Path) -> None:
    with opened(tmp_path) as state, state.read() as connection:
        settings = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_constraint_violations_reach_the_caller_unchanged(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        put(state, "a")
        with pytest.raises(IntegrityError):
            put(state, "a")


def test_readers_see_one_moment_while_others_write(tmp_path: Path) -> None:
    with opened(tmp_path) as state, state.read() as connection:
        count = select(func.count()).select_from(properties)
        before = connection.execute(count).scalar()
        put(state, "a")
        assert connection.execute(count).scalar() == before == 0


def test_a_second_writer_waits_then_says_locked(tmp_path: Path) -> None:
    with opened(tmp_path) as one, opened(tmp_path, busy_timeout_s=0.05) as other:
        with one.write(), pytest.raises(StateLockedError) as caught, other.write():
            pass
        assert caught.value.retryable
        assert "locked" in caught.value.message


def test_read_then_write_never_fails_because_of_a_writer_between(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        put(state, "n", "0")

        def add_one() -> None:
            for _ in range(10):
                with state.write() as connection:
                    known = connection.execute(select(properties.c.value)).scalar_one()
                    connection.execute(properties.update().values(value=str(int(known) + 1)))

        threads = [threading.Thread(target=add_one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with state.read() as connection:
            assert connection.execute(select(properties.c.value)).scalar() == "40"


def test_many_processes_may_create_it_at_once(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def create() -> None:
        try:
            opened(tmp_path).close()
        except BaseException as error:  # noqa: BLE001 - any failure at all is the finding
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_damaged_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(StateError, match="damaged or not a database") as caught:
        opened(tmp_path)
    assert caught.value.attrs["reason"] == "corrupt"
    assert not caught.value.retryable


def test_a_missing_folder_says_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be opened") as caught:
        opened(tmp_path / "nowhere")
    assert caught.value.attrs["reason"] == "cannot-open"


def pragma(state: State, text_: str) -> None:
    """Set it on the connection that the pool gives out next."""
    with state.read() as connection:
        connection.execute(text(f"PRAGMA {text_}"))


def test_a_full_disk_says_so(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        pragma(state, "max_page_count = 1")  # never below what there is
        with pytest.raises(DiskFullError, match="no space left"):
            put(state, "a", "x" * 200_000)
        assert names(state) == []


def test_a_read_only_file_says_so(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        pragma(state, "query_only = 1")
        with pytest.raises(StateError, match="may not be written"):
            put(state, "a")


def test_other_failures_are_told_as_they_are(tmp_path: Path) -> None:
    with (
        opened(tmp_path) as state,
        pytest.raises(StateError, match="no such table"),
        state.read() as connection,
    ):
        connection.execute(text("select * from nowhere"))


def test_no_free_connection_counts_as_locked(tmp_path: Path) -> None:
    from contextlib import ExitStack

    with opened(tmp_path, busy_timeout_s=0.05) as state, ExitStack() as stack:
        for _ in range(32):
            stack.enter_context(state.read())
        with pytest.raises(StateLockedError, match="became free"), state.read():
            pass


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("not an address", "is not one"),
        ("mysql://u@h/x", "cannot be `mysql`"),
        ("sqlite://", "cannot live in memory"),
        ("sqlite:///:memory:", "cannot live in memory"),
    ],
)
def test_addresses_that_cannot_be(url: str, said: str) -> None:
    with pytest.raises(InvalidSettingError, match=said):
        open_state(url, clock=CLOCK)


def test_postgres_without_its_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(MissingExtraError) as caught:
        open_state("postgresql://u@127.0.0.1/x", clock=CLOCK)
    assert caught.value.hint == "pip install 'stocktake[postgres]'"


def test_passwords_stay_out_of_messages() -> None:
    with pytest.raises(StateError) as caught:
        open_state("postgresql://u:hunter2@127.0.0.1:1/x", clock=CLOCK)
    assert "hunter2" not in str(caught.value.to_dict())
    assert caught.value.retryable


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).close()
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("update alembic_version set version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(CatalogVersionError, match="has schema 9999"):
        opened(tmp_path)
    assert path.read_bytes() == before


def test_somebody_elses_tables_are_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as raw, raw:
        raw.execute("create table snapshots (x int)")
    with pytest.raises(StateError, match="tables of other origin"):
        opened(tmp_path)


def test_upgrade_of_a_current_database_does_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        put(state, "a")
        state.upgrade()
        assert names(state) == ["a"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.db"]


def test_sources_start_without_changes(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        with state.write() as connection:
            connection.execute(
                insert(sources).values(
                    id="src_1",
                    kind="list",
                    bucket="b",
                    config_id="c",
                    location="s3://b",
                    settings={"key_encoding": "form"},
                    created_at="2026-01-01T00:00:00Z",
                )
            )
        with state.read() as connection:
            row = connection.execute(select(sources)).one()
        assert (row.last_seq, row.settings) == (0, {"key_encoding": "form"})
