"""What came instead of a success, from botocore or on our own requests, as `StoreError`s."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import responses

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from stocktake.errors import CredentialsError, StoreError
from stocktake.store._answers import (
    Call,
    Refusal,
    odd_answer_error,
    refusal_error,
    silence_error,
)
from stocktake.store._client import ROOT_ELEMENT
from stocktake.store._http_connection import HttpAnswer
from stocktake.store._lenient_xml import parse_lenient

TRANSPORT_ERRORS: tuple[type[Exception], ...] = (
    aws.BotoCoreError,
    ResponseParserError,
    HTTPError,
)
"""What the HTTP stack raises when no answer, not all of it, or none that can be read came."""

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


def is_refusal(answer: HttpAnswer) -> bool:
    """Whether it is an error answer, also one with a status of success."""
    body = answer.body
    root = ROOT_ELEMENT.match(body.data, body.start, body.stop)
    return answer.status >= 300 or (root is not None and root[2] == b"Error")


def refused_error(answer: HttpAnswer, call: Call) -> StoreError:
    """What an error answer means; one without a document (HEAD) is told by its status."""
    body = answer.body.to_bytes().lstrip()
    try:
        foreign = b"<!DOCTYPE" in body
        said = {child.tag: child.text or "" for child in parse_lenient(b"" if foreign else body)}
    except ValueError:
        said = {"Code": str(answer.status), "Message": responses.get(answer.status, "")}
    refusal = Refusal(
        # S3 may find out that it fails after it has said 200
        status=answer.status if answer.status >= 300 else 500,
        code=said.get("Code", ""),
        message=said.get("Message", ""),
        retry_after_s=retry_after_s(answer.headers),
        region=answer.headers.get("x-amz-bucket-region") or said.get("Region"),
    )
    return refusal_error(refusal, call)
