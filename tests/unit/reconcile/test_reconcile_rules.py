"""REC-1, REC-2: expectations of a rules file, counted and by sample."""

from __future__ import annotations

from datetime import timedelta

import pytest

from key_list_store import KeyListStore
from reconcile_world import NOW, World, kinds, listed
from stocktake.reconcile import Bounds, Rule, ScanMode, Severity, ShouldKind, Verdict


@pytest.fixture
def run(world, store):
    def run(*rules: Rule, **more):
        return world.run(
            "s3://have/p/",
            "rules.yaml",
            should__kind=ShouldKind.RULES,
            should__rules=rules,
            **more,
        )

    return run


def verdicts(report) -> dict[str, str]:
    return {f"{one.rule}.{one.expectation}": str(one.verdict) for one in report.rules}


def test_numbers_below_above_and_within_what_is_expected(run, store):
    store.fill(
        "have", [listed(f"p/a/{n}", 10) for n in range(5)] + [listed("q/a/1"), listed("p/b")]
    )
    report = run(
        Rule("few", "a/", objects=Bounds(6, None)),
        Rule("many", "a/", objects=Bounds(None, 4)),
        Rule("right", "a/", objects=Bounds(5, 5), bytes=Bounds(50, 50)),
        Rule("small", "a/", bytes=Bounds(51, None)),
        Rule("none", "c/", objects=Bounds(1, None)),
        Rule("all", "", objects=Bounds(6, 6)),
    )
    assert verdicts(report) == {
        "few.objects": "violated",
        "many.objects": "violated",
        "right.objects": "held",
        "right.bytes": "held",
        "small.bytes": "violated",
        "none.objects": "violated",
        "all.objects": "held",
    }
    found = {one.rule: (str(one.kind), str(one.severity)) for one in report.findings}
    assert found == {
        "few": ("below-expected", "HIGH"),
        "many": ("above-expected", "MEDIUM"),
        "small": ("below-expected", "HIGH"),
        "none": ("below-expected", "CRITICAL"),
    }
    assert report.exit_code == 4
    assert [(one.prefix, one.percent) for one in report.coverage] == [
        ("", 100.0),
        ("a/", 100.0),
        ("c/", 0.0),
    ]


def test_the_newest_object_must_be_young_enough(run, store):
    hour = timedelta(hours=1)
    store.fill(
        "have",
        [listed("p/old/1", last_modified=NOW - 3 * hour), listed("p/new/1", last_modified=NOW)],
    )
    report = run(
        Rule("old", "old/", max_age_s=2 * 3600),
        Rule("new", "new/", max_age_s=2 * 3600),
        Rule("nothing", "no/", max_age_s=2 * 3600),
    )
    assert [str(one.verdict) for one in report.rules] == ["violated", "held", "violated"]
    assert {one.rule: str(one.kind) for one in report.findings} == {
        "old": "stale",
        "nothing": "stale",
    }


def test_names_classes_and_empty_objects(run, store):
    store.fill(
        "have",
        [
            listed("p/d/a.parquet"),
            listed("p/d/b.csv"),
            listed("p/d/sub/c.parquet"),
            listed("p/d/empty.parquet", 0),
            listed("p/d/z.parquet", storage_class="GLACIER"),
        ],
    )
    report = run(
        Rule(
            "shape",
            "d/",
            patterns=("*.parquet",),
            required=("_SUCCESS", "a.*"),
            storage_classes=("STANDARD",),
            allow_empty=False,
        )
    )
    assert kinds(report) == {
        "d/b.csv": "pattern",
        "d/sub/c.parquet": "pattern",
        "d/empty.parquet": "empty",
        "d/z.parquet": "wrong-class",
    }
    assert [one.why for one in report.findings if one.is_prefix] == ["there is none like _SUCCESS"]
    assert {one.have_key for one in report.findings if one.key == "d/b.csv"} == {"p/d/b.csv"}


def test_a_rule_may_say_how_bad_it_is(run, store):
    store.fill("have", [])
    report = run(Rule("a", "a/", objects=Bounds(1, None), severity=Severity.LOW))
    assert [one.severity for one in report.findings] == [Severity.LOW]


def test_rules_are_checked_beside_another_side_too(world, store):
    store.fill("have", [listed("a")])
    store.fill("should", [listed("a")])
    report = world.run(should__rules=(Rule("more", "", objects=Bounds(2, None)),))
    assert (report.totals.identical, report.findings[0].rule) == (1, "more")


