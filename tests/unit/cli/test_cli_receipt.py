"""Receipts: the arithmetic is honest, and it is said how it was done."""

import io

import pytest

from stocktake.cli._output import Output
from stocktake.cli._receipt import (
    Prices,
    Receipt,
    dollars_text,
    kind_of,
    listing_calls,
    show_receipt,
)
from stocktake.telemetry import Meter


def receipt_of(calls, objects, *, from_report=True):
    meter = Meter()
    for operation, count in calls.items():
        for _ in range(count):
            meter.call(operation)
    meter.receive(5 << 20)
    receipt = Receipt.of("import", meter, 2.0, objects, from_report=from_report)
    return receipt.to_dict(Prices.load())


def test_an_inventory_of_a_million_objects_is_about_half_the_price_of_a_listing():
    """Honest cost: $0.0025 against $0.005 is 2x, not 99 %."""
    cost = receipt_of({"GetObject": 12, "ListObjectsV2": 1}, 1_000_000)["cost"]
    assert cost["report_delivery_usd"] == 0.0025
    assert cost["by_list_usd"] == 0.005
    assert cost["by_list_calls"] == 1000
    assert cost["requests_usd"] == pytest.approx(12 / 1000 * 0.0004 + 1 / 1000 * 0.005)
    assert 1.9 < cost["list_to_this_ratio"] < 2.0


def test_the_price_list_carries_its_date_region_and_source():
    cost = receipt_of({"GetObject": 1}, 10)["cost"]
    assert cost["prices"]["region"] == "us-east-1"
    assert len(cost["prices"]["date"]) == 10
    assert "not read from the price page" in cost["prices"]["source"]
    assert "ceil(objects/1000)/1000 x $0.005" in cost["formula"]
    assert cost["left_out"] == "transfer, storage, KMS"


def test_a_small_bucket_is_cheaper_to_list_and_the_receipt_says_so():
    cost = receipt_of({"GetObject": 20, "ListObjectsV2": 2}, 100)["cost"]
    assert cost["by_list_calls"] == 1
    assert cost["list_to_this_ratio"] < 1


def test_a_listing_of_our_own_has_no_delivery_to_pay():
    cost = receipt_of({"ListObjectsV2": 5}, 5000, from_report=False)["cost"]
    assert cost["report_delivery_usd"] == 0
    assert cost["total_usd"] == cost["by_list_usd"]


def test_a_look_that_found_nothing_new_is_not_compared_with_a_listing():
    cost = receipt_of({"GetObject": 2, "ListObjectsV2": 1}, 100_000, from_report=False)["cost"]
    assert cost["list_to_this_ratio"] is None
    assert cost["by_list_calls"] == 100


def test_no_calls_at_all_is_no_division_by_zero():
    assert receipt_of({}, 0, from_report=False)["cost"]["list_to_this_ratio"] is None


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("ListObjectsV2", "list"),
        ("ListObjectVersions", "list"),
        ("GetObject", "get"),
        ("HeadObject", "get"),
        ("PutObject", "put"),
        ("CreateMultipartUpload", "put"),
        ("UploadPart", "put"),
        ("DeleteObjects", "delete"),
    ],
)
def test_operations_fall_into_their_price_class(operation, kind):
    assert kind_of(operation) == kind


def test_pages_of_a_listing_are_rounded_up():
    assert [listing_calls(n) for n in (0, 1, 1000, 1001)] == [1, 1, 1, 2]


def test_small_amounts_keep_the_digits_that_say_something():
    assert [dollars_text(a) for a in (0, 1.5, 0.0025, 0.0000048)] == [
        "$0.00",
        "$1.50",
        "$0.0025",
        "$0.0000048",
    ]


def test_the_receipt_for_people_is_on_stderr_and_fits_80_columns():
    out = Output(io.StringIO(), io.StringIO())
    show_receipt(out, receipt_of({"GetObject": 1234, "ListObjectsV2": 2, "HeadObject": 3}, 10**8))
    text = out.stderr.getvalue()
    assert out.stdout.getvalue() == ""
    assert "5.0 MiB received" in text
    assert "100,000 calls" in text
    assert max(map(len, text.splitlines())) <= 80
