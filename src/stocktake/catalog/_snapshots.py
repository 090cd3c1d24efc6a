"""Published snapshots: list them, find one by what people call it, pin it.

>>> find_snapshot(catalog, "photos/daily@latest~1").as_of
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Row, Select, select, update

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._files import CatalogFiles
from stocktake.catalog._format import FOLDERS_NAME, MANIFEST_NAME, SnapshotManifest
from stocktake.catalog._snapshot_references import SourceReference, choose, parse_reference
from stocktake.catalog.engines._protocol import SnapshotView
from stocktake.clock import format_utc, parse_utc
from stocktake.errors import CatalogCorruptError, SnapshotNotFoundError
from stocktake.model import Coverage
from stocktake.state import snapshots, sources

PUBLISHED = "published"
DELETING = "deleting"


@dataclass(frozen=True)
class Snapshot:
    """One published snapshot.

    Attributes:
        id: Its id.
        source_id: The source's id.
        kind: What produced it (`SourceKind`).
        bucket: The bucket.
        config_id: The inventory configuration, or the scan's name.
        identity: Same identity = same content.
        as_of: The instant the content speaks of.
        published_at: When it became visible.
        path: Its folder, relative to the catalog.
        objects: Current objects.
        size_bytes: Their bytes; None if the source does not say.
        coverage: What it speaks about.
        pinned: True if it is kept whatever the retention says.
    """

    id: str
    source_id: str
    kind: str
    bucket: str
    config_id: str
    identity: str
    as_of: datetime
    published_at: datetime
    path: str
    objects: int
    size_bytes: int | None
    coverage: Coverage
    pinned: bool
    _files: CatalogFiles = field(repr=False, compare=False)

    @property
    def source_name(self) -> str:
        """`bucket/config-id`."""
        return f"{self.bucket}/{self.config_id}"

    @property
    def stamp(self) -> str:
        """`as_of` as report folders write it: `2026-11-20T01-00Z`."""
        return self.as_of.strftime("%Y-%m-%dT%H-%MZ")

    @cached_property
    def manifest(self) -> SnapshotManifest:
        """Everything `snapshot.json` says; read at first use.

        Raises:
            CatalogCorruptError: It is missing, unreadable or another snapshot's.
            CatalogVersionError: Written by a newer stocktake.
        """
        path = f"{self.path}/{MANIFEST_NAME}"
        manifest = SnapshotManifest.from_bytes(self._files.read(path), path=path)
        if manifest.snapshot_id != self.id:
            raise CatalogCorruptError(
                f"`{path}` is the manifest of `{manifest.snapshot_id}`, not of `{self.id}`",
                path=path,
            )
        return manifest

    @cached_property
    def view(self) -> SnapshotView:
        """The manifest with the names under which the engine opens the files."""

        def engine_path(name: str) -> str:
            return self._files.engine_path(f"{self.path}/{name}")

        manifest = self.manifest
        return SnapshotView(
            manifest=manifest,
            paths=tuple(engine_path(file.name) for file in manifest.files),
            folders_path=engine_path(FOLDERS_NAME),
            undecodable_paths=tuple(engine_path(f.name) for f in manifest.undecodable_files),
        )


def list_snapshots(catalog: Catalog, *, source: str | None = None) -> list[Snapshot]:
    """Published snapshots, newest first.

    Args:
        catalog: The catalog.
        source: `bucket` or `bucket/config-id`; None is every source.
    """
    return _matching(catalog, SourceReference.parse(source) if source else None)


def find_snapshot(catalog: Catalog, reference: str, *, source: str | None = None) -> Snapshot:
    """The one snapshot that a reference means.

    Args:
        catalog: The catalog.
        reference: `latest`, `previous`, `latest~N`, a date, a stamp, an id or the unique beginning
            of one; `bucket@...` or `bucket/config-id@...` says of which source.
        source: The source if the reference names none.

    Raises:
        SnapshotNotFoundError: None matches.
        AmbiguousSnapshotError: Several do; `candidates` in its attributes.
        InvalidQueryError: Not a reference.
    """
    parsed = parse_reference(reference, source)
    known = _matching(catalog, parsed.source)
    if not known:
        of = f" of `{parsed.source}`" if parsed.source else ""
        raise SnapshotNotFoundError(f"there is no snapshot{of} yet", reference=reference)
    return choose(known, parsed)


def pin_snapshot(catalog: Catalog, snapshot: Snapshot, *, pinned: bool = True) -> None:
    """Keep a snapshot whatever the retention says; `pinned=False` lets it go again.

    Raises:
        SnapshotNotFoundError: It is gone.
    """
    statement = (
        update(snapshots)
        .where(snapshots.c.id == snapshot.id, snapshots.c.state == PUBLISHED)
        .values(pinned=int(pinned))
    )
    with catalog.state.write() as connection:
        if connection.execute(statement).rowcount == 0:
            raise SnapshotNotFoundError(f"the snapshot `{snapshot.id}` is gone", id=snapshot.id)


def _matching(catalog: Catalog, source: SourceReference | None) -> list[Snapshot]:
    statement = _published()
    if source is not None:
        statement = statement.where(sources.c.bucket == source.bucket)
        if source.config_id is not None:
            statement = statement.where(sources.c.config_id == source.config_id)
    with catalog.state.read() as connection:
        rows = connection.execute(statement).all()
    return [_snapshot(row, catalog.files) for row in rows]


def _published() -> Select[Any]:
    # text times are ISO UTC, but with or without fraction: the id breaks ties by creation
    return (
        select(snapshots, sources.c.kind, sources.c.bucket, sources.c.config_id)
        .join_from(snapshots, sources)
        .where(snapshots.c.state == PUBLISHED)
        .order_by(snapshots.c.as_of.desc(), snapshots.c.id.desc())
    )


def _snapshot(row: Row[Any], files: CatalogFiles) -> Snapshot:
    return Snapshot(
        id=row.id,
        source_id=row.source_id,
        kind=row.kind,
        bucket=row.bucket,
        config_id=row.config_id,
        identity=row.identity,
        as_of=parse_utc(row.as_of),
        published_at=parse_utc(row.published_at),
        path=row.path,
        objects=row.objects,
        size_bytes=row.size_bytes,
        coverage=Coverage(**row.coverage),
        pinned=bool(row.pinned),
        _files=files,
    )


def describe_snapshot(snapshot: Snapshot) -> str:
    """`bucket/config-id@stamp (id)`: how messages name it."""
    return f"{snapshot.source_name}@{snapshot.stamp} ({snapshot.id})"


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """What `--json` says about a snapshot."""
    return {
        "id": snapshot.id,
        "source": snapshot.source_name,
        "kind": snapshot.kind,
        "as_of": format_utc(snapshot.as_of),
        "published_at": format_utc(snapshot.published_at),
        "objects": snapshot.objects,
        "size_bytes": snapshot.size_bytes,
        "pinned": snapshot.pinned,
    }
