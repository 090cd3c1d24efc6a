"""Upload manifests: our own record of what was uploaded, in the control database and the bucket.

In: completed uploads. Out: entries of datasets, version by version; manifests as JSON; segments in
the bucket, and what they say.
Never: a request to find out what a manifest already says, an entry or segment overwritten.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from stocktake.manifests._etag_check import EtagOutcome, EtagVerdict, check_etag, md5_of_etag
from stocktake.manifests._local_files import (
    LocalFile,
    Skipped,
    SkipReason,
    open_local,
    recheck_local,
    walk_folder,
)
from stocktake.manifests._local_names import local_key
from stocktake.manifests._part_sizes import part_size_guesses
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._record_json import record_from_json, record_to_json
from stocktake.manifests._segment import Segment
from stocktake.manifests._segment_log import SegmentLog, manifest_prefix

if TYPE_CHECKING:
    from stocktake.manifests._dataset import (
        Dataset,
        create_dataset,
        forget_dataset,
        list_datasets,
        open_dataset,
    )
    from stocktake.manifests._local_digests import DigestCache, FileDigests, FileHasher, digest_file

__all__ = [
    "ANY",
    "Commit",
    "Dataset",
    "DatasetInfo",
    "DatasetSpec",
    "DeleteEntry",
    "DigestCache",
    "Edit",
    "Entry",
    "EtagOutcome",
    "EtagVerdict",
    "FileDigests",
    "FileHasher",
    "LocalFile",
    "NotedUpload",
    "PutEntry",
    "Reason",
    "RunInfo",
    "RunKind",
    "Segment",
    "SegmentLog",
    "SkipReason",
    "Skipped",
    "UploadRecord",
    "VersionInfo",
    "check_etag",
    "create_dataset",
    "digest_file",
    "forget_dataset",
    "list_datasets",
    "local_key",
    "manifest_prefix",
    "md5_of_etag",
    "open_dataset",
    "open_local",
    "part_size_guesses",
    "recheck_local",
    "record_from_json",
    "record_to_json",
    "walk_folder",
]

_LATER = {
    "_dataset": (
        "Dataset",
        "create_dataset",
        "forget_dataset",
        "list_datasets",
        "open_dataset",
    ),
    "_local_digests": (
        "DigestCache",
        "FileDigests",
        "FileHasher",
        "digest_file",
    ),
}
"""Modules that load the database, with their public names: loaded when somebody asks for one, since
shippers never do and have many processes."""

_HOMES = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
