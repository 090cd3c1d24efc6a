"""`setup check`: every step of an inventory, in the order in which they can go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stocktake.clock import Clock, SystemClock
from stocktake.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    SetupError,
    StoreError,
    StoreUnavailableError,
    UnsupportedOperationError,
)
from stocktake.setup._check_configuration import check_configuration
from stocktake.setup._check_delivery import check_deliveries
from stocktake.setup._check_destination import check_bucket_settings, check_destination
from stocktake.setup._check_encryption import Encryption, check_encryption, encryption_of
from stocktake.setup._check_policy import Delivery, check_policy
from stocktake.setup._checks import Check, CheckState, Fix, exit_code, not_seen
from stocktake.setup._configuration import Configuration, list_configurations
from stocktake.setup._facts import (
    Asked,
    BucketFacts,
    CallerFacts,
    KeyPolicyFacts,
    ask,
    ask_caller,
    ask_destination,
    ask_key,
    ask_region,
)
from stocktake.setup._grant import Grant
from stocktake.store import Account, Store

_DIRECTORY_BUCKET = "--x-s3"


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """What to check.

    Attributes:
        bucket: The bucket that is, or should be, inventoried.
        prefix: What the reports have to cover.
        configuration: Only the inventory configuration of this id; None: all of them.
        frequency: `Daily` or `Weekly`, if it has to be that.
    """

    bucket: str
    prefix: str = ""
    configuration: str | None = None
    frequency: str | None = None


@dataclass(frozen=True, slots=True)
class SetupReport:
    """What was found, in order.

    Attributes:
        bucket: The bucket.
        region: Where it is; None if not known.
        account: The account that we sign for; None if not known.
        configurations: Those that were looked at.
        checks: The steps.
    """

    bucket: str
    region: str | None
    account: str | None
    configurations: tuple[Configuration, ...]
    checks: tuple[Check, ...] = field(default_factory=tuple)

    @property
    def exit_code(self) -> int:
        """0: all is well; 4: something to mend; 3: not all of it could be looked at."""
        return exit_code(list(self.checks))

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {
            "bucket": self.bucket,
            "region": self.region,
            "account": self.account,
            "configurations": [one.to_dict() for one in self.configurations],
            "checks": [one.to_dict() for one in self.checks],
        }


def check_setup(
    store: Store, account: Account, request: CheckRequest, *, clock: Clock = SystemClock()
) -> SetupReport:
    """Look at everything that an inventory of a bucket needs. Changes nothing.

    Three requests for the bucket, then per configuration about ten for its destination, two for a
    KMS key, and those of `check_deliveries`. What the store will not show is a check of state
    `unknown`, never an error.

    Raises:
        BucketNotFoundError: There is no such bucket.
        CredentialsError: There are no credentials, or wrong ones.
        StoreUnavailableError: The store does not answer.
        SetupError: `request.configuration` names one that is not there.
    """
    return _Look(store, account, request, clock).report()


class _Look:
    """One check: what is known so far, so that no question is asked twice."""

    def __init__(self, store: Store, account: Account, request: CheckRequest, clock: Clock) -> None:
        self._store = store
        self._account = account
        self._request = request
        self._clock = clock
        self._region: str | None = None
        self._who = CallerFacts(None)
        self._source_is_ours: bool | None = None
        self._destinations: dict[str, BucketFacts] = {}
        self._keys: dict[str, KeyPolicyFacts] = {}

    def report(self) -> SetupReport:
        checks = [self._bucket(), self._identity()]
        found, listed = self._configurations()
        checks.append(listed)
        for one in found:
            checks += self._one(one)
        caller = self._who.caller
        return SetupReport(
            bucket=self._request.bucket,
            region=self._region,
            account=caller.account if caller else None,
            configurations=tuple(found),
            checks=tuple(checks),
        )

    def _bucket(self) -> Check:
        name = self._request.bucket
        head = ask(self._store, "HeadBucket", name)
        if isinstance(head.error, BucketNotFoundError):
            raise head.error
        self._region = ask_region(self._store, name, head)
        if not head.is_known:
            return not_seen("bucket", "Bucket", head.error)
        why = f"{name} is there" + (f", in {self._region}" if self._region else "")
        return Check("bucket", "Bucket", CheckState.OK, why)

    def _identity(self) -> Check:
        self._who = ask_caller(self._account)
        caller = self._who.caller
        if caller is None:
            return not_seen("identity", "Who we are", self._who.error)
        asked = ask(
            self._store,
            "HeadBucket",
            self._request.bucket,
            ExpectedBucketOwner=caller.account,
        )
        self._source_is_ours = _owned(asked)
        why = f"account {caller.account}, {caller.arn}"
        if self._source_is_ours is False:
            why += f"; {self._request.bucket} belongs to another account"
        return Check("identity", "Who we are", CheckState.OK, why)

    def _configurations(self) -> tuple[list[Configuration], Check]:
        bucket, wanted = self._request.bucket, self._request.configuration
        title = "Inventory configurations"
        try:
            found = list(list_configurations(self._store, bucket))
        except (CredentialsError, StoreUnavailableError):
            raise
        except UnsupportedOperationError as error:
            return [], _no_inventories(bucket, title, error)
        except StoreError as error:
            if bucket.endswith(_DIRECTORY_BUCKET) and not isinstance(error, AccessDeniedError):
                return [], _directory_bucket(bucket, title, error)
            return [], not_seen("configurations", title, error)
        if wanted is not None:
            named = [one for one in found if one.id == wanted]
            if not named:
                raise _not_among(bucket, wanted, found)
            found = named
        if not found:
            return [], _none_configured(self._request, title)
        shown = ", ".join(one.id for one in found[:5]) + (", ..." if len(found) > 5 else "")
        why = f"{len(found)}: {shown}"
        return found, Check("configurations", title, CheckState.OK, why)

    def _one(self, one: Configuration) -> Iterator[Check]:
        request, caller = self._request, self._who.caller
        yield from check_configuration(one, request.prefix, request.frequency)
        facts = self._destination(one.destination_bucket)
        account = caller.account if caller else None
        yield from check_destination(one, facts, self._region, account)
        if facts.head.is_known:
            yield from self._writing(one, facts)
            yield from check_bucket_settings(one, facts)
        readers = caller.arn if caller else None
        yield from check_deliveries(self._store, one, self._clock, readers=readers)

    def _writing(self, one: Configuration, facts: BucketFacts) -> Iterator[Check]:
        grant = Grant.of(one, self._source_account, self._who.partition)
        encryption = encryption_of(one, facts)
        yield from check_policy(Delivery(one, grant, encryption.asked_for), facts)
        key = self._key(encryption, facts)
        yield from check_encryption(one, facts, encryption, key, grant)

    @property
    def _source_account(self) -> str | None:
        """The account that owns the source, as far as it can be told."""
        caller = self._who.caller
        return caller.account if caller and self._source_is_ours is not False else None

    def _destination(self, bucket: str) -> BucketFacts:
        if bucket not in self._destinations:
            self._destinations[bucket] = ask_destination(self._store, bucket, self._who.caller)
        return self._destinations[bucket]

    def _key(self, encryption: Encryption, facts: BucketFacts) -> KeyPolicyFacts | None:
        if encryption.kind != "SSE-KMS" or encryption.key is None:
            return None
        if encryption.key not in self._keys:
            region = facts.region or self._region
            self._keys[encryption.key] = ask_key(self._account, encryption.key, region)
        return self._keys[encryption.key]


def _owned(asked: Asked) -> bool | None:
    if asked.is_known:
        return True
    return False if isinstance(asked.error, AccessDeniedError) else None


def _no_inventories(bucket: str, title: str, error: StoreError) -> Check:
    if bucket.endswith(_DIRECTORY_BUCKET):
        return _directory_bucket(bucket, title, error)
    why = f"this store has no inventory reports of its own ({error.message})"
    fix = Fix(
        "let stocktake write reports in the same layout, from a listing",
        f"stocktake inventory write s3://{bucket} --to s3://REPORTS-BUCKET/reports",
    )
    return Check("configurations", title, CheckState.FAILED, why, fix)


def _directory_bucket(bucket: str, title: str, error: StoreError) -> Check:
    why = (
        f"{bucket} is a directory bucket, whose inventory configurations are kept at another "
        f"endpoint (s3express-control): it did not answer from here ({error.message})"
    )
    fix = Fix(
        "look there; s3express:GetInventoryConfiguration is needed, and fewer fields are offered",
        f"aws s3api list-bucket-inventory-configurations --bucket {bucket}",
    )
    return Check("configurations", title, CheckState.UNKNOWN, why, fix)


def _none_configured(request: CheckRequest, title: str) -> Check:
    fix = Fix(
        "make one; the first report then takes up to 48 hours",
        f"stocktake setup create s3://{request.bucket}/{request.prefix} "
        "--to s3://REPORTS-BUCKET/inventory --dry-run",
    )
    why = f"no inventory is configured for bucket {request.bucket}"
    return Check("configurations", title, CheckState.FAILED, why, fix)


def _not_among(bucket: str, wanted: str, found: list[Configuration]) -> SetupError:
    names = ", ".join(sorted(one.id for one in found)[:10])
    return SetupError(
        f"bucket {bucket} has no inventory configuration `{wanted}`",
        hint=f"there is {names}" if names else "there is none: stocktake setup create makes one",
        bucket=bucket,
    )
