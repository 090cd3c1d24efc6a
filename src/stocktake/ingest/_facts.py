"""What became of one number: asked of the rows, for people and for the overwrite policy."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from stocktake.ingest._exceptions import NOT_LOADED, rows_of
from stocktake.ingest._ledger import Consumer, LockedConsumer, claims_of, looked_at
from stocktake.ingest._seqs import unpack
from stocktake.state import ingest_commits


def commits_of(here: LockedConsumer, seq: int) -> list[Row[Any]]:
    """Every commit that loaded the number, oldest first; more than one after a replay."""
    rows = here.connection.execute(
        select(ingest_commits)
        .where(
            ingest_commits.c.ingestion_id == here.id,
            ingest_commits.c.first_seq <= seq,
            ingest_commits.c.last_seq >= seq,
        )
        .order_by(ingest_commits.c.committed_at, ingest_commits.c.token)
    )
    return [row for row in rows if seq in unpack(row.seqs)]


def claim_of(here: LockedConsumer, seq: int) -> Row[Any] | None:
    """The claim that holds the number, if one does."""
    for row in claims_of(here):
        if seq in unpack(row.seqs):
            return row
    return None


def is_unloaded(consumer: Consumer, seq: int) -> bool:
    """True if a settled number that the filters let through was settled without being loaded.

    Either its row says so, or it was there before the ingestion began and was never replayed.
    """
    with looked_at(consumer) as here:
        if any(row.state in NOT_LOADED for row in rows_of(here.connection, here.id, [seq])):
            return True
        return seq <= here.start_seq and not commits_of(here, seq)
