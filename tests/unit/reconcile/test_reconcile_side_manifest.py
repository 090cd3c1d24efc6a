"""A dataset's manifest as a side: REC-1, REC-4."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stocktake.clock import FixedClock
from stocktake.errors import DatasetNotFoundError
from stocktake.manifests import (
    Dataset,
    DatasetSpec,
    DeleteEntry,
    PutEntry,
    Reason,
    UploadRecord,
    create_dataset,
)
from stocktake.model import S3Url
from stocktake.reconcile import Pair, Same, SideKind
from stocktake.reconcile import _side_manifest as module
from stocktake.reconcile._side import SIDE_ROW
from stocktake.reconcile._side_manifest import ManifestSide
from stocktake.state import open_state
from stocktake.store import ObjectHead

NOW = datetime(2026, 1, 2, tzinfo=UTC)
MD5 = "0" * 31 + "1"
OTHER = "0" * 31 + "2"


def record(key: str, **more: object) -> UploadRecord:
    values: dict[str, object] = {
        "s3_key": f"p/{key}",
        "size_bytes": 5,
        "etag": MD5,
        "version_id": None,
        "md5": MD5,
        "sha256": "ab" * 32,
        "crc64nvme": "AAAAAAAAAAE=",
        "part_size_bytes": None,
        "token": "t",
        "uploaded_at": NOW,
        "verified_by": "checksum",
        "source": key,
        "source_raw": None,
        "source_sha256": None,
        "source_size_bytes": None,
        "source_mtime_ns": None,
    }
    return UploadRecord(**(values | more))  # type: ignore[arg-type]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def dataset(tmp_path: Path, clock: FixedClock) -> Iterator[Dataset]:
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=clock) as state:
        state.upgrade()
        yield create_dataset(state, DatasetSpec("16", "Sixteen", "bucket", "p/"))


def test_manifest_gives_its_entries_below_its_prefix(
    dataset: Dataset, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    keys = ["a", "a.txt", "a/b", "é", "\U0001f600"]
    dataset.commit([PutEntry(record(key)) for key in keys], Reason.SYNC)
    clock.advance(60)
    side = ManifestSide(dataset)
    clock.advance(60)
    dataset.commit([DeleteEntry("p/a")], Reason.DELETE)  # after the side was made
    for _ in range(2):
        batches = list(side.batches())
        assert [rows.num_rows for rows in batches] == [2, 2, 1]
        assert all(rows.schema == SIDE_ROW for rows in batches)
        assert [key for rows in batches for key in rows.column("key").to_pylist()] == keys
    facts = side.facts
    assert (facts.kind, facts.objects, facts.size_bytes) == (SideKind.MANIFEST, 5, 25)
    assert (facts.as_of, facts.objects_at) == (NOW, S3Url("bucket", "p/"))
    assert "version 1" in facts.place


def test_sync_that_found_nothing_new_makes_the_manifest_fresh(
    dataset: Dataset, clock: FixedClock
) -> None:
    dataset.commit([PutEntry(record("a"))], Reason.SYNC)
    clock.advance(3600)
    dataset.commit([], Reason.SYNC, synced=True)
    assert ManifestSide(dataset).facts.as_of == NOW + timedelta(hours=1)


def test_earlier_version_is_as_of_then(dataset: Dataset, clock: FixedClock) -> None:
    dataset.commit([PutEntry(record("a"))], Reason.SYNC, synced=True)
    clock.advance(3600)
    dataset.commit([PutEntry(record("b"))], Reason.SYNC, synced=True)
    side = ManifestSide(dataset, version=1)
    assert side.facts.as_of == NOW
    assert sum(rows.num_rows for rows in side.batches()) == 1
    with pytest.raises(DatasetNotFoundError):
        list(ManifestSide(dataset, version=9).batches())


def test_empty_manifest_is_said(dataset: Dataset) -> None:
    side = ManifestSide(dataset)
    assert list(side.batches()) == []
    assert side.facts.notes


@pytest.mark.parametrize(
    ("pair", "same"),
    [
        (Pair("a", 5, MD5), Same.SAME),
        (Pair("a", 5, OTHER), Same.UNKNOWN),
        (Pair("a", 5, OTHER, encryption="SSE-S3"), Same.DIFFERENT),
        (Pair("a", 5, f"{OTHER}-2"), Same.UNKNOWN),
        (Pair("gone", 5, MD5), Same.UNKNOWN),
    ],
)
def test_copy_elsewhere_is_proven_by_what_was_uploaded(
    dataset: Dataset, pair: Pair, same: Same
) -> None:
    dataset.commit([PutEntry(record("a"))], Reason.SYNC)
    (proof,) = ManifestSide(dataset).prove([pair])
    assert proof.same is same, proof


def test_copy_in_other_parts_is_proven_by_one_head(dataset: Dataset) -> None:
    dataset.commit([PutEntry(record("a"))], Reason.SYNC)
    for crc, same in (("AAAAAAAAAAE=", Same.SAME), ("AAAAAAAAAAI=", Same.DIFFERENT)):
        head = ObjectHead("x", "y", 5, f"{OTHER}-2", NOW, checksums={"crc64nvme": crc})
        side = ManifestSide(dataset, look=lambda key, head=head: head)
        (proof,) = side.prove([Pair("a", 5, f"{OTHER}-2")])
        assert proof.same is same
        assert side.facts.requests == {"HEAD": 1}
