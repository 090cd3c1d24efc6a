"""The catalog: dated snapshots of what buckets held, and every question asked of them.

In: sources of object records (`model.SnapshotSource`). Out: published snapshots as Parquet files,
folders, pages of objects, diffs, a numbered change log, exports.
Never: reading reports or talking to S3 itself; rows per object in the control database.
"""

from stocktake.catalog._catalog import Catalog, open_catalog, snapshot_folder
from stocktake.catalog._files import CatalogFiles

__all__ = [
    "Catalog",
    "CatalogFiles",
    "open_catalog",
    "snapshot_folder",
]
