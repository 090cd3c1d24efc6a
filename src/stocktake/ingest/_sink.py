"""What a sink is: where batches of objects go, and how it proves that one has landed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pyroaring import BitMap64

from stocktake.store import ObjectBody


@dataclass(frozen=True, slots=True)
class Item:
    """One numbered change of one object, as a sink sees it. `deleted`: the key is gone."""

    seq: int
    key: str
    version_id: str | None
    etag: str | None
    size_bytes: int | None
    last_modified: datetime | None
    deleted: bool
    attempt: int


class OpenItems(Protocol):
    """The items of a batch, readable; what a sink loads."""

    @property
    def token(self) -> str:
        """The commit token: the same for every attempt at this batch."""

    @property
    def consumer(self) -> str:
        """Name of the ingestion."""

    @property
    def bucket(self) -> str:
        """Where the objects are."""

    @property
    def items(self) -> Sequence[Item]:
        """What is to be loaded, in order of `seq`. An item that failed is not in it any more."""

    def open(self, item: Item) -> AbstractContextManager[ObjectBody | None]:
        """The bytes of exactly this version; None if it is superseded or vanished (noted so)."""

    def fail(self, item: Item, error: BaseException) -> None:
        """This item cannot be loaded: it will be tried again later, or is dead; go on without."""

    def renew(self) -> None:
        """Say that this worker lives. Raises `LeaseLostError` if another one took the batch."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A batch that a sink holds: its token, and which numbers of it were loaded."""

    token: str
    seqs: BitMap64


class Sink(Protocol):
    """Where batches go.

    Exactly-once effect needs `keeps_tokens`: the sink writes the token in the same transaction as
    the data. Without it the promise is at-least-once.
    """

    @property
    def keeps_tokens(self) -> bool:
        """True if `landed` can be believed."""

    def load(self, batch: OpenItems) -> None:
        """Load all items and the token, all or nothing. Items that `fail` are left out.

        Loading a token that has landed already changes nothing.
        """

    def landed(self, consumer: str, tokens: Sequence[str]) -> Mapping[str, Landed]:
        """Which of these batches the sink holds."""

    def close(self) -> None:
        """Give back connections."""
