"""Do keys arrive in the order of their names? What speaks against it, with the keys that show it.

A lexical cursor loses every object that appears behind it. Names that cannot ascend with time are
found from the names alone; lateness is measured if the times of the objects are given.

>>> judge_order(["d/part-9", "d/part-10"]).reasons
('numbers are not zero-padded: `d/part-10` sorts before `d/part-9`',)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from stocktake.model import display_key, folder_of

LATE_SHARE_MAX = 0.05
"""More late objects than this, and the names do not follow time at all."""

_NUMBER = re.compile(
    r"(?<![0-9A-Za-z])\d{1,18}(?![0-9A-Za-z])|(?<=[A-Za-z])\d{1,18}(?![0-9A-Za-z])"
)
_OFFSET = re.compile(
    r"\d{2}(?::|%3A|-)?\d{2}(?:(?::|%3A|-)?\d{2}(?:[.,]\d+)?)?"
    r"(?P<offset>(?:\+|%2B)\d{2}(?:(?::|%3A)?\d{2})?(?![0-9])|-\d{2}(?::|%3A)\d{2}(?![0-9]))",
    re.IGNORECASE,
)
_TIME_BEFORE = re.compile(r"(?:T|t|\s|_|%20)\Z")
_NOT_HEX = re.compile(r"[g-zG-Z]")
_EXAMPLES_MAX = 3


@dataclass(frozen=True, slots=True)
class OrderVerdict:
    """What was found about the order of keys.

    Attributes:
        reasons: Why a lexical cursor would miss objects here; empty if nothing speaks against it.
        warnings: What may become a reason.
        judged: Keys that were looked at.
        late_share: Share of them that came later than a greater key by more than the lookback;
            None if times were not given.
        lateness_max_s: The longest such delay (p100), None likewise.
        lateness_p99_s: 99 % of the keys were not later than this.
    """

    reasons: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    judged: int = 0
    late_share: float | None = None
    lateness_max_s: float | None = None
    lateness_p99_s: float | None = None

    @property
    def ascends(self) -> bool:
        """Nothing speaks against a lexical cursor."""
        return not self.reasons


def judge_order(
    keys: Iterable[str],
    modified: Sequence[datetime | None] | None = None,
    *,
    domain_of: Callable[[str], str] = folder_of,
    lookback_s: float = 3600.0,
) -> OrderVerdict:
    """Whether new keys follow old ones within each ordering domain, as far as these keys tell.

    Args:
        keys: A sample, in any order. All of it is held, so 100,000 keys are enough.
        modified: The time of each key, if known: lateness is measured from it. Overwritten objects
            look late.
        domain_of: The ordering domain of a key: a prefix of it.
        lookback_s: Lateness up to this does not count.
    """
    known = list(keys)
    domains: dict[str, list[int]] = {}
    for number, key in enumerate(known):
        domains.setdefault(domain_of(key), []).append(number)
    reasons: list[str] = []
    warnings: list[str] = []
    for domain, numbers in domains.items():
        names = sorted(known[number][len(domain) :] for number in numbers)
        _judge_numbers(domain, names, reasons, warnings)
        _judge_offsets(domain, names, reasons)
        if len(reasons) >= _EXAMPLES_MAX:
            break
    share, longest, p99 = None, None, None
    if modified is not None:
        share, longest, p99 = _measure_lateness(known, modified, domains, lookback_s)
        if share is not None and share > LATE_SHARE_MAX:
            reasons.append(
                f"{share:.0%} of {len(known)} objects came more than {lookback_s:g} s after one "
                f"with a greater key: these names do not follow time"
            )
    return OrderVerdict(
        tuple(reasons[:_EXAMPLES_MAX]), tuple(warnings[:1]), len(known), share, longest, p99
    )


def _judge_numbers(
    domain: str, names: Sequence[str], reasons: list[str], warnings: list[str]
) -> None:
    """Of otherwise equal names in key order, none may hold a longer and greater number earlier."""
    places: dict[tuple[str, str], tuple[str, str]] = {}
    for name in names:
        for match in _NUMBER.finditer(name):
            # a number counts something only together with the same text before it
            place = (name[: match.start()], _skeleton(name[match.end() :]))
            number = match[0]
            before, before_name = places.setdefault(place, (number, name))
            if len(before) > len(number) and int(before) > int(number):
                reasons.append(
                    f"numbers are not zero-padded: `{display_key(domain + before_name)}` sorts "
                    f"before `{display_key(domain + name)}`"
                )
                return
            if len(number) > len(before):
                places[place] = (number, name)
            elif len(number) == 1 and number != before and not warnings:
                warnings.append(
                    f"numbers of one digit (`{display_key(domain + name)}`): a tenth one would "
                    "sort before the second"
                )


def _skeleton(text: str) -> str:
    return re.sub(r"\d+", "0", text) if len(text) < 64 else ""


def _judge_offsets(domain: str, names: Sequence[str], reasons: list[str]) -> None:
    """A time with an offset from UTC does not ascend where clocks are put back."""
    for name in names:
        match = _OFFSET.search(name)
        if match is None or not _TIME_BEFORE.search(name[: match.start()]):
            continue
        offset = match["offset"]
        if re.sub(r"%2B|%3A|\D", "", offset, flags=re.IGNORECASE).strip("0"):
            reasons.append(
                f"times have an offset from UTC (`{offset}` in `{display_key(domain + name)}`): "
                "they do not ascend where clocks change or writers are in several zones"
            )
            return


def _measure_lateness(
    keys: Sequence[str],
    modified: Sequence[datetime | None],
    domains: dict[str, list[int]],
    lookback_s: float,
) -> tuple[float | None, float | None, float | None]:
    """Share of late keys, the longest delay, and its 99th percentile.

    A key is late by the time between the first object with a greater key and itself.
    """
    delays: list[float] = []
    for numbers in domains.values():
        first_after: datetime | None = None
        for number in sorted(numbers, key=lambda one: keys[one], reverse=True):
            when = modified[number]
            if when is None:
                continue
            delays.append(max(0.0, (when - first_after).total_seconds()) if first_after else 0.0)
            first_after = when if first_after is None else min(first_after, when)
    if not delays:
        return None, None, None
    delays.sort()
    share = sum(delay > lookback_s for delay in delays) / len(delays)
    return share, delays[-1], delays[min(len(delays) - 1, len(delays) * 99 // 100)]
