"""Three-way merge of a dataset's entries: ours, theirs, and what both last agreed on.

Per key: what only one side changed is taken from it. Where both did, a change beats a deletion and
the newer upload beats the older one: S3 keeps what was written last, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from stocktake.manifests._dataset_values import Entry
from stocktake.manifests._record import UploadRecord

T = TypeVar("T")
Known = Callable[[UploadRecord], bool]


class Outcome(StrEnum):
    """Whose word on a key stands."""

    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True, slots=True)
class Difference:
    """A key on which the two sides differ, and what is to stand.

    Attributes:
        s3_key: The key.
        ours: Our entry; None: we have none.
        theirs: Their record; None: they have none.
        outcome: Whose stands.
        conflict: Both changed it since they last agreed.
    """

    s3_key: str
    ours: Entry | None
    theirs: UploadRecord | None
    outcome: Outcome
    conflict: bool


def same_upload(one: UploadRecord | None, other: UploadRecord | None) -> bool:
    """Whether two records are about the same upload and know as much of its bytes."""
    if one is None or other is None:
        return one is other
    return identity(one) == identity(other)


def identity(record: UploadRecord) -> tuple[object, ...]:
    """What tells an upload from every other one of its key."""
    return (
        record.size_bytes,
        record.uploaded_at,
        record.token,
        record.etag,
        record.version_id,
        record.md5,
        record.sha256,
        record.crc64nvme,
        record.verified_by,
    )


def newer(one: UploadRecord, other: UploadRecord) -> bool:
    """Whether a record beats another of the same key. The same on every host: a total order."""
    return _rank(one) > _rank(other)


def _rank(record: UploadRecord) -> tuple[object, ...]:
    known = sum(one is not None for one in (record.md5, record.sha256, record.crc64nvme))
    return record.uploaded_at, known, tuple(str(value) for value in identity(record))


def merge_entries(
    base: Iterable[UploadRecord],
    ours: Iterable[Entry],
    theirs: Iterable[UploadRecord],
    known: Known,
    taken: Callable[[Entry], bool] = lambda _: False,
) -> Iterator[Difference]:
    """What differs between ours and theirs, in key order. All three come in key order.

    Memory: one entry of each.

    Args:
        base: What both agreed on last; nothing if they never did.
        ours: What we have.
        theirs: What they have.
        known: Whether we had this upload since then, but have it no longer: then we have replaced
            or deleted it knowing of it, and theirs is only old.
        taken: Whether an entry of ours came from them since then: it is what both agreed on.
    """
    agreed = _Side(base, lambda one: one.s3_key)
    here = _Side(ours, lambda one: one.record.s3_key)
    there = _Side(theirs, lambda one: one.s3_key)
    while keys := [one for one in (agreed.key, here.key, there.key) if one is not None]:
        key = min(keys)
        before, our, their = agreed.take(key), here.take(key), there.take(key)
        mine = our.record if our is not None else None
        if not same_upload(mine, their):
            agreed_on = mine if our is not None and taken(our) else before
            outcome, conflict = _decide(agreed_on, mine, their, known)
            yield Difference(key, our, their, outcome, conflict)


def _decide(
    before: UploadRecord | None,
    mine: UploadRecord | None,
    their: UploadRecord | None,
    known: Known,
) -> tuple[Outcome, bool]:
    if same_upload(their, before):
        return Outcome.OURS, False
    if their is not None and known(their):
        return Outcome.OURS, False
    if same_upload(mine, before):
        return Outcome.THEIRS, False
    if their is None:
        return Outcome.OURS, before is not None
    if mine is None:
        return Outcome.THEIRS, True
    return (Outcome.THEIRS if newer(their, mine) else Outcome.OURS), True


class _Side(Generic[T]):
    """A sorted stream that stands at its next key."""

    def __init__(self, rows: Iterable[T], key_of: Callable[[T], str]) -> None:
        self._rows = iter(rows)
        self._key_of = key_of
        self._row: T | None = None
        self.key: str | None = None
        self._step()

    def take(self, key: str) -> T | None:
        """The row of this key, if it stands there; then it goes on."""
        if self.key != key:
            return None
        row = self._row
        self._step()
        return row

    def _step(self) -> None:
        self._row = next(self._rows, None)
        self.key = None if self._row is None else self._key_of(self._row)
