"""What feeds need: the snapshots they stand on, and their own files."""

from __future__ import annotations

from sqlalchemy import Connection, select

from stocktake.model import display_key, unescape_key
from stocktake.state import feed_segments, feeds


def feeds_on(connection: Connection, snapshot_id: str) -> list[str]:
    """Addresses of the feeds whose base a snapshot is."""
    rows = connection.execute(
        select(feeds.c.bucket, feeds.c.prefix)
        .where(feeds.c.base_snapshot_id == snapshot_id)
        .order_by(feeds.c.bucket, feeds.c.prefix)
    )
    return [f"s3://{row.bucket}/{display_key(unescape_key(row.prefix))}" for row in rows]


def feed_files(connection: Connection) -> set[str]:
    """Every file that some feed is made of."""
    paths: set[str] = set(connection.execute(select(feed_segments.c.path)).scalars())
    carried = select(feeds.c.base_carried).where(feeds.c.base_carried.is_not(None))
    return paths | set(connection.execute(carried).scalars())


def holding_runs(connection: Connection) -> set[str]:
    """Runs that hold a feed, and so may have written files which no row names yet.

    Also those whose lease has run out: until another one takes the feed over, they may append.
    """
    owners = select(feeds.c.owner).where(feeds.c.owner.is_not(None))
    return {owner.partition(".")[0] for owner in connection.execute(owners).scalars()}
