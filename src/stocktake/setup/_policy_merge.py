"""One statement of ours put into a policy of others, without touching a word of theirs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stocktake.errors import SetupError
from stocktake.setup._policy import POLICY_BYTES_MAX, Policy, Statement, read_policy

_VERSION = "2012-10-17"
_ROOT = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")
"""S3 gives the number of an account back as this."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A policy with our statement in it.

    Attributes:
        document: The whole policy.
        changed: False if it was in there already, word for word.
    """

    document: Mapping[str, Any]
    changed: bool

    @property
    def text(self) -> str:
        """The policy as it is sent: no blanks, as its size counts."""
        return json.dumps(self.document, separators=(",", ":"), ensure_ascii=False)


def merge_statement(policy: Policy | None, statement: Mapping[str, Any]) -> Merged:
    """The policy (None: there is none yet) with a statement that is known by its Sid.

    Every other statement stays as it is and where it is; so does every other member. A policy
    without `Version` does not get one: it would change what variables in it mean.

    Raises:
        PolicyFormatError: The result is no policy.
    """
    if policy is None:
        return Merged({"Version": _VERSION, "Statement": [dict(statement)]}, changed=True)
    document = dict(policy.document)
    found = document["Statement"]
    others = list(found) if isinstance(found, list) else [found]
    ours = [at for at, one in enumerate(others) if one.get("Sid") == statement["Sid"]]
    if ours and others[ours[0]] == statement and len(ours) == 1:
        return Merged(document, changed=False)
    if ours:
        others[ours[0]] = dict(statement)
        others = [one for at, one in enumerate(others) if at not in ours[1:]]
    else:
        others.append(dict(statement))
    document["Statement"] = others
    read_policy(document)
    return Merged(document, changed=True)


def except_services(policy: Policy, statement: Statement) -> dict[str, Any]:
    """The whole policy, in which one statement is for everybody but AWS services."""
    document: dict[str, Any] = json.loads(json.dumps(policy.document))
    found = document["Statement"]
    raw = found[statement.position - 1] if isinstance(found, list) else found
    condition = raw.setdefault("Condition", {})
    condition.setdefault("BoolIfExists", {})["aws:PrincipalIsAWSService"] = "false"
    return document


def check_size(merged: Merged, bucket: str) -> None:
    """Refuse a bucket policy that S3 would not keep.

    Raises:
        SetupError: It is larger than 20 KB.
    """
    size = len(merged.text.encode())
    if size > POLICY_BYTES_MAX:
        raise SetupError(
            f"the policy of bucket {bucket} would be {size:,} bytes with our statement, "
            f"S3 keeps {POLICY_BYTES_MAX:,}",
            hint="join or shorten statements of it first, or deliver into another bucket",
            size_bytes=size,
        )


def same_policy(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Whether two policies say the same, however a store spells what it was given."""
    return bool(_normal(one) == _normal(other))


def _normal(value: Any, name: str = "") -> Any:
    """A value with single values as lists, lists of names sorted, statements in their order."""
    if isinstance(value, dict):
        return {key: _normal(item, key) for key, item in value.items()}
    if name == "Statement":
        statements = value if isinstance(value, list) else [value]
        return [_normal(one) for one in statements]
    if name in ("Version", "Id", "Sid", "Effect") or value is None:
        return value
    if name == "Principal" and value == "*":
        return value
    values = value if isinstance(value, list) else [value]
    texts = [one if isinstance(one, str) else json.dumps(one) for one in values]
    return sorted(_ROOT.sub(r"\1", one) for one in texts) if name == "AWS" else sorted(texts)
