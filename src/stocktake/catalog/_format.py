"""The snapshot format, version 1: what `snapshot.json` says and which files lie beside it.

Described for other programs in `docs/formats/snapshot.md`; golden files in `tests/fixtures/` must
load for ever.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import pyarrow as pa

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import CatalogCorruptError, CatalogVersionError
from stocktake.model import Coverage, SourceHeader, SourceKind

FORMAT_NAME = "stocktake-snapshot"
FORMAT_VERSION = 1
MANIFEST_NAME = "snapshot.json"
FOLDERS_NAME = "folders.parquet"
UNCONFIRMED_NAME = "unconfirmed.parquet"

FOLDERS: pa.Schema = pa.schema(
    [
        pa.field("folder", pa.string(), nullable=False),
        pa.field("parent", pa.string()),
        pa.field("depth", pa.int32(), nullable=False),
        pa.field("direct_objects", pa.int64(), nullable=False),
        pa.field("direct_bytes", pa.int64()),
        pa.field("total_objects", pa.int64(), nullable=False),
        pa.field("total_bytes", pa.int64()),
        pa.field("newest", pa.timestamp("ms")),
        pa.field("child_folders", pa.int64(), nullable=False),
    ]
)
"""Columns of `folders.parquet`, in descending order of folder: a folder comes after everything in
it. Then `bytes_by_class` (see `folders_schema`). The root is '', with depth 0 and parent NULL.
Counts and bytes are of current objects; a size-0 key that ends in `/` is the folder itself and not
counted. `*_bytes` is NULL where objects are, but none with a known size."""


def folders_schema(classes: list[str]) -> pa.Schema:
    """The schema of `folders.parquet`: FOLDERS, then a struct with the bytes of each storage class.

    `bytes_by_class` is recursive, and left out if no class has known bytes. The names come from the
    report: any text, some equal but for their case.
    """
    if not classes:
        return FOLDERS
    by_class = pa.struct([pa.field(name, pa.int64()) for name in classes])
    return FOLDERS.append(pa.field("bytes_by_class", by_class))


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group of an object file: rows sorted by key (UTF-8 byte order), inclusive bounds."""

    min_key: str
    max_key: str
    rows: int


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """One Parquet file of object records: sorted runs, so row groups are sorted, the file is not.

    `name` is relative to the snapshot's folder. `min_key`/`max_key` bound the whole file.
    """

    name: str
    rows: int
    size_bytes: int
    min_key: str
    max_key: str
    row_groups: tuple[RowGroup, ...]

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> ObjectFile:
        """From its JSON form (row groups as [min, max, rows])."""
        groups = tuple(RowGroup(*group[:3]) for group in raw["row_groups"])
        return cls(
            raw["name"], raw["rows"], raw["size_bytes"], raw["min_key"], raw["max_key"], groups
        )

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        groups = [[g.min_key, g.max_key, g.rows] for g in self.row_groups]
        return {
            "name": self.name,
            "rows": self.rows,
            "size_bytes": self.size_bytes,
            "min_key": self.min_key,
            "max_key": self.max_key,
            "row_groups": groups,
        }


