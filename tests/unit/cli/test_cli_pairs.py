"""`NAME=VALUE` options and lengths of time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stocktake.cli._pairs import parse_pairs
from stocktake.cli._text import parse_duration
from stocktake.errors import InvalidSettingError, UsageError


def test_pairs_are_split_at_the_first_equals_sign():
    assert parse_pairs(["a=1", "pattern=dt=%Y", "empty="], "--set") == {
        "a": "1",
        "pattern": "dt=%Y",
        "empty": "",
    }


@pytest.mark.parametrize("texts", [["a"], ["=1"], ["a=1", "a=2"]])
def test_what_is_no_pair_or_stands_twice_is_refused(texts):
    with pytest.raises(UsageError, match="--set"):
        parse_pairs(texts, "--set")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("15m", 900),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2d", 172_800),
        ("1w", 604_800),
        ("1 h", 3600),
        ("5MIN", 300),
    ],
)
def test_lengths_of_time(text, seconds):
    assert parse_duration(text, "--max-age") == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1h x", "99999999999d", "1y"])
def test_what_is_no_length_of_time_names_the_option(text):
    with pytest.raises(InvalidSettingError, match="--max-age"):
        parse_duration(text, "--max-age")
