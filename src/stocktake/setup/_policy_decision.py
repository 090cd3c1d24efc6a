"""What a policy says to one request of an AWS service, and which statement says it.

Only the side of the resource is looked at, as that is what decides for a service: it has no
identity policies. An explicit Deny wins; without an Allow nothing is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stocktake.setup._policy import Condition, Effect, Names, Policy, Principals, Statement
from stocktake.setup._policy_conditions import (
    Context,
    Truth,
    Unknown,
    all_of,
    any_of,
    holds,
    matches,
)


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """What an AWS service asks for.

    Attributes:
        service: `s3.amazonaws.com`.
        action: `s3:PutObject`.
        resource: The ARN of the object or key.
        context: What is known of the request beside.
    """

    service: str
    action: str
    resource: str
    context: Context


class Outcome(StrEnum):
    """How a policy decides."""

    ALLOWED = "allowed"
    DENIED = "denied"
    """A Deny hits the request."""
    NOT_ALLOWED = "not-allowed"
    """No statement allows it."""
    UNKNOWN = "unknown"
    """It depends on something that we do not know of the request."""


@dataclass(frozen=True, slots=True)
class Match:
    """How one statement meets a request.

    Attributes:
        statement: It.
        applies: Whether it applies; None if that is not known.
        misses: What keeps it from applying, or from being known to, in words; '' if it applies.
    """

    statement: Statement
    applies: Truth
    misses: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy says, and why.

    Attributes:
        outcome: The answer.
        because: The statements that make it so.
        near: Statements that allow something like it, with what they miss; if nothing allows it.
    """

    outcome: Outcome
    because: tuple[Match, ...] = ()
    near: tuple[Match, ...] = ()


def decide(policy: Policy | None, request: ServiceRequest) -> Decision:
    """What a policy (None: there is none) says to a request of a service."""
    found = [match(one, request) for one in (policy.statements if policy else ())]
    denies = [one for one in found if one.statement.effect is Effect.DENY]
    allows = [one for one in found if one.statement.effect is Effect.ALLOW]
    if hits := _applying(denies, to=True):
        return Decision(Outcome.DENIED, hits)
    open_denies = _applying(denies, to=None)
    sure = _applying(allows, to=True)
    if sure:
        return Decision(
            Outcome.UNKNOWN if open_denies else Outcome.ALLOWED,
            open_denies if open_denies else sure,
        )
    if maybe := _applying(allows, to=None):
        return Decision(Outcome.UNKNOWN, (*maybe, *open_denies))
    near = tuple(one for one in allows if _concerns(one.statement, request))
    return Decision(Outcome.NOT_ALLOWED, near=near)


def match(statement: Statement, request: ServiceRequest) -> Match:
    """Whether a statement applies to a request, and else what it misses first."""
    resource = _names_match(statement.resources, request.resource)
    checks: list[tuple[Truth, str]] = [
        (_is_meant(statement.principals, request.service), "it is about other principals"),
        (
            _names_match(statement.actions, request.action, ignore_case=True),
            f"it is not about {request.action}",
        ),
        (resource, f"its Resource is {_listed(statement.resources)}, not {request.resource}"),
    ]
    checks += [
        (holds(one, request.context), _condition_text(one, request)) for one in statement.conditions
    ]
    applies = all_of(answer for answer, _ in checks)
    if applies:
        return Match(statement, applies)
    misses = next(text for answer, text in checks if answer is applies)
    return Match(statement, applies, misses)


def _applying(found: list[Match], *, to: Truth) -> tuple[Match, ...]:
    return tuple(one for one in found if one.applies is to)


def _concerns(statement: Statement, request: ServiceRequest) -> bool:
    """Whether a statement is about this service's action, whatever else it asks."""
    return bool(_is_meant(statement.principals, request.service)) and bool(
        _names_match(statement.actions, request.action, ignore_case=True)
    )


def _is_meant(principals: Principals, service: str) -> bool:
    named = principals.named
    meant = (
        principals.everyone
        or "*" in named.get("AWS", ())
        or any(one in (service, "*") for one in named.get("Service", ()))
    )
    return meant is not principals.negated


def _names_match(names: Names, text: str, *, ignore_case: bool = False) -> Truth:
    if not names.values:
        return True  # key policies need no Resource, and trust policies no Action
    found = any_of(matches(one, text, ignore_case=ignore_case) for one in names.values)
    return found if found is None or not names.negated else not found


def _listed(names: Names) -> str:
    shown = ", ".join(names.values[:3]) + (", ..." if len(names.values) > 3 else "")
    return f"everything but {shown}" if names.negated else shown


def _condition_text(condition: Condition, request: ServiceRequest) -> str:
    wanted = ", ".join(condition.values[:3]) + (", ..." if len(condition.values) > 3 else "")
    found = request.context.get(condition.key.lower(), Unknown())
    text = f"its condition {condition.operator} {condition.key} = {wanted}"
    if isinstance(found, Unknown):
        return f"{text} cannot be judged from here"
    here = ", ".join(found) if found else "nothing"
    return f"{text} does not hold: the request has {here}"
