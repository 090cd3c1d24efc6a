"""Folder names that are dates: one path component read as a template such as `dt=%Y-%m-%d`.

Tokens: `%Y %m %d %H %M %S`, `%-m %-d %-H` without leading zeros, `*` for any text. Letters match in
either case and `:` also as `%3A`, as Hive writes it.

>>> DateComponent.parse("dt=%Y-%m-%d").read("dt=2026-01-02")
{'Y': 2026, 'm': 1, 'd': 2}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

UNITS = "YmdHMS"
"""Fields from coarse to fine."""

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
"""The folder of rows whose partition column is null."""

_TOKEN = re.compile(r"%-?[YmdHMS]|\*")
_DIGITS = {"Y": r"\d{4}", "m": r"\d{2}", "d": r"\d{2}", "H": r"\d{2}", "M": r"\d{2}", "S": r"\d{2}"}
_SPELLINGS = {":": "(?::|%3A)", " ": "(?: |%20)", "+": "(?:\\+|%2B)"}
_YEAR_MIN, _YEAR_MAX = 1970, 2199

_WHOLE = (
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d-%H-%M",
    "%Y-%m-%dT%H",
    "%Y-%m-%d %H",
    "%Y-%m-%d-%H",
    "%Y-%m-%d_%H",
    "%Y%m%dT%H",
    "%Y%m%d%H",
    "%Y-%m-%d",
    "%Y_%m_%d",
    "%Y.%m.%d",
    "%Y%m%d",
    "%Y-%m",
    "%Y_%m",
    "%Y%m",
    "%Y",
)
_NEXT = {
    "": _WHOLE,
    "Y": ("%m-%d", "%m%d", "%m", "%-m"),
    "Ym": ("%d", "%-d"),
    "Ymd": ("%H", "%-H"),
    "YmdH": ("%M",),
}

Fields = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DateComponent:
    """One component of a path as a template.

    Attributes:
        template: How it was written.
        fields: The date fields it holds, in the order of its text.
        regex: What its names match, whole.
    """

    template: str
    fields: tuple[str, ...]
    regex: re.Pattern[str]

    @classmethod
    @lru_cache(maxsize=512)
    def parse(cls, template: str) -> DateComponent:
        """From a template. Raises ValueError for an unknown token or one that occurs twice."""
        pieces: list[str] = []
        fields: list[str] = []
        last = 0
        for match in _TOKEN.finditer(template):
            pieces.append(_literal(template[last : match.start()]))
            last = match.end()
            token = match[0]
            if token == "*":  # noqa: S105 - no secret
                pieces.append(".+")
                continue
            field = token[-1]
            if field in fields or token == "%-Y":  # noqa: S105
                raise ValueError(f"`{token}` in `{template}`")
            fields.append(field)
            digits = r"\d{1,2}" if token[1] == "-" else _DIGITS[field]
            pieces.append(f"(?P<{field}>{digits})")
        pieces.append(_literal(template[last:]))
        return cls(template, tuple(fields), re.compile("".join(pieces), re.IGNORECASE | re.DOTALL))

    @property
    def ascends(self) -> bool:
        """Names in the order of time are in key order: padded, coarse to fine, no free text."""
        free = "%-" in self.template or "*" in self.template
        return not free and list(self.fields) == sorted(self.fields, key=UNITS.index)

    def read(self, name: str) -> dict[str, int] | None:
        """The fields of a name; None if it is not of this form. Whether it is a day is not said."""
        match = self.regex.fullmatch(name)
        return None if match is None else {field: int(match[field]) for field in self.fields}

    def shape(self, name: str) -> str:
        """The name with its dates replaced by tokens: names of one spelling share it."""
        match = self.regex.fullmatch(name)
        if match is None:
            return name
        pieces, last = [], 0
        for field in self.fields:
            start, stop = match.span(field)
            short = field != "Y" and f"%-{field}" in self.template and match[field][0] != "0"
            pieces += [name[last:start], f"%-{field}" if short else f"%{field}"]
            last = stop
        return "".join([*pieces, name[last:]])

    def format(self, when: datetime) -> str:
        """The name of a time, for templates that `ascends`."""
        values = {
            "Y": f"{when.year:04}",
            "m": f"{when.month:02}",
            "d": f"{when.day:02}",
            "H": f"{when.hour:02}",
            "M": f"{when.minute:02}",
            "S": f"{when.second:02}",
        }
        return _TOKEN.sub(lambda match: values[match[0][-1]], self.template)


def _literal(text: str) -> str:
    if "%" in text.replace("%3A", "").replace("%20", "").replace("%2B", ""):
        raise ValueError(f"`{text}` holds an unknown token")
    pieces = re.split(r"(%3A|%20|%2B|[: +])", text, flags=re.IGNORECASE)
    plain = {"%3A": ":", "%20": " ", "%2B": "+"}
    return "".join(
        _SPELLINGS.get(plain.get(piece.upper(), piece), re.escape(piece)) for piece in pieces
    )


def start_of(fields: Fields) -> datetime | None:
    """The first instant (naive) of what the fields say; None if there is no such day or hour."""
    if not _YEAR_MIN <= fields.get("Y", 0) <= _YEAR_MAX:
        return None
    try:
        return datetime(  # noqa: DTZ001 - local time of the partitions, whatever zone that is
            fields["Y"],
            fields.get("m", 1),
            fields.get("d", 1),
            fields.get("H", 0),
            fields.get("M", 0),
            fields.get("S", 0),
        )
    except ValueError:
        return None


def index_of(when: datetime, unit: str) -> int:
    """The number of the year, month, day, hour, minute or second that holds the instant."""
    if unit == "Y":
        return when.year
    if unit == "m":
        return when.year * 12 + when.month - 1
    days = when.toordinal()
    if unit == "d":
        return days
    hours = days * 24 + when.hour
    if unit == "H":
        return hours
    minutes = hours * 60 + when.minute
    return minutes if unit == "M" else minutes * 60 + when.second


def instant_of(index: int, unit: str) -> datetime:
    """The first instant (naive) of the year, month, day, ... of that number."""
    if unit == "Y":
        return datetime(index, 1, 1)  # noqa: DTZ001
    if unit == "m":
        return datetime(index // 12, index % 12 + 1, 1)  # noqa: DTZ001
    scale = {"d": 1, "H": 24, "M": 1440, "S": 86_400}[unit]
    days, rest = divmod(index, scale)
    return datetime.fromordinal(days) + timedelta(days=1) * rest / scale


def span_of(fields: Fields, unit: str) -> tuple[int, int] | None:
    """First and last number of the units that the fields cover; None if they are no date.

    >>> first, last = span_of({"Y": 2026, "m": 2}, "d"); last - first
    27
    """
    first = start_of(fields)
    if first is None:
        return None
    finest = max(fields, key=UNITS.index)
    following = instant_of(index_of(first, finest) + 1, finest)
    return index_of(first, unit), max(index_of(first, unit), index_of(following, unit) - 1)


def fitting_template(
    names: Iterable[str], known: str, columns: Sequence[str] | None = None
) -> str | None:
    """The template that nearly all names of one level of folders follow, if they are dates.

    Args:
        names: Components of paths.
        known: The fields that components above them hold, coarse to fine (`Ym`).
        columns: Hive columns that may be dates; None: all.
    """
    split = [name.rpartition("=") for name in names if not name.endswith(HIVE_NULL)]
    if not split:
        return None
    heads = [head + equals for head, equals, _ in split]
    head = max(set(heads), key=heads.count)
    if columns is not None and head and head.removesuffix("=") not in columns:
        return None
    for form in _NEXT.get(known, ()):
        component = DateComponent.parse(form)
        good = sum(_is_date(component, value, known) for _, _, value in split)
        if good >= 0.9 * len(split):
            try:
                DateComponent.parse(head + form)
            except ValueError:
                return None
            return head + form
    return None


def _is_date(component: DateComponent, value: str, known: str) -> bool:
    fields = component.read(value)
    if fields is None:
        return False
    above = {"Y": 2000, **({"m": 1} if "m" in known else {}), **({"d": 1} if "d" in known else {})}
    return start_of(fields if not known else {**above, **fields}) is not None


def ascending_dates(folders: Iterable[str]) -> bool:
    """The components of one folder path end in a date whose siblings ascend with time."""
    known, last = "", False
    for name in folders:
        template = fitting_template([name], known)
        last = template is not None and DateComponent.parse(template).ascends
        if template is not None:
            known += "".join(DateComponent.parse(template).fields)
    return last
