"""How sizes, times and keys read for people."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from stocktake.cli._text import (
    cell_width,
    duration_text,
    parse_size,
    plural,
    shorten,
    signed_size_text,
    size_text,
    time_text,
)
from stocktake.errors import InvalidSettingError


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (2**70, "1,024.0 EiB"),
        (-2048, "-2.0 KiB"),
        (None, "?"),
    ],
)
def test_sizes_have_binary_units_and_unknown_is_not_zero(size_bytes, text):
    assert size_text(size_bytes) == text


def test_a_growth_in_bytes_carries_its_sign():
    assert [signed_size_text(n) for n in (10, -10, 0, None)] == ["+10 B", "-10 B", "0 B", "?"]


def test_times_are_utc_to_the_minute_whatever_zone_they_came_in():
    aware = datetime(2026, 11, 20, 2, 0, tzinfo=timezone(timedelta(hours=1)))
    same = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
    naive = same.replace(tzinfo=None)
    assert {time_text(aware), time_text(same), time_text(naive)} == {"2026-11-20 01:00"}
    assert time_text(None) == "?"


def test_durations_grow_from_seconds_to_hours():
    assert [duration_text(s) for s in (0.04, 59.9, 60, 3599.9, 7322)] == [
        "0.0 s",
        "59.9 s",
        "1 min 0 s",
        "1 h 0 min",
        "2 h 2 min",
    ]


def test_nouns_agree_with_their_count():
    assert [plural(n, w) for n, w in ((1, "object"), (2, "object"), (3, "delivery"))] == [
        "1 object",
        "2 objects",
        "3 deliveries",
    ]


def test_a_long_key_keeps_both_ends_and_the_width_asked_for():
    key = "photos/2020/holidays/in/the/mountains/img_0001.jpg"
    short = shorten(key, 24)
    assert cell_width(short) == 24
    assert short.startswith("photos/2020/")
    assert short.endswith("img_0001.jpg"[-11:])


def test_wide_characters_count_two_columns():
    assert cell_width("日本") == 4
    assert cell_width("e\u0301") == 1
    assert cell_width(shorten("日本語の長い名前の写真.jpg", 11)) <= 11


def test_a_key_that_fits_is_left_alone():
    assert shorten("a.txt", 5) == "a.txt"
    assert shorten("abcdefgh", 3) == "abc"


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("4096", 4096),
        ("10MB", 10_000_000),
        ("10M", 10_000_000),
        ("1.5GiB", 3 << 29),
        ("2 kib", 2048),
        ("7B", 7),
    ],
)
def test_sizes_are_read_decimal_or_binary_as_they_say(text, size_bytes):
    assert parse_size(text, "--min-size") == size_bytes


@pytest.mark.parametrize("text", ["", "big", "1XB", "-1", "1 MiBs", "1e6"])
def test_what_is_no_size_is_an_error_that_names_the_option(text):
    with pytest.raises(InvalidSettingError, match="--min-size is"):
        parse_size(text, "--min-size")
