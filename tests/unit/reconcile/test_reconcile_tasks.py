"""REC-2: the task list: which action, from where to where, and commands that no key can break."""

from __future__ import annotations

import dataclasses
import json
import shlex

import pytest

import reconcile_samples as samples
from stocktake.model import S3Url
from stocktake.reconcile import FindingKind, HaveSpec, ScanMode, ShouldKind, ShouldSpec
from stocktake.reconcile._tasks import Action, tasks_document, tasks_of

K = FindingKind


def task(kind, should=ShouldKind.FOLDER, place="/data", mode=ScanMode.FULL, **values):
    asked = samples.config(
        have=HaveSpec(S3Url("my-bucket", "photos/"), mode), should=ShouldSpec(should, place)
    )
    made = samples.report([samples.finding(kind, "a b.jpg", **values)], config=asked)
    (one,) = tasks_of(made)
    return one


@pytest.mark.parametrize(
    ("kind", "should", "action"),
    [
        (K.MISSING, ShouldKind.FOLDER, Action.UPLOAD),
        (K.MISSING, ShouldKind.BUCKET, Action.RESTORE),
        (K.MISSING, ShouldKind.MANIFEST, Action.RESTORE),
        (K.MISSING, ShouldKind.SNAPSHOT, Action.RESTORE),
        (K.SIZE_MISMATCH, ShouldKind.FOLDER, Action.UPLOAD),
        (K.CHECKSUM_MISMATCH, ShouldKind.FOLDER, Action.UPLOAD),
        (K.CHECKSUM_MISMATCH, ShouldKind.BUCKET, Action.RESTORE),
        (K.CHECKSUM_MISMATCH, ShouldKind.MANIFEST, Action.INVESTIGATE),
        (K.SIZE_MISMATCH, ShouldKind.SNAPSHOT, Action.INVESTIGATE),
        (K.EMPTY, ShouldKind.FOLDER, Action.UPLOAD),
        (K.STALE, ShouldKind.FOLDER, Action.UPLOAD),
        (K.EXTRA, ShouldKind.FOLDER, Action.DELETE),
        (K.WRONG_CLASS, ShouldKind.FOLDER, Action.INVESTIGATE),
        (K.PATTERN, ShouldKind.RULES, Action.INVESTIGATE),
        (K.BELOW_EXPECTED, ShouldKind.RULES, Action.INVESTIGATE),
        (K.ABOVE_EXPECTED, ShouldKind.RULES, Action.INVESTIGATE),
    ],
)
def test_each_finding_has_its_action(kind, should, action):
    """REC-2"""
    one = task(kind, should, "s3://other/p/" if should is ShouldKind.BUCKET else "place")
    assert one.action is action
    assert one.finding == kind
    assert one.target == "s3://my-bucket/photos/a b.jpg"


@pytest.mark.parametrize("mode", [ScanMode.SAMPLE, ScanMode.AWS_INVENTORY, ScanMode.CATALOG])
def test_nothing_is_proposed_for_deletion_by_what_is_old_or_a_sample(mode):
    """REC-2: an object that is extra in yesterday's report may be wanted today."""
    assert task(K.EXTRA, mode=mode).action is Action.RESCAN


def test_nothing_is_proposed_for_deletion_if_a_side_is_not_whole():
    made = samples.report([samples.finding(K.EXTRA, "x")])
    partial = dataclasses.replace(made.should, complete=False)
    tasks = list(tasks_of(dataclasses.replace(made, should=partial)))
    assert [one.action for one in tasks] == [Action.RESCAN, Action.RESCAN]


def test_an_object_newer_than_what_is_known_is_looked_at_again():
    one = task(K.STALE, mode=ScanMode.CATALOG, have_key=None)
    assert one.action is Action.RESCAN
    assert one.command == "aws s3api head-object --bucket my-bucket --key 'photos/a b.jpg'"


def test_upload_and_restore_name_both_places():
    """REC-2"""
    up = task(K.MISSING)
    assert (up.source, up.target) == ("/data/a b.jpg", "s3://my-bucket/photos/a b.jpg")
    assert shlex.split(up.command or "") == ["aws", "s3", "cp", up.source, up.target]
    back = task(K.MISSING, ShouldKind.BUCKET, "s3://other/p/")
    assert back.source == "s3://other/p/a b.jpg"
    assert task(K.MISSING, ShouldKind.SNAPSHOT, "x").command == (
        "aws s3api list-object-versions --bucket my-bucket --prefix 'photos/a b.jpg'"
    )
    assert task(K.WRONG_CLASS, expected="STANDARD or GLACIER").command == (
        "aws s3 cp 's3://my-bucket/photos/a b.jpg' 's3://my-bucket/photos/a b.jpg' "
        "--storage-class STANDARD"
    )


@pytest.mark.parametrize("key", samples.HOSTILE)
def test_no_key_can_break_out_of_its_command(key):
    made = samples.report([samples.finding(kind, key) for kind in (K.MISSING, K.EXTRA)])
    for one in tasks_of(made, endpoint_url="http://127.0.0.1:9000"):
        words = shlex.split(one.command or "")
        assert words[:3] == ["aws", "--endpoint-url", "http://127.0.0.1:9000"]
        assert words[-1] == f"s3://my-bucket/photos/{key}"
        assert len(words) == (7 if one.action is Action.UPLOAD else 6)


def test_what_was_not_seen_is_a_task_of_its_own():
    """REC-2"""
    tasks = list(tasks_of(samples.rules_sampled()))
    assert [one.action for one in tasks] == [Action.RESCAN, Action.RESCAN, Action.RESCAN]
    assert "older than 1 d" in tasks[0].why
    assert tasks[0].command == "stocktake scan s3://my-bucket/"
    assert "objects of the rule all" in tasks[1].why
    assert tasks[2].command == "stocktake scan s3://my-bucket/logs/"


def test_the_document_is_json_with_counts_and_one_command_for_all():
    """REC-2"""
    made = dataclasses.replace(samples.everything_wrong(), findings_total=60)
    document = json.loads(json.dumps(tasks_document(made)))
    assert (document["format"], document["version"]) == ("stocktake-tasks", 1)
    assert sum(document["counts"].values()) == len(document["tasks"]) == 50
    assert document["left_out"] == 10
    assert document["together"] == {
        "upload": "stocktake sync /srv/photos s3://my-bucket/photos/ --dataset ID"
    }
    assert {one["severity"] for one in document["tasks"]} == {"CRITICAL", "HIGH", "MEDIUM", "LOW"}
    assert tasks_document(samples.report())["tasks"] == []


def test_a_manifest_is_put_right_by_a_sync():
    asked = samples.config(should=ShouldSpec(ShouldKind.MANIFEST, "16"))
    made = samples.report([samples.finding(K.MISSING, "x")], config=asked)
    assert tasks_document(made)["together"] == {
        "restore": "stocktake sync FOLDER s3://my-bucket/photos/ --dataset 16"
    }
