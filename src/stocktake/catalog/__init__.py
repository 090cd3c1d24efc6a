"""The catalog: dated snapshots of what buckets held, and every question asked of them.

In: sources of object records (`model.SnapshotSource`). Out: published snapshots as Parquet files,
folders, pages of objects, diffs, a numbered change log, exports.
Never: reading reports or talking to S3 itself; rows per object in the control database.
"""

from stocktake.catalog._catalog import Catalog, open_catalog, snapshot_folder
from stocktake.catalog._compare import CHANGE_KINDS, DiffResult, DiffSummary, diff_snapshots
from stocktake.catalog._files import CatalogFiles
from stocktake.catalog._import import ImportOptions, ImportResult, import_snapshot

__all__ = [
    "CHANGE_KINDS",
    "Catalog",
    "CatalogFiles",
    "DiffResult",
    "DiffSummary",
    "ImportOptions",
    "ImportResult",
    "diff_snapshots",
    "import_snapshot",
    "open_catalog",
    "snapshot_folder",
]
