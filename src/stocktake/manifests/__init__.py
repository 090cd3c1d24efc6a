"""Upload manifests: our own record of what was uploaded, in the control database and beside objects.

In: completed uploads. Out: a dataset's entries, version by version; its manifest as JSON; write-once
segments in the bucket, and what they say.
Never: a request to find out what a manifest already says, an entry or segment overwritten.
"""

from stocktake.manifests._dataset import (
    Dataset,
    create_dataset,
    forget_dataset,
    list_datasets,
    open_dataset,
)
from stocktake.manifests._dataset_values import (
    ANY,
    Commit,
    DatasetInfo,
    DatasetSpec,
    DeleteEntry,
    Edit,
    Entry,
    NotedUpload,
    PutEntry,
    Reason,
    RunInfo,
    RunKind,
    VersionInfo,
)
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._record_json import record_from_json, record_to_json
from stocktake.manifests._segment import Segment
from stocktake.manifests._segment_log import SegmentLog, manifest_prefix

__all__ = [
    "ANY",
    "Commit",
    "Dataset",
    "DatasetInfo",
    "DatasetSpec",
    "DeleteEntry",
    "Edit",
    "Entry",
    "NotedUpload",
    "PutEntry",
    "Reason",
    "RunInfo",
    "RunKind",
    "Segment",
    "SegmentLog",
    "UploadRecord",
    "VersionInfo",
    "create_dataset",
    "forget_dataset",
    "list_datasets",
    "manifest_prefix",
    "open_dataset",
    "record_from_json",
    "record_to_json",
]
