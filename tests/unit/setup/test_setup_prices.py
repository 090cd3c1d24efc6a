"""SET-3: prices come from one dated file, and one that lacks a price is refused by name."""

from pathlib import Path

import pytest

from stocktake.errors import PriceFileError
from stocktake.setup import Prices

SHIPPED = Path(__file__).parents[3] / "src" / "stocktake" / "setup" / "prices.toml"


def load(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Prices.load(path)


def test_the_shipped_file_has_date_region_currency_and_source():
    prices = Prices.load()
    assert prices.date == "2026-11-20"
    assert prices.region == "us-east-1"
    assert prices.currency == "USD"
    assert "not read from the price page" in prices.source
    assert Prices.load(SHIPPED) == prices


def test_what_a_first_filling_costs_may_be_unknown_or_said(tmp_path):
    assert Prices.load().backfill_per_million is None
    text = SHIPPED.read_text().replace(
        "per_million_updates = 0.30", "per_million_updates = 0.30\nper_million_backfilled = 0.5"
    )
    assert load(tmp_path, text).backfill_per_million == 0.5


def test_a_toml_date_and_a_byte_order_mark_are_fine(tmp_path):
    text = SHIPPED.read_text().replace('date = "2026-11-20"', "date = 2026-12-01")
    assert load(tmp_path, b"\xef\xbb\xbf" + text.encode()).date == "2026-12-01"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('region = "us-east-1"', "", "`region` is missing"),
        ('region = "us-east-1"', "region = 1", "`region` is not a text"),
        ('region = "us-east-1"', 'region = " "', "`region` is not a text"),
        ('date = "2026-11-20"', 'date = "lately"', "`date` is not a day"),
        ("list = 0.005", "", "`requests.list` is missing"),
        ("list = 0.005", "list = -1", "`requests.list` is not a price"),
        ("list = 0.005", "list = nan", "`requests.list` is not a price"),
        ("list = 0.005", "list = inf", "`requests.list` is not a price"),
        ("list = 0.005", "list = true", "`requests.list` is not a number"),
        ("list = 0.005", 'list = "0.005"', "`requests.list` is not a number"),
        ("[queue]\nper_million_requests = 0.40", "", r"`\[queue\]` is missing"),
        ("[queue]", "[que]", "`que` is no price"),
        ("per_gb_month", "per_gb_mnth", "`storage.per_gb_mnth` is no price"),
        ("[queue]", "[queue", "not valid TOML"),
    ],
)
def test_a_price_file_that_is_wrong_is_refused_by_name(tmp_path, old, new, words):
    text = SHIPPED.read_text()
    assert old in text
    with pytest.raises(PriceFileError, match=words):
        load(tmp_path, text.replace(old, new))


def test_a_misspelt_name_is_guessed(tmp_path):
    with pytest.raises(PriceFileError) as caught:
        load(tmp_path, SHIPPED.read_text().replace("per_gb_month", "per_gb_mnth"))
    assert caught.value.hint == "did you mean `storage.per_gb_month`"


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(PriceFileError, match="cannot read"):
        Prices.load(tmp_path / "gone.toml")
    with pytest.raises(PriceFileError, match="cannot read"):
        Prices.load(tmp_path)
    with pytest.raises(PriceFileError, match="not UTF-8"):
        load(tmp_path, b"\xff\xfe")
    with pytest.raises(PriceFileError, match="no price file"):
        load(tmp_path, b"#" * 70_000)
