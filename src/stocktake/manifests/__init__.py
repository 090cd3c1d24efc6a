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
    find_local,
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
    from stocktake.manifests._compare import KeyState, OnConflict, SyncAction
    from stocktake.manifests._copy import pull_copy, push_copy
    from stocktake.manifests._copy_object import copy_place
    from stocktake.manifests._copy_values import CopyOptions, CopyResult
    from stocktake.manifests._dataset import (
        Dataset,
        create_dataset,
        forget_dataset,
        list_datasets,
        open_dataset,
    )
    from stocktake.manifests._dataset_address import base_url_of, object_url, set_base_url
    from stocktake.manifests._dataset_events import FileEvent, FileEventKind, read_events
    from stocktake.manifests._dataset_version import find_version, version_at
    from stocktake.manifests._export import Algorithm, export_csv, export_sums
    from stocktake.manifests._export_bag import BagResult, export_bag
    from stocktake.manifests._export_names import LeftOut
    from stocktake.manifests._foreign import ParsedManifest, parse_manifest
    from stocktake.manifests._foreign_json import Readable
    from stocktake.manifests._import import (
        ImportCheck,
        check_records,
        import_records,
        import_segments,
    )
    from stocktake.manifests._local_digests import DigestCache, FileDigests, FileHasher, digest_file
    from stocktake.manifests._render import (
        file_values,
        head_values,
        manifest_etag,
        manifest_with_etag,
        render_manifest,
        version_info,
    )
    from stocktake.manifests._render_file import (
        is_manifest_file_current,
        manifest_file_name,
        write_manifest_file,
    )
    from stocktake.manifests._restore import is_abandoned, restore_dataset
    from stocktake.manifests._restore_folder import is_unfinished
    from stocktake.manifests._restore_options import (
        Overwrite,
        RestoreFinding,
        RestoreOptions,
        RestoreProblem,
        RestoreResult,
    )
    from stocktake.manifests._restore_path import PathProblem
    from stocktake.manifests._stats import DatasetStats, Extreme, Share
    from stocktake.manifests._sync import preview_sync, sync_folder
    from stocktake.manifests._sync_values import (
        KeyOutcome,
        LocalCheck,
        SyncFinding,
        SyncOptions,
        SyncResult,
    )
    from stocktake.manifests._verify import verify_dataset
    from stocktake.manifests._verify_share import SampledShare
    from stocktake.manifests._verify_values import (
        Damage,
        VerifyFinding,
        VerifyLevel,
        VerifyOptions,
        VerifyResult,
    )

__all__ = [
    "ANY",
    "Algorithm",
    "BagResult",
    "Commit",
    "CopyOptions",
    "CopyResult",
    "Damage",
    "Dataset",
    "DatasetInfo",
    "DatasetSpec",
    "DatasetStats",
    "DeleteEntry",
    "DigestCache",
    "Edit",
    "Entry",
    "EtagOutcome",
    "EtagVerdict",
    "Extreme",
    "FileDigests",
    "FileEvent",
    "FileEventKind",
    "FileHasher",
    "ImportCheck",
    "KeyOutcome",
    "KeyState",
    "LeftOut",
    "LocalCheck",
    "LocalFile",
    "NotedUpload",
    "OnConflict",
    "Overwrite",
    "ParsedManifest",
    "PathProblem",
    "PutEntry",
    "Readable",
    "Reason",
    "RestoreFinding",
    "RestoreOptions",
    "RestoreProblem",
    "RestoreResult",
    "RunInfo",
    "RunKind",
    "SampledShare",
    "Segment",
    "SegmentLog",
    "Share",
    "SkipReason",
    "Skipped",
    "SyncAction",
    "SyncFinding",
    "SyncOptions",
    "SyncResult",
    "UploadRecord",
    "VerifyFinding",
    "VerifyLevel",
    "VerifyOptions",
    "VerifyResult",
    "VersionInfo",
    "base_url_of",
    "check_etag",
    "check_records",
    "copy_place",
    "create_dataset",
    "digest_file",
    "export_bag",
    "export_csv",
    "export_sums",
    "file_values",
    "find_local",
    "find_version",
    "forget_dataset",
    "head_values",
    "import_records",
    "import_segments",
    "is_abandoned",
    "is_manifest_file_current",
    "is_unfinished",
    "list_datasets",
    "local_key",
    "manifest_etag",
    "manifest_file_name",
    "manifest_prefix",
    "manifest_with_etag",
    "md5_of_etag",
    "object_url",
    "open_dataset",
    "open_local",
    "parse_manifest",
    "part_size_guesses",
    "preview_sync",
    "pull_copy",
    "push_copy",
    "read_events",
    "recheck_local",
    "record_from_json",
    "record_to_json",
    "render_manifest",
    "restore_dataset",
    "set_base_url",
    "sync_folder",
    "verify_dataset",
    "version_at",
    "version_info",
    "walk_folder",
    "write_manifest_file",
]

_LATER = {
    "_copy": (
        "pull_copy",
        "push_copy",
    ),
    "_copy_object": ("copy_place",),
    "_copy_values": (
        "CopyOptions",
        "CopyResult",
    ),
    "_dataset": (
        "Dataset",
        "create_dataset",
        "forget_dataset",
        "list_datasets",
        "open_dataset",
    ),
    "_dataset_address": (
        "base_url_of",
        "object_url",
        "set_base_url",
    ),
    "_dataset_events": (
        "FileEvent",
        "FileEventKind",
        "read_events",
    ),
    "_dataset_version": (
        "find_version",
        "version_at",
    ),
    "_export": (
        "Algorithm",
        "export_csv",
        "export_sums",
    ),
    "_export_bag": (
        "BagResult",
        "export_bag",
    ),
    "_export_names": ("LeftOut",),
    "_foreign": (
        "ParsedManifest",
        "parse_manifest",
    ),
    "_foreign_json": ("Readable",),
    "_import": (
        "ImportCheck",
        "check_records",
        "import_records",
        "import_segments",
    ),
    "_local_digests": (
        "DigestCache",
        "FileDigests",
        "FileHasher",
        "digest_file",
    ),
    "_render": (
        "file_values",
        "head_values",
        "manifest_etag",
        "manifest_with_etag",
        "render_manifest",
        "version_info",
    ),
    "_render_file": (
        "is_manifest_file_current",
        "manifest_file_name",
        "write_manifest_file",
    ),
    "_compare": (
        "KeyState",
        "OnConflict",
        "SyncAction",
    ),
    "_sync": (
        "preview_sync",
        "sync_folder",
    ),
    "_sync_values": (
        "KeyOutcome",
        "LocalCheck",
        "SyncFinding",
        "SyncOptions",
        "SyncResult",
    ),
    "_stats": (
        "DatasetStats",
        "Extreme",
        "Share",
    ),
    "_restore": (
        "is_abandoned",
        "restore_dataset",
    ),
    "_restore_folder": ("is_unfinished",),
    "_restore_options": (
        "Overwrite",
        "RestoreFinding",
        "RestoreOptions",
        "RestoreProblem",
        "RestoreResult",
    ),
    "_restore_path": ("PathProblem",),
    "_verify": ("verify_dataset",),
    "_verify_share": ("SampledShare",),
    "_verify_values": (
        "Damage",
        "VerifyFinding",
        "VerifyLevel",
        "VerifyOptions",
        "VerifyResult",
    ),
}
"""Modules that load the database, with their public names: loaded when somebody asks for one, since
shippers never do and have many processes."""

_HOMES = {name: module for module, names in _LATER.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
