"""The shared cache of events on a real Redis: what it knows is safe (ING-6)."""

from __future__ import annotations

import builtins
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from sqlalchemy import delete

from stocktake.clock import FixedClock, SystemClock
from stocktake.errors import InvalidSettingError, MissingExtraError, StateLockedError
from stocktake.events import EventKind, Message, ObjectEvent, held_events, hold_events
from stocktake.ingest import NoSeenCache, RedisSeenCache, SeenCache, SeenIntake
from stocktake.state import State, open_state
from stocktake.state import held_events as held_events_table
from stocktake.testing import RedisServer, start_redis

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVENT = ObjectEvent(
    EventKind.CREATED, "ObjectCreated:Put", "b", "k", None, 1, "e", "0055AED6DCD90281E5", NOW, "s3"
)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def url(redis: RedisServer) -> str:
    with Redis.from_url(redis.url) as client:
        client.flushall()
    return redis.url


def events(*keys: str) -> list[ObjectEvent]:
    return [replace(EVENT, key=key) for key in keys]


def test_what_was_marked_is_known_to_everybody_of_the_namespace(url: str) -> None:
    one, other = RedisSeenCache(url, "cat_1"), RedisSeenCache(url, "cat_1")
    stranger = RedisSeenCache(url, "cat_2")
    assert one.known(events("a", "b")) == [False, False]
    assert one.mark(events("a", "b")) == [True, True]
    assert other.known(events("b", "c", "a")) == [True, False, True]
    assert other.mark(events("c", "a", "c")) == [True, False, False]
    # another catalog has not kept them
    assert stranger.known(events("a", "b", "c")) == [False] * 3
    for cache in (one, other, stranger):
        assert cache.failures == 0
        cache.close()


@pytest.mark.parametrize(
    "change",
    [
        {"bucket": "c"},
        {"key": "K"},
        {"key": "k\0"},
        {"version_id": "null"},
        {"version_id": ""},
        {"sequencer": "0055AED6DCD90281E50"},
        {"kind": EventKind.DELETED},
        {"bucket": "bk", "key": ""},
    ],
)
def test_events_that_differ_are_not_taken_for_each_other(change: dict[str, Any], url: str) -> None:
    cache = RedisSeenCache(url, "cat_1")
    cache.mark([EVENT])
    assert cache.known([replace(EVENT, **change), EVENT]) == [False, True]
    cache.close()


def test_the_same_event_in_another_envelope_is_known(url: str) -> None:
    cache = RedisSeenCache(url, "cat_1")
    cache.mark([EVENT])
    other = replace(EVENT, name="Object Created", envelope="eventbridge", etag=None)
    assert cache.known([other]) == [True]
    cache.close()


def test_events_without_a_sequencer_are_never_known(url: str) -> None:
    cache = RedisSeenCache(url, "cat_1")
    blind = replace(EVENT, sequencer=None)
    assert cache.mark([blind, blind, EVENT]) == [True, True, True]
    assert cache.known([blind, EVENT]) == [False, True]
    cache.close()


def test_entries_expire(url: str) -> None:
    cache = RedisSeenCache(url, "cat_1", ttl=timedelta(hours=2))
    cache.mark([EVENT])
    with Redis.from_url(url) as client:
        [name] = client.keys()
        assert name.startswith(b"stocktake:seen:cat_1:")
        assert 7_190_000 < client.pttl(name) <= 7_200_000
        assert client.memory_usage(name) < 200
    cache.close()


def test_many_at_once_are_asked_in_pieces(url: str) -> None:
    cache = RedisSeenCache(url, "cat_1")
    many = events(*(f"k{n}" for n in range(2500)))
    assert cache.mark(many) == [True] * 2500
    assert cache.known(many) == [True] * 2500
    cache.close()


def test_of_receivers_that_mark_the_same_one_is_first(url: str) -> None:
    many = events(*(f"k{n}" for n in range(200)))
    caches = [RedisSeenCache(url, "cat_1") for _ in range(6)]
    barrier = threading.Barrier(len(caches))

    def mark(cache: RedisSeenCache) -> list[bool]:
        barrier.wait()
        return cache.mark(many)

    with ThreadPoolExecutor(len(caches)) as pool:
        answers = list(pool.map(mark, caches))
    assert [sum(column) for column in zip(*answers, strict=True)] == [1] * 200
    for cache in caches:
        cache.close()


