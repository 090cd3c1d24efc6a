"""The catalog: dated snapshots of what buckets held, and every question asked of them.

In: sources of object records (`model.SnapshotSource`). Out: published snapshots as Parquet files,
folders, pages of objects, diffs, a numbered change log, exports.
Never: reading reports or talking to S3 itself; rows per object in the control database.
"""

from stocktake.catalog._catalog import Catalog, open_catalog, snapshot_folder
from stocktake.catalog._change_log import newest_seq, read_changes
from stocktake.catalog._compact import CompactResult, compact_snapshot
from stocktake.catalog._compare import CHANGE_KINDS, DiffResult, DiffSummary, diff_snapshots
from stocktake.catalog._console import SqlResult, run_sql
from stocktake.catalog._export import ExportFormat, folder_batches, object_batches, write_rows
from stocktake.catalog._export_ncdu import write_ncdu
from stocktake.catalog._feed import Feed, ListingRun, find_feed, list_feeds, open_feed
from stocktake.catalog._feed_audits import AuditRecord
from stocktake.catalog._feed_claim import Claim
from stocktake.catalog._feed_sight import Sight
from stocktake.catalog._feed_writer import Absorbed, FeedWriter
from stocktake.catalog._files import CatalogFiles
from stocktake.catalog._format import SnapshotManifest, SnapshotStats
from stocktake.catalog._iceberg import publish_iceberg
from stocktake.catalog._import import (
    DELETION_MARGIN,
    ImportOptions,
    ImportResult,
    import_snapshot,
)
from stocktake.catalog._interrupted import interrupted_scan, take_up_scan
from stocktake.catalog._query import PAGE_ROWS_MAX, Origin, Page, PageRequest
from stocktake.catalog._query_duplicates import ALL_EVIDENCE, Evidence, find_duplicates
from stocktake.catalog._query_folders import (
    ChildOrder,
    ChildSort,
    folder_figures,
    folder_tree,
    list_children,
    usage,
)
from stocktake.catalog._query_groups import by_extension, by_storage_class
from stocktake.catalog._query_objects import (
    Extreme,
    ObjectAnswer,
    find_object,
    list_objects,
    search,
    top_objects,
)
from stocktake.catalog._query_pattern import KeyPattern
from stocktake.catalog._receipts import import_receipt, keep_receipt
from stocktake.catalog._retention import (
    RetentionPlan,
    RetentionPolicy,
    delete_snapshot,
    retain,
)
from stocktake.catalog._snapshot_uses import use_snapshot
from stocktake.catalog._snapshots import (
    Snapshot,
    describe_snapshot,
    find_snapshot,
    list_snapshots,
    pin_snapshot,
    snapshot_json,
)
from stocktake.catalog._source_settings import (
    KEY_ENCODING,
    keep_source_setting,
    source_setting,
)
from stocktake.catalog._sweep import SweepResult, sweep
from stocktake.catalog.engines._protocol import DIFF, QueryLimits

__all__ = [
    "ALL_EVIDENCE",
    "CHANGE_KINDS",
    "DELETION_MARGIN",
    "DIFF",
    "KEY_ENCODING",
    "PAGE_ROWS_MAX",
    "Absorbed",
    "AuditRecord",
    "Catalog",
    "CatalogFiles",
    "ChildOrder",
    "ChildSort",
    "Claim",
    "CompactResult",
    "DiffResult",
    "DiffSummary",
    "Evidence",
    "ExportFormat",
    "Extreme",
    "Feed",
    "FeedWriter",
    "ImportOptions",
    "ImportResult",
    "KeyPattern",
    "ListingRun",
    "ObjectAnswer",
    "Origin",
    "Page",
    "PageRequest",
    "QueryLimits",
    "RetentionPlan",
    "RetentionPolicy",
    "Sight",
    "Snapshot",
    "SnapshotManifest",
    "SnapshotStats",
    "SqlResult",
    "SweepResult",
    "by_extension",
    "by_storage_class",
    "compact_snapshot",
    "delete_snapshot",
    "describe_snapshot",
    "diff_snapshots",
    "find_duplicates",
    "find_feed",
    "find_object",
    "find_snapshot",
    "folder_batches",
    "folder_figures",
    "folder_tree",
    "import_receipt",
    "import_snapshot",
    "interrupted_scan",
    "keep_receipt",
    "keep_source_setting",
    "list_children",
    "list_feeds",
    "list_objects",
    "list_snapshots",
    "newest_seq",
    "object_batches",
    "open_catalog",
    "open_feed",
    "pin_snapshot",
    "publish_iceberg",
    "read_changes",
    "retain",
    "run_sql",
    "search",
    "snapshot_folder",
    "snapshot_json",
    "source_setting",
    "sweep",
    "take_up_scan",
    "top_objects",
    "usage",
    "use_snapshot",
    "write_ncdu",
    "write_rows",
]
