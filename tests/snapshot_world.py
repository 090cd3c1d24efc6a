"""Published snapshots in a real catalog, made of Python rows: the ground of the catalog's tests."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import insert, select

from stocktake.catalog import Catalog, Snapshot, find_snapshot, snapshot_folder
from stocktake.catalog._format import (
    FOLDERS,
    FOLDERS_NAME,
    MANIFEST_NAME,
    ObjectFile,
    SnapshotManifest,
    SnapshotStats,
)
from stocktake.catalog._runs import RunWriter
from stocktake.clock import format_utc
from stocktake.model import Coverage, SourceHeader, SourceKind, new_id, object_schema
from stocktake.state import snapshots, sources

Row = dict[str, Any]

PLAIN = ("key", "size_bytes", "last_modified", "etag", "storage_class")
VERSIONED = ("key", "version_id", "is_latest", "is_delete_marker", *PLAIN[1:])
DAY = datetime(2026, 11, 20, 1, tzinfo=UTC)


def naive(*parts: int) -> datetime:
    """A time as the catalog's files hold it: UTC without saying so."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)


def row(key: str, size_bytes: int | None = 1, **more: Any) -> Row:
    """One object; `etag`, `last_modified` and `storage_class` have values unless given."""
    known = {
        "etag": hashlib.md5(f"{key} {size_bytes}".encode()).hexdigest(),
        "last_modified": naive(2026, 1, 1),
        "storage_class": "STANDARD",
    }
    return {"key": key, "size_bytes": size_bytes, **known, **more}


def objects_now(
    rows: Sequence[Row], columns: Sequence[str], excluded: Sequence[str] = ()
) -> list[Row]:
    """The rows that count, by the rules of the format in plain Python; absent columns None."""
    found = []
    for given in rows:
        known = {name: given.get(name) if name in columns else None for name in VERSIONED}
        key = known["key"]
        if "is_latest" in columns and (not known["is_latest"] or known["is_delete_marker"]):
            continue
        if key.startswith(tuple(excluded)) or (key.endswith("/") and not known["size_bytes"]):
            continue
        found.append(known)
    return found


def folders_of(
    rows: Sequence[Row], columns: Sequence[str], excluded: Sequence[str] = ()
) -> pa.Table:
    """`folders.parquet`, by looking at every ancestor of every key."""
    figures: dict[str, Row] = {"": _no_figures()}
    counted = {id(r): r for r in rows}
    current = objects_now(rows, columns, excluded)
    markers = [
        {"key": r["key"]}
        for r in counted.values()
        if r["key"].endswith("/")
        and not r.get("size_bytes")
        and not r["key"].startswith(tuple(excluded))
        and ("is_latest" not in columns or (r["is_latest"] and not r["is_delete_marker"]))
    ]
    for known in [*current, *markers]:
        key = known["key"]
        ancestors = ["", *(key[: n + 1] for n, char in enumerate(key) if char == "/")]
        for folder in ancestors:
            own = figures.setdefault(folder, _no_figures())
            if "size_bytes" in known:
                own["all"].append(known)
                if folder == ancestors[-1]:
                    own["direct"].append(known)
    parents = Counter(f[: f[:-1].rfind("/") + 1] for f in figures if f)
    table = [
        {
            "folder": folder,
            "parent": folder[: folder[:-1].rfind("/") + 1] if folder else None,
            "depth": folder.count("/"),
            "direct_objects": len(own["direct"]),
            "direct_bytes": _bytes(own["direct"], columns),
            "total_objects": len(own["all"]),
            "total_bytes": _bytes(own["all"], columns),
            "newest": max(
                (r["last_modified"] for r in own["all"] if r["last_modified"]), default=None
            ),
            "child_folders": parents[folder],
            "bytes_by_class": _by_class(own["all"]),
        }
        for folder, own in figures.items()
    ]
    table.sort(key=lambda r: ((r["parent"] is not None, r["parent"] or ""), r["folder"]))
    classes = sorted({name for r in table for name in r["bytes_by_class"]})
    struct = pa.struct([pa.field(name, pa.int64()) for name in classes])
    schema = FOLDERS.append(pa.field("bytes_by_class", struct)) if classes else FOLDERS
    return pa.Table.from_pylist(table, schema)


def _no_figures() -> Row:
    return {"direct": [], "all": []}


def _bytes(objects: list[Row], columns: Sequence[str]) -> int | None:
    sizes = [r["size_bytes"] for r in objects if r["size_bytes"] is not None]
    if "size_bytes" not in columns or (objects and not sizes):
        return None
    return sum(sizes)