def test_a_redis_that_dies_knows_nothing_and_is_left_alone_for_a_while(tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    with start_redis(tmp_path) as server:
        cache = RedisSeenCache(server.url, "cat_1", clock=clock)
        cache.mark([EVENT])
        server.stop()
        assert cache.known([EVENT]) == [False]
        assert cache.mark([EVENT]) == [True]
        assert cache.failures == 1
        with start_redis(tmp_path, port=server.port):
            assert cache.known([EVENT]) == [False]
            assert cache.mark([EVENT]) == [True]
            clock.advance(31)
            assert cache.mark([EVENT]) == [True]
            assert cache.known([EVENT]) == [True]
            assert cache.failures == 1
        cache.close()


def test_a_redis_that_is_full_forgets_and_nothing_else_happens(tmp_path: Path) -> None:
    limits = ("--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru")
    many = events(*(f"k{n}" for n in range(30_000)))
    with start_redis(tmp_path, *limits) as server:
        cache = RedisSeenCache(server.url, "cat_1")
        cache.mark(many)
        known = cache.known(many)
        assert 0 < sum(known) < len(many)
        assert cache.failures == 0
        cache.close()
    with start_redis(tmp_path, *limits[:2]) as server:  # and one that refuses when it is full
        cache = RedisSeenCache(server.url, "cat_1")
        cache.mark(many)
        assert cache.failures == 1
        cache.close()


def test_addresses_that_cannot_be() -> None:
    for url in ("http://127.0.0.1", "nonsense", "redis://:secret@host:port/0"):
        with pytest.raises(InvalidSettingError) as caught:
            RedisSeenCache(url, "cat_1")
        assert "secret" not in caught.value.message
    with pytest.raises(InvalidSettingError):
        RedisSeenCache("redis://127.0.0.1:1/0", "cat_1", ttl=timedelta(0))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def refuse(name: str, *arguments: Any) -> Any:
        if name.partition(".")[0] == "redis":
            raise ImportError(name)
        return importing(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError) as caught:
        RedisSeenCache("redis://127.0.0.1:1/0", "cat_1")
    assert caught.value.hint == "pip install 'stocktake[redis]'"


def test_no_cache_knows_nothing() -> None:
    cache: SeenCache = NoSeenCache()
    assert cache.mark([EVENT]) == [True]
    assert cache.known([EVENT]) == [False]
    cache.close()


def message(number: int, *keys: str, bucket: str = "b") -> Message:
    records = [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventTime": "2026-11-20T12:00:00.000Z",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": bucket},
                "object": {"key": key, "size": 1, "eTag": "e", "sequencer": "0055AED6DCD90281E5"},
            },
        }
        for key in keys
    ]
    return Message(str(number), json.dumps({"Records": records}), sent_at=NOW)


