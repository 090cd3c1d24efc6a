"""Putting many small segments together: a run every few seconds makes thousands of them in a day.

Numbers and rows stay as they are; only which file holds them changes, in one transaction. Then the
small files go. Whoever reads one at that moment looks again (`_feed_reading`).
"""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._feed_lease import FeedLease, hold
from stocktake.catalog._feed_reading import Segment
from stocktake.catalog._feed_segments import FEEDS_FOLDER, SEGMENT, RowFile, batches_of
from stocktake.clock import format_utc
from stocktake.faults import reached
from stocktake.state import feed_segments, feeds

SEGMENTS_MAX = 64
"""So many small ones at the end of a feed are put together."""

_ROWS_MAX = 200_000
_MERGED = "merged"


def merge_tail(catalog: Catalog, lease: FeedLease) -> int:
    """Put the last segments of a feed together if they are many and small; how many they were.

    Memory: a batch. Costs a rewrite of at most 200,000 rows.
    """
    small = _small_tail(catalog, lease.feed_id)
    if len(small) < SEGMENTS_MAX:
        return 0
    first, last = small[0].first_seq, small[-1].last_seq
    path = f"{FEEDS_FOLDER}/{lease.feed_id}/{lease.run_id}-merged-{first}.parquet"
    with RowFile(catalog, path, SEGMENT) as file:
        for rows in batches_of(catalog, [segment.path for segment in small]):
            file.add(rows)
    reached("feed.merge-written")
    with catalog.state.write() as connection:
        hold(connection, catalog, lease)
        connection.execute(
            delete(feed_segments).where(
                feed_segments.c.feed_id == lease.feed_id,
                feed_segments.c.first_seq.between(first, last),
            )
        )
        connection.execute(
            insert(feed_segments).values(
                feed_id=lease.feed_id,
                first_seq=first,
                last_seq=last,
                origin=_MERGED,
                run_id=lease.run_id,
                path=path,
                created_at=format_utc(catalog.clock.now()),
            )
        )
    reached("feed.merged")
    for segment in small:
        catalog.files.remove(segment.path)
    return len(small)


def _small_tail(catalog: Catalog, feed_id: str) -> list[Segment]:
    """The newest segments above the base that together are small, in order."""
    with catalog.state.read() as connection:
        base_seq = connection.execute(
            select(feeds.c.base_seq).where(feeds.c.id == feed_id)
        ).scalar_one()
        rows = connection.execute(
            select(feed_segments)
            .where(feed_segments.c.feed_id == feed_id, feed_segments.c.first_seq > base_seq)
            .order_by(feed_segments.c.first_seq.desc())
        ).all()
    found: list[Segment] = []
    for row in rows:
        segment = Segment(row.first_seq, row.last_seq, row.path)
        if rows[0].last_seq - segment.first_seq >= _ROWS_MAX:
            break
        found.append(segment)
    return found[::-1]
