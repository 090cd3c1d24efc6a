"""`setup create`: what would be written, then writing it, then reading it back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as changed
from typing import Any

from stocktake.clock import Clock, SystemClock
from stocktake.errors import (
    ConfigurationExistsError,
    InvalidSettingError,
    ObjectNotFoundError,
    PolicyChangedError,
    SetupError,
    StoreError,
    UnsupportedOperationError,
)
from stocktake.setup._check_destination import check_destination
from stocktake.setup._check_encryption import check_encryption, encryption_of
from stocktake.setup._check_policy import Delivery, check_policy
from stocktake.setup._checks import Check, CheckState
from stocktake.setup._configuration import (
    Configuration,
    check_fields,
    check_id,
    put_configuration,
    read_document,
)
from stocktake.setup._facts import (
    Asked,
    BucketFacts,
    CallerFacts,
    ask,
    ask_caller,
    ask_destination,
    ask_key,
    ask_region,
)
from stocktake.setup._grant import Grant
from stocktake.setup._policy import Policy, parse_policy
from stocktake.setup._policy_decision import Outcome
from stocktake.setup._policy_merge import Merged, check_size, merge_statement, same_policy
from stocktake.store import Account, Store

_READ_BACK_TRIES = 5
_READ_BACK_WAIT_S = 0.5
_DELETED = re.compile(r'"(A(?:IDA|ROA|KIA|NPA|SIA|GPA)[A-Z0-9]{12,})"')
"""What S3 shows in place of a user or role that is no more, and does not take back."""
_BLOCKING = frozenset({"destination", "encryption"})


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """What to make.

    Attributes:
        wanted: The configuration. Slashes at the ends of its prefix are taken off.
        account: That owns the source; None: the one we sign for, if it does.
        policy: False leaves the destination's policy alone.
        replace: Also over a configuration of this id that says something else.
    """

    wanted: Configuration
    account: str | None = None
    policy: bool = True
    replace: bool = False


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """What would be written.

    Attributes:
        wanted: The configuration.
        existing: The one of this id that is there; None: none is.
        grant: What S3 has to be allowed.
        policy_before: The destination's policy as it was read; None: there is none.
        merged: The policy with our statement; None: it is left alone.
        notes: What was made of the request, and what else has to be done, as sentences.
        checks: What was looked at.
    """

    wanted: Configuration
    existing: Configuration | None
    grant: Grant
    policy_before: Policy | None
    merged: Merged | None
    notes: tuple[str, ...] = ()
    checks: tuple[Check, ...] = field(default_factory=tuple)

    @property
    def differences(self) -> list[str]:
        """What the existing configuration says differently."""
        return self.existing.differences(self.wanted) if self.existing else []

    @property
    def writes_configuration(self) -> bool:
        """False if it is there already, as wanted."""
        return self.existing is None or bool(self.differences)

    @property
    def writes_policy(self) -> bool:
        """False if the policy is left as it is."""
        return self.merged is not None and self.merged.changed

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form; the documents are those that the S3 API takes."""
        return {
            "bucket": self.wanted.bucket,
            "configuration": self.wanted.to_document(),
            "configuration_exists": self.existing is not None,
            "differences": self.differences,
            "writes_configuration": self.writes_configuration,
            "destination_bucket": self.wanted.destination_bucket,
            "policy": None if self.merged is None else self.merged.document,
            "writes_policy": self.writes_policy,
            "statement": self.grant.sid if self.merged is not None else None,
            "notes": list(self.notes),
            "checks": [one.to_dict() for one in self.checks],
        }


