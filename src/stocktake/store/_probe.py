"""What a store can do, found out by trying: S3-compatible is not one thing.

The probe writes a few objects of some bytes below one prefix, looks at what comes back, and deletes
them. It takes about fifteen requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stocktake.errors import (
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
    UnsupportedOperationError,
)
from stocktake.store._port import ListQuery, ObjectHead, PutOptions, Store, iter_listing

PROBE_PREFIX = ".stocktake-probe/"
# the last two sort the other way round in UTF-16, which some stores order by
_PLAIN_KEYS = ("a", "b", "c", "\uff5e", "\U0001f600")
_ODD_KEYS = ("d//e", "d/../e", "d e+f%2F", "d\x01\t")


@dataclass(frozen=True, slots=True)
class StoreProfile:
    """What one bucket of one endpoint does as S3 does it.

    Attributes:
        ordered: Listings come in UTF-8 byte order of keys.
        start_after: Listings can begin after a key.
        page_limit: Pages hold no more than was asked for.
        odd_keys: Keys with `//`, `..`, `+`, `%`, blanks and control characters come back unharmed.
        put_if_absent: A write on condition that nothing is there is refused when something is.
            Says nothing about two at the same time: some stores check and write in two steps.
        put_if_match: A write on condition of an ETag works, and is refused for another ETag.
        checksums: HEAD tells checksums beside the ETag.
        versioning: 'Enabled', 'Suspended', 'Off', or None if the store does not say.
        list_versions: Versions can be listed.
    """

    ordered: bool
    start_after: bool
    page_limit: bool
    odd_keys: bool
    put_if_absent: bool
    put_if_match: bool
    checksums: bool
    versioning: str | None
    list_versions: bool


def probe(store: Store, bucket: str, *, prefix: str = PROBE_PREFIX) -> StoreProfile:
    """Try out one bucket, which must be writable below `prefix`; leaves nothing behind.

    Raises:
        StoreError: The bucket cannot be read, listed or written at all.
    """
    plain = [prefix + name for name in _PLAIN_KEYS]
    odd = [prefix + name for name in _ODD_KEYS]
    condition = prefix + "condition"
    try:
        for key in plain:
            store.put(bucket, key, b"x")
        written = [key for key in odd if _writes(store, bucket, key)]
        query = ListQuery(bucket, prefix)
        listed = [entry.key for page in iter_listing(store, query) for entry in page.objects]
        after = store.list_page(ListQuery(bucket, prefix, start_after=plain[1]))
        small = store.list_page(ListQuery(bucket, prefix, keys_max=2))
        return StoreProfile(
            ordered=listed == sorted(listed),
            start_after=plain[1] not in {entry.key for entry in after.objects},
            page_limit=len(small.objects) <= 2 and small.next_token is not None,
            odd_keys=written == odd and set(odd) <= set(listed),
            put_if_absent=_refuses_second(store, bucket, condition),
            put_if_match=_compares(store, bucket, condition),
            checksums=bool(store.head(bucket, plain[0]).checksums),
            versioning=_versioning(store, bucket),
            list_versions=_lists_versions(store, bucket, plain[0]),
        )
    finally:
        store.delete(bucket, [*plain, *odd, condition])


def _writes(store: Store, bucket: str, key: str) -> bool:
    try:
        store.put(bucket, key, b"x")
        store.head(bucket, key)
    except StoreError:
        return False
    return True


def _is_refused(write: Callable[[], ObjectHead]) -> bool:
    try:
        write()
    except (PreconditionFailedError, ObjectNotFoundError):
        return True
    except UnsupportedOperationError:
        return False
    return False


def _refuses_second(store: Store, bucket: str, key: str) -> bool:
    once = PutOptions(if_absent=True)
    try:
        store.put(bucket, key, b"1", once)
    except UnsupportedOperationError:
        return False
    return _is_refused(lambda: store.put(bucket, key, b"2", once))


def _compares(store: Store, bucket: str, key: str) -> bool:
    etag = store.put(bucket, key, b"3").etag
    try:
        store.put(bucket, key, b"4", PutOptions(if_match=etag))
    except (UnsupportedOperationError, PreconditionFailedError):
        return False
    return _is_refused(lambda: store.put(bucket, key, b"5", PutOptions(if_match=etag)))


def _versioning(store: Store, bucket: str) -> str | None:
    try:
        return str(store.describe("GetBucketVersioning", bucket).get("Status", "Off"))
    except StoreError:
        return None


def _lists_versions(store: Store, bucket: str, key: str) -> bool:
    try:
        page = store.list_page(ListQuery(bucket, key, versions=True))
    except StoreError:
        return False
    return bool(page.objects)
