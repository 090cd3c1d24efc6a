"""What one bucket holds: versions by key in a sorted index, with S3's rules of writing and listing.

`MemoryStore` and `FakeS3` are two doors to this table. A page of a listing costs as much as its
entries (binary search in the index), so buckets of millions of keys list as in a real store.
"""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from stocktake.model import successor
from stocktake.testing._blobs import Blob, BytesBlob

T = TypeVar("T")


class Refused(Exception):  # noqa: N818 - an answer, not a failure of this program
    """What S3 would refuse, as its status and code."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class Versioning(StrEnum):
    """Whether overwritten and deleted objects are kept."""

    OFF = "Off"
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True)
class Version:
    """One stored version; `blob` None is a delete marker, id 'null' is the null version."""

    key: str
    blob: Blob | None
    etag: str
    last_modified: datetime
    version_id: str = "null"
    content_type: str = "binary/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    checksum_algorithm: str | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """How many bytes it has; 0 for a delete marker."""
        return self.blob.size_bytes if self.blob is not None else 0


@dataclass(frozen=True, slots=True)
class Condition:
    """When a write may happen: only if nothing is there, or only over that (normalised) ETag."""

    if_absent: bool = False
    if_match: str | None = None


@dataclass(frozen=True, slots=True)
class TablePage:
    """Entries in key order; `after` is where the next page goes on, None on the last."""

    versions: tuple[tuple[Version, bool], ...]
    prefixes: tuple[str, ...]
    after: tuple[str, str] | None


class BucketTable:
    """The versions of one bucket. Safe to share between threads."""

    def __init__(self, name: str, *, region: str = "us-east-1") -> None:
        self.name = name
        self.region = region
        self.versioning = Versioning.OFF
        self._lock = threading.RLock()
        self._keys: list[str] = []
        self._versions: dict[str, tuple[Version, ...]] = {}
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._keys)

    def load(self, versions: Iterable[Version]) -> None:
        """Add many current objects at once, without conditions or versioning."""
        with self._lock:
            self._versions.update((version.key, (version,)) for version in versions)
            self._keys = sorted(self._versions)

    def put(self, draft: Version, condition: Condition = Condition()) -> Version:
        """Store a version under the rules of the bucket; returns it with its version id."""
        check_key(draft.key)
        with self._lock:
            self.check(draft.key, condition)
            return self._add(draft)

    def check(self, key: str, condition: Condition) -> None:
        """Refuse what `put` would refuse now."""
        current = self.current(key)
        if condition.if_absent and current is not None:
            raise Refused(412, "PreconditionFailed", "the object is there")
        if condition.if_match is not None:
            if current is None:
                raise Refused(404, "NoSuchKey", "nothing to match")
            if current.etag != condition.if_match:
                raise Refused(412, "PreconditionFailed", "another ETag")

    def _add(self, draft: Version) -> Version:
        older = self._versions.get(draft.key)
        if older is None:
            insort(self._keys, draft.key)
            older = ()
        if self.versioning is Versioning.ENABLED:
            stored = replace(draft, version_id=f"v{next(self._numbers):031x}")
            self._versions[draft.key] = (stored, *older)
            return stored
        stored = replace(draft, version_id="null")
        self._versions[draft.key] = (stored, *(v for v in older if v.version_id != "null"))
        return stored

    def current(self, key: str) -> Version | None:
        """The current object, None if there is none or a delete marker hides it."""
        versions = self._versions.get(key)
        if versions is None or versions[0].blob is None:
            return None
        return versions[0]

    def find(self, key: str, version_id: str | None = None) -> Version:
        """The current object, or one version, which must not be a delete marker."""
        if version_id is None:
            found = self.current(key)
            if found is None:
                raise Refused(404, "NoSuchKey", "The specified key does not exist.")
            return found
        for version in self._versions.get(key, ()):
            if version.version_id == version_id:
                if version.blob is None:
                    raise Refused(405, "MethodNotAllowed", "a delete marker")
                return version
        raise Refused(404, "NoSuchVersion", "The specified version does not exist.")

    def delete(self, key: str, now: datetime, version_id: str | None = None) -> Version | None:
        """Delete; returns the delete marker that was made, if any. Absent is not an error."""
        with self._lock:
            if version_id is None and self.versioning is not Versioning.OFF:
                return self._add(Version(key, None, "", now))
            older = self._versions.get(key)
            if older is None:
                return None
            gone = version_id or "null"
            kept = tuple(version for version in older if version.version_id != gone)
            if kept:
                self._versions[key] = kept
            else:
                del self._versions[key]
                del self._keys[bisect_left(self._keys, key)]
            return None

    def page(self, prefix: str, delimiter: str, after: str, keys_max: int) -> TablePage:
        """Current objects after `after`, keys with the delimiter rolled up.

        A rolled-up prefix is listed only if it sorts after `after`.
        """
        with self._lock:
            if not delimiter:
                plain = self._plain_page(prefix, after, keys_max)
                if plain is not None:
                    return plain
            walk = self._walk_current(prefix, delimiter, after)
            return _cut(walk, keys_max)

    def _plain_page(self, prefix: str, after: str, keys_max: int) -> TablePage | None:
        """The page if no delete marker is near: a slice of the index, at 0.1 us for each key."""
        start, beyond = self._first(prefix, "", after), successor(prefix)
        stop = len(self._keys) if beyond is None else bisect_left(self._keys, beyond)
        keys = self._keys[start : min(stop, start + keys_max + 1)]
        newest = [self._versions[key][0] for key in keys]
        if any(version.blob is None for version in newest):
            return None
        last = (keys[keys_max - 1], "") if len(keys) > keys_max > 0 else None
        return TablePage(tuple((version, True) for version in newest[:keys_max]), (), last)

    def versions_page(
        self, prefix: str, delimiter: str, after: tuple[str, str], keys_max: int
    ) -> TablePage:
        """Versions and delete markers, newest first within a key; `after` is (key, version id)."""
        with self._lock:
            walk = self._walk_versions(prefix, delimiter, after)
            return _cut(walk, keys_max)

    def _walk_current(self, prefix: str, delimiter: str, after: str) -> Iterator[_Entry]:
        for key, folder in self._walk_keys(
            prefix, delimiter, self._first(prefix, delimiter, after)
        ):
            version = self._versions[key][0]
            if version.blob is not None:
                yield _Entry(folder or version, (folder or key, ""), is_latest=True)

    def _walk_versions(
        self, prefix: str, delimiter: str, after: tuple[str, str]
    ) -> Iterator[_Entry]:
        key_marker, version_marker = after
        if version_marker:
            yield from self._rest_of_key(key_marker, version_marker)
        start = self._first(prefix, delimiter, key_marker)
        for key, folder in self._walk_keys(prefix, delimiter, start):
            if folder:
                yield _Entry(folder, (folder, ""), is_latest=True)
                continue
            for place, version in enumerate(self._versions[key]):
                yield _Entry(version, (key, version.version_id), is_latest=place == 0)

    def _rest_of_key(self, key: str, version_marker: str) -> Iterator[_Entry]:
        seen = False
        for place, version in enumerate(self._versions.get(key, ())):
            if seen:
                yield _Entry(version, (key, version.version_id), is_latest=place == 0)
            seen = seen or version.version_id == version_marker

    def _first(self, prefix: str, delimiter: str, after: str) -> int:
        """Where in the index a listing begins."""
        if after < prefix:
            return bisect_left(self._keys, prefix)
        folder = _rolled_up(after, prefix, delimiter)
        if folder is None:
            return bisect_right(self._keys, after)
        beyond = successor(folder)
        return len(self._keys) if beyond is None else bisect_left(self._keys, beyond)

    def _walk_keys(
        self, prefix: str, delimiter: str, start: int
    ) -> Iterator[tuple[str, str | None]]:
        """Keys from `start` on below the prefix; of a rolled-up prefix up to its first object."""
        index = start
        while index < len(self._keys) and self._keys[index].startswith(prefix):
            key = self._keys[index]
            folder = _rolled_up(key, prefix, delimiter)
            yield key, folder
            index += 1
            if folder is not None and self.current(key) is not None:
                beyond = successor(folder)
                index = len(self._keys) if beyond is None else bisect_left(self._keys, beyond)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A version or a rolled-up prefix, and the marker behind it."""

    item: Version | str
    marker: tuple[str, str]
    is_latest: bool


