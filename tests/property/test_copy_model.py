"""Hosts without a common database lose nothing, whatever they do in which order (MAN-2, MAN-5).

Uploads, deletions, pushes and pulls of two or three hosts, killed at any fault point, with clocks
that go wrong. What must come of it is said by the uploads alone:

* in the end all hosts and the copy say the same;
* an upload that nobody replaced or deleted knowing of it is there, or lost to a newer one of its
  key, which is there itself if the clocks were right and nobody deleted it;
* an upload that somebody replaced or deleted knowing of it is not there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from copy_world import NOON, PREFIX, drop, numbers, open_host, put, upload
from stocktake import faults
from stocktake.clock import FixedClock
from stocktake.errors import PreconditionFailedError
from stocktake.manifests import (
    CopyOptions,
    Dataset,
    DatasetSpec,
    copy_place,
    create_dataset,
    parse_manifest,
    pull_copy,
    push_copy,
)
from stocktake.state import State, open_state
from stocktake.store import ListQuery
from stocktake.testing import FaultStore, MemoryStore, Planned

POINTS = ("copy.merged", "copy.written", "copy.noted", "lost-answer", "never-sent")
_NUMBER = itertools.count(1)
Plan = tuple[int, bool, list[tuple[str, int, str, int, str | None]]]
PULLED_WITH_NEWS_THEN_DROPPED: Plan = (
    2,
    True,
    [
        ("put", 0, "a", 1, None),
        ("push", 0, "a", 2, None),
        ("put", 1, "b", 3, None),
        ("pull", 1, "a", 4, None),
        ("drop", 1, "a", 5, None),
        ("pull", 1, "a", 6, None),
    ],
)
KILLED_BEFORE_ITS_NOTE: Plan = (
    2,
    True,
    [
        ("put", 0, "a", 1, None),
        ("push", 0, "a", 2, "copy.written"),
        ("pull", 1, "a", 3, None),
        ("drop", 1, "a", 4, None),
        ("push", 1, "a", 5, None),
    ],
)
_ANY_DELETIONS = CopyOptions(accept_deletions=True)


class KilledError(BaseException):
    """The process died here."""


@dataclass(slots=True)
class World:
    """Hosts, what they uploaded, and what they knew when they replaced or deleted."""

    hosts: list[Dataset]
    store: MemoryStore
    uploads: dict[str, list[int]] = field(default_factory=dict)
    ended: set[tuple[str, int]] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)

    def put(self, host: int, name: str, number: int) -> None:
        self._end(host, name)
        self.uploads.setdefault(name, []).append(number)
        put(self.hosts[host], upload(name, number))

    def drop(self, host: int, name: str) -> None:
        self._end(host, name)
        self.dropped.add(name)
        drop(self.hosts[host], name)

    def _end(self, host: int, name: str) -> None:
        seen = self.hosts[host].find(PREFIX + name)
        if seen is not None:
            self.ended.add((name, int(seen.record.token, 16)))

    def exchange(self, host: int, verb: str, killed_at: str | None) -> None:
        store = FaultStore(self.store)
        key = copy_place(self.hosts[host].info()).key
        if killed_at in ("lost-answer", "never-sent"):
            refused = PreconditionFailedError("so it is said")
            after = killed_at == "lost-answer"
            store.add(Planned("put", refused, key=key, after_effect=after))
        if verb == "pull" and self.copy() is None:
            return
        work = push_copy if verb == "push" else pull_copy
        with pytest.MonkeyPatch.context() as patched, suppress(KilledError):
            patched.setattr(faults, "reached", lambda name: _kill(name, killed_at))
            work(self.hosts[host], store, _ANY_DELETIONS)

    def copy(self) -> dict[str, int] | None:
        place = copy_place(self.hosts[0].info())
        if not self.store.list_page(_at(place.bucket, place.key)).objects:
            return None
        found = parse_manifest(self.store.get(place.bucket, place.key))
        return {one.s3_key.removeprefix(PREFIX): int(one.token, 16) for one in found.records}

    def settle(self) -> None:
        for host in [*range(len(self.hosts))] * 2:
            self.exchange(host, "push", None)

    def check(self, *, right_clocks: bool) -> None:
        said = [numbers(host) for host in self.hosts]
        assert all(one == self.copy() for one in said)
        for name, all_numbers in self.uploads.items():
            there = said[0].get(name, 0)
            for number in all_numbers:
                if (name, number) in self.ended:
                    assert there != number, f"{name} {number} was ended by who knew it"
                elif there < number:
                    assert number < max(all_numbers), f"{name} {number} is lost"
                    assert name in self.dropped or not right_clocks, f"{name} {number} is lost"


def _at(bucket: str, key: str) -> ListQuery:
    return ListQuery(bucket, key)


def _kill(name: str, killed_at: str | None) -> None:
    if name == killed_at:
        raise KilledError(name)


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)]
)
def states(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[State]]:
    """Three hosts, the first of them on either kind of database."""
    folder = tmp_path_factory.mktemp("hosts")
    found = [open_host(folder / name) for name in ("bob", "eve")]
    if request.param == "postgresql":
        address = str(request.getfixturevalue("postgres").new_database())
        first = open_state(address, clock=FixedClock(NOON))
        first.upgrade()
    else:
        first = open_host(folder / "ada")
    yield [first, *found]
    for state in (first, *found):
        state.close()


def make_world(states: list[State], hosts: int) -> World:
    """A dataset that nobody has seen yet, in a bucket of its own."""
    number = next(_NUMBER)
    store = MemoryStore()
    store.describe("CreateBucket", f"bucket-{number}")
    spec = DatasetSpec(f"{number}", "", f"bucket-{number}", PREFIX)
    return World([create_dataset(state, spec) for state in states[:hosts]], store)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    hosts = draw(st.integers(2, 3))
    right_clocks = draw(st.booleans())
    times = list(range(1, 26))
    clock = iter(times if right_clocks else draw(st.permutations(times)))
    verbs = st.sampled_from(("put", "put", "put", "drop", "push", "push", "pull"))
    steps = draw(
        st.lists(
            st.tuples(
                verbs,
                st.integers(0, hosts - 1),
                st.sampled_from(("a", "b", "c")),
                st.none() | st.sampled_from(POINTS),
            ),
            min_size=2,
            max_size=24,
        )
    )
    plan = [(verb, host, name, next(clock), kill) for verb, host, name, kill in steps]
    return hosts, right_clocks, plan


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(plan=plans())
@example(plan=PULLED_WITH_NEWS_THEN_DROPPED)
@example(plan=KILLED_BEFORE_ITS_NOTE)
def test_hosts_agree_and_lose_nothing(states: list[State], plan: Plan) -> None:
    hosts, right_clocks, steps = plan
    world = make_world(states, hosts)
    for verb, host, name, number, killed_at in steps:
        if verb == "put":
            world.put(host, name, number)
        elif verb == "drop":
            world.drop(host, name)
        else:
            world.exchange(host, verb, killed_at)
    world.settle()
    world.check(right_clocks=right_clocks)
