"""Synthetic buckets: deterministic, ordered, and exact about what changes."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from stocktake.testing import SyntheticBucket, expected_diff
from stocktake.testing._chance import Strata, shuffled
from stocktake.testing._nasty import HEAD, LONGEST, SUFFIXES, TAIL

SHAPES = ["mixed", "photos", "hashed", "lake"]


def table(bucket: SyntheticBucket, **how) -> pa.Table:
    return pa.Table.from_batches(list(bucket.batches(**how)))


def current(bucket: SyntheticBucket) -> dict[str, tuple]:
    """Key -> what identifies its content; from all-versions buckets the current view."""
    rows = table(bucket).to_pylist()
    if bucket.versions:
        rows = [row for row in rows if row["is_latest"] and not row["is_delete_marker"]]
    names = ("size_bytes", "last_modified", "etag", "storage_class")
    return {row["key"]: tuple(row[name] for name in names) for row in rows}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("generation", [1, 3])
@pytest.mark.parametrize("nasty", [False, True])
def test_keys_ascend_in_utf8_order_and_none_comes_twice(shape, generation, nasty):
    # INV-21
    bucket = SyntheticBucket(
        rows=3000, generation=generation, shape=shape, nasty=nasty, new=0.2, deleted=0.1
    )
    keys = [key.encode() for key in table(bucket).column("key").to_pylist()]
    assert all(first < second for first, second in pairwise(keys))
    assert len(keys) == bucket.row_count
    assert all(0 < len(key) <= 1024 for key in keys)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others():
    # INV-21
    first, again, other = (table(SyntheticBucket(rows=2000, seed=seed)) for seed in (5, 5, 6))
    assert first.equals(again)
    assert len(set(first["etag"].to_pylist()) & set(other["etag"].to_pylist())) == 0


def test_a_row_does_not_depend_on_the_batch_it_comes_in():
    # INV-21: row i is a function of (seed, i, generation), so parts can be made in any order
    bucket = SyntheticBucket(rows=3000, generation=2, nasty=True, new=0.3, modified=0.2)
    whole = table(bucket)
    pieces = [table(bucket, start=start, stop=start + 750) for start in range(0, 3000, 750)]
    assert pa.concat_tables(pieces).combine_chunks().equals(whole.combine_chunks())
    assert table(bucket, batch_rows=77).combine_chunks().equals(whole.combine_chunks())


def test_rows_in_any_order_are_the_same_rows():
    bucket = SyntheticBucket(rows=1000, generation=2, nasty=True, versions=True)
    order = np.random.default_rng(1).permutation(1000)
    mixed = bucket.records(order)
    by_key = sorted(map(repr, mixed.to_pylist()))
    assert by_key == sorted(map(repr, table(bucket).to_pylist()))
    assert mixed.column("key").to_pylist() != table(bucket)["key"].to_pylist()


@pytest.mark.parametrize("versions", [False, True])
@pytest.mark.parametrize(
    "fractions",
    [
        {},
        {"new": 0.0, "modified": 0.0, "deleted": 0.0},
        {"new": 0.25, "modified": 0.1, "deleted": 0.05},
        {"new": 0.0, "modified": 0.5, "deleted": 0.0},
        {"new": 0.5, "modified": 0.0, "deleted": 0.5},
    ],
)
def test_generations_differ_by_exactly_what_was_promised(fractions, versions):
    # INV-21, checked by brute force over both generations
    bucket = SyntheticBucket(rows=1500, nasty=True, versions=versions, **fractions)
    old, new = current(bucket), current(bucket.at(2))
    diff = expected_diff(bucket, 1, 2, keys=True)
    assert sorted(diff.new_keys) == sorted(new.keys() - old.keys())
    assert sorted(diff.deleted_keys) == sorted(old.keys() - new.keys())
    assert sorted(diff.modified_keys) == sorted(
        key for key in old.keys() & new.keys() if old[key] != new[key]
    )
    assert (diff.new, diff.modified, diff.deleted) == (
        len(diff.new_keys),
        len(diff.modified_keys),
        len(diff.deleted_keys),
    )
    assert len(new) == bucket.at(2).row_count


def test_later_generations_go_on_from_the_one_before():
    bucket = SyntheticBucket(rows=1000, new=0.1, modified=0.05, deleted=0.05)
    diff = expected_diff(bucket, 2, 5, keys=True)
    old, new = current(bucket.at(2)), current(bucket.at(5))
    assert (diff.new, diff.modified, diff.deleted) == (300, 150, 150)
    assert set(diff.new_keys) == new.keys() - old.keys()
    assert set(diff.deleted_keys) == old.keys() - new.keys()


def test_going_back_swaps_new_and_deleted():
    bucket = SyntheticBucket(rows=1000, new=0.1, deleted=0.05)
    ahead, back = expected_diff(bucket, 1, 2, keys=True), expected_diff(bucket, 2, 1, keys=True)
    assert (ahead.new, ahead.deleted) == (back.deleted, back.new) == (100, 50)
    assert ahead.new_keys == back.deleted_keys
    assert ahead.deleted_keys == back.new_keys


def test_modified_objects_change_their_etag_and_time_only_within_the_last_day():
    bucket = SyntheticBucket(rows=1000, modified=0.2)
    (key, *_) = expected_diff(bucket, 1, 2, keys=True).modified_keys
    old, new = current(bucket)[key], current(bucket.at(2))[key]
    assert old[2] != new[2]
    newest = bucket.at(2).stamp.replace(tzinfo=None)
    assert 0 <= (newest - new[1]).total_seconds() <= 86_400


@pytest.mark.parametrize("versions", [False, True])
def test_no_object_is_newer_than_the_scan_that_saw_it(versions):
    for generation in (1, 2, 4):
        bucket = SyntheticBucket(
            rows=2000, generation=generation, versions=versions, new=0.1, modified=0.1
        )
        newest = max(table(bucket)["last_modified"].to_pylist())
        assert newest < bucket.stamp.replace(tzinfo=None)


def test_all_versions_hold_old_versions_delete_markers_and_the_null_version():
    bucket = SyntheticBucket(rows=3000, generation=2, versions=True, modified=0.1, deleted=0.1)
    rows = table(bucket).to_pylist()
    kinds = Counter((row["is_latest"], row["is_delete_marker"]) for row in rows)
    assert set(kinds) == {(True, False), (False, False), (True, True)}
    assert sum(row["version_id"] == "null" for row in rows) > 100
    latest = Counter(row["key"] for row in rows if row["is_latest"])
    assert set(latest.values()) == {1}, "one latest version for each key"
    identities = [(row["key"], row["version_id"]) for row in rows]
    assert len(set(identities)) == len(identities)
    for row in rows:
        if row["is_delete_marker"]:
            assert (row["size_bytes"], row["etag"], row["storage_class"]) == (None, None, None)
        else:
            assert row["size_bytes"] is not None


def test_versions_do_not_change_what_is_current():
    plain = SyntheticBucket(rows=2000, generation=2, nasty=True)
    assert current(SyntheticBucket(rows=2000, generation=2, nasty=True, versions=True)) == current(
        plain
    )


def test_extra_columns_are_there_when_asked_for():
    plain, full = (SyntheticBucket(rows=100, extras=extras) for extras in (False, True))
    assert tuple(table(plain).column_names) == plain.columns
    assert tuple(table(full).column_names) == full.columns
    assert "extra_object_owner" in full.columns
    assert set(plain.columns) < set(full.columns)


def test_nasty_buckets_hold_every_nasty_key():
    # INV-21, INV-12
    bucket = SyntheticBucket(rows=5000, nasty=True)
    keys = set(table(bucket)["key"].to_pylist())
    assert {*HEAD, *TAIL} <= keys
    assert len(LONGEST.encode()) == 1024
    endings = [ending for ending in SUFFIXES if any(key.endswith(ending) for key in keys)]
    assert len(endings) > len(SUFFIXES) // 2


@pytest.mark.parametrize("rows", [0, 1, 5, 100, 120])
def test_tiny_nasty_buckets_have_exactly_their_rows(rows):
    bucket = SyntheticBucket(rows=rows, nasty=True, generation=2)
    keys = [key for batch in bucket.batches() for key in batch.column("key").to_pylist()]
    assert len(keys) == bucket.row_count == len(set(keys))


def test_shapes_look_like_what_they_imitate():
    keys = table(SyntheticBucket(rows=20_000))["key"].to_pylist()
    tops = Counter(key.split("/")[0] for key in keys)
    assert tops == {"archive": 10_000, "blobs": 2_000, "lake": 8_000}
    assert any(key.endswith("/") for key in keys), "folder markers"
    assert {key.rsplit(".", 1)[1] for key in keys if "IMG_" in key} == {"CR3", "jpg", "xmp"}
    assert any("/edited/IMG_" in key for key in keys)
    assert all("/year=" in key and "/part-" in key for key in keys if key.startswith("lake/"))


def test_sizes_classes_and_etags_are_mixed():
    rows = table(SyntheticBucket(rows=20_000)).to_pylist()
    assert Counter(row["storage_class"] for row in rows).keys() == {
        "STANDARD",
        "STANDARD_IA",
        "INTELLIGENT_TIERING",
        "GLACIER_IR",
        "DEEP_ARCHIVE",
    }
    multipart = sum("-" in row["etag"] for row in rows)
    assert 0.05 < multipart / len(rows) < 0.6
    assert all(row["size_bytes"] == 0 for row in rows if row["key"].endswith("/"))
    assert max(row["size_bytes"] for row in rows) > 10**8


@pytest.mark.parametrize(
    "settings",
    [{"shape": "round"}, {"new": 0.6}, {"modified": 0.3, "deleted": 0.3}, {"generation": 0}],
)
def test_impossible_buckets_are_refused(settings):
    with pytest.raises(ValueError, match=r"shape|half|generation"):
        SyntheticBucket(rows=100, **settings)


def test_generations_end_where_rows_would_be_picked_twice():
    SyntheticBucket(rows=100, new=0.5, generation=3)
    with pytest.raises(ValueError, match="1 to 3"):
        SyntheticBucket(rows=100, new=0.5, generation=4)


@pytest.mark.parametrize(("rows", "picks"), [(10, 1), (10, 3), (97, 13), (1000, 500), (7, 0)])
def test_strata_pick_exactly_and_never_twice(rows, picks):
    strata = Strata(rows, picks, seed=3, stream=1)
    generations = strata.generation(np.arange(rows))
    counts = Counter(generations.tolist())
    for generation in range(2, min(strata.generations_max, 40) + 1):
        assert counts[generation] == picks


@pytest.mark.parametrize("count", [1, 2, 3, 100, 1000, 4097])
def test_shuffling_is_a_permutation(count):
    spots = shuffled(np.arange(count), count, seed=9)
    assert sorted(spots.tolist()) == list(range(count))
    assert count < 100 or (np.diff(spots) == 1).mean() < 0.05
