"""partitioned: windows, time zones, late and odd partitions (STR-4; facts 4.1, partitioned)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from stocktake.errors import InvalidSettingError, StrategyRefusedError
from strategy_world import NOW, StrategyWorld


def daily(world, days: int, template: str, *, files: int = 1, last: datetime = NOW) -> None:
    for at in range(days):
        day = last - timedelta(days=at)
        world.put(*(f"{day:{template}}/part-{number:05}" for number in range(files)))


def partitioned(**settings) -> StrategyWorld:
    return StrategyWorld("partitioned", **settings)


@pytest.mark.parametrize(
    ("folder", "pattern"),
    [
        ("t/dt={0:%Y-%m-%d}", "*/dt=%Y-%m-%d"),
        ("t/dt={0:%Y-%m-%d}/hour={0:%H}", "*/dt=%Y-%m-%d/hour=%H"),
        ("{0:%Y/%m/%d}", "%Y/%m/%d"),
        ("{0:%Y/%m/%d/%H}", "%Y/%m/%d/%H"),
        ("{0:%Y%m%d}", "%Y%m%d"),
        ("a/b/year={0:%Y}/month={0:%m}/day={0:%d}", "*/*/year=%Y/month=%m/day=%d"),
        ("t/year={0.year}/month={0.month}/day={0.day}", "*/year=%Y/month=%-m/day=%-d"),
        ("ts={0:%Y-%m-%d} {0:%H}%3A00%3A00", "ts=%Y-%m-%d %H:%M:%S"),
        ("{0:%Y-%m-%d-%H}", "%Y-%m-%d-%H"),
        ("t/dt={0:%Y-%m-%d}/region=eu", "*/dt=%Y-%m-%d"),
    ],
)
def test_layouts_are_found_out_and_new_files_of_today_seen(folder, pattern):
    world = partitioned()
    for hour in range(0, 24 * 60, 7):
        world.put(folder.format(NOW - timedelta(hours=hour)) + "/a")
    assert set(world.run()) == world.present()
    assert world.cursor["pattern"] == pattern
    before = world.present()
    world.wait(hours=6)
    new = [folder.format(world.clock.now()) + "/b", folder.format(NOW - timedelta(hours=20)) + "/b"]
    world.put(*new)
    found = set(world.run())
    assert set(new) <= found
    assert len(found & before) < len(before) / 4


def test_only_the_window_is_listed():
    world = partitioned(lookback="2d")
    daily(world, 400, "dt=%Y-%m-%d", files=10)
    world.run()
    assert world.metrics.calls == {"page": 4}
    world.wait(minutes=5)
    assert len(world.run()) == 30
    assert world.metrics.calls == {"probe": 1, "page": 3}


def test_partitions_that_were_in_the_window_at_the_last_run_are_listed_however_long_ago():
    world = partitioned(lookback="1d")
    daily(world, 30, "%Y/%m/%d")
    world.run()
    world.put("2026/03/02/after-the-run")
    world.wait(days=12)
    assert "2026/03/02/after-the-run" in world.run()


@pytest.mark.parametrize("template", ["dt=%Y-%m-%d", "%Y/%m/%d", "year=%Y/month=%m/day=%d"])
def test_late_partitions_beyond_the_lookback_are_found(template):
    world = partitioned()
    daily(world, 60, template)
    daily(world, 5, template, last=NOW - timedelta(days=70))
    world.run()
    world.wait(hours=1)
    late = [
        f"{NOW - timedelta(days=61):{template}}/late",
        f"{NOW - timedelta(days=800):{template}}/late",
    ]
    world.put(*late)
    assert set(late) <= set(world.run())
    assert any("appeared outside of the window" in text for text in world.warnings)
    assert world.metrics.late == 2
    assert not set(late) & set(world.run())


def test_future_dated_partitions_are_found_when_they_appear_and_again_when_their_time_comes():
    world = partitioned(horizon="1d", lookback="1d")
    daily(world, 30, "%Y/%m/%d")
    world.run()
    world.put("2026/03/30/early", "2027/01/01/early")
    assert {"2026/03/30/early", "2027/01/01/early"} <= set(world.run())
    for _ in range(28):
        world.wait(days=1)
        world.run()
    world.put("2026/03/30/in-time")
    assert "2026/03/30/in-time" in world.run()


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati", "Asia/Kolkata"])
def test_partitions_named_in_a_zone_are_listed_by_its_clock(zone):
    from zoneinfo import ZoneInfo

    world = partitioned(time_zone=zone, lookback="1h", horizon=0)
    here = ZoneInfo(zone)
    world.put(
        *(f"{(NOW - timedelta(hours=at)).astimezone(here):%Y/%m/%d/%H}/a" for at in range(99))
    )
    world.run()
    for _ in range(30):
        world.wait(minutes=59)
        new = f"{world.clock.now().astimezone(here):%Y/%m/%d/%H}/{world.clock.now():%H%M}"
        world.put(new)
        assert new in world.run()


@pytest.mark.parametrize(
    "start", [datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 10, 24, 22, tzinfo=UTC)]
)
def test_clocks_that_change_hide_nothing(start):
    from zoneinfo import ZoneInfo

    here = ZoneInfo("Europe/Berlin")
    world = partitioned(time_zone="Europe/Berlin", lookback=0, horizon=0, start=start)
    world.put(
        *(f"{(start - timedelta(hours=at)).astimezone(here):%Y-%m-%d-%H}/a" for at in range(9))
    )
    world.run()
    for _ in range(20):
        world.wait(minutes=30)
        new = f"{world.clock.now().astimezone(here):%Y-%m-%d-%H}/{world.clock.now():%H%M}"
        world.put(new)
        assert new in world.run()


def test_hive_null_partition_is_listed_every_time():
    world = partitioned()
    daily(world, 30, "dt=%Y-%m-%d")
    world.put("dt=__HIVE_DEFAULT_PARTITION__/a")
    world.run()
    assert world.cursor["strays"] == ["dt=__HIVE_DEFAULT_PARTITION__/"]
    world.put("dt=__HIVE_DEFAULT_PARTITION__/b")
    assert "dt=__HIVE_DEFAULT_PARTITION__/b" in world.run()


def test_another_case_of_the_column_is_another_chain_of_partitions():
    world = partitioned()
    daily(world, 30, "dt=%Y-%m-%d")
    daily(world, 2, "DT=%Y-%m-%d")
    world.run()
    old = f"DT={NOW - timedelta(days=20):%Y-%m-%d}/x"
    world.put(f"DT={NOW:%Y-%m-%d}/new", old)
    assert {f"DT={NOW:%Y-%m-%d}/new", old} <= set(world.run())


def test_encoded_values_are_read():
    world = partitioned(lookback="1h", horizon=0)
    hours = [NOW - timedelta(hours=at) for at in range(48)]
    world.put(*(f"ts={hour:%Y-%m-%d %H}%3A00%3A00/a" for hour in hours))
    world.run()
    world.put(f"ts={NOW:%Y-%m-%d %H}%3A00%3A00/b", f"ts={NOW:%Y-%m-%d %H}:00:00/c")
    assert (
        len(
            set(world.run())
            & {f"ts={NOW:%Y-%m-%d %H}%3A00%3A00/b", f"ts={NOW:%Y-%m-%d %H}:00:00/c"}
        )
        == 2
    )


def test_a_new_partition_column_is_noticed_above_and_below():
    world = partitioned()
    daily(world, 30, "dt=%Y-%m-%d")
    world.run()
    world.put(f"dt={NOW:%Y-%m-%d}/region=eu/a", "tenant=7/dt=2026-01-01/a")
    assert {f"dt={NOW:%Y-%m-%d}/region=eu/a", "tenant=7/dt=2026-01-01/a"} <= set(world.run())
    assert [text for text in world.warnings if "column" in text] == [
        "new partition column `region`",
        "new partition column `tenant`",
    ]
    world.put("tenant=7/dt=2026-01-02/b")
    assert "tenant=7/dt=2026-01-02/b" in world.run()


def test_a_new_account_above_the_dates_is_found():
    world = partitioned()
    for account in ("111", "222"):
        daily(world, 40, f"AWSLogs/{account}/%Y/%m/%d")
    world.run()
    world.put("AWSLogs/000/2026/03/02/a", "AWSLogs/333/2025/03/02/a")
    assert {"AWSLogs/000/2026/03/02/a", "AWSLogs/333/2025/03/02/a"} <= set(world.run())


def test_thousands_of_partitions_are_swept_within_the_budget():
    world = partitioned(late_calls=2)
    daily(world, 4000, "dt=%Y-%m-%d")
    world.run()
    assert world.cursor["known"] == {"dt=%25Y-%25m-%25d": [[735678, 739677]]}
    late = "dt=2018-05-05/late"
    world.delete("dt=2018-05-05/part-00000")
    world.cursor["known"] = {"dt=%25Y-%25m-%25d": [[735678, 736818], [736820, 739677]]}
    world.put(late)
    runs = 0
    while late not in world.run():
        assert world.metrics.requests <= 2 + 1 + 3
        runs += 1
        assert runs < 4
    world.put("dt=2018-05-05/later")  # in a known, old partition: only an audit finds it
    assert all("dt=2018-05-05/later" not in world.run() for _ in range(4))


def test_old_months_are_swept_in_turn():
    world = partitioned(late_calls=3)
    daily(world, 1000, "%Y/%m/%d")
    world.run()
    late = f"{NOW - timedelta(days=1030):%Y/%m/%d}/late"  # a new day in a known month? a new month
    world.put(late)
    runs = 0
    while late not in world.run():
        assert world.metrics.requests < 15
        runs += 1
        assert runs < 25
    for _ in range(30):
        world.run()
    assert late not in world.run()


def test_files_beside_the_partitions_are_seen():
    world = partitioned()
    daily(world, 30, "t/dt=%Y-%m-%d")
    world.run()
    world.put("t/_SUCCESS", "README")
    assert {"t/_SUCCESS", "README"} <= set(world.run())


def test_a_given_pattern_wins_and_another_one_starts_anew():
    world = partitioned(pattern="logs/%Y/%m")
    daily(world, 100, "logs/%Y/%m/%d")
    assert len(world.run()) == 100
    assert world.cursor["pattern"] == "logs/%Y/%m"
    world.settings["pattern"] = "logs/%Y/%m/%d"
    assert len(world.run()) == 100
    assert len(world.run()) == 3


def test_given_partition_columns_choose_among_several_dates():
    world = partitioned(partition_columns="event_date")
    for at in range(20):
        day = NOW - timedelta(days=at)
        world.put(f"load_date=2026-01-01/event_date={day:%Y-%m-%d}/a")
    world.run()
    assert world.cursor["pattern"] == "*/event_date=%Y-%m-%d"


@pytest.mark.parametrize("keys", [["a/b/c", "d/e"], ["x", "y"], []])
def test_names_without_dates_are_refused(keys):
    world = partitioned()
    world.put(*keys)
    with pytest.raises(StrategyRefusedError, match="no dates"):
        world.run()


def test_too_many_folders_without_a_date_are_refused():
    world = partitioned(strays_max=3)
    daily(world, 300, "dt=%Y-%m-%d")
    world.put(*(f"tmp{at}/x" for at in range(5)))
    with pytest.raises(StrategyRefusedError, match="4 folders without a date"):
        world.run()


@pytest.mark.parametrize("pattern", ["%m/%d", "%Y/%Y", "%Y/%d", "dt=%q", "abc", "%Y-%m-%d/%m"])
def test_wrong_patterns_are_refused(pattern):
    with pytest.raises(InvalidSettingError, match="not a partition pattern"):
        partitioned(pattern=pattern).run()


def test_the_cursor_is_small_json():
    world = partitioned()
    for hour in range(24 * 200):
        world.put(f"t/{NOW - timedelta(hours=hour):%Y/%m/%d/%H}/a")
    world.run()
    assert len(json.dumps(world.cursor)) < 300


def test_passed_partitions_end_before_the_window():
    world = partitioned(lookback="2d")
    daily(world, 30, "dt=%Y-%m-%d")
    world.run()
    assert world.passed == [("dt=2026-02-27/\U0010ffff", NOW)]
