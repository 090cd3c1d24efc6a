"""Ending a batch: one transaction that settles what was loaded and notes what was not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyroaring import BitMap64

from stocktake.errors import LeaseLostError
from stocktake.faults import reached
from stocktake.ingest._claiming import Claimed
from stocktake.ingest._exceptions import Trouble, note_done, note_trouble
from stocktake.ingest._ledger import (
    Consumer,
    Failure,
    LockedConsumer,
    add_commit,
    drop_claim,
    give_back,
    held_seqs,
    locked,
    sortable_utc,
    was_committed,
)
from stocktake.ingest._spec import ItemState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a batch, by number.

    Attributes:
        done: Loaded.
        trouble: Not loaded, and why.
        freed: Neither: free for another batch.
        size_bytes: Bytes of what was loaded.
    """

    done: BitMap64
    trouble: Mapping[int, Trouble] = field(default_factory=dict)
    freed: BitMap64 = field(default_factory=BitMap64)
    size_bytes: int = 0

    def count(self, state: ItemState) -> int:
        """How many items came to that."""
        return sum(trouble.state is state for trouble in self.trouble.values())


def commit_claim(
    consumer: Consumer,
    claimed: Claimed,
    done: BitMap64,
    trouble: Mapping[int, Trouble],
    *,
    recovered: bool,
) -> Outcome:
    """Settle a batch. Committing again what this very attempt committed changes nothing.

    Raises:
        LeaseLostError: Another worker has it; nothing was changed.
    """
    try:
        reached("ingest.committing")
        outcome = _commit(consumer, claimed, done, trouble, recovered=recovered)
    except LeaseLostError:
        if not was_committed(consumer, claimed.claim):
            raise
        return Outcome(done, trouble)
    reached("ingest.committed")
    return outcome


def release_claim(
    consumer: Consumer,
    claimed: Claimed,
    trouble: Mapping[int, Trouble],
    failure: Failure | None = None,
) -> Outcome:
    """Give a batch back whole but for what had trouble; anybody may take it, at once or later.

    What failed in a batch that somebody held before stays in it: that worker may still live and
    load it under this token, and then it must not come in another batch as well.

    Raises:
        LeaseLostError: Another worker has it already.
    """
    with locked(consumer) as here:
        held = held_seqs(here, consumer, claimed.claim)
        mine = {
            seq: found
            for seq, found in trouble.items()
            if seq in held and not (claimed.claim.again and found.state is ItemState.RETRY)
        }
        _apply(here, consumer, mine)
        give_back(here, consumer, claimed.claim, held - BitMap64(mine), failure)
        here.save()
    return Outcome(BitMap64(), mine)


def _commit(
    consumer: Consumer,
    claimed: Claimed,
    done: BitMap64,
    trouble: Mapping[int, Trouble],
    *,
    recovered: bool,
) -> Outcome:
    claim = claimed.claim
    with locked(consumer) as here:
        held = held_seqs(here, consumer, claim)
        loaded = done & held
        size_bytes = sum(c.size_bytes or 0 for c in claimed.changes if c.seq in loaded)
        mine = {seq: t for seq, t in trouble.items() if seq in held and seq not in loaded}
        freed = held - loaded - BitMap64(mine)
        here.seqs.settle(loaded)
        here.seqs.release(freed)
        _apply(here, consumer, mine)
        if loaded:
            add_commit(here, consumer, claim, loaded, size_bytes, recovered=recovered)
            entry = {"at": sortable_utc(consumer.now()), "worker": claim.worker, "code": "loaded"}
            note_done(here, consumer, loaded & BitMap64(claimed.attempts), entry)
        drop_claim(here, claim.id)
        here.save()
    return Outcome(loaded, mine, freed, size_bytes)


def _apply(here: LockedConsumer, consumer: Consumer, trouble: Mapping[int, Trouble]) -> None:
    again = BitMap64([seq for seq, t in trouble.items() if t.state is ItemState.RETRY])
    here.seqs.postpone(again)
    here.seqs.settle(BitMap64(trouble) - again)
    note_trouble(here, consumer, list(trouble.values()))
