"""HEADs of many keys, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from stocktake.catalog import Sight
from stocktake.errors import ObjectNotFoundError
from stocktake.store import Store

_THREADS = 16


def look_in(store: Store, bucket: str) -> Callable[[Sequence[str]], Iterable[Sight]]:
    """A look at keys of a bucket: what is there now, or that nothing is."""

    def head(key: str) -> Sight:
        try:
            return Sight(key, store.head(bucket, key))
        except ObjectNotFoundError:
            return Sight(key, None)

    def look(keys: Sequence[str]) -> Iterable[Sight]:
        if len(keys) < 2:
            return [head(key) for key in keys]
        with ThreadPoolExecutor(min(_THREADS, len(keys)), "look") as pool:
            return list(pool.map(head, keys))

    return look
