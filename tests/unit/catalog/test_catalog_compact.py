"""Compaction changes files, never answers (CAT-1)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stocktake.catalog import (
    Catalog,
    PageRequest,
    compact_snapshot,
    find_snapshot,
    import_snapshot,
    list_objects,
    open_catalog,
    pin_snapshot,
    use_snapshot,
)
from stocktake.catalog._compact import is_compact
from stocktake.errors import SnapshotInUseError
from stocktake.testing import MemoryPart, MemorySource

PARTS = [
    MemoryPart(rows=[{"key": f"k{n:04d}", "size_bytes": n} for n in range(start, 400, 4)])
    for start in range(4)
]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    with open_catalog(str(tmp_path / "catalog"), create=True) as opened:
        import_snapshot(opened, MemorySource(PARTS, columns=("key", "size_bytes")))
        yield opened


def keys(catalog: Catalog) -> list[str]:
    found: list[str] = []
    wanted = PageRequest(rows_max=1000)
    page = list_objects(catalog, find_snapshot(catalog, "latest"), "", page=wanted)
    found += page.rows.column("key").to_pylist()
    return found


def object_files(catalog: Catalog) -> set[str]:
    return {path for path in catalog.files.listing("snapshots") if "/objects/" in path}


def test_files_become_disjoint_and_every_row_stays(catalog: Catalog) -> None:
    before = keys(catalog)
    snapshot = find_snapshot(catalog, "latest")
    assert not is_compact(snapshot.manifest)
    result = compact_snapshot(catalog, snapshot)
    after = find_snapshot(catalog, "latest")
    assert is_compact(after.manifest)
    assert (result.files_before, result.files_left, result.rows) == (4, 0, 400)
    assert keys(catalog) == before == [f"k{n:04d}" for n in range(400)]
    named = {f"{after.path}/{file.name}" for file in after.manifest.files}
    assert object_files(catalog) == named
    assert compact_snapshot(catalog, after).files_before == result.files_after


def test_pinned_and_used_snapshots_are_refused(catalog: Catalog) -> None:
    snapshot = find_snapshot(catalog, "latest")
    with use_snapshot(catalog, snapshot), pytest.raises(SnapshotInUseError, match="in use"):
        compact_snapshot(catalog, snapshot)
    pin_snapshot(catalog, snapshot)
    with pytest.raises(SnapshotInUseError, match="pinned"):
        compact_snapshot(catalog, find_snapshot(catalog, "latest"))


def test_reader_that_came_meanwhile_keeps_the_old_files(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = find_snapshot(catalog, "latest")
    with monkeypatch.context() as patch:
        patch.setattr("stocktake.catalog._compact.other_uses", lambda *_: True)
        left = compact_snapshot(catalog, snapshot).files_left
    assert left == 4
    assert compact_snapshot(catalog, find_snapshot(catalog, "latest")).files_left == 0
    assert len(object_files(catalog)) == len(find_snapshot(catalog, "latest").manifest.files)


@pytest.mark.parametrize(
    "point", ["file.written", "compact.files-written", "compact.manifest-written"]
)
def test_killed_compaction_leaves_a_readable_snapshot(catalog: Catalog, point: str) -> None:
    before = keys(catalog)
    code = (
        "import sys; from stocktake.catalog import *\n"
        "with open_catalog(sys.argv[1]) as catalog:\n"
        "    compact_snapshot(catalog, find_snapshot(catalog, 'latest'))\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, catalog.location],
        env={**os.environ, "STOCKTAKE_KILL_AT": point},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert keys(catalog) == before
    compact_snapshot(catalog, find_snapshot(catalog, "latest"))
    catalog.files.remove_leftovers(catalog.clock)
    after = find_snapshot(catalog, "latest")
    assert is_compact(after.manifest)
    assert keys(catalog) == before
    named = {f"{after.path}/{file.name}" for file in after.manifest.files}
    assert object_files(catalog) == named
