"""Every lister gives the same rows on every store, each key once and in order (LST-1, -3, -4)."""

from __future__ import annotations

import pytest

from stocktake.errors import UnorderedListingError
from stocktake.listing import (
    KeySpan,
    Lister,
    OrderedLister,
    PagedLister,
    RangeLister,
    RangeOptions,
    TreeLister,
    check_listing,
    choose_lister,
)
from stocktake.model import S3Url

KEYS = sorted(
    {
        *(f"logs/2026/{day:02d}/{part}.gz" for day in range(1, 13) for part in range(4)),
        *(f"flat-{number:03d}" for number in range(30)),
        *(
            "a-b",
            "a/",
            "a/b",
            "a//b",
            "a/../b",
            "x y+z%2F",
            "\u00e9",
            "\uff5e",
            "\U0001f600/\u3042",
        ),
    }
)
LISTERS = ("paged", "ranges", "warm", "tree")


def lister_of(name: str) -> Lister:
    options = {"workers": 4, "page_rows": 7, "speculation": 2.0, "rows_per_batch": 20}
    if name == "ranges":
        return RangeLister(RangeOptions(**options))
    if name == "warm":
        hints = {"split_keys": tuple(KEYS[3::6]), "rows_expected": len(KEYS)}
        return RangeLister(RangeOptions(**options, **hints))
    return TreeLister(workers=4) if name == "tree" else PagedLister()


def keys_of(batches) -> list[str]:
    return [key for batch in batches for key in batch.column("key").to_pylist()]


def test_all_keys_once_and_in_order(subject) -> None:
    for key in KEYS:
        subject.store.put(subject.bucket, key, b"x")
    for name in LISTERS:
        listing = lister_of(name).list_objects(subject.store, S3Url(subject.bucket))
        assert keys_of(listing) == KEYS, name
        span = KeySpan("a/b", "logs/2026/07/2.gz")
        for prefix in ("", "logs/", "logs/2026/0", "a"):
            listing = lister_of(name).list_objects(
                subject.store, S3Url(subject.bucket, prefix), span=span
            )
            wanted = [k for k in KEYS if k.startswith(prefix) and span.after < k < span.before]
            assert keys_of(listing) == wanted, (name, prefix)
    profile = check_listing(subject.store, subject.bucket)
    assert (profile.ordered, profile.start_after) == (True, True)


def test_versions_and_delete_markers(subject) -> None:
    """LST-4, and a store whose versions come in another order is refused or sorted."""
    store, bucket = subject.store, subject.bucket
    enabled = {"Status": "Enabled"}
    store.describe("PutBucketVersioning", bucket, VersioningConfiguration=enabled)
    for turn in range(3):
        for key in KEYS[: 30 - 10 * turn]:
            store.put(bucket, key, b"v" * turn)
    store.delete(bucket, KEYS[:8])
    expected = sorted([*KEYS[:30], *KEYS[:20], *KEYS[:10], *KEYS[:8]])
    options = RangeOptions(workers=4, page_rows=7, speculation=2.0)
    lister = choose_lister(store, bucket, options)
    assert isinstance(lister, OrderedLister)
    try:
        found = keys_of(lister.list_objects(store, S3Url(bucket), versions=True))
    except UnorderedListingError:
        pytest.fail("rows were given out before the order was seen to be wrong")
    assert found == expected
    tree = TreeLister(workers=4).list_objects(store, S3Url(bucket), versions=True)
    assert keys_of(tree) == expected
