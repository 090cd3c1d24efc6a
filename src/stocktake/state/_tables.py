"""The control database: every table, in one place so that migrations can be compared with it.

Text times are ISO 8601 UTC (`format_utc`), JSON columns hold small documents only: rows per object
live in the catalog's Parquet files, never here.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData()

properties = Table(
    "properties",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", String, nullable=False),
)
"""Facts about the database itself: `catalog_id`, the one catalog whose state this is."""

sources = Table(
    "sources",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("bucket", String, nullable=False),
    Column("config_id", String, nullable=False),
    Column("location", String, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("created_at", String, nullable=False),
    Column("last_seq", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("bucket", "config_id", name="uq_sources_name"),
)
"""One row per thing that snapshots are taken of. `last_seq` is the newest change number given out;
`settings` keeps what was settled for this source (key encoding)."""

imports = Table(
    "imports",
    metadata,
    Column("id", String, primary_key=True),
    Column("source_id", String, ForeignKey("sources.id"), nullable=False),
    Column("snapshot_id", String, nullable=False),
    Column("identity", String, nullable=False),
    Column("as_of", String, nullable=False),
    Column("state", String, nullable=False),
    Column("owner", String),
    Column("owner_host", String),
    Column("owner_pid", Integer),
    Column("lease_until", String),
    Column("fence", Integer, nullable=False, server_default=text("0")),
    Column("started_at", String, nullable=False),
    Column("finished_at", String),
    Column("error", JSON),
    Column("receipt", JSON),
)
"""One row per attempt to make a snapshot, kept across restarts. States: running, published,
failed, abandoned. A running row holds a lease; only the holder of the newest fence may write."""

Index(
    "uq_imports_running",
    imports.c.source_id,
    unique=True,
    sqlite_where=imports.c.state == "running",
    postgresql_where=imports.c.state == "running",
)

import_parts = Table(
    "import_parts",
    metadata,
    Column("import_id", String, ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True),
    Column("part_index", Integer, primary_key=True),
    Column("part_name", String, nullable=False),
    Column("part_md5", String, nullable=False),
    Column("file", JSON),
    Column("undecodable_file", JSON),
    Column("tally", JSON, nullable=False),
)
"""The checkpoint: a row per finished part. `file` is NULL for a part without rows."""

snapshots = Table(
    "snapshots",
    metadata,
    Column("id", String, primary_key=True),
    Column("source_id", String, ForeignKey("sources.id"), nullable=False),
    Column("identity", String, nullable=False),
    Column("as_of", String, nullable=False),
    Column("published_at", String, nullable=False),
    Column("path", String, nullable=False),
    Column("objects", BigInteger, nullable=False),
    Column("size_bytes", BigInteger),
    Column("coverage", JSON, nullable=False),
    Column("pinned", Integer, nullable=False, server_default=text("0")),
    Column("state", String, nullable=False),
    UniqueConstraint("source_id", "identity", name="uq_snapshots_identity"),
)
"""Published snapshots. States: published, deleting (files are being removed)."""

snapshot_uses = Table(
    "snapshot_uses",
    metadata,
    Column("snapshot_id", String, ForeignKey("snapshots.id"), primary_key=True),
    Column("owner", String, primary_key=True),
    Column("owner_host", String, nullable=False),
    Column("owner_pid", Integer, nullable=False),
    Column("lease_until", String, nullable=False),
)
"""Who is reading a snapshot now: while a live row is there, the snapshot is not deleted."""

change_segments = Table(
    "change_segments",
    metadata,
    Column("source_id", String, ForeignKey("sources.id"), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("old_snapshot_id", String),
    Column("new_snapshot_id", String, nullable=False),
    Column("path", String, nullable=False),
    Column("created_at", String, nullable=False),
)
"""The change log: numbers `first_seq..last_seq` (dense) are the rows of the Parquet file `path`."""
