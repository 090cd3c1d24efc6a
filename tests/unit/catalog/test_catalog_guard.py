"""What looks like a mistake needs confirmation, and what is not covered is not compared (CAT-5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stocktake.catalog import DiffSummary, SnapshotManifest, SnapshotStats
from stocktake.catalog._coverage import common_coverage
from stocktake.catalog._guard import check_deletions, check_not_empty
from stocktake.errors import ConfirmationNeededError, CoverageMismatchError
from stocktake.model import Coverage, SourceKind
from stocktake.testing import MemorySource


@pytest.mark.parametrize(
    ("before", "deleted"), [(0, 0), (10, 1), (100, 10), (100_000, 10_000), (1_000_000, 10_000)]
)
def test_few_deletions_need_no_confirmation(before: int, deleted: int) -> None:
    check_deletions("photos/daily", before, DiffSummary(deleted=deleted))


@pytest.mark.parametrize(
    ("before", "deleted"), [(1, 1), (9, 1), (100, 11), (1_000_000, 10_001), (5, 6)]
)
def test_mass_deletion_needs_confirmation(before: int, deleted: int) -> None:
    with pytest.raises(ConfirmationNeededError) as caught:
        check_deletions("photos/daily", before, DiffSummary(deleted=deleted))
    assert caught.value.message.startswith(f"{deleted} of {before} objects of photos/daily")
    assert "--accept-deletions" in str(caught.value.hint)
    assert caught.value.attrs["deleted"] == deleted


def test_moved_and_unconfirmed_objects_are_no_deletions() -> None:
    check_deletions("photos/daily", 10, DiffSummary(renamed=10, unconfirmed=10, modified=10))


def test_report_without_parts_needs_confirmation() -> None:
    check_not_empty("photos/daily", 1)
    with pytest.raises(ConfirmationNeededError, match="says the bucket is empty"):
        check_not_empty("photos/daily", 0)


def manifest(prefix: str | None = "", **changes: Any) -> SnapshotManifest:
    coverage = Coverage(
        prefix, changes.pop("versions", "current"), changes.pop("config_hash", None)
    )
    header = replace(MemorySource([]).header, coverage=coverage, **changes)
    return SnapshotManifest("snp_1", "", header, (), (), SnapshotStats(0, 0, 0, 0))


@pytest.mark.parametrize(
    ("old", "new", "common"),
    [
        ("", "", ""),
        ("a/", "a/", "a/"),
        ("", "a/", "a/"),
        ("a/", "", "a/"),
        ("a/b/", "a/", "a/b/"),
        (None, None, ""),
        (None, "a/", "a/"),
        ("a/", None, "a/"),
    ],
)
def test_only_keys_that_both_cover_are_compared(
    old: str | None, new: str | None, common: str
) -> None:
    found = common_coverage(manifest(old), manifest(new))
    assert found.prefix == common
    changed = None not in (old, new) and old != new
    assert any("the filter changed" in note for note in found.warnings) == changed


def test_filters_without_a_key_in_common_cannot_be_compared() -> None:
    with pytest.raises(CoverageMismatchError, match="they cover `a/` and `b/`"):
        common_coverage(manifest("a/"), manifest("b/"))


def test_snapshots_of_two_buckets_cannot_be_compared() -> None:
    with pytest.raises(CoverageMismatchError, match="`photos` and `films`"):
        common_coverage(manifest(), manifest(bucket="films"))


@pytest.mark.parametrize("change", [{"config_id": "weekly"}, {"kind": SourceKind.LIST}])
@pytest.mark.parametrize("prefixes", [("", None), (None, ""), (None, None)])
def test_other_configuration_of_unknown_filter_cannot_be_compared(
    change: dict[str, Any], prefixes: tuple[str | None, str | None]
) -> None:
    with pytest.raises(CoverageMismatchError, match="the filter of at least one is not known"):
        common_coverage(manifest(prefixes[0]), manifest(prefixes[1], **change))


def test_other_configuration_of_known_filter_is_compared_where_both_speak() -> None:
    assert common_coverage(manifest(""), manifest("a/", config_id="weekly")).prefix == "a/"


def test_change_from_all_to_current_versions_is_noted() -> None:
    (note,) = common_coverage(manifest(versions="all"), manifest()).warnings
    assert note.startswith("the report changed from all to current versions")


def test_changed_columns_are_noted_by_name() -> None:
    old, new = manifest(columns=("key", "etag")), manifest(columns=("key", "size_bytes"))
    (note,) = common_coverage(old, new).warnings
    assert "(-etag, +size_bytes)" in note


@pytest.mark.parametrize(
    ("old", "new", "noted"),
    [("x", "x", False), ("x", "y", True), (None, "y", False), ("x", None, False)],
)
def test_changed_configuration_is_noted_if_both_are_known(
    old: str | None, new: str | None, noted: bool
) -> None:
    found = common_coverage(manifest(config_hash=old), manifest(config_hash=new))
    assert bool(found.warnings) == noted
