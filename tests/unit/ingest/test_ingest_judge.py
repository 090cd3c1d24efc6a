"""Which objects a consumer loads, by which rule (ING-1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest_world import BUCKET, World, seqs
from stocktake.clock import FixedClock
from stocktake.errors import InvalidSettingError
from stocktake.ingest import Filters, IngestionSpec, OverwritePolicy
from stocktake.ingest._change import Change
from stocktake.ingest._globs import glob_regex
from stocktake.ingest._judge import Judge, namer
from stocktake.ingest._spec_json import spec_from_json, spec_to_json
from stocktake.listing import StrategyName
from stocktake.model import S3Url

HOUR_MS = 3_600_000
NOW_MS = 1_000 * HOUR_MS


def rule(key: str, *, change: str = "new", spec: dict[str, Any] | None = None, **more: Any) -> str:
    filters = Filters(**{k: more.pop(k) for k in list(more) if k in Filters.__dataclass_fields__})
    row = {
        "seq": 1,
        "change": change,
        "key": key,
        "version_id": None,
        "size_bytes": 10,
        "etag": "e",
        "modified_ms": NOW_MS - HOUR_MS,
        "observed_ms": NOW_MS,
    } | more
    judge = Judge(IngestionSpec("it", S3Url(BUCKET, "in/"), filters=filters, **(spec or {})))
    return judge.judge(Change(**row), NOW_MS).rule


@pytest.mark.parametrize(
    ("glob", "matches", "does_not"),
    [
        ("*.csv", ["a.csv", "x/y/a.csv"], ["a.csv.gz", "csv"]),
        ("x/*.csv", ["x/a.csv"], ["x/y/a.csv", "a.csv"]),
        ("x/**/*.csv", ["x/a.csv", "x/y/z/a.csv"], ["y/a.csv"]),
        ("x/**", ["x/a", "x/y/a", "x/a\nb"], ["y/a"]),
        ("**/day=1[0-2]/*", ["day=10/a", "p/q/day=12/b"], ["day=13/a", "day=10/a/b"]),
        ("a?[!b]", ["axc"], ["axb", "ax/"]),
        ("a[]x]", ["a]", "ax"], ["a["]),
        ("a+(b).c", ["a+(b).c"], ["aab.c"]),
    ],
)
def test_globs(glob: str, matches: list[str], does_not: list[str]) -> None:
    pattern = glob_regex(glob)
    assert [name for name in matches if pattern.fullmatch(name)] == matches
    assert [name for name in does_not if pattern.fullmatch(name)] == []


@pytest.mark.parametrize("glob", ["", "a[b", "[z-a]", "x" * 2000])
def test_globs_that_mean_nothing_are_refused(glob: str, world: World) -> None:
    with pytest.raises(InvalidSettingError):
        world.ingestion(filters=Filters(include=(glob,)))


def test_globs_are_about_the_key_below_the_source() -> None:
    names = [namer(prefix)("data/a/b") for prefix in ("", "data/", "data", "da", "data/a")]
    assert names == ["data/a/b", "a/b", "a/b", "data/a/b", "b"]
    assert rule("in/2020/x.csv", include=("2020/*.csv",)) == "include"
    assert rule("in/2020/x.csv", include=("in/2020/*.csv",)) == "not-included"
    assert rule("in/2020/x.csv", exclude=("2020/**",), include=("*.csv",)) == "exclude"


@pytest.mark.parametrize(
    "name",
    [
        "dir/",
        "_SUCCESS",
        "out/_SUCCESS",
        "out/.part-0.crc",
        "out/part-0.crc",
        "_temporary/0/part-0",
        "out/_temporary/0/part-0",
        ".hidden",
        "out/.spark-staging/part-0",
    ],
)
def test_noise_files_are_left_out_and_visible_in_explain(name: str, world: World) -> None:
    """Facts 4.1, any: zero-byte `dir/` markers, `_SUCCESS`, `.crc`, `_temporary`, dot files."""
    assert rule(f"in/{name}", size_bytes=0) == "noise"
    assert rule(f"in/{name}", size_bytes=0, ignore_noise=False) == "all"
    seq = world.feed.add(f"in/{name}", size_bytes=0)
    world.feed.add("in/data")
    ingestion = world.ingestion(prefix="in/")
    assert seqs(ingestion.next_batch()) == [2]
    change = ingestion.explain(f"in/{name}").changes[0]
    assert (change.seq, change.state, change.rule) == (seq, "skipped", "noise")
    assert "it is not data" in change.sentence()


def test_what_only_looks_like_noise_is_data() -> None:
    names = ("a_SUCCESS", "dir/x", "a.crc32", "my_temporary/x", "a.b", "dir./x")
    assert {rule(f"in/{name}") for name in names} == {"all"}
    # an object with data whose key ends in a slash
    assert rule("in/dir/", size_bytes=3) == "all"


def test_sizes_and_times() -> None:
    assert rule("in/a", size_min_bytes=11) == "size-min"
    assert rule("in/a", size_max_bytes=9) == "size-max"
    assert rule("in/a", size_min_bytes=10, size_max_bytes=10) == "all"
    hour_ago = datetime.fromtimestamp(NOW_MS / 1000, UTC) - timedelta(hours=1)
    assert rule("in/a", modified_after=hour_ago) == "all"
    assert rule("in/a", modified_after=hour_ago + timedelta(seconds=1)) == "modified-after"
    assert rule("in/a", modified_before=hour_ago) == "modified-before"
    assert rule("in/a", modified_before=hour_ago + timedelta(seconds=1)) == "all"


def test_what_is_not_known_holds_nothing_back() -> None:
    """An event may tell neither size nor time: unknown is never 0."""
    assert rule("in/a", size_bytes=None, size_min_bytes=1, size_max_bytes=0) == "all"
    assert rule("in/a", modified_ms=None, modified_after=datetime.max.replace(tzinfo=UTC)) == "all"


def test_deletions_are_skipped_unless_asked_for(world: World) -> None:
    world.feed.add("k")
    world.feed.add("k", "deleted")
    silent = world.ingestion("silent")
    batch = silent.next_batch()
    assert seqs(batch) == [1]
    assert silent.explain("k").changes[1].rule == "deletion"
    told = world.ingestion("told", deletions=True).next_batch()
    assert told is not None
    assert [(item.seq, item.deleted) for item in told.items] == [(1, False), (2, True)]


def test_young_objects_wait_and_the_watermark_with_them(world: World, clock: FixedClock) -> None:
    """`settle`: not settled, not claimed, never passed."""
    ingestion = world.ingestion(filters=Filters(settle_s=60))
    world.feed.add("young")
    old = world.clock.now() - timedelta(hours=1)
    world.feed.add("old", last_modified=old.replace(tzinfo=None))
    batch = ingestion.next_batch()
    assert seqs(batch) == [2]
    assert batch is not None
    batch.commit()
    assert ingestion.next_batch() is None
    assert ingestion.status().low_seq == 0
    assert ingestion.explain("young").changes[0].rule == "settle"
    clock.advance(61)
    assert seqs(ingestion.next_batch()) == [1]


def test_skipped_numbers_are_settled_without_rows(world: World) -> None:
    for n in range(300):
        world.feed.add(f"k{n}.{'csv' if n % 3 == 0 else 'tmp'}")
    ingestion = world.ingestion(filters=Filters(include=("*.csv",)))
    for batch in ingestion.batches():
        batch.commit()
    status = ingestion.status()
    assert (status.low_seq, status.files, status.files_outstanding) == (300, 100, 0)


def test_specification_survives_its_json() -> None:
    spec = IngestionSpec(
        name="x",
        source=S3Url(BUCKET, "p q/"),
        strategy=StrategyName.PARTITIONED,
        strategy_settings={"zone": "UTC"},
        filters=Filters(
            include=("*.a",), modified_after=datetime(2026, 1, 1, tzinfo=UTC), settle_s=3
        ),
        overwrite=OverwritePolicy.LATEST_ONLY,
        sink={"kind": "duckdb"},
        max_age=timedelta(minutes=5),
        audit_every=timedelta(days=1),
        deletions=True,
    )
    assert spec_from_json(spec_to_json(spec)) == spec


@pytest.mark.parametrize(
    "bad",
    [{"files_max": 0}, {"attempts_max": 0}, {"lease": timedelta(0)}, {"name": ""}, {"name": "a\n"}],
)
def test_specification_that_cannot_work_is_refused(world: World, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingError):
        world.ingestion(**bad)
