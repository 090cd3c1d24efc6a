"""What an ingestion is: where from, how discovered, what of it, into what."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from stocktake.listing import StrategyName
from stocktake.model import S3Url


class OverwritePolicy(StrEnum):
    """What to do when a key that was seen before has other content."""

    ONCE_PER_KEY = "once-per-key"
    """The first version only; later ones are skipped."""
    ONCE_PER_VERSION = "once-per-version"
    """Every version that discovery sees."""
    LATEST_ONLY = "latest-only"
    """An older version that is not loaded yet is superseded by a newer one."""


class BatchOrder(StrEnum):
    """Which objects come first, among those read ahead."""

    SEQ = "seq"
    """As they were discovered."""
    OLDEST = "oldest"
    """The least recently modified."""
    NEWEST = "newest"
    """The most recently modified."""


class ItemState(StrEnum):
    """Where one numbered change stands for one consumer."""

    DISCOVERED = "discovered"
    CLAIMED = "claimed"
    DONE = "done"
    RETRY = "retry"
    DEAD = "dead"
    SKIPPED = "skipped"
    SUPERSEDED = "superseded"
    VANISHED = "vanished"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which objects are loaded. Everything else is skipped, and `explain` says by which rule.

    Attributes:
        include: Globs on the key below the source prefix (`*` stays in a folder, `**` does not; a
            glob without `/` is about the last name, in whatever folder); empty is everything.
        exclude: Globs that are left out.
        size_min_bytes: Smaller objects are skipped.
        size_max_bytes: Larger objects are skipped.
        modified_after: Objects last modified before it are skipped: a filter, never a cursor.
        modified_before: Objects last modified at or after it are skipped.
        settle_s: Younger objects wait (they are not skipped).
        ignore_noise: Leave out folder markers, `_SUCCESS`, `.crc`, `_temporary/`, dot files.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    size_min_bytes: int | None = None
    size_max_bytes: int | None = None
    modified_after: datetime | None = None
    modified_before: datetime | None = None
    settle_s: float = 0.0
    ignore_noise: bool = True


@dataclass(frozen=True, slots=True)
class IngestionSpec:
    """Everything about an ingestion that its creator decides.

    Attributes:
        name: What people call it.
        source: Bucket and prefix.
        strategy: How new objects are discovered.
        strategy_settings: The strategy's own settings, JSON.
        filters: Which objects.
        overwrite: What happens with new content under a known key.
        sink: Kind and settings of the sink, JSON (`{"kind": "iceberg", ...}`); None: batches are
            taken by Python code.
        include_existing: Also what was there when the ingestion was made.
        max_age: A finished listing this young is used instead of listing again.
        audit_every: A full scan at least that often; None: never by itself.
        files_max: Most files of a batch.
        batch_bytes_max: Most bytes of a batch (one larger file is a batch of its own).
        lease: How long a worker may be silent.
        attempts_max: Failures of an item before it is dead.
        backoff: Wait before the second attempt; doubles with each, up to an hour.
        deletions: Also hand out deletions (`Item.deleted`); else they are skipped.
        order: Which objects come first, among `look_ahead` of them. Folders directly below the
            source take turns.
        look_ahead: Most changes a worker reads ahead; about 0.5 kB of memory each.
    """

    name: str
    source: S3Url
    strategy: StrategyName = StrategyName.FULL
    strategy_settings: dict[str, Any] = field(default_factory=dict)
    filters: Filters = Filters()
    overwrite: OverwritePolicy = OverwritePolicy.ONCE_PER_VERSION
    sink: dict[str, Any] | None = None
    include_existing: bool = True
    max_age: timedelta | None = None
    audit_every: timedelta | None = None
    files_max: int = 1_000
    batch_bytes_max: int = 1 << 30
    lease: timedelta = timedelta(minutes=5)
    attempts_max: int = 5
    backoff: timedelta = timedelta(seconds=30)
    deletions: bool = False
    order: BatchOrder = BatchOrder.SEQ
    look_ahead: int = 20_000
