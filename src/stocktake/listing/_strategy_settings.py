"""The settings of each strategy as data: names, kinds, defaults, and the names peers use for them.

>>> parse_settings("incremental_lexical", {"lookback": "2h"})["lookback_s"]
7200.0
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import InvalidSettingError
from stocktake.listing._strategy import StrategyName

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_LONG_UNITS = {"sec": "s", "second": "s", "min": "m", "minute": "m", "hour": "h", "day": "d"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


class SettingKind(StrEnum):
    """What a value has to be."""

    COUNT = "a whole number"
    SHARE = "a number between 0 and 1"
    FLAG = "true or false"
    TEXT = "a text"
    NAMES = "names, separated by commas"
    SECONDS = "a duration such as 90s, 15m, 2h or 7d"
    INSTANT = "an instant such as 2026-11-20T18:00:00Z"
    ZONE = "a time zone such as UTC or Europe/Berlin"
    REGEX = "a regular expression"


@dataclass(frozen=True, slots=True)
class StrategySetting:
    """One setting of a strategy.

    Attributes:
        name: Its name in parsed settings; durations end in `_s`.
        kind: What it has to be.
        help: What it does.
        default: Its value if nobody says anything; None is "not set".
        aliases: Other names that are understood; users know them from other tools.
        minimum: Smallest number allowed.
        choices: The only texts allowed; empty is any.
    """

    name: str
    kind: SettingKind
    help: str
    default: Any = None
    aliases: tuple[str, ...] = ()
    minimum: float = 0
    choices: tuple[str, ...] = ()


_FORCE = StrategySetting(
    "force",
    SettingKind.FLAG,
    "Run although the names speak against it. What is missed then shows at audits only.",
    default=False,
    aliases=("allow_unordered",),
)

_LEXICAL = (
    StrategySetting(
        "domain_depth",
        SettingKind.COUNT,
        "How many folders below the prefix make an ordering domain; 0: the prefix is one domain. "
        "Not set: each folder that holds objects is a domain.",
        aliases=("depth",),
    ),
    StrategySetting(
        "domain_pattern",
        SettingKind.REGEX,
        "Folders (below the prefix, with their `/`) that match it whole are ordering domains.",
        aliases=("partition_regex", "domain_regex"),
    ),
    StrategySetting(
        "lookback_keys",
        SettingKind.COUNT,
        "How many keys before the end of a domain are looked at again.",
        default=100,
        aliases=("lexicographical_lookback_keys", "lookback_count"),
    ),
    StrategySetting(
        "lookback_s",
        SettingKind.SECONDS,
        "How late an object may appear behind its successors and still be seen.",
        default=3600.0,
        aliases=("lookback", "lookback_window", "lag"),
    ),
    StrategySetting(
        "settle_s",
        SettingKind.SECONDS,
        "Younger objects are not finished: the cursor stays before them.",
        default=0.0,
        aliases=("settle", "min_age"),
    ),
    StrategySetting(
        "size_min_bytes",
        SettingKind.COUNT,
        "Smaller objects are not finished while they are younger than `unfinished_max`.",
        default=0,
        aliases=("min_size",),
    ),
    StrategySetting(
        "unfinished_max_s",
        SettingKind.SECONDS,
        "After this age an object counts as finished, however small.",
        default=86_400.0,
        aliases=("unfinished_max",),
    ),
    StrategySetting(
        "close_after_s",
        SettingKind.SECONDS,
        "A date folder without anything new for so long, and with a younger sibling, is closed: "
        "only audits look into it again.",
        default=7 * 86_400.0,
        aliases=("close_after", "partition_ttl"),
    ),
    StrategySetting(
        "domains_max",
        SettingKind.COUNT,
        "Most folders that the cursor keeps; beyond it the strategy refuses.",
        default=10_000,
        minimum=1,
    ),
    _FORCE,
)

_PARTITIONED = (
    StrategySetting(
        "pattern",
        SettingKind.TEXT,
        "How partitions are named below the prefix, as `dt=%Y-%m-%d/hour=%H` or `*/%Y/%m/%d`. "
        "Not set: found out from the first listing.",
        aliases=("partition_pattern", "path_pattern", "partition_format"),
    ),
    StrategySetting(
        "partition_columns",
        SettingKind.NAMES,
        "The Hive columns that hold the time, if more than these look like it.",
        aliases=("partitionColumns", "partition_keys", "columns"),
    ),
    StrategySetting(
        "time_zone",
        SettingKind.ZONE,
        "The zone in which partitions are named.",
        default="UTC",
        aliases=("timezone", "timeZone", "tz"),
    ),
    StrategySetting(
        "lookback_s",
        SettingKind.SECONDS,
        "Partitions this far back are listed each time.",
        default=2 * 86_400.0,
        aliases=("lookback", "lookback_window", "lag"),
    ),
    StrategySetting(
        "horizon_s",
        SettingKind.SECONDS,
        "Partitions this far in the future are listed each time.",
        default=86_400.0,
        aliases=("horizon", "future_horizon", "lookahead"),
    ),
    StrategySetting(
        "late_calls",
        SettingKind.COUNT,
        "Requests per run that look for partitions which appeared before the lookback window.",
        default=20,
    ),
    StrategySetting(
        "strays_max",
        SettingKind.COUNT,
        "Most folders that are no dates (`__HIVE_DEFAULT_PARTITION__`, ...) and are listed each "
        "time; beyond it the strategy refuses.",
        default=100,
    ),
)

_TIME = (
    StrategySetting(
        "since",
        SettingKind.INSTANT,
        "Leave out objects last modified before it. Never used as a cursor.",
        aliases=("start_timestamp", "modified_after", "modifiedAfter"),
    ),
    StrategySetting(
        "slack_s",
        SettingKind.SECONDS,
        "Subtracted from the watermark, for clocks that differ.",
        default=900.0,
        aliases=("slack", "lag", "max_band", "maxBand"),
    ),
    StrategySetting(
        "open_uploads",
        SettingKind.FLAG,
        "Hold the watermark before the oldest unfinished multipart upload.",
        default=True,
    ),
    StrategySetting(
        "full_refresh",
        SettingKind.FLAG,
        "Ignore `since` and `max_age`; `ingest run --full-refresh` also loads everything again.",
        default=False,
        aliases=("fullRefresh", "refresh"),
    ),
)

_INVENTORY = (
    StrategySetting(
        "location",
        SettingKind.TEXT,
        "Where the reports are delivered, as s3://bucket/prefix.",
        aliases=("destination", "inventory", "inventory_location", "report"),
    ),
    StrategySetting(
        "config_id", SettingKind.TEXT, "Which configuration.", aliases=("configuration", "id")
    ),
    StrategySetting(
        "tail",
        SettingKind.TEXT,
        "How what came after the report is found.",
        default="listing",
        choices=("listing", "events", "none"),
    ),
)

_EVENTS = (
    StrategySetting(
        "queue_url",
        SettingKind.TEXT,
        "The queue that the bucket's events arrive in.",
        aliases=("queueUrl", "queue", "sqs_queue_url", "sqs_url"),
    ),
)

_SAMPLE = (
    StrategySetting(
        "probes",
        SettingKind.COUNT,
        "About how many LIST requests to spend.",
        default=64,
        aliases=("sample_size", "calls"),
        minimum=8,
    ),
    StrategySetting("seed", SettingKind.COUNT, "Chooses the random places.", default=0),
    StrategySetting(
        "confidence", SettingKind.SHARE, "Share of intervals that hold the truth.", default=0.95
    ),
)

STRATEGY_SETTINGS: Mapping[StrategyName, tuple[StrategySetting, ...]] = {
    StrategyName.FULL: (),
    StrategyName.INCREMENTAL_TIME: _TIME,
    StrategyName.INCREMENTAL_LEXICAL: _LEXICAL,
    StrategyName.PARTITIONED: _PARTITIONED,
    StrategyName.INVENTORY: _INVENTORY,
    StrategyName.EVENT_DRIVEN: _EVENTS,
    StrategyName.SAMPLE: _SAMPLE,
}
"""Every setting of every strategy, in the order of the reference page."""


def parse_settings(name: StrategyName | str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a strategy: every one of them, canonical names, values that JSON can hold.

    What it returns may be given to it again. Durations come out as seconds, instants as ISO text.

    Args:
        name: The strategy.
        raw: Names (or aliases) and values, as text or as the value itself; None is "not given".

    Raises:
        InvalidSettingError: An unknown name, a name and its alias together, or a value of another
            kind.
    """
    strategy = StrategyName(name)
    known = STRATEGY_SETTINGS[strategy]
    by_name = {word: one for one in known for word in (one.name, *one.aliases)}
    values = {one.name: one.default for one in known}
    given: dict[str, str] = {}
    for word, value in raw.items():
        setting = by_name.get(word)
        if setting is None:
            raise _unknown(strategy, word, by_name)
        if value is None:
            continue
        if setting.name in given:
            raise InvalidSettingError(
                f"`{word}` and `{given[setting.name]}` are the same setting of {strategy}",
                setting=setting.name,
            )
        given[setting.name] = word
        values[setting.name] = _parse(setting, word, value)
    return values


