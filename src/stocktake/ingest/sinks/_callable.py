"""Batches handed to Python code. No token is kept: a batch may come again after a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stocktake.errors import LeaseLostError
from stocktake.ingest._sink import Item, Landed, OpenItems
from stocktake.store import ObjectBody


class CallableSink:
    """Calls a function with every batch.

    At least once: whoever loads with it is called again for a batch whose commit was lost, with
    the same `batch.token`. Code that stores the token with its data can be exact; then write a
    `Sink` instead, which says so and is asked.

    Args:
        load_batch: Loads `batch.items`, reading bytes with `batch.open(item)`. Says
            `batch.fail(item, error)` about single items; an exception is the failure of the batch.
    """

    keeps_tokens = False

    def __init__(self, load_batch: Callable[[OpenItems], None]) -> None:
        self._load_batch = load_batch

    def load(self, batch: OpenItems) -> None:
        """Call the function, unless the batch is empty."""
        if batch.items:
            self._load_batch(batch)

    def landed(self, consumer: str, tokens: Sequence[str]) -> Mapping[str, Landed]:
        """Nothing is known."""
        del consumer, tokens
        return {}

    def close(self) -> None:
        """Nothing to give back."""


def per_item(load_item: Callable[[Item, ObjectBody | None], None]) -> CallableSink:
    """A sink that calls a function with every item and its bytes, one after the other.

    The bytes are None for a deletion. Items that were replaced or vanished meanwhile are left out.
    An exception is the failure of that item; the others are loaded.
    """

    def load(batch: OpenItems) -> None:
        for item in list(batch.items):
            batch.renew()
            try:
                if item.deleted:
                    load_item(item, None)
                    continue
                with batch.open(item) as body:
                    if body is not None:
                        load_item(item, body)
            except LeaseLostError:
                raise
            except Exception as error:  # noqa: BLE001
                # boundary: the function is the user's; whatever it raises is about this item
                batch.fail(item, error)

    return CallableSink(load)
