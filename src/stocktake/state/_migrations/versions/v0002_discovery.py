"""Discovery and ingest: feeds and their segments, cursors, listing runs, events, consumers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Forward; there is no way back but the backup copy."""
    _create_feeds()
    _create_events_and_profiles()
    _create_ingest()


def _create_feeds() -> None:
    op.create_table(
        "feeds",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("base_snapshot_id", sa.String(), nullable=True),
        sa.Column("base_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("base_carried", sa.String(), nullable=True),
        sa.Column("last_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("complete_through", sa.String(), nullable=True),
        sa.Column("complete_scan", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("fresh_to", sa.String(), nullable=True),
        sa.Column("fresh_by", sa.String(), nullable=True),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("owner_host", sa.String(), nullable=True),
        sa.Column("owner_pid", sa.Integer(), nullable=True),
        sa.Column("lease_until", sa.String(), nullable=True),
        sa.Column("fence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["base_snapshot_id"], ["snapshots.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("bucket", "prefix", name="uq_feeds_place"),
    )
    op.create_table(
        "feed_cursors",
        sa.Column("feed_id", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("cursor", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"]),
        sa.PrimaryKeyConstraint("feed_id", "strategy"),
    )
    op.create_table(
        "feed_segments",
        sa.Column("feed_id", sa.String(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"]),
        sa.PrimaryKeyConstraint("feed_id", "first_seq"),
    )
    op.create_table(
        "listing_runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("feed_id", sa.String(), nullable=True),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("strategy", sa.String(), nullable=False),
        sa.Column("started_at", sa.String(), nullable=False),
        sa.Column("finished_at", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=True),
        sa.Column("audit_missed", sa.JSON(), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_listing_runs_place", "listing_runs", ["bucket", "prefix"], unique=False)


def _create_events_and_profiles() -> None:
    op.create_table(
        "event_quarantine",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("received_at", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("queue", "message_id", name="uq_event_quarantine_message"),
    )
    op.create_table(
        "held_events",
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column(
            "key",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("version_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sequencer", sa.String(), nullable=True),
        sa.Column("event", sa.JSON(), nullable=False),
        sa.Column("received_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "key", "version_id"),
    )
    op.create_table(
        "store_profiles",
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("profile", sa.JSON(), nullable=False),
        sa.Column("probed_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "bucket"),
    )


def _create_ingest() -> None:
    op.create_table(
        "ingestions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("feed_id", sa.String(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("start_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("low_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled", sa.LargeBinary(), nullable=True),
        sa.Column("claimed", sa.LargeBinary(), nullable=True),
        sa.Column("waiting", sa.LargeBinary(), nullable=True),
        sa.Column("fence", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_ingestions_name"),
    )
    op.create_table(
        "ingest_claims",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ingestion_id", sa.String(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("owner_host", sa.String(), nullable=False),
        sa.Column("owner_pid", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("seqs", sa.LargeBinary(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["ingestion_id"], ["ingestions.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_ingest_claims_ingestion", "ingest_claims", ["ingestion_id"], unique=False)
    op.create_table(
        "ingest_commits",
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("ingestion_id", sa.String(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("seqs", sa.LargeBinary(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("recovered", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("committed_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["ingestion_id"], ["ingestions.id"]),
        sa.PrimaryKeyConstraint("token"),
    )
    op.create_index(
        "ix_ingest_commits_ingestion", "ingest_commits", ["ingestion_id", "first_seq"], unique=False
    )
    op.create_table(
        "ingest_items",
        sa.Column("ingestion_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version_id", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("history", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["ingestion_id"], ["ingestions.id"]),
        sa.PrimaryKeyConstraint("ingestion_id", "seq"),
    )
    op.create_index("ix_ingest_items_key", "ingest_items", ["ingestion_id", "key"], unique=False)
    op.create_index(
        "ix_ingest_items_due", "ingest_items", ["ingestion_id", "state", "next_at"], unique=False
    )