def _unknown(
    strategy: StrategyName, word: str, known: Mapping[str, StrategySetting]
) -> InvalidSettingError:
    names = list(dict.fromkeys(setting.name for setting in known.values()))
    near = difflib.get_close_matches(word, list(known), n=1)
    hint = f"did you mean `{near[0]}`?" if near else "settings: " + (", ".join(names) or "none")
    return InvalidSettingError(f"`{word}` is not a setting of {strategy}", hint=hint, setting=word)


def _parse(setting: StrategySetting, word: str, value: Any) -> Any:
    try:
        parsed = _PARSERS[setting.kind](value)
    except (ValueError, TypeError, re.error, ZoneInfoNotFoundError) as error:
        raise InvalidSettingError(
            f"`{word}` is `{value}`, not {setting.kind}", setting=setting.name
        ) from error
    if isinstance(parsed, int | float) and not isinstance(parsed, bool):
        if parsed < setting.minimum:
            raise InvalidSettingError(
                f"`{word}` is {value}, the smallest value is {setting.minimum:g}",
                setting=setting.name,
            )
    elif setting.choices and parsed not in setting.choices:
        raise InvalidSettingError(
            f"`{word}` is `{value}`, not one of {', '.join(setting.choices)}", setting=setting.name
        )
    return parsed


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError
    return int(value)