def plan_setup(store: Store, account: Account, request: CreateRequest) -> SetupPlan:
    """What `apply_setup` would write. Looks at both buckets; changes nothing.

    Raises:
        InvalidSettingError: An id, field or key that S3 does not take, or the owner of the source
            is not known and not said.
        SetupError: Reports could not arrive there (no such bucket, another region, Amazon's own
            KMS key, a Deny), or the policy would be too large.
        PolicyFormatError: The destination's policy cannot be read, so nothing is put into it.
        UnsupportedOperationError: The store has no inventories.
        StoreError: What has to be known is not shown.
    """
    wanted, notes = _tidied(request.wanted)
    head = store.describe("HeadBucket", wanted.bucket)
    who = ask_caller(account)
    # ARNs of China and GovCloud begin differently
    arn = f"arn:{who.partition}:s3:::{wanted.destination_bucket}"
    wanted = changed(wanted, destination_arn=arn)
    existing = _existing(store, wanted)
    facts = ask_destination(store, wanted.destination_bucket, who.caller)
    owner = _owner(store, wanted.bucket, who, request)
    grant = Grant.of(wanted, owner, who.partition)
    region = ask_region(store, wanted.bucket, Asked(head))
    checks = list(check_destination(wanted, facts, region, _account(who)))
    _refuse(checks)
    checks += _encryption_checks(account, wanted, facts, grant, region)
    _refuse(checks)
    merged = _merged(facts, grant, wanted) if request.policy else None
    notes += [one.fix.text for one in checks if one.id == "kms" and one.fix]
    return SetupPlan(
        wanted=wanted,
        existing=existing,
        grant=grant,
        policy_before=facts.policy,
        merged=merged,
        notes=tuple(notes),
        checks=tuple(checks),
    )


def apply_setup(
    store: Store,
    plan: SetupPlan,
    *,
    replace: bool = False,
    clock: Clock = SystemClock(),
) -> None:
    """Write what was planned: the policy first, as S3 cannot deliver without it.

    The policy is read again right before it is written, right after, and once more at the end: S3
    has no condition for policies, so a change in the instant between can be seen, and is said, but
    cannot be prevented.

    Raises:
        ConfigurationExistsError: There is one of this id that differs, and `replace` is not given.
        PolicyChangedError: The policy is not the one that was planned with.
        SetupError: What is there afterwards is not what was written.
        AccessDeniedError: s3:PutBucketPolicy or s3:PutInventoryConfiguration is missing.
    """
    if plan.existing is not None and plan.differences and not replace:
        raise _exists(plan)
    if plan.merged is not None and plan.merged.changed:
        _write_policy(store, plan, plan.merged, clock)
    if plan.writes_configuration:
        put_configuration(store, plan.wanted)
    if plan.merged is not None and plan.writes_policy:
        _confirm(store, plan)


def _account(who: CallerFacts) -> str | None:
    return who.caller.account if who.caller else None


def _tidied(wanted: Configuration) -> tuple[Configuration, list[str]]:
    check_id(wanted.id)
    notes = []
    prefix = wanted.prefix.strip("/")
    if prefix != wanted.prefix:
        notes.append(
            f"the destination prefix is `{prefix}`, without the slash of `{wanted.prefix}`: "
            "S3 adds one of its own, two make an empty folder name"
        )
    if "//" in prefix:
        raise InvalidSettingError(f"the destination prefix `{prefix}` has an empty folder name")
    if wanted.filter_prefix.startswith("/"):
        notes.append(f"only keys that begin with a slash are listed (`{wanted.filter_prefix}`)")
    return changed(wanted, prefix=prefix, fields=check_fields(wanted.fields)), notes


def _existing(store: Store, wanted: Configuration) -> Configuration | None:
    try:
        answer = store.describe("GetBucketInventoryConfiguration", wanted.bucket, Id=wanted.id)
    except ObjectNotFoundError:
        return None
    except UnsupportedOperationError as error:
        raise UnsupportedOperationError(
            error.message,
            hint="this store has no inventories; stocktake inventory write makes reports in the "
            "same layout from a listing",
            **error.attrs,
        ) from error
    return read_document(wanted.bucket, answer.get("InventoryConfiguration") or {})


def _owner(store: Store, bucket: str, who: CallerFacts, request: CreateRequest) -> str | None:
    """The account that owns the source: said, or ours if it is ours."""
    if request.account is not None:
        if not (request.account.isdecimal() and len(request.account) == 12):
            raise InvalidSettingError(f"`{request.account}` is not an account: twelve digits")
        return request.account
    if not request.policy:
        return _account(who)
    if who.caller is not None:
        asked = ask(store, "HeadBucket", bucket, ExpectedBucketOwner=who.caller.account)
        if asked.is_known:
            return who.caller.account
    raise InvalidSettingError(
        f"which account owns bucket {bucket} cannot be seen from here",
        hint="say it with --account-id: the policy has to name it, or anybody could deliver there",
    )


def _encryption_checks(
    account: Account,
    wanted: Configuration,
    facts: BucketFacts,
    grant: Grant,
    region: str | None,
) -> list[Check]:
    found = encryption_of(wanted, facts)
    key = ask_key(account, found.key, facts.region or region) if found.key else None
    return list(check_encryption(wanted, facts, found, key, grant))


