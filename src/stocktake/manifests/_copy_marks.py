"""What a copy of a manifest says of whose changes are in it: one mark per database that wrote it.

A mark is a version and a digest of what is known about it, so that only the database that made the
version (or a clone that shares it) recognises it. The newest one recognised is the base of a
three-way merge, also when the process that wrote the copy was killed before it could note so.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from stocktake.manifests._dataset import Dataset
from stocktake.model import new_id
from stocktake.state import State, dataset_versions, datasets, properties

METADATA_NAME = "stocktake-marks"
MARKS_MAX = 24
"""2 kB is all that S3 keeps; the database that wrote longest ago goes."""

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
    """What a database noted of the copy it last wrote or took whole."""

    etag: str | None
    version: int | None


def read_marks(metadata: Mapping[str, str]) -> list[Mark]:
    """The marks of a copy, last writer first; what is none is passed over."""
    said = metadata.get(METADATA_NAME, "").split(",")
    found = (_MARK.fullmatch(one.strip()) for one in said)
    return [Mark(int(one[1]), one[2]) for one in found if one is not None]


def render_marks(own: Mark | None, others: Sequence[Mark]) -> dict[str, str]:
    """The metadata of a copy that this database writes."""
    marks = [*([own] if own else []), *others][:MARKS_MAX]
    return {METADATA_NAME: ",".join(map(str, marks))} if marks else {}


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


def read_agreement(dataset: Dataset) -> Agreement:
    """What is noted of the copy."""
    with dataset.state.read() as connection:
        row = connection.execute(
            select(datasets.c.copy_etag, datasets.c.copy_version).where(datasets.c.id == dataset.id)
        ).one()
    return Agreement(row[0], row[1])


def note_agreement(dataset: Dataset, agreement: Agreement) -> None:
    """Note that the copy with this ETag is our version; an older note never replaces a newer."""
    with dataset.state.write() as connection:
        _note(connection, dataset.id, agreement)


def _note(connection: Connection, dataset_id: str, agreement: Agreement) -> None:
    older = datasets.c.copy_version.is_(None) | (datasets.c.copy_version <= agreement.version)
    connection.execute(
        datasets.update()
        .where(datasets.c.id == dataset_id, older)
        .values(copy_etag=agreement.etag, copy_version=agreement.version)
    )
