"""Catalog files below an S3 prefix, over the object-store port.

An object appears whole when its PUT or its multipart upload ends, so nothing has to be renamed.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, BinaryIO, cast

from stocktake.clock import Clock
from stocktake.errors import (
    CatalogCorruptError,
    CatalogError,
    ObjectNotFoundError,
    UnsupportedOperationError,
)
from stocktake.model import S3Url
from stocktake.store import ByteRange, ListQuery, MultipartUpload, Store, iter_listing

ENGINE_SCHEME = "stocktake"
"""Names that begin with `stocktake://` are opened through `StoreFileSystem`."""

_PART_BYTES = 8 << 20
# the part size doubles every so many parts: 10,000 parts then hold far more than an object may
_PARTS_PER_SIZE = 1000
_ABANDONED_AFTER = timedelta(days=1)


class S3Files:
    """The files of one catalog below `s3://bucket/prefix`. Implements `CatalogFiles`.

    Attributes:
        location: The address of the prefix.
    """

    def __init__(self, store: Store, url: S3Url) -> None:
        self._store = store
        self._bucket = url.bucket
        self._prefix = f"{url.key.rstrip('/')}/" if url.key.strip("/") else ""
        self.location = f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @contextmanager
    def create(self, path: str) -> Iterator[BinaryIO]:
        """A sink for a new object, which appears when the block ends normally.

        Buffers one part (8 MiB and more for very large files); small files are one PUT.
        """
        sink = _UploadSink(self._store, self._bucket, self._key(path))
        try:
            yield cast("BinaryIO", sink)
            sink.finish()
        except BaseException:
            sink.abandon()
            raise

    def read(self, path: str) -> bytes:
        """A whole small file. Raises `CatalogCorruptError` if it is not there."""
        try:
            with self._store.get(self._bucket, self._key(path)) as body:
                return body.read()
        except ObjectNotFoundError as error:
            raise self._missing(path) from error

    def exists(self, path: str) -> bool:
        """True if the object is there."""
        try:
            self._store.head(self._bucket, self._key(path))
        except ObjectNotFoundError:
            return False
        return True

    def listing(self, folder: str) -> Iterator[str]:
        """Every path below a folder, recursively, in key order."""
        prefix = self._prefix + (f"{folder.rstrip('/')}/" if folder else "")
        for page in iter_listing(self._store, ListQuery(self._bucket, prefix=prefix)):
            for item in page.objects:
                if not item.key.endswith("/"):
                    yield item.key.removeprefix(self._prefix)

    def remove(self, path: str) -> None:
        """Delete an object; not an error if it is gone."""
        failures = self._store.delete(self._bucket, [self._key(path)])
        for key, reason in failures.items():
            raise CatalogError(f"cannot remove `s3://{self._bucket}/{key}`: {reason}", path=path)

    def engine_path(self, path: str) -> str:
        """A `stocktake://` name; the engine reads it through `StoreFileSystem`."""
        self._key(path)
        return f"{ENGINE_SCHEME}://{path}"

    def size_bytes(self, path: str) -> int:
        """The stored size."""
        try:
            return self._store.head(self._bucket, self._key(path)).size_bytes
        except ObjectNotFoundError as error:
            raise self._missing(path) from error

    def remove_leftovers(self, clock: Clock) -> list[str]:
        """Abort multipart uploads below the prefix that nobody finished within a day.

        Of a store that cannot list them, none.
        """
        try:
            answer = self._store.describe("ListMultipartUploads", self._bucket, Prefix=self._prefix)
        except UnsupportedOperationError:
            return []
        removed = []
        for upload in answer.get("Uploads", []):
            if clock.now() - upload["Initiated"] > _ABANDONED_AFTER:
                key, upload_id = upload["Key"], upload["UploadId"]
                self._store.begin_upload(self._bucket, key, upload_id=upload_id).abort()
                removed.append(str(key).removeprefix(self._prefix))
        return removed

    def read_range(self, path: str, start: int, stop: int) -> bytes:
        """Bytes `start` up to `stop` of a file, or fewer at its end."""
        try:
            with self._store.get(
                self._bucket, self._key(path), byte_range=ByteRange(start, stop)
            ) as body:
                return body.read()
        except ObjectNotFoundError as error:
            raise self._missing(path) from error

    def _missing(self, path: str) -> CatalogCorruptError:
        return CatalogCorruptError(
            f"`{path}` is missing in the catalog `{self.location}`", path=path
        )

    def _key(self, path: str) -> str:
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise CatalogCorruptError(f"`{path}` is not a path inside a catalog", path=path)
        return self._prefix + path


class _UploadSink(io.RawIOBase):
    """Collects bytes; below one part they become a PUT, beyond it a multipart upload."""

    def __init__(self, store: Store, bucket: str, key: str) -> None:
        super().__init__()
        self._store = store
        self._bucket = bucket
        self._key = key
        self._buffer = bytearray()
        self._upload: MultipartUpload | None = None
        self._etags: dict[int, str] = {}
        self._written_bytes = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written_bytes

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        self._buffer += view
        self._written_bytes += len(view)
        while len(self._buffer) > self._part_bytes():
            self._send(self._part_bytes())
        return len(view)

    def finish(self) -> None:
        """Make the object appear."""
        if self._upload is None:
            self._store.put(self._bucket, self._key, bytes(self._buffer))
        else:
            self._send(len(self._buffer))
            self._upload.complete(self._etags)
        self.close()

    def abandon(self) -> None:
        """Leave nothing in the store."""
        if self._upload is not None:
            self._upload.abort()
        self.close()

    def _part_bytes(self) -> int:
        doublings: int = len(self._etags) // _PARTS_PER_SIZE
        return _PART_BYTES << doublings

    def _send(self, size_bytes: int) -> None:
        if self._upload is None:
            self._upload = self._store.begin_upload(self._bucket, self._key)
        number = len(self._etags) + 1
        self._etags[number] = self._upload.put_part(number, bytes(self._buffer[:size_bytes]))
        del self._buffer[:size_bytes]