def _by_class(objects: list[Row]) -> dict[str, int]:
    found: dict[str, int] = {}
    for r in objects:
        if r["storage_class"] is not None and r["size_bytes"] is not None:
            found[r["storage_class"]] = found.get(r["storage_class"], 0) + r["size_bytes"]
    return found


def source_row(catalog: Catalog, bucket: str, config_id: str, kind: str = "aws_inventory") -> str:
    """The id of a source, made if it is not there."""
    with catalog.state.write() as connection:
        found = connection.execute(
            select(sources.c.id).where(sources.c.bucket == bucket, sources.c.config_id == config_id)
        ).scalar()
        if found is None:
            found = new_id("src", catalog.clock)
            connection.execute(
                insert(sources).values(
                    id=found,
                    kind=kind,
                    bucket=bucket,
                    config_id=config_id,
                    location="s3://reports",
                    settings={},
                    created_at=format_utc(catalog.clock.now()),
                )
            )
    return str(found)


def publish(
    catalog: Catalog,
    rows: Sequence[Row],
    *,
    columns: Sequence[str] = PLAIN,
    bucket: str = "photos",
    config_id: str = "daily",
    as_of: datetime = DAY,
    excluded: Sequence[str] = (),
    undecodable: Sequence[Row] = (),
    parts: int = 3,
    run_rows: int = 8,
    kind: str = "aws_inventory",
    prefix: str = "",
) -> Snapshot:
    """Publish a snapshot of these rows, dealt out to files whose key ranges overlap."""
    snapshot_id = new_id("snp", catalog.clock)
    folder = snapshot_folder(bucket, config_id, snapshot_id)
    schema = object_schema(columns)
    files, samples = [], []
    for index in range(parts):
        part = list(rows[index::parts])
        if part:
            name = f"objects/{index:05}.parquet"
            files.append(_write(catalog, folder, name, part, schema, run_rows, samples))
    lost = []
    if undecodable:
        name = "undecodable/00000.parquet"
        lost.append(_write(catalog, folder, name, list(undecodable), schema, run_rows, []))
    header = SourceHeader(
        kind=SourceKind(kind),
        bucket=bucket,
        config_id=config_id,
        as_of=as_of,
        identity=snapshot_id,
        location="s3://reports",
        columns=tuple(schema.names),
        coverage=Coverage(prefix, "all" if "is_latest" in schema.names else "current"),
        excluded_prefixes=tuple(excluded),
    )
    manifest = SnapshotManifest(
        snapshot_id=snapshot_id,
        created_at=format_utc(catalog.clock.now()),
        header=header,
        files=tuple(files),
        undecodable_files=tuple(lost),
        stats=SnapshotStats(len(rows), None, len(rows), 0),
        quantiles=tuple(sorted({r["key"] for r in rows})[2::5]),
    )
    with catalog.files.create(f"{folder}/{FOLDERS_NAME}") as sink:
        pq.write_table(folders_of(rows, schema.names, excluded), sink)
    with catalog.files.create(f"{folder}/{MANIFEST_NAME}") as sink:
        sink.write(manifest.to_bytes())
    source_id = source_row(catalog, bucket, config_id, kind)
    with catalog.state.write() as connection:
        connection.execute(
            insert(snapshots).values(
                id=snapshot_id,
                source_id=source_id,
                identity=snapshot_id,
                as_of=format_utc(as_of),
                published_at=format_utc(catalog.clock.now()),
                path=folder,
                objects=len(rows),
                size_bytes=None,
                coverage={"prefix": prefix, "versions": header.coverage.versions},
                state="published",
            )
        )
    return find_snapshot(catalog, snapshot_id)


def _write(
    catalog: Catalog,
    folder: str,
    name: str,
    rows: list[Row],
    schema: pa.Schema,
    run_rows: int,
    samples: list[str],
) -> ObjectFile:
    with catalog.files.create(f"{folder}/{name}") as sink:
        writer = RunWriter(sink, schema, run_rows=run_rows)
        for start in range(0, len(rows), run_rows):
            piece = rows[start : start + run_rows]
            arrays = [pa.array([r.get(f.name) for r in piece], f.type) for f in schema]
            writer.add(pa.RecordBatch.from_arrays(arrays, schema=schema))
        written = writer.close()
    samples.extend(written.samples)
    return written.to_file(name, catalog.files.size_bytes(f"{folder}/{name}"))
