"""REC-1, REC-2: what is found between two sides, how bad it is, and what is not said."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from reconcile_world import EARLIER, kinds, listed
from stocktake.errors import BucketNotFoundError, DiskFullError, ReconcileError
from stocktake.reconcile import Checks, FindingKind, NameMap, Severity

A, B = "a" * 32, "b" * 32


def test_the_same_objects_are_no_finding_and_exit_0(world, store):
    rows = [listed(f"d{n % 3}/{n:05}") for n in range(2_500)]
    store.fill("have", rows)
    store.fill("should", rows)
    report = world.run()
    assert report.findings_total == 0
    assert report.exit_code == 0
    assert (report.totals.identical, report.totals.have, report.totals.should) == (2_500,) * 3
    assert [(one.prefix, one.percent) for one in report.coverage] == [
        ("d0/", 100.0),
        ("d1/", 100.0),
        ("d2/", 100.0),
    ]


def test_each_kind_of_difference_is_found_with_its_severity(world, store):
    same = listed("same")
    store.fill("should", [same, listed("gone"), listed("size", 5), listed("empty", 5)])
    store.fill("have", [same, listed("new"), listed("size", 6), listed("empty", 0)])
    report = world.run()
    assert kinds(report) == {
        "gone": "missing",
        "new": "extra",
        "size": "size-mismatch",
        "empty": "empty",
    }
    assert {one.key: str(one.severity) for one in report.findings} == {
        "gone": "HIGH",
        "size": "HIGH",
        "empty": "HIGH",
        "new": "LOW",
    }
    assert report.exit_code == 4
    totals = report.totals
    assert (totals.missing, totals.extra, totals.different, totals.identical) == (1, 1, 2, 1)
    gone = next(one for one in report.findings if one.key == "gone")
    assert (gone.have_key, gone.should_key, gone.expected) == (None, "gone", "1 bytes")


def test_findings_are_ordered_worst_first_and_fail_on_decides_the_exit_code(world, store):
    store.fill("should", [listed("a")])
    store.fill("have", [listed("a"), listed("b")])
    assert world.run(fail_on=Severity.MEDIUM).exit_code == 0
    assert world.run(fail_on=Severity.LOW).exit_code == 4
    worse = {FindingKind.EXTRA: Severity.CRITICAL}
    assert world.run(fail_on=Severity.HIGH, severities=worse).exit_code == 4


def test_other_etags_in_another_bucket_are_not_called_different(world, store):
    """REC-4: they may be of encrypted objects; an ETag with -N is never an MD5."""
    store.fill("should", [listed("plain", etag=A), listed("parts", etag=f"{A}-3"), listed("same")])
    store.fill("have", [listed("plain", etag=B), listed("parts", etag=A), listed("same")])
    report = world.run()
    assert report.findings_total == 0
    assert report.totals.unproven == 2
    assert report.not_comparable == {
        "the ETags may be those of encrypted objects": 1,
        "the ETag of a multipart upload is not a checksum of the bytes": 1,
    }


def test_other_md5_etags_are_different_where_etags_are_trusted(world, store):
    store.fill("should", [listed("plain", etag=A), listed("parts", etag=f"{A}-3")])
    store.fill("have", [listed("plain", etag=B), listed("parts", etag=B)])
    report = world.run(checks=Checks(trust_etags=True))
    assert kinds(report) == {"plain": "checksum-mismatch"}
    assert report.findings[0].severity is Severity.CRITICAL
    assert (report.findings[0].expected, report.findings[0].found) == (A, B)


def test_an_older_copy_that_cannot_be_proven_is_stale(world, store):
    later = EARLIER + timedelta(hours=1)
    store.fill(
        "should", [listed("a", etag=A, last_modified=later), listed("b", last_modified=later)]
    )
    store.fill("have", [listed("a", etag=B), listed("b")])
    report = world.run()
    assert kinds(report) == {"a": "stale"}  # b is proven to be the same
    assert world.run(checks=Checks(check_stale=False)).findings_total == 0
    assert world.run(checks=Checks(stale_tolerance_s=7200)).findings_total == 0


def test_names_are_mapped_and_what_the_map_does_not_cover_is_counted(world, store):
    store.fill("should", [listed("old/x/1"), listed("old/x/2"), listed("other/3")])
    store.fill("have", [listed("pre/new/x/1", etag=None), listed("pre/new/x/9")])
    names = NameMap(strip="old/", add="new/")
    report = world.run("s3://have/pre/", "s3://should/", names=names)
    assert kinds(report) == {"new/x/2": "missing", "new/x/9": "extra"}
    assert report.totals.outside == 1
    by_key = {one.key: one for one in report.findings}
    assert by_key["new/x/2"].should_key == "old/x/2"
    assert by_key["new/x/9"].have_key == "pre/new/x/9"


def test_own_files_markers_and_excluded_names_are_outside_on_both_sides(world, store):
    store.fill("should", [listed("a"), listed("a.tmp"), listed("m/", 0)])
    store.fill("have", [listed("a"), listed(".stocktake/manifests/1.json"), listed("x/y.tmp")])
    report = world.run(checks=Checks(exclude=("**/*.tmp",)))
    assert report.findings_total == 0
    assert report.totals.excluded == 4


def test_a_storage_class_that_is_not_wanted_is_found_also_on_identical_objects(world, store):
    store.fill("should", [listed("a"), listed("b")])
    store.fill("have", [listed("a", storage_class="GLACIER"), listed("b", storage_class=None)])
    report = world.run(checks=Checks(storage_classes=("STANDARD",)))
    assert kinds(report) == {"a": "wrong-class"}
    assert report.findings[0].found == "GLACIER"


def test_allowed_extras_are_counted_but_no_finding(world, store):
    store.fill("should", [])
    store.fill("have", [listed("a", 7)])
    report = world.run(checks=Checks(allow_extra=True))
    assert (report.findings_total, report.totals.extra, report.totals.extra_bytes) == (0, 1, 7)


def test_a_folder_that_is_missing_whole_is_critical(world, store):
    store.fill("should", [listed(f"gone/{n}") for n in range(12)] + [listed("kept/1")])
    store.fill("have", [listed("kept/1")])
    report = world.run()
    worst = report.findings[0]
    assert (worst.key, worst.kind, worst.severity) == ("gone/", "below-expected", "CRITICAL")
    assert worst.is_prefix
    assert report.by_kind == {FindingKind.MISSING: 12, FindingKind.BELOW_EXPECTED: 1}


def test_more_findings_than_are_kept_are_counted_and_written_to_the_file(world, store, tmp_path):
    store.fill("should", [listed(f"{n:05}") for n in range(3_000)])
    store.fill("have", [listed("x")])
    file = tmp_path / "findings.jsonl"
    report = world.run(findings_max=10, findings_file=file)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert (len(report.findings), report.findings_total) == (10, 3_002)
    assert len(lines) == 3_002  # with the extra one and the folder
    assert [one["key"] for one in lines[:2]] == ["00000", "00001"]
    assert report.findings[0].severity is Severity.CRITICAL
    without = world.run(findings_max=10)
    assert (without.findings_total, len(without.findings)) == (3_002, 10)


def test_a_findings_file_that_cannot_be_written_is_said_before_anything_is_listed(
    world, store, tmp_path
):
    store.fill("should", [])
    store.fill("have", [])
    with pytest.raises(ReconcileError, match="cannot be written"):
        world.run(findings_file=tmp_path / "no" / "such" / "folder")
    assert store.calls == 0


def test_no_half_written_findings_file_is_left_by_a_run_that_fails(world, store, tmp_path):
    store.fill("have", [listed("a")])
    file = tmp_path / "findings.jsonl"
    with pytest.raises(BucketNotFoundError):
        world.run(findings_file=file)
    assert list(tmp_path.glob("findings*")) == []


def test_hostile_keys_come_through_as_they_are(world, store):
    keys = ["a\nb", "<script>", "//", "../x", "é", "\U0010fffd", "a b+c%2F", "\x01"]
    store.fill("should", [listed(key) for key in keys])
    store.fill("have", [])
    assert set(kinds(world.run())) == set(keys)


def test_every_report_says_where_both_sides_come_from_and_how_old_they_are(world, store):
    store.fill("should", [listed("a", 3)])
    store.fill("have", [listed("a", 3)])
    report = world.run()
    assert report.have.as_of == report.should.as_of == world.clock.now()
    assert report.have.complete
    assert (report.have.objects, report.have.size_bytes) == (1, 3)
    assert report.have.requests == {"LIST": 1}
    assert [bar.objects for bar in report.sizes] == [0, 1, 0, 0, 0, 0, 0, 0]
    assert sum(bar.objects for bar in report.ages) == 1


def test_coverage_by_two_levels(world, store):
    store.fill("should", [listed(key) for key in ("a/b/1", "a/b/2", "a/c/1", "top", "a/x")])
    store.fill("have", [listed(key) for key in ("a/b/1", "a/c/1", "a/c/2", "top", "a/x")])
    rows = world.run(coverage_depth=2).coverage
    assert [(one.prefix, one.should, one.found, one.extra) for one in rows] == [
        ("", 1, 1, 0),
        ("a/", 1, 1, 0),
        ("a/b/", 2, 1, 0),
        ("a/c/", 1, 1, 1),
    ]


def test_the_same_place_on_both_sides_makes_another_etag_a_difference(world, store):
    """An object that was written again is another one, also where ETags are no checksums."""
    rows = [listed("p/a", etag=f"{A}-2"), listed("p/b")]
    store.fill("have", rows)
    first = replace(rows[0], etag=f"{B}-2")

    original = store.list_columns
    seen = []

    def changing(query):
        seen.append(query)
        if len(seen) == 2:  # overwritten between the two listings
            store.fill("have", [first, rows[1]])
        return original(query)

    store.list_columns = changing
    report = world.run("s3://have/p/", "s3://have/p/")
    assert kinds(report) == {"a": "checksum-mismatch"}


def test_a_full_disk_leaves_no_file_that_looks_whole(world, store, tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    store.fill("should", [listed("a")])
    store.fill("have", [])
    monkeypatch.setattr("stocktake.reconcile._finding_log.os.fsync", full)
    with pytest.raises(DiskFullError, match="no space left for the findings"):
        world.run(findings_file=tmp_path / "found.jsonl")
    assert list(tmp_path.glob("found*")) == []


def test_folders_beyond_the_limit_of_the_table_are_counted(world, store):
    keys = [f"{n:05}/x" for n in range(5_010)]
    store.fill("should", [listed(key) for key in keys])
    store.fill("have", [listed(key) for key in keys])
    report = world.run()
    assert (len(report.coverage), report.coverage_left_out) == (5_000, 10)
    assert report.totals.identical == 5_010


def test_no_levels_of_coverage_are_one_number(world, store):
    store.fill("should", [listed(key) for key in ("a/1", "b/2", "c")])
    store.fill("have", [listed(key) for key in ("a/1", "c")])
    rows = world.run(coverage_depth=0).coverage
    assert [(one.prefix, one.should, one.found) for one in rows] == [("", 3, 2)]
