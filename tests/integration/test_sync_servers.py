"""Sync against other people's servers, each with its own idea of S3 (MAN-3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stocktake.clock import SystemClock
from stocktake.manifests import (
    Dataset,
    DatasetSpec,
    SyncOptions,
    SyncResult,
    create_dataset,
    sync_folder,
)
from stocktake.state import open_state
from stocktake.store import Store, open_store
from stocktake.testing import Server

MIB = 1 << 20
LARGE = b"0123456789abcdef" * (11 * MIB // 16)


@pytest.mark.parametrize(
    "server",
    [
        "ministack",
        "moto",
        "swift",
        pytest.param("rgw", marks=pytest.mark.slow),
    ],
)
def test_a_folder_goes_up_once_and_both_ways(
    server: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02}").write_bytes(b"%d" % number)
    (folder / "ü é+%41.txt").write_bytes(b"x")
    (folder / "large").write_bytes(LARGE)
    running: Server = request.getfixturevalue(server)
    store = open_store(running.options())
    bucket = f"sync-{server}"
    store.describe("CreateBucket", bucket)
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=SystemClock()) as state:
        dataset = create_dataset(state, DatasetSpec("1", "1", bucket, "set/"))
        first = _sync(dataset, store, folder)
        assert (first.uploaded, first.failed, first.conflicts) == (22, 0, 0), first.findings
        again = _sync(dataset, store, folder, two_way=True)
        assert (again.uploaded, again.downloaded, again.identical) == (0, 0, 22)
        store.put(bucket, "set/new", b"n")
        (folder / "03").unlink()
        both = _sync(dataset, store, folder, two_way=True, delete=True)
        assert (both.downloaded, both.deleted, both.failed) == (1, 1, 0), both.findings
        store.put(bucket, "set/05", b"theirs")
        assert _sync(dataset, store, folder).conflicts == 1
        assert {e.record.verified_by for e in dataset.entries()} <= {
            "checksum",
            "etag",
            "read-back",
        }
    store.close()


def _sync(dataset: Dataset, store: Store, folder: Path, **options: Any) -> SyncResult:
    chosen = SyncOptions(multipart_bytes_min=6 * MIB, part_bytes_min=5 * MIB, **options)
    return sync_folder(dataset, store, folder, chosen, clock=SystemClock())
