"""Does the destination's policy let S3 deliver, and nobody else's inventory?"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stocktake.setup._checks import Check, CheckState, Fix, not_seen, put_configuration_command
from stocktake.setup._configuration import Configuration
from stocktake.setup._facts import BucketFacts
from stocktake.setup._grant import Grant, delivery_requests
from stocktake.setup._policy import Policy, Statement
from stocktake.setup._policy_decision import Decision, Match, Outcome, decide
from stocktake.setup._policy_merge import except_services, merge_statement

_TITLE = "Destination policy"
_DEPUTY = "Other people's inventories"
_WORST = (Outcome.DENIED, Outcome.NOT_ALLOWED, Outcome.UNKNOWN, Outcome.ALLOWED)


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
    return Fix(text, _put_policy_command(facts.name), merged.document, "policy.json")


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
    fix = Fix(
        f"except AWS services from statement {statement.name}; its Condition is all that changes",
        _put_policy_command(facts.name),
        except_services(facts.policy, statement) if facts.policy else None,
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


def _put_policy_command(bucket: str) -> str:
    return f"aws s3api put-bucket-policy --bucket {shlex.quote(bucket)} --policy file://policy.json"


def _deputy_check(delivery: Delivery, facts: BucketFacts) -> Check:
    """Source: "The confused deputy problem", IAM user guide."""
    one, grant = delivery.configuration, delivery.grant
    if guests := _let_in(delivery, facts, grant.stranger()):
        why = (
            "the policy lets S3 deliver the inventory of any bucket of any account here, also a "
            "forged one: it names neither aws:SourceArn nor aws:SourceAccount"
        )
    elif guests := _let_in(delivery, facts, grant.namesake()):
        why = (
            "the policy names aws:SourceArn, but not aws:SourceAccount: if the bucket is deleted, "
            "whoever makes one of its name can deliver here"
        )
    else:
        why = "kept out: the source is named"
        return Check("confused-deputy", _DEPUTY, CheckState.OK, why, None, one.id)
    fix = _narrower(delivery, facts, guests)
    return Check("confused-deputy", _DEPUTY, CheckState.WARNING, why, fix, one.id)


def _let_in(delivery: Delivery, facts: BucketFacts, other: Grant) -> tuple[Statement, ...]:
    """The statements that let somebody else's inventory in."""
    decision = delivery.decision(facts.policy, other)
    if decision.outcome is not Outcome.ALLOWED:
        return ()
    return tuple(match.statement for match in decision.because)


def _narrower(delivery: Delivery, facts: BucketFacts, guests: tuple[Statement, ...]) -> Fix:
    """The conditions that are missing, in the statements that miss them.

    A statement that is for everybody, not only for S3, is not ours to narrow: then our own is
    added, and taking the wider one out is left to whoever knows what else it is for.
    """
    grant = delivery.grant
    names = ", ".join(one.name for one in guests)
    if any(one.principals.everyone or "AWS" in one.principals.named for one in guests):
        text = (
            f"add the statement {grant.sid}, which names both, then take S3 out of the wider "
            f"statement {names}"
        )
        return policy_fix(grant, facts, _account_note(grant, text))
    text = (
        f"add what is missing to the Condition of statement {names}; if other buckets deliver "
        "here by it, give each of them a statement of its own first (stocktake setup create)"
    )
    document = _narrowed(facts, grant, guests)
    command = _put_policy_command(facts.name)
    return Fix(_account_note(grant, text), command, document, "policy.json")


def _narrowed(facts: BucketFacts, grant: Grant, guests: tuple[Statement, ...]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(facts.policy.document if facts.policy else {}))
    found = document["Statement"]
    for one in guests:
        raw = found[one.position - 1] if isinstance(found, list) else found
        condition = raw.setdefault("Condition", {})
        keys = {line.key.lower() for line in one.conditions}
        if "aws:sourcearn" not in keys:
            condition.setdefault("ArnLike", {})["aws:SourceArn"] = grant.source_arn
        if "aws:sourceaccount" not in keys:
            condition.setdefault("StringEquals", {})["aws:SourceAccount"] = grant.account
    return document
