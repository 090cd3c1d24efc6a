"""One object of the bucket as one file of a folder: streamed, compared, and only then named."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from stocktake.errors import (
    ObjectNotFoundError,
    PreconditionFailedError,
    RestoreMismatchError,
)
from stocktake.manifests._local_digests import FileHasher
from stocktake.manifests._restore_folder import TargetFolder
from stocktake.manifests._verify_bytes import ByteCheck, ByteVerdict, Expected, other_size
from stocktake.model import display_key
from stocktake.store import ObjectBody, ObjectHead, Store

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Which bytes, and where they go.

    Attributes:
        bucket: Where the object is.
        key: The object.
        expected: What is known of its bytes. With an ETag, an object that has another one by now
            is not fetched.
        version_id: The version that has these bytes.
        by_version: Ask for that version at once; otherwise only if the current object is another.
        path: Below the folder, its bytes.
        over: The file that it replaces, as `TargetFolder.status` said; None: nothing may be there.
        mtime_ns: The file's time of change.
        read_back: Compare also what the disk gives back.
    """

    bucket: str
    key: str
    expected: Expected
    path: bytes
    version_id: str | None = None
    by_version: bool = False
    over: os.stat_result | None = None
    mtime_ns: int | None = None
    read_back: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched. `verdict.same` is True, or None if nothing was known of the bytes."""

    head: ObjectHead
    size_bytes: int
    verdict: ByteVerdict


def fetch_file(
    store: Store,
    request: FetchRequest,
    folder: TargetFolder,
    *,
    hasher: FileHasher | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Fetched:
    """Download one object to its place. Memory: a piece. After any error the place is as it was.

    Args:
        store: Where the object is.
        request: Which object, and where to.
        folder: Nothing is made outside of it.
        hasher: Gets every byte too: for who needs all digests of what was not known before.
        advance: Is told of every piece; what it raises ends the download.

    Raises:
        ObjectNotFoundError: The object, or the version with these bytes, is gone.
        PreconditionFailedError: The object is another one by now, and no version was named.
        RestoreMismatchError: The bytes are not the expected ones; nothing was placed.
        RestoreTargetError: The file cannot be made there; its `problem` says why.
        DiskFullError: No space; nothing half is left.
        StoreError: The store did not give it.
    """
    check = ByteCheck(request.expected)
    with open_object(store, request) as body:
        _compare_size(request, body.head)
        with folder.part(request.path) as part:
            for piece in iter(lambda: body.read(PIECE_BYTES), b""):
                check.update(piece)
                if hasher is not None:
                    hasher.update(piece)
                part.write(piece)
                advance(len(piece))
            _require(request, check, body.head)
            if request.read_back:
                again = ByteCheck(request.expected)
                for piece in part.pieces(PIECE_BYTES):
                    again.update(piece)
                _require(request, again, body.head)
            part.place(over=request.over, mtime_ns=request.mtime_ns)
        return Fetched(body.head, check.size_bytes, check.verdict)


def open_object(store: Store, request: FetchRequest) -> ObjectBody:
    """The bytes of the object that has the expected ETag, or of the version that had it.

    Without a version, an object of the right size under another ETag is given too, if a digest can
    tell whether it has the bytes: ETags change with the size of parts, and on the way to another
    bucket.

    Raises:
        ObjectNotFoundError, PreconditionFailedError, StoreError: As for `fetch_file`.
    """
    bucket, key, version = request.bucket, request.key, request.version_id
    expected = request.expected
    if version is None or not request.by_version:
        try:
            return store.get(bucket, key, if_match=expected.etag)
        except ObjectNotFoundError:
            if version is None:
                raise
        except PreconditionFailedError:
            if version is None:
                if not expected.has_digest:
                    raise
                body = store.get(bucket, key)
                if body.head.size_bytes == expected.size_bytes:
                    return body
                body.__exit__(None, None, None)
                raise
    return store.get(bucket, key, version_id=version)


def _require(request: FetchRequest, check: ByteCheck, head: ObjectHead) -> None:
    if check.verdict.same is not False:
        return
    if None not in {head.etag, request.expected.etag} and head.etag != request.expected.etag:
        raise PreconditionFailedError(
            f"`{display_key(request.key)}` is another object by now",
            bucket=request.bucket,
            key=request.key,
        )
    raise mismatch_error(request, check.verdict)


def _compare_size(request: FetchRequest, head: ObjectHead) -> None:
    """Not a byte is read of what has another size."""
    size = request.expected.size_bytes
    if size is not None and head.size_bytes != size:
        raise mismatch_error(request, other_size(size, head.size_bytes))


def mismatch_error(request: FetchRequest, verdict: ByteVerdict) -> RestoreMismatchError:
    """The error of bytes that are not the expected ones."""
    told = "" if verdict.by == "size" else f"{verdict.by} "
    why = f"{told}{verdict.found}, not {verdict.expected}"
    return RestoreMismatchError(
        f"`{display_key(request.key)}` is not what the manifest says: {why}",
        bucket=request.bucket,
        key=request.key,
        by=verdict.by,
        why=why,
    )


def check_file(folder: TargetFolder, path: bytes, expected: Expected) -> ByteVerdict:
    """Hold a file of the folder against what is expected. Its size is compared before it is read.

    Raises:
        RestoreTargetError: It is no file, or cannot be read.
    """
    check = ByteCheck(expected)
    with folder.open_file(path) as opened:
        size = os.fstat(opened.fileno()).st_size
        if expected.size_bytes is not None and size != expected.size_bytes:
            return other_size(expected.size_bytes, size)
        try:
            for piece in iter(lambda: opened.read(PIECE_BYTES), b""):
                check.update(piece)
        except OSError as error:
            raise folder.error_of(path, error) from error
    return check.verdict
