"""One multipart upload, from its intent to its proof; a crash anywhere leaves it in the ledger."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass

from stocktake import faults
from stocktake.errors import (
    ObjectNotFoundError,
    StoreError,
    UploadMismatchError,
)
from stocktake.ship._patience import is_outage
from stocktake.ship._records import (
    ObjectResult,
    UploadCompleting,
    UploadDropped,
    UploadIntended,
    UploadOpened,
)
from stocktake.ship._settle import Standing
from stocktake.ship._upload import ROUNDS_MAX, SETTLED_BY_LOOKING, Uploader
from stocktake.ship._upload_target import Target, result_of
from stocktake.store import (
    PARTS_AT_ONCE,
    TABLE_PARTS_AT_ONCE,
    Buffer,
    CompleteOptions,
    Digests,
    MultipartUpload,
    PutOptions,
    abort_until_gone,
    combine_crc64nvme,
    composite_etag,
    crc64nvme,
    encode_crc64nvme,
    once,
    parts_at_once,
    uploads_of,
)


@dataclass(frozen=True, slots=True)
class SentPart:
    """A part that the store has."""

    etag: str
    crc64nvme: int
    size_bytes: int


class PartUpload:
    """An upload of ours that is under way. One thread fills it; its parts go in parallel."""

    def __init__(self, uploader: Uploader, target: Target, part_size_bytes: int) -> None:
        self._uploader = uploader
        self._target = target
        self._part_size_bytes = part_size_bytes
        at_most = TABLE_PARTS_AT_ONCE if target.is_table else PARTS_AT_ONCE
        self._at_once = parts_at_once(part_size_bytes, at_most=at_most)
        self._under_way: deque[tuple[Future[SentPart], int]] = deque()
        self._sent: list[SentPart] = []
        self._seen_etag: str | None = None
        self._upload: MultipartUpload | None = None
        self._open_before: set[str] | None = None
        self._intended = False
        self._asked_for = False

    def open(self) -> None:
        """Begin it: the intent is on disk before, its id before the first part.

        Raises:
            ForeignWriterError: Another shipper writes this key.
        """
        line, target = self._uploader, self._target
        self._seen_etag = line.settler.settle(target, None).etag
        self._open_before = self._open_ids()
        line.recorder.record(UploadIntended(target.object_id))
        self._intended = True
        faults.reached("ship.intended")
        options = PutOptions(
            content_type=target.content_type,
            metadata=target.metadata,
            full_object_crc64nvme=line.profile.full_object_crc,
        )
        self._upload = line.patience.call(
            lambda: line.store.begin_upload(line.bucket, target.key, options)
        )
        faults.reached("ship.upload-created")
        self._end_strays()  # before the id is on disk: until then a restart looks for all of them
        opened = UploadOpened(target.object_id, self._upload.upload_id, self._part_size_bytes)
        line.recorder.record(opened)
        faults.reached("ship.upload-recorded")

    def _open_ids(self) -> set[str] | None:
        """Uploads to this key that are open now, whoever began them; None if nobody can tell."""
        line = self._uploader
        if not line.profile.lists_uploads:
            return None
        call = once if line.patience.stopped else line.patience.call
        try:
            found = call(lambda: uploads_of(line.store, line.bucket, self._target.key))
        except StoreError as error:
            if is_outage(error):
                raise
            return None
        return {one.upload_id for one in found}

    def _end_strays(self) -> bool:
        """Abort what Create made when its answer was lost and it was asked again.

        Those are the uploads to this key that were not there before the intent, and are not the
        one that was told. Returns whether it is known that there are none left.
        """
        now = self._open_ids() if self._open_before is not None else None
        if now is None or self._open_before is None:
            return False
        told = {self._upload.upload_id} if self._upload is not None else set()
        gone = True
        for stray in sorted(now - self._open_before - told):
            gone = self._aborts(stray) and gone
        return gone

    def _aborts(self, upload_id: str) -> bool:
        """Abort one if the store allows it; an upload that is refused to be ended stays."""
        try:
            return self._abort(upload_id)
        except StoreError as error:
            if is_outage(error):
                raise
            return False

    def send(self, body: Buffer) -> None:
        """Send the next part; waits while enough are on their way. Raises what earlier ones did."""
        while len(self._under_way) >= self._at_once:
            self._take_oldest()
        line = self._uploader
        line.budget.take(len(body), line.patience.check)
        number = len(self._sent) + len(self._under_way) + 1
        try:
            part = line.part_pool.submit(self._send, number, body)
        except BaseException:
            line.budget.give(len(body))
            raise
        self._under_way.append((part, len(body)))

    def _send(self, number: int, body: Buffer) -> SentPart:
        line, upload = self._uploader, self._upload
        assert upload is not None
        try:
            faults.reached("ship.part-sending")
            crc = crc64nvme(body) if line.profile.full_object_crc else 0
            etag = line.patience.call(lambda: upload.put_part(number, body))
            faults.reached("ship.part-sent")
            return SentPart(etag, crc, len(body))
        finally:
            line.budget.give(len(body))

    def _take_oldest(self) -> None:
        try:
            self._sent.append(self._under_way.popleft()[0].result())
        except ObjectNotFoundError as error:
            raise UploadMismatchError(
                f"the upload to s3://{self._uploader.bucket}/{self._target.key} was ended by "
                "somebody else",
                key=self._target.key,
            ) from error

    def finish_parts(self, md5: str) -> Digests:
        """Wait for all parts; what they are together. `md5` is of the whole, in order."""
        while self._under_way:
            self._take_oldest()
        faults.reached("ship.parts-sent")
        crc = 0
        for part in self._sent:
            crc = combine_crc(crc, part)
        return Digests(
            sum(part.size_bytes for part in self._sent),
            encode_crc64nvme(crc) if self._uploader.profile.full_object_crc else None,
            md5,
            composite_etag(self._etags),
            self._part_size_bytes,
        )

    @property
    def _etags(self) -> tuple[str, ...]:
        return tuple(part.etag for part in self._sent)

    def complete(self, target: Target, digests: Digests) -> ObjectResult:
        """Make the object and prove it; nothing but the steps is recorded.

        Raises:
            ForeignWriterError: Another shipper writes this key.
            UploadMismatchError: The upload is gone, and what is there is something else.
        """
        line = self._uploader
        completing = UploadCompleting(
            target.object_id,
            self._etags,
            digests.size_bytes,
            digests.crc64nvme,
            digests.md5,
        )
        line.recorder.record(completing)
        self._asked_for = True
        faults.reached("ship.completing-recorded")
        for _ in range(ROUNDS_MAX):
            failure = self._complete_once(digests)
            faults.reached("ship.complete-sent")
            found = line.settler.settle(target, digests)
            if found.head is not None and found.is_done:
                faults.reached("ship.object-verified")
                if found.standing is Standing.SAME:
                    self._drop_parts()
                return result_of(target, digests, found.head, found.verified_by)
            if failure is None or isinstance(failure, ObjectNotFoundError):
                break
            self._seen_etag = found.etag
        raise line.mismatch(target) from failure

    def _complete_once(self, digests: Digests) -> StoreError | None:
        """Ask for it; the answer if it is one that only a look at the object can settle."""
        line, upload = self._uploader, self._upload
        assert upload is not None
        profile, seen = line.profile, self._seen_etag
        conditions = CompleteOptions(
            if_absent=seen is None and profile.complete_if_absent,
            if_match=seen if profile.complete_if_match else None,
            crc64nvme=digests.crc64nvme,
            size_bytes=digests.size_bytes,
            settle=False,
        )
        etags = dict(enumerate(self._etags, start=1))
        try:
            line.patience.call(lambda: upload.complete(etags, conditions))
        except SETTLED_BY_LOOKING as error:
            return error
        return None

    def abandon(self) -> None:
        """Abort it and say so in the ledger. What cannot be aborted stays in the ledger as it is.

        Never raises because of the store: there is an error already that led here.
        """
        self._end_parts()
        if not self._intended:
            return
        if self._asked_for and self._uploader.patience.stopped:
            return  # it may be there: a restart looks, and completes it
        try:
            gone = self._end_strays() if self._upload is None else self._drop_parts()
        except StoreError:
            return
        if gone:
            self._uploader.recorder.record(UploadDropped(self._target.object_id))

    def _end_parts(self) -> None:
        """Send no more; what is being sent is waited for, so that no part lands after the abort."""
        begun = []
        for part, size_bytes in self._under_way:
            if part.cancel():
                self._uploader.budget.give(size_bytes)
            else:
                begun.append(part)
        self._under_way.clear()
        for part in begun:
            part.exception()

    def _drop_parts(self) -> bool:
        assert self._upload is not None
        return self._abort(self._upload.upload_id)

    def _abort(self, upload_id: str) -> bool:
        line = self._uploader
        call = once if line.patience.stopped else line.patience.call
        return abort_until_gone(line.store, line.bucket, self._target.key, upload_id, call)


def combine_crc(so_far: int, part: SentPart) -> int:
    """The checksum of what came before and this part."""
    return combine_crc64nvme(so_far, part.crc64nvme, part.size_bytes)
