"""Tables of discovery: feeds, where each strategy stands, listing runs, events on hold."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from stocktake.state._tables import metadata

_IN_BYTE_ORDER = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that PostgreSQL sorts as SQLite does, whatever its locale: so that prefixes are ranges."""

feeds = Table(
    "feeds",
    metadata,
    Column("id", String, primary_key=True),
    Column("bucket", String, nullable=False),
    Column("prefix", String, nullable=False),
    Column("base_snapshot_id", String, ForeignKey("snapshots.id")),
    Column("base_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("base_carried", String),
    Column("last_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("complete_through", String),
    Column("complete_scan", Integer, nullable=False, server_default=text("0")),
    Column("fresh_to", String),
    Column("fresh_by", String),
    Column("owner", String),
    Column("owner_host", String),
    Column("owner_pid", Integer),
    Column("lease_until", String),
    Column("fence", Integer, nullable=False, server_default=text("0")),
    Column("created_at", String, nullable=False),
    UniqueConstraint("bucket", "prefix", name="uq_feeds_place"),
)
"""One row per prefix (escaped) that is discovered. What is known of it = the base snapshot, on top
of it the rows of `base_carried` (a Parquet file; mostly there is none), on top of them the segments
after `base_seq`. `complete_through` moves only when a full scan is absorbed, to its start;
`fresh_to` is the newest instant that events or partial listings speak of, `fresh_by` which
strategy's. A discovery run holds the lease; only the holder of the newest fence may append."""

feed_segments = Table(
    "feed_segments",
    metadata,
    Column("feed_id", String, ForeignKey("feeds.id"), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("origin", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("path", String, nullable=False),
    Column("created_at", String, nullable=False),
)
"""The feed: numbers `first_seq..last_seq` (dense) are the rows of the Parquet file `path`."""

feed_cursors = Table(
    "feed_cursors",
    metadata,
    Column("feed_id", String, ForeignKey("feeds.id"), primary_key=True),
    Column("strategy", String, primary_key=True),
    Column("cursor", JSON, nullable=False),
    Column("updated_at", String, nullable=False),
)
"""Where a strategy goes on: written in the transaction that appends what it found."""

listing_runs = Table(
    "listing_runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("feed_id", String, ForeignKey("feeds.id")),
    Column("bucket", String, nullable=False),
    Column("prefix", String, nullable=False),
    Column("strategy", String, nullable=False),
    Column("started_at", String, nullable=False),
    Column("finished_at", String),
    Column("state", String, nullable=False),
    Column("metrics", JSON),
    Column("audit_missed", JSON),
    Column("error", JSON),
)
"""One row per run of a strategy, with its ListingMetrics. States: running, finished, failed,
reused. `audit_missed` of a full scan: strategy -> objects that it had missed."""

Index("ix_listing_runs_place", listing_runs.c.bucket, listing_runs.c.prefix)

held_events = Table(
    "held_events",
    metadata,
    Column("bucket", String, primary_key=True),
    Column("key", _IN_BYTE_ORDER, primary_key=True),
    Column("version_id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("sequencer", String),
    Column("event", JSON, nullable=False),
    Column("received_at", String, nullable=False),
)
"""Events taken from a queue and not yet in a feed: the newest per (bucket, key, version); the
version is '' where the bucket has none. A row is there before its message is deleted."""

event_quarantine = Table(
    "event_quarantine",
    metadata,
    Column("id", String, primary_key=True),
    Column("queue", String, nullable=False),
    Column("message_id", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("received_at", String, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("1")),
    UniqueConstraint("queue", "message_id", name="uq_event_quarantine_message"),
)
"""Messages that could not be understood, whole, so that nothing is lost and nothing loops. The body
is escaped as keys are; `attempts` counts how often it came or was tried again."""

store_profiles = Table(
    "store_profiles",
    metadata,
    Column("endpoint", String, primary_key=True),
    Column("bucket", String, primary_key=True),
    Column("profile", JSON, nullable=False),
    Column("probed_at", String, nullable=False),
)
"""What a store was found to do, per endpoint and bucket."""
