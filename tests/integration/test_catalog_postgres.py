"""The control database on a real PostgreSQL: the same rules as on SQLite (CAT-1, CAT-6, CAT-7)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from postgres_server import PostgresServer
from snapshot_world import DAY, publish, row, source_row
from stocktake.catalog import (
    Catalog,
    RetentionPolicy,
    delete_snapshot,
    find_snapshot,
    list_objects,
    list_snapshots,
    newest_seq,
    open_catalog,
    retain,
    run_sql,
    sweep,
    use_snapshot,
)
from stocktake.catalog._change_log import append_changes
from stocktake.clock import FixedClock, SystemClock
from stocktake.errors import (
    CatalogVersionError,
    SnapshotInUseError,
    StateError,
    StateLockedError,
)
from stocktake.state import State, change_segments, open_state, properties

pytestmark = pytest.mark.servers
CLOCK = FixedClock(datetime(2026, 1, 10, 12, tzinfo=UTC))


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def state(address: str) -> Iterator[State]:
    with open_state(address, clock=CLOCK, busy_timeout_s=0.2) as state:
        yield state


@pytest.fixture
def catalog(address: str, tmp_path: Path) -> Iterator[Catalog]:
    where = str(tmp_path / "catalog")
    with open_catalog(
        where, state_url=address, create=True, clock=SystemClock(), threads=1
    ) as catalog:
        yield catalog


def put(state: State, name: str) -> None:
    with state.write() as connection:
        connection.execute(insert(properties).values(name=name, value="x"))


def names(state: State) -> list[str]:
    with state.read() as connection:
        return sorted(connection.execute(select(properties.c.name)).scalars())


def test_a_block_is_one_transaction(state: State) -> None:
    put(state, "a")
    with pytest.raises(IntegrityError):
        put(state, "a")
    assert names(state) == ["a"]
    assert state.dialect == "postgresql"


def test_readers_see_one_moment_and_cannot_write(state: State) -> None:
    with state.read() as connection:
        assert connection.execute(select(properties)).all() == []
        put(state, "a")
        assert connection.execute(select(properties)).all() == []
    with pytest.raises(StateError, match="read-only transaction"), state.read() as connection:
        connection.execute(insert(properties).values(name="b", value="x"))


def test_many_processes_may_create_it_at_once(address: str) -> None:
    failures: list[BaseException] = []

    def create() -> None:
        try:
            open_state(address, clock=CLOCK).close()
        except BaseException as error:  # noqa: BLE001 - any failure at all is the finding
            failures.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_row_somebody_holds_says_busy(state: State) -> None:
    put(state, "a")
    held = select(properties).with_for_update()
    with state.write() as connection:
        connection.execute(held)
        with pytest.raises(StateLockedError, match="is busy"), state.write() as other:
            other.execute(held)


def test_a_server_that_is_not_there_says_so(postgres: PostgresServer) -> None:
    for url in (
        "postgresql://u:hunter2@127.0.0.1:1/x",
        f"postgresql://postgres@/nowhere?host={postgres.socket}",
    ):
        with pytest.raises(StateError, match="cannot be reached") as caught:
            open_state(url, clock=CLOCK)
        assert caught.value.retryable
        assert "hunter2" not in caught.value.message


def test_a_server_that_restarts_is_found_again(state: State) -> None:
    put(state, "a")
    with state.write() as connection:
        own = connection.execute(text("select pg_backend_pid()")).scalar()
    with state.write() as connection:
        connection.execute(
            text(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        )
    assert own
    assert names(state) == ["a"]


def test_a_newer_schema_is_refused(address: str) -> None:
    with open_state(address, clock=CLOCK) as state, state.write() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(CatalogVersionError, match="has schema 9999"):
        open_state(address, clock=CLOCK)


def test_wrong_statements_are_the_programs_fault(state: State) -> None:
    with pytest.raises(ProgrammingError), state.read() as connection:
        connection.execute(text("select * from nowhere"))


def test_a_catalog_lives_on_it(catalog: Catalog, address: str, tmp_path: Path) -> None:
    old = publish(catalog, [row("a"), row("b")])
    new = publish(catalog, [row("a"), row("c")], as_of=DAY + timedelta(days=1))
    with open_catalog(str(tmp_path / "catalog"), state_url=address, threads=1) as again:
        found = find_snapshot(again, "latest")
        assert found.id == new.id
        assert list_objects(again, found).rows.column("key").to_pylist() == ["a", "c"]
        changes = run_sql(again, "select count(*) n from diff('previous', 'latest')")
        assert changes.rows.to_pylist() == [{"n": 2}]
    with use_snapshot(catalog, old), pytest.raises(SnapshotInUseError):
        delete_snapshot(catalog, old)
    assert [s.id for s in retain(catalog, RetentionPolicy(last=1), dry_run=False).deleted] == [
        old.id
    ]
    assert [s.id for s in list_snapshots(catalog)] == [new.id]
    assert sweep(catalog).deletions_finished == ()


def test_without_its_database_a_catalog_is_not_opened(
    catalog: Catalog, postgres: PostgresServer, tmp_path: Path
) -> None:
    with pytest.raises(StateError, match="belongs to no catalog yet"):
        open_catalog(str(tmp_path / "catalog"))
    with pytest.raises(StateError, match="belongs to no catalog yet"):
        open_catalog(str(tmp_path / "catalog"), state_url=postgres.new_database())


def test_publishers_at_once_leave_no_gap_in_the_numbers(catalog: Catalog) -> None:
    source = source_row(catalog, "photos", "daily")

    def publish_some(name: str) -> None:
        for number in range(10):
            with catalog.state.write() as connection:
                append_changes(
                    connection,
                    catalog,
                    source,
                    old_snapshot_id=None,
                    new_snapshot_id=f"{name}{number}",
                    path=f"changes/{source}/{name}{number}.parquet",
                    count=1 + number % 3,
                )

    threads = [threading.Thread(target=publish_some, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with catalog.state.read() as connection:
        segments = connection.execute(
            select(change_segments.c.first_seq, change_segments.c.last_seq).order_by(
                change_segments.c.first_seq
            )
        ).all()
    expected = 1
    for first, last in segments:
        assert first == expected
        expected = last + 1
    assert newest_seq(catalog, source) == expected - 1
    assert len(segments) == 30
