"""A store that fails by script: what its users see after all retries were used up.

store = FaultStore(inner, [Planned("get", StoreUnavailableError("cut"), after_bytes=1000)])
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from stocktake.clock import Clock, SystemClock
from stocktake.errors import StoreError
from stocktake.store import (
    Buffer,
    ByteRange,
    CompleteOptions,
    ListPage,
    ListQuery,
    MultipartUpload,
    ObjectBody,
    ObjectHead,
    PutOptions,
    Store,
)


@dataclass(slots=True)
class Planned:
    """One planned failure.

    Attributes:
        verb: The store's method: head, get, list_page, put, delete, begin_upload or describe; or an
            upload's: put_part, complete or abort.
        error: What is raised; None only waits.
        times: How often.
        skip: How many calls of that verb go well before.
        key: Only calls about that key (for listings: that prefix); None takes all.
        after_bytes: For `get`: raise when reading beyond that many bytes, instead of at once.
        delay_s: Wait before.
        after_effect: Do the work, then raise: an answer that was lost.
    """

    verb: str
    error: StoreError | None = None
    times: int = 1
    skip: int = 0
    key: str | None = None
    after_bytes: int | None = None
    delay_s: float = 0.0
    after_effect: bool = False

    def takes(self, verb: str, key: str | None) -> bool:
        """Count a call; True if this one is to fail."""
        if verb != self.verb or (self.key is not None and key != self.key):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times <= 0:
            return False
        self.times -= 1
        return True


_NOTHING = Planned("")
_T = TypeVar("_T")


class FaultStore:
    """A `Store` around another one, with a plan of failures. The first plan that takes counts."""

    def __init__(
        self, inner: Store, plans: Iterable[Planned] = (), *, clock: Clock | None = None
    ) -> None:
        self._inner = inner
        self._plans = list(plans)
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()

    def add(self, plan: Planned) -> None:
        """Plan another failure."""
        with self._lock:
            self._plans.append(plan)

    def _before(self, verb: str, key: str | None) -> Planned:
        with self._lock:
            plan = next((p for p in self._plans if p.takes(verb, key)), _NOTHING)
        if plan.delay_s:
            self._clock.sleep(plan.delay_s)
        if plan.error is not None and not plan.after_effect and plan.after_bytes is None:
            raise plan.error
        return plan

    def head(self, bucket: str, key: str, *, version_id: str | None = None) -> ObjectHead:
        """As the inner store, or as planned."""
        return _after(
            self._before("head", key), self._inner.head(bucket, key, version_id=version_id)
        )

    def get(
        self,
        bucket: str,
        key: str,
        *,
        byte_range: ByteRange | None = None,
        if_match: str | None = None,
        version_id: str | None = None,
    ) -> ObjectBody:
        """As the inner store, or as planned."""
        plan = self._before("get", key)
        body = self._inner.get(
            bucket, key, byte_range=byte_range, if_match=if_match, version_id=version_id
        )
        if plan.error is None or plan.after_bytes is None:
            return _after(plan, body)
        return _FailingBody(body, plan.after_bytes, plan.error)

    def list_page(self, query: ListQuery) -> ListPage:
        """As the inner store, or as planned."""
        plan = self._before("list_page", query.prefix)
        return _after(plan, self._inner.list_page(query))

    def put(
        self, bucket: str, key: str, body: Buffer, options: PutOptions = PutOptions()
    ) -> ObjectHead:
        """As the inner store, or as planned."""
        plan = self._before("put", key)
        return _after(plan, self._inner.put(bucket, key, body, options))

    def delete(self, bucket: str, keys: list[str]) -> dict[str, str]:
        """As the inner store, or as planned (a plan's key is the first of the keys)."""
        plan = self._before("delete", keys[0] if keys else None)
        return _after(plan, self._inner.delete(bucket, keys))

    def begin_upload(
        self,
        bucket: str,
        key: str,
        options: PutOptions = PutOptions(),
        *,
        upload_id: str | None = None,
    ) -> MultipartUpload:
        """As the inner store, or as planned."""
        plan = self._before("begin_upload", key)
        upload = self._inner.begin_upload(bucket, key, options, upload_id=upload_id)
        return _FailingUpload(_after(plan, upload), self, key)

    def describe(self, operation: str, bucket: str, **parameters: Any) -> dict[str, Any]:
        """As the inner store, or as planned (a plan's key is the operation)."""
        plan = self._before("describe", operation)
        return _after(plan, self._inner.describe(operation, bucket, **parameters))

    def close(self) -> None:
        """Close the inner store."""
        self._inner.close()


def _after(plan: Planned, result: _T) -> _T:
    if plan.error is not None:
        raise plan.error
    return result


class _FailingUpload:
    """An upload whose steps follow the store's plan."""

    def __init__(self, inner: MultipartUpload, store: FaultStore, key: str) -> None:
        self._inner = inner
        self._store = store
        self._key = key

    @property
    def upload_id(self) -> str:
        """As the inner upload."""
        return self._inner.upload_id

    def put_part(self, number: int, body: Buffer) -> str:
        """As the inner upload, or as planned."""
        plan = self._store._before("put_part", self._key)
        return _after(plan, self._inner.put_part(number, body))

    def complete(
        self, etags: Mapping[int, str], conditions: CompleteOptions = CompleteOptions()
    ) -> ObjectHead:
        """As the inner upload, or as planned."""
        plan = self._store._before("complete", self._key)
        return _after(plan, self._inner.complete(etags, conditions))

    def abort(self) -> None:
        """As the inner upload, or as planned."""
        plan = self._store._before("abort", self._key)
        self._inner.abort()
        _after(plan, None)


class _FailingBody:
    """A body that raises when more than `after_bytes` are read."""

    def __init__(self, inner: ObjectBody, after_bytes: int, error: StoreError) -> None:
        self._inner = inner
        self._left = after_bytes
        self._error = error

    @property
    def head(self) -> ObjectHead:
        """As the inner body."""
        return self._inner.head

    def read(self, size_bytes: int = -1) -> bytes:
        """What is left before the failure, then the failure."""
        if self._left == 0:
            raise self._error
        wanted = self._left if size_bytes < 0 else min(size_bytes, self._left)
        piece = self._inner.read(wanted)
        self._left -= len(piece)
        if size_bytes < 0 and self._left == 0:
            raise self._error
        return piece

    def __enter__(self) -> ObjectBody:
        return self

    def __exit__(self, *exc: object) -> None:
        self._inner.__exit__(*exc)
