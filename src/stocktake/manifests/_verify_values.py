"""What a verification is asked for, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from stocktake.manifests._verify_share import SampledShare

WORKERS_DEFAULT = 32
FINDINGS_KEPT_MAX = 10_000


class VerifyLevel(StrEnum):
    """How closely a dataset is looked at. `HEAD` and `FULL` also do what `LIST` does."""

    LIST = "list"
    HEAD = "head"
    FULL = "full"
    LOCAL = "local"


class Damage(StrEnum):
    """How what is there differs from the manifest."""

    MISSING = "missing"
    EXTRA = "extra"
    SIZE = "size"
    ETAG = "etag"
    CHECKSUM = "checksum"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    ARCHIVED = "archived"


UNKNOWN = frozenset({Damage.UNREADABLE, Damage.ARCHIVED})
"""Not differences: nobody could look."""

BLIND_SPOTS: Mapping[VerifyLevel, tuple[str, ...]] = {
    VerifyLevel.LIST: (
        "bytes that differ while size and ETag are the same: damage at rest",
        "an object that was written again with the same bytes, or got other metadata",
    ),
    VerifyLevel.HEAD: (
        "bytes that differ from what the store itself says of them: damage at rest",
        "content type, tags and permissions",
    ),
    VerifyLevel.FULL: ("content type, tags and permissions",),
    VerifyLevel.LOCAL: ("anything about the bucket: no request was made",),
}
"""What a level cannot find, for people."""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How a dataset is verified.

    Attributes:
        sample: Look at so many entries, drawn at random, and do not list; of `HEAD` and `FULL`.
        seed: Draws the same entries of the same version again.
        folder: Of `LOCAL`: what is compared.
        exclude: Of `LOCAL`: globs of what is left out.
        workers: Objects or files at once.
    """

    sample: int | None = None
    seed: int = 0
    folder: Path | None = None
    exclude: Sequence[str] = ()
    workers: int = WORKERS_DEFAULT


@dataclass(frozen=True, slots=True)
class VerifyFinding:
    """One key that is not as the manifest has it.

    Attributes:
        key: The object's; of a file that the manifest has not: the key it would have.
        what: In what way.
        expected: By the manifest.
        found: There.
        known_by: `list`, `head`, `bytes` or `folder`: what told.
    """

    key: str
    what: Damage
    expected: str
    found: str
    known_by: str

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "key": self.key,
            "what": str(self.what),
            "expected": self.expected,
            "found": self.found,
            "known_by": self.known_by,
        }


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """What a verification found.

    Attributes:
        run_id: Of the dataset's runs.
        version: Of the manifest that was held against what is there.
        entries: The version has.
        checked: Of these, how many were looked at.
        size_bytes: Of the entries that were looked at.
        identical: Entries that are as the manifest has them, as far as the level can say.
        unproven: Of these, how many had nothing known of their bytes to be compared with.
        counts: Findings by `Damage`.
        findings: The first `FINDINGS_KEPT_MAX`, in key order.
        meanwhile: Findings left out: the manifest changed there while it was verified.
        share: Of a sample: the share of entries that differ, with its interval.
        calls: Requests by operation.
        received_bytes: Of bodies.
        blind_spots: What this level cannot find.
        interrupted: Why it ended early.
    """

    run_id: str
    dataset: str
    level: VerifyLevel
    version: int
    entries: int
    checked: int
    size_bytes: int
    identical: int
    unproven: int
    counts: Mapping[str, int]
    findings: tuple[VerifyFinding, ...]
    meanwhile: int
    share: SampledShare | None
    calls: Mapping[str, int]
    received_bytes: int
    elapsed_s: float
    interrupted: str | None = None
    blind_spots: tuple[str, ...] = field(default=())

    @property
    def differences(self) -> int:
        """Findings that are differences, not only things that could not be looked at."""
        return sum(count for what, count in self.counts.items() if what not in UNKNOWN)

    @property
    def is_whole(self) -> bool:
        """Everything that was to be looked at was."""
        return self.interrupted is None and not any(what in UNKNOWN for what in self.counts)

    def to_dict(self, *, findings: bool = True) -> dict[str, Any]:
        """Its JSON form."""
        left_out = {"findings", "share", "level"}
        values: dict[str, Any] = {"level": str(self.level)}
        values |= {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in left_out
        }
        values["counts"], values["calls"] = dict(self.counts), dict(self.calls)
        values["blind_spots"] = list(self.blind_spots)
        values["elapsed_s"] = round(self.elapsed_s, 3)
        values["differences"] = self.differences
        values["share"] = None if self.share is None else self.share.to_dict()
        if findings:
            values["findings"] = [one.to_dict() for one in self.findings]
        return values
