"""One local file into one object, once and proven; never over anything but what was seen there.

Small files go by one PUT. What an answer leaves open (it was lost, it was odd, a condition did not
hold) is settled by looking at the object: its token says whether it is this very write, its
checksum which bytes it has.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from stocktake import faults
from stocktake.clock import Clock
from stocktake.errors import (
    KeyNotAllowedError,
    MissingExtraError,
    ObjectNotFoundError,
    PreconditionFailedError,
    SourceUnreadableError,
    StoreError,
    StoreUnavailableError,
    SyncConflictError,
    ThrottledError,
    UnexpectedAnswerError,
    UnsupportedOperationError,
    UploadMismatchError,
)
from stocktake.manifests._local_digests import FileDigests, FileHasher
from stocktake.manifests._local_files import (
    LocalFile,
    changed_error,
    open_descriptor,
    recheck_local,
)
from stocktake.model import display_key
from stocktake.store import (
    IN_FLIGHT_BYTES_MAX,
    PARTS_AT_ONCE,
    SHA256_NAME,
    TOKEN_NAME,
    ByteBudget,
    Digests,
    ObjectHead,
    PartPool,
    PutOptions,
    Store,
    UploadPace,
    content_type_of,
    crc64nvme,
    disproves,
    proof,
    token_of,
)

DATASET_NAME = "stocktake-dataset"
MTIME_NAME = "stocktake-mtime"
RUN_NAME = "stocktake-run"
KEY_BYTES_MAX = 1024
ROUNDS_MAX = 5
PIECE_BYTES = 1 << 20

UNSETTLED = (
    PreconditionFailedError,
    ObjectNotFoundError,
    UnexpectedAnswerError,
    StoreUnavailableError,
    ThrottledError,
)
"""Answers after which only the object can say whether it was written."""


class UploadNotes(Protocol):
    """Where multipart uploads are noted, so that whoever comes after a crash can end them."""

    def note_upload(self, s3_key: str, token: str, upload_id: str | None, run_id: str) -> None:
        """Note the intent, then again with the id."""

    def drop_upload(self, s3_key: str, token: str) -> None:
        """It is complete or aborted."""


@dataclass(frozen=True, slots=True)
class UploadPlace:
    """Where files go, and for whom.

    Attributes:
        root: The folder.
        notes: The dataset.
        part_bytes_min: Smallest part.
        stopped: Set: what is not begun is not begun any more.
        clock: Times the answers to PUT.
        pace: Is told of them: reading and hashing a file do not count as distance.
    """

    store: Store
    bucket: str
    root: Path
    dataset_id: str
    run_id: str
    notes: UploadNotes
    part_bytes_min: int
    stopped: threading.Event
    clock: Clock
    pace: UploadPace


@dataclass(frozen=True, slots=True)
class FileUpload:
    """A file, and what may be replaced by it.

    Attributes:
        seen_etag: Of the object that was seen at the key; None: nothing was.
        known: The file's digests, if somebody read it.
    """

    key: str
    file: LocalFile
    seen_etag: str | None
    known: FileDigests | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """An object that is there and proven.

    Attributes:
        token: Of the write that made it: ours, unless the same bytes were there already.
        verified_by: checksum | etag | read-back | adopted.
        noted_token: A multipart upload with this token is noted, and over.
    """

    head: ObjectHead
    digests: FileDigests
    token: str
    verified_by: str
    part_size_bytes: int | None = None
    noted_token: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What stands at a key. `by` says by what it is proven to have the bytes; None: others."""

    head: ObjectHead | None
    by: str | None = None


