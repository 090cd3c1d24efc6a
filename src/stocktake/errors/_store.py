"""The object store said no, or said nothing."""

from __future__ import annotations

from stocktake.errors._root import StocktakeError


class StoreError(StocktakeError):
    """The object store said no, or said nothing. Attributes: operation, bucket, key, status."""

    code = "store"


class ObjectNotFoundError(StoreError):
    """No such key (or version)."""

    code = "object-not-found"


class BucketNotFoundError(StoreError):
    """No such bucket."""

    code = "bucket-not-found"
    default_hint = "check the spelling of the bucket, and --endpoint-url if it is not on AWS"


class AccessDeniedError(StoreError):
    """A permission is missing; `permission` names it."""

    code = "access-denied"


class KmsAccessDeniedError(AccessDeniedError):
    """S3 allows the request, the KMS key does not."""

    code = "kms-access-denied"
    default_hint = "grant kms:Decrypt on the key to this role, and allow the role in the key policy"


class CredentialsError(StoreError):
    """No credentials, or expired or wrong ones."""

    code = "credentials"
    default_hint = (
        "set AWS_PROFILE or AWS_ACCESS_KEY_ID / AWS_SECRET_ACCESS_KEY, pass --profile, "
        "or use --anonymous for a public bucket"
    )


class WrongRegionError(StoreError):
    """The bucket is in another region and could not be followed there."""

    code = "wrong-region"


class ArchivedObjectError(StoreError):
    """The object is in GLACIER or DEEP_ARCHIVE and must be restored before it can be read."""

    code = "archived-object"
    default_hint = "restore it first (aws s3api restore-object), or pick a newer report"


class PreconditionFailedError(StoreError):
    """If-Match or If-None-Match did not hold: somebody else changed the object."""

    code = "precondition-failed"


class ThrottledError(StoreError):
    """The store asked to slow down, and still did after all retries."""

    code = "throttled"
    default_retryable = True


class StoreUnavailableError(StoreError):
    """5xx, time-out, reset or name lookup failure, after all retries."""

    code = "store-unavailable"
    default_retryable = True
    default_hint = "check --endpoint-url and the network; finished work is kept, run it again"


class DigestRefusedError(StoreError):
    """What arrived does not have the checksum that was sent with it: damaged, or wrongly summed."""

    code = "digest-refused"
    default_hint = "it happens again? a proxy that changes bodies, or memory that is broken"


class UnsupportedOperationError(StoreError):
    """This store cannot do that: it has no such operation, or no such condition."""

    code = "unsupported-operation"


class UnexpectedAnswerError(StoreError):
    """The answer is not what this request gives on S3."""

    code = "unexpected-answer"


class UnorderedListingError(UnexpectedAnswerError):
    """The store does not list in UTF-8 byte order of keys."""

    code = "unordered-listing"
    default_hint = "list it folder by folder: a tree listing needs no order"
