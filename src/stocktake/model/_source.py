"""Where batches of object records come from, and what they claim.

A `SnapshotSource` is anything that can become a snapshot: an inventory report, a LIST scan. The
catalog consumes it without knowing which.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import pyarrow as pa

BAD_SAMPLES_MAX = 20
SAMPLE_CHARS_MAX = 2000


class SourceKind(StrEnum):
    """What produced a snapshot."""

    AWS_INVENTORY = "aws_inventory"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a snapshot speaks about; nothing outside it may be called deleted.

    Attributes:
        prefix: Only keys that start with it; '' is the whole bucket. None: the source does not say
            (a report manifest does not carry its filter).
        versions: 'all' (every version and delete marker) or 'current'.
        config_hash: Hash of the inventory configuration, if it could be read.
    """

    prefix: str | None = ""
    versions: str = "current"
    config_hash: str | None = None


@dataclass(frozen=True, slots=True)
class SourceHeader:
    """What a source says about itself.

    Attributes:
        kind: What produced it.
        bucket: The bucket that the keys are in.
        config_id: The inventory configuration, or the scan's name.
        as_of: The instant the content speaks of (the report's stamp), aware UTC.
        delivered_at: When it was complete in the store; None if unknown.
        identity: Same identity = same content (for a report: the manifest's MD5).
        location: Address of the report or bucket, for people.
        columns: Our column names that every batch carries, in order; always includes `key`.
        coverage: What it speaks about.
        excluded_prefixes: Keys below these are kept but stay out of folders and totals (the
            report's own files).
        attrs: Further facts to keep with the snapshot (format, lag, key encoding).
    """

    kind: SourceKind
    bucket: str
    config_id: str
    as_of: datetime
    identity: str
    location: str
    columns: tuple[str, ...]
    coverage: Coverage = Coverage()
    delivered_at: datetime | None = None
    excluded_prefixes: tuple[str, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def source_name(self) -> str:
        """`bucket/config-id`: what people call the source."""
        return f"{self.bucket}/{self.config_id}"


@dataclass(frozen=True, slots=True)
class PartRef:
    """One piece of a source: the unit of work, verification and resume.

    Attributes:
        index: Position in the source, 0-based.
        name: What identifies it within the source (the object key of a report part).
        size_bytes: Stored size, for progress; 0 if unknown.
        md5: Lower-hex MD5 of the stored bytes; '' if there is none.
    """

    index: int
    name: str
    size_bytes: int
    md5: str


@dataclass(slots=True)
class PartTally:
    """What reading one part found besides its rows. Filled by the reader, kept by the catalog.

    `bad_samples` holds at most 20 raw rows with the reason. The catalog adds what it took out:
    rows that stood twice (`duplicates`, of which with other data `duplicates_differing`) and latest
    marks that were not (`demoted_latest`).
    """

    rows: int = 0
    bad_rows: int = 0
    bad_samples: list[dict[str, Any]] = field(default_factory=list)
    undecodable_keys: int = 0
    suspicious_keys: int = 0
    plus_keys: int = 0
    percent20_keys: int = 0
    bytes_read: int = 0
    duplicates: int = 0
    duplicates_differing: int = 0
    demoted_latest: int = 0
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def sum(cls, tallies: Iterable[PartTally]) -> PartTally:
        """All counts added up; samples and warnings are left out."""
        total = cls()
        for tally in tallies:
            for field_ in fields(cls):
                if field_.type == "int":
                    value = getattr(total, field_.name) + getattr(tally, field_.name)
                    setattr(total, field_.name, value)
        return total

    def note_bad(self, part_name: str, text: str, reason: str) -> None:
        """Count a bad row; keep the first 20 raw."""
        self.bad_rows += 1
        if len(self.bad_samples) < BAD_SAMPLES_MAX:
            sample = {"part": part_name, "row": text[:SAMPLE_CHARS_MAX], "reason": reason}
            self.bad_samples.append(sample)


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a part: good rows, and rows whose key could not be decoded (kept raw).

    Both have the schema of the source's columns. Order inside is the part's own.
    """

    rows: pa.RecordBatch
    undecodable: pa.RecordBatch | None = None


class SnapshotSource(Protocol):
    """Something that can become a snapshot."""

    @property
    def header(self) -> SourceHeader:
        """What the source says about itself."""

    def parts(self) -> Sequence[PartRef]:
        """Every part, in order. At least 0: an empty source is legal and guarded elsewhere."""

    def read(self, part: PartRef, tally: PartTally) -> Iterator[Block]:
        """The rows of one part, as blocks of a few MB of input at most.

        Rows count only once the iterator has ended: the part's size and checksum are verified
        last, and a failure raises then. May be called from several threads for different parts,
        and again for the same part.
        """

    def recheck(self, found: PartTally | None = None) -> None:
        """Make sure that what was read may be published.

        Args:
            found: The sum of what reading all parts found.

        Raises:
            ReportChangedError: The source is no longer what `header` says.
            KeyEncodingError: `found` shows that keys were decoded the wrong way.
        """
