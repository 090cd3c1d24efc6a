"""Opens one part of a report: from where it should be, or from where a known trap puts it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from stocktake.errors import (
    ObjectNotFoundError,
    PartCorruptError,
    PreconditionFailedError,
    ReportExpiredError,
)
from stocktake.inventory._access import needed_for
from stocktake.inventory._part_location import PartPlace
from stocktake.model import PartRef
from stocktake.store import ByteRange, ObjectBody, ObjectHead, Store

T = TypeVar("T")


class PartAccess:
    """The bytes of one part, whole or in ranges. Safe to share between threads.

    Attributes:
        part: Which part.
        warning: Set once the part was found elsewhere than the manifest says.
    """

    def __init__(self, store: Store, place: PartPlace, part: PartRef) -> None:
        self.part = part
        self.warning: str | None = None
        self._store = store
        self._bucket = place.bucket
        self._key = place.key
        self._fallback_key = place.fallback_key
        self._lock = threading.Lock()

    def open(self) -> ObjectBody:
        """The whole part as a stream, its size already compared with the manifest.

        Raises:
            ReportExpiredError: The part is gone.
            PartCorruptError: It has another size than the manifest says.
            AccessDeniedError: s3:GetObject or kms:Decrypt is missing.
        """
        body = self._ask(self._get)
        try:
            self._check_size(body.head)
        except PartCorruptError:
            with body:
                raise
        return body

    def head(self) -> ObjectHead:
        """What the store says about the part; errors as `open`."""
        head = self._ask(self._store.head)
        self._check_size(head)
        return head

    def read_range(self, start: int, stop: int, *, etag: str | None) -> bytes:
        """Bytes `start` up to `stop` of the version that has this ETag (None: of any).

        Raises:
            PartCorruptError: It was overwritten since, or is shorter than that.
            ReportExpiredError: It is gone.
        """
        try:
            with self._ask(self._get, byte_range=ByteRange(start, stop), if_match=etag) as body:
                data = body.read()
        except PreconditionFailedError as error:
            raise PartCorruptError(
                f"part {self.part.name} was overwritten while it was read", part=self.part.name
            ) from error
        if len(data) != stop - start:
            raise PartCorruptError(
                f"part {self.part.name} ends before byte {stop}", part=self.part.name
            )
        return data

    def _get(self, bucket: str, key: str, **parameters: Any) -> ObjectBody:
        return self._store.get(bucket, key, **parameters)

    def _ask(self, verb: Callable[..., T], **parameters: Any) -> T:
        """The store's answer about the part, where it should be or where a known trap puts it."""
        with needed_for(f"as part {self.part.index} of the report"):
            try:
                return verb(self._bucket, self._key, **parameters)
            except ObjectNotFoundError as error:
                if self._fallback_key in (None, self._key):
                    raise self._gone() from error
            return self._ask_beside(verb, str(self._fallback_key), parameters)

    def _ask_beside(self, verb: Callable[..., T], key: str, parameters: dict[str, Any]) -> T:
        """Look in `data/` beside the manifest's folder: what a Prefix ending in a slash needs."""
        try:
            answer = verb(self._bucket, key, **parameters)
        except ObjectNotFoundError as error:
            raise self._gone() from error
        with self._lock:
            self.warning = (
                f"part {self.part.name} was found at {key} instead: the Prefix of the inventory "
                "configuration should not end with a slash"
            )
            self._key = key
        return answer

    def _check_size(self, head: ObjectHead) -> None:
        if head.size_bytes != self.part.size_bytes:
            raise PartCorruptError(
                f"part {self.part.name} has {head.size_bytes} bytes, "
                f"the manifest says {self.part.size_bytes}",
                part=self.part.name,
                size_bytes=head.size_bytes,
                expected_bytes=self.part.size_bytes,
            )

    def _gone(self) -> ReportExpiredError:
        return ReportExpiredError(
            f"part {self.part.name} of the report is gone, usually by a lifecycle rule",
            part=self.part.name,
            bucket=self._bucket,
        )
