"""What a store's refusals and failures mean: one table, one error with a hint for each.

Sources: the S3 API reference (error responses), the answers of the servers in `tests/contract/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stocktake.errors import (
    AccessDeniedError,
    ArchivedObjectError,
    BucketNotFoundError,
    CredentialsError,
    DigestRefusedError,
    KmsAccessDeniedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
    ThrottledError,
    UnexpectedAnswerError,
    UnsupportedOperationError,
    WrongRegionError,
)
from stocktake.model import display_key


@dataclass(frozen=True, slots=True)
class Call:
    """One request, for messages: the S3 operation and what it is about."""

    operation: str
    bucket: str = ""
    key: str | None = None
    version_id: str | None = None
    anonymous: bool = False
    requester_pays: bool = False

    @property
    def place(self) -> str:
        """The address as people write it."""
        if not self.bucket:
            return "the store"
        if self.key is None:
            return f"bucket {self.bucket}"
        return f"s3://{self.bucket}/{display_key(self.key)}"

    @property
    def deed(self) -> str:
        """`read s3://bucket/key`, to stand after "cannot"."""
        return f"{_DEEDS.get(self.operation, self.operation + ' on')} {self.place}"

    @property
    def attrs(self) -> dict[str, Any]:
        """What every error of this request carries."""
        return {"operation": self.operation, "bucket": self.bucket, "key": self.key}


_DEEDS = {
    "GetObject": "read",
    "HeadObject": "look at",
    "ListObjectsV2": "list",
    "ListObjectVersions": "list the versions of",
    "PutObject": "write",
    "DeleteObject": "delete",
    "DeleteObjects": "delete objects of",
    "CreateMultipartUpload": "begin an upload to",
    "UploadPart": "upload a part of",
    "CompleteMultipartUpload": "complete the upload to",
    "AbortMultipartUpload": "abort the upload to",
    "CreateBucket": "create",
    "HeadBucket": "look at",
    "GetCallerIdentity": "ask who signs our requests to",
    "DescribeKey": "look at a KMS key of",
    "GetKeyPolicy": "read the policy of a KMS key of",
}

_PERMISSIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "DeleteObjects": "s3:DeleteObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListParts": "s3:ListMultipartUploadParts",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListBuckets": "s3:ListAllMyBuckets",
    "GetBucketInventoryConfiguration": "s3:GetInventoryConfiguration",
    "ListBucketInventoryConfigurations": "s3:GetInventoryConfiguration",
    "PutBucketInventoryConfiguration": "s3:PutInventoryConfiguration",
    "DeleteBucketInventoryConfiguration": "s3:PutInventoryConfiguration",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
}
"""IAM action by operation, where its name is not simply `s3:` + the operation."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    error: type[StoreError]
    cause: str
    retryable: bool = False
    hint: str | None = None


_DENIED = _Meaning(AccessDeniedError, "access denied")
_NO_KEY = _Meaning(ObjectNotFoundError, "there is no such object")
_NO_BUCKET = _Meaning(BucketNotFoundError, "there is no such bucket")
_NO_SETTING = _Meaning(ObjectNotFoundError, "there is none")
_NONE_OF_IT = (
    "NoSuch",
    "ServerSideEncryptionConfigurationNotFound",
    "ReplicationConfiguration",
    "ObjectLockConfigurationNotFound",
    "OwnershipControlsNotFound",
)
_CONDITION = _Meaning(PreconditionFailedError, "the object is not in the state that was asked for")
_SLOW = _Meaning(ThrottledError, "the store asks to slow down", retryable=True)
_DOWN = _Meaning(StoreUnavailableError, "the store has an internal error", retryable=True)
_SENT_BROKEN = _Meaning(StoreUnavailableError, "the request arrived cut or damaged", retryable=True)
_DAMAGED = _Meaning(
    DigestRefusedError, "it arrived with another checksum than it was sent with", retryable=True
)
_EXPIRED = _Meaning(
    CredentialsError,
    "the credentials have expired",
    hint="log in again (aws sso login, or whatever gave you the temporary credentials)",
)
_WRONG_KEY = _Meaning(CredentialsError, "the store does not know these credentials")
_SKEW = _Meaning(
    CredentialsError,
    "this machine's clock is wrong by more than the store allows",
    hint="set the clock (timedatectl set-ntp true), then run it again",
)
_REGION = _Meaning(
    WrongRegionError, "it is in another region", hint="pass --region with the bucket's region"
)
_UNSUPPORTED = _Meaning(UnsupportedOperationError, "this store does not support it")

