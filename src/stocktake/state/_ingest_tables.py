"""Tables of ingest: consumers of feeds. State grows with exceptions and batches, not with files."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from stocktake.state._tables import metadata

ingestions = Table(
    "ingestions",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("feed_id", String, ForeignKey("feeds.id"), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("start_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("low_seq", BigInteger, nullable=False, server_default=text("0")),
    Column("settled", LargeBinary),
    Column("claimed", LargeBinary),
    Column("waiting", LargeBinary),
    Column("fence", BigInteger, nullable=False, server_default=text("0")),
    Column("state", String, nullable=False),
    Column("created_at", String, nullable=False),
    UniqueConstraint("name", name="uq_ingestions_name"),
)
"""One row per consumer. Every number up to `low_seq` is settled (done, skipped, superseded,
vanished or dead); `settled`, `claimed` and `waiting` (to be tried again) are Roaring bitmaps (64
bit, portable format) of numbers above it. `fence` counts claims. States: starting (its first
discovery decides where it begins), active, paused."""

ingest_claims = Table(
    "ingest_claims",
    metadata,
    Column("id", String, primary_key=True),
    Column("ingestion_id", String, ForeignKey("ingestions.id"), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("worker", String, nullable=False),
    Column("owner_host", String, nullable=False),
    Column("owner_pid", Integer, nullable=False),
    Column("lease_until", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("seqs", LargeBinary, nullable=False),
    Column("files", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("error", JSON),
    Column("created_at", String, nullable=False),
)
"""Batches in somebody's hands. The id is the commit token; a batch whose lease ran out is claimed
again whole, under the same id, with a higher fence. At once if its process is gone from this host,
or if it was given back (`owner_pid` 0). `error`: why the last load of the whole batch failed."""

Index("ix_ingest_claims_ingestion", ingest_claims.c.ingestion_id)

ingest_items = Table(
    "ingest_items",
    metadata,
    Column("ingestion_id", String, ForeignKey("ingestions.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("key", Text, nullable=False),
    Column("version_id", String),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", String),
    Column("reason", String, nullable=False),
    Column("history", JSON, nullable=False),
    Column("updated_at", String, nullable=False),
)
"""The exceptions: items that failed, died, were skipped by hand, superseded, or vanished.

States: retry, dead, skipped, superseded, vanished; discovered if it was taken back by a replay, and
done after an earlier exception. `history` holds the last attempts: time, worker, error."""

Index("ix_ingest_items_key", ingest_items.c.ingestion_id, ingest_items.c.key)
Index(
    "ix_ingest_items_due",
    ingest_items.c.ingestion_id,
    ingest_items.c.state,
    ingest_items.c.next_at,
)

ingest_commits = Table(
    "ingest_commits",
    metadata,
    Column("token", String, primary_key=True),
    Column("ingestion_id", String, ForeignKey("ingestions.id"), nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("seqs", LargeBinary, nullable=False),
    Column("files", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("worker", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("recovered", Integer, nullable=False, server_default=text("0")),
    Column("committed_at", String, nullable=False),
)
"""One row per committed batch. `recovered`: found in the sink after a crash, not loaded again."""

Index("ix_ingest_commits_ingestion", ingest_commits.c.ingestion_id, ingest_commits.c.first_seq)
