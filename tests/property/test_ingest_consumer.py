"""One consumer, several workers, crashes and zombies, against a dict (ING-1, ING-2, ING-3).

Whatever happens in whatever order: no number in two batches, none loaded twice into a sink that
keeps tokens, none settled twice, none lost; the watermark never passes an unfinished one; and a
worker whose batch another one has cannot commit.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ingest_world import NOW, TokenSink, World, make_world
from postgres_server import PostgresServer
from stocktake.catalog import open_catalog
from stocktake.clock import FixedClock
from stocktake.errors import IngestError, LeaseLostError
from stocktake.ingest import Batch, Filters, Ingestion, open_ingestion
from stocktake.ingest._ledger import claims_of, looked_at
from stocktake.ingest._seqs import unpack

PICK = st.integers(0, 2**16)


class Held:
    """A batch in some worker's memory, and what the worker did with it."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.loaded = False


class Consumer(RuleBasedStateMachine):
    """`model[seq]` is open, claimed, retry or settled; `loads[seq]` counts loads since a rewind."""

    place: Path
    state_url: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.clock = FixedClock(NOW)
        self.catalog = open_catalog(
            str(self.place), state_url=self.state_url, clock=self.clock, threads=1
        )
        self.world: World = make_world(self.catalog, self.clock)
        self.sink = TokenSink()
        self.model: dict[int, str] = {}
        self.noise: set[int] = set()
        self.lived: dict[str, dict[int, int]] = {}
        self.lives: dict[int, int] = {}
        self.born: dict[int, datetime] = {}
        self.loads: dict[tuple[int, int], int] = {}
        self.held: list[Held] = []
        self.holder: dict[str, Held] = {}
        self.workers = 0

    @initialize(
        files=st.integers(1, 4),
        ahead=st.sampled_from([3, 1000]),
        settle_s=st.sampled_from([0.0, 20.0]),
    )
    def make(self, files: int, ahead: int, settle_s: float) -> None:
        name = f"it{type(self).made}"
        type(self).made += 1
        self.it: Ingestion = self.world.ingestion(
            name,
            files_max=files,
            look_ahead=ahead,
            attempts_max=3,
            filters=Filters(settle_s=settle_s),
        )
        # another machine: the same consumer with a window of its own
        self.other = self.world.attach(open_ingestion(self.catalog, self.world.store, name))
        self.settle_s = settle_s
        self.discover(["a/x", "a/y", "_SUCCESS", "b/x", "b/y", "a/z"])

    made = 0

    def teardown(self) -> None:
        if hasattr(self, "it"):
            self.finish()
        self.catalog.close()

    @rule(names=st.lists(st.sampled_from(["a/x", "a/y", "b/x", "_SUCCESS"]), max_size=6))
    def discover(self, names: list[str]) -> None:
        for name in names:
            number = len(self.world.feed.rows)
            seq = self.world.feed.add(name if name == "_SUCCESS" else f"{name}{number}")
            self.lives[seq] = 0
            self.born[seq] = self.clock.now()
            if name == "_SUCCESS":
                self.noise.add(seq)
            else:
                self.model[seq] = "open"

    @rule(elsewhere=st.booleans())
    def claim(self, elsewhere: bool = False) -> None:
        self.workers += 1
        batch = (self.other if elsewhere else self.it).next_batch(f"w{self.workers}")
        if batch is None:
            assert not [s for s, kind in self.model.items() if kind == "open" and self.is_ripe(s)]
            return
        held = Held(batch)
        self.held.append(held)
        for item in batch.items:
            allowed = ("claimed",) if batch.is_repeated else ("open", "retry")
            assert self.model[item.seq] in allowed
            self.model[item.seq] = "claimed"
        if not batch.is_repeated:
            self.lived[batch.token] = {item.seq: self.lives[item.seq] for item in batch.items}
        self.holder[batch.token] = held

    def is_ripe(self, seq: int) -> bool:
        """Old enough, with the second by which ripening may lag."""
        age = self.clock.now() - self.born[seq]
        return age >= timedelta(seconds=self.settle_s + (1 if self.settle_s else 0))

    @precondition(lambda self: self.held)
    @rule(pick=PICK, which=PICK)
    def fail(self, pick: int, which: int) -> None:
        held = self.held[pick % len(self.held)]
        items = held.batch.items
        if items and not held.loaded and held.batch.outcome is None:
            held.batch.fail(items[which % len(items)], ValueError("x"))

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def load(self, pick: int) -> None:
        """Holder or zombie: the sink takes it if the token is new."""
        held = self.held[pick % len(self.held)]
        if held.batch.outcome is None:
            self.take(held)

    def take(self, held: Held) -> None:
        batch = held.batch
        if batch.token not in self.sink.tokens:
            for item in batch.items:
                life = (item.seq, self.lived[batch.token][item.seq])
                self.loads[life] = self.loads.get(life, 0) + 1
        self.sink.load(batch)
        held.loaded = True

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def commit(self, pick: int) -> None:
        """As the run loop does it: what a repeated batch landed is asked of the sink."""
        held = self.held[pick % len(self.held)]
        self.finish_batch(held)

    def finish_batch(self, held: Held) -> None:
        batch = held.batch
        if batch.outcome is not None:
            return
        known = self.sink.tokens.get(batch.token) if batch.is_repeated else None
        if known is None and not held.loaded:
            self.take(held)
            known = self.sink.tokens.get(batch.token) if batch.is_repeated else None
        if self.holder.get(batch.token) is not held:
            with pytest.raises(LeaseLostError):
                batch.commit(known)
            self.held.remove(held)
            return
        outcome = batch.commit(known)
        for seq in outcome.done:
            assert self.model[seq] == "claimed", "settled twice"
            assert seq in self.sink.tokens[batch.token]
            self.model[seq] = "settled"
        for seq, trouble in outcome.trouble.items():
            self.model[seq] = "retry" if trouble.state == "retry" else "settled"
        for seq in outcome.freed:
            self.model[seq] = "open"
        del self.holder[batch.token]
        self.held.remove(held)

    @precondition(lambda self: self.held)
    @rule(pick=PICK, whole=st.booleans())
    def give_back(self, pick: int, whole: bool) -> None:
        held = self.held.pop(pick % len(self.held))
        batch = held.batch
        if whole:
            batch.postpone(ValueError("y"))
        else:
            batch.release()
        if self.holder.get(batch.token) is held and batch.outcome is not None:
            for seq, trouble in batch.outcome.trouble.items():
                self.model[seq] = "retry" if trouble.state == "retry" else "settled"
            if all(self.model[seq] != "claimed" for seq in self.lived[batch.token]):
                del self.holder[batch.token]

    @precondition(lambda self: self.held)
    @rule(pick=PICK)
    def die(self, pick: int) -> None:
        """The worker's memory is gone."""
        self.held.pop(pick % len(self.held))

    @precondition(lambda self: self.held)
    @rule(elsewhere=st.booleans())
    def fall_silent(self, elsewhere: bool) -> None:
        """Nobody renews anything for longer than a lease; somebody else looks for work."""
        self.clock.advance(301)
        self.claim(elsewhere)

    def zombies(self) -> list[Held]:
        """Those whose batch another one took over, and who do not know."""
        return [h for h in self.held if self.holder.get(h.batch.token) is not h]

    @precondition(lambda self: self.zombies())
    @rule()
    def zombie_goes_on(self) -> None:
        self.finish_batch(self.zombies()[0])

    @rule(wait_s=st.sampled_from([1, 30, 301, 5000]))
    def wait(self, wait_s: int) -> None:
        self.clock.advance(wait_s)

    @precondition(lambda self: self.model)
    @rule(pick=PICK)
    def rewind(self, pick: int) -> None:
        first = 1 + pick % len(self.world.feed.rows)
        self.it.rewind(seq=first)
        self.reopened(range(first, len(self.world.feed.rows) + 1))

    @precondition(lambda self: self.model)
    @rule(pick=PICK)
    def replay(self, pick: int) -> None:
        seq = 1 + pick % len(self.world.feed.rows)
        self.it.replay(seqs=[seq])
        self.reopened([seq])

    def reopened(self, seqs: range | list[int]) -> None:
        for seq in seqs:
            if self.model.get(seq) == "settled":
                self.lives[seq] += 1
            if self.model.get(seq) in ("settled", "retry"):
                self.model[seq] = "open"

    @precondition(lambda self: self.model)
    @rule(pick=PICK)
    def skip(self, pick: int) -> None:
        seq = 1 + pick % len(self.world.feed.rows)
        try:
            self.it.skip(seqs=[seq], reason="by hand")
        except IngestError:
            assert self.model[seq] == "claimed"
        else:
            if seq in self.model:
                self.model[seq] = "settled"

    @invariant()
    def database_agrees(self) -> None:
        if not hasattr(self, "it"):
            return
        with looked_at(self.it._consumer) as here:
            seqs = here.seqs
            claims = [unpack(row.seqs) & seqs.claimed for row in claims_of(here)]
        for seq, kind in self.model.items():
            assert seqs.is_settled(seq) == (kind == "settled"), seq
            assert (seq in seqs.waiting) == (kind == "retry"), seq
            assert (seq in seqs.claimed) == (kind == "claimed"), seq
        assert sum(map(len, claims)) == len(seqs.claimed), "in one batch each"
        unfinished = [seq for seq, kind in self.model.items() if kind != "settled"]
        assert seqs.low < min(unfinished, default=seqs.low + 1), "the watermark passed one"

    @invariant()
    def no_double_effect(self) -> None:
        assert all(count == 1 for count in self.loads.values())

    def finish(self) -> None:
        """Everybody dies; one good worker goes on until there is nothing left."""
        self.held.clear()
        while True:
            self.clock.advance(5000)
            self.claim()
            if not self.held:
                break
            self.finish_batch(self.held[0])
        self.database_agrees()
        self.no_double_effect()
        assert set(self.model.values()) <= {"settled"}
        status = self.it.status()
        assert status.low_seq == len(self.world.feed.rows)
        assert status.files_outstanding == 0
        for seq in self.model:
            explained = next(
                c
                for c in self.it.explain(self.world.feed.rows[seq - 1]["key"]).changes
                if c.seq == seq
            )
            if explained.state == "done":
                assert self.loads.get((seq, self.lives[seq])) == 1, "done, but not in the sink"
            else:
                assert explained.state in ("dead", "skipped")


@pytest.fixture
def place() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="stocktake-ingest-"))
    yield root / "catalog"
    shutil.rmtree(root)


def run_against_a_dict(place: Path, state_url: str | None, examples: int) -> None:
    Consumer.place, Consumer.state_url = place, state_url
    open_catalog(str(place), state_url=state_url, create=True, clock=FixedClock(NOW)).close()
    run_state_machine_as_test(
        Consumer, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )


def test_consumer_against_a_dict(place: Path) -> None:
    run_against_a_dict(place, None, 25)


@pytest.mark.servers
def test_consumer_on_postgresql_against_a_dict(place: Path, postgres: PostgresServer) -> None:
    run_against_a_dict(place, postgres.new_database(), 6)


@pytest.mark.slow
def test_consumer_against_a_dict_for_long(place: Path) -> None:
    run_against_a_dict(place, None, 400)
