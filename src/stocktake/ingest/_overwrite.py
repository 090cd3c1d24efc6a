"""What an overwrite policy makes of a change: it depends on other changes of the same key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stocktake.ingest._change import Change, ChangeFeed, change_of, changes_of
from stocktake.ingest._judge import Action, Judge, Verdict
from stocktake.ingest._seqs import SeqState
from stocktake.ingest._spec import IngestionSpec, OverwritePolicy
from stocktake.model import ChangeKind

_CHUNK_ROWS = 100_000


class OverwriteRule(Protocol):
    """Answers for changes that the filters let through."""

    def verdicts(self, changes: list[Change], state: SeqState) -> Mapping[int, Verdict]:
        """What not to load now, by number. Changes that are not in the answer are loaded."""


NotLoaded = Callable[[int], bool]
"""Knows of a settled number that the filters let through whether it was settled unloaded."""


def overwrite_rule(spec: IngestionSpec, feed: ChangeFeed, not_loaded: NotLoaded) -> OverwriteRule:
    """The rule of that ingestion. It may read the feed: never ask it inside a transaction."""
    if spec.overwrite is OverwritePolicy.ONCE_PER_KEY:
        return OncePerKey(Judge(spec), feed, not_loaded)
    if spec.overwrite is OverwritePolicy.LATEST_ONLY:
        return LatestOnly(feed)
    return EveryVersion()


class EveryVersion:
    """Nothing is held back."""

    def verdicts(self, changes: list[Change], state: SeqState) -> Mapping[int, Verdict]:
        """Nothing."""
        del changes, state
        return {}


class OncePerKey:
    """The first version that is loaded is the only one.

    Decided from the key's history: an earlier change that was loaded makes this one skipped; one
    that is not finished makes it wait, because whether it is loaded is not known yet. Earlier
    changes that were superseded, vanished, died or were skipped do not count, nor do those from
    before the ingestion's start. A key that was deleted and comes back is a new key.
    """

    def __init__(self, judge: Judge, feed: ChangeFeed, not_loaded: NotLoaded) -> None:
        self._judge = judge
        self._feed = feed
        self._not_loaded = not_loaded

    def verdicts(self, changes: list[Change], state: SeqState) -> Mapping[int, Verdict]:
        """The answers; costs one look into the history of each modified key."""
        found: dict[int, Verdict] = {}
        for change in changes:
            if change.change == ChangeKind.MODIFIED:
                verdict = self._verdict(change, state)
                if verdict is not None:
                    found[change.seq] = verdict
        return found

    def _verdict(self, change: Change, state: SeqState) -> Verdict | None:
        for row in self._feed.history(change.key):
            earlier = change_of(row)
            if earlier.seq >= change.seq:
                return None
            if earlier.is_deletion:
                continue
            if self._judge.judge(earlier, _FAR_FUTURE_MS).action is not Action.LOAD:
                continue
            if not state.is_settled(earlier.seq):
                return Verdict(Action.WAIT, "first-version-open", f"{earlier.seq}")
            if not self._not_loaded(earlier.seq):
                return Verdict(Action.SKIP, "once-per-key", f"{earlier.seq}")
        return None


_FAR_FUTURE_MS = 1 << 60


class LatestOnly:
    """An older change gives way when a newer one of the same key (or its deletion) is known.

    Knows the newest modification or deletion of every key that ever had one, as two integers per
    such key (16 bytes); a change is given up only after the newer row itself was looked at.
    """

    def __init__(self, feed: ChangeFeed) -> None:
        self._feed = feed
        self._read_from = self._read_to = -1
        self._hashes: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._newest: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def verdicts(self, changes: list[Change], state: SeqState) -> Mapping[int, Verdict]:
        """The answers, as of the feed's newest number."""
        del state
        if not changes:
            return {}
        self._read_on(min(change.seq for change in changes))
        if not len(self._hashes):
            return {}
        hashes = _hashes(change.key for change in changes)
        at = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        seqs = np.fromiter((change.seq for change in changes), np.int64, len(changes))
        hits = (self._hashes[at] == hashes) & (self._newest[at] > seqs)
        suspects = {int(i): int(self._newest[at[i]]) for i in np.flatnonzero(hits)}
        if not suspects:
            return {}
        rows = changes_of(self._feed.rows_at(sorted(set(suspects.values()))))
        newer = {row.seq: row for row in rows}
        return {
            changes[index].seq: _gives_way(row)
            for index, newest in suspects.items()
            # two keys may have one hash
            if (row := newer[newest]).key == changes[index].key
        }

    def _read_on(self, first_seq: int) -> None:
        """Learn of changes that came since; what is older than any candidate does not matter."""
        if self._read_from < 0 or first_seq < self._read_from:
            self._read_from, self._read_to = first_seq, first_seq - 1
        last = self._feed.last_seq()
        while self._read_to < last:
            for batch in self._feed.read(self._read_to, _CHUNK_ROWS):
                later = [c for c in changes_of(batch) if c.change != ChangeKind.NEW]
                self._merge(later)
                self._read_to = batch.column("seq")[-1].as_py()

    def _merge(self, later: list[Change]) -> None:
        if not later:
            return
        hashes = np.concatenate([self._hashes, _hashes(change.key for change in later)])
        seqs = np.concatenate(
            [self._newest, np.fromiter((change.seq for change in later), np.int64, len(later))]
        )
        order = np.lexsort((seqs, hashes))
        hashes, seqs = hashes[order], seqs[order]
        last_of_key = np.append(hashes[1:] != hashes[:-1], True)
        self._hashes, self._newest = hashes[last_of_key], seqs[last_of_key]


def given_up(history: list[Change]) -> dict[int, Verdict]:
    """What `latest-only` says of all changes of one key, oldest first."""
    found: dict[int, Verdict] = {}
    newest: Change | None = None
    for change in reversed(history):
        if newest is not None:
            found[change.seq] = _gives_way(newest)
        elif change.change != ChangeKind.NEW:
            newest = change
    return found


def _hashes(keys: Iterable[str]) -> npt.NDArray[np.int64]:
    return np.fromiter(map(hash, keys), np.int64)


def _gives_way(newer: Change) -> Verdict:
    what = "a deletion" if newer.is_deletion else "other content"
    return Verdict(Action.SKIP, "latest-only", f"{newer.seq} ({what})")
