"""What the parts of shipping tell each other: sources, objects, and the steps between them.

A *source* is one file of the watched folder. An *object* is what it becomes: one for a plain file
or a table, any number for an archive. All of these go between processes as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class SourceKind(StrEnum):
    """What is done with a file."""

    PLAIN = "plain"
    TABLE = "table"
    ARCHIVE = "archive"


class SourceState(StrEnum):
    """Where a file is on its way."""

    PENDING = "pending"
    PLANNING = "planning"
    PLANNED = "planned"
    SHIPPING = "shipping"
    COMPLETED = "completed"
    RETRY = "retry"
    FAILED = "failed"
    VANISHED = "vanished"


class ObjectState(StrEnum):
    """Where an object is on its way. A single PUT goes from planned to completed."""

    PLANNED = "planned"
    INTENT = "intent"
    UPLOADING = "uploading"
    COMPLETING = "completing"
    COMPLETED = "completed"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one content of a path from another without reading it."""

    dev: int
    ino: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class ReadySource:
    """A file that has come to rest; its path is relative to the folder, as the kernel has it."""

    path: bytes
    identity: Identity
    kind: SourceKind


@dataclass(frozen=True, slots=True)
class SourceJob:
    """A file to plan or to ship. `sha256` is known (hex) once it is planned."""

    source_id: int
    path: bytes
    identity: Identity
    kind: SourceKind
    attempt: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedObject:
    """One object that a source becomes, as sweep 1 found it.

    Attributes:
        ordinal: Place in the source, from 0: order of both sweeps.
        entry: Path inside the archive; None if the source itself is the object.
        key: Destination.
        table: A `TableKind` if it becomes Parquet.
        size_bytes: Of the entry's bytes.
        bound_bytes: The object will not be larger; its part size follows from it.
        sha256: Hex, of the entry's bytes.
        plan: `ConversionPlan` as JSON, of tables.
    """

    ordinal: int
    entry: str | None
    key: str
    table: str | None
    size_bytes: int
    bound_bytes: int
    sha256: str
    plan: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """How sweep 1 of a source ended.

    Attributes:
        sha256: Hex, of the source's bytes.
        objects: How many it becomes; 0 for an empty archive or an empty table.
        skipped: What is not shipped and why, as {"entry", "reason"}; the first thousand.
        skipped_count: All of them.
        warnings: One line each.
    """

    sha256: str
    objects: int
    skipped: tuple[Mapping[str, str], ...] = ()
    skipped_count: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectJob:
    """An object to be written.

    Attributes:
        object_id: The ledger's number of it.
        token: Random hex of this object's upload; goes into its metadata and proves it is ours.
        planned: What it is.
        replaces_etag: ETag of our own earlier object there; None: nothing of ours is there.
    """

    object_id: int
    token: str
    planned: PlannedObject
    replaces_etag: str | None = None


@dataclass(frozen=True, slots=True)
class FileJob:
    """A small plain file to be written by one PUT; it has no sweep 1 of its own."""

    source: SourceJob
    object_id: int
    token: str
    key: str
    replaces_etag: str | None = None


@dataclass(frozen=True, slots=True)
class UploadIntended:
    """A multipart upload is about to be created for this object."""

    object_id: int


@dataclass(frozen=True, slots=True)
class UploadOpened:
    """It was created; no part was sent yet."""

    object_id: int
    upload_id: str
    part_size_bytes: int


@dataclass(frozen=True, slots=True)
class UploadCompleting:
    """All parts are there; Complete is about to be sent. `etags` are those of parts 1, 2, ..."""

    object_id: int
    etags: tuple[str, ...]
    size_bytes: int
    crc64nvme: str | None
    md5: str


@dataclass(frozen=True, slots=True)
class UploadDropped:
    """The upload was aborted, or never came to be: the object is `planned` again."""

    object_id: int


UploadStep = UploadIntended | UploadOpened | UploadCompleting | UploadDropped


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """An object that is in the store, proven.

    Attributes:
        object_id: The ledger's number of it.
        size_bytes: Of the object.
        crc64nvme: Base64 as S3 has it, of the whole object; None if this store cannot.
        md5: Hex, of the object's bytes; None if it was adopted and nobody read it.
        sha256: Hex, of the *source entry's* bytes.
        etag: Normalised.
        version_id: On versioned buckets.
        part_size_bytes: Of a multipart upload.
        rows: Of a table.
        verified_by: checksum | etag | read-back | adopted.
    """

    object_id: int
    size_bytes: int
    crc64nvme: str | None
    md5: str | None
    sha256: str
    etag: str | None
    version_id: str | None
    part_size_bytes: int | None
    rows: int | None
    verified_by: str


class Recorder(Protocol):
    """The ledger as a worker sees it. Every call returns when its fact is on disk.

    Safe to call from several threads; facts of several threads share one commit. In the daemon it
    is the `Ledger` itself, in a worker process a line to it.
    """

    def add_planned(self, source_id: int, objects: Sequence[PlannedObject]) -> None:
        """Record objects of sweep 1, in order, a few hundred at a time.

        Raises:
            KeyCollisionError: A key belongs to another source, or is there twice.
        """

    def end_plan(self, source_id: int, summary: PlanSummary) -> None:
        """Sweep 1 was clean: the source is `planned`, or `completed` if it becomes nothing."""

    def next_objects(self, source_id: int, after_ordinal: int, limit: int) -> list[ObjectJob]:
        """Objects that are not completed, with a larger ordinal, in order."""

    def record(self, step: UploadStep) -> None:
        """Record a step of one multipart upload."""

    def complete(self, results: Sequence[ObjectResult]) -> None:
        """These objects are completed; a source whose only object this is, too."""

    def end_source(self, source_id: int) -> None:
        """All objects are completed: so is the source. Objects it no longer has: superseded."""


class Outcome(StrEnum):
    """What a task's end means for its source."""

    DONE = "done"
    CHANGED = "changed"
    """The file is being written to: it is new when it has come to rest."""
    VANISHED = "vanished"
    INCOMPLETE = "incomplete"
    """The format ends too early: tried again for a while, then it is corrupt."""
    TRANSIENT = "transient"
    """Tried again later, a bounded number of times."""
    OUTAGE = "outage"
    """The store is away: tried again, no attempt counted."""
    STOPPED = "stopped"
    """The daemon asked the task to end: nothing is wrong."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """How a task ended for one source, as it is recorded and shown.

    Attributes:
        source_id: Whose.
        outcome: What follows from it.
        error: `StocktakeError.to_dict()`; None if it is done.
    """

    source_id: int
    outcome: Outcome
    error: Mapping[str, Any] | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