_BY_CODE: Mapping[str, _Meaning] = {
    "NoSuchKey": _NO_KEY,
    "NoSuchVersion": _Meaning(ObjectNotFoundError, "there is no such version"),
    "NoSuchUpload": _Meaning(ObjectNotFoundError, "there is no such upload (any more)"),
    "NoSuchConfiguration": _Meaning(ObjectNotFoundError, "there is no such configuration"),
    "NoSuchBucket": _NO_BUCKET,
    "InvalidBucketName": _Meaning(BucketNotFoundError, "that is not a possible bucket name"),
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "Forbidden": _DENIED,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "InvalidAccessKeyId": _WRONG_KEY,
    "InvalidClientTokenId": _WRONG_KEY,
    "InvalidToken": _WRONG_KEY,
    "UnrecognizedClientException": _WRONG_KEY,
    "SignatureDoesNotMatch": _Meaning(
        CredentialsError, "the signature is wrong: the secret does not belong to the access key"
    ),
    "RequestTimeTooSkewed": _SKEW,
    "InvalidObjectState": _Meaning(ArchivedObjectError, "it is archived and must be restored"),
    "PreconditionFailed": _CONDITION,
    "ConditionalRequestConflict": _Meaning(
        PreconditionFailedError, "another write to it is under way", retryable=True
    ),
    "OperationAborted": _Meaning(
        StoreUnavailableError, "another change of it is under way", retryable=True
    ),
    "SlowDown": _SLOW,
    "Throttling": _SLOW,
    "ThrottlingException": _SLOW,
    "RequestLimitExceeded": _SLOW,
    "TooManyRequests": _SLOW,
    "InternalError": _DOWN,
    "ServiceUnavailable": _DOWN,
    "RequestTimeout": _SENT_BROKEN,
    "IncompleteBody": _SENT_BROKEN,
    "BadDigest": _DAMAGED,
    "XAmzContentSHA256Mismatch": _DAMAGED,
    "XAmzContentChecksumMismatch": _DAMAGED,
    "InvalidDigest": _Meaning(DigestRefusedError, "that is no checksum"),
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "NotImplemented": _UNSUPPORTED,
    "MethodNotAllowed": _UNSUPPORTED,
    "KeyTooLongError": _Meaning(StoreError, "the key is longer than 1,024 bytes"),
    "EntityTooSmall": _Meaning(StoreError, "a part other than the last is below 5 MiB"),
    "InvalidRange": _Meaning(StoreError, "the byte range lies outside the object"),
}

_BY_STATUS: Mapping[int, _Meaning] = {
    301: _REGION,
    307: _REGION,
    401: _WRONG_KEY,
    403: _DENIED,
    404: _NO_KEY,
    405: _UNSUPPORTED,
    408: _SENT_BROKEN,
    412: _CONDITION,
    416: _BY_CODE["InvalidRange"],
    429: _SLOW,
    500: _DOWN,
    501: _UNSUPPORTED,
    502: _DOWN,
    503: _SLOW,
    504: _DOWN,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer of a store, taken apart."""

    status: int
    code: str
    message: str
    retry_after_s: float = 0.0
    region: str | None = None


def refusal_error(refusal: Refusal, call: Call) -> StoreError:
    """The error that an error answer stands for, with its hint; `retryable` says if to try again.

    The code decides, the status stands in for a code that is not known (HEAD answers have none).
    """
    meaning = _BY_CODE.get(refusal.code) or _BY_STATUS.get(refusal.status)
    if meaning is None:
        meaning = _DOWN if refusal.status >= 500 else _Meaning(StoreError, "the store refuses")
    if meaning is _NO_KEY and call.key is None:
        meaning = _NO_SETTING if refusal.code.startswith(_NONE_OF_IT) else _NO_BUCKET
    attrs = call.attrs | {"status": refusal.status, "store_code": refusal.code}
    if refusal.retry_after_s:
        attrs["retry_after_s"] = refusal.retry_after_s
    if meaning.error is AccessDeniedError:
        return _denied(refusal, call, attrs)
    if meaning.error is WrongRegionError and refusal.region:
        attrs["region"] = refusal.region
    said = f" ({refusal.code}: {refusal.message})" if refusal.message else f" ({refusal.code})"
    return meaning.error(
        f"cannot {call.deed}: {meaning.cause}{said.replace(chr(10), ' ').rstrip('.')}",
        hint=meaning.hint,
        retryable=meaning.retryable,
        **attrs,
    )


def _denied(refusal: Refusal, call: Call, attrs: dict[str, Any]) -> StoreError:
    if "kms" in refusal.message.lower() or refusal.code.startswith("KMS"):
        writes = call.operation in {"PutObject", "CreateMultipartUpload"}
        permission = "kms:GenerateDataKey" if writes else "kms:Decrypt"
        return KmsAccessDeniedError(
            f"cannot {call.deed}: the KMS key that encrypts it may not be used",
            hint=f"grant {permission} on the key to this identity, "
            "and allow the identity in the key policy",
            permission=permission,
            **attrs,
        )
    permission = _PERMISSIONS.get(call.operation, f"s3:{call.operation}")
    if call.version_id is not None and permission == "s3:GetObject":
        permission = "s3:GetObjectVersion"
    return AccessDeniedError(
        f"cannot {call.deed}: access denied",
        hint=_denied_hint(call, permission),
        permission=permission,
        **attrs,
    )


def _denied_hint(call: Call, permission: str) -> str:
    if call.anonymous:
        return "it is not public: drop --anonymous and use credentials"
    resource = f"arn:aws:s3:::{call.bucket}" + ("" if call.key is None else "/*")
    hint = f"grant {permission} on {resource}"
    if permission == "s3:GetObject":
        hint += (
            f" (and s3:ListBucket on arn:aws:s3:::{call.bucket}: without it S3 also says "
            "access denied for keys that do not exist)"
        )
    if not call.requester_pays:
        hint += "; if the bucket's readers pay, pass --requester-pays"
    return hint


def silence_error(cause: str, call: Call, *, hint: str | None = None) -> StoreError:
    """No answer came, or it stopped in the middle: worth another try."""
    return StoreUnavailableError(f"cannot {call.deed}: {cause}", hint=hint, **call.attrs)


def odd_answer_error(cause: str, call: Call, *, retryable: bool = True) -> StoreError:
    """A success that does not hold what this request gives: never taken for a result."""
    return UnexpectedAnswerError(
        f"cannot {call.deed}: the answer is not one of S3 ({cause})",
        hint="check --endpoint-url: it must be the S3 API, not a console or a proxy's page",
        retryable=retryable,
        **call.attrs,
    )
