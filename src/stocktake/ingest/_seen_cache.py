"""A cache of events that are in the database already, shared by many receivers through Redis.

Queues deliver events more than once, and every duplicate costs a look into the database. The cache
answers for most of them. It is only ever asked *before* and told *after* the database: what it
knows is safe, and what it does not know goes the ordinary way, which sorts out duplicates itself.
So a cache that is down, full, slow or empty costs time, and never an event.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from stocktake.clock import Clock, SystemClock
from stocktake.errors import InvalidSettingError, MissingExtraError
from stocktake.events import (
    Decoded,
    Intake,
    Message,
    ObjectEvent,
    QueuePulse,
    decode_message,
)
from stocktake.state import State

if TYPE_CHECKING:
    from redis import Redis

T = TypeVar("T")

DEFAULT_TTL = timedelta(days=1)
_KEYS_PER_COMMAND = 1000
_REST_S = 30.0
_TIMEOUT_S = 0.5


class SeenCache(Protocol):
    """Remembers events that are kept already."""

    def known(self, events: Sequence[ObjectEvent]) -> list[bool]:
        """For each event: True only if it was marked before. False says nothing."""

    def mark(self, events: Sequence[ObjectEvent]) -> list[bool]:
        """Remember events whose transaction is committed, and no others.

        For each: True if nobody had marked it before; of two who mark the same, one is told so.
        """

    def close(self) -> None:
        """Give back connections."""


class NoSeenCache:
    """Knows nothing: every event goes to the database."""

    def known(self, events: Sequence[ObjectEvent]) -> list[bool]:
        """False for each."""
        return [False] * len(events)

    def mark(self, events: Sequence[ObjectEvent]) -> list[bool]:
        """Forget them; they count as new."""
        return [True] * len(events)

    def close(self) -> None:
        """Nothing to give back."""


class RedisSeenCache:
    """A `SeenCache` in Redis, for receivers in many processes. Safe to share between threads.

    One entry per event: a digest of bucket, key, version, sequencer and kind, some 170 bytes of
    Redis's memory, for `ttl` after it was marked. Memory is thus bounded by the rate of events; a
    `maxmemory` with any eviction policy bounds it harder and is safe. Events without a sequencer
    are never remembered: two of them cannot be told apart from one that came twice.

    Redis may fail: then nothing is known, nothing is remembered, and for half a minute it is not
    asked at all, so that a dead one does not cost a time-out per message.

    Args:
        url: `redis://`, `rediss://` or `unix://`, with user and password if need be.
        namespace: What the entries belong to: the id of the catalog whose database keeps the
            events. Of another catalog nothing may be known; a database that is restored from a
            backup needs another namespace, or an empty Redis.
        ttl: How long an event is remembered; duplicates mostly come within minutes.
        clock: For the pause after a failure.

    Attributes:
        failures: How often Redis failed.

    Raises:
        MissingExtraError: The `redis` package is not installed.
        InvalidSettingError: The address cannot be one of Redis, or the time is none.
    """

    def __init__(
        self,
        url: str,
        namespace: str,
        *,
        ttl: timedelta = DEFAULT_TTL,
        clock: Clock | None = None,
    ) -> None:
        if ttl < timedelta(seconds=1):
            raise InvalidSettingError("a seen cache remembers for at least a second")
        self.failures = 0
        self._client = _connect(url)
        self._prefix = f"stocktake:seen:{namespace}:".encode()
        self._ttl_ms = ttl // timedelta(milliseconds=1)
        self._clock = clock or SystemClock()
        self._resting_until_s = float("-inf")
        self._lock = threading.Lock()

    def known(self, events: Sequence[ObjectEvent]) -> list[bool]:
        """Which events were marked; one round trip per thousand. All False if Redis fails."""

        def ask(names: Sequence[bytes]) -> list[bool]:
            return [value is not None for value in self._client.mget(names)]

        return self._each(events, ask, unknown=False)

    def mark(self, events: Sequence[ObjectEvent]) -> list[bool]:
        """Remember events, each atomically; all count as new if Redis fails."""

        def remember(names: Sequence[bytes]) -> list[bool]:
            pipeline = self._client.pipeline(transaction=False)
            for name in names:
                pipeline.set(name, b"", nx=True, px=self._ttl_ms)
            return [bool(answer) for answer in pipeline.execute()]

        return self._each(events, remember, unknown=True)

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def _each(
        self,
        events: Sequence[ObjectEvent],
        work: Callable[[Sequence[bytes]], list[bool]],
        *,
        unknown: bool,
    ) -> list[bool]:
        answers = [unknown] * len(events)
        places = [place for place, event in enumerate(events) if event.sequencer]
        for start in range(0, len(places), _KEYS_PER_COMMAND):
            chunk = places[start : start + _KEYS_PER_COMMAND]
            names = [self._prefix + _digest(events[place]) for place in chunk]
            found = self._tried(work, names)
            if found is None:
                break
            for place, answer in zip(chunk, found, strict=True):
                answers[place] = answer
        return answers

    def _tried(self, work: Callable[[Sequence[bytes]], T], names: Sequence[bytes]) -> T | None:
        from redis import RedisError

        if self._clock.monotonic_s() < self._resting_until_s:
            return None
        try:
            return work(names)
        except (RedisError, OSError):
            # not raised: whoever asks goes to the database then, and `failures` tells people
            with self._lock:
                self.failures += 1
                self._resting_until_s = self._clock.monotonic_s() + _REST_S
            return None


class SeenIntake(Intake):
    """An `Intake` that spares the database messages whose events are all known to a cache.

    Such a message is safe already: it is only deleted from its queue. Events of buckets that are
    not wanted are neither asked about nor marked, since another receiver may want them.

    Args:
        state: Where events are kept.
        queue: Where messages come from.
        clock: For stamps and lags.
        cache: What is known. It is not closed.
        buckets: Events of other buckets are counted and left out; None keeps all.
        pulse: What an earlier receiver of this queue has learned.
    """

    def __init__(
        self,
        state: State,
        queue: str,
        clock: Clock,
        cache: SeenCache,
        *,
        buckets: Collection[str] | None = None,
        pulse: QueuePulse | None = None,
    ) -> None:
        super().__init__(state, queue, clock, buckets=buckets, pulse=pulse)
        self._cache = cache

    def take(self, messages: Sequence[Message]) -> list[Decoded]:
        """Keep what is not known, in one transaction, and mark it then."""
        said = [decode_message(message.body) for message in messages]
        wanted = [[e for e in decoded.events if self._wanted(e)] for decoded in said]
        answers = iter(self._cache.known([event for events in wanted for event in events]))
        known_all = [
            bool(events) and sum(islice(answers, len(events))) == len(events) for events in wanted
        ]
        spared = [
            known and not decoded.refusals for known, decoded in zip(known_all, said, strict=True)
        ]
        fresh = [message for message, known in zip(messages, spared, strict=True) if not known]
        if fresh:
            super().take(fresh)
        kept = (events for events, known in zip(wanted, spared, strict=True) if not known)
        self._cache.mark([event for events in kept for event in events])
        with self._lock:
            for message, decoded, known in zip(messages, said, spared, strict=True):
                if known:
                    self._count_spared(message, decoded)
        return said

    def _count_spared(self, message: Message, decoded: Decoded) -> None:
        self.metrics.messages += 1
        self.metrics.received += len(decoded.events)
        known = sum(self._wanted(event) for event in decoded.events)
        self.metrics.duplicate += known
        self.metrics.foreign += len(decoded.events) - known
        if message.sent_at is not None:
            self.pulse.beat(message.sent_at)


def _digest(event: ObjectEvent) -> bytes:
    digest = blake2b(digest_size=16)
    for part in (event.bucket, event.key, event.version_id, event.sequencer, event.kind.value):
        raw = b"" if part is None else part.encode("utf-8", "surrogatepass")
        # lengths, so that no two events have the same bytes; None is not ''
        digest.update(b"-" if part is None else str(len(raw)).encode() + b":")
        digest.update(raw)
    return digest.digest()


def _connect(url: str) -> Redis:
    try:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise MissingExtraError(
            "Redis support is not installed", hint="pip install 'stocktake[redis]'", extra="redis"
        ) from error
    try:
        client: Redis = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            # trying again takes longer than the database does
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        # without the address: it may hold a password
        raise InvalidSettingError(
            "the address of the seen cache is not one of Redis",
            hint="write redis://host:6379/0, rediss:// with TLS, or unix:///path",
        ) from error
    return client
