"""Checks of the bucket that gets the reports, beside its policy and its encryption."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from stocktake.errors import StoreError, UnsupportedOperationError
from stocktake.setup._checks import Check, CheckState, Fix, not_seen, put_configuration_command
from stocktake.setup._configuration import Configuration
from stocktake.setup._facts import Asked, BucketFacts

_KEPT_DAYS = {"Daily": 3, "Weekly": 10}
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})


def check_destination(
    one: Configuration, facts: BucketFacts, source_region: str | None, account: str | None
) -> Iterator[Check]:
    """Whether the bucket is there, in the same region, and whose it is."""
    title, name = "Destination bucket", facts.name
    if facts.exists is False:
        command = f"aws s3 mb s3://{shlex.quote(name)}"
        command += f" --region {source_region}" if source_region else ""
        fix = Fix("create it in the region of the source, or name another one", command)
        why = f"there is no bucket {name}"
        yield Check("destination", title, CheckState.FAILED, why, fix, one.id)
        return
    if facts.exists is None:
        yield not_seen("destination", title, facts.head.error, one.id)
        return
    if source_region and facts.region and facts.region != source_region:
        why = f"{name} is in {facts.region}, the source in {source_region}: S3 wants one region"
        fix = Fix(f"deliver into a bucket in {source_region}")
        yield Check("destination", title, CheckState.FAILED, why, fix, one.id)
        return
    where = f"{name} is there" + (f", in {facts.region}" if facts.region else "")
    yield _owner_check(one, facts, account, where)


def _owner_check(one: Configuration, facts: BucketFacts, account: str | None, where: str) -> Check:
    title = "Destination bucket"
    if facts.is_ours is None:
        why = f"{where}; whose it is cannot be seen from here"
        return Check("destination", title, CheckState.OK, why, None, one.id)
    if facts.is_ours and one.account_id not in (None, account):
        document = one.corrected(account_id=account)
        fix = Fix(
            f"name account {account}, or none",
            put_configuration_command(one.bucket, document),
            document,
        )
        why = f"{where}; it belongs to account {account}, the configuration says {one.account_id}"
        return Check("destination", title, CheckState.FAILED, why, fix, one.id)
    if facts.is_ours:
        return Check("destination", title, CheckState.OK, f"{where}; it is ours", None, one.id)
    if one.account_id == account:
        why = f"{where}; it belongs to another account than {account}, which the configuration says"
        fix = Fix("name the account that owns it in the configuration (AccountId)")
        return Check("destination", title, CheckState.FAILED, why, fix, one.id)
    whose = f"account {one.account_id}" if one.account_id else "another account"
    note = "" if one.account_id else " (the configuration could name it, so that S3 checks it)"
    why = f"{where}; it belongs to {whose}{note}"
    return Check("destination", title, CheckState.OK, why, None, one.id)


def check_bucket_settings(one: Configuration, facts: BucketFacts) -> Iterator[Check]:
    """Ownership, Object Lock, lifecycle and payer of the destination."""
    asked = facts.settings
    yield _ownership(one, facts, asked["GetBucketOwnershipControls"])
    yield _object_lock(one, facts, asked["GetObjectLockConfiguration"])
    yield _lifecycle(one, asked["GetBucketLifecycleConfiguration"])
    yield _payer(one, facts, asked["GetBucketRequestPayment"])


def _not_shown(check_id: str, title: str, error: StoreError | None, configuration: str) -> Check:
    """A setting that a store does not have stands in nobody's way."""
    if isinstance(error, UnsupportedOperationError):
        why = "this store has no such setting"
        return Check(check_id, title, CheckState.OK, why, None, configuration)
    return not_seen(check_id, title, error, configuration)


def _ownership(one: Configuration, facts: BucketFacts, asked: Asked) -> Check:
    title = "Object ownership"
    if not asked.is_known:
        return _not_shown("ownership", title, asked.error, one.id)
    rules = ((asked.value or {}).get("OwnershipControls") or {}).get("Rules") or [{}]
    found = rules[0].get("ObjectOwnership")
    if found == "BucketOwnerEnforced":
        why = "the bucket's owner owns the reports (BucketOwnerEnforced)"
        return Check("ownership", title, CheckState.OK, why, None, one.id)
    kept = found or "no setting, so ObjectWriter"
    if found == "BucketOwnerPreferred" or facts.is_ours is not False:
        why = f"{kept}; S3 gives the bucket's owner full control of the reports"
        return Check("ownership", title, CheckState.OK, why, None, one.id)
    command = (
        f"aws s3api put-bucket-ownership-controls --bucket {shlex.quote(facts.name)} "
        "--ownership-controls 'Rules=[{ObjectOwnership=BucketOwnerEnforced}]'"
    )
    fix = Fix("let the bucket's owner own what is written there", command)
    why = (
        f"{kept}: the reports belong to S3's account, and the bucket's owner cannot let "
        "others read them by policy"
    )
    return Check("ownership", title, CheckState.WARNING, why, fix, one.id)


