"""Leases of readers: while somebody reads a snapshot, nobody deletes it.

A lease lasts minutes and is renewed while its block runs, so a reader that was killed stops
counting soon, and at once on its own host, where its process can be looked for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._owners import host, is_gone
from stocktake.catalog._snapshots import PUBLISHED, Snapshot
from stocktake.clock import Clock, format_utc, parse_utc
from stocktake.errors import SnapshotInUseError, SnapshotNotFoundError, StateError
from stocktake.model import new_id
from stocktake.state import snapshot_uses, snapshots

LEASE = timedelta(minutes=5)
_RENEW_EVERY_S = 60.0


@contextmanager
def use_snapshot(catalog: Catalog, snapshot: Snapshot) -> Iterator[Snapshot]:
    """Keep a snapshot's files there for the length of the block.

    Raises:
        SnapshotNotFoundError: It is gone, or going.
    """
    with _leased(catalog, snapshot, new_id("use", catalog.clock)):
        yield snapshot


@contextmanager
def _leased(catalog: Catalog, snapshot: Snapshot, owner: str) -> Iterator[None]:
    _take(catalog, snapshot, owner)
    stopped = threading.Event()
    renewal = threading.Thread(
        target=_renew, args=(catalog, owner, stopped), name=f"lease-{owner}", daemon=True
    )
    renewal.start()
    try:
        yield
    finally:
        stopped.set()
        renewal.join()
        with catalog.state.write() as connection:
            connection.execute(delete(snapshot_uses).where(snapshot_uses.c.owner == owner))


@contextmanager
def use_alone(catalog: Catalog, snapshot: Snapshot, name: str) -> Iterator[None]:
    """Hold a snapshot for one kind of work that nobody else may do meanwhile.

    Readers may come later; `other_uses` tells of them.

    Raises:
        SnapshotInUseError: Somebody uses it now.
        SnapshotNotFoundError: It is gone, or going.
    """
    with catalog.state.write() as connection:
        if users := live_uses(connection, snapshot.id, catalog.clock):
            raise SnapshotInUseError(
                f"the snapshot `{snapshot.id}` is in use by {', '.join(users)}",
                hint="try again when they are done",
                id=snapshot.id,
            )
        connection.execute(delete(snapshot_uses).where(snapshot_uses.c.snapshot_id == snapshot.id))
    try:
        with _leased(catalog, snapshot, f"{name}:{snapshot.id}"):
            yield
    except IntegrityError as error:  # two began at the same instant: the primary key chose one
        raise SnapshotInUseError(
            f"the snapshot `{snapshot.id}` is in use by another {name}", id=snapshot.id
        ) from error


def other_uses(catalog: Catalog, snapshot: Snapshot, name: str) -> bool:
    """True if somebody besides the holder of `use_alone` uses the snapshot."""
    with catalog.state.read() as connection:
        owners = connection.execute(
            select(snapshot_uses.c.owner).where(snapshot_uses.c.snapshot_id == snapshot.id)
        ).scalars()
        if set(owners) == {f"{name}:{snapshot.id}"}:
            return False
        return len(live_uses(connection, snapshot.id, catalog.clock)) > 1


def live_uses(connection: Connection, snapshot_id: str, clock: Clock) -> list[str]:
    """Who reads the snapshot now, as `host:pid`."""
    rows = connection.execute(
        select(snapshot_uses).where(snapshot_uses.c.snapshot_id == snapshot_id)
    ).all()
    return [
        f"{row.owner_host}:{row.owner_pid}"
        for row in rows
        if parse_utc(row.lease_until) > clock.now() and not is_gone(row.owner_host, row.owner_pid)
    ]


def _take(catalog: Catalog, snapshot: Snapshot, owner: str) -> None:
    with catalog.state.write() as connection:
        # the row lock makes a delete that began before either see this lease or be seen here
        state = connection.execute(
            select(snapshots.c.state).where(snapshots.c.id == snapshot.id).with_for_update()
        ).scalar()
        if state != PUBLISHED:
            raise SnapshotNotFoundError(f"the snapshot `{snapshot.id}` is gone", id=snapshot.id)
        connection.execute(
            insert(snapshot_uses).values(
                snapshot_id=snapshot.id,
                owner=owner,
                owner_host=host(),
                owner_pid=os.getpid(),
                lease_until=_until(catalog.clock),
            )
        )


def _renew(catalog: Catalog, owner: str, stopped: threading.Event) -> None:
    while not stopped.wait(_RENEW_EVERY_S):
        try:
            with catalog.state.write() as connection:
                connection.execute(
                    update(snapshot_uses)
                    .where(snapshot_uses.c.owner == owner)
                    .values(lease_until=_until(catalog.clock))
                )
        except StateError:
            # the lease outlasts several failed renewals; the reader itself must not fail for it
            continue


def _until(clock: Clock) -> str:
    return format_utc(clock.now() + LEASE)
