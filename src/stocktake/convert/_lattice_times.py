"""Candidates for columns of dates, timestamps, times of day and truth values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stocktake.convert._text_block import Bytes, TextBlock, digit_columns

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_CLOCK = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?")
_STAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ])([0-9]{2}):([0-9]{2})"
    r"(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.uint8)
_NS_YEARS = (1678, 2261)
"""Whole years that 64 bits of nanoseconds can hold."""
_US_DIGITS_MAX = 6
_DATE_WIDTH = 10
_SPELLINGS = (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))


@dataclass
class TruthCandidate:
    """bool, in the spelling of the first value."""

    name: str = "bool"
    spelling: tuple[str, str] | None = None

    def admits(self, block: TextBlock) -> bool:
        """Whether all values are one of two words."""
        if self.spelling is None:
            first = block.text(0)
            self.spelling = next((one for one in _SPELLINGS if first in one), None)
        if self.spelling is None or block.length_min < 4 or block.length_max > 5:
            return False
        yes, no = self.spelling
        same = pc.or_(pc.equal(block.array, yes), pc.equal(block.array, no))
        return bool(pc.all(same).as_py())

    def misfit(self, text: str) -> str | None:
        """Why one value does not fit; None if it does."""
        if self.spelling is None:
            return None if any(text in one for one in _SPELLINGS) else "not true or false"
        return None if text in self.spelling else f"not {self.spelling[0]} or {self.spelling[1]}"

    def result(self) -> tuple[pa.DataType, str | None]:
        """The type, and the spelling unless it is `true/false`."""
        spelling = self.spelling or _SPELLINGS[0]
        return pa.bool_(), None if spelling == _SPELLINGS[0] else "/".join(spelling)


@dataclass
class DateCandidate:
    """date32, written YYYY-MM-DD."""

    name: str = "date32"

    def admits(self, block: TextBlock) -> bool:
        """Whether all values are days of the calendar."""
        return block.width == _DATE_WIDTH and _days_exist(block.matrix)

    def misfit(self, text: str) -> str | None:
        """Why one value does not fit; None if it does."""
        return None if len(text) == _DATE_WIDTH and _day_exists(text) else "no date YYYY-MM-DD"

    def result(self) -> tuple[pa.DataType, str | None]:
        """The type; it has one format."""
        return pa.date32(), None


@dataclass
class StampCandidate:
    """timestamp: all values written as the first one, with the same zone or none."""

    name: str = "timestamp"
    like: str | None = None
    parts: tuple[str, bool, int, str] = field(default=("", False, 0, ""))

    def admits(self, block: TextBlock) -> bool:
        """Whether all values have the format of the first one and exist."""
        if self.like is None and not self._take_format(block.text(0)):
            return False
        if block.width != len(self.like or ""):
            return False
        matrix, (separator, seconds, digits, zone) = block.matrix, self.parts
        if not _days_exist(matrix, _NS_YEARS if digits > _US_DIGITS_MAX else None):
            return False
        if not np.all(matrix[:, _DATE_WIDTH] == ord(separator)):
            return False
        end = 11 + (8 if seconds else 5) + (digits + 1 if digits else 0)
        if zone and not np.all(matrix[:, end:] == np.frombuffer(zone.encode(), np.uint8)):
            return False
        return _clock_exists(matrix[:, 11:end], seconds=seconds)

    def _take_format(self, text: str) -> bool:
        found = _STAMP.fullmatch(text)
        if not found:
            return False
        self.like = text
        digits = len(found[5] or "")
        self.parts = (found[1], found[4] is not None, digits, found[6] or "")
        return _zone_exists(self.parts[3])

    def misfit(self, text: str) -> str | None:
        """Why one value does not fit; None if it does."""
        found = _STAMP.fullmatch(text)
        if not found or not _day_exists(text[:_DATE_WIDTH]):
            return "no timestamp YYYY-MM-DD HH:MM:SS"
        own = (found[1], found[4] is not None, len(found[5] or ""), found[6] or "")
        if not _zone_exists(own[3]):
            return "a zone that does not exist"
        if self.like is not None and own != self.parts:
            return f"written unlike {self.like}"
        if int(found[2]) > 23 or int(found[3]) > 59 or int(found[4] or 0) > 59:
            return "a time that no clock shows"
        if own[2] > _US_DIGITS_MAX and not _NS_YEARS[0] <= int(text[:4]) <= _NS_YEARS[1]:
            return "a year beyond nanoseconds"
        return None

    def result(self) -> tuple[pa.DataType, str | None]:
        """The type with its zone, and how it was written."""
        separator, seconds, digits, zone = self.parts
        unit = "ns" if digits > _US_DIGITS_MAX else "us"
        text_format = f"YYYY-MM-DD{separator}HH:MM" + (":SS" if seconds else "")
        text_format += ("." + "f" * digits if digits else "") + zone
        if not zone:
            return pa.timestamp(unit), text_format
        return pa.timestamp(unit, "UTC" if zone == "Z" else zone), text_format


@dataclass
class ClockCandidate:
    """time64, written HH:MM:SS with the same number of digits behind the dot."""

    name: str = "time"
    digits: int | None = None

    def admits(self, block: TextBlock) -> bool:
        """Whether all values have the format of the first one and exist."""
        if self.digits is None:
            found = _CLOCK.fullmatch(block.text(0))
            if not found:
                return False
            self.digits = len(found[4] or "")
        width = 8 + (self.digits + 1 if self.digits else 0)
        return block.width == width and _clock_exists(block.matrix, seconds=True)

    def misfit(self, text: str) -> str | None:
        """Why one value does not fit; None if it does."""
        found = _CLOCK.fullmatch(text)
        if not found or int(found[1]) > 23 or int(found[2]) > 59 or int(found[3]) > 59:
            return "no time HH:MM:SS"
        if self.digits is not None and len(found[4] or "") != self.digits:
            return f"not {self.digits} digits behind the dot"
        return None

    def result(self) -> tuple[pa.DataType, str | None]:
        """The type, and how it was written."""
        digits = self.digits or 0
        unit = "ns" if digits > _US_DIGITS_MAX else "us"
        return pa.time64(unit), "HH:MM:SS" + ("." + "f" * digits if digits else "")


def _days_exist(matrix: Bytes, years: tuple[int, int] | None = None) -> bool:
    """Whether the first ten columns are YYYY-MM-DD of the calendar."""
    if not (np.all(matrix[:, 4] == ord("-")) and np.all(matrix[:, 7] == ord("-"))):
        return False
    digits = digit_columns(matrix, [0, 1, 2, 3, 5, 6, 8, 9])
    if digits is None:
        return False
    century = digits[:, 0] * np.uint8(10) + digits[:, 1]
    in_century = digits[:, 2] * np.uint8(10) + digits[:, 3]
    year = century.astype(np.int16) * 100 + in_century
    month = digits[:, 4] * np.uint8(10) + digits[:, 5]
    day = digits[:, 6] * np.uint8(10) + digits[:, 7]
    first, last = years or (1, 9999)
    if int(year.min()) < first or int(year.max()) > last:
        return False
    if not (int(month.min()) and int(month.max()) <= 12 and int(day.min())):
        return False
    beyond = day > _DAYS[month]
    if not beyond.any():
        return True
    year, month, day = year[beyond], month[beyond], day[beyond]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return bool(np.all(leap & (month == 2) & (day == 29)))


def _clock_exists(matrix: Bytes, *, seconds: bool) -> bool:
    """Whether rows are HH:MM, HH:MM:SS or HH:MM:SS.fff of a day."""
    width = matrix.shape[1]
    if not np.all(matrix[:, 2] == ord(":")):
        return False
    places = [0, 1, 3, 4]
    if seconds:
        if not np.all(matrix[:, 5] == ord(":")):
            return False
        places += [6, 7]
    if width > 8:
        if not np.all(matrix[:, 8] == ord(".")):
            return False
        places += range(9, width)
    digits = digit_columns(matrix, places)
    if digits is None:
        return False
    hour = digits[:, 0] * np.uint8(10) + digits[:, 1]
    tens = [2, 4] if seconds else [2]
    return int(hour.max()) < 24 and bool(np.all(digits[:, tens] < 6))


def _day_exists(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if not found:
        return False
    row = np.frombuffer(text.encode(), np.uint8).reshape(1, _DATE_WIDTH)
    return _days_exist(row)


def _zone_exists(zone: str) -> bool:
    """Offsets up to a day; `-00:00` means that nobody knows, and stays text."""
    if zone in ("", "Z"):
        return True
    return zone != "-00:00" and int(zone[1:3]) < 24 and int(zone[4:6]) < 60


def time_candidates() -> list[TruthCandidate | DateCandidate | StampCandidate | ClockCandidate]:
    """All of them."""
    return [TruthCandidate(), DateCandidate(), StampCandidate(), ClockCandidate()]
