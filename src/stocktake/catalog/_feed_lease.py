"""Who discovers a prefix: one process at a time, by a lease on the feed's row and a fence.

Whoever takes over a dead run raises the fence; every later write of the old holder is refused. A
run's row in `listing_runs` is made with the lease and says in the end what became of it.
"""

from __future__ import annotations

import os
import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._import_ledger import LEASE, is_alive
from stocktake.catalog._owners import host
from stocktake.catalog._renewal import LostLease, renewing
from stocktake.clock import format_utc
from stocktake.errors import DiscoveryRunningError, StocktakeError
from stocktake.listing import ListingMetrics, StrategyName
from stocktake.model import display_key, new_id, unescape_key
from stocktake.state import feeds, listing_runs

RUNNING, FINISHED, FAILED, REUSED = "running", "finished", "failed", "reused"
_KILLED = {"code": "killed", "message": "the process ended before the run did"}


@dataclass(frozen=True, slots=True)
class FeedLease:
    """The right to append to a feed.

    Attributes:
        feed_id: Of the feed.
        run_id: The run that holds it.
        strategy: What the run does.
        started_at: When it began.
        fence: Number of this holder.
    """

    feed_id: str
    run_id: str
    strategy: StrategyName
    started_at: datetime
    fence: int


def take_lease(catalog: Catalog, feed_id: str, strategy: StrategyName) -> FeedLease:
    """Begin a run. Raises `DiscoveryRunningError` if another process is at it."""
    now = catalog.clock.now()
    run_id = new_id("run", catalog.clock)
    with catalog.state.write() as connection:
        row = _locked(connection, feed_id)
        if row.owner is not None and is_alive(catalog, row):
            raise DiscoveryRunningError(
                f"s3://{row.bucket}/{display_key(unescape_key(row.prefix))} is being discovered by "
                f"process {row.owner_pid} on {row.owner_host}",
                feed_id=feed_id,
            )
        connection.execute(
            update(feeds)
            .where(feeds.c.id == feed_id)
            .values(
                owner=f"{run_id}.{secrets.token_hex(4)}",
                owner_host=host(),
                owner_pid=os.getpid(),
                lease_until=format_utc(now + LEASE),
                fence=row.fence + 1,
            )
        )
        connection.execute(
            update(listing_runs)
            .where(listing_runs.c.feed_id == feed_id, listing_runs.c.state == RUNNING)
            .values(state=FAILED, error=_KILLED, finished_at=format_utc(now))
        )
        connection.execute(
            insert(listing_runs).values(
                id=run_id,
                feed_id=feed_id,
                bucket=row.bucket,
                prefix=row.prefix,
                strategy=strategy.value,
                started_at=format_utc(now),
                state=RUNNING,
            )
        )
    return FeedLease(feed_id, run_id, strategy, now, row.fence + 1)


def keep_reused(
    catalog: Catalog, feed_id: str, strategy: StrategyName, metrics: ListingMetrics
) -> str:
    """Note a run that needed no listing; its id. Needs no lease."""
    run_id = new_id("run", catalog.clock)
    now = format_utc(catalog.clock.now())
    with catalog.state.write() as connection:
        row = connection.execute(select(feeds).where(feeds.c.id == feed_id)).one()
        connection.execute(
            insert(listing_runs).values(
                id=run_id,
                feed_id=feed_id,
                bucket=row.bucket,
                prefix=row.prefix,
                strategy=strategy.value,
                started_at=now,
                finished_at=now,
                state=REUSED,
                metrics=metrics.to_dict(),
            )
        )
    return run_id


def hold(connection: Connection, catalog: Catalog, lease: FeedLease) -> Row[Any]:
    """The feed's row, locked and the lease renewed; or refuse the transaction."""
    row = _locked(connection, lease.feed_id)
    if row.fence != lease.fence or row.owner is None:
        raise DiscoveryRunningError(
            f"the run `{lease.run_id}` was taken over by another process",
            hint="this one stopped renewing its lease for a minute; let the other finish",
            feed_id=lease.feed_id,
        )
    connection.execute(
        update(feeds)
        .where(feeds.c.id == lease.feed_id)
        .values(lease_until=format_utc(catalog.clock.now() + LEASE))
    )
    return row


def end_run(catalog: Catalog, lease: FeedLease, error: BaseException | None) -> None:
    """Give the lease back; a run that absorbed nothing has failed. Not ours any more: no change."""
    with catalog.state.write() as connection:
        row = _locked(connection, lease.feed_id)
        if row.fence == lease.fence:
            connection.execute(
                update(feeds)
                .where(feeds.c.id == lease.feed_id)
                .values(owner=None, owner_host=None, owner_pid=None, lease_until=None)
            )
        failure = {
            "state": FAILED,
            "error": _error_json(error),
            "finished_at": format_utc(catalog.clock.now()),
        }
        of_run = listing_runs.c.id == lease.run_id
        if error is None:
            of_run &= listing_runs.c.state == RUNNING
        connection.execute(update(listing_runs).where(of_run).values(**failure))


def heartbeat(catalog: Catalog, lease: FeedLease) -> AbstractContextManager[LostLease]:
    """Renew the lease from a thread of its own while the block runs."""

    def renew() -> None:
        with catalog.state.write() as connection:
            hold(connection, catalog, lease)

    return renewing(renew, LEASE, lease.run_id, DiscoveryRunningError)


def _locked(connection: Connection, feed_id: str) -> Row[Any]:
    return connection.execute(select(feeds).where(feeds.c.id == feed_id).with_for_update()).one()


def _error_json(error: BaseException | None) -> dict[str, Any]:
    if error is None:
        return {"code": "discovery", "message": "the run ended without absorbing anything"}
    if isinstance(error, StocktakeError):
        return error.to_dict()
    return {"code": "internal", "message": f"{type(error).__name__}: {error}"}
