"""The planner and the questions: recommendations that follow from evidence (STR-8, STR-12)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.clock import FixedClock
from stocktake.errors import BucketNotFoundError, UsageError
from stocktake.listing import (
    GUARANTEES,
    QUESTIONS,
    Evidence,
    History,
    ListingMetrics,
    OrderVerdict,
    PastRun,
    PlanNeeds,
    PlanPrices,
    StrategyName,
    advise,
    gather_evidence,
    guarantee_rows,
    parse_settings,
    plan_strategy,
)
from stocktake.listing._evidence import PROBES_MAX
from stocktake.model import S3Url
from stocktake.testing import MemoryStore

NOW = datetime(2026, 3, 1, tzinfo=UTC)
URL = S3Url("b", "logs/")
RANDOM = OrderVerdict(("60% of 500 objects came more than 3600 s after one with a greater key",))
DAILY = Evidence(
    URL,
    keys=5_000_000,
    keys_exact=True,
    page_s=0.08,
    pattern="dt=%Y-%m-%d",
    partitions=1000,
    folders=1000,
    order=RANDOM,
    new_per_run=200,
)
FLAT = Evidence(URL, keys=5_000_000, page_s=0.08, new_per_run=1000)
BLOBS = Evidence(URL, keys=5_000_000, page_s=0.08, order=RANDOM)


def candidate(plan, name):
    return next(one for one in plan.candidates if one.strategy == name)


@pytest.mark.parametrize(
    ("evidence", "needs", "expected"),
    [
        (Evidence(URL, keys=800, keys_exact=True), PlanNeeds(), "full"),
        (Evidence(URL, keys=90_000), PlanNeeds(), "full"),
        (FLAT, PlanNeeds(), "incremental_lexical"),
        (FLAT, PlanNeeds(sees_overwrites=True), "full"),
        (FLAT, PlanNeeds(sees_deletes=True), "full"),
        (DAILY, PlanNeeds(), "partitioned"),
        (BLOBS, PlanNeeds(), "full"),
        (
            Evidence(URL, keys=5_000_000, order=RANDOM, event_queue=True),
            PlanNeeds(fresh_within_s=30),
            "event_driven",
        ),
        (
            Evidence(URL, keys=2_000_000_000, order=RANDOM, inventory=True),
            PlanNeeds(fresh_within_s=2 * 86_400),
            "inventory",
        ),
        (Evidence(URL, keys=5_000_000, ordered=False), PlanNeeds(), "full"),
    ],
)
def test_the_recommendation_follows_the_evidence(evidence, needs, expected):
    plan = plan_strategy(evidence, needs)
    assert plan.best.strategy == expected
    assert plan.best.fits
    assert plan.best.why


def test_a_strategy_whose_audits_found_missed_objects_is_demoted_and_says_so():
    before = plan_strategy(FLAT)
    missed = {StrategyName.INCREMENTAL_LEXICAL: 3}
    after = plan_strategy(Evidence(URL, keys=5_000_000, page_s=0.08, missed=missed, audits=9))
    assert before.best.strategy == "incremental_lexical"
    assert after.best.strategy == "full"
    lexical = candidate(after, "incremental_lexical")
    assert lexical.why[0] == "demoted: audits found 3 objects that it had missed"
    assert lexical.fits
    assert after.audit_every < before.audit_every or before.audit_every == timedelta(hours=1)
    assert any("incremental_lexical had missed" in text for text in after.findings)


def test_the_lookback_is_twice_the_longest_lateness_that_was_seen():
    plan = plan_strategy(Evidence(URL, keys=5_000_000, lateness_max_s=3 * 3600 + 1))
    assert plan.lookback == timedelta(hours=6, minutes=1)
    assert candidate(plan, "incremental_lexical").settings["lookback_s"] == 21_660


def test_costs_are_calls_times_price_and_audits_count():
    prices = PlanPrices(list_per_1000=1.0)
    plan = plan_strategy(FLAT, PlanNeeds(runs_per_day=2), prices)
    full, lexical = candidate(plan, "full"), candidate(plan, "incremental_lexical")
    assert full.calls == 5750
    assert full.cost_per_month == pytest.approx(30 * 2 * 5.75)
    assert lexical.calls == 2
    audits = timedelta(days=30) / plan.audit_every
    assert lexical.cost_per_month == pytest.approx(30 * 2 * 0.002 + audits * 5.75)


def test_every_candidate_says_what_it_may_miss_and_its_settings_are_valid():
    for evidence in (FLAT, DAILY, BLOBS):
        plan = plan_strategy(evidence)
        assert {one.strategy for one in plan.candidates} == set(StrategyName) - {"sample"}
        for one in plan.candidates:
            assert one.risk
            assert one.fits or one.why
            parse_settings(one.strategy, one.settings)
        assert json.loads(json.dumps(plan.to_dict()))["strategy"] == plan.best.strategy


@given(
    keys=st.none() | st.integers(0, 10**11),
    page_s=st.none() | st.floats(0.001, 10),
    new=st.none() | st.floats(0, 1e9),
    fresh_s=st.floats(1, 1e6),
    folders=st.integers(1, 10**8),
    reasons=st.lists(st.just("no"), max_size=1),
)
def test_there_is_always_a_plan_and_what_does_not_fit_is_never_first_if_something_fits(
    keys, page_s, new, fresh_s, folders, reasons
):
    evidence = Evidence(
        URL,
        keys=keys,
        page_s=page_s,
        new_per_run=new,
        folders=folders,
        order=OrderVerdict(tuple(reasons)),
    )
    plan = plan_strategy(evidence, PlanNeeds(fresh_within_s=fresh_s))
    fits = [one.fits for one in plan.candidates]
    assert fits == sorted(fits, reverse=True)
    assert timedelta(hours=1) <= plan.audit_every <= timedelta(days=7)
    assert all(one.calls >= 0 and one.cost_per_month >= 0 for one in plan.candidates)


def store_of(keys) -> MemoryStore:
    clock = FixedClock(NOW)
    store = MemoryStore(clock=clock)
    store.describe("CreateBucket", "b")
    for key in keys:
        store.put("b", key, b"x")
        clock.advance(60)
    return store


def look(keys, history=History()) -> Evidence:
    return gather_evidence(store_of(keys), S3Url("b"), FixedClock(NOW), history)


def test_one_page_is_enough_for_a_small_prefix():
    found = look([f"a/{number:03}" for number in range(50)])
    assert (found.calls, found.keys, found.keys_exact) == (1, 50, True)
    assert plan_strategy(found).best.strategy == "full"


@pytest.mark.parametrize(
    ("make", "pattern", "ascends"),
    [
        (lambda n: f"t/dt={NOW + timedelta(hours=n / 4):%Y-%m-%d}/{n:06}", "*/dt=%Y-%m-%d", True),
        (lambda n: f"log-{n:07}", None, True),
        (lambda n: f"{(n * 7919) % 9973:05}", None, False),
        (lambda n: f"a/b/c/part-{n}", None, False),
        (lambda n: "\U0010ffff" * 3 + f"{n:05}", None, True),
    ],
)
def test_a_few_probes_find_what_speaks_for_and_against(make, pattern, ascends):
    keys = [make(number) for number in range(4000)]
    found = look(keys, History(keys=4000))
    assert found.calls <= PROBES_MAX
    assert found.pattern == pattern
    assert found.order.ascends == ascends
    assert found.keys == 4000
    split = look(keys, History(keys=4000, split_keys=tuple(sorted(keys)[::500])))
    assert split.calls <= PROBES_MAX
    assert split.order.ascends == ascends


def test_folders_that_lie_within_pages_are_counted_and_great_ones_are_not_multiplied():
    many = look([f"event {n // 10:05}/{n % 10}" for n in range(4000)], History(keys=4000))
    assert 350 < many.folders < 450
    assert look([f"all/{n:06}" for n in range(4000)], History(keys=1_000_000)).folders <= 2


def test_history_gives_lateness_misses_and_how_much_is_new():
    runs = [
        PastRun(StrategyName.FULL, NOW, ListingMetrics(new=9_999), {}),
        PastRun(StrategyName.PARTITIONED, NOW + timedelta(hours=1), ListingMetrics(new=10)),
        PastRun(
            StrategyName.PARTITIONED,
            NOW + timedelta(hours=2),
            ListingMetrics(new=30, lateness_max_s=77.0),
        ),
        PastRun(StrategyName.FULL, NOW + timedelta(hours=3), None, {"partitioned": 2}),
    ]
    found = look(["a"], History(runs=runs, event_queue=True))
    assert found.missed == {"partitioned": 2}
    assert (found.audits, found.new_per_run, found.lateness_max_s) == (2, 20.0, 77.0)
    assert found.event_queue


def test_a_directory_bucket_is_not_probed_by_key_order():
    found = gather_evidence(MemoryStore(), S3Url("x--use1-az4--x-s3"), FixedClock(NOW))
    assert (found.calls, found.ordered) == (0, False)
    assert "does not list in the order" in candidate(plan_strategy(found), "partitioned").why[-1]


def test_a_bucket_that_is_not_there_is_an_error():
    with pytest.raises(BucketNotFoundError):
        gather_evidence(MemoryStore(), S3Url("none"), FixedClock(NOW))


@pytest.mark.parametrize("answer", [one.id for question in QUESTIONS for one in question.answers])
def test_every_answer_leads_to_an_explained_strategy(answer):
    advice = advise(answer)
    assert len(advice.explanation) > 80
    partial = not GUARANTEES[advice.strategy].moves_claim
    assert advice.audit == partial
    assert advice.strategy not in advice.instead
    parse_settings(advice.strategy, advice.settings)


def test_the_four_answers_are_those_that_people_give():
    (question,) = QUESTIONS
    assert {one.id: str(advise(one.id).strategy) for one in question.answers} == {
        "append-only": "partitioned",
        "random-writes": "full",
        "real-time": "event_driven",
        "unsure": "full",
    }
    with pytest.raises(UsageError, match="not an answer"):
        advise("whatever")


def test_the_table_has_a_row_per_strategy():
    assert [row["strategy"] for row in guarantee_rows()] == [str(name) for name in StrategyName]
