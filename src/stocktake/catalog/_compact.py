"""Compaction: a snapshot's overlapping object files rewritten as files with disjoint key ranges.

Nothing needs it: every answer is the same before and after. Pages of a shuffled report get several
times quicker, because a question then opens one file instead of all. It is meant for idle time.
"""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, replace

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._format import MANIFEST_NAME, ObjectFile, SnapshotManifest
from stocktake.catalog._ranges import KeyRange, files_in_range, plan_ranges
from stocktake.catalog._runs import RunWriter
from stocktake.catalog._snapshot_uses import other_uses, use_alone
from stocktake.catalog._snapshots import Snapshot
from stocktake.catalog.engines._duckdb_fragments import in_range, quoted
from stocktake.catalog.engines._protocol import QueryLimits
from stocktake.errors import SnapshotInUseError
from stocktake.faults import reached
from stocktake.model import object_schema
from stocktake.telemetry import NoProgress, Progress

_ROWS_PER_FILE = 500_000
_LIMITS = QueryLimits(rows_max=2**62, timeout_s=3600.0)


@dataclass(frozen=True, slots=True)
class CompactResult:
    """What a compaction came to. `files_left`: old files that somebody still reads."""

    files_before: int
    files_after: int
    rows: int
    files_left: int = 0


def is_compact(manifest: SnapshotManifest) -> bool:
    """True if no two object files share a key range."""
    ordered = sorted(manifest.files, key=lambda file: file.min_key)
    return all(one.max_key < other.min_key for one, other in itertools.pairwise(ordered))


def compact_snapshot(
    catalog: Catalog, snapshot: Snapshot, *, progress: Progress = NoProgress()
) -> CompactResult:
    """Rewrite the object files in key order; a compact snapshot is left as it is.

    The manifest changes over in one step, so a compaction killed at any point leaves the snapshot
    readable; what it left behind goes with the next compaction. Memory: 500,000 rows within the
    engine's limit.

    Raises:
        SnapshotInUseError: Pinned (a published table may need its files), or in use.
    """
    if snapshot.pinned:
        raise SnapshotInUseError(
            f"the snapshot `{snapshot.id}` is pinned: what was published of it needs its files",
            hint="compact a snapshot before it is published, or unpin it",
            id=snapshot.id,
        )
    with use_alone(catalog, snapshot, "compact"):
        manifest = _current_manifest(catalog, snapshot)
        before = len(manifest.files)
        if not is_compact(manifest):
            manifest = replace(manifest, files=_rewrite(catalog, snapshot, manifest, progress))
            reached("compact.files-written")
            with catalog.files.create(f"{snapshot.path}/{MANIFEST_NAME}") as sink:
                sink.write(manifest.to_bytes())
            reached("compact.manifest-written")
        left = _remove_old(catalog, snapshot, manifest)
    rows = sum(file.rows for file in manifest.files)
    return CompactResult(before, len(manifest.files), rows, left)


def _current_manifest(catalog: Catalog, snapshot: Snapshot) -> SnapshotManifest:
    # not the one that `snapshot` may have read long ago: another compaction can have ended since
    path = f"{snapshot.path}/{MANIFEST_NAME}"
    return SnapshotManifest.from_bytes(catalog.files.read(path), path=path)


def _rewrite(
    catalog: Catalog, snapshot: Snapshot, manifest: SnapshotManifest, progress: Progress
) -> tuple[ObjectFile, ...]:
    progress.phase("compact", manifest.stats.rows, "rows")
    ranges = plan_ranges(manifest.quantiles, manifest.stats.rows, _ROWS_PER_FILE)
    mark = secrets.token_hex(4)
    files = []
    for number, key_range in enumerate(ranges):
        name = f"objects/k{number:05d}-{mark}.parquet"
        if file := _write_range(catalog, snapshot, manifest, key_range, name):
            files.append(file)
            progress.advance(file.rows)
    return tuple(files)


def _write_range(
    catalog: Catalog,
    snapshot: Snapshot,
    manifest: SnapshotManifest,
    key_range: KeyRange,
    name: str,
) -> ObjectFile | None:
    schema = object_schema(manifest.header.columns)
    inside, bounds = in_range(key_range)
    paths = [
        catalog.files.engine_path(f"{snapshot.path}/{manifest.files[index].name}")
        for index in files_in_range(manifest.files, key_range)
    ]
    if not paths:
        return None
    order = "key, version_id" if "version_id" in schema.names else "key"
    statement = (
        f"SELECT {', '.join(quoted(column) for column in schema.names)} FROM "
        f"read_parquet(?, hive_partitioning=false) WHERE {inside} ORDER BY {order}"
    )
    path = f"{snapshot.path}/{name}"
    with catalog.files.create(path) as sink, RunWriter(sink, schema) as writer:
        for batch in catalog.engine.query(statement, [paths, *bounds], _LIMITS):
            writer.add(batch.cast(schema))
        written = writer.close()
    if not written.rows:
        return None
    return written.to_file(name, catalog.files.size_bytes(path))


def _remove_old(catalog: Catalog, snapshot: Snapshot, manifest: SnapshotManifest) -> int:
    """Remove object files that the manifest does not name; returns how many had to stay."""
    wanted = {f"{snapshot.path}/{file.name}" for file in manifest.files}
    folder = f"{snapshot.path}/objects"
    old = [path for path in catalog.files.listing(folder) if path not in wanted]
    if old and other_uses(catalog, snapshot, "compact"):
        return len(old)
    for path in old:
        catalog.files.remove(path)
    return 0
