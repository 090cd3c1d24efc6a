"""What a queue's refusals mean: one table, one error with a hint for each."""

from __future__ import annotations

from botocore.exceptions import ClientError, NoCredentialsError, PartialCredentialsError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.exceptions import HTTPClientError as NoAnswerError
from botocore.parsers import ResponseParserError

from stocktake.errors import CredentialsError, DiscoveryError, EventQueueError, StoreError

_MISSING = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "AWS.SimpleQueueService.QueueDeletedRecently",
        "NonExistentQueue",
        "QueueDeletedRecently",
        "QueueDoesNotExist",
        "InvalidAddress",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "403"})
_IDENTITY = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
THROTTLED = frozenset(
    {
        "OverLimit",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "KmsThrottled",
        "KMS.ThrottlingException",
    }
)
_PASSING = (NoConnectionError, NoAnswerError, ResponseParserError, OSError)
_ACTIONS = {
    "ReceiveMessage": "sqs:ReceiveMessage",
    "DeleteMessageBatch": "sqs:DeleteMessage",
    "GetQueueAttributes": "sqs:GetQueueAttributes",
    "GetQueueUrl": "sqs:GetQueueUrl",
}
_DEEDS = {
    "ReceiveMessage": "receive from",
    "DeleteMessageBatch": "delete messages of",
    "GetQueueAttributes": "look at",
    "GetQueueUrl": "find",
}


def queue_error(error: Exception, operation: str, queue: str) -> DiscoveryError | StoreError:
    """Our error for a failure of botocore; `retryable` says if trying again may help."""
    deed = f"cannot {_DEEDS.get(operation, operation + ' of')} queue {queue}"
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return CredentialsError(f"{deed}: {error}", queue=queue)
    if not isinstance(error, ClientError):
        return EventQueueError(
            f"{deed}: {' '.join(str(error).split())}",
            hint="check the queue's address, --endpoint-url and the network",
            retryable=isinstance(error, _PASSING),
            queue=queue,
        )
    return _refusal(error, operation, queue, deed)


def _refusal(
    error: ClientError, operation: str, queue: str, deed: str
) -> DiscoveryError | StoreError:
    code = str(error.response.get("Error", {}).get("Code", "")).rpartition("#")[2]
    said = " ".join(str(error.response.get("Error", {}).get("Message", "")).split()).rstrip(".")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    attrs = {"queue": queue, "operation": operation, "queue_code": code, "status": status}
    if code in _IDENTITY:
        return CredentialsError(f"{deed}: {said or code} ({code})", **attrs)
    if code in _MISSING:
        return EventQueueError(
            f"{deed}: there is no such queue",
            hint="check its name, account and region: aws sqs list-queues",
            **attrs,
        )
    if code in _DENIED:
        action = _ACTIONS.get(operation, f"sqs:{operation}")
        return EventQueueError(
            f"{deed}: access denied",
            hint=f"grant {action} on it to this identity (a reader needs sqs:ReceiveMessage, "
            "sqs:DeleteMessage and sqs:GetQueueAttributes, and kms:Decrypt if it is encrypted)",
            permission=action,
            **attrs,
        )
    busy = code in THROTTLED or status in (429, 500, 502, 503, 504)
    return EventQueueError(f"{deed}: {said or code} ({code})", retryable=busy, **attrs)
