"""A sink in this process that keeps tokens, and remembers every effect it ever had."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pyroaring import BitMap64

from stocktake.ingest import Item, Landed, OpenItems


@dataclass(frozen=True, slots=True)
class Effect:
    """One object version that was loaded. `digest`: SHA-256 of the bytes, if they were read."""

    consumer: str
    token: str
    item: Item
    digest: str | None = None


class MemorySink:
    """Loads batches into a list, with the token, all or nothing. Safe to share between threads.

    Args:
        read: Open every object and keep the digest of its bytes; without, objects are not opened.
        interrupt: Called with `begun` (nothing has happened), `read` (all items were read) and
            `landed` (the batch is in); what it raises leaves `load` there, as a crash would.

    Attributes:
        effects: Everything that landed, in order.
    """

    keeps_tokens = True

    def __init__(
        self, *, read: bool = False, interrupt: Callable[[str], None] | None = None
    ) -> None:
        self.effects: list[Effect] = []
        self._read = read
        self._interrupt = interrupt or (lambda _: None)
        self._landed: dict[tuple[str, str], Landed] = {}
        self._lock = threading.Lock()

    def load(self, batch: OpenItems) -> None:
        """Take all items, unless the token is there."""
        self._interrupt("begun")
        place = (batch.consumer, batch.token)
        if place in self._landed:
            return
        effects = [effect for item in list(batch.items) if (effect := self._effect(batch, item))]
        self._interrupt("read")
        batch.renew()
        with self._lock:
            if effects and place not in self._landed:
                self.effects += effects
                seqs = BitMap64(effect.item.seq for effect in effects)
                self._landed[place] = Landed(batch.token, seqs)
        self._interrupt("landed")

    def landed(self, consumer: str, tokens: Sequence[str]) -> Mapping[str, Landed]:
        """The batches that are in."""
        with self._lock:
            return {t: self._landed[consumer, t] for t in tokens if (consumer, t) in self._landed}

    def close(self) -> None:
        """Nothing to give back."""

    def _effect(self, batch: OpenItems, item: Item) -> Effect | None:
        if item.deleted or not self._read:
            return Effect(batch.consumer, batch.token, item)
        with batch.open(item) as body:
            if body is None:
                return None
            digest = hashlib.sha256(body.read()).hexdigest()
        return Effect(batch.consumer, batch.token, item, digest)
