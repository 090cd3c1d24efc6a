"""What the store says about the buckets of an inventory, with what it would not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stocktake.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    ObjectNotFoundError,
    StocktakeError,
    StoreError,
    StoreUnavailableError,
)
from stocktake.setup._policy import Policy, parse_policy
from stocktake.store import Account, Caller, KeyFacts, Store


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer to one question.

    Attributes:
        value: What was said; None: there is no such setting, or it is not known.
        error: Why it is not known; None if it is.
    """

    value: Mapping[str, Any] | None = None
    error: StoreError | None = None

    @property
    def is_known(self) -> bool:
        """False if the store would not say."""
        return self.error is None

    def why_unknown(self) -> str:
        """The reason in a few words, for `why`."""
        return "" if self.error is None else self.error.message


def ask(store: Store, operation: str, bucket: str, **parameters: Any) -> Asked:
    """Ask for one setting of a bucket; refusals are answers.

    Raises:
        CredentialsError: Nothing can be asked at all.
        StoreUnavailableError: The store does not answer.
    """
    try:
        return Asked(store.describe(operation, bucket, **parameters))
    except ObjectNotFoundError:
        return Asked()
    except (CredentialsError, StoreUnavailableError):
        raise
    except StoreError as error:
        return Asked(error=error)


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """One bucket that gets reports, as far as it lets us look.

    Attributes:
        name: Of the bucket.
        head: HeadBucket; not known if it is not there or not ours to see.
        region: Where it is; None if not known.
        is_ours: Whether the account that we sign for owns it; None if not known.
        policy: Parsed; None if there is none, or it is not known or cannot be read.
        policy_asked: How that came.
        policy_error: Why the policy cannot be read.
        settings: Answers by operation.
    """

    name: str
    head: Asked
    region: str | None
    is_ours: bool | None
    policy: Policy | None
    policy_asked: Asked
    policy_error: StocktakeError | None = None
    settings: Mapping[str, Asked] = field(default_factory=dict)

    @property
    def exists(self) -> bool | None:
        """None if it is there or not, we may not see it."""
        if self.head.is_known:
            return True
        return False if isinstance(self.head.error, BucketNotFoundError) else None


@dataclass(frozen=True, slots=True)
class CallerFacts:
    """Who we are; `error` says why that is not known."""

    caller: Caller | None
    error: StoreError | None = None

    @property
    def partition(self) -> str:
        """The second word of ARNs."""
        return self.caller.partition if self.caller else "aws"


@dataclass(frozen=True, slots=True)
class KeyPolicyFacts:
    """A KMS key and its policy; `error` says what could not be learned."""

    key: KeyFacts | None = None
    policy: Policy | None = None
    error: StocktakeError | None = None


DESTINATION_SETTINGS = (
    "GetBucketOwnershipControls",
    "GetBucketEncryption",
    "GetObjectLockConfiguration",
    "GetBucketLifecycleConfiguration",
    "GetBucketRequestPayment",
)


def ask_caller(account: Account) -> CallerFacts:
    """Who we are; what STS will not say is no failure."""
    try:
        return CallerFacts(account.caller())
    except StoreError as error:
        return CallerFacts(None, error)


def ask_region(store: Store, bucket: str, head: Asked) -> str | None:
    """Where a bucket is: HeadBucket says it on AWS, GetBucketLocation elsewhere."""
    if head.value and head.value.get("BucketRegion"):
        return str(head.value["BucketRegion"])
    if not head.is_known:
        return None
    location = ask(store, "GetBucketLocation", bucket)
    if not location.is_known:
        return None
    found = (location.value or {}).get("LocationConstraint") or "us-east-1"
    return "eu-west-1" if found == "EU" else str(found)


def ask_destination(store: Store, bucket: str, caller: Caller | None) -> BucketFacts:
    """All that decides whether reports arrive in a bucket: up to nine requests."""
    head = ask(store, "HeadBucket", bucket)
    if not head.is_known:
        unasked = Asked(error=head.error)
        settings = dict.fromkeys(DESTINATION_SETTINGS, unasked)
        return BucketFacts(bucket, head, None, None, None, unasked, settings=settings)
    policy_asked = ask(store, "GetBucketPolicy", bucket)
    policy, policy_error = _parsed(policy_asked, bucket)
    return BucketFacts(
        name=bucket,
        head=head,
        region=ask_region(store, bucket, head),
        is_ours=_is_ours(store, bucket, caller),
        policy=policy,
        policy_asked=policy_asked,
        policy_error=policy_error,
        settings={one: ask(store, one, bucket) for one in DESTINATION_SETTINGS},
    )


def _parsed(asked: Asked, bucket: str) -> tuple[Policy | None, StocktakeError | None]:
    if not asked.value or not asked.value.get("Policy"):
        return None, None
    try:
        return parse_policy(
            str(asked.value["Policy"]), where=f"the policy of bucket {bucket}"
        ), None
    except StocktakeError as error:
        return None, error


def _is_ours(store: Store, bucket: str, caller: Caller | None) -> bool | None:
    if caller is None:
        return None
    asked = ask(store, "HeadBucket", bucket, ExpectedBucketOwner=caller.account)
    if asked.is_known:
        return True
    return False if isinstance(asked.error, AccessDeniedError) else None


def ask_key(account: Account, key_id: str, region: str | None) -> KeyPolicyFacts:
    """A KMS key and its policy: two requests."""
    try:
        key = account.key(key_id, region)
    except StoreError as error:
        return KeyPolicyFacts(error=error)
    if key.is_aws_managed:
        return KeyPolicyFacts(key)
    try:
        policy = parse_policy(account.key_policy(key), where=f"the policy of KMS key {key.arn}")
    except StocktakeError as error:
        return KeyPolicyFacts(key, error=error)
    return KeyPolicyFacts(key, policy)
