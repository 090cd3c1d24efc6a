"""Does the destination's policy let S3 deliver, and nobody else's inventory?"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stocktake.setup._checks import Check, CheckState, Fix, not_seen, put_configuration_command
from stocktake.setup._configuration import Configuration
from stocktake.setup._facts import BucketFacts
from stocktake.setup._grant import Grant, delivery_requests
from stocktake.setup._policy import Policy, Statement
from stocktake.setup._policy_decision import Decision, Match, Outcome, decide
from stocktake.setup._policy_merge import merge_statement

_TITLE = "Destination policy"
_DEPUTY = "Other people's inventories"
_WORST = (Outcome.DENIED, Outcome.NOT_ALLOWED, Outcome.UNKNOWN, Outcome.ALLOWED)
_SERVICE_KEY = "aws:PrincipalIsAWSService"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One configuration's writes, to be judged by a policy."""

    configuration: Configuration
    grant: Grant
    encryption: str | None

    def decision(self, policy: Policy | None, grant: Grant | None = None) -> Decision:
        """What the policy says to all of the writes: the worst of the answers."""
        requests = delivery_requests(grant or self.grant, self.configuration, self.encryption)
        found = [decide(policy, one) for one in requests]
        return min(found, key=lambda one: _WORST.index(one.outcome))

    def with_encryption(self, encryption: str | None) -> Delivery:
        """The same writes, with another encryption asked for."""
        return Delivery(self.configuration, self.grant, encryption)


def check_policy(delivery: Delivery, facts: BucketFacts) -> Iterator[Check]:
    """The two checks of the destination's policy."""
    one = delivery.configuration
    if facts.policy_error is not None:
        yield not_seen("policy", _TITLE, facts.policy_error, one.id)
        return
    if not facts.policy_asked.is_known:
        yield not_seen("policy", _TITLE, facts.policy_asked.error, one.id)
        return
    decision = delivery.decision(facts.policy)
    yield _delivery_check(delivery, facts, decision)
    if decision.outcome in (Outcome.ALLOWED, Outcome.UNKNOWN) and facts.policy is not None:
        yield _deputy_check(delivery, facts)


def policy_fix(grant: Grant, facts: BucketFacts, text: str) -> Fix:
    """Our statement, in the policy that is there."""
    merged = merge_statement(facts.policy, grant.statement())
    command = (
        f"aws s3api put-bucket-policy --bucket {shlex.quote(facts.name)} "
        "--policy file://policy.json"
    )
    return Fix(text, command, merged.document, "policy.json")


def _delivery_check(delivery: Delivery, facts: BucketFacts, decision: Decision) -> Check:
    one, outcome = delivery.configuration, decision.outcome
    if outcome is Outcome.ALLOWED:
        names = ", ".join(dict.fromkeys(match.statement.name for match in decision.because))
        why = f"statement {names} lets S3 write the reports"
        return Check("policy", _TITLE, CheckState.OK, why, None, one.id)
    if outcome is Outcome.UNKNOWN:
        why = _open_question(decision)
        return Check("policy", _TITLE, CheckState.UNKNOWN, why, None, one.id)
    if outcome is Outcome.DENIED:
        return _denied(delivery, facts, decision.because[0])
    why = f"bucket {facts.name} has no policy, so S3 may not write the reports"
    if facts.policy is not None:
        why = f"no statement of the policy lets S3 write the reports{_near(decision)}"
    text = f"add the statement {delivery.grant.sid}; the others stay as they are"
    fix = policy_fix(delivery.grant, facts, _account_note(delivery.grant, text))
    return Check("policy", _TITLE, CheckState.FAILED, why, fix, one.id)


def _account_note(grant: Grant, text: str) -> str:
    if grant.account is not None:
        return text
    return f"{text} (put the number of the account that owns {grant.source_bucket} for null)"


def _near(decision: Decision) -> str:
    if not decision.near:
        return ""
    first = decision.near[0]
    return f": statement {first.statement.name} comes near, but {first.misses}"


def _open_question(decision: Decision) -> str:
    first = decision.because[0]
    verb = "denies" if first.statement.effect == "Deny" else "allows"
    return f"statement {first.statement.name} {verb} the writes, or not: {first.misses}"


def _denied(delivery: Delivery, facts: BucketFacts, match: Match) -> Check:
    """A Deny hits S3 too: it comes without our network, and without headers we do not ask for."""
    one, statement = delivery.configuration, match.statement
    asked = ", ".join(f"{c.operator} {c.key}" for c in statement.conditions) or "no condition"
    why = f"statement {statement.name} denies the writes to S3 as well ({asked})"
    for encryption in ("SSE-S3", "SSE-KMS"):
        wanted = delivery.with_encryption(encryption)
        if wanted.decision(facts.policy).outcome is not Outcome.DENIED:
            return Check(
                "policy", _TITLE, CheckState.FAILED, why, _encrypt(one, encryption), one.id
            )
    raw = _statements(facts)[statement.position - 1]
    fix = Fix(
        f"except AWS services from statement {statement.name}: only its Condition changes",
        f"aws s3api get-bucket-policy --bucket {shlex.quote(facts.name)} "
        "--query Policy --output text > policy.json",
        _excepted(raw, statement),
        "policy.json",
    )
    return Check("policy", _TITLE, CheckState.FAILED, why, fix, one.id)


def _encrypt(one: Configuration, encryption: str) -> Fix:
    key = one.kms_key or "arn:aws:kms:REGION:ACCOUNT:key/KEY-ID"
    document = one.corrected(
        encryption=encryption, kms_key=key if encryption == "SSE-KMS" else None
    )
    return Fix(
        f"let the configuration ask for the encryption that the policy wants ({encryption})",
        put_configuration_command(one.bucket, document),
        document,
    )


def _statements(facts: BucketFacts) -> list[Mapping[str, Any]]:
    found = facts.policy.document["Statement"] if facts.policy else []
    return found if isinstance(found, list) else [found]


def _excepted(raw: Mapping[str, Any], statement: Statement) -> dict[str, Any]:
    """The statement, for everybody but AWS services."""
    made: dict[str, Any] = json.loads(json.dumps(raw))
    condition = made.setdefault("Condition", {})
    condition.setdefault("BoolIfExists", {})[_SERVICE_KEY] = "false"
    return made


def _deputy_check(delivery: Delivery, facts: BucketFacts) -> Check:
    """Source: "The confused deputy problem", IAM user guide."""
    one, grant = delivery.configuration, delivery.grant

    def lets_in(other: Grant) -> bool:
        return delivery.decision(facts.policy, other).outcome is Outcome.ALLOWED

    if lets_in(grant.stranger()):
        why = (
            "the policy lets S3 deliver the inventory of any bucket of any account here, also a "
            "forged one: it names neither aws:SourceArn nor aws:SourceAccount"
        )
    elif lets_in(grant.namesake()):
        why = (
            "the policy names aws:SourceArn, but not aws:SourceAccount: if the bucket is deleted, "
            "whoever makes one of its name can deliver here"
        )
    else:
        return Check(
            "confused-deputy", _DEPUTY, CheckState.OK, "kept out: the source is named", None, one.id
        )
    text = (
        f"add the statement {grant.sid}, which names both, then take the wider one out, "
        "or add the two conditions to it"
    )
    fix = policy_fix(grant, facts, _account_note(grant, text))
    return Check("confused-deputy", _DEPUTY, CheckState.WARNING, why, fix, one.id)
