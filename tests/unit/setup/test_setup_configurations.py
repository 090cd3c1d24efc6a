"""SET-2: configurations are read to the last page, and written so that nothing of them is lost."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from aws_account import FIXTURES, load_answers
from stocktake.errors import (
    AccessDeniedError,
    InvalidSettingError,
    SetupError,
    UnexpectedAnswerError,
)
from stocktake.setup import DEFAULT_FIELDS, FIELDS, Configuration, list_configurations
from stocktake.setup._configuration import (
    check_fields,
    check_id,
    put_configuration,
    read_document,
)

RECORDED = sorted((FIXTURES / "c7n-placebo").rglob("*.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}-{path.stem[-1]}")
def test_recorded_answers_of_aws_are_read_and_written_back_unchanged(path: Path):
    data = json.loads(path.read_text("utf-8"))["data"]
    for document in data.get("InventoryConfigurationList", []):
        found = read_document("photos", document)
        assert found.destination_bucket in ("custodian-inv", "inv-dest")
        assert found.to_document() == document
        assert found.corrected() == document


def test_the_recorded_answers_hold_none_one_and_two_configurations():
    counts = [
        len(json.loads(path.read_text("utf-8"))["data"].get("InventoryConfigurationList", []))
        for path in RECORDED
    ]
    assert set(counts) >= {0, 1}


def pages(names, size, loop=False):
    body = load_answers()["GET /photos?inventory"]["body"]
    start, end = body.index("<InventoryConfiguration>"), body.index("<IsTruncated>")
    head, one = body[:start], body[start:end]
    answers = {}
    for at in range(0, len(names), size):
        more = at + size < len(names) or loop
        inner = "".join(one.replace("<Id>daily<", f"<Id>{n}<") for n in names[at : at + size])
        token = "t0" if loop else f"t{at + size}"
        tail = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        tail += f"<NextContinuationToken>{token}</NextContinuationToken>" if more else ""
        name = "GET /photos?inventory" + (f"&continuation-token=t{at}" if at else "")
        answers[name] = {"body": head + inner + tail + "</ListInventoryConfigurationsResult>"}
    return answers


def test_every_page_is_read(make_desk):
    """Others read page one: S3 gives 100 per page and keeps 1,000."""
    names = [f"c{number:04d}" for number in range(1000)]
    desk = make_desk({**load_answers(), **pages(names, 100)})
    found = [one.id for one in list_configurations(desk.store, "photos")]
    assert found == names
    assert len([one for one in desk.aws.seen if "inventory" in one]) == 10


def test_pages_that_go_round_in_a_circle_are_noticed(make_desk):
    desk = make_desk({**load_answers(), **pages(["a"], 1, loop=True)})
    with pytest.raises(UnexpectedAnswerError):
        list(list_configurations(desk.store, "photos"))


def test_what_we_do_not_know_of_a_configuration_stays_in_a_corrected_one():
    document = {
        "Id": "daily",
        "IsEnabled": False,
        "IncludedObjectVersions": "Current",
        "Schedule": {"Frequency": "Daily"},
        "Destination": {
            "S3BucketDestination": {
                "Bucket": "arn:aws:s3:::reports",
                "Format": "CSV",
                "Compression": "zstd",
            }
        },
        "OptionalFields": ["Size", "ANewField"],
        "Tags": [{"Key": "a"}],
    }
    mended = read_document("photos", document).corrected(enabled=True)
    assert mended == {**document, "IsEnabled": True}


@pytest.mark.parametrize("document", [{}, {"Id": "x"}, {"Id": "x", "Destination": {}}])
def test_a_configuration_without_id_or_destination_is_refused(document):
    with pytest.raises(UnexpectedAnswerError):
        read_document("photos", document)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "naïve"])
def test_ids_that_s3_does_not_take(name):
    with pytest.raises(InvalidSettingError):
        check_id(name)


def test_fields_are_spelt_and_ordered_as_s3_does():
    assert check_fields(("etag", "SIZE", "Size")) == ("Size", "ETag")
    assert check_fields(FIELDS) == FIELDS
    assert set(DEFAULT_FIELDS) <= set(FIELDS)
    with pytest.raises(InvalidSettingError):
        check_fields(("Sise",))


def test_differences_are_named_and_the_order_of_fields_is_none():
    one = Configuration("a", "photos", "arn:aws:s3:::r", fields=("Size", "ETag"))
    assert one.differences(replace(one, fields=("ETag", "Size"))) == []
    assert one.differences(replace(one, format="CSV", prefix="x")) == [
        "prefix is not set, wanted `x`",
        "format is `Parquet`, wanted `CSV`",
    ]


def test_a_written_configuration_is_read_back(desk):
    wanted = Configuration("new", "photos", "arn:aws:s3:::reports", prefix="p", account_id="1" * 12)
    put_configuration(desk.store, wanted)
    assert "GET /photos?inventory&id=new" in desk.aws.seen


def test_a_store_that_keeps_something_else_is_caught(desk):
    """moto keeps All where Current was written."""
    wanted = Configuration("daily", "photos", "arn:aws:s3:::reports", versions="Current")
    document = "<InventoryConfiguration><Id>daily</Id><IsEnabled>true</IsEnabled><Destination>"
    document += "<S3BucketDestination><Bucket>arn:aws:s3:::reports</Bucket><Format>Parquet</Format>"
    document += "</S3BucketDestination></Destination><Schedule><Frequency>Daily</Frequency>"
    document += "</Schedule><IncludedObjectVersions>All</IncludedObjectVersions>"
    document += "</InventoryConfiguration>"
    desk.aws.answers |= {
        "PUT /photos?inventory&id=daily": {},
        "GET /photos?inventory&id=daily": {"body": document},
    }
    with pytest.raises(SetupError, match="versions is `All`, wanted `Current`"):
        put_configuration(desk.store, wanted)


def test_a_refusal_names_the_permission(make_desk):
    denied = {"status": 403, "body": "<Error><Code>AccessDenied</Code></Error>"}
    desk = make_desk({**load_answers(), "GET /photos?inventory": denied})
    with pytest.raises(AccessDeniedError) as caught:
        list(list_configurations(desk.store, "photos"))
    assert "s3:GetInventoryConfiguration" in caught.value.hint
