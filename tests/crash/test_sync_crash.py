"""Synchronising and restoring, killed (-9) at every named point: MAN-2, MAN-3, MAN-4.

Nothing lost, nothing twice in a bucket that keeps versions, no upload left open, and in the end the
manifest says what is in the bucket, which is what is in the folder.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from postgres_server import PostgresServer
from stocktake import faults
from stocktake.clock import SystemClock
from stocktake.testing import FakeS3
from sync_world import Children, Ended, Host, SyncWorld

SYNC = [name for name in faults.POINTS if name.startswith(("sync.", "dataset."))]
RESTORE = [name for name in faults.POINTS if name.startswith("restore.")]
BATCHES = [SYNC[start::2] for start in range(2)]
RECOVERY = [
    ("sync.upload-intended", "sync.begun"),
    ("sync.upload-recorded", "sync.committing"),
    ("sync.part-sent", "sync.upload-recorded"),
    ("sync.complete-sent", "dataset.committing"),
    ("sync.put-sent", "sync.put-sent"),
    ("sync.deleting", "sync.deleted"),
]


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with closing(Children()) as children:
        yield children


@pytest.fixture
def world(tmp_path: Path, children: Children) -> Iterator[SyncWorld]:
    with FakeS3() as fake:
        yield SyncWorld(tmp_path, fake, children)


@pytest.fixture
def host(world: SyncWorld) -> Host:
    """A folder that was synchronised once."""
    host = world.host("folder")
    world.turn(host, "first")
    world.turn(host, "second", large=False)
    clean(world, host)
    return host


def clean(world: SyncWorld, host: Host) -> Ended:
    """A run that nobody disturbs, and everything is right after it."""
    ended = world.run(host)
    assert ended.status == 0, ended.errors
    assert ended.said["state"] == "done", ended.said
    world.check(host)
    return ended


def killed(world: SyncWorld, host: Host, point: str, what: str = "sync") -> None:
    ended = world.run(host, what, kill_at=point)
    assert ended.killed, f"{point} was not reached: {ended.output} {ended.errors[-2000:]}"
    world.check_always()


def test_undisturbed_sync_sends_everything_once(world: SyncWorld, host: Host) -> None:
    said = clean(world, host).said
    assert (said["uploaded"], said["identical"]) == (0, len(host.files))


@pytest.mark.parametrize("points", BATCHES, ids=["even", "odd"])
def test_killed_at_each_point_in_turn(points: list[str], world: SyncWorld, host: Host) -> None:
    """New, changed and deleted files before each kill, and one clean run after all of them."""
    for point in points:
        world.turn(host, point)
        killed(world, host, point)
    clean(world, host)


@pytest.mark.parametrize(("first", "second"), RECOVERY[1:2])
def test_killed_again_while_it_recovers(
    first: str, second: str, world: SyncWorld, host: Host
) -> None:
    world.turn(host, "more")
    killed(world, host, first)
    killed(world, host, second)
    clean(world, host)


def test_restore_killed_at_each_point_ends_whole(world: SyncWorld, host: Host) -> None:
    """MAN-4: never a file with a part of its bytes under its name, and no leftovers in the end."""
    target = world.host("target")
    for turn, point in enumerate(RESTORE):
        killed(world, target, f"{point}:{1 + turn // 2}", "restore")
        for name, body in target.found().items():
            assert name.endswith(".part") or body == host.files[name], name
    ended = world.run(target, "restore")
    assert ended.status == 0, ended.errors
    assert target.found() == host.files


@pytest.mark.parametrize("point", ["sync.committing", "sync.complete-sent"])
def test_files_that_change_after_a_kill_are_no_conflict(
    point: str, world: SyncWorld, host: Host
) -> None:
    """What we wrote ourselves and could not record is not somebody else's change."""
    world.turn(host, "more", large=point == "sync.complete-sent")
    before = host.files.keys() & set(world.recorded(host))
    changed = sorted(before)[0]
    world.write(host, changed, 90)
    killed(world, host, point)
    for name in [changed, *(name for name in host.files if name.startswith("more/"))]:
        world.write(host, name, 91)
    said = clean(world, host).said
    assert (said["conflicts"], said["findings"]) == (0, [])


