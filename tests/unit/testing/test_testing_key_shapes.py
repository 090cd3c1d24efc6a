"""The key sets that listers are measured with (LST-1, LST-2)."""

import pytest

from stocktake.testing import KEY_SHAPES, key_shape


@pytest.mark.parametrize("name", KEY_SHAPES)
def test_a_shape_is_sorted_distinct_and_repeatable(name):
    keys = key_shape(name, 5000, seed=3)
    assert len(set(keys)) == len(keys) == 5000
    assert keys == sorted(keys, key=str.encode)
    assert keys == key_shape(name, 5000, seed=3)
    assert all(0 < len(key.encode()) <= 1024 for key in keys)


def test_the_skewed_shapes_are_as_skewed_as_they_say():
    keys = key_shape("cloudtrail", 5000)
    accounts = [key.split("/")[1] for key in keys]
    assert 0.57 < max(accounts.count(account) for account in set(accounts)) / 5000 < 0.67
    keys = key_shape("one-dir-90", 5000)
    assert 0.87 < sum(key.startswith("sets/170/") for key in keys) / 5000 < 0.93


def test_the_flat_shapes_have_no_folders():
    for name in ("flat-hex", "flat-sequential", "flat-timestamps", "unicode"):
        assert not any("/" in key for key in key_shape(name, 100))
