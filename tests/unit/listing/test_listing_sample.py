"""sample: estimates from random pages, exact where little is there, honest elsewhere (STR-7)."""

from __future__ import annotations

from random import Random

import pytest

from key_list_store import KeyListStore
from stocktake.errors import StrategyRefusedError
from stocktake.listing import SampleEstimate, sample_objects
from stocktake.model import S3Url
from stocktake.store import ListPage
from stocktake.testing import MemoryStore, SyntheticBucket
from stocktake.testing._key_shapes import KEY_SHAPES, key_shape

SHAPES = (*KEY_SHAPES, "mixed", "photos", "hashed", "lake")
URL = S3Url("b")


def keys_of(shape: str, count: int) -> list[str]:
    if shape in KEY_SHAPES:
        return key_shape(shape, count)
    bucket = SyntheticBucket(count, seed=1, shape=shape)
    return [key for batch in bucket.batches() for key in batch.column("key").to_pylist()]


def quantiles(keys: list[str], pieces: int = 200) -> tuple[str, ...]:
    """What a snapshot knows that is 3 % behind."""
    old = sorted(Random(5).sample(sorted(keys), int(len(keys) * 0.97)))
    return tuple(old[:: max(1, len(old) // pieces)][1:])


def held(found: SampleEstimate, store: KeyListStore) -> bool:
    return found.objects.low <= len(store.keys) <= found.objects.high


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [0, 1, 90, 100, 101, 900])
def test_what_fits_into_the_requests_is_counted_exactly_or_held(shape, count):
    store = KeyListStore(keys_of(shape, count) if count else [], per_page=100)
    found = sample_objects(store, URL, probes=64, keys_per_page=100)
    assert held(found, store)
    if count <= 100:
        assert found.objects.is_exact
        assert found.objects.value == len(store.keys)
        assert found.bytes.value == sum(store.sizes)
        assert store.calls == 1


def test_pages_are_really_skipped_and_calls_are_counted():
    keys = key_shape("flat-hex", 30_000)
    store = KeyListStore(keys, per_page=100)
    found = sample_objects(store, URL, probes=64, keys_per_page=100, split_keys=quantiles(keys))
    assert found.metrics.requests == store.calls < 100
    assert found.calls_saved == pytest.approx(300 - store.calls, abs=20)
    assert found.counted < 10_000


def test_the_same_seed_asks_the_same():
    store = KeyListStore(key_shape("unicode", 5_000), per_page=100)
    one = sample_objects(store, URL, seed=7, probes=32, keys_per_page=100)
    two = sample_objects(store, URL, seed=7, probes=32, keys_per_page=100)
    assert (one.objects, one.by_folder, one.seed) == (two.objects, two.by_folder, 7)


def test_classes_and_folders_are_estimated_with_the_rest():
    keys = key_shape("one-dir-90", 20_000)
    store = KeyListStore(keys, per_page=100)
    source = S3Url("b", "sets/")
    found = sample_objects(store, source, probes=64, keys_per_page=100, split_keys=quantiles(keys))
    truth = sum(key.startswith("sets/170/") for key in keys)
    assert found.by_folder["170/"].low <= truth <= found.by_folder["170/"].high
    cold = store.classes.count("GLACIER")
    assert found.by_class["GLACIER"].low <= cold <= found.by_class["GLACIER"].high
    assert len(found.by_folder) <= 20


def test_keys_after_the_last_quantile_are_not_forgotten():
    keys = [f"log-{number:06}" for number in range(20_000)]
    store = KeyListStore(keys, per_page=100)
    split = tuple(keys[:10_000:100])
    found = sample_objects(store, URL, probes=64, keys_per_page=100, split_keys=split)
    assert held(found, store)


def test_a_store_without_order_is_refused():
    class Shuffled(MemoryStore):
        def list_page(self, query):
            page = super().list_page(query)
            return ListPage(tuple(reversed(page.objects)), page.prefixes, page.next_token)

    store = Shuffled()
    store.describe("CreateBucket", "b")
    for key in "abc":
        store.put("b", key, b"x")
    with pytest.raises(StrategyRefusedError):
        sample_objects(store, URL)


@pytest.mark.parametrize("shape", ["flat-hex", "one-dir-90"])
def test_most_intervals_hold_the_truth_and_are_narrow(shape):
    """The thousandfold of this is the slow test below."""
    keys = keys_of(shape, 20_000)
    store, split = KeyListStore(keys, per_page=100), quantiles(keys)
    runs = [
        sample_objects(store, URL, seed=seed, probes=48, keys_per_page=100, split_keys=split)
        for seed in range(12)
    ]
    assert sum(held(found, store) for found in runs) >= 11
    assert all(found.objects.is_bounded for found in runs)
    widths = sorted(found.objects.high - found.objects.low for found in runs)
    assert widths[6] < 0.4 * len(keys)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("warm", [True, False])
def test_95_of_100_intervals_hold_the_truth_for_every_shape_of_keys(shape, warm):
    """STR-7: 200 seeded runs; without quantiles an interval may be open above, never wrong."""
    keys = keys_of(shape, 30_000)
    store, split = KeyListStore(keys, per_page=100), quantiles(keys) if warm else ()
    runs = [
        sample_objects(store, URL, seed=seed, probes=64, keys_per_page=100, split_keys=split)
        for seed in range(200)
    ]
    assert sum(held(found, store) for found in runs) >= 190
    if warm:
        assert sum(found.objects.is_bounded for found in runs) >= 190
