"""Puts a synthetic bucket into a real store, as tiny objects, for demos and tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from stocktake.store import Store
from stocktake.telemetry import NoProgress, Progress
from stocktake.testing._buckets import SyntheticBucket, expected_diff

_WAITING_MAX = 64
_DELETES_MAX = 1_000


def populate(
    store: Store,
    synthetic: SyntheticBucket,
    *,
    previous: int | None = None,
    threads: int = 8,
    progress: Progress = NoProgress(),
) -> int:
    """Make the bucket named `synthetic.name` hold this generation; returns how many were written.

    The objects are a few bytes each and differ between generations; folder markers stay empty, so a
    modified one has a newer time and no other ETag. The bucket must exist. With `previous`, it
    holds that generation already and only the difference is written and deleted.
    """
    if previous is None:
        keys: Iterable[str] = _keys(synthetic)
        gone: tuple[str, ...] = ()
        total = synthetic.row_count
    else:
        diff = expected_diff(synthetic, previous, synthetic.generation, keys=True)
        keys, gone = (*diff.new_keys, *diff.modified_keys), diff.deleted_keys
        total = diff.new + diff.modified
    progress.phase("fill bucket", total, "objects")
    written = _put_all(store, synthetic, keys, threads, progress)
    for start in range(0, len(gone), _DELETES_MAX):
        store.delete(synthetic.name, list(gone[start : start + _DELETES_MAX]))
    return written


def _put_all(
    store: Store,
    synthetic: SyntheticBucket,
    keys: Iterable[str],
    threads: int,
    progress: Progress,
) -> int:
    written = 0
    waiting: set[Future[None]] = set()

    def put(key: str) -> None:
        body = b"" if key.endswith("/") else f"{key}\n{synthetic.generation}\n".encode()
        store.put(synthetic.name, key, body)

    with ThreadPoolExecutor(max_workers=threads) as pool:
        for key in keys:
            waiting.add(pool.submit(put, key))
            if len(waiting) >= _WAITING_MAX:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                written += _count(done, progress)
        written += _count(waiting, progress)
    return written


def _count(done: set[Future[None]], progress: Progress) -> int:
    for put in done:
        put.result()
    progress.advance(len(done))
    return len(done)


def _keys(synthetic: SyntheticBucket) -> Iterator[str]:
    for batch in synthetic.batches():
        yield from batch.column("key").to_pylist()