@pytest.fixture
def sampled(tmp_path):
    worlds = []

    def run(keys, *rules, probes=48, **more):
        world = World(tmp_path / str(len(worlds)), KeyListStore(keys, **more))
        worlds.append(world)
        return world.run(
            "s3://have/",
            "rules.yaml",
            should__kind=ShouldKind.RULES,
            should__rules=rules,
            have__mode=ScanMode.SAMPLE,
            have__probes=probes,
        )

    yield run
    for world in worlds:
        world.catalog.close()


def test_a_sample_decides_only_what_its_interval_says(sampled):
    keys = [f"d/{n:07}" for n in range(150_000)]
    report = sampled(
        keys,
        Rule("few", "d/", objects=Bounds(450_000, None)),
        Rule("many", "d/", objects=Bounds(None, 50_000)),
        Rule("right", "d/", objects=Bounds(50_000, 450_000)),
        Rule("close", "d/", objects=Bounds(150_000, 150_000)),
    )
    assert verdicts(report) == {
        "few.objects": "violated",
        "many.objects": "violated",
        "right.objects": "held",
        "close.objects": "undecided",
    }
    assert report.mode is ScanMode.SAMPLE
    estimate = report.rules[3].estimate
    assert estimate.low <= 150_000 <= estimate.high
    assert report.calls_saved > 200
    assert report.have.requests["LIST"] < 4 * 80
    assert {one.rule for one in report.findings} == {"few", "many"}


def test_a_sample_never_says_that_there_is_none_of_something(sampled):
    keys = [f"d/{n:07}.csv" for n in range(120_000)]
    report = sampled(
        keys,
        Rule("names", "d/", patterns=("*.csv",), required=("_SUCCESS",), allow_empty=False),
        Rule("wrong", "d/", patterns=("*.parquet",)),
        Rule("age", "d/", max_age_s=60),
    )
    assert verdicts(report) == {
        "names.required": "undecided",
        "names.patterns": "undecided",
        "names.empty": "undecided",
        "wrong.patterns": "violated",
        "age.max_age": "undecided",
    }
    assert report.rules[3].verdict is Verdict.VIOLATED
    assert report.by_severity[Severity.LOW] > 1_000


def test_a_small_bucket_is_counted_exactly_by_a_sample_and_every_rule_decided(sampled):
    keys = [f"d/{n:04}.csv" for n in range(900)]
    report = sampled(
        keys,
        Rule("all", "d/", objects=Bounds(900, 900), patterns=("*.csv",), required=("_SUCCESS",)),
    )
    assert verdicts(report) == {
        "all.objects": "held",
        "all.required": "violated",
        "all.patterns": "held",
    }
    assert report.rules[0].estimate is None
    assert report.have.requests == {"LIST": 1}


def test_no_object_is_looked_at_twice_by_a_sample(sampled):
    keys = [f"{n % 7}/{n:07}.csv" for n in range(5_000)]
    report = sampled(keys, Rule("wrong", "", patterns=("*.parquet",)), per_page=100, probes=200)
    assert report.by_severity[Severity.LOW] == 5_000


def test_every_object_that_offends_is_in_the_findings_file(run, store, tmp_path):
    store.fill("have", [listed(f"p/d/{n:05}.csv") for n in range(3_000)])
    file = tmp_path / "all.jsonl"
    rule = Rule("names", "d/", patterns=("*.parquet",))
    report = run(rule, findings_file=file, findings_max=5)
    assert (len(report.findings), report.findings_total) == (5, 3_000)
    assert len(file.read_text().splitlines()) == 3_000
    assert report.rules[0].found == "3000 of another name"


def test_many_rules_are_sampled_at_a_time_and_answer_as_one_after_the_other(sampled):
    keys = [f"{n % 12:02}/{n:07}.csv" for n in range(24_000)]
    rules = [
        Rule(f"{n:02}", f"{n:02}/", objects=Bounds(2_000, 2_000), patterns=("*.csv",))
        for n in range(12)
    ]
    report = sampled(keys, *rules)
    assert [one.rule for one in report.rules] == [f"{n:02}" for n in range(12) for _ in "12"]
    assert {str(one.verdict) for one in report.rules} == {"held"}
    assert report.have.objects == 24_000
    assert report.findings_total == 0
