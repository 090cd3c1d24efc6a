"""Upload manifests: datasets, what was uploaded to them, versions, runs, digests of local files."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Forward; there is no way back but the backup copy."""
    _create_datasets()
    _create_entries()
    _create_runs()


def _create_datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("created_at", sa.String(), nullable=False),
        sa.Column("last_synced", sa.String(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_files", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_size_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("copy_etag", sa.String(), nullable=True),
        sa.Column("copy_version", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_datasets_place", "datasets", ["bucket", "prefix"], unique=False)
    op.create_table(
        "file_digests",
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("inode", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("ctime_ns", sa.BigInteger(), nullable=False),
        sa.Column("md5", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("crc64nvme", sa.String(), nullable=True),
        sa.Column("hashed_at", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("place", "path"),
    )


def _create_entries() -> None:
    op.create_table(
        "dataset_entries",
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("s3_key", sa.LargeBinary(), nullable=False),
        sa.Column("since_version", sa.BigInteger(), nullable=False),
        sa.Column("until_version", sa.BigInteger(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(), nullable=True),
        sa.Column("version_id", sa.String(), nullable=True),
        sa.Column("md5", sa.String(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("crc64nvme", sa.String(), nullable=True),
        sa.Column("part_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("uploaded_at", sa.String(), nullable=False),
        sa.Column("verified_by", sa.String(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("rest", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
        ),
        sa.PrimaryKeyConstraint("dataset_id", "s3_key", "since_version"),
    )
    op.create_index(
        "ix_dataset_entries_since", "dataset_entries", ["dataset_id", "since_version"], unique=False
    )
    op.create_index(
        "ix_dataset_entries_until", "dataset_entries", ["dataset_id", "until_version"], unique=False
    )
    op.create_index(
        "ux_dataset_entries_current",
        "dataset_entries",
        ["dataset_id", "s3_key"],
        unique=True,
        sqlite_where=sa.text("until_version IS NULL"),
        postgresql_where=sa.text("until_version IS NULL"),
    )


def _create_runs() -> None:
    op.create_table(
        "dataset_runs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("started_at", sa.String(), nullable=False),
        sa.Column("finished_at", sa.String(), nullable=True),
        sa.Column("owner_host", sa.String(), nullable=False),
        sa.Column("owner_pid", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_dataset_runs_dataset", "dataset_runs", ["dataset_id", "started_at"], unique=False
    )
    op.create_table(
        "dataset_uploads",
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("s3_key", sa.LargeBinary(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("upload_id", sa.String(), nullable=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
        ),
        sa.PrimaryKeyConstraint("dataset_id", "s3_key", "token"),
    )
    op.create_table(
        "dataset_versions",
        sa.Column("dataset_id", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("writer", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("replaced", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=False),
        sa.Column("total_files", sa.BigInteger(), nullable=False),
        sa.Column("total_size_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
        ),
        sa.PrimaryKeyConstraint("dataset_id", "version"),
    )
