"""Writing objects of a bucket, each exactly once and proven: one PUT, or the parts of an upload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stocktake import faults
from stocktake.errors import (
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
    UnexpectedAnswerError,
    UploadMismatchError,
)
from stocktake.ship._patience import Patience
from stocktake.ship._records import ObjectResult, Recorder
from stocktake.ship._settle import Settler
from stocktake.ship._upload_target import Target, result_of
from stocktake.store import (
    IN_FLIGHT_BYTES_MAX,
    PARTS_AT_ONCE,
    Buffer,
    ByteBudget,
    Digests,
    PartPool,
    PutOptions,
    Store,
    UploadProfile,
    digests_of,
    proof_of_answer,
)

ROUNDS_MAX = 5
"""Looks at a key that somebody else keeps changing, before it is given up for now."""

SETTLED_BY_LOOKING = (PreconditionFailedError, ObjectNotFoundError, UnexpectedAnswerError)
"""Answers that do not say whether the object is there: somebody's write won, maybe our own."""


@dataclass(frozen=True, slots=True)
class UploadPlace:
    """Where objects go and what may be asked of that store."""

    store: Store
    bucket: str
    profile: UploadProfile


class Uploader:
    """Writes objects of one bucket. Safe to share between threads; close it."""

    def __init__(
        self,
        place: UploadPlace,
        recorder: Recorder,
        patience: Patience,
        knows_token: Callable[[str], bool],
    ) -> None:
        self.store = place.store
        self.bucket = place.bucket
        self.profile = place.profile
        self.recorder = recorder
        self.patience = patience
        self.settler = Settler(place.store, place.bucket, patience.call, knows_token)
        self.budget = ByteBudget(IN_FLIGHT_BYTES_MAX)
        self.part_pool = PartPool(PARTS_AT_ONCE)

    def close(self) -> None:
        """End its threads."""
        self.part_pool.close()

    def put(self, target: Target, body: Buffer) -> ObjectResult:
        """Write an object by one PUT; nothing is recorded.

        Raises:
            ForeignWriterError: Another shipper writes this key.
            UploadMismatchError: The store says yes, and has something else.
            StoreError: The store refuses it.
        """
        digests = digests_of(body, with_crc=self.profile.crc64nvme)
        seen, looked = target.replaces_etag, False
        failure: StoreError | UploadMismatchError | None = None
        for _ in range(ROUNDS_MAX):
            # ours of before with the ETag of these very bytes: looked at, not sent again
            if looked or (self._can_put_on_condition(seen) and seen != digests.etag):
                options = self._put_options(target, digests, seen)
                faults.reached("ship.put-sending")
                try:
                    head = self.patience.call(
                        lambda options=options: self.store.put(  # type: ignore[misc]
                            self.bucket, target.key, body, options
                        )
                    )
                except SETTLED_BY_LOOKING as error:
                    failure = error
                else:
                    faults.reached("ship.put-sent")
                    by = proof_of_answer(head, digests)
                    if by is not None:
                        return result_of(target, digests, head, by)
                    failure = self.mismatch(target)
            found = self.settler.settle(target, digests)
            if found.head is not None and found.is_done:
                return result_of(target, digests, found.head, found.verified_by)
            seen, looked = found.etag, True
        raise failure or self.mismatch(target)

    def mismatch(self, target: Target) -> UploadMismatchError:
        """The store says yes, and has something else, or nothing."""
        return UploadMismatchError(
            f"s3://{self.bucket}/{target.key} is not what was sent",
            bucket=self.bucket,
            key=target.key,
        )

    def is_done_already(self, target: Target, digests: Digests | None) -> ObjectResult | None:
        """The object as it stands, if it is ours or has the same bytes: before a long upload."""
        found = self.settler.settle(target, digests)
        if digests is None or found.head is None or not found.is_done:
            return None
        return result_of(target, digests, found.head, found.verified_by)

    def _can_put_on_condition(self, seen: str | None) -> bool:
        return self.profile.put_if_absent if seen is None else self.profile.put_if_match

    def _put_options(self, target: Target, digests: Digests, seen: str | None) -> PutOptions:
        conditional = self._can_put_on_condition(seen)
        return PutOptions(
            content_type=target.content_type,
            metadata=target.metadata,
            if_absent=conditional and seen is None,
            if_match=seen if conditional else None,
            crc64nvme=digests.crc64nvme,
        )
