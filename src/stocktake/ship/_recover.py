"""After a crash: uploads that the ledger has open are completed if they were, or ended.

Only what the ledger knows is touched. What cannot be settled now stays in the ledger and is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from stocktake import faults
from stocktake.clock import Clock
from stocktake.errors import (
    BucketNotFoundError,
    CredentialsError,
    ForeignWriterError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StocktakeError,
    StoreError,
    StoreUnavailableError,
    ThrottledError,
    UnexpectedAnswerError,
    UnsupportedOperationError,
)
from stocktake.ship._ledger_rows import OpenUpload
from stocktake.ship._records import ObjectResult, ObjectState, UploadDropped, UploadStep
from stocktake.ship._settings import ShipSettings
from stocktake.ship._settle import Settler, Standing
from stocktake.ship._upload_target import Target, result_of
from stocktake.store import (
    CompleteOptions,
    Digests,
    PutOptions,
    Store,
    abort_until_gone,
    composite_etag,
    once,
    uploads_of,
)

SKEW = timedelta(seconds=60)
"""How far the store's clock may be behind ours, for uploads whose id never reached us."""

_THREADS = 8
_AWAY = (BucketNotFoundError, CredentialsError, StoreUnavailableError, ThrottledError)
_REFUSED = (
    ObjectNotFoundError,
    PreconditionFailedError,
    UnexpectedAnswerError,
    UnsupportedOperationError,
)


class UploadLedger(Protocol):
    """What recovery needs of the ledger."""

    def open_uploads(self) -> Sequence[OpenUpload]:
        """Objects that an upload was begun for."""

    def record(self, step: UploadStep) -> None:
        """Record a step of an upload."""

    def complete(self, results: Sequence[ObjectResult]) -> None:
        """Record objects that are there and proven."""


@dataclass(frozen=True, slots=True)
class RecoverReport:
    """What became of the uploads that were open.

    Attributes:
        completed: Objects that were there already, or are now.
        aborted: Uploads that were ended in the store.
        dropped: Objects that will be written again.
        problems: What the store refused; these uploads stay open in the ledger.
    """

    completed: int = 0
    aborted: int = 0
    dropped: int = 0
    problems: tuple[StocktakeError, ...] = ()


@dataclass(frozen=True, slots=True)
class _Settled:
    completed: int = 0
    aborted: int = 0
    problem: StocktakeError | None = None


def recover_uploads(
    ledger: UploadLedger, store: Store, settings: ShipSettings, *, clock: Clock
) -> RecoverReport:
    """Settle every upload that the ledger has open; to be run before anything new is begun.

    A refused abort is told in the report and hinders nothing. Clock is that of the caller, for
    what may have to wait later.

    Raises:
        StoreError: The store is away; what was settled until then is recorded, call it again.
    """
    faults.reached("ship.recovering")
    waiting = ledger.open_uploads()
    if not waiting:
        return RecoverReport()
    recovery = _Recovery(ledger, store, settings.bucket)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="recover") as pool:
        futures = [pool.submit(recovery.settle, upload) for upload in waiting]
        try:
            settled = [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    problems = tuple(one.problem for one in settled if one.problem is not None)
    completed = sum(one.completed for one in settled)
    return RecoverReport(
        completed=completed,
        aborted=sum(one.aborted for one in settled),
        dropped=len(settled) - completed - len(problems),
        problems=problems,
    )


class _Recovery:
    """Settles one upload at a time."""

    def __init__(self, ledger: UploadLedger, store: Store, bucket: str) -> None:
        self._ledger = ledger
        self._store = store
        self._bucket = bucket
        self._settler = Settler(store, bucket, once, lambda _token: False)

    def settle(self, upload: OpenUpload) -> _Settled:
        """Complete or end one upload, and record it."""
        try:
            settled = self._settle(upload)
        except _AWAY:
            raise
        except StoreError as error:
            return _Settled(problem=error)
        if not settled.completed:
            self._ledger.record(UploadDropped(upload.object_id))
        faults.reached("ship.upload-settled")
        return settled

    def _settle(self, upload: OpenUpload) -> _Settled:
        if upload.upload_id is None:
            return _Settled(aborted=self._abort_unknown(upload))
        if upload.state is ObjectState.COMPLETING:
            result = self._completed(upload) or self._complete_again(upload, upload.upload_id)
            if result is not None:
                self._ledger.complete([result])
                return _Settled(completed=1)
        self._abort(upload, upload.upload_id)
        return _Settled(aborted=1)

    def _abort_unknown(self, upload: OpenUpload) -> int:
        """The answer to Create never came: end what was begun at exactly this key since then."""
        key = upload.planned.key
        try:
            begun = uploads_of(self._store, self._bucket, key)
        except UnsupportedOperationError:
            return 0  # a store that lists no uploads: its lifecycle rule has to end them
        since = upload.recorded - SKEW
        ours = [one for one in begun if one.initiated is not None and one.initiated >= since]
        for one in ours:
            self._abort(upload, one.upload_id)
        return len(ours)

    def _abort(self, upload: OpenUpload, upload_id: str) -> None:
        key = upload.planned.key
        if not abort_until_gone(self._store, self._bucket, key, upload_id, once):
            raise StoreError(
                f"the upload {upload_id} to s3://{self._bucket}/{key} is still there after "
                "several aborts",
                key=key,
                retryable=True,
            )
        faults.reached("ship.upload-aborted")

    def _completed(self, upload: OpenUpload) -> ObjectResult | None:
        """The object, if it is there with our token and the bytes that were sent."""
        digests = _digests(upload)
        if digests is None:
            return None
        target = _target(upload)
        try:
            found = self._settler.settle(target, digests)
        except ForeignWriterError:
            return None  # told when the object is written again
        if found.head is None or found.standing is not Standing.OURS:
            return None
        return result_of(target, digests, found.head, found.verified_by)

    def _complete_again(self, upload: OpenUpload, upload_id: str) -> ObjectResult | None:
        """Its parts are all there and its source was compared: ask for the object once more."""
        digests = _digests(upload)
        if digests is None or not upload.etags:
            return None
        options = PutOptions(full_object_crc64nvme=upload.crc64nvme is not None)
        opened = self._store.begin_upload(
            self._bucket, upload.planned.key, options, upload_id=upload_id
        )
        conditions = CompleteOptions(
            if_absent=upload.replaces_etag is None,
            if_match=upload.replaces_etag,
            crc64nvme=upload.crc64nvme,
            size_bytes=upload.size_bytes,
            settle=False,
        )
        try:
            opened.complete(dict(enumerate(upload.etags, start=1)), conditions)
        except _REFUSED:
            pass  # what stands there now decides
        except (StoreUnavailableError, ThrottledError):
            found = self._completed(upload)
            if found is None:
                raise
            return found
        return self._completed(upload)


def _digests(upload: OpenUpload) -> Digests | None:
    if upload.size_bytes is None or upload.md5 is None:
        return None
    etag = composite_etag(upload.etags)
    return Digests(upload.size_bytes, upload.crc64nvme, upload.md5, etag, upload.part_size_bytes)


def _target(upload: OpenUpload) -> Target:
    planned = upload.planned
    return Target(
        object_id=upload.object_id,
        token=upload.token,
        key=planned.key,
        sha256=planned.sha256,
        metadata={},
        content_type="",
        rows=(planned.plan or {}).get("rows"),
    )
