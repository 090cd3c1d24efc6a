"""What each generation of a synthetic bucket changes, and the records that result.

Every base row can be asked alone: in which generation is it modified or deleted, and in which does
a new object appear right behind it?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stocktake.testing._chance import Ints, Strata, below, draw
from stocktake.testing._records import DAY_MS, Flags, Versions, stamp_of

OLDER, GHOST, GHOST_MARKER, NEW = (code * 100_000 for code in range(1, 5))
"""Content codes beside the plain generations 1, 2, ...; `NEW` is added to a generation."""

_CONTENT_IDS = 1 << 44
_OLDER_DAYS = 200


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of all generations, over `rows` base rows that start at `first`."""

    first: int
    rows: int
    seed: int
    born_picks: int
    modified_picks: int
    deleted_picks: int

    @property
    def generations_max(self) -> int:
        """The last generation that there is."""
        return min(self._born.generations_max, self._touched.generations_max)

    def born(self, base_rows: Ints) -> Ints:
        """The generation in which a new key appears right behind the row; 0 for never."""
        return self._masked(base_rows, self._born)

    def touched(self, base_rows: Ints) -> Ints:
        """The generation that modifies or deletes the row; 0 for never."""
        return self._masked(base_rows, self._touched)

    def deletes(self, base_rows: Ints) -> Flags:
        """Whether the row's change, if it has one, is its deletion."""
        picks = self.modified_picks + self.deleted_picks
        if not picks:
            return np.zeros(len(base_rows), np.bool_)
        stratum = self._touched.stratum(base_rows - self.first)
        after, before = (stratum + 1) * self.deleted_picks, stratum * self.deleted_picks
        deleted: Flags = after // picks > before // picks
        return deleted

    @property
    def _born(self) -> Strata:
        return Strata(self.rows, self.born_picks, self.seed, 81)

    @property
    def _touched(self) -> Strata:
        return Strata(self.rows, self.modified_picks + self.deleted_picks, self.seed, 82)

    def _masked(self, base_rows: Ints, strata: Strata) -> Ints:
        within = base_rows - self.first
        inside = (within >= 0) & (within < self.rows)
        return np.where(inside, strata.generation(np.where(inside, within, 0)), 0)


@dataclass(frozen=True, slots=True)
class Picks:
    """The records of some base rows in one generation, in key order if the rows are.

    Attributes:
        places: For each record, the index of its base row.
        endings: What its key has behind the base row's: 0 nothing, g `.g0g`, -1 `.gone`.
        contents: Which content it has: a generation, or one of the codes above.
        latest: For all-versions reports.
        marker: True for delete markers.
    """

    places: Ints
    endings: Ints
    contents: Ints
    latest: Flags
    marker: Flags

    def ids(self, base_rows: Ints) -> Ints:
        """A number for each distinct content."""
        ids: Ints = base_rows[self.places] + self.contents * _CONTENT_IDS
        return ids

    def times_ms(self, seed: int, ids: Ints, days: Ints) -> Ints:
        """When each content was written: on the row's day, or the day before the generation's."""
        generations = self.contents % 100_000
        later = (generations > 1).astype(np.int64)
        first_ms = int(stamp_of(1).timestamp()) * 1000
        base_ms = days[self.places] * DAY_MS
        base_ms = base_ms - (self.contents == OLDER) * (_OLDER_DAYS * DAY_MS)
        base_ms = base_ms + (self.contents == GHOST_MARKER) * DAY_MS
        scan_ms = first_ms + (generations - 2) * DAY_MS
        seconds = below(draw(seed, 83, ids), 86_400)
        times: Ints = np.where(later == 1, scan_ms, base_ms) + seconds * 1000
        return times

    def versions(self, seed: int, ids: Ints) -> Versions:
        """The version columns."""
        null = (self.contents == OLDER) & (below(draw(seed, 84, ids), 2) == 0)
        return Versions(ids=ids, null=null, latest=self.latest, marker=self.marker)


def current_picks(changes: Changes, base_rows: Ints, generation: int) -> Picks:
    """The current objects: base rows that are not deleted, and new ones behind their base row."""
    born, touched = changes.born(base_rows), changes.touched(base_rows)
    changed = (touched > 0) & (touched <= generation)
    alive = np.flatnonzero(~(changed & changes.deletes(base_rows)))
    fresh = np.flatnonzero((born > 0) & (born <= generation))
    content = np.where(changed, touched, 1)
    return _ordered(
        [
            _Rows(alive, content[alive]),
            _Rows(fresh, born[fresh] + NEW, endings=born[fresh]),
        ]
    )


def version_picks(changes: Changes, base_rows: Ints, generation: int, seed: int) -> Picks:
    """All versions: older ones, changed ones, delete markers, and keys that are only a memory.

    Versions of one key are not in order of time, as in real reports.
    """
    born, touched = changes.born(base_rows), changes.touched(base_rows)
    changed = (touched > 0) & (touched <= generation)
    gone = changed & changes.deletes(base_rows)
    every = np.arange(len(base_rows))
    chance = below(draw(seed, 85, base_rows), 100)
    older = np.flatnonzero(chance < 20)
    ghosts = np.flatnonzero(chance >= 98)
    rewritten = np.flatnonzero(changed)
    fresh = np.flatnonzero((born > 0) & (born <= generation))
    return _ordered(
        [
            _Rows(older, np.full(len(older), OLDER), latest=False),
            _Rows(every, np.ones(len(every), np.int64), latest=~changed),
            _Rows(rewritten, touched[rewritten], marker=gone[rewritten]),
            _Rows(fresh, born[fresh] + NEW, endings=born[fresh]),
            _Rows(ghosts, np.full(len(ghosts), GHOST), endings=-1, latest=False),
            _Rows(ghosts, np.full(len(ghosts), GHOST_MARKER), endings=-1, marker=True),
        ]
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    places: Ints
    contents: Ints
    endings: Ints | int = 0
    latest: Flags | bool = True
    marker: Flags | bool = False

    def filled(self, name: str) -> Ints:
        return np.broadcast_to(np.asarray(getattr(self, name), np.int64), self.places.shape)


def _ordered(groups: list[_Rows]) -> Picks:
    """The groups as one, by base row; records of one base row stay in the order of the groups."""
    groups = [group for group in groups if len(group.places)] or groups[:1]
    if len(groups) == 1:
        order = np.arange(len(groups[0].places))
    else:
        order = np.argsort(np.concatenate([group.places for group in groups]), kind="stable")

    def joined(name: str) -> Ints:
        parts = [group.filled(name) for group in groups]
        values: Ints = np.concatenate(parts)[order]
        return values

    return Picks(
        places=joined("places"),
        endings=joined("endings"),
        contents=joined("contents"),
        latest=joined("latest").astype(np.bool_),
        marker=joined("marker").astype(np.bool_),
    )
