"""The set of settled numbers against a dict, and its size (ING-1)."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pyroaring import BitMap64

from stocktake.ingest._seqs import SeqState, pack, span, unpack

LAST = 40
SOME = st.sets(st.integers(1, LAST), max_size=12)


@given(st.sets(st.integers(1, 2**62), max_size=50))
def test_bitmaps_survive_being_packed(seqs: set[int]) -> None:
    assert set(unpack(pack(BitMap64(seqs)))) == seqs


def test_nothing_packed_is_the_empty_set() -> None:
    assert unpack(None) == BitMap64()
    assert span(3, 2) == BitMap64()


class Numbers(RuleBasedStateMachine):
    """Every number is free, settled, claimed or waiting; the state says the same as a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.model = dict.fromkeys(range(1, LAST + 1), "free")
        self.state = SeqState()

    def of(self, seqs: set[int], *kinds: str) -> BitMap64:
        return BitMap64([seq for seq in seqs if self.model[seq] in kinds])

    def become(self, seqs: BitMap64, kind: str) -> None:
        self.model |= dict.fromkeys(seqs, kind)

    @rule(seqs=SOME)
    def claim(self, seqs: set[int]) -> None:
        these = self.of(seqs, "free", "waiting")
        self.state.claim(these)
        self.become(these, "claimed")

    @rule(seqs=SOME)
    def settle(self, seqs: set[int]) -> None:
        self.state.settle(BitMap64(seqs))
        self.become(BitMap64(seqs), "settled")

    @rule(seqs=SOME)
    def postpone(self, seqs: set[int]) -> None:
        these = self.of(seqs, "claimed")
        self.state.postpone(these)
        self.become(these, "waiting")

    @rule(seqs=SOME)
    def release(self, seqs: set[int]) -> None:
        these = self.of(seqs, "claimed", "waiting")
        self.state.release(these)
        self.become(these, "free")

    @rule(seqs=SOME)
    def reopen(self, seqs: set[int]) -> None:
        these = self.of(seqs, "settled")
        assert self.state.reopen(BitMap64(seqs)) == these
        self.become(these, "free")

    @rule()
    def store(self) -> None:
        kept = [pack(s) for s in (self.state.settled, self.state.claimed, self.state.waiting)]
        self.state = SeqState(self.state.low, *map(unpack, kept))

    @invariant()
    def same_as_the_dict(self) -> None:
        for seq, kind in self.model.items():
            assert self.state.is_settled(seq) == (kind == "settled")
            assert (seq in self.state.claimed) == (kind == "claimed")
            assert (seq in self.state.waiting) == (kind == "waiting")
        free = [seq for seq, kind in self.model.items() if kind == "free"]
        assert list(self.state.free(0, LAST)) == free
        unsettled = [seq for seq, kind in self.model.items() if kind != "settled"]
        assert list(self.state.unsettled(LAST)) == unsettled
        # the watermark is as high as it can be, and never passes what is not settled
        assert self.state.low == min(unsettled, default=LAST + 1) - 1
        assert not self.state.settled or self.state.settled.min() > self.state.low


TestNumbers = Numbers.TestCase


def test_a_million_numbers_with_random_holes_are_small() -> None:
    """Facts 2.14: 40 kB with 1 % random holes."""
    state = SeqState()
    holes = BitMap64(random.Random(7).sample(range(1, 1_000_001), 10_000)) | BitMap64([1])
    state.settle(span(1, 1_000_000) - holes)
    assert state.low == 0
    assert len(pack(state.settled)) <= 60_000
    state.settle(holes)
    assert (state.low, len(pack(state.settled))) == (1_000_000, len(pack(BitMap64())))


def test_a_million_numbers_behind_one_unfinished_are_tiny() -> None:
    """Facts 2.14: 230 bytes when dense."""
    state = SeqState()
    state.settle(span(2, 1_000_000))
    assert state.low == 0
    assert len(pack(state.settled)) < 1_000
    state.settle(BitMap64([1]))
    assert state.low == 1_000_000
