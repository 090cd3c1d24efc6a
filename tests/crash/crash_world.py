"""Two reports with overlapping parts, a catalog that holds the first, and what the second makes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from import_child import BUCKET, CONFIG, SOURCE, FolderStore, run_import
from sqlalchemy import select

from stocktake.catalog import Catalog, Snapshot, find_snapshot, list_snapshots, open_catalog
from stocktake.catalog._change_log import read_changes
from stocktake.catalog.engines._protocol import QueryLimits
from stocktake.clock import FixedClock
from stocktake.inventory import ReportSpec, ReportWriter, aws_order, format_stamp
from stocktake.model import S3Url
from stocktake.state import import_parts, imports
from stocktake.testing import DirectoryStore, SyntheticBucket

PARTS = 6
ROWS = 1500
_SHARED_ROWS = 20
_LIMITS = QueryLimits(rows_max=10**7)


@dataclass(frozen=True)
class World:
    """Where the reports and the template catalog lie, and what an undisturbed import gives."""

    store_path: Path
    template: Path
    stamp: str
    before: dict[str, Any]
    after: dict[str, Any]

    def copy(self, place: Path) -> Path:
        """A catalog that holds the first report only."""
        return Path(shutil.copytree(self.template, place))


def write_report(store: DirectoryStore, bucket: SyntheticBucket) -> str:
    """Six parts; each but the first begins with the last rows of the one before."""
    spec = ReportSpec(
        destination=S3Url(BUCKET, "p"),
        source_bucket=SOURCE,
        config_id=CONFIG,
        stamp=bucket.stamp,
        columns=aws_order(bucket.columns),
    )
    step = bucket.rows // PARTS
    with ReportWriter(store, spec, seed=bucket.generation) as writer:
        for part in range(PARTS):
            start = max(0, part * step - _SHARED_ROWS)
            writer.write_part(part, bucket.batches(start, (part + 1) * step))
        writer.finish()
    return format_stamp(bucket.stamp)


def make_world(root: Path) -> World:
    """Write both reports, import them, and keep the catalog as it was between."""
    bucket = SyntheticBucket(rows=ROWS, seed=3, nasty=True, new=0.02, deleted=0.02)
    first, second = (write_report(DirectoryStore(root / "store"), bucket.at(n)) for n in (1, 2))
    store = FolderStore(root / "store")
    run_import(root / "template", store, first)
    before = content(root / "template")
    shutil.copytree(root / "template", root / "undisturbed")
    result = run_import(root / "undisturbed", store, second)
    assert result.stats is not None
    assert result.stats.duplicates
    assert result.diff is not None
    assert result.diff.unconfirmed
    assert result.diff.deleted
    return World(root / "store", root / "template", second, before, content(root / "undisturbed"))


def later() -> FixedClock:
    """Two minutes from now: what was left half-written is old enough to be swept."""
    return FixedClock(datetime.now(UTC) + timedelta(minutes=2))


def content(place: Path) -> dict[str, Any]:
    """Everything that a reader of the catalog sees, without ids and times of creation."""
    with open_catalog(str(place), clock=later()) as catalog:
        newest = find_snapshot(catalog, "latest")
        manifest = newest.manifest
        return {
            "snapshots": len(list_snapshots(catalog)),
            "as_of": newest.as_of,
            "stats": manifest.stats,
            "warnings": manifest.warnings,
            "rows": _rows(catalog, newest.view.paths, "key"),
            "folders": _rows(catalog, (newest.view.folders_path,), "folder"),
            "unconfirmed": _unconfirmed(catalog, newest),
            "changes": [
                row
                for batch in read_changes(catalog, newest.source_id, 0, 10**6)
                for row in batch.to_pylist()
            ],
        }


def _rows(catalog: Catalog, paths: tuple[str, ...], order: str) -> list[dict[str, Any]]:
    statement = f"SELECT * FROM read_parquet(?) ORDER BY {order}"
    batches = catalog.engine.query(statement, [list(paths)], _LIMITS)
    return [row for batch in batches for row in batch.to_pylist()]


def _unconfirmed(catalog: Catalog, newest: Snapshot) -> list[dict[str, Any]]:
    path = f"{newest.path}/unconfirmed.parquet"
    if not catalog.files.exists(path):
        return []
    return _rows(catalog, (catalog.files.engine_path(path),), "key")


def recorded_parts(place: Path) -> set[str]:
    """Names of the parts that the ledger knows as finished."""
    with open_catalog(str(place)) as catalog, catalog.state.read() as connection:
        return set(connection.execute(select(import_parts.c.part_name)).scalars())


def import_states(catalog: Catalog) -> list[str]:
    with catalog.state.read() as connection:
        return list(connection.execute(select(imports.c.state)).scalars())
