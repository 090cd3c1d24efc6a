"""Sending one S3 request, with failures as `StoreError`s, once or with retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from stocktake.errors import CredentialsError, InvalidSettingError, StoreError
from stocktake.store._answers import (
    Call,
    Refusal,
    odd_answer_error,
    refusal_error,
    silence_error,
)
from stocktake.store._options import S3StoreOptions
from stocktake.store._retry import Retrier
from stocktake.telemetry import Meter

T = TypeVar("T")

TRANSPORT_ERRORS: tuple[type[Exception], ...] = (aws.BotoCoreError, HTTPError)
"""What the HTTP stack raises when no answer, or not all of it, came."""

_CREDENTIAL_ERRORS = (
    aws.NoCredentialsError,
    aws.PartialCredentialsError,
    aws.CredentialRetrievalError,
    aws.TokenRetrievalError,
    aws.SSOError,
    aws.InfiniteLoopConfigError,
    aws.InvalidConfigError,
)

_IDENTITY_OPERATIONS = frozenset({"AssumeRole", "AssumeRoleWithWebIdentity", "GetRoleCredentials"})
"""What botocore calls on the way to credentials, inside of our own call."""


class S3Calls:
    """One client, its retry policy and its meter."""

    def __init__(
        self, client: Any, options: S3StoreOptions, retrier: Retrier, meter: Meter
    ) -> None:
        self._client = client
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

    @property
    def user_agent(self) -> str:
        """How we name ourselves to the store."""
        return str(self._client.meta.config.user_agent)

    def watch_requests(self, look: Callable[[Any], None]) -> None:
        """Show every S3 request to `look`, in the thread that sends it, before it is sent."""

        def show(request: Any, **_: Any) -> None:
            look(request)

        self._client.meta.events.register("before-send.s3", show)

    def once(self, call: Call, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request and return botocore's answer. Raises `StoreError`s only."""
        name = self._methods.get(call.operation)
        if name is None:
            raise InvalidSettingError(f"S3 has no operation `{call.operation}`")
        try:
            answer: dict[str, Any] = getattr(self._client, name)(**parameters)
        except (aws.ClientError, *TRANSPORT_ERRORS) as error:
            raise store_error(error, call) from error
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


def retry_after_s(headers: Mapping[str, str]) -> float:
    """How long an answer asks to wait; 0 if it does not say so in seconds."""
    text = headers.get("retry-after") or ""
    return float(text) if text.isdecimal() and text.isascii() else 0.0


def store_error(error: Exception, call: Call) -> StoreError:
    """What botocore's client or the HTTP below it raised, as the error to show."""
    if not isinstance(error, aws.ClientError):
        return transport_error(error, call)
    if error.operation_name in _IDENTITY_OPERATIONS:
        return _identity_error(error, call)
    return refusal_error(_refusal(error), call)


def _refusal(error: aws.ClientError) -> Refusal:
    answer = error.response
    said = answer.get("Error", {})
    metadata = answer.get("ResponseMetadata", {})
    headers = metadata.get("HTTPHeaders", {})
    return Refusal(
        status=int(metadata.get("HTTPStatusCode", 0)),
        code=str(said.get("Code", "")),
        message=str(said.get("Message", "")),
        retry_after_s=retry_after_s(headers),
        region=headers.get("x-amz-bucket-region") or said.get("Region"),
    )


def _identity_error(error: aws.ClientError, call: Call) -> StoreError:
    said = error.response.get("Error", {})
    return CredentialsError(
        f"cannot {call.deed}: {error.operation_name} was refused "
        f"({said.get('Code')}: {said.get('Message')})".rstrip("."),
        hint="allow sts:AssumeRole for this identity, and the identity in the role's trust policy",
        **call.attrs,
    )


def transport_error(error: Exception, call: Call) -> StoreError:
    """What a failure below S3 means: credentials, a wrong address, or an answer that stopped."""
    cause = str(error).rstrip(".").replace("\n", " ")
    if isinstance(error, _CREDENTIAL_ERRORS):
        return CredentialsError(f"cannot {call.deed}: {cause}", **call.attrs)
    if isinstance(error, ResponseParserError):
        return odd_answer_error("it is not XML", call)
    if isinstance(error, aws.ParamValidationError | aws.ValidationError):
        return StoreError(f"cannot {call.deed}: {cause}", **call.attrs)
    if isinstance(error, aws.SSLError):
        failed = silence_error(f"no secure connection: {cause}", call)
        failed.hint = "check the certificate, and AWS_CA_BUNDLE if it is a private one"
        failed.retryable = False
        return failed
    if isinstance(error, aws.ReadTimeoutError | aws.ConnectTimeoutError):
        return silence_error(f"time-out: {cause}", call)
    return silence_error(cause, call)