def _rolled_up(key: str, prefix: str, delimiter: str) -> str | None:
    if not delimiter or not key.startswith(prefix):
        return None
    cut = key.find(delimiter, len(prefix))
    return None if cut < 0 else key[: cut + len(delimiter)]


def _cut(walk: Iterator[_Entry], keys_max: int) -> TablePage:
    versions: list[tuple[Version, bool]] = []
    prefixes: list[str] = []
    last: tuple[str, str] | None = None
    for entry in walk:
        if isinstance(entry.item, str) and prefixes and prefixes[-1] == entry.item:
            continue
        if len(versions) + len(prefixes) >= keys_max:
            return TablePage(tuple(versions), tuple(prefixes), last)
        if isinstance(entry.item, str):
            prefixes.append(entry.item)
        else:
            versions.append((entry.item, entry.is_latest))
        last = entry.marker
    return TablePage(tuple(versions), tuple(prefixes), None)


def check_key(key: str) -> None:
    """Refuse what is not a key: empty, more than 1,024 bytes, or not Unicode."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise Refused(400, "InvalidURI", "not UTF-8") from error
    if size == 0:
        raise Refused(400, "InvalidArgument", "an empty key")
    if size > 1024:
        raise Refused(400, "KeyTooLongError", "Your key is too long")


def bytes_version(key: str, body: bytes, etag: str, now: datetime) -> Version:
    """A draft of a small object; its time is whole seconds, as S3's are."""
    return Version(key, BytesBlob(body), etag, now.replace(microsecond=0))
