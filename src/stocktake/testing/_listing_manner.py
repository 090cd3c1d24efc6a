"""Ways to list that are not S3's, as directory buckets and compatible stores have them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from stocktake.store import ListedObject, ListPage, ListQuery
from stocktake.testing._object_table import Refused

Listing = Callable[[ListQuery], ListPage]
_GAP = "gap|"


@dataclass(frozen=True, slots=True)
class ListingManner:
    """How a store lists. The default is S3's way.

    Attributes:
        order: What keys and prefixes are sorted by, instead of their UTF-8 bytes.
        ignores_start_after: Every listing begins with the first key.
        directory: As a directory bucket: refuses StartAfter, prefixes that do not end in `/`, and
            delimiters other than `/`.
        gaps: Each listing begins with a page that is empty and truncated, as behind many delete
            markers.
    """

    order: Callable[[str], Any] | None = None
    ignores_start_after: bool = False
    directory: bool = False
    gaps: bool = False

    @property
    def is_usual(self) -> bool:
        """Is it S3's way?"""
        return self == ListingManner()


def scrambled(name: str) -> bytes:
    """An order that has nothing to do with the keys."""
    return hashlib.md5(name.encode(), usedforsecurity=False).digest()


def by_utf16(name: str) -> bytes:
    """The order of Java and JavaScript: characters beyond U+FFFF come before U+E000."""
    return name.encode("utf-16-be")


DIRECTORY_BUCKET = ListingManner(order=scrambled, directory=True)


def list_in_manner(usual: Listing, query: ListQuery, manner: ListingManner) -> ListPage:
    """One page, in the given manner, of a store whose own manner is the usual one."""
    if manner.directory:
        _refuse_foreign(query)
    if manner.gaps and not (query.token or "").startswith(_GAP):
        return ListPage((), (), f"{_GAP}{query.token or ''}")
    if manner.gaps:
        query = replace(query, token=(query.token or "").removeprefix(_GAP) or None)
    if manner.ignores_start_after:
        query = replace(query, start_after="")
    if manner.order is None:
        return usual(query)
    return _reordered(usual, query, manner.order)


def _refuse_foreign(query: ListQuery) -> None:
    if query.start_after:
        raise Refused(501, "NotImplemented", "StartAfter in a directory bucket")
    if query.prefix and not query.prefix.endswith("/"):
        raise Refused(400, "InvalidRequest", "a prefix of a directory bucket ends in /")
    if query.delimiter not in ("", "/"):
        raise Refused(400, "InvalidRequest", "the delimiter of a directory bucket is /")
    if query.versions:
        raise Refused(501, "NotImplemented", "a directory bucket has no versions")


def _reordered(usual: Listing, query: ListQuery, order: Callable[[str], Any]) -> ListPage:
    objects: list[ListedObject] = []
    prefixes: list[str] = []
    token: str | None = None
    while True:
        page = usual(replace(query, token=token, start_after="", keys_max=1000))
        objects.extend(page.objects)
        prefixes.extend(page.prefixes)
        token = page.next_token
        if token is None:
            break
    entries: list[tuple[Any, ListedObject | None, str | None]]
    entries = [(order(one.key), one, None) for one in objects]
    entries += [(order(one), None, one) for one in prefixes]
    if query.start_after:
        bound = order(query.start_after)
        entries = [entry for entry in entries if entry[0] > bound]
    entries.sort(key=lambda entry: entry[0])
    start = int(query.token or 0)
    stop = start + min(query.keys_max, 1000)
    chosen = entries[start:stop]
    return ListPage(
        tuple(one for _, one, _ in chosen if one is not None),
        tuple(name for _, _, name in chosen if name is not None),
        str(stop) if stop < len(entries) else None,
    )
