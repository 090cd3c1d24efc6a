"""What a dataset is, what changes it, and what came of that: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from stocktake.manifests._record import UploadRecord


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A dataset to be made.

    Attributes:
        id: The user's own name or number of it: 1 to 128 characters, no `/`, no control characters.
        title: For people; the id if none is given.
        bucket: Where its objects are.
        prefix: All its keys start with it; empty, or ends in `/`.
    """

    id: str
    title: str
    bucket: str
    prefix: str


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A dataset as it stands. The totals are those of its entries at `version`.

    `base_url` is where its bucket answers HTTP, ending in `/`; None if nobody said: AWS.
    """

    id: str
    title: str
    bucket: str
    prefix: str
    created_at: datetime
    last_synced: datetime | None
    version: int
    total_files: int
    total_size_bytes: int
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a dataset and the version that brought it."""

    record: UploadRecord
    since_version: int


class _Any:
    """Stands for: whatever the manifest says of this key now."""

    def __repr__(self) -> str:
        return "ANY"


ANY = _Any()


@dataclass(frozen=True, slots=True)
class PutEntry:
    """Enter a record, in place of what the manifest has of this key.

    Attributes:
        record: What was uploaded.
        expected: `since_version` of the entry that the writer saw; None if it saw none; `ANY`.
            If the manifest says otherwise by now, this entry is not made: `Commit.conflicts`.
    """

    record: UploadRecord
    expected: int | _Any | None = ANY


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """Record that a key is deleted. `expected` as for `PutEntry`; absent is not a conflict."""

    s3_key: str
    expected: int | _Any = ANY


Edit = PutEntry | DeleteEntry


class Reason(StrEnum):
    """Why a version was made."""

    SYNC = "sync"
    DELETE = "delete"
    IMPORT = "import"
    MERGE = "merge"
    EDIT = "edit"


@dataclass(frozen=True, slots=True)
class Commit:
    """What came of a commit.

    Attributes:
        version: The new version; the one there was if nothing changed.
        added: Entries of keys that had none.
        replaced: Entries that took the place of one.
        deleted: Entries that were ended.
        conflicts: Edits that were not made, each with the entry that stands there (None: none).
    """

    version: int
    added: int
    replaced: int
    deleted: int
    conflicts: tuple[tuple[Edit, Entry | None], ...] = ()


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of a dataset's manifest."""

    version: int
    at: datetime
    reason: Reason
    writer: str
    run_id: str | None
    added: int
    replaced: int
    deleted: int
    total_files: int
    total_size_bytes: int


class RunKind(StrEnum):
    """What was done with a dataset."""

    SYNC = "sync"
    VERIFY = "verify"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One sync, verify or restore. The restores are the download history.

    Attributes:
        state: running | done | partial | failed.
        place: The local folder.
        version: What was verified or restored.
        result: Its summary, as the command's JSON has it.
    """

    id: str
    kind: RunKind
    started_at: datetime
    finished_at: datetime | None
    owner_host: str
    owner_pid: int
    state: str
    place: str | None
    version: int | None
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotedUpload:
    """A multipart upload under way. `upload_id` is None from the intent until the store gave it."""

    s3_key: str
    token: str
    upload_id: str | None
    run_id: str
    recorded_at: datetime
