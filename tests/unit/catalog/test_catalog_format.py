"""`snapshot.json`: what is written comes back, what is foreign or newer is refused (CAT-10)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.catalog import SnapshotManifest, SnapshotStats
from stocktake.catalog._format import ObjectFile, RowGroup
from stocktake.errors import CatalogCorruptError, CatalogVersionError
from stocktake.model import Coverage
from stocktake.testing import MemorySource

NASTY = ("a", "\uffff", "\U0001f600/b", "line\nbreak", "nul\0", '"', "\u2028")


def object_files(**sizes: int) -> st.SearchStrategy[tuple[ObjectFile, ...]]:
    keys = st.text(min_size=1)
    groups = st.builds(RowGroup, keys, keys, st.integers(1, 9))
    files = st.builds(
        ObjectFile, keys, st.integers(0), st.integers(0), keys, keys, st.tuples(groups, groups)
    )
    return st.lists(files, **sizes).map(tuple)


manifests = st.builds(
    SnapshotManifest,
    snapshot_id=st.text(),
    created_at=st.text(),
    header=st.builds(
        replace,
        st.just(MemorySource([]).header),
        bucket=st.text(),
        as_of=st.datetimes(timezones=st.just(UTC)),
        delivered_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        coverage=st.builds(Coverage, st.none() | st.text(), st.text(), st.none() | st.text()),
        excluded_prefixes=st.lists(st.text()).map(tuple),
        attrs=st.dictionaries(st.text(), st.none() | st.integers() | st.text()),
    ),
    files=object_files(max_size=3),
    undecodable_files=object_files(max_size=1),
    stats=st.builds(
        SnapshotStats,
        by_storage_class=st.dictionaries(
            st.text(), st.lists(st.none() | st.integers(), min_size=2, max_size=2)
        ),
    ),
    warnings=st.lists(st.text()).map(tuple),
    bad_samples=st.lists(st.dictionaries(st.text(), st.text())).map(tuple),
    quantiles=st.lists(st.text()).map(tuple),
)


@given(manifests)
def test_manifest_comes_back_as_it_was_written(manifest: SnapshotManifest) -> None:
    assert SnapshotManifest.from_bytes(manifest.to_bytes(), path="x") == manifest


def document(**changes: Any) -> bytes:
    files = (ObjectFile("f", 1, 1, NASTY[0], NASTY[2], tuple(RowGroup(k, k, 1) for k in NASTY)),)
    manifest = SnapshotManifest(
        "snp_1",
        "2026-01-01T00:00:00Z",
        MemorySource([]).header,
        files,
        (),
        SnapshotStats(1, 1, 1, 1),
    )
    return json.dumps(json.loads(manifest.to_bytes()) | changes).encode()


def test_nasty_keys_stand_in_it_as_plain_ascii() -> None:
    data = SnapshotManifest.from_bytes(document(), path="x").to_bytes()
    assert data.isascii()
    (file,) = SnapshotManifest.from_bytes(data, path="x").files
    assert tuple(group.min_key for group in file.row_groups) == NASTY


def test_fields_that_a_later_version_added_are_passed_over() -> None:
    raw = json.loads(document(more=1))
    for place in (raw["stats"], raw["source"], raw["source"]["coverage"], raw["files"][0]):
        place["more"] = 1
    raw["files"][0]["row_groups"][0].append("more")
    found = SnapshotManifest.from_bytes(json.dumps(raw).encode(), path="x")
    assert found == SnapshotManifest.from_bytes(document(), path="x")


def test_newer_format_is_refused_by_its_number() -> None:
    with pytest.raises(CatalogVersionError, match=r"`p/snapshot\.json` has snapshot format 2"):
        SnapshotManifest.from_bytes(document(version=2), path="p/snapshot.json")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"format": "stocktake-snapshot", "version": 1}',
        document(format="other"),
        document(version="1"),
        document(files=None),
        document(files=[{}]),
        document(source=None),
        document(stats=[]),
        document(stats={}),
    ],
)
def test_what_is_no_manifest_is_named_as_corrupt(data: bytes) -> None:
    with pytest.raises(CatalogCorruptError) as caught:
        SnapshotManifest.from_bytes(data, path="p/snapshot.json")
    assert "p/snapshot.json" in caught.value.message
    assert caught.value.attrs["path"] == "p/snapshot.json"


def test_report_of_unknown_kind_is_corrupt_not_a_crash() -> None:
    raw = json.loads(document())
    raw["source"]["kind"] = "other"
    with pytest.raises(CatalogCorruptError):
        SnapshotManifest.from_bytes(json.dumps(raw).encode(), path="x")


def test_versions_are_told_by_the_columns() -> None:
    manifest = SnapshotManifest.from_bytes(document(), path="x")
    assert not manifest.has_versions
    versioned = replace(manifest.header, columns=("key", "version_id", "is_latest"))
    assert replace(manifest, header=versioned).has_versions


def test_times_are_written_as_utc() -> None:
    header = replace(MemorySource([]).header, as_of=datetime(2026, 1, 5, 1, tzinfo=UTC))
    manifest = SnapshotManifest("s", "", header, (), (), SnapshotStats(0, 0, 0, 0))
    assert json.loads(manifest.to_bytes())["source"]["as_of"] == "2026-01-05T01:00:00Z"
