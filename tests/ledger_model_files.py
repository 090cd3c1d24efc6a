"""What the model of the ledger remembers of a file and of an open upload."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from stocktake.ship import (
    Identity,
    ObjectState,
    Outcome,
    PlannedObject,
    SourceKind,
    SourceState,
)

PATHS = {
    b"caf\xe9.bin": SourceKind.PLAIN,
    b"d/large.bin": SourceKind.PLAIN,
    b"d/t.csv": SourceKind.TABLE,
    b"x.zip": SourceKind.ARCHIVE,
}
SMALL = 1000
RUNNING = (SourceState.PLANNING, SourceState.SHIPPING)
S = SourceState
STEPS = 100
ENDS = [one for one in Outcome if one is not Outcome.DONE]
GOALS = (
    ObjectState.PLANNED,
    ObjectState.INTENT,
    ObjectState.UPLOADING,
    ObjectState.COMPLETING,
    ObjectState.COMPLETED,
)


def key_of(path: bytes) -> str:
    return "in/" + path.decode("utf-8", "backslashreplace")


@dataclass
class File:
    """What the model knows of a path."""

    identity: Identity
    state: SourceState = S.PENDING
    attempts: int = 0
    due: datetime | None = None
    successor: Identity | None = None
    source_id: int | None = None
    plan: list[PlannedObject] = field(default_factory=list)
    done: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)


@dataclass
class Open:
    """A multipart upload that has not ended."""

    key: str
    state: ObjectState
    token: str
    over: str | None
    identity: Identity
    current: bool = True