def test_messages_that_are_known_do_not_reach_the_database(
    url: str, states: tuple[State, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = states[0]
    cache = RedisSeenCache(url, "cat_1")
    first = SeenIntake(state, "q", SystemClock(), cache)
    said = first.take([message(1, "a", "b"), message(2, "c")])
    assert [len(decoded.events) for decoded in said] == [2, 1]
    writes: list[int] = []
    write = State.write
    monkeypatch.setattr(State, "write", lambda self: (writes.append(1), write(self))[1])
    other = SeenIntake(state, "q", SystemClock(), RedisSeenCache(url, "cat_1"))
    assert len(other.take([message(3, "b"), message(4, "a", "c")])) == 2
    assert writes == []
    assert (other.metrics.messages, other.metrics.received, other.metrics.duplicate) == (2, 3, 3)
    assert other.pulse.newest == NOW
    # one event that is not known takes its message along, and the others stay out
    other.take([message(5, "b"), message(6, "a", "new"), Message("7", "not an event")])
    assert writes == [1]
    assert other.metrics.held == 1
    assert other.metrics.undecodable == 1
    assert cache.known(events("new")) == [True]
    assert [event.key for event in held_events(state, "b", "", 9)] == ["a", "b", "c", "new"]
    cache.close()


def test_events_of_buckets_that_are_not_wanted_are_left_to_others(
    url: str, states: tuple[State, State]
) -> None:
    state = states[0]
    cache = RedisSeenCache(url, "cat_1")
    mine = SeenIntake(state, "q", SystemClock(), cache, buckets=["mine"])
    mine.take([message(1, "k", bucket="theirs"), message(2, "k", bucket="mine")])
    mine.take([message(3, "k", bucket="theirs"), message(4, "k", bucket="mine")])
    assert (mine.metrics.held, mine.metrics.duplicate, mine.metrics.foreign) == (1, 1, 2)
    theirs = SeenIntake(state, "q", SystemClock(), cache, buckets=["theirs"])
    theirs.take([message(5, "k", bucket="theirs")])
    assert theirs.metrics.held == 1
    cache.close()


def test_nothing_is_marked_that_the_database_did_not_take(
    url: str, states: tuple[State, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: State) -> Any:
        raise StateLockedError("busy")

    cache = RedisSeenCache(url, "cat_1")
    intake = SeenIntake(states[0], "q", SystemClock(), cache)
    with monkeypatch.context() as patch:
        patch.setattr(State, "write", fail)
        with pytest.raises(StateLockedError):
            intake.take([message(1, "unlucky")])
    intake.take([message(1, "unlucky")])
    assert intake.metrics.held == 1
    cache.close()


class KilledError(Exception):
    """A receiver dies."""


def receive(
    state: State, cache: SeenCache, message: Sequence[ObjectEvent], dies_at: str | None
) -> None:
    """What a receiver does with a message; only when it returns is the message deleted."""
    fresh = [e for e, known in zip(message, cache.known(message), strict=True) if not known]
    if dies_at == "asked":
        raise KilledError
    hold_events(state, fresh, SystemClock())
    if dies_at == "held":
        raise KilledError
    cache.mark(fresh)
    if dies_at == "marked":
        raise KilledError


_DEATHS = st.sampled_from([None, None, None, "asked", "held", "marked"])
# two events of one key never share a sequencer
_KINDS = {
    "10": EventKind.CREATED,
    "11": EventKind.DELETED,
    "2": EventKind.CREATED,
    "A": EventKind.DELETED,
    "B": EventKind.CREATED,
}
_ORDERED = st.builds(
    lambda key, text: replace(EVENT, key=key, sequencer=text, kind=_KINDS[text]),
    st.sampled_from("abc"),
    st.sampled_from(list(_KINDS)),
)
# of a key of their own: beside others, what they mean depends on which comes first
_BLIND = st.just(replace(EVENT, key="blind", sequencer=None))
_MESSAGE = st.lists(_ORDERED | _BLIND, max_size=3)


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[State, State]]:
    """Databases of receivers with a cache, and of one without."""
    place = tmp_path_factory.mktemp("seen")
    found = [open_state(f"sqlite:///{place}/{n}.db", clock=SystemClock()) for n in range(2)]
    yield found[0], found[1]
    for state in found:
        state.close()


def held(state: State) -> list[tuple[str, str | None, str]]:
    return sorted((e.key, e.sequencer, e.kind) for e in held_events(state, "b", "", 1000))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    messages=st.lists(_MESSAGE, max_size=6),
    plan=st.lists(st.tuples(st.integers(0, 5), _DEATHS, st.booleans()), max_size=25),
)
def test_nothing_is_lost_whatever_dies_and_however_often_messages_come(
    messages: list[list[ObjectEvent]],
    plan: list[tuple[int, str | None, bool]],
    url: str,
    states: tuple[State, State],
) -> None:
    """ING-6: with the cache the database holds what it holds without."""
    state, plain = states
    for each in states:
        with each.write() as connection:
            connection.execute(delete(held_events_table))
    with Redis.from_url(url) as client:
        client.flushall()
        cache = RedisSeenCache(url, "cat_1")
        for number, dies_at, evicted in plan:
            if evicted:
                client.flushall()
            if number < len(messages):
                try:
                    receive(state, cache, messages[number], dies_at)
                except KilledError:
                    continue
                hold_events(plain, messages[number], SystemClock())
        # every message comes until one receiver lives to delete it
        for message in messages:
            receive(state, cache, message, None)
            hold_events(plain, message, SystemClock())
        cache.close()
    assert held(state) == held(plain)
