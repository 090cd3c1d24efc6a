"""A side of a comparison: rows in key order, and what is known of where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import pyarrow as pa

from stocktake.model import S3Url

SIDE_ROW: pa.Schema = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("last_modified", pa.timestamp("ms")),
        pa.field("etag", pa.string()),
        pa.field("storage_class", pa.string()),
        pa.field("md5", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("encryption", pa.string()),
    ]
)
"""What is compared. `key` is relative: without the side's own prefix or folder. NULL is unknown.

`last_modified` is UTC without a zone; `etag` as `normalise_etag` gives it; `md5` and `sha256` are
hex, of the bytes; `encryption` is that of the object in words of inventory reports (`SSE-S3`).
"""


class SideKind(StrEnum):
    """What a side is made of."""

    LISTING = "listing"
    SAMPLE = "sample"
    AWS_INVENTORY = "aws_inventory"
    CATALOG = "catalog"
    FOLDER = "folder"
    MANIFEST = "manifest"
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class SideFacts:
    """What a side says about itself. Read it after the rows: counts and calls are known then.

    Attributes:
        kind: What it is made of.
        place: For people: an address, a path, the name of a dataset, snapshot or file.
        as_of: The instant its rows speak of, aware UTC: the start of a listing or walk, the stamp
            of a report, the last version of a manifest. None for rules.
        complete: Nothing is left out that it speaks of. False: some could not be read.
        objects_at: Where in S3 its objects are (`S3Url(bucket, prefix)`), None for a folder or
            rules. Two sides with the same one speak of the same objects: there a different ETag
            is a different object, whatever it was made of.
        objects: Rows given out.
        size_bytes: Their sizes added up; unknown ones count as nothing.
        requests: Calls to the store, by kind (`LIST`, `GET`, `HEAD`).
        notes: What a person should know (what was left out and why, where it fell back).
    """

    kind: SideKind
    place: str
    as_of: datetime | None
    complete: bool = True
    objects_at: S3Url | None = None
    objects: int = 0
    size_bytes: int = 0
    requests: dict[str, int] | None = None
    notes: tuple[str, ...] = ()


class Same(StrEnum):
    """Are the bytes the same?"""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Pair:
    """An object that both sides have, of the same size, whose checksums in the rows decide nothing.

    Attributes:
        key: As in the side's own rows.
        size_bytes: Of both.
        etag: What the other side has; likewise the rest.
    """

    key: str
    size_bytes: int
    etag: str | None
    md5: str | None = None
    sha256: str | None = None
    encryption: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a side found out about a pair.

    Attributes:
        same: Are the bytes the same?
        why: How that is known, or why it is not: a short phrase for a person.
        expected: What SHOULD has, as text, if they differ.
    """

    same: Same
    why: str
    expected: str | None = None


class Side(Protocol):
    """One side of a comparison."""

    @property
    def facts(self) -> SideFacts:
        """What it says about itself; counts are complete once `batches` has ended."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows with the schema `SIDE_ROW`, ascending by key in UTF-8 byte order, each key once.

        May be called again (a sample reads SHOULD twice). Bounded memory: about 10,000 rows each.

        Raises:
            SideUnavailableError: It cannot be read; other typed errors of its room likewise.
        """

    def prove(self, pairs: Sequence[Pair]) -> list[Proof]:
        """Look closer, where rows do not say whether the bytes are the same; one proof per pair.

        A folder reads (or knows the cached digests of) its files; a side that has nothing but its
        rows answers UNKNOWN. Called from one thread, with up to some hundred pairs at once.
        """
