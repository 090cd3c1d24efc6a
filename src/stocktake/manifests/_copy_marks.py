"""What a copy of a manifest says of whose changes are in it: one mark per database that wrote it.

A mark is a version and a digest of what is known about it, so that only the database that made the
version (or a clone that shares it) recognises it. The newest one recognised is the base of a
three-way merge, also when the process that wrote the copy was killed before it could note so.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import Reason
from stocktake.model import new_id
from stocktake.state import State, dataset_versions, datasets, properties

METADATA_NAME = "stocktake-marks"
MARKS_MAX = 24
"""2 kB is all that S3 keeps; the database that wrote longest ago goes."""

LINEAGE_NAME = "stocktake-copy"
_LINEAGE = re.compile(r"[0-9a-f]{16}")
_NOTE = re.compile(r"(\S+) ([0-9a-f]{16}|-) ([0-9]{1,18})")
_MARK = re.compile(r"([1-9][0-9]{0,17})-([0-9a-f]{16})")
_WRITER_NAME = "manifest-writer-id"
_WRITER = select(properties.c.value).where(properties.c.name == _WRITER_NAME)
_v = dataset_versions.c


@dataclass(frozen=True, slots=True)
class Mark:
    """A version of some database's history."""

    version: int
    digest: str

    def __str__(self) -> str:
        return f"{self.version}-{self.digest}"


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a database noted of the copy, at its usual place.

    Attributes:
        etag: Of the copy when it was the same as `version`; None: it never was.
        version: The version that it was the same as; 0 for none.
        lineage: Of the copy: another one there has a common past with it only by its marks.
        since: The version before anything was taken from a copy of this lineage.
    """

    etag: str | None = None
    version: int = 0
    lineage: str | None = None
    since: int = 0


def read_marks(metadata: Mapping[str, str]) -> list[Mark]:
    """The marks of a copy, last writer first; what is none is passed over."""
    said = metadata.get(METADATA_NAME, "").split(",")
    found = (_MARK.fullmatch(one.strip()) for one in said)
    return [Mark(int(one[1]), one[2]) for one in found if one is not None]


def copy_metadata(lineage: str, own: Mark | None, others: Sequence[Mark]) -> dict[str, str]:
    """The metadata of a copy that this database writes."""
    marks = [*([own] if own else []), *others][:MARKS_MAX]
    return {LINEAGE_NAME: lineage, METADATA_NAME: ",".join(map(str, marks))}


def own_mark(dataset: Dataset, version: int) -> Mark | None:
    """The mark of a version; None for 0, when nothing was ever entered."""
    return next(iter(_marks_of(dataset, [version])), None)


def recognised(dataset: Dataset, marks: Sequence[Mark]) -> list[Mark]:
    """Those that are of this database's own history."""
    real = set(_marks_of(dataset, [one.version for one in marks])) if marks else set()
    return [one for one in marks if one in real]


def _marks_of(dataset: Dataset, versions: Sequence[int]) -> list[Mark]:
    with dataset.state.read() as connection:
        name = connection.scalar(_WRITER)
        rows = connection.execute(
            select(_v.version, _v.at, _v.writer, _v.added, _v.total_files, _v.total_size_bytes)
            .where(_v.dataset_id == dataset.id, _v.version.in_(list(versions)))
            .limit(len(versions))
        ).all()
    return [Mark(row[0], _digest("|".join(map(str, (name, *row))))) for row in rows if name]


def name_writer(state: State) -> None:
    """Give this database a name of its own, if it has none. A clone of it shares the name."""
    with state.read() as connection:
        if connection.scalar(_WRITER) is not None:
            return
    # another process may do it at the same time: the first one's stays
    with contextlib.suppress(IntegrityError), state.write() as connection:
        connection.execute(
            insert(properties).values(name=_WRITER_NAME, value=new_id("wri", state.clock))
        )


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def read_lineage(metadata: Mapping[str, str]) -> str | None:
    """What a copy, and every one written over it, is known by; None if it was not we who wrote."""
    said = metadata.get(LINEAGE_NAME, "")
    return said if _LINEAGE.fullmatch(said) else None


def new_lineage() -> str:
    """For a copy where there was none."""
    return secrets.token_hex(8)


def read_agreement(dataset: Dataset) -> Agreement:
    """What is noted of the copy."""
    with dataset.state.read() as connection:
        return _noted(connection, dataset.id, lock=False)


def note_agreement(dataset: Dataset, agreement: Agreement) -> None:
    """Note what was agreed on. Of one lineage, an older note never replaces a newer one."""
    with dataset.state.write() as connection:
        noted = _noted(connection, dataset.id, lock=True)
        if noted.lineage == agreement.lineage and noted.version > agreement.version:
            return
        parts = (agreement.etag or "-", agreement.lineage or "-", str(agreement.since))
        connection.execute(
            update(datasets)
            .where(datasets.c.id == dataset.id)
            .values(copy_etag=" ".join(parts), copy_version=agreement.version)
        )


def _noted(connection: Connection, dataset_id: str, *, lock: bool) -> Agreement:
    query = select(datasets.c.copy_etag, datasets.c.copy_version).where(datasets.c.id == dataset_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    match = _NOTE.fullmatch(row[0] or "") if row is not None else None
    if row is None or match is None:
        return Agreement()
    etag, lineage = (None if one == "-" else one for one in (match[1], match[2]))
    return Agreement(etag, row[1] or 0, lineage, int(match[3]))


def merge_versions(dataset: Dataset, after: int) -> frozenset[int]:
    """Versions that brought nothing but what the copy had, after this one."""
    query = select(_v.version).where(
        _v.dataset_id == dataset.id, _v.version > after, _v.reason == Reason.MERGE.value
    )
    with dataset.state.read() as connection:
        return frozenset(connection.execute(query).scalars())
