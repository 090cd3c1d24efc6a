"""Synthetic buckets of any size, the same for the same seed, and how they change.

>>> bucket = SyntheticBucket(rows=1000, seed=7)
>>> sum(batch.num_rows for batch in bucket.batches()), bucket.at(2).row_count
(1000, 1003)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stocktake.model import object_schema
from stocktake.testing._chance import Ints
from stocktake.testing._changes import Changes, Picks, current_picks, version_picks
from stocktake.testing._keyspace import SHAPES, KeySpace
from stocktake.testing._records import CORE, EXTRAS, VERSIONS, Contents, object_batch, stamp_of
from stocktake.testing._shapes import MARKER, SIDECAR

BATCH_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class SyntheticBucket:
    """A bucket that is computed, not stored.

    Generation 2 is generation 1 with exact numbers of objects new, modified and deleted; later
    ones go on from there and never touch a key twice. Every row is a function of
    (seed, row, generation) alone, and rows ascend in key order, so memory is that of one batch.

    Attributes:
        rows: Objects in generation 1 (keys, if `versions`).
        seed: Another seed is another bucket.
        generation: Which state of the bucket, from 1.
        shape: `mixed` (50 % photos, 10 % hashed, 40 % lake), `photos`, `hashed` or `lake`.
        nasty: Include keys that break programs: about a hundred fixed ones and 1 in 10,000.
        versions: All versions and delete markers instead of current objects. The current ones
            among them are those of the same bucket without this.
        extras: Also the columns that reports have beyond the core.
        new: New objects in each generation, as a share of `rows`; at most 0.5.
        modified: Objects overwritten in each generation.
        deleted: Objects removed in each generation; `modified + deleted` at most 0.5.
        name: Of the bucket.
    """

    rows: int
    seed: int = 1
    generation: int = 1
    shape: str = "mixed"
    nasty: bool = False
    versions: bool = False
    extras: bool = False
    new: float = 0.005
    modified: float = 0.003
    deleted: float = 0.002
    name: str = "demo-data"
    keyspace: KeySpace = field(init=False, repr=False)
    changes: Changes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"no shape `{self.shape}`; there are {', '.join(SHAPES)}")
        if max(self.new, self.modified + self.deleted) > 0.5:
            raise ValueError("more than half of the rows would change in each generation")
        keyspace = KeySpace(self.rows, self.seed, self.shape, self.nasty)
        body = keyspace.body_stop - keyspace.body_start
        changes = Changes(
            first=keyspace.body_start,
            rows=body,
            seed=self.seed,
            born_picks=round(body * self.new),
            modified_picks=round(body * self.modified),
            deleted_picks=round(body * self.deleted),
        )
        if not 1 <= self.generation <= changes.generations_max:
            raise ValueError(f"generation {self.generation} is not 1 to {changes.generations_max}")
        object.__setattr__(self, "keyspace", keyspace)
        object.__setattr__(self, "changes", changes)

    def at(self, generation: int) -> SyntheticBucket:
        """The same bucket in another generation."""
        return replace(self, generation=generation)

    @property
    def stamp(self) -> datetime:
        """When this generation was scanned, aware UTC; no object is newer."""
        return stamp_of(self.generation)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of every batch, in canonical order."""
        versions = VERSIONS if self.versions else ()
        extras = EXTRAS if self.extras else ()
        return tuple(object_schema([*CORE, *versions, *extras]).names)

    @property
    def row_count(self) -> int:
        """Current objects in this generation, exactly."""
        grown = self.changes.born_picks - self.changes.deleted_picks
        return self.rows + (self.generation - 1) * grown

    def batches(
        self, start: int = 0, stop: int | None = None, *, batch_rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Object records in key order, of the base rows from `start` up to `stop`.

        A batch holds `batch_rows` base rows: somewhat more or fewer records, never none.
        """
        end = self.rows if stop is None else stop
        for first in range(start, end, batch_rows):
            batch = self.records(np.arange(first, min(first + batch_rows, end), dtype=np.int64))
            if batch.num_rows:
                yield batch

    def records(self, base_rows: Ints) -> pa.RecordBatch:
        """The object records that belong to these base rows (0 to `rows` - 1), in their order."""
        shaped = self.keyspace.shaped(base_rows)
        picks = (
            version_picks(self.changes, base_rows, self.generation, self.seed)
            if self.versions
            else current_picks(self.changes, base_rows, self.generation)
        )
        kinds = shaped.kinds[picks.places]
        kinds = np.where((kinds == MARKER) & (picks.endings != 0), SIDECAR, kinds)
        ids = picks.ids(base_rows)
        contents = Contents(
            keys=_ended(shaped.keys, picks, self.generation),
            kinds=kinds,
            groups=shaped.groups[picks.places],
            ids=ids,
            times_ms=picks.times_ms(self.seed, ids, shaped.days),
            versions=picks.versions(self.seed, ids) if self.versions else None,
        )
        return object_batch(self.seed, contents, extras=self.extras)


@dataclass(frozen=True, slots=True)
class ExpectedDiff:
    """What changes from one generation to another; the keys only if they were asked for."""

    new: int
    modified: int
    deleted: int
    new_keys: tuple[str, ...] = ()
    modified_keys: tuple[str, ...] = ()
    deleted_keys: tuple[str, ...] = ()


def expected_diff(
    bucket: SyntheticBucket, old: int, new: int, *, keys: bool = False
) -> ExpectedDiff:
    """The exact difference between the generations `old` and `new` of a bucket's current objects.

    With `keys`, the keys too, ascending; that reads the whole bucket.
    """
    steps = abs(new - old)
    low, high = min(old, new), max(old, new)
    changes = bucket.changes
    counts = [changes.born_picks * steps, changes.deleted_picks * steps]
    texts = _changed_keys(bucket, low, high) if keys else ((), (), ())
    appeared, modified, vanished = texts
    if new < old:
        counts.reverse()
        appeared, vanished = vanished, appeared
    return ExpectedDiff(
        new=counts[0],
        modified=changes.modified_picks * steps,
        deleted=counts[1],
        new_keys=appeared,
        modified_keys=modified,
        deleted_keys=vanished,
    )


def _changed_keys(
    bucket: SyntheticBucket, low: int, high: int
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    new: list[str] = []
    modified: list[str] = []
    deleted: list[str] = []
    for start in range(0, bucket.rows, BATCH_ROWS):
        rows = np.arange(start, min(start + BATCH_ROWS, bucket.rows), dtype=np.int64)
        keys = bucket.keyspace.shaped(rows).keys
        born, touched = bucket.changes.born(rows), bucket.changes.touched(rows)
        gone = bucket.changes.deletes(rows)
        hit = (touched > low) & (touched <= high)
        modified += keys.filter(pa.array(hit & ~gone)).to_pylist()
        deleted += keys.filter(pa.array(hit & gone)).to_pylist()
        fresh = np.flatnonzero((born > low) & (born <= high))
        new += [keys[place].as_py() + _ending(born[place]) for place in fresh.tolist()]
    return tuple(new), tuple(modified), tuple(deleted)


def _ended(keys: pa.Array, picks: Picks, generation: int) -> pa.Array:
    if len(picks.places) == len(keys) and not picks.endings.any():
        return keys
    taken = keys.take(pa.array(picks.places))
    if not picks.endings.any():
        return taken
    endings = pa.array([*(_ending(number) for number in range(generation + 1)), ".gone"])
    index = np.where(picks.endings < 0, generation + 1, picks.endings)
    return pc.binary_join_element_wise(taken, endings.take(pa.array(index)), "")


def _ending(generation: int) -> str:
    return f".g{generation:02d}" if generation > 1 else ""
