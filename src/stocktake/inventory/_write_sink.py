"""A part on its way into a store: small ones by one PUT, larger ones by multipart upload."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Protocol

from stocktake.store import MultipartUpload, ObjectHead, PutOptions

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CHUNK_BYTES = 8 * 1024 * 1024
"""Size of a multipart part; at 10,000 of them a report part may be 80 GB."""


class ReportStore(Protocol):
    """The verbs that writing a report needs; every `Store` has them."""

    def head(self, bucket: str, key: str, *, version_id: str | None = None) -> ObjectHead:
        """What is known about one object, or `ObjectNotFoundError`."""

    def put(
        self, bucket: str, key: str, body: bytes, options: PutOptions = PutOptions()
    ) -> ObjectHead:
        """Write one object whole."""

    def delete(self, bucket: str, keys: list[str]) -> dict[str, str]:
        """Delete keys; returns the failures."""

    def begin_upload(
        self,
        bucket: str,
        key: str,
        options: PutOptions = PutOptions(),
        *,
        upload_id: str | None = None,
    ) -> MultipartUpload:
        """Start a multipart upload."""


class PartSink(io.RawIOBase):
    """A write-only file whose bytes become one object when `finish` is called, and not before.

    Holds at most one chunk plus one write in memory. After `abort` it swallows what encoders still
    want to write, so that they can be closed.
    """

    def __init__(
        self, store: ReportStore, bucket: str, key: str, *, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        super().__init__()
        self._store = store
        self._bucket = bucket
        self._key = key
        self._chunk_bytes = chunk_bytes
        self._held = bytearray()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._size_bytes = 0
        self._upload: MultipartUpload | None = None
        self._etags: dict[int, str] = {}
        self._aborted = False

    @property
    def size_bytes(self) -> int:
        """Bytes taken so far."""
        return self._size_bytes

    @property
    def md5(self) -> str:
        """Lower-hex MD5 of the bytes taken so far."""
        return self._md5.hexdigest()

    def writable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position, which is the number of bytes taken; encoders ask for it."""
        return self._size_bytes

    def write(self, data: ReadableBuffer, /) -> int:
        """Take all of these bytes, uploading whenever a chunk is full."""
        view = memoryview(data).cast("B")
        if self._aborted:
            return len(view)
        self._md5.update(view)
        self._held += view
        self._size_bytes += len(view)
        while len(self._held) > self._chunk_bytes:
            self._send(self._chunk_bytes)
        return len(view)

    def finish(self) -> None:
        """Make the object."""
        if self._upload is None:
            self._store.put(self._bucket, self._key, bytes(self._held))
        else:
            self._send(len(self._held))
            self._upload.complete(self._etags)
        self._held = bytearray()

    def abort(self) -> None:
        """Give up: nothing of the part stays in the store."""
        self._aborted = True
        self._held = bytearray()
        if self._upload is not None:
            self._upload.abort()

    def _send(self, size_bytes: int) -> None:
        if self._upload is None:
            self._upload = self._store.begin_upload(self._bucket, self._key)
        number = len(self._etags) + 1
        self._etags[number] = self._upload.put_part(number, bytes(self._held[:size_bytes]))
        del self._held[:size_bytes]
