"""Requests to a queue's service: tried again while that may help, then a typed error."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stocktake.clock import Clock
from stocktake.errors import StocktakeError
from stocktake.events._metrics import EventMetrics
from stocktake.events._queue_address import QueueAddress
from stocktake.events._queue_client import make_queue_client
from stocktake.events._queue_failures import THROTTLED, queue_error
from stocktake.store import RetryPolicy, S3StoreOptions

_KINDS = {"ReceiveMessage": "receive", "DeleteMessageBatch": "delete"}


class QueueCalls:
    """The service of one queue. Safe to share between threads."""

    def __init__(
        self,
        address: QueueAddress,
        options: S3StoreOptions,
        clock: Clock,
        retry: RetryPolicy,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._address = address
        self._client = make_queue_client(address, options)
        self._clock = clock
        self._dice = dice
        self._url = address.url
        self.retry = retry

    def call(
        self, operation: str, parameters: Mapping[str, Any], metrics: EventMetrics | None
    ) -> Mapping[str, Any]:
        """The answer of an operation on the queue; its URL is found first if it is not known.

        Raises:
            EventQueueError: Refused, or no answer after every try.
            CredentialsError: No, expired or wrong credentials.
        """
        if self._url is None:
            asked = {"QueueName": self._address.name}
            if self._address.account is not None:
                asked["QueueOwnerAWSAccountId"] = self._address.account
            self._url = str(self._request("GetQueueUrl", asked, metrics)["QueueUrl"])
        return self._request(operation, {"QueueUrl": self._url, **parameters}, metrics)

    def pause(self, failures: int, metrics: EventMetrics | None) -> None:
        """Wait before the next try, after that many failures."""
        if metrics is not None:
            metrics.retries += 1
        self._clock.sleep(self.retry.wait_s(failures, self._dice()))

    def _request(
        self, operation: str, parameters: Mapping[str, Any], metrics: EventMetrics | None
    ) -> Mapping[str, Any]:
        failures = 0
        while True:
            if metrics is not None:
                metrics.call(_KINDS.get(operation, "attributes"))
            try:
                answer: Mapping[str, Any] = self._client._make_api_call(operation, parameters)
            except (ClientError, BotoCoreError, OSError) as error:
                failures += 1
                typed = queue_error(error, operation, self._address.text)
                self._pause_or_raise(typed, error, failures, metrics)
            else:
                return answer

    def _pause_or_raise(
        self,
        typed: StocktakeError,
        error: Exception,
        failures: int,
        metrics: EventMetrics | None,
    ) -> None:
        if metrics is not None:
            metrics.throttles += typed.attrs.get("queue_code") in THROTTLED
        if not typed.retryable or failures >= self.retry.attempts_max:
            typed.attrs["attempts"] = failures
            raise typed from error
        self.pause(failures, metrics)