def _object_lock(one: Configuration, facts: BucketFacts, asked: Asked) -> Check:
    title = "Object Lock"
    if not asked.is_known:
        return _not_shown("object-lock", title, asked.error, one.id)
    found = (asked.value or {}).get("ObjectLockConfiguration") or {}
    rule = (found.get("Rule") or {}).get("DefaultRetention") or {}
    if not rule:
        return Check("object-lock", title, CheckState.OK, "no default retention", None, one.id)
    span = _count(rule["Days"], "day") if rule.get("Days") else _count(rule.get("Years"), "year")
    why = (
        f"every report is locked for {span} ({rule.get('Mode')}): none can be deleted before, "
        "and each day's is paid for that long"
    )
    command = (
        f"aws s3api put-object-lock-configuration --bucket {shlex.quote(facts.name)} "
        "--object-lock-configuration ObjectLockEnabled=Enabled"
    )
    fix = Fix("deliver into a bucket without default retention, or remove it", command)
    return Check("object-lock", title, CheckState.WARNING, why, fix, one.id)


def _payer(one: Configuration, facts: BucketFacts, asked: Asked) -> Check:
    title = "Who pays"
    if not asked.is_known:
        return _not_shown("payer", title, asked.error, one.id)
    if (asked.value or {}).get("Payer") != "Requester":
        return Check("payer", title, CheckState.OK, "the bucket's owner", None, one.id)
    command = (
        f"aws s3api put-bucket-request-payment --bucket {shlex.quote(facts.name)} "
        "--request-payment-configuration Payer=BucketOwner"
    )
    fix = Fix("let the owner pay, or read with --requester-pays", command)
    why = "who reads the reports has to agree to pay; whether S3 delivers there is not documented"
    return Check("payer", title, CheckState.WARNING, why, fix, one.id)


def _lifecycle(one: Configuration, asked: Asked) -> Check:
    title = "Lifecycle"
    if not asked.is_known:
        return _not_shown("lifecycle", title, asked.error, one.id)
    base = f"{one.prefix}/" if one.prefix else ""
    base += f"{one.bucket}/{one.id}/"
    rules = [rule for rule in (asked.value or {}).get("Rules") or () if _meets(rule, base)]
    least = _KEPT_DAYS.get(one.frequency, _KEPT_DAYS["Daily"])
    days = [(rule, _expires_after(rule)) for rule in rules]
    gone = [(rule, after) for rule, after in days if after is not None]
    if gone:
        rule, after = min(gone, key=lambda item: item[1])
        if after < least:
            when = (
                f"after {_count(after, 'day')}"
                if "Days" in rule["Expiration"]
                else "on a fixed day"
            )
            why = f"rule {_rule(rule)} removes reports {when}, before the next is there"
            fix = Fix(f"keep them {least} days at least, or except `{base}` from the rule")
            return Check("lifecycle", title, CheckState.FAILED, why, fix, one.id)
    if archived := _archived(rules, least):
        return Check("lifecycle", title, CheckState.WARNING, *archived, one.id)
    if gone:
        why = f"reports are kept {_count(after, 'day')} (rule {_rule(rule)})"
        return Check("lifecycle", title, CheckState.OK, why, None, one.id)
    return Check("lifecycle", title, CheckState.OK, "reports are kept for ever", None, one.id)


def _archived(rules: list[Mapping[str, Any]], least: int) -> tuple[str, Fix] | None:
    for rule in rules:
        for move in rule.get("Transitions") or ():
            if move.get("StorageClass") in _ARCHIVES and move.get("Days", 0) < least:
                why = (
                    f"rule {_rule(rule)} archives reports ({move['StorageClass']}) after "
                    f"{_count(move.get('Days', 0), 'day')}: they cannot be read then"
                )
                return why, Fix("move them to GLACIER_IR, which can be read, or later")
    return None


def _count(count: Any, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _rule(rule: Mapping[str, Any]) -> str:
    return f"`{rule['ID']}`" if rule.get("ID") else "without a name"


def _meets(rule: Mapping[str, Any], base: str) -> bool:
    """Whether an enabled rule is about reports: they have no tags, and lie below `base`."""
    if rule.get("Status") != "Enabled":
        return False
    within = rule.get("Filter") or {}
    both = within.get("And") or {}
    if within.get("Tag") or both.get("Tags"):
        return False
    prefix = both.get("Prefix") or within.get("Prefix") or rule.get("Prefix") or ""
    return bool(base.startswith(prefix) or prefix.startswith(base))


def _expires_after(rule: Mapping[str, Any]) -> int | None:
    expiration = rule.get("Expiration") or {}
    if expiration.get("Days") is not None:
        return int(expiration["Days"])
    return 0 if expiration.get("Date") is not None else None