def _share(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    share = float(value)
    if not 0 < share < 1:
        raise ValueError
    return share


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    low = str(value).lower()
    if low in _TRUE:
        return True
    if low in _FALSE:
        return False
    raise ValueError


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _names(value: Any) -> list[str]:
    words = value.split(",") if isinstance(value, str) else value
    names = [_text(word).strip() for word in words]
    if not all(names):
        raise ValueError
    return names


def _seconds(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    match = _DURATION.fullmatch(str(value).strip().lower())
    if match is None:
        raise ValueError
    unit = match[2]
    unit = _LONG_UNITS.get(unit.removesuffix("s") or unit, unit) or "s"
    if unit not in _SECONDS:
        raise ValueError
    return float(match[1]) * _SECONDS[unit]


def _instant(value: Any) -> str:
    return format_utc(parse_utc(value if isinstance(value, str) else value.isoformat()))


def _zone(value: Any) -> str:
    return ZoneInfo(_text(value)).key


def _regex(value: Any) -> str:
    return re.compile(_text(value)).pattern


_PARSERS: Mapping[SettingKind, Callable[[Any], Any]] = {
    SettingKind.COUNT: _count,
    SettingKind.SHARE: _share,
    SettingKind.FLAG: _flag,
    SettingKind.TEXT: _text,
    SettingKind.NAMES: _names,
    SettingKind.SECONDS: _seconds,
    SettingKind.INSTANT: _instant,
    SettingKind.ZONE: _zone,
    SettingKind.REGEX: _regex,
}