@dataclass(frozen=True, slots=True)
class SnapshotStats:
    """Totals of a snapshot. None where the source does not say.

    Attributes:
        objects: Current objects outside the excluded prefixes, folder markers not counted.
        size_bytes: Their bytes.
        rows: All rows kept: versions, delete markers, folder markers and excluded ones too.
        folders: Folders, the root included.
        folder_markers: Size-0 keys that end in `/`.
        delete_markers: Delete markers.
        noncurrent_versions: Versions that are not the latest.
        noncurrent_bytes: Their bytes.
        excluded_objects: Current objects below the excluded prefixes (the report's own files).
        undecodable_keys: Rows whose key could not be decoded; kept raw in their own file.
        bad_rows: Rows that could not be read at all.
        duplicates: Rows dropped because the same (key, version) was there twice.
        demoted_latest: Versions that claimed to be the latest beside a newer one.
        oldest: Oldest last-modified of a current object.
        newest: Newest last-modified of a current object.
        by_storage_class: Class -> [objects, bytes] of current objects.
    """

    objects: int
    size_bytes: int | None
    rows: int
    folders: int
    folder_markers: int = 0
    delete_markers: int = 0
    noncurrent_versions: int = 0
    noncurrent_bytes: int | None = None
    excluded_objects: int = 0
    undecodable_keys: int = 0
    bad_rows: int = 0
    duplicates: int = 0
    demoted_latest: int = 0
    oldest: str | None = None
    newest: str | None = None
    by_storage_class: dict[str, list[int | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SnapshotManifest:
    """Everything `snapshot.json` says.

    `quantiles` are sorted keys that cut the rows into about equal pieces: range-wise work and
    listings start from them.
    """

    snapshot_id: str
    created_at: str
    header: SourceHeader
    files: tuple[ObjectFile, ...]
    undecodable_files: tuple[ObjectFile, ...]
    stats: SnapshotStats
    warnings: tuple[str, ...] = ()
    bad_samples: tuple[dict[str, Any], ...] = ()
    quantiles: tuple[str, ...] = ()

    @property
    def has_versions(self) -> bool:
        """True if rows other than current objects may be there (`is_latest` is a column)."""
        return "is_latest" in self.header.columns

    def to_bytes(self) -> bytes:
        """The JSON text of `snapshot.json`."""
        raw = {
            "format": FORMAT_NAME,
            "version": FORMAT_VERSION,
            "snapshot_id": self.snapshot_id,
            "created_at": self.created_at,
            "source": header_to_dict(self.header),
            "stats": asdict(self.stats),
            "warnings": list(self.warnings),
            "bad_samples": list(self.bad_samples),
            "folders_file": FOLDERS_NAME,
            "quantiles": list(self.quantiles),
            "undecodable_files": [f.to_dict() for f in self.undecodable_files],
            "files": [f.to_dict() for f in self.files],
        }
        return json.dumps(raw, ensure_ascii=True, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, path: str) -> SnapshotManifest:
        """Parse `snapshot.json`.

        Raises:
            CatalogVersionError: Written by a newer format version.
            CatalogCorruptError: Not such a file.
        """
        try:
            raw = json.loads(data)
            if raw["format"] != FORMAT_NAME:
                raise CatalogCorruptError(f"`{path}` is not a snapshot manifest", path=path)
            if raw["version"] > FORMAT_VERSION:
                raise CatalogVersionError(
                    f"`{path}` has snapshot format {raw['version']}, this stocktake reads up to "
                    f"{FORMAT_VERSION}",
                    path=path,
                )
            return cls(
                snapshot_id=raw["snapshot_id"],
                created_at=raw["created_at"],
                header=header_from_dict(raw["source"]),
                files=tuple(ObjectFile.from_dict(f) for f in raw["files"]),
                undecodable_files=tuple(ObjectFile.from_dict(f) for f in raw["undecodable_files"]),
                stats=SnapshotStats(**_known(SnapshotStats, raw["stats"])),
                warnings=tuple(raw["warnings"]),
                bad_samples=tuple(raw["bad_samples"]),
                quantiles=tuple(raw["quantiles"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CatalogCorruptError(f"`{path}` cannot be read: {error!r}", path=path) from error


def _known(cls: type[Any], raw: dict[str, Any]) -> dict[str, Any]:
    """The fields that this version knows: later ones may be added without a new format version."""
    return {field.name: raw[field.name] for field in fields(cls) if field.name in raw}


def header_to_dict(header: SourceHeader) -> dict[str, Any]:
    """The JSON form of a source header."""
    raw = asdict(header)
    raw["as_of"] = format_utc(header.as_of)
    raw["delivered_at"] = format_utc(header.delivered_at) if header.delivered_at else None
    return raw


def header_from_dict(raw: dict[str, Any]) -> SourceHeader:
    """A source header from its JSON form."""
    delivered = raw["delivered_at"]
    return SourceHeader(
        kind=SourceKind(raw["kind"]),
        bucket=raw["bucket"],
        config_id=raw["config_id"],
        as_of=parse_utc(raw["as_of"]),
        identity=raw["identity"],
        location=raw["location"],
        columns=tuple(raw["columns"]),
        coverage=Coverage(**_known(Coverage, raw["coverage"])),
        delivered_at=parse_utc(delivered) if delivered else None,
        excluded_prefixes=tuple(raw["excluded_prefixes"]),
        attrs=raw["attrs"],
    )
