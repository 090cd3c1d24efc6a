"""Finding deliveries: one delimiter listing, nothing more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stocktake.errors import AccessDeniedError, BucketNotFoundError, ReportNotFoundError
from stocktake.inventory import (
    DeliveryState,
    ReportAddress,
    check_delivery,
    format_stamp,
    latest_delivery,
    list_deliveries,
)

FIRST = datetime(2020, 1, 1, 1, tzinfo=UTC)


def dates(desk, **parameters) -> list[str]:
    return [one.date for one in list_deliveries(desk.store, desk.address, **parameters)]


def test_deliveries_come_oldest_first_and_data_is_never_listed(desk) -> None:
    """INV-1."""
    desk.part("1.csv.gz", b"x")
    for stamp in ("2026-01-05T01-00Z", "2024-02-29T08-00Z", "2026-01-04T00-00Z"):
        desk.publish("{}", stamp=stamp)
    assert dates(desk) == ["2024-02-29T08-00Z", "2026-01-04T00-00Z", "2026-01-05T01-00Z"]
    assert desk.store.listed == ["p/src/cfg/"]
    newest = latest_delivery(desk.store, desk.address)
    assert str(newest.folder_url) == "s3://dest/p/src/cfg/2026-01-05T01-00Z/"
    assert str(newest.manifest_url) == "s3://dest/p/src/cfg/2026-01-05T01-00Z/manifest.json"
    assert newest.state is DeliveryState.UNCHECKED
    assert newest.warning is None


def test_years_of_deliveries_are_listed_page_by_page(desk) -> None:
    """INV-1: 1,100 daily deliveries are two pages."""
    for day in range(1_100):
        stamp = format_stamp(FIRST + timedelta(days=day))
        desk.put(f"p/src/cfg/{stamp}/manifest.checksum", b"")
    assert len(dates(desk)) == 1_100
    assert len(desk.store.listed) == 2


def test_only_deliveries_after_the_last_import_are_listed(desk) -> None:
    """INV-1."""
    for stamp in ("2026-01-03T01-00Z", "2026-01-04T01-00Z", "2026-01-05T01-00Z"):
        desk.publish("{}", stamp=stamp)
    after = datetime(2026, 1, 4, 1, tzinfo=UTC)
    assert dates(desk, after=after) == ["2026-01-05T01-00Z"]
    assert dates(desk, after=datetime(2026, 1, 5, 1, tzinfo=UTC)) == []


def test_no_delivery_is_an_empty_list_and_both_spellings_were_tried(desk) -> None:
    """INV-1."""
    assert dates(desk) == []
    assert desk.store.listed == ["p/src/cfg/", "p//src/cfg/"]
    with pytest.raises(ReportNotFoundError, match=r"under s3://dest/p/src/cfg/$"):
        latest_delivery(desk.store, desk.address)


def test_address_without_prefix_is_listed_once(desk) -> None:
    assert list_deliveries(desk.store, ReportAddress("dest", "", "src", "cfg")) == []
    assert desk.store.listed == ["src/cfg/"]


@pytest.mark.parametrize("folder", ["data", "hive", "dt=2026-01-05-01-00"])
def test_folder_inside_the_report_is_recognised_in_the_hint(desk, folder) -> None:
    desk.publish("{}")
    address = ReportAddress.parse(f"s3://dest/p/src/cfg/{folder}")
    with pytest.raises(ReportNotFoundError) as caught:
        latest_delivery(desk.store, address)
    assert (caught.value.hint or "").endswith("s3://dest/p/src/cfg")


def test_refused_listing_says_what_it_was_for(desk) -> None:
    """INV-2."""

    def refuse(_query):
        raise AccessDeniedError("cannot list dest", hint="grant s3:ListBucket", permission="x")

    desk.store.list_page = refuse
    with pytest.raises(AccessDeniedError, match="to find the deliveries") as caught:
        dates(desk)
    assert caught.value.hint == "grant s3:ListBucket"
    assert caught.value.attrs == {"permission": "x"}


def test_missing_destination_bucket_is_told(desk) -> None:
    with pytest.raises(BucketNotFoundError):
        list_deliveries(desk.store, ReportAddress("nowhere", "p", "src", "cfg"))


@pytest.mark.parametrize(
    ("gone", "state"),
    [
        (None, DeliveryState.READY),
        ("manifest.checksum", DeliveryState.NOT_READY),
        ("manifest.json", DeliveryState.EXPIRED),
    ],
)
def test_state_of_a_delivery_costs_two_heads(desk, gone, state) -> None:
    """INV-2."""
    desk.publish("{}")
    (delivery,) = list_deliveries(desk.store, desk.address)
    if gone:
        desk.store.delete("dest", [delivery.folder_url.key + gone])
    assert check_delivery(desk.store, delivery).state is state
    assert desk.store.meter.calls["HeadObject"] == 2
    assert "GetObject" not in desk.store.meter.calls


def test_state_of_a_delivery_that_may_not_be_read_is_denied(desk) -> None:
    key = desk.publish("{}")
    (delivery,) = list_deliveries(desk.store, desk.address)
    desk.store.faults[key] = AccessDeniedError("no")
    assert check_delivery(desk.store, delivery).state is DeliveryState.DENIED
