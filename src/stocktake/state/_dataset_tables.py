"""Tables of upload manifests: datasets and what was uploaded to them, version by version."""

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
    text,
)

from stocktake.state._tables import metadata

datasets = Table(
    "datasets",
    metadata,
    Column("id", String, primary_key=True),
    Column("title", String, nullable=False),
    Column("bucket", String, nullable=False),
    Column("prefix", String, nullable=False),
    Column("created_at", String, nullable=False),
    Column("last_synced", String),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("total_files", BigInteger, nullable=False, server_default=text("0")),
    Column("total_size_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("copy_etag", String),
    Column("copy_version", BigInteger),
)
"""One row per dataset; `prefix` is escaped. `version` counts commits; the totals are those of its
entries, kept in the same transaction. `copy_version` is the version that the manifest in the bucket
and this database last agreed on: the base of a three-way merge; `copy_etag` is that object's."""

Index("ix_datasets_place", datasets.c.bucket, datasets.c.prefix)

dataset_entries = Table(
    "dataset_entries",
    metadata,
    Column("dataset_id", String, ForeignKey("datasets.id"), primary_key=True),
    Column("s3_key", LargeBinary, primary_key=True),
    Column("since_version", BigInteger, primary_key=True),
    Column("until_version", BigInteger),
    Column("size_bytes", BigInteger, nullable=False),
    Column("etag", String),
    Column("version_id", String),
    Column("md5", String),
    Column("sha256", String),
    Column("crc64nvme", String),
    Column("part_size_bytes", BigInteger),
    Column("token", String, nullable=False),
    Column("uploaded_at", String, nullable=False),
    Column("verified_by", String, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_mtime_ns", BigInteger),
    Column("rest", JSON),
)
"""What was uploaded, one row per upload of a key (its UTF-8 bytes: any character, and the order of
listings on every database): it was in the manifest from
`since_version` until before `until_version` (null: it still is). A replaced entry is ended by the
version that brings its successor, a deleted one by a version without. So every earlier version can
be read, and nothing is ever overwritten. `rest` holds what few entries have."""

Index(
    "ux_dataset_entries_current",
    dataset_entries.c.dataset_id,
    dataset_entries.c.s3_key,
    unique=True,
    sqlite_where=dataset_entries.c.until_version.is_(None),
    postgresql_where=dataset_entries.c.until_version.is_(None),
)
Index("ix_dataset_entries_until", dataset_entries.c.dataset_id, dataset_entries.c.until_version)
Index("ix_dataset_entries_since", dataset_entries.c.dataset_id, dataset_entries.c.since_version)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("dataset_id", String, ForeignKey("datasets.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("at", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("writer", String, nullable=False),
    Column("run_id", String),
    Column("added", BigInteger, nullable=False),
    Column("replaced", BigInteger, nullable=False),
    Column("deleted", BigInteger, nullable=False),
    Column("total_files", BigInteger, nullable=False),
    Column("total_size_bytes", BigInteger, nullable=False),
)
"""One row per commit, dense numbers from 1. Reasons: sync, delete, import, merge, edit."""

dataset_runs = Table(
    "dataset_runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("dataset_id", String, ForeignKey("datasets.id"), nullable=False),
    Column("kind", String, nullable=False),
    Column("started_at", String, nullable=False),
    Column("finished_at", String),
    Column("owner_host", String, nullable=False),
    Column("owner_pid", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("place", Text),
    Column("version", BigInteger),
    Column("result", JSON),
)
"""One row per run over a dataset. Kinds: sync, verify, restore; states: running, done, partial,
failed. `place` is the local folder, `version` the one that was verified or restored. The restores
are the dataset's download history."""

Index("ix_dataset_runs_dataset", dataset_runs.c.dataset_id, dataset_runs.c.started_at)

dataset_uploads = Table(
    "dataset_uploads",
    metadata,
    Column("dataset_id", String, ForeignKey("datasets.id"), primary_key=True),
    Column("s3_key", LargeBinary, primary_key=True),
    Column("token", String, primary_key=True),
    Column("upload_id", String),
    Column("run_id", String, nullable=False),
    Column("recorded_at", String, nullable=False),
)
"""Multipart uploads under way: the intent is here before the upload is begun (`upload_id` null),
its id before the first part. Rows whose run is over are ended by the next sync."""

file_digests = Table(
    "file_digests",
    metadata,
    Column("place", String, primary_key=True),
    Column("path", LargeBinary, primary_key=True),
    Column("device", String, nullable=False),
    Column("inode", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("md5", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("crc64nvme", String),
    Column("hashed_at", String, nullable=False),
)
"""Digests of local files, valid as long as all five of identity and times are the same. `place` is
`host:/absolute/folder`, `path` its bytes below it. Lost rows cost reading the file again."""
