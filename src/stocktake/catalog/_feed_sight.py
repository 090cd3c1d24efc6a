"""Asking the store about single keys, and what its answers change.

The catalog does not talk to stores: whoever runs the discovery gives it a `Look`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from stocktake.catalog._feed_events import Fact, same_object
from stocktake.catalog._feed_times import naive
from stocktake.catalog.engines._protocol import KNOWN, NET_CHANGE
from stocktake.errors import DiscoveryError
from stocktake.store import ObjectHead


@dataclass(frozen=True, slots=True)
class Sight:
    """What a HEAD of a key said: `head` None is "there is no object"."""

    key: str
    head: ObjectHead | None


Look = Callable[[Sequence[str]], Iterable[Sight]]
"""HEADs keys, in any order, and answers for each of them."""


def look_at(look: Look | None, keys: Sequence[str]) -> dict[str, ObjectHead | None]:
    """What the store says about each key.

    Raises:
        DiscoveryError: Nobody can ask it, or not all keys were answered for.
    """
    if not keys:
        return {}
    if look is None:
        raise DiscoveryError(
            f"{len(keys)} keys can only be decided by asking the store, which nobody may here"
        )
    found = {sight.key: sight.head for sight in look(keys)}
    if found.keys() != set(keys):
        raise DiscoveryError(f"{len(set(keys) - found.keys())} keys were not looked at")
    return found


def fact_of_head(head: ObjectHead | None, at: datetime) -> Fact:
    """What a HEAD at some instant makes known."""
    if head is None:
        return Fact(present=False, seen_from=at, seen_to=at)
    return Fact(
        present=True,
        version_id=head.version_id,
        etag=head.etag,
        size_bytes=head.size_bytes,
        last_modified=head.last_modified,
        seen_from=at,
        seen_to=at,
    )


def change_between(before: Fact, after: Fact) -> str | None:
    """`new`, `modified`, `deleted`, or None if both say the same."""
    if not after.present:
        return "deleted" if before.present else None
    if not before.present:
        return "new"
    return None if same_object(before, after) else "modified"


def seen_fact(row: Mapping[str, Any]) -> Fact:
    """What a row of NET_CHANGE (aware times) says is seen now. No date and no size: no object."""
    present = row["verdict"] != "deleted" and any(
        row[name] is not None for name in ("size_bytes", "last_modified", "etag", "version_id")
    )
    names = ("version_id", "etag", "size_bytes", "last_modified")
    return Fact(present=present, **{name: row[name] for name in names if present})


def net_rows(changes: Iterable[tuple[str, str, ObjectHead | None]]) -> pa.RecordBatch:
    """(key, verdict, head) as rows of NET_CHANGE without what was known."""
    rows = []
    for key, verdict, head in changes:
        row: dict[str, Any] = {"key": key, "verdict": verdict}
        if head is not None:
            row |= {
                "version_id": head.version_id,
                "size_bytes": head.size_bytes,
                "last_modified": naive(head.last_modified),
                "etag": head.etag,
                "storage_class": head.storage_class,
            }
        rows.append(row)
    return pa.RecordBatch.from_pylist(rows, NET_CHANGE)


def known_rows(found: Iterable[tuple[str, ObjectHead | None]], at: datetime) -> pa.RecordBatch:
    """(key, head) as rows of KNOWN."""
    rows = []
    for key, head in found:
        seen = {"key": key, "gone": head is None, "seen_from": naive(at), "seen_to": naive(at)}
        if head is not None:
            seen |= {
                "version_id": head.version_id,
                "size_bytes": head.size_bytes,
                "last_modified": naive(head.last_modified),
                "etag": head.etag,
                "storage_class": head.storage_class,
            }
        rows.append(seen)
    return pa.RecordBatch.from_pylist(rows, KNOWN)


def aware_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows whose times say that they are UTC."""
    return [
        {
            name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in batch.to_pylist()
    ]
