"""SET-3: the ways side by side, by arithmetic that can be followed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.setup import CostQuestion, Prices, compare_costs

PRICES = Prices.load()


def ways(objects, every=timedelta(days=1), changes=None, prices=PRICES):
    found = compare_costs(CostQuestion(objects, every, changes), prices)
    return {one.id: one for one in found.ways}, found


def test_the_well_known_bucket_is_reckoned_right():
    """173 calls a day are $0.026 a month, not $0.865; its inventory is $0.013."""
    found, _ = ways(172_754)
    listing = found["list"]
    assert listing.requests_per_run == 173
    assert listing.per_run == pytest.approx(0.000865)
    assert listing.per_month == pytest.approx(0.02595)
    assert found["inventory-daily"].parts["delivery"] == pytest.approx(0.01295655)


def test_five_million_objects_cost_two_and_a_half_cents_to_list():
    found, _ = ways(5_000_000)
    assert found["list"].per_run == pytest.approx(0.025)


def test_an_inventory_is_half_the_price_of_a_listing_and_that_is_said():
    _, report = ways(1_000_000)
    assert report.report_to_list_ratio == pytest.approx(0.5)
    assert "50% less, not 99 %" in report.honest_sentence()
    assert "1,000 here for each listing" in report.honest_sentence()


def test_a_tiny_bucket_does_not_make_the_ratio_look_better():
    _, report = ways(3)
    assert report.report_to_list_ratio == pytest.approx(0.5)


def test_prices_without_a_saving_say_so():
    dear = replace(PRICES, inventory_per_million=1.0)
    assert "no saving" in ways(10, prices=dear)[1].honest_sentence()
    free = replace(PRICES, requests=dict.fromkeys(PRICES.requests, 0.0))
    assert "costs nothing" in ways(10, prices=free)[1].honest_sentence()
    assert ways(10, prices=free)[1].report_to_list_ratio is None


def test_who_wants_to_know_every_hour_cannot_use_an_inventory():
    found, report = ways(10**6, timedelta(hours=1))
    assert not found["inventory-daily"].fits
    assert not found["inventory-weekly"].fits
    assert found["metadata"].fits
    assert found["list"].per_month == pytest.approx(24 * 30 * 0.005)
    fits = [one.fits for one in report.ways]
    assert fits == sorted(fits, reverse=True)


def test_a_price_of_which_a_part_is_unknown_is_never_called_the_cheapest():
    found, report = ways(10**6, changes=0)
    assert found["metadata"].per_month == 0
    assert not found["metadata"].complete
    assert report.ways[0].id != "metadata"
    known = replace(PRICES, backfill_per_million=0.3)
    assert ways(10**6, changes=0, prices=known)[1].ways[0].id == "metadata"


def test_assumed_changes_are_said_to_be_assumed():
    _, report = ways(1000)
    assert report.to_dict()["changes_per_day"] == 10
    assert report.to_dict()["changes_assumed"] is True
    _, report = ways(1000, changes=7)
    assert report.to_dict()["changes_assumed"] is False


def test_kept_reports_are_paid_for():
    """66 bytes per object and report: a billion objects, 30 daily reports, 1.98 TB."""
    found, _ = ways(10**9)
    assert found["inventory-daily"].parts["storage"] == pytest.approx(1980 * 0.023)


@given(st.integers(0, 10**10), st.integers(1, 10**7), st.integers(0, 10**9))
def test_parts_make_the_price_and_nothing_is_negative(objects, every_s, changes):
    found, report = ways(objects, timedelta(seconds=every_s), changes)
    assert len(found) == 5
    for one in found.values():
        assert one.per_month == pytest.approx(sum(one.parts.values()))
        assert min(one.parts.values()) >= 0
    assert report.to_dict()["prices"]["date"] == PRICES.date
