"""incremental_lexical: what each run sees, what it costs, what it refuses (STR-3; facts 4.1)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from stocktake.errors import StrategyRefusedError
from stocktake.listing import ListingJob, start_strategy
from stocktake.model import S3Url
from stocktake.store import ListPage, StoreProfile
from stocktake.testing import MemoryStore
from strategy_world import NOW, StrategyWorld

DAY = 86_400.0


def lexical(**settings) -> StrategyWorld:
    return StrategyWorld("incremental_lexical", **{"lookback_keys": 2, "lookback": 0, **settings})


def names(count: int, prefix: str = "logs/", start: int = 0) -> list[str]:
    return [f"{prefix}{number:06}.gz" for number in range(start, start + count)]


def test_the_first_run_sees_everything_and_the_second_only_the_end():
    world = lexical()
    world.put(*names(2500))
    assert world.run() == names(2500)
    assert world.metrics.calls == {"page": 3}
    world.wait(minutes=5)
    world.put(*names(10, start=2500))
    assert world.run() == names(12, start=2498)
    assert world.metrics.calls == {"page": 2}
    assert world.metrics.new == 10


def test_late_lower_key_is_seen_within_the_lookback_in_keys():
    world = lexical(lookback_keys=5)
    world.put(*names(2000))
    world.run()
    world.wait(minutes=5)
    world.put("logs/001995.gz-late", "logs/001990.gz-too-late")
    found = world.run()
    assert "logs/001995.gz-late" in found
    assert "logs/001990.gz-too-late" not in found
    assert world.metrics.late == 1


def test_late_lower_key_is_seen_within_the_lookback_in_time():
    world = lexical(lookback_keys=0, lookback="1h")
    world.put(*names(1500))
    world.run()
    for step in range(1, 6):  # the end moves on by 1,000 keys each 20 minutes
        world.wait(minutes=20)
        world.put(*names(1000, start=500 + 1000 * step))
        if step == 5:  # in order 40 minutes ago, and visible only now
            world.put("logs/003999.gz-late")
        found = world.run()
    assert "logs/003999.gz-late" in found
    assert "logs/000000.gz" not in found
    assert world.metrics.lateness_max_s == pytest.approx(2400)


def test_a_run_that_comes_late_itself_does_not_shorten_the_lookback():
    world = lexical(lookback_keys=0, lookback="1h")
    world.put(*names(1500))
    world.wait(hours=3)
    world.run()
    world.wait(minutes=30)
    world.put(*names(1000, start=1500))
    world.run()
    world.wait(minutes=5)
    world.put("logs/001700.gz-late")  # in order 35 minutes before it appeared
    world.wait(days=4)  # and nobody looked for days
    assert "logs/001700.gz-late" in world.run()


def test_each_folder_is_an_ordering_domain_so_accounts_do_not_hide_each_other():
    world = lexical()
    world.put("logs/acct=1/0005", "logs/acct=2/0001")
    world.run()
    world.wait(minutes=5)
    world.put("logs/acct=1/0006", "logs/acct=2/0002")
    assert {"logs/acct=1/0006", "logs/acct=2/0002"} <= set(world.run())


def test_a_new_domain_that_sorts_before_the_known_ones_is_found():
    world = lexical()
    world.put("logs/acct=5/0005")
    world.run()
    world.wait(minutes=5)
    world.put("logs/acct=1/2026/0001", "logs/acct=1/0001", "aaa/first", "rootfile")
    assert set(world.run()) >= {
        "logs/acct=1/2026/0001",
        "logs/acct=1/0001",
        "aaa/first",
        "rootfile",
    }
    world.put("aaa/second", "logs/acct=1/2026/0002")
    assert set(world.run()) >= {"aaa/second", "logs/acct=1/2026/0002"}


def test_cursor_never_passes_an_unfinished_item():
    world = lexical(lookback_keys=0, settle="10m")
    world.put(*names(3))
    world.wait(minutes=11)
    world.put(*names(2, start=3))
    world.run()
    world.wait(minutes=5)
    world.put("logs/000003.gz", body=b"grew")  # written again while it was young
    assert world.run() == names(2, start=3)
    world.wait(minutes=9)
    assert world.run() == names(2, start=3)
    world.wait(minutes=2)
    assert world.run() == names(2, start=3)  # the last look, at finished objects
    assert world.run() == []


def test_an_object_that_is_too_small_holds_the_cursor_until_it_is_old():
    world = lexical(lookback_keys=0, size_min_bytes=1, unfinished_max="1h")
    world.put("logs/000000.gz")
    world.put("logs/000001.gz", body=b"")
    world.put("logs/000002.gz")
    for _ in range(3):
        world.run()
        world.wait(minutes=15)
        assert set(world.run()) == {"logs/000001.gz", "logs/000002.gz"}
    world.wait(minutes=30)
    world.run()
    assert world.run() == []


def test_a_run_that_was_not_committed_is_done_again():
    world = lexical()
    world.put(*names(5))
    world.run()
    world.put(*names(5, start=5))
    first = world.run(commit=False)
    assert world.run() == first


def test_overwrite_behind_the_cursor_is_left_to_the_audit():
    world = lexical()
    world.put(*names(1500))
    world.run()
    world.wait(minutes=5)
    world.put("logs/000000.gz", body=b"other")
    assert "logs/000000.gz" not in world.run()


def test_deleted_ends_do_not_confuse_the_cursor():
    world = lexical()
    world.put(*names(10))
    world.run()
    world.delete(*names(10, start=3))
    world.run()
    world.put(*names(2, start=10))
    assert set(world.run()) >= set(names(2, start=10))


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_domains_of_a_given_depth_need_no_walk_below(depth):
    world = lexical(domain_depth=depth)
    world.put(*(f"a/b/{day:03}/{number:04}" for day in range(20) for number in range(100)))
    world.run()
    world.wait(minutes=1)
    world.put("a/b/020/0000")
    assert "a/b/020/0000" in world.run()
    assert world.metrics.requests == depth + 1
    assert len(world.cursor["folders"]) == depth + 1


def test_domains_of_a_given_pattern():
    world = lexical(domain_pattern=r"acct=\d+/")
    world.put("acct=1/2026/01/x", "acct=2/2026/01/x", "other/deep/x")
    world.run()
    assert set(world.cursor["folders"]) == {"", "acct=1/", "acct=2/", "other/", "other/deep/"}
    world.put("acct=1/2026/02/y", "acct=3/z", "other/deep/y")
    assert set(world.run()) >= {"acct=1/2026/02/y", "acct=3/z", "other/deep/y"}


def hourly(first, count: int) -> list[str]:
    hours = (first + timedelta(hours=at) for at in range(count))
    return [f"logs/{hour:%Y/%m/%d/%H}/part-00000.gz" for hour in hours]


def test_stale_cursor_entries_are_compacted_and_the_cursor_stays_small():
    world = lexical(close_after="2d", start=NOW - timedelta(days=90))
    sizes, calls = [], []
    for day in range(90):
        for key in hourly(world.clock.now(), 24):
            world.put(key)
            world.wait(hours=1)
        world.run()
        sizes.append(len(json.dumps(world.cursor)))
        calls.append(world.metrics.requests)
        if day == 45:
            half = set(world.cursor["folders"])
    assert max(sizes[60:]) <= 2 * max(sizes[3:30])
    assert max(calls[60:]) <= 2 * max(calls[3:30])
    assert not half & {key for key in world.cursor["folders"] if key.count("/") == 5}
    # what comes into a closed folder is not promised; what comes into an open one is
    late = f"logs/{world.clock.now() - timedelta(hours=30):%Y/%m/%d/%H}/part-00001.gz"
    world.put(late)
    assert late in world.run()


def test_history_is_closed_in_the_first_run():
    world = lexical()
    for day in range(60):
        world.put(*(f"logs/{NOW - timedelta(days=60 - day):%Y/%m/%d}/{n:02}" for n in range(3)))
        world.wait(days=1)
    world.run()
    assert len(world.cursor["folders"]) < 20


def test_accounts_are_never_closed_although_they_are_numbers():
    world = lexical(close_after="1h")
    world.put("111111111111/x1", "222222222222/x1")
    world.run()
    world.wait(days=9)
    world.put("222222222222/x2")
    world.run()
    world.put("111111111111/x2")
    assert "111111111111/x2" in world.run()


def test_too_many_domains_are_refused_with_the_setting_that_helps():
    world = lexical(domains_max=5)
    world.put(*(f"event {at}/x" for at in range(10)))
    with pytest.raises(StrategyRefusedError, match="11 ordering domains") as caught:
        world.run()
    assert "domain_depth" in caught.value.hint


def test_part_10_below_part_9_is_refused_and_can_be_forced():
    world = lexical()
    world.put(*(f"logs/part-{number}" for number in range(1, 10)))
    world.run()
    assert "a tenth one" in world.warnings[0]
    world.put("logs/part-10")
    world.cursor = {}
    with pytest.raises(StrategyRefusedError, match="part-10` sorts before"):
        world.run()
    forced = lexical(force=True)
    forced.store = world.store
    assert "logs/part-10" in forced.run()
    assert "forced, although" in forced.warnings[0]


def test_offset_times_are_refused():
    world = lexical()
    world.put("l/2026-10-25T02:30:00+02:00", "l/2026-10-25T02:10:00+01:00")
    with pytest.raises(StrategyRefusedError, match="offset from UTC"):
        world.run()


def test_random_names_are_refused_because_history_shows_them_late():
    world = lexical(lookback="10m")
    for at in range(200):
        world.put(f"l/{(at * 7919) % 1000:03}")
        world.wait(minutes=5)
    with pytest.raises(StrategyRefusedError, match="do not follow time"):
        world.run()


def test_directory_buckets_are_refused():
    job = ListingJob(MemoryStore(), S3Url("fast--use1-az4--x-s3"), lexical().clock)
    with pytest.raises(StrategyRefusedError, match="directory bucket"):
        start_strategy("incremental_lexical", job)


@pytest.mark.parametrize("lacks", ["ordered", "start_after"])
def test_a_store_that_lists_unordered_is_refused_by_its_profile(lacks):
    able = dict.fromkeys(StoreProfile.__dataclass_fields__, True) | {"versioning": None}
    profile = StoreProfile(**{**able, lacks: False})
    job = ListingJob(MemoryStore(), S3Url("bucket"), lexical().clock, profile=profile)
    with pytest.raises(StrategyRefusedError, match="by key order"):
        start_strategy("incremental_lexical", job)


def test_a_store_that_lists_unordered_is_caught_by_its_pages():
    class Shuffled(MemoryStore):
        def list_page(self, query):
            page = super().list_page(query)
            return ListPage(tuple(reversed(page.objects)), page.prefixes, page.next_token)

    world = lexical()
    world.store = Shuffled(clock=world.clock)
    world.store.describe("CreateBucket", "b")
    world.put("a", "b")
    with pytest.raises(StrategyRefusedError, match="by key order"):
        world.run()


def test_keys_with_control_characters_survive_the_cursor():
    world = lexical()
    odd = ["a%b/\x00\x01x", "a%b/\U0001f600", "d//e", "d/../f"]
    world.put(*odd)
    assert set(world.run()) == set(odd)
    assert "\\u0000" not in json.dumps(world.cursor)
    world.put("a%b/\U0001f601", "d//f")
    assert set(world.run()) >= {"a%b/\U0001f601", "d//f"}


def test_a_prefix_that_is_no_folder():
    world = lexical(prefix="logs/app-")
    world.put("logs/app-1/x1", "logs/app-2/x1", "logs/b/x", "logs/app-0")
    assert set(world.run()) == {"logs/app-1/x1", "logs/app-2/x1", "logs/app-0"}
    world.put("logs/app-1/x2", "logs/app-3/x1", "logs/app-4")
    assert set(world.run()) >= {"logs/app-1/x2", "logs/app-3/x1", "logs/app-4"}


def test_passed_ranges_say_since_when():
    world = lexical(lookback="10m")
    world.put(*names(3))
    world.wait(hours=1)
    world.run()
    assert world.passed == [("logs/000002.gz", world.clock.now() - timedelta(minutes=10))]
    world.put("logs/000003.gz")
    world.run()
    assert world.passed[-1] == ("logs/000003.gz", world.clock.now())
