"""`--sink KIND --sink-set NAME=VALUE` as the settings that sinks understand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stocktake.cli._pairs import parse_pairs
from stocktake.errors import InvalidSettingError, UsageError
from stocktake.ingest import SINK_SETTINGS, SinkKind, check_sink


def parse_sink(kind: str | None, settings: Iterable[str]) -> dict[str, Any] | None:
    """The checked settings of a sink; None if none was named.

    A name with a dot is a member: `catalog.uri=...` belongs to `catalog`. Numbers are parsed where
    the setting is one.

    Raises:
        UsageError: Settings without a sink, or not pairs.
        InvalidSettingError: Which setting is missing, unknown or impossible.
    """
    pairs = parse_pairs(settings, "--sink-set")
    if kind is None:
        if pairs:
            raise UsageError("--sink-set without --sink", hint="say which sink is meant")
        return None
    raw: dict[str, Any] = {"kind": kind}
    numbers = _numbers(kind)
    for name, value in pairs.items():
        owner, dot, member = name.partition(".")
        if dot:
            _put_member(raw, owner, member, value)
        else:
            raw[name] = numbers[name](value) if name in numbers else value
    return check_sink(raw)


def _put_member(raw: dict[str, Any], owner: str, member: str, value: str) -> None:
    members = raw.setdefault(owner, {})
    if not isinstance(members, dict):
        raise InvalidSettingError(
            f"--sink-set names `{owner}` and `{owner}.{member}`", hint="leave one of them out"
        )
    members[member] = value


def _numbers(kind: str) -> dict[str, Any]:
    if kind not in list(SinkKind):
        return {}
    found = {}
    for setting in SINK_SETTINGS[SinkKind(kind)]:
        kinds = setting.kind if isinstance(setting.kind, tuple) else (setting.kind,)
        if set(kinds) <= {int, float}:
            found[setting.name] = _number(setting.name, whole=float not in kinds)
    return found


def _number(name: str, *, whole: bool) -> Any:
    def parse(text: str) -> int | float:
        try:
            return int(text) if whole else float(text)
        except ValueError:
            raise InvalidSettingError(f"`{name}` of a sink is a number, not `{text}`") from None

    return parse
