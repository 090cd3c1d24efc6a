"""A large file as a multipart upload: noted before it is begun, its id before the first part."""

from __future__ import annotations

import secrets
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO

from stocktake import faults
from stocktake.errors import (
    DigestRefusedError,
    InterruptedRunError,
    ObjectNotFoundError,
    StoreError,
    UnsupportedOperationError,
)
from stocktake.manifests._local_digests import FileDigests
from stocktake.manifests._local_files import changed_error, open_local, recheck_local
from stocktake.manifests._upload_file import (
    ROUNDS_MAX,
    UNSETTLED,
    FileUpload,
    FileUploader,
    Sent,
    check_key,
    read_up_to,
)
from stocktake.store import (
    PARTS_AT_ONCE,
    CompleteOptions,
    Digests,
    MultipartUpload,
    abort_until_gone,
    combine_crc64nvme,
    composite_etag,
    crc64nvme,
    encode_crc64nvme,
    once,
    part_size_bytes,
)


@dataclass(frozen=True, slots=True)
class _Part:
    etag: str
    crc64nvme: int
    size_bytes: int


def send_in_parts(uploader: FileUploader, upload: FileUpload, digests: FileDigests) -> Sent:
    """Send a file in parts; see `PartsUpload.send`.

    Some stores refuse the right checksum of a whole, since they reckon it in another way. Then it
    is sent once more without, and proven by the parts' ETags, or read back.
    """
    asked_for_whole = uploader.with_whole_crc
    try:
        return PartsUpload(uploader, upload, digests).send()
    except DigestRefusedError:
        if not asked_for_whole:
            raise
        uploader.with_whole_crc = False
    return PartsUpload(uploader, upload, digests).send()


