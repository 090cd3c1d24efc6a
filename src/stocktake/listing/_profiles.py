"""What a bucket's listings can be relied on for, found out by reading only, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import delete, insert, select

from stocktake.clock import format_utc
from stocktake.errors import AccessDeniedError, StoreError, UnsupportedOperationError
from stocktake.state import State, store_profiles
from stocktake.store import KeyPage, ListQuery, Store, StoreProfile, read_key_page

_DIRECTORY_BUCKET = "--x-s3"


@dataclass(frozen=True, slots=True)
class ListingProfile:
    """What listings of one bucket do as S3 does it. None: not known.

    Attributes:
        ordered: Keys come in UTF-8 byte order.
        start_after: Listings can begin after any key.
        versions: Versions can be listed, by this identity.
        keys_seen: How many keys this was judged by; 0 for the name of the bucket alone.
        probed: What `store.probe` found by writing, if it was asked to.
    """

    ordered: bool | None = None
    start_after: bool | None = None
    versions: bool | None = None
    keys_seen: int = 0
    probed: Mapping[str, Any] | None = None

    @property
    def needs_tree(self) -> bool:
        """True if ranges of keys cannot be listed: only folder by folder is safe."""
        return self.ordered is False or self.start_after is False

    @classmethod
    def of_probe(cls, found: StoreProfile) -> ListingProfile:
        """What a probe by writing says about listings."""
        return cls(found.ordered, found.start_after, found.list_versions, probed=asdict(found))


UNORDERED = ListingProfile(ordered=False)


def is_directory_bucket(bucket: str) -> bool:
    """Directory buckets (S3 Express One Zone) have a name of their own kind.

    They list in no order, without StartAfter, and only below prefixes that end in `/`.
    """
    return bucket.endswith(_DIRECTORY_BUCKET)


def check_listing(store: Store, bucket: str, prefix: str = "") -> ListingProfile:
    """Look at what listings of a bucket do, with at most four requests; writes nothing.

    A bucket with fewer than three keys below the prefix shows nothing about order or StartAfter.
    Order among keys with characters beyond U+FFFF is only judged if there are such keys; a probe by
    writing (`store.probe`) looks at that too.

    Raises:
        StoreError: The bucket cannot be listed.
    """
    if is_directory_bucket(bucket):
        return ListingProfile(ordered=False, start_after=False, versions=False)
    page = read_key_page(store, ListQuery(bucket, prefix))
    keys = _keys(page)
    ordered = keys == sorted(keys)
    start_after: bool | None = None
    if ordered and len(keys) > 2:
        start_after = _begins_after(store, bucket, prefix, keys)
    return ListingProfile(
        ordered=ordered if len(keys) > 2 else None,
        start_after=start_after,
        versions=_lists_versions(store, bucket, prefix),
        keys_seen=len(keys),
    )


def known_profile(state: State, store: Store, bucket: str) -> ListingProfile | None:
    """What was kept of this bucket at this endpoint; None if nothing."""
    with state.read() as connection:
        kept = connection.execute(
            select(store_profiles.c.profile).where(
                store_profiles.c.endpoint == endpoint_of(store), store_profiles.c.bucket == bucket
            )
        ).scalar()
    if kept is None:
        return None
    known = {field.name for field in fields(ListingProfile)}
    return ListingProfile(**{name: value for name, value in kept.items() if name in known})


def keep_profile(state: State, store: Store, bucket: str, profile: ListingProfile) -> None:
    """Keep it, in place of what was kept before."""
    endpoint = endpoint_of(store)
    with state.write() as connection:
        connection.execute(
            delete(store_profiles).where(
                store_profiles.c.endpoint == endpoint, store_profiles.c.bucket == bucket
            )
        )
        connection.execute(
            insert(store_profiles).values(
                endpoint=endpoint,
                bucket=bucket,
                profile=asdict(profile),
                probed_at=format_utc(state.clock.now()),
            )
        )


def endpoint_of(store: Store) -> str:
    """The store's address, or its kind if it has none."""
    return str(getattr(store, "endpoint", type(store).__name__))


def _begins_after(store: Store, bucket: str, prefix: str, keys: list[str]) -> bool:
    """Does a listing begin after a key that is there, and after one that is not?

    Keys may come and go meanwhile: only a key that must not be in the answer counts.
    """
    middle = keys[len(keys) // 2]
    for after in (middle, keys[len(keys) // 2 - 1] + "\t"):
        query = ListQuery(bucket, prefix, start_after=after, keys_max=10)
        found = _keys(read_key_page(store, query))
        if any(key <= after for key in found) or (after < keys[-1] and not found):
            return False
    return True


def _lists_versions(store: Store, bucket: str, prefix: str) -> bool | None:
    try:
        read_key_page(store, ListQuery(bucket, prefix, versions=True, keys_max=1))
    except UnsupportedOperationError:
        return False
    except AccessDeniedError:
        return False
    except StoreError:
        return None
    return True


def _keys(page: KeyPage) -> list[str]:
    keys: list[str] = page.rows.column("key").to_pylist()
    return keys
