"""Sending one S3 request, with failures as `StoreError`s, once or with retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore import exceptions as aws

from stocktake.errors import (
    InvalidSettingError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from stocktake.store._answers import Call
from stocktake.store._object_requests import ObjectRequests, plain
from stocktake.store._options import S3StoreOptions
from stocktake.store._refusals import TRANSPORT_ERRORS, store_error
from stocktake.store._retry import Retrier
from stocktake.telemetry import Meter

T = TypeVar("T")

_LISTINGS = frozenset({"ListObjectsV2", "ListObjectVersions"})
_ANSWERS_OF_BUCKETS = (ObjectNotFoundError, PreconditionFailedError)
"""Refusals that come from where the bucket is."""


class S3Calls:
    """One client, its retry policy and its meter; what we can send ourselves does not use it.

    Args:
        client: botocore's.
        options: Who pays, and what errors tell.
        retrier: Tries again.
        meter: Counts.
        objects: Our own requests, for the buckets that have answered botocore's.
    """

    def __init__(
        self,
        client: Any,
        options: S3StoreOptions,
        retrier: Retrier,
        meter: Meter,
        objects: ObjectRequests,
    ) -> None:
        self._client = client
        self._objects = objects
        self._options = options
        self._methods = {api: name for name, api in client.meta.method_to_api_mapping.items()}
        self.retrier = retrier
        self.meter = meter

    def about(
        self, operation: str, bucket: str, key: str | None = None, version_id: str | None = None
    ) -> Call:
        """The context that errors of a request are told with."""
        return Call(
            operation,
            bucket,
            key,
            version_id,
            anonymous=self._options.anonymous,
            requester_pays=self._options.requester_pays,
        )

    @property
    def payer(self) -> dict[str, str]:
        """The parameter that agrees to pay, if the options do."""
        return {"RequestPayer": "requester"} if self._options.requester_pays else {}

    @property
    def endpoint(self) -> str:
        """The address of the store; for AWS that of its region."""
        return str(self._client.meta.endpoint_url)

    def once(self, call: Call, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request and return its answer as botocore does. Raises `StoreError`s only."""
        name = self._methods.get(call.operation)
        if name is None:
            raise InvalidSettingError(f"S3 has no operation `{call.operation}`")
        own = self._objects.send(call, parameters)
        if own is not None:
            return own
        routes = self._objects.routes
        routes.watch()
        try:
            answer: dict[str, Any] = getattr(self._client, name)(**plain(parameters))
        except (aws.ClientError, *TRANSPORT_ERRORS) as error:
            failed = store_error(error, call)
            if call.key is not None and isinstance(failed, _ANSWERS_OF_BUCKETS):
                routes.learn(call.bucket, call.key)
            raise failed from error
        if call.key is not None or call.operation in _LISTINGS:
            routes.learn(call.bucket, call.key)
        return answer

    def retried(
        self,
        call: Call,
        parameters: Mapping[str, Any],
        read: Callable[[dict[str, Any]], T],
    ) -> T:
        """Send until it works; `read` turns the answer into the result and may refuse it."""
        return self.retrier.run(lambda _attempt: read(self.once(call, parameters)))

    def close(self) -> None:
        """Give back connections."""
        self._client.close()