def _refuse(checks: list[Check]) -> None:
    for one in checks:
        if one.id in _BLOCKING and one.state is CheckState.FAILED:
            raise SetupError(one.why, hint=_hint(one), check=one.id)


def _hint(one: Check) -> str | None:
    """The fix as one line; long commands stay in `setup check`."""
    if one.fix is None:
        return None
    command = one.fix.command
    return f"{one.fix.text}: {command}" if command and not one.fix.document else one.fix.text


def _merged(facts: BucketFacts, grant: Grant, wanted: Configuration) -> Merged:
    if facts.policy_error is not None:
        raise facts.policy_error
    if facts.policy_asked.error is not None:
        raise facts.policy_asked.error
    merged = merge_statement(facts.policy, grant.statement())
    check_size(merged, facts.name)
    _refuse_denied(facts, grant, wanted, merged)
    return merged


def _refuse_denied(facts: BucketFacts, grant: Grant, wanted: Configuration, merged: Merged) -> None:
    """A statement of ours does not help against a Deny: say so before anything is written."""
    policy = parse_policy(merged.text)
    delivery = Delivery(wanted, grant, encryption_of(wanted, facts).asked_for)
    if delivery.decision(policy).outcome is not Outcome.DENIED:
        return
    denied = next(check_policy(delivery, facts))
    raise SetupError(
        f"the policy of bucket {facts.name} denies what S3 has to do: {denied.why}",
        hint=_hint(denied),
    )


def _exists(plan: SetupPlan) -> ConfigurationExistsError:
    return ConfigurationExistsError(
        f"bucket {plan.wanted.bucket} has an inventory configuration `{plan.wanted.id}`: "
        + "; ".join(plan.differences),
        hint="pass --replace to write over it, or --id with another name",
        bucket=plan.wanted.bucket,
    )


def _write_policy(store: Store, plan: SetupPlan, merged: Merged, clock: Clock) -> None:
    bucket = plan.wanted.destination_bucket
    before = plan.policy_before.document if plan.policy_before else None
    if not same_policy(_policy_now(store, bucket), before):
        raise PolicyChangedError(
            f"the policy of bucket {bucket} was changed since it was read; nothing was written",
            hint="run it again",
            bucket=bucket,
        )
    _put_policy(store, bucket, merged)
    for attempt in range(_READ_BACK_TRIES):
        if attempt:
            clock.sleep(_READ_BACK_WAIT_S)
        if same_policy(_policy_now(store, bucket), merged.document):
            return
    raise _overwritten(bucket)


def _confirm(store: Store, plan: SetupPlan) -> None:
    """Look once more, when some time has gone by: somebody's older copy may have been written."""
    bucket = plan.wanted.destination_bucket
    now = _policy_now(store, bucket) or {"Statement": []}
    found = now["Statement"] if isinstance(now["Statement"], list) else [now["Statement"]]
    ours = [one for one in found if one.get("Sid") == plan.grant.sid]
    if not ours or not same_policy({"Statement": ours}, {"Statement": [plan.grant.statement()]}):
        raise _overwritten(bucket)


def _overwritten(bucket: str) -> PolicyChangedError:
    return PolicyChangedError(
        f"the policy of bucket {bucket} is not the one that was written: somebody changed it at "
        "the same time",
        hint="look at it (aws s3api get-bucket-policy), then run it again: our statement is added "
        "to what is there",
        bucket=bucket,
    )


def _put_policy(store: Store, bucket: str, merged: Merged) -> None:
    try:
        store.describe("PutBucketPolicy", bucket, Policy=merged.text)
    except StoreError as error:
        if error.attrs.get("store_code") != "MalformedPolicy":
            raise
        gone = sorted(set(_DELETED.findall(merged.text)))
        hint = (
            f"it names what was deleted ({', '.join(gone)}): take that out first" if gone else None
        )
        raise SetupError(error.message, hint=hint, bucket=bucket) from error


def _policy_now(store: Store, bucket: str) -> Mapping[str, Any] | None:
    try:
        answer = store.describe("GetBucketPolicy", bucket)
    except ObjectNotFoundError:
        return None
    where = f"the policy of bucket {bucket}"
    return parse_policy(str(answer.get("Policy", "")), where=where).document
