"""SET-2: our statement goes into a policy of others without touching a word of theirs."""

import copy
import json

from hypothesis import given
from hypothesis import strategies as st
from policy_strategies import policies, statements

from stocktake.setup import Configuration
from stocktake.setup._grant import Grant, delivery_requests
from stocktake.setup._policy import Effect, parse_policy, read_policy
from stocktake.setup._policy_decision import Outcome, ServiceRequest, decide
from stocktake.setup._policy_merge import merge_statement, same_policy

GRANT = Grant("photos", "reports", "inv", "111122223333")
CONFIG = Configuration("daily", "photos", "arn:aws:s3:::reports", prefix="inv")
GRANTS = st.builds(
    Grant,
    st.sampled_from(["photos", "films"]),
    st.just("reports"),
    st.sampled_from(["", "inv", "a/b"]),
    st.just("111122223333"),
)
REQUESTS = delivery_requests(GRANT, CONFIG, None)
ELSEWHERE = [
    ServiceRequest("s3.amazonaws.com", action, resource, REQUESTS[0].context)
    for action in ("s3:PutObject", "s3:GetObject", "s3:DeleteObject")
    for resource in ("arn:aws:s3:::reports/secret/x", "arn:aws:s3:::other/inv/photos/x")
] + [
    ServiceRequest("logging.s3.amazonaws.com", one.action, one.resource, one.context)
    for one in REQUESTS
]


def others(document, sid):
    found = document["Statement"]
    return [one for one in (found if isinstance(found, list) else [found]) if one.get("Sid") != sid]


@given(policies())
def test_merging_keeps_every_other_statement_and_member(document):
    before = copy.deepcopy(document)
    merged = merge_statement(read_policy(document), GRANT.statement()).document
    assert document == before  # what was read is not changed in place
    assert others(merged, GRANT.sid) == others(before, GRANT.sid)
    assert {k: v for k, v in merged.items() if k != "Statement"} == {
        k: v for k, v in before.items() if k != "Statement"
    }


@given(policies())
def test_merging_twice_is_merging_once(document):
    once = merge_statement(read_policy(document), GRANT.statement())
    twice = merge_statement(read_policy(json.loads(once.text)), GRANT.statement())
    assert once.changed
    assert not twice.changed
    assert twice.document == json.loads(once.text)


@given(policies(), st.lists(GRANTS, max_size=4))
def test_grants_of_several_sources_stand_side_by_side(document, grants):
    policy = read_policy(document)
    for one in grants:
        policy = read_policy(merge_statement(policy, one.statement()).document)
    sids = [one.sid for one in policy.statements if (one.sid or "").startswith("StocktakeInv")]
    assert sorted(sids) == sorted({one.sid for one in grants})


@given(policies())
def test_merging_allows_the_delivery_unless_it_is_denied_and_nothing_else(document):
    """The meaning, by the evaluator: only our requests are decided differently afterwards."""
    before = read_policy(document)
    after = parse_policy(merge_statement(before, GRANT.statement()).text)
    for one in ELSEWHERE:
        assert decide(after, one).outcome is decide(before, one).outcome
    for one in REQUESTS:
        was, now = decide(before, one).outcome, decide(after, one).outcome
        if was in (Outcome.ALLOWED, Outcome.DENIED):
            assert now is was
        else:
            assert now in (Outcome.ALLOWED, Outcome.UNKNOWN)
            denies = [one for one in before.statements if one.effect is Effect.DENY]
            assert now is Outcome.ALLOWED or denies


@given(policies())
def test_a_stranger_is_let_in_by_the_others_only(document):
    before = read_policy(document)
    after = read_policy(merge_statement(before, GRANT.statement()).document)
    for one in delivery_requests(GRANT.stranger(), CONFIG, None):
        assert decide(after, one).outcome is decide(before, one).outcome


@given(policies())
def test_a_store_may_write_single_values_as_lists_and_sort_them(document):
    """What comes back is compared by its meaning, not by its letters."""

    def respelt(value):
        if isinstance(value, dict):
            return {name: respelt(item) for name, item in reversed(value.items())}
        if isinstance(value, list):
            if all(isinstance(one, dict) for one in value):
                return [respelt(one) for one in value]
            return sorted(value, key=str)[0] if len(value) == 1 else sorted(value, key=str)
        return value

    assert same_policy(document, respelt(document))


@given(policies(), policies())
def test_policies_with_another_statement_are_not_the_same(one, other):
    if json.dumps(others(one, None), sort_keys=True) == json.dumps(
        others(other, None), sort_keys=True
    ):
        return
    first, second = (len(others(p, "")) for p in (one, other))
    if first != second:
        assert not same_policy(one, other)


@given(policies(), st.randoms(use_true_random=False))
def test_the_order_of_statements_decides_nothing(document, chance):
    found = others(document, "")
    mixed = chance.sample(found, len(found))
    for one in REQUESTS[:1] + ELSEWHERE:
        first = decide(read_policy({**document, "Statement": found}), one)
        assert decide(read_policy({**document, "Statement": mixed}), one).outcome is first.outcome


@given(policies(), statements())
def test_a_further_deny_never_allows_and_a_further_allow_never_denies(document, more):
    found = others(document, "")
    for one in REQUESTS[:1] + ELSEWHERE:
        was = decide(read_policy({"Statement": found}), one).outcome
        denied = decide(read_policy({"Statement": [*found, {**more, "Effect": "Deny"}]}), one)
        allowed = decide(read_policy({"Statement": [*found, {**more, "Effect": "Allow"}]}), one)
        assert denied.outcome is not Outcome.ALLOWED or was is Outcome.ALLOWED
        assert (allowed.outcome is Outcome.DENIED) is (was is Outcome.DENIED)
