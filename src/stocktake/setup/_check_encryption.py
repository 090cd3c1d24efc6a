"""Can the reports be encrypted as asked, and will S3 be let use the key?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stocktake.setup._checks import Check, CheckState, Fix, not_seen, put_configuration_command
from stocktake.setup._configuration import Configuration
from stocktake.setup._facts import BucketFacts, KeyPolicyFacts
from stocktake.setup._grant import Grant, key_request
from stocktake.setup._policy import Statement
from stocktake.setup._policy_decision import Outcome, decide
from stocktake.setup._policy_merge import except_services, merge_statement

_TITLE = "Encryption"
_KEY_TITLE = "KMS key policy"
_AWS_KEY = "alias/aws/s3"
_KMS = ("aws:kms", "aws:kms:dsse")


@dataclass(frozen=True, slots=True)
class Encryption:
    """How reports will be encrypted.

    Attributes:
        kind: `SSE-S3`, `SSE-KMS`; None if not known.
        key: Id, ARN or alias of the KMS key; `alias/aws/s3` for Amazon's own.
        by_default: True if the bucket's default decides, not the configuration.
    """

    kind: str | None
    key: str | None = None
    by_default: bool = False

    @property
    def asked_for(self) -> str | None:
        """What the writes carry as a header: nothing, if the bucket's default decides."""
        return None if self.by_default else self.kind


def encryption_of(one: Configuration, facts: BucketFacts) -> Encryption:
    """What the configuration, or else the destination's default, says."""
    if one.encryption == "SSE-KMS":
        return Encryption("SSE-KMS", one.kms_key or _AWS_KEY)
    if one.encryption is not None:
        return Encryption(one.encryption)
    asked = facts.settings.get("GetBucketEncryption")
    if asked is None or not asked.is_known:
        return Encryption(None, by_default=True)
    rule = _default_rule(asked.value or {})
    if rule.get("SSEAlgorithm") in _KMS:
        return Encryption("SSE-KMS", rule.get("KMSMasterKeyID") or _AWS_KEY, by_default=True)
    return Encryption("SSE-S3", by_default=True)


def _default_rule(answer: Any) -> dict[str, Any]:
    rules = (answer.get("ServerSideEncryptionConfiguration") or {}).get("Rules") or [{}]
    found: dict[str, Any] = rules[0].get("ApplyServerSideEncryptionByDefault") or {}
    return found


def check_encryption(
    one: Configuration,
    facts: BucketFacts,
    found: Encryption,
    key: KeyPolicyFacts | None,
    grant: Grant,
) -> Iterator[Check]:
    """The checks of encryption and, with SSE-KMS, of the key's policy."""
    if found.kind is None:
        yield not_seen("encryption", _TITLE, facts.settings["GetBucketEncryption"].error, one.id)
        return
    source = "the destination's default" if found.by_default else "the configuration"
    if found.kind == "SSE-S3":
        why = f"{source} says SSE-S3: every reader of the reports can decrypt them"
        yield Check("encryption", _TITLE, CheckState.OK, why, None, one.id)
        return
    if key is not None and key.key is not None and not key.key.is_aws_managed:
        why = f"{source} says SSE-KMS with {key.key.arn}: readers need kms:Decrypt"
        yield Check("encryption", _TITLE, CheckState.OK, why, None, one.id)
        yield _key_check(one, facts, key, grant)
        return
    yield _unusable(one, found, key, source)


def _unusable(
    one: Configuration, found: Encryption, key: KeyPolicyFacts | None, source: str
) -> Check:
    managed = found.key == _AWS_KEY or (
        key is not None and key.key is not None and key.key.is_aws_managed
    )
    if managed:
        why = (
            f"{source} says SSE-KMS with Amazon's own key aws/s3, with which S3 does not deliver "
            "inventories"
        )
        document = one.corrected(encryption="SSE-S3", kms_key=None)
        fix = Fix(
            "let the configuration ask for SSE-S3, or for a key of your own",
            put_configuration_command(one.bucket, document),
            document,
        )
        return Check("encryption", _TITLE, CheckState.FAILED, why, fix, one.id)
    error = key.error if key is not None else None
    if error is not None and error.code == "object-not-found":
        document = one.corrected(encryption="SSE-S3", kms_key=None)
        fix = Fix(
            "name a key that is there, or ask for SSE-S3",
            put_configuration_command(one.bucket, document),
            document,
        )
        return Check("encryption", _TITLE, CheckState.FAILED, error.message, fix, one.id)
    return not_seen("encryption", _TITLE, error, one.id)


def _key_check(
    one: Configuration, facts: BucketFacts, found: KeyPolicyFacts, grant: Grant
) -> Check:
    key = found.key
    assert key is not None
    region = key.arn.split(":")[3] if key.arn.count(":") > 3 else None
    if key.state != "Enabled":
        fix = Fix("enable it", f"aws kms enable-key --key-id {shlex.quote(key.arn)}")
        why = f"KMS key {key.arn} is {key.state}"
        return Check("kms", _KEY_TITLE, CheckState.FAILED, why, fix, one.id)
    if region and facts.region and region != facts.region:
        why = f"KMS key {key.arn} is in {region}, the destination in {facts.region}"
        fix = Fix(f"use a key in {facts.region}")
        return Check("kms", _KEY_TITLE, CheckState.FAILED, why, fix, one.id)
    if found.error is not None:
        return not_seen("kms", _KEY_TITLE, found.error, one.id)
    decision = decide(found.policy, key_request(grant, key.arn))
    if decision.outcome is Outcome.ALLOWED:
        names = ", ".join(dict.fromkeys(match.statement.name for match in decision.because))
        why = f"statement {names} lets S3 use the key"
        return Check("kms", _KEY_TITLE, CheckState.OK, why, None, one.id)
    if decision.outcome is Outcome.UNKNOWN:
        first = decision.because[0]
        why = f"statement {first.statement.name} decides it: {first.misses}"
        return Check("kms", _KEY_TITLE, CheckState.UNKNOWN, why, None, one.id)
    if decision.outcome is Outcome.DENIED:
        return _key_denied(one, found, key.arn, decision.because[0].statement)
    return _key_not_allowed(one, found, grant, key.arn)


def _key_denied(
    one: Configuration, found: KeyPolicyFacts, key_arn: str, statement: Statement
) -> Check:
    why = f"statement {statement.name} of the policy of KMS key {key_arn} denies its use to S3 too"
    fix = Fix(
        f"except AWS services from statement {statement.name}; its Condition is all that changes",
        _put_key_policy_command(key_arn),
        except_services(found.policy, statement) if found.policy else None,
        "key-policy.json",
    )
    return Check("kms", _KEY_TITLE, CheckState.FAILED, why, fix, one.id)


def _key_not_allowed(
    one: Configuration, found: KeyPolicyFacts, grant: Grant, key_arn: str
) -> Check:
    why = f"no statement of the policy of KMS key {key_arn} lets S3 use it (kms:GenerateDataKey)"
    merged = merge_statement(found.policy, grant.key_statement())
    text = f"add the statement {grant.sid} to the key's policy; the others stay as they are"
    fix = Fix(text, _put_key_policy_command(key_arn), merged.document, "key-policy.json")
    return Check("kms", _KEY_TITLE, CheckState.FAILED, why, fix, one.id)


def _put_key_policy_command(key_arn: str) -> str:
    return (
        f"aws kms put-key-policy --key-id {shlex.quote(key_arn)} --policy-name default "
        "--policy file://key-policy.json"
    )
