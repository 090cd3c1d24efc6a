"""The object-store port: the few verbs that everything else is built on.

One `Store` is one endpoint with one identity; buckets are arguments. Wrappers (retry, faults) have
the same shape, and one contract suite (`tests/contract/`) holds every implementation to this page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from stocktake.store._checksums import Buffer


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """What a store says about one object, without its bytes. `etag` is normalised (no quotes).

    `encryption` is what HEAD and GET say (`AES256`, `aws:kms`, `SSE-C`), `NOT-SSE` if they say
    none; None where nobody asked.
    """

    bucket: str
    key: str
    size_bytes: int
    etag: str | None
    last_modified: datetime | None
    version_id: str | None = None
    storage_class: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    encryption: str | None = None


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One row of a listing. Delete markers have no size and no ETag."""

    key: str
    size_bytes: int | None
    etag: str | None
    last_modified: datetime | None
    storage_class: str | None = None
    checksum_algorithm: str | None = None
    version_id: str | None = None
    is_latest: bool | None = None
    is_delete_marker: bool = False


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page, keys in UTF-8 byte order on ordered stores. `next_token` is None on the last."""

    objects: tuple[ListedObject, ...]
    prefixes: tuple[str, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What to list. `token` continues a listing and goes with the same other values."""

    bucket: str
    prefix: str = ""
    delimiter: str = ""
    start_after: str = ""
    token: str | None = None
    keys_max: int = 1000
    versions: bool = False


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `start` up to, not including, `stop`; `stop` None is the end of the object."""

    start: int
    stop: int | None = None


class ObjectBody(Protocol):
    """The bytes of one object, as a stream. Use it as a context manager.

    A cut connection, a stall or a reset is resumed (Range + If-Match) within the retry budget;
    the bytes seen are those of ONE version of the object, or an error is raised.
    """

    @property
    def head(self) -> ObjectHead:
        """What the GET's headers said. `size_bytes` is that of the whole object."""

    def read(self, size_bytes: int = -1) -> bytes:
        """Up to that many bytes; fewer only at the end; all the rest for -1."""

    def __enter__(self) -> ObjectBody: ...

    def __exit__(self, *exc: object) -> None: ...


@dataclass(frozen=True, slots=True)
class PutOptions:
    """How to write an object.

    Attributes:
        content_type: What browsers and tools take it for.
        metadata: The user's own, ASCII.
        if_absent: Only if nothing is there.
        if_match: Only over the object with this normalised ETag. Of `put`; an upload has its
            conditions at `complete`.
        crc64nvme: Of `put`: checksum of the body (`encode_crc64nvme`), checked by the store.
        full_object_crc64nvme: Of `begin_upload`: every part carries its CRC64NVME, and `complete`
            that of the whole object. Without this the store would believe any whole-object one.
    """

    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    if_absent: bool = False
    if_match: str | None = None
    crc64nvme: str | None = None
    full_object_crc64nvme: bool = False


@dataclass(frozen=True, slots=True)
class CompleteOptions:
    """What must hold for an upload to become an object.

    Attributes:
        if_absent: Nothing is there.
        if_match: The object with this normalised ETag is there.
        crc64nvme: Checksum of all parts together; only if the upload declared it.
        size_bytes: Of all parts together.
        settle: True: an answer that was lost is settled by looking at the object (its ETag). False:
            one request, and the caller settles: every failure comes out as it is, and the result
            is what the answer said (`size_bytes` is then needed).
    """

    if_absent: bool = False
    if_match: str | None = None
    crc64nvme: str | None = None
    size_bytes: int | None = None
    settle: bool = True


class MultipartUpload(Protocol):
    """A multipart upload that is under way. Its id is ours to keep, resume and abort."""

    @property
    def upload_id(self) -> str:
        """The store's id of this upload."""

    def put_part(self, number: int, body: Buffer) -> str:
        """Upload part `number` (1-based); returns its ETag. Repeating a number replaces it."""

    def complete(
        self, etags: Mapping[int, str], conditions: CompleteOptions = CompleteOptions()
    ) -> ObjectHead:
        """Make the object of these parts, in order of number, if the conditions hold."""

    def abort(self) -> None:
        """Drop the upload and its parts. Not an error if it is gone."""


class Store(Protocol):
    """An object store: eight verbs.

    All of them raise the `StoreError` family with bucket, key and operation in `attrs`; transient
    failures have been retried already.
    """

    def head(self, bucket: str, key: str, *, version_id: str | None = None) -> ObjectHead:
        """What is known about one object, or `ObjectNotFoundError`."""

    def get(
        self,
        bucket: str,
        key: str,
        *,
        byte_range: ByteRange | None = None,
        if_match: str | None = None,
        version_id: str | None = None,
    ) -> ObjectBody:
        """Open an object for reading. `if_match` is a normalised ETag."""

    def list_page(self, query: ListQuery) -> ListPage:
        """One page of ListObjectsV2, or of ListObjectVersions if `query.versions`."""

    def put(
        self, bucket: str, key: str, body: Buffer, options: PutOptions = PutOptions()
    ) -> ObjectHead:
        """Write one object whole."""

    def delete(self, bucket: str, keys: list[str]) -> dict[str, str]:
        """Delete keys (any number); returns the failures as key -> reason. Absent is not one."""

    def begin_upload(
        self,
        bucket: str,
        key: str,
        options: PutOptions = PutOptions(),
        *,
        upload_id: str | None = None,
    ) -> MultipartUpload:
        """Start a multipart upload, or take up one whose id is known, with the same options."""

    def describe(self, operation: str, bucket: str, **parameters: Any) -> dict[str, Any]:
        """Run a bucket-level operation (`GetBucketInventoryConfiguration`, `CreateBucket`, ...).

        Parameters and answer as in the S3 API reference. Raises `UnexpectedAnswerError` if the
        answer lacks the element that this operation gives (emulators answer 200 to anything).
        """

    def close(self) -> None:
        """Give back connections."""


def iter_listing(store: Store, query: ListQuery) -> Iterator[ListPage]:
    """All pages of a listing, one request each, until the store says it was the last."""
    token = query.token
    while True:
        page = store.list_page(replace(query, token=token))
        yield page
        if page.next_token is None:
            return
        token = page.next_token
