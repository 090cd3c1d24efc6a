"""Which way a report encodes its keys, asked of the bucket."""

from __future__ import annotations

import pytest

from stocktake.errors import AccessDeniedError
from stocktake.inventory import KeyEncoding, is_ambiguous, settle_key_encoding


def settle(desk, *samples: str, exist: tuple[str, ...] = ()):
    for key in exist:
        desk.put(key, b"", bucket="src")
    return settle_key_encoding(desk.store, "src", samples)


@pytest.mark.parametrize(
    ("exists", "encoding"), [("a b.jpg", KeyEncoding.FORM), ("a+b.jpg", KeyEncoding.PERCENT)]
)
def test_key_that_exists_in_one_reading_decides(desk, exists, encoding) -> None:
    """INV-4."""
    verdict = settle(desk, "gone+x", "a+b.jpg", "never+asked", exist=(exists,))
    assert verdict.encoding is encoding
    assert verdict.probed == ("gone+x", "a+b.jpg")
    assert desk.store.meter.calls["HeadObject"] == 4


def test_keys_that_exist_both_ways_decide_nothing(desk) -> None:
    """INV-4."""
    verdict = settle(desk, "a+b", exist=("a b", "a+b"))
    assert verdict.encoding is KeyEncoding.AUTO


def test_at_most_three_keys_are_looked_up(desk) -> None:
    verdict = settle(desk, *(f"gone+{n}" for n in range(10)))
    assert (verdict.encoding, len(verdict.probed)) == (KeyEncoding.AUTO, 3)
    assert desk.store.meter.calls["HeadObject"] == 6


def test_keys_without_plus_or_utf8_are_not_looked_up(desk) -> None:
    assert settle(desk, "a%20b", "%FF+x").probed == ()
    assert "HeadObject" not in desk.store.meter.calls


def test_escapes_are_decoded_in_both_readings(desk) -> None:
    verdict = settle(desk, "d%3D1/a+b%2Bc", exist=("d=1/a b+c",))
    assert verdict.encoding is KeyEncoding.FORM


def test_refused_lookup_leaves_it_open(desk) -> None:
    desk.store.faults["a b"] = AccessDeniedError("no s3:GetObject")
    verdict = settle(desk, "a+b")
    assert verdict.encoding is KeyEncoding.AUTO
    assert "no s3:GetObject" in verdict.reason


def test_report_with_both_signs_is_ambiguous(desk) -> None:
    """INV-4: the whole way, from the tally to the settled reading."""
    desk.csv('"src","a%20b"', '"src","c+d"', '"src","e"', schema="Bucket, Key")
    desk.put("c+d", b"", bucket="src")
    report = desk.open()
    rows, tally = desk.read(report)
    assert is_ambiguous(tally.plus_keys, tally.percent20_keys)
    assert [row["key"] for row in rows] == ["a b", "c d", "e"]
    assert report.plus_key_samples() == ("c+d",)
    verdict = settle_key_encoding(desk.store, "src", report.plus_key_samples())
    settled = report.with_key_encoding(verdict.encoding)
    assert [row["key"] for row in desk.read(settled)[0]] == ["a b", "c+d", "e"]
    assert settled.header.attrs["key_encoding"] == "percent"
    assert report.header.attrs["key_encoding"] == "form"


def test_samples_are_the_first_and_no_more_is_read(desk) -> None:
    desk.csv(*(f'"src","a+{n}"' for n in range(9)), schema="Bucket, Key")
    assert desk.open().plus_key_samples(2) == ("a+0", "a+1")


@pytest.mark.parametrize(("plus", "percent20"), [(0, 0), (5, 0), (0, 5)])
def test_one_sign_alone_is_clear(plus, percent20) -> None:
    assert not is_ambiguous(plus, percent20)
