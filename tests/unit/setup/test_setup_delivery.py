"""SET-1: the first report still due, late, partial, unreadable."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from stocktake.setup import CheckState

FOLDER = "inv/photos/daily/2026-11-21T01-00Z/"


def found(desk):
    checks = {one.id: one for one in desk.check().checks if one.id in ("delivery", "reading")}
    return checks["delivery"], checks.get("reading")


def remove(desk, key):
    assert desk.store.delete("reports", [key]) == {}


def parts(desk):
    """In the manifest's order: the first is opened to learn the columns."""
    with desk.store.get("reports", FOLDER + "manifest.json") as body:
        return [one["key"] for one in json.loads(body.read())["files"]]


def keys(desk):
    table = desk.aws.buckets["reports"].table
    return [version.key for version, _ in table.page("", "", "", 1000).versions]


def weekly(desk):
    answer = desk.aws.answers["GET /photos?inventory"]
    answer["body"] = answer["body"].replace(">Daily<", ">Weekly<")


def test_the_first_report_may_still_be_due(desk):
    """Nobody knows when the configuration was made, so it is no failure and nothing to mend."""
    delivery, reading = found(desk)
    assert delivery.state is CheckState.WARNING
    assert delivery.fix is None
    assert "48 hours" in delivery.why
    assert reading is None
    assert desk.check().exit_code == 0


@pytest.mark.parametrize(
    ("frequency", "age", "late"),
    [
        ("Daily", timedelta(hours=47), False),
        ("Daily", timedelta(hours=49), True),
        ("Weekly", timedelta(days=8, hours=23), False),
        ("Weekly", timedelta(days=9, hours=1), True),
    ],
)
def test_a_report_is_late_after_two_days_or_nine(desk, frequency, age, late):
    if frequency == "Weekly":
        weekly(desk)
    desk.deliver(datetime(2026, 11, 21, 1, tzinfo=UTC))
    desk.clock.advance(
        (datetime(2026, 11, 21, 1, tzinfo=UTC) + age - desk.clock.now()).total_seconds()
    )
    delivery, reading = found(desk)
    assert (delivery.state is CheckState.FAILED) is late
    assert reading.state is CheckState.OK
    if late:
        assert "ago" in delivery.why
        assert delivery.fix is not None


def test_a_switched_off_configuration_is_never_late(desk):
    answer = desk.aws.answers["GET /photos?inventory"]
    answer["body"] = answer["body"].replace("<IsEnabled>true", "<IsEnabled>false")
    desk.deliver(datetime(2025, 1, 1, 1, tzinfo=UTC))
    assert found(desk)[0].state is CheckState.OK


def test_a_delivery_without_its_checksum_is_still_being_written(desk):
    """The checksum comes last; the delivery before is the one to read."""
    desk.deliver(datetime(2026, 11, 20, 1, tzinfo=UTC))
    desk.deliver()
    remove(desk, FOLDER + "manifest.checksum")
    delivery, reading = found(desk)
    assert delivery.state is CheckState.WARNING
    assert "still being written" in delivery.why
    assert "2026-11-20T01-00Z" in delivery.why
    assert reading.state is CheckState.OK


def test_a_delivery_of_which_only_the_checksum_is_left_has_expired(desk):
    desk.deliver()
    remove(desk, FOLDER + "manifest.json")
    delivery, reading = found(desk)
    assert delivery.state is CheckState.FAILED
    assert "lifecycle" in delivery.fix.text
    assert reading is None


def test_a_missing_part_is_found_without_reading_any(desk):
    desk.deliver()
    remove(desk, parts(desk)[0])
    _, reading = found(desk)
    assert reading.state is CheckState.FAILED
    assert reading.fix is not None


def test_a_missing_later_part_is_found(desk):
    desk.deliver(rows_per_part=1)
    assert len(parts(desk)) == 3
    remove(desk, parts(desk)[1])
    _, reading = found(desk)
    assert reading.state is CheckState.FAILED
    assert "incomplete" in reading.why


def test_a_part_of_another_size_is_found(desk):
    desk.deliver(rows_per_part=1)
    desk.store.put("reports", parts(desk)[2], b"cut")
    _, reading = found(desk)
    assert reading.state is CheckState.FAILED
    assert "the manifest says" in reading.why


def test_a_manifest_that_is_not_its_checksums_is_found(desk):
    desk.deliver()
    desk.store.put("reports", FOLDER + "manifest.json", b"{}")
    _, reading = found(desk)
    assert reading.state is CheckState.FAILED
    assert "manifest.checksum" in reading.why


def test_reports_that_may_not_be_listed_leave_the_delivery_unknown(desk):
    desk.deliver()
    desk.aws.behaviour.denied = {("ListObjectsV2", "reports")}
    try:
        delivery, reading = found(desk)
    finally:
        desk.aws.behaviour.denied = set()
    assert delivery.state is CheckState.UNKNOWN
    actions = [one["Action"] for one in delivery.fix.document["Statement"]]
    assert actions == ["s3:ListBucket", "s3:GetObject"]
    assert delivery.fix.document["Statement"][1]["Resource"] == (
        "arn:aws:s3:::reports/inv/photos/daily/*"
    )
    assert reading is None


def test_reports_that_may_not_be_read_are_said_to_whom(desk):
    desk.deliver()
    desk.aws.behaviour.denied = {("GetObject", "reports")}
    try:
        _, reading = found(desk)
    finally:
        desk.aws.behaviour.denied = set()
    assert reading.state is CheckState.FAILED
    assert "arn:aws:sts::111122223333:assumed-role/reader/ada" in reading.fix.text


def test_a_key_that_may_not_be_used_is_told_from_a_bucket_that_may_not(desk):
    """HEAD needs no key, GET does: so one byte is read."""
    desk.deliver()
    desk.aws.behaviour.kms_denied = ("inv/photos/daily/data/",)
    try:
        _, reading = found(desk)
    finally:
        desk.aws.behaviour.kms_denied = ()
    assert reading.state is CheckState.FAILED
    assert reading.fix.document["Action"] == "kms:Decrypt"


def test_reports_below_an_empty_folder_name_are_found_all_the_same(desk):
    """The trap of the trailing slash: `inv/` as prefix puts them below `inv//`."""
    answer = desk.aws.answers["GET /photos?inventory"]
    answer["body"] = answer["body"].replace("<Prefix>inv<", "<Prefix>inv/<")
    desk.deliver()
    for key in keys(desk):
        with desk.store.get("reports", key) as body:
            moved = body.read()
        desk.store.put("reports", key.replace("inv/", "inv//", 1), moved)
        remove(desk, key)
    delivery, reading = found(desk)
    assert delivery.state is CheckState.WARNING
    assert "inv//" in delivery.why
    assert reading.state is CheckState.OK


def test_a_report_dated_in_the_future_is_refused(desk):
    desk.deliver(datetime(2026, 11, 25, 1, tzinfo=UTC))
    _, reading = found(desk)
    assert reading.state is CheckState.FAILED
