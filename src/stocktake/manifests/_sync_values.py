"""What a sync is asked for, what it tells while it runs, and what it came to: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from stocktake.manifests._compare import KeyState, OnConflict, Policy, SyncAction
from stocktake.manifests._dataset_values import Edit
from stocktake.manifests._local_names import Exclusions

FINDINGS_MAX = 1_000
"""Findings that are kept; further ones are counted."""

WORKERS = 64
MULTIPART_BYTES_MIN = 64 << 20
PART_BYTES_MIN = 16 << 20


class LocalCheck(StrEnum):
    """When a local file counts as unchanged."""

    CACHE = "cache"
    """Identity and times are those it was last read with; else it is read."""
    CONTENT = "content"
    """Every file is read."""
    TIMES = "times"
    """Size and time of change are those that the manifest has."""


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How to synchronise.

    Attributes:
        delete: Carry deletions over; see `accept_deletions`.
        dry_run: Change nothing anywhere but the cache of digests.
        workers: Most files at once.
        two_way: Also bring down what changed in the bucket.
        on_conflict: Which side is right where both changed; None: report it and touch neither.
        accept_deletions: Also more than a tenth of the dataset, or than 10,000.
        exclude: Globs; what matches is left alone on both sides.
        check: When a file counts as unchanged.
        multipart_bytes_min: Files of this size go in parts.
        part_bytes_min: Smallest part.
        manifest_folder: Where the manifest is written afterwards.
    """

    delete: bool = False
    dry_run: bool = False
    workers: int = WORKERS
    two_way: bool = False
    on_conflict: OnConflict | None = None
    accept_deletions: bool = False
    exclude: tuple[str, ...] = ()
    check: LocalCheck = LocalCheck.CACHE
    multipart_bytes_min: int = MULTIPART_BYTES_MIN
    part_bytes_min: int = PART_BYTES_MIN
    manifest_folder: Path | None = None

    def __post_init__(self) -> None:
        """Refuse globs that make no sense, before anything is begun."""
        Exclusions.of(self.exclude)

    @property
    def policy(self) -> Policy:
        """What the comparison may decide."""
        return Policy(two_way=self.two_way, delete=self.delete, on_conflict=self.on_conflict)


@dataclass(frozen=True, slots=True)
class SyncFinding:
    """Something that a person should know of one key.

    Attributes:
        key: Which; below the folder's root for files that have none.
        kind: conflict | failed | skipped | not-done.
        why: For people.
        code: Of the error, if one led here.
    """

    key: str
    kind: str
    why: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class KeyOutcome:
    """What came of one key.

    Attributes:
        key: Which.
        state: What had become of it.
        action: What was done, or is to be done later (deletions), or would be (dry run).
        edit: What the manifest is to say.
        token: Of a noted multipart upload, which is over once `edit` is committed.
        size_bytes: Transferred.
        finding: What a person should know.
        more: What else came of it (the other name of a file that was kept beside).
        seen_etag: Of the object that a later deletion is about.
    """

    key: str
    state: KeyState
    action: SyncAction
    edit: Edit | None = None
    token: str | None = None
    size_bytes: int = 0
    finding: SyncFinding | None = None
    more: tuple[KeyOutcome, ...] = ()
    seen_etag: str | None = None


@dataclass(slots=True)
class SyncResult:
    """What a sync came to. The first six are as things were when they were compared.

    Attributes:
        total_local: Files.
        total_s3: Objects.
        missing_in_s3: Files without object.
        different: Both are there, with other bytes.
        identical: Both are there, with the same bytes.
        missing_locally: Objects without file.
        uploaded: Files, and their bytes in `uploaded_bytes`.
        downloaded: Objects, and their bytes in `downloaded_bytes`.
        deleted: Objects that were deleted.
        deleted_locally: Files that were deleted.
        recorded: Entries that only the manifest lacked, or had too many.
        conflicts: Keys that somebody has to decide about.
        failed: Keys that did not work.
        skipped: Links, special and unreadable files, folder markers, keys that are no file's.
        not_done: Files that were not begun, because the store was away or the run stopped.
        states: How many keys became what.
        findings: At most `FINDINGS_MAX`.
        planned: Dry run: how many of each action there would be.
        version: Of the manifest, afterwards.
        warnings: What was noticed of the store.
        manifest_file: Where the manifest was written.
    """

    total_local: int = 0
    total_s3: int = 0
    missing_in_s3: int = 0
    different: int = 0
    identical: int = 0
    missing_locally: int = 0
    uploaded: int = 0
    uploaded_bytes: int = 0
    downloaded: int = 0
    downloaded_bytes: int = 0
    deleted: int = 0
    deleted_locally: int = 0
    recorded: int = 0
    conflicts: int = 0
    failed: int = 0
    skipped: int = 0
    not_done: int = 0
    states: dict[str, int] = field(default_factory=dict)
    planned: dict[str, int] = field(default_factory=dict)
    findings: list[SyncFinding] = field(default_factory=list)
    version: int = 0
    warnings: list[str] = field(default_factory=list)
    manifest_file: Path | None = None

    @property
    def state(self) -> str:
        """`done`, or `partial` if something was left out or failed."""
        return "partial" if self.failed or self.not_done else "done"

    def find(self, finding: SyncFinding) -> None:
        """Keep a finding, if there is room."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)

    def to_dict(self, *, findings_max: int = FINDINGS_MAX) -> Mapping[str, Any]:
        """Its JSON form, with the first findings."""
        said = asdict(self) | {"state": self.state}
        said["findings"] = said["findings"][:findings_max]
        said["manifest_file"] = None if self.manifest_file is None else str(self.manifest_file)
        return said