def test_unfinished_download_is_removed_though_another_folder_was_synchronised_since(
    world: SyncWorld, host: Host
) -> None:
    """The sync of any folder ends the runs of dead processes; the leftovers are in one."""
    other = world.host("other")
    ended = world.run(other, two_way=True, delete=False, kill_at="restore.part-written")
    assert ended.killed, ended.errors
    assert [name for name in other.found() if name.endswith(".part")]
    assert world.run(host, delete=False).status == 0
    assert world.run(other, two_way=True, delete=False).status == 0
    other.files = dict(host.files)
    world.check(host, other)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("point", SYNC)
def test_four_kills_at_later_turns_of_each_point(point: str, world: SyncWorld, host: Host) -> None:
    dice = random.Random(point)
    kills = 0
    for number in range(12):
        if kills == 4:
            break
        world.turn(host, f"turn-{number}")
        turn = 1 if kills == 0 else dice.randint(1, 4)
        ended = world.run(host, kill_at=f"{point}:{turn}")
        kills += ended.killed
        world.check_always()
    assert kills > 0
    clean(world, host)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("first", "second"), RECOVERY)
def test_three_rounds_of_kills_while_it_recovers(
    first: str, second: str, world: SyncWorld, host: Host
) -> None:
    for number in range(3):
        world.turn(host, f"turn-{number}")
        killed(world, host, first)
        killed(world, host, second)
    clean(world, host)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments(seed: int, world: SyncWorld, host: Host) -> None:
    dice, clock = random.Random(seed), SystemClock()
    kills = 0
    for number in range(20):
        world.turn(host, f"turn-{number}", large=number % 2 == 0)
        process = world.start(host)
        clock.sleep(dice.uniform(0.02, 0.6))
        process.kill()
        kills += world.children.wait(process).killed
        world.check_always()
    assert kills >= 10
    clean(world, host)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(3))
def test_two_way_sync_killed_at_random_points(seed: int, world: SyncWorld, host: Host) -> None:
    """A second folder receives what the first one sends, and sends its own."""
    dice = random.Random(seed)
    other = world.host("other")
    points = [*SYNC, *RESTORE]
    for number in range(12):
        world.write(host, f"of-host/{number}.txt", 50)
        world.write(other, f"of-other/{number}.txt", 50)
        for one in (host, other):
            point = f"{dice.choice(points)}:{dice.randint(1, 3)}"
            world.run(one, two_way=True, delete=False, kill_at=point)
            world.check_always()
    for _ in range(2):
        for one in (host, other):
            ended = world.run(one, two_way=True, delete=False)
            assert ended.status == 0, ended.errors
    everything = host.files | other.files
    host.files = other.files = everything
    world.check(host, other)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(3))
def test_two_writers_killed_at_random_moments_lose_no_entry(seed: int, world: SyncWorld) -> None:
    """MAN-2: two folders, one manifest, both at once; some files are in both."""
    two_writers(world, random.Random(seed), rounds=8)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_writers_on_postgresql_lose_no_entry(
    tmp_path: Path, children: Children, postgres: PostgresServer
) -> None:
    with FakeS3() as fake:
        world = SyncWorld(tmp_path, fake, children, database=postgres.new_database())
        two_writers(world, random.Random(7), rounds=5)


def two_writers(world: SyncWorld, dice: random.Random, rounds: int) -> None:
    clock = SystemClock()
    hosts = [world.host("a"), world.host("b")]
    kills = 0
    for number in range(rounds):
        for host in hosts:
            world.turn_of_new_files(host, number)
        world.write(hosts[0], f"both/{number}.txt", 60)
        hosts[1].write(f"both/{number}.txt", hosts[0].files[f"both/{number}.txt"])
        processes = [world.start(host, delete=False) for host in hosts]
        for process in dice.sample(processes, dice.randint(1, 2)):
            clock.sleep(dice.uniform(0.05, 0.3))
            process.kill()
        for process in processes:
            kills += world.children.wait(process).killed
        world.check_always()
    assert kills >= rounds // 2
    for _ in range(2):
        for host in hosts:
            ended = world.run(host, delete=False)
            assert ended.status == 0, ended.errors
            assert ended.said["conflicts"] == 0, ended.said
    files = hosts[0].files | hosts[1].files
    world.check_bucket(files)
    world.check_nothing_open()
    assert len(world.records()) == len(files)