class FileUploader:
    """Puts files into a bucket. Safe to share between threads; close it."""

    def __init__(self, place: UploadPlace) -> None:
        self.place = place
        self.with_crc = has_crc64nvme()
        self.with_whole_crc = self.with_crc
        self.is_conditional = True
        self.budget = ByteBudget(4 * IN_FLIGHT_BYTES_MAX)
        self.part_pool = PartPool(PARTS_AT_ONCE)

    def close(self) -> None:
        """End its threads."""
        self.part_pool.close()

    def put(self, upload: FileUpload) -> Sent:
        """Send a file by one PUT.

        Raises:
            SyncConflictError: Something else stands at the key by now; it was not touched.
            SourceChangedError: The file changed; nothing was sent.
            StoreError: The store refuses it, or is away.
        """
        check_key(upload.key)
        size_bytes = upload.file.size_bytes
        self.budget.take(size_bytes, lambda: None)
        try:
            body, digests = read_whole(self.place.root, upload.file, upload.known)
            return self._put(upload, body, digests)
        finally:
            self.budget.give(size_bytes)

    def _put(self, upload: FileUpload, body: bytes, found: FileDigests) -> Sent:
        token = secrets.token_hex(16)
        digests = self.object_digests(found)
        seen = upload.seen_etag
        failure: StoreError | UploadMismatchError = self.mismatch(upload.key)
        for _ in range(ROUNDS_MAX):
            options = self.put_options(upload, found, token, seen)
            began_s = self.place.clock.monotonic_s()
            try:
                head = self.place.store.put(self.place.bucket, upload.key, body, options)
                self.place.pace.answered(self.place.clock.monotonic_s() - began_s)
            except UnsupportedOperationError:
                if not self.is_conditional:
                    raise
                self.is_conditional = False
            except UNSETTLED as error:
                failure = error
            else:
                faults.reached("sync.put-sent")
                # a 200 alone proves nothing: there are stores that ignore checksums
                by = proof(head, digests)
                if by is not None:
                    return Sent(head, found, token, by)
                failure = self.mismatch(upload.key)
            settled = self.settle(upload.key, token, digests)
            if settled.head is not None and settled.by is not None:
                return self.sent(settled, found, token)
            seen = self.still_replaceable(upload, settled)
        raise failure

    def put_options(
        self, upload: FileUpload, digests: FileDigests, token: str, seen: str | None
    ) -> PutOptions:
        """How the object is written, on condition that what was seen is still there."""
        return PutOptions(
            content_type=content_type_of(upload.key),
            metadata=self.metadata(upload.file, digests, token),
            if_absent=self.is_conditional and seen is None,
            if_match=seen if self.is_conditional else None,
            crc64nvme=digests.crc64nvme if self.with_crc else None,
        )

    def metadata(self, file: LocalFile, digests: FileDigests, token: str) -> dict[str, str]:
        """What the object says of itself."""
        return {
            TOKEN_NAME: token,
            DATASET_NAME: quote(self.place.dataset_id, safe=" ._-+=@"),
            SHA256_NAME: digests.sha256,
            MTIME_NAME: str(file.mtime_ns),
            RUN_NAME: self.place.run_id,
        }

    def object_digests(self, found: FileDigests) -> Digests:
        """The digests of an object that goes by one PUT."""
        crc = found.crc64nvme if self.with_crc else None
        return Digests(found.size_bytes, crc, found.md5, found.md5)

    def settle(self, key: str, token: str, digests: Digests) -> Found:
        """Look at what stands at the key now."""
        try:
            head = self.place.store.head(self.place.bucket, key)
        except ObjectNotFoundError:
            return Found(None)
        by = proof(head, digests)
        if token_of(head.metadata) != token:
            return Found(head, "adopted" if by else None)
        if by is None and self._reads_back(head, digests):
            by = "read-back"
        return Found(head, by)

    def sent(
        self, found: Found, digests: FileDigests, token: str, part_size_bytes: int | None = None
    ) -> Sent:
        """The result of having looked, when the bytes are there."""
        assert found.head is not None
        assert found.by is not None
        if token_of(found.head.metadata) == token:
            return Sent(found.head, digests, token, found.by, part_size_bytes)
        return Sent(found.head, digests, token_of(found.head.metadata) or "", "adopted")

    def still_replaceable(self, upload: FileUpload, found: Found) -> str | None:
        """The ETag to replace in another round; None if nothing is there any more.

        Raises:
            SyncConflictError: It is not what was seen when the sides were compared.
        """
        if found.head is None:
            return None
        if found.head.etag != upload.seen_etag:
            raise SyncConflictError(
                f"s3://{self.place.bucket}/{display_key(upload.key)} was changed by somebody else "
                "during this sync; it was left as it is",
                key=upload.key,
            )
        return found.head.etag

    def mismatch(self, key: str) -> UploadMismatchError:
        """The store says yes, and has something else, or nothing."""
        return UploadMismatchError(
            f"s3://{self.place.bucket}/{display_key(key)} is not what was sent",
            bucket=self.place.bucket,
            key=key,
        )

    def _reads_back(self, head: ObjectHead, digests: Digests) -> bool:
        """For stores that tell no checksum and whose ETag is none: read it all."""
        if head.size_bytes != digests.size_bytes or disproves(head, digests):
            return False
        found = hashlib.md5(usedforsecurity=False)
        with self.place.store.get(self.place.bucket, head.key, if_match=head.etag) as body:
            while piece := body.read(PIECE_BYTES):
                found.update(piece)
        return found.hexdigest() == digests.md5


def read_whole(root: Path, file: LocalFile, known: FileDigests | None) -> tuple[bytes, FileDigests]:
    """A file's bytes and their digests, of one content.

    Raises:
        SourceChangedError: It is not what was walked, or not what `known` says.
        SourceVanishedError: It is not there any more.
        SourceUnreadableError: It cannot be read.
    """
    hasher = FileHasher()
    descriptor = open_descriptor(root, file)
    try:
        body = read_up_to(descriptor, file.size_bytes + 1, file)
        recheck_local(root, file, descriptor)
    finally:
        os.close(descriptor)
    hasher.update(body)
    digests = hasher.digests()
    if len(body) != file.size_bytes or (known is not None and known.sha256 != digests.sha256):
        raise changed_error(file)
    return body, digests


def read_up_to(descriptor: int, size_bytes: int, file: LocalFile, offset: int = 0) -> bytes:
    """So many bytes from there on; fewer at the end."""
    try:
        piece = os.pread(descriptor, size_bytes, offset)
        if len(piece) == size_bytes or not piece:
            return piece
        pieces, have = [piece], len(piece)
        while have < size_bytes:
            piece = os.pread(descriptor, size_bytes - have, offset + have)
            if not piece:
                break
            pieces.append(piece)
            have += len(piece)
    except OSError as error:
        raise SourceUnreadableError(
            f"`{file.key}` cannot be read: {error.strerror}", path=file.key
        ) from error
    return b"".join(pieces)


def check_key(key: str) -> None:
    """Refuse what S3 does not take. Raises `KeyNotAllowedError`."""
    size_bytes = len(key.encode())
    if size_bytes > KEY_BYTES_MAX:
        raise KeyNotAllowedError(
            f"`{display_key(key)}` would have {size_bytes:,} bytes as a key, "
            f"{KEY_BYTES_MAX:,} are allowed",
            key=key,
        )


def has_crc64nvme() -> bool:
    """Whether the extra that computes it is installed; without it MD5 proves what arrived."""
    try:
        crc64nvme(b"")
    except MissingExtraError:
        return False
    return True
