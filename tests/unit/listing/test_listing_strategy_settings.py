"""Settings of strategies: names, aliases, and what is wrong with the rest (STR-3, STR-4)."""

from __future__ import annotations

import json

import pytest

from stocktake.errors import InvalidSettingError
from stocktake.listing import STRATEGY_SETTINGS, StrategyName, parse_settings


@pytest.mark.parametrize("name", StrategyName)
def test_defaults_are_complete_json_and_parse_to_themselves(name):
    settings = parse_settings(name, {})
    assert set(settings) == {one.name for one in STRATEGY_SETTINGS[name]}
    assert json.loads(json.dumps(settings)) == settings
    assert parse_settings(name, settings) == settings


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("incremental_lexical", {"lexicographical_lookback_keys": "50"}, ("lookback_keys", 50)),
        ("incremental_lexical", {"lookback": "2h"}, ("lookback_s", 7200.0)),
        ("incremental_lexical", {"lookback": "3 days"}, ("lookback_s", 259_200.0)),
        ("incremental_lexical", {"lookback_s": 90}, ("lookback_s", 90.0)),
        ("incremental_lexical", {"force": "yes"}, ("force", True)),
        ("partitioned", {"partitionColumns": "dt, hour"}, ("partition_columns", ["dt", "hour"])),
        ("partitioned", {"tz": "Europe/Berlin"}, ("time_zone", "Europe/Berlin")),
        ("incremental_time", {"modifiedAfter": "2026-01-02"}, ("since", "2026-01-02T00:00:00Z")),
        ("incremental_time", {"fullRefresh": True}, ("full_refresh", True)),
        ("event_driven", {"queueUrl": "http://q"}, ("queue_url", "http://q")),
    ],
)
def test_names_that_users_know_from_elsewhere_are_understood(name, raw, expected):
    settings = parse_settings(name, raw)
    assert settings[expected[0]] == expected[1]
    assert parse_settings(name, settings) == settings


def test_an_unknown_name_is_refused_with_a_suggestion():
    with pytest.raises(InvalidSettingError, match="`lookbak` is not a setting of incr") as caught:
        parse_settings("incremental_lexical", {"lookbak": "1h"})
    assert caught.value.hint == "did you mean `lookback`?"
    with pytest.raises(InvalidSettingError) as caught:
        parse_settings("full", {"zzz": 1})
    assert caught.value.hint == "settings: none"


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("incremental_lexical", {"lookback": "soon"}, "not a duration"),
        ("incremental_lexical", {"lookback": -1}, "smallest value is 0"),
        ("incremental_lexical", {"lookback_keys": 1.5}, "not a whole number"),
        ("incremental_lexical", {"lookback_keys": True}, "not a whole number"),
        ("incremental_lexical", {"domains_max": 0}, "smallest value is 1"),
        ("incremental_lexical", {"domain_pattern": "("}, "not a regular expression"),
        ("incremental_lexical", {"force": "maybe"}, "not true or false"),
        ("partitioned", {"time_zone": "Mars/Olympus"}, "not a time zone"),
        ("partitioned", {"partition_columns": ["", "x"]}, "not names"),
        ("incremental_time", {"since": "yesterday"}, "not an instant"),
        ("inventory", {"tail": "guess"}, "not one of listing, events, none"),
        ("sample", {"confidence": 1}, "between 0 and 1"),
        ("event_driven", {"queue_url": ""}, "not a text"),
        ("incremental_lexical", {"lookback": "1h", "lag": "2h"}, "the same setting"),
    ],
)
def test_a_wrong_value_is_refused(name, raw, said):
    with pytest.raises(InvalidSettingError, match=said):
        parse_settings(name, raw)


def test_none_is_not_given():
    assert parse_settings("incremental_lexical", {"lag": None}) == parse_settings(
        "incremental_lexical", {}
    )
