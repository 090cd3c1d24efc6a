"""Which changes a consumer loads: a pure function, so that `explain` can ask it again later."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from stocktake.clock import format_utc
from stocktake.ingest._change import Change, from_ms, to_ms
from stocktake.ingest._globs import glob_regex
from stocktake.ingest._spec import IngestionSpec
from stocktake.listing import StrategyName, TimeRules


class Action(StrEnum):
    """What to do with a change."""

    LOAD = "load"
    SKIP = "skip"
    WAIT = "wait"


class Verdict(NamedTuple):
    """What to do with a change, by which rule; `detail` says which glob or limit.

    `until_ms`: when a change that waits for its age is to be judged again.
    """

    action: Action
    rule: str
    detail: str = ""
    until_ms: int | None = None

    def sentence(self) -> str:
        """`excluded by the glob *.tmp`."""
        return f"{_WORDS[self.rule]}{f' {self.detail}' if self.detail else ''}"


_WORDS = {
    "all": "no filter holds it back",
    "include": "it matches the glob",
    "deletion": "it is a deletion, and this ingestion takes objects only",
    "noise": "it is not data:",
    "exclude": "it is left out by the glob",
    "not-included": "it matches none of the globs",
    "size-min": "it is smaller than",
    "size-max": "it is larger than",
    "modified-after": "it was modified before",
    "modified-before": "it was modified at or after",
    "settle": "it is too young and waits until",
    "once-per-key": "an earlier version of this key was loaded, as change",
    "first-version-open": "an earlier version of this key is not finished: change",
    "latest-only": "a newer change of this key is known:",
}

LOAD_ALL = Verdict(Action.LOAD, "all")


def _modified_after(spec: IngestionSpec) -> datetime | None:
    """The later of the filter and the `since` of incremental_time, which is a filter too."""
    bounds = [spec.filters.modified_after]
    if spec.strategy is StrategyName.INCREMENTAL_TIME:
        bounds.append(TimeRules.from_settings(spec.strategy_settings).since)
    return max((bound for bound in bounds if bound is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Glob:
    pattern: re.Pattern[str]
    verdict: Verdict


class Judge:
    """The filters of an ingestion, made ready. The answer depends on nothing but its arguments.

    Rules are asked in this order, the first that speaks decides: deletion, noise, exclude, include,
    size, time of modification, age. Size and time of modification do not hold back an object of
    which they are not known (an event may tell neither).

    `name_of` makes of a key the part below the source.
    """

    def __init__(self, spec: IngestionSpec) -> None:
        filters = spec.filters
        self.name_of = namer(spec.source.key)
        self._deletions = spec.deletions
        self._noise = filters.ignore_noise
        self._include = [
            _Glob(glob_regex(glob), Verdict(Action.LOAD, "include", f"`{glob}`"))
            for glob in filters.include
        ]
        self._exclude = [
            _Glob(glob_regex(glob), Verdict(Action.SKIP, "exclude", f"`{glob}`"))
            for glob in filters.exclude
        ]
        globs = " ".join(f"`{glob}`" for glob in filters.include)
        self._not_included = Verdict(Action.SKIP, "not-included", globs)
        self._size_min = filters.size_min_bytes
        self._size_max = filters.size_max_bytes
        after = _modified_after(spec)
        self._after_ms = None if after is None else to_ms(after)
        self._before_ms = (
            None if filters.modified_before is None else to_ms(filters.modified_before)
        )
        self._settle_ms = timedelta(seconds=filters.settle_s) // timedelta(milliseconds=1)

    def judge(self, change: Change, now_ms: int) -> Verdict:
        """What to do with it, at that time."""
        name = self.name_of(change.key)
        if change.is_deletion and not self._deletions:
            return Verdict(Action.SKIP, "deletion")
        if self._noise:
            noise = noise_of(name, change.size_bytes)
            if noise is not None:
                return Verdict(Action.SKIP, "noise", noise)
        for glob in self._exclude:
            if glob.pattern.fullmatch(name):
                return glob.verdict
        verdict = self._included(name)
        if verdict.action is not Action.LOAD or change.is_deletion:
            return verdict
        return self._figures(change, now_ms) or verdict

    def _included(self, name: str) -> Verdict:
        if not self._include:
            return LOAD_ALL
        for glob in self._include:
            if glob.pattern.fullmatch(name):
                return glob.verdict
        return self._not_included

    def _figures(self, change: Change, now_ms: int) -> Verdict | None:
        size_bytes, modified_ms = change.size_bytes, change.modified_ms
        if size_bytes is not None:
            if self._size_min is not None and size_bytes < self._size_min:
                return Verdict(Action.SKIP, "size-min", f"{self._size_min} bytes")
            if self._size_max is not None and size_bytes > self._size_max:
                return Verdict(Action.SKIP, "size-max", f"{self._size_max} bytes")
        if modified_ms is not None:
            if self._after_ms is not None and modified_ms < self._after_ms:
                return Verdict(Action.SKIP, "modified-after", _time(self._after_ms))
            if self._before_ms is not None and modified_ms >= self._before_ms:
                return Verdict(Action.SKIP, "modified-before", _time(self._before_ms))
        if self._settle_ms:
            born_ms = change.observed_ms if modified_ms is None else modified_ms
            ripe_ms = born_ms + self._settle_ms
            if now_ms < ripe_ms:
                return Verdict(Action.WAIT, "settle", _time(ripe_ms), ripe_ms)
        return None


def namer(prefix: str) -> Callable[[str], str]:
    """Makes of a key the part that globs are about: what comes after the source's folder.

    >>> namer("data/")("data/a/b"), namer("data")("data/a/b"), namer("da")("data/a/b")
    ('a/b', 'a/b', 'data/a/b')
    """
    folder = prefix.rfind("/") + 1
    whole = len(prefix)
    if folder == whole:
        return lambda key: key[whole:]
    return lambda key: key[whole + 1 :] if key.startswith("/", whole) else key[folder:]


def noise_of(name: str, size_bytes: int | None) -> str | None:
    """Which kind of noise a key below the source is; None if it is data.

    Folder markers, `_SUCCESS` files, `.crc` checksums, and everything in `_temporary` folders or
    with a name (of file or folder) that begins with a dot.
    """
    last = name.rpartition("/")[2]
    if not last and not size_bytes:
        return "a folder marker"
    if last == "_SUCCESS":
        return "a job's `_SUCCESS` marker"
    if last.endswith(".crc"):
        return "a `.crc` checksum"
    if "_temporary/" in name and (name.startswith("_temporary/") or "/_temporary/" in name):
        return "in a `_temporary` folder"
    if name.startswith(".") or "/." in name:
        return "hidden by a dot"
    return None


def _time(value_ms: int) -> str:
    return format_utc(from_ms(value_ms))
