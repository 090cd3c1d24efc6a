"""SET-1: whatever a policy is, it is read, judged or refused: never a crash, never a hang."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from stocktake.errors import PolicyFormatError
from stocktake.setup import Configuration
from stocktake.setup._grant import Grant, delivery_requests
from stocktake.setup._policy import parse_policy
from stocktake.setup._policy_conditions import matches
from stocktake.setup._policy_decision import Outcome, decide

GRANT = Grant("photos", "reports", "inv", "111122223333")
REQUEST = delivery_requests(
    GRANT, Configuration("daily", "photos", "arn:aws:s3:::reports", prefix="inv"), None
)[0]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
MEMBERS = ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
           "NotResource", "Condition", "Other"]  # fmt: skip
OPERATORS = ["StringLike", "ArnLike", "NumericLessThan", "DateLessThan", "IpAddress", "Bool",
             "Null", "ForAllValues:StringNotLikeIfExists", "BinaryEquals"]  # fmt: skip
KEYS = ["aws:SourceArn", "aws:SourceAccount", "aws:SourceIp", "s3:x-amz-acl", "aws:PrincipalArn"]
CONDITIONS = st.dictionaries(
    st.sampled_from(OPERATORS), st.dictionaries(st.sampled_from(KEYS), JSON, max_size=2), max_size=3
)
STATEMENTS = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"])},
    optional=dict.fromkeys(MEMBERS[2:8], JSON) | {"Condition": CONDITIONS | JSON},
)
GLOBS = st.text("ab*?", max_size=8)


@given(st.text() | JSON.map(json.dumps))
def test_any_text_is_a_policy_or_is_refused(text):
    try:
        parse_policy(text)
    except PolicyFormatError:
        return


@given(st.lists(STATEMENTS, max_size=3))
def test_any_statement_is_judged_or_refused(found):
    try:
        policy = parse_policy(json.dumps({"Statement": found}))
    except PolicyFormatError:
        return
    decision = decide(policy, REQUEST)
    if not any(one["Effect"] == "Allow" for one in found):
        assert decision.outcome is not Outcome.ALLOWED


@given(GLOBS, st.text("ab", max_size=10))
def test_patterns_match_as_their_regular_expression_does(pattern, text):
    expected = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    assert matches(pattern, text) is (re.fullmatch(expected, text, re.DOTALL) is not None)


def test_a_hostile_pattern_does_not_hang():
    """As a regular expression it would take years."""
    assert matches("*a" * 40 + "*b", "a" * 3000) is False
