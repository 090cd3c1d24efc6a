"""What a receiver of events did, and how far behind it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from stocktake.clock import format_utc, parse_utc
from stocktake.events._hold import Held

GAP_MIN_S = 900.0
"""A shorter silence is never remarkable."""
_GAP_FACTOR = 2.0
_HALF_LIFE_S = 7 * 86_400.0


@dataclass(slots=True)
class QueuePulse:
    """How long a queue is usually silent, learned from when its messages were sent.

    Its state is three values, so it is kept with a strategy's cursor. A silence is remarkable when
    it is twice as long as the longest of late, and shorter than the time that was watched. It may
    still be honest (nobody wrote); only an audit scan tells.

    Attributes:
        since: When the first message was sent.
        newest: When the newest message was sent.
        longest_s: The longest silence; fades by half in a week.
    """

    since: datetime | None = None
    newest: datetime | None = None
    longest_s: float = 0.0

    def beat(self, sent_at: datetime) -> None:
        """A message was sent then. Earlier ones than the newest change nothing."""
        if self.since is None or self.newest is None:
            self.since = self.newest = sent_at
        elif sent_at > self.newest:
            gap_s = (sent_at - self.newest).total_seconds()
            self.longest_s = max(gap_s, self.longest_s * 0.5 ** (gap_s / _HALF_LIFE_S))
            self.newest = sent_at

    def gap_s(self, now: datetime) -> float | None:
        """How long the queue has been silent; None if it never said anything."""
        return max(0.0, (now - self.newest).total_seconds()) if self.newest else None

    def is_silent(self, now: datetime) -> bool:
        """True if it has been silent for remarkably long."""
        gap_s = self.gap_s(now)
        if gap_s is None or self.since is None or self.newest is None:
            return False
        watched = self.newest - self.since
        usual_s = max(self.longest_s, GAP_MIN_S)
        return gap_s > _GAP_FACTOR * usual_s and watched >= timedelta(seconds=usual_s)

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "since": format_utc(self.since) if self.since else None,
            "newest": format_utc(self.newest) if self.newest else None,
            "longest_s": self.longest_s,
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> QueuePulse:
        """From its JSON form; {} is one that knows nothing."""
        since, newest = raw.get("since"), raw.get("newest")
        return cls(
            parse_utc(since) if since else None,
            parse_utc(newest) if newest else None,
            float(raw.get("longest_s", 0.0)),
        )


@dataclass(slots=True)
class EventMetrics:
    """Figures of one receiver. Filled while it runs.

    Attributes:
        messages: Received, each time they came.
        received: Events in them.
        held: Events that were new on hold, or newer than what was.
        duplicate: Events that were on hold already.
        out_of_order: Events that came after a newer one of the same version of a key.
        folded: Events that say less than what was on hold.
        ignored: Records that change no object.
        foreign: Events of other buckets than the wanted ones: left out.
        test: Messages with which a store tried out the queue.
        undecodable: Messages in quarantine.
        undeleted: Messages that are safe, but could not be deleted: they come again.
        calls: Requests by kind: `receive`, `delete`.
        throttles: Answers that asked to slow down.
        retries: Requests that were sent again.
        lag_s: How old the last message was when it came; None if the queue does not say.
        lag_max_s: The oldest of them.
        newest_event: The store's time of the newest event.
    """

    messages: int = 0
    received: int = 0
    held: int = 0
    duplicate: int = 0
    out_of_order: int = 0
    folded: int = 0
    ignored: int = 0
    foreign: int = 0
    test: int = 0
    undecodable: int = 0
    undeleted: int = 0
    calls: dict[str, int] = field(default_factory=dict)
    throttles: int = 0
    retries: int = 0
    lag_s: float | None = None
    lag_max_s: float | None = None
    newest_event: datetime | None = None

    def call(self, kind: str) -> None:
        """Count a request."""
        self.calls[kind] = self.calls.get(kind, 0) + 1

    def hold(self, held: Held) -> None:
        """Count what became of events."""
        self.held += held.added + held.replaced
        self.duplicate += held.duplicate
        self.out_of_order += held.out_of_order
        self.folded += held.folded

    def lag(self, lag_s: float) -> None:
        """Note how old a message was."""
        self.lag_s = max(0.0, lag_s)
        self.lag_max_s = max(self.lag_s, self.lag_max_s or 0.0)

    def happened(self, at: datetime | None) -> None:
        """Note when an event happened."""
        if at is not None and (self.newest_event is None or at > self.newest_event):
            self.newest_event = at

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        newest = format_utc(self.newest_event) if self.newest_event else None
        return {**asdict(self), "newest_event": newest}
