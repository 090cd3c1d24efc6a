"""Any history of edits on both sides and syncs between: no content that one side has new is lost.

The model is dicts. Real files, a real control database, and a store in memory (MAN-3, MAN-5).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stocktake.clock import SystemClock
from stocktake.manifests import (
    Dataset,
    DatasetSpec,
    OnConflict,
    SyncOptions,
    create_dataset,
    forget_dataset,
    sync_folder,
)
from stocktake.state import State, open_state
from stocktake.store import ListQuery, iter_listing
from stocktake.testing import MemoryStore

BUCKET, PREFIX = "bucket", "p/"
NAMES = ("a", "b", "d/a", "d-", "d/e/x", "é%41")
EDITS = st.tuples(
    st.sampled_from(["local", "remote"]),
    st.sampled_from(NAMES),
    st.sampled_from([None, b"1", b"22", b"33", b""]),
)
SYNCS = st.builds(
    SyncOptions,
    two_way=st.booleans(),
    delete=st.booleans(),
    on_conflict=st.sampled_from([None, OnConflict.LOCAL, OnConflict.REMOTE, OnConflict.BOTH]),
    accept_deletions=st.just(True),
    workers=st.sampled_from([1, 3]),
)
STEPS = st.lists(st.one_of(EDITS, SYNCS), max_size=12)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    folder = tmp_path_factory.mktemp("state")
    with open_state(f"sqlite:///{folder}/state.db", clock=SystemClock()) as state:
        yield state


class World:
    """Both sides, emptied."""

    def __init__(self, state: State, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.folder = folder
        self.store = MemoryStore()
        self.store.describe("CreateBucket", BUCKET)
        self.dataset: Dataset = create_dataset(state, DatasetSpec("d", "d", BUCKET, PREFIX))

    def edit(self, side: str, name: str, content: bytes | None) -> None:
        path = self.folder / name
        if side == "local" and content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        elif side == "local":
            path.unlink(missing_ok=True)
        elif content is not None:
            self.store.put(BUCKET, PREFIX + name, content)
        else:
            self.store.delete(BUCKET, [PREFIX + name])

    def sync(self, options: SyncOptions) -> int:
        return sync_folder(
            self.dataset, self.store, self.folder, options, clock=SystemClock()
        ).conflicts

    def local(self) -> dict[str, bytes]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in files}

    def remote(self) -> dict[str, bytes]:
        found = {}
        for page in iter_listing(self.store, ListQuery(BUCKET, PREFIX)):
            for one in page.objects:
                with self.store.get(BUCKET, one.key) as body:
                    found[one.key.removeprefix(PREFIX)] = body.read()
        return found

    def manifest(self) -> dict[str, str | None]:
        return {e.record.s3_key.removeprefix(PREFIX): e.record.etag for e in self.dataset.entries()}


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(STEPS)
def test_no_history_loses_what_only_one_side_has(
    state: State, tmp_path: Path, steps: list[tuple[str, str, bytes | None] | SyncOptions]
) -> None:
    world = World(state, tmp_path / "folder")
    try:
        for step in steps:
            if isinstance(step, SyncOptions):
                _check_sync(world, step)
            else:
                world.edit(*step)
        world.sync(SyncOptions(two_way=True, on_conflict=OnConflict.BOTH))
        assert world.local() == world.remote()
        assert world.manifest().keys() == world.remote().keys()
        assert world.sync(SyncOptions(two_way=True, delete=True)) == 0
        assert world.local() == world.remote()
    finally:
        forget_dataset(state, "d")


def _check_sync(world: World, options: SyncOptions) -> None:
    local, remote, known = world.local(), world.remote(), world.manifest()
    world.sync(options)
    now_local, now_remote = world.local(), world.remote()
    brings_down = options.two_way or options.on_conflict in {OnConflict.REMOTE, OnConflict.BOTH}
    if not brings_down:
        assert now_local == local
    decided = options.on_conflict in {OnConflict.LOCAL, OnConflict.REMOTE}
    for name in local.keys() | remote.keys():
        for content in (local.get(name), remote.get(name)):
            left = {*now_local.values(), *now_remote.values()}
            if content is None or content in left:
                continue
            # it is gone from everywhere: the manifest had it, or somebody said who is right
            assert name in known or decided
    for name, etag in world.manifest().items():
        if name in now_remote and name not in known:
            assert world.store.head(BUCKET, PREFIX + name).etag == etag