class PartsUpload:
    """One upload of one file, whose digests are known."""

    def __init__(self, uploader: FileUploader, upload: FileUpload, digests: FileDigests) -> None:
        check_key(upload.key)
        self._line = uploader
        self._place = uploader.place
        self._upload = upload
        self._digests = digests
        self._token = secrets.token_hex(16)
        self._part_bytes = part_size_bytes(digests.size_bytes, uploader.place.part_bytes_min)
        self._with_crc = uploader.with_whole_crc
        self._opened: MultipartUpload | None = None
        self._noted = False

    def send(self) -> Sent:
        """Send it all and prove it. The note stays until the manifest has the object.

        Raises:
            SyncConflictError: Something else stands at the key by now; it was not touched.
            SourceChangedError: The file changed meanwhile; nothing became of it.
            InterruptedRunError: The run stops.
            StoreError: The store refuses it, or is away.
        """
        try:
            self._begin()
            with open_local(self._place.root, self._upload.file) as opened:
                parts = self._send_parts(opened)
                recheck_local(self._place.root, self._upload.file, opened)
            return self._complete(parts)
        except BaseException:
            self._abandon()
            raise

    def _begin(self) -> None:
        place, key = self._place, self._upload.key
        place.notes.note_upload(key, self._token, None, place.run_id)
        self._noted = True
        faults.reached("sync.upload-intended")
        plain = self._line.put_options(self._upload, self._digests, self._token, None)
        options = replace(
            plain, if_absent=False, crc64nvme=None, full_object_crc64nvme=self._with_crc
        )
        try:
            self._opened = place.store.begin_upload(place.bucket, key, options)
        except UnsupportedOperationError:
            if not self._with_crc:
                raise
            self._with_crc = False  # a store that does not know these checksums
            options = replace(options, full_object_crc64nvme=False)
            self._opened = place.store.begin_upload(place.bucket, key, options)
        place.notes.note_upload(key, self._token, self._opened.upload_id, place.run_id)
        faults.reached("sync.upload-recorded")

    def _send_parts(self, opened: BinaryIO) -> list[_Part]:
        """All parts in order; few are on their way at a time."""
        sizes = range(0, self._digests.size_bytes, self._part_bytes)
        waiting: deque[Future[_Part]] = deque()
        done: list[_Part] = []
        try:
            for number, offset in enumerate(sizes, start=1):
                if len(waiting) > PARTS_AT_ONCE:
                    done.append(waiting.popleft().result())
                waiting.append(self._line.part_pool.submit(self._send_part, opened, number, offset))
            while waiting:
                done.append(waiting.popleft().result())
        finally:
            for one in waiting:
                one.cancel()
            for one in waiting:  # no part may land after the abort
                if not one.cancelled():
                    one.exception()
        return done

    def _send_part(self, opened: BinaryIO, number: int, offset: int) -> _Part:
        if self._place.stopped.is_set():
            raise InterruptedRunError("the sync stops: this file is sent with the next one")
        assert self._opened is not None
        size_bytes = min(self._part_bytes, self._digests.size_bytes - offset)
        self._line.budget.take(size_bytes, lambda: None)
        try:
            body = read_up_to(opened.fileno(), size_bytes, self._upload.file, offset)
            if len(body) != size_bytes:
                raise changed_error(self._upload.file)
            crc = crc64nvme(body) if self._with_crc else 0
            etag = self._opened.put_part(number, body)
            faults.reached("sync.part-sent")
            return _Part(etag, crc, size_bytes)
        finally:
            self._line.budget.give(size_bytes)

    def _complete(self, parts: list[_Part]) -> Sent:
        line, upload = self._line, self._upload
        digests = self._object_digests(parts)
        seen = upload.seen_etag
        failure: StoreError | None = None
        for _ in range(ROUNDS_MAX):
            failure = self._complete_once(parts, digests, seen)
            faults.reached("sync.complete-sent")
            found = line.settle(upload.key, self._token, digests)
            if found.head is not None and found.by is not None:
                if found.by == "adopted":
                    self._abort()
                sent = line.sent(found, self._digests, self._token, self._part_bytes)
                return replace(sent, noted_token=self._token)
            seen = line.still_replaceable(upload, found)
            if failure is None or isinstance(failure, ObjectNotFoundError):
                break
        raise failure or line.mismatch(upload.key)

    def _object_digests(self, parts: list[_Part]) -> Digests:
        """What the parts are together; refused if that is not the file that was read."""
        crc: str | None = None
        if self._with_crc:
            whole = 0
            for part in parts:
                whole = combine_crc64nvme(whole, part.crc64nvme, part.size_bytes)
            crc = encode_crc64nvme(whole)
            if self._digests.crc64nvme not in {None, crc}:
                raise changed_error(self._upload.file)
        etag = composite_etag(tuple(part.etag for part in parts))
        size_bytes = self._digests.size_bytes
        return Digests(size_bytes, crc, self._digests.md5, etag, self._part_bytes)

    def _complete_once(
        self, parts: list[_Part], digests: Digests, seen: str | None
    ) -> StoreError | None:
        """Ask for the object; the answer if only a look at the object can settle it."""
        assert self._opened is not None
        conditional = self._line.is_conditional
        conditions = CompleteOptions(
            if_absent=conditional and seen is None,
            if_match=seen if conditional else None,
            crc64nvme=digests.crc64nvme,
            size_bytes=digests.size_bytes,
            settle=False,
        )
        try:
            self._opened.complete(
                {number: part.etag for number, part in enumerate(parts, start=1)}, conditions
            )
        except UNSETTLED as error:
            return error
        except UnsupportedOperationError as error:
            if not conditional:
                raise
            self._line.is_conditional = False
            return error
        return None

    def _abort(self) -> bool:
        place = self._place
        assert self._opened is not None
        upload_id = self._opened.upload_id
        return abort_until_gone(place.store, place.bucket, self._upload.key, upload_id, once)

    def _abandon(self) -> None:
        """End it. What the store does not end now, the next sync does: the note stays."""
        if not self._noted or self._opened is None:
            return  # whether it was begun is not known: the next sync looks
        with suppress(StoreError):
            if self._abort():
                self._place.notes.drop_upload(self._upload.key, self._token)
