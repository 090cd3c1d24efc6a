"""How a copy is pushed or pulled, and what came of it: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from stocktake.manifests._dataset_values import Commit
from stocktake.manifests._record import UploadRecord
from stocktake.model import S3Url

LOST_KEPT_MAX = 1000


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How to push or pull.

    Attributes:
        at: Where the copy is, if not at its usual place.
        conditional: False: write even if the store has no conditional writes.
        accept_deletions: Also when the copy has lost much of what we have.
    """

    at: S3Url | None = None
    conditional: bool = True
    accept_deletions: bool = False


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What came of a push or pull.

    Attributes:
        place: Where the copy is.
        version: Of the dataset, now.
        etag: Of the copy, now; None if there is none.
        written: Whether the copy was written.
        added: Entries that the dataset had not.
        replaced: Entries of which the copy had a newer one.
        deleted: Entries that others had deleted.
        ahead: Keys on which the dataset knows more than the copy does.
        lost: Uploads of others that ours took the place of because ours are newer; at most 1,000.
        conflicts: Keys that both sides had changed.
        rounds: How often it was tried; each but the first because somebody else was faster.
        notes: What was put right in the copy, for people.
    """

    place: S3Url
    version: int
    etag: str | None
    written: bool
    added: int = 0
    replaced: int = 0
    deleted: int = 0
    ahead: int = 0
    lost: tuple[UploadRecord, ...] = ()
    conflicts: int = 0
    rounds: int = 1
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class CopyTally:
    """What all rounds together did."""

    added: int = 0
    replaced: int = 0
    deleted: int = 0
    conflicts: set[str] = field(default_factory=set)
    lost: dict[str, UploadRecord] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def count(self, commit: Commit) -> None:
        """Add a commit."""
        self.added += commit.added
        self.replaced += commit.replaced
        self.deleted += commit.deleted


@dataclass(frozen=True, slots=True)
class Merged:
    """The dataset at a version that holds everything of the copy; `ahead`: keys beyond it."""

    version: int
    ahead: int
