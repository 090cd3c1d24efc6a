"""Who we are and what a KMS key is: what setting up asks beside S3. Needs no bucket."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Protocol

from stocktake.clock import Clock, SystemClock
from stocktake.store._options import S3StoreOptions
from stocktake.telemetry import Meter

_ATTEMPTS_MAX = 2


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a store's requests are signed by.

    Attributes:
        account: The twelve digits of the AWS account.
        arn: Of the user or of the assumed role.
    """

    account: str
    arn: str

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn` or `aws-us-gov`: the second word of every ARN there."""
        words = self.arn.split(":")
        return words[1] if len(words) > 1 and words[1] else "aws"


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """One KMS key.

    Attributes:
        arn: Of the key itself, never of an alias.
        is_aws_managed: True for `aws/s3` and its like, whose policy nobody can change.
        state: `Enabled`, or why it cannot be used (`Disabled`, `PendingDeletion`, ...).
    """

    arn: str
    is_aws_managed: bool
    state: str


class Account(Protocol):
    """The account behind a store. Every method makes one request, and raises `StoreError`s."""

    def caller(self) -> Caller:
        """Who we are (STS GetCallerIdentity, which needs no permission)."""

    def key(self, key_id: str, region: str | None = None) -> KeyFacts:
        """A KMS key by id, ARN or alias. Needs kms:DescribeKey.

        Raises:
            ObjectNotFoundError: There is no such key in that region.
        """

    def key_policy(self, key: KeyFacts) -> str:
        """The key's policy, as JSON. Needs kms:GetKeyPolicy."""

    def close(self) -> None:
        """Give back connections."""


def open_account(
    options: S3StoreOptions, *, meter: Meter | None = None, clock: Clock | None = None
) -> Account:
    """The account that these store options sign for. Makes no request.

    An endpoint that is not Amazon's is asked for STS and KMS too: emulators have all in one place,
    and the keys of another store are of no use to Amazon.

    Raises:
        CredentialsError: The profile does not exist, or there is nothing to assume the role with.
    """
    # as in `open_store`: the clients take long to import
    from stocktake.store._account_aws import AwsAccount
    from stocktake.store._retry import Retrier

    meter = meter or Meter()
    # what they say is welcome, not needed: where STS is out of reach nobody should wait for long
    policy = replace(options.retry, attempts_max=min(options.retry.attempts_max, _ATTEMPTS_MAX))
    retrier = Retrier(policy, clock or SystemClock(), random.random, meter)
    return AwsAccount(options, retrier, meter)
