"""Discovery where listings are not what S3 makes of them."""

from __future__ import annotations

import pytest
from discovery_world import DiscoveryWorld

from stocktake.catalog import Catalog
from stocktake.errors import StrategyRefusedError
from stocktake.listing import ListingProfile, StrategyName, keep_profile


@pytest.fixture
def place(catalog: Catalog) -> DiscoveryWorld:
    return DiscoveryWorld(catalog)


def test_a_store_without_key_order_is_scanned_folder_by_folder(place: DiscoveryWorld) -> None:
    """LST-3: what is known of the store decides how it is listed."""
    keep_profile(place.catalog.state, place.store, "photos", ListingProfile(ordered=False))
    place.put("in/b/1", "in/a/1", "in/c")
    assert place.discover().metrics.new == 3


def test_a_strategy_by_key_order_refuses_a_store_without(place: DiscoveryWorld) -> None:
    """LST-3, STR-3: it would miss objects."""
    keep_profile(place.catalog.state, place.store, "photos", ListingProfile(ordered=False))
    with pytest.raises(StrategyRefusedError, match="does not list in the order of keys"):
        place.discover(StrategyName.INCREMENTAL_LEXICAL)
    assert place.feed.runs(1)[0].state == "failed"
