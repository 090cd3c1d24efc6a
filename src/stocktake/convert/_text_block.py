"""Facts about the texts of one column in one block, each found once, for all values at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_ZERO, _MINUS, _DOT = 48, 45, 46
DIGITS_EXACT_MAX = 15
"""Decimal numbers of so many digits are all told apart by a double."""

Bytes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class IntegerFacts:
    """All texts are integers as a program prints them.

    Attributes:
        negative: One of them is below zero.
        digits_max: Most digits of one of them.
    """

    negative: bool
    digits_max: int


@dataclass(frozen=True, slots=True)
class PlainNumberFacts:
    """All texts are numbers without an exponent and without a zero too many.

    Attributes:
        all_dotted: Each has a dot.
        whole_dotted: One is written `1.0`.
        long: Those with more than 15 digits, of which a double may not hold all.
    """

    all_dotted: bool
    whole_dotted: bool
    long: pa.StringArray | None


class TextBlock:
    """The values of a column in one block that are not null.

    Attributes:
        array: The texts, without nulls.
        count: How many.
        lengths: Bytes of each.
        starts: Where each begins in `data`.
        data: All their bytes.
    """

    def __init__(self, array: pa.StringArray) -> None:
        if array.null_count:
            array = array.drop_null()
        self.array = array
        self.count = len(array)
        _, offsets_buffer, data = array.buffers()
        offsets = np.frombuffer(offsets_buffer, np.int32, self.count + 1, 4 * array.offset)
        self.starts: Counts = (offsets[:-1] - offsets[0]).astype(np.int64)
        self.lengths: Counts = np.diff(offsets).astype(np.int64)
        whole = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
        self.data: Bytes = whole[offsets[0] : offsets[-1]]

    def text(self, index: int) -> str:
        """One value."""
        return str(self.array[index].as_py())

    @cached_property
    def length_min(self) -> int:
        """Bytes of the shortest value."""
        return int(self.lengths.min())

    @cached_property
    def length_max(self) -> int:
        """Bytes of the longest value."""
        return int(self.lengths.max())

    @cached_property
    def width(self) -> int | None:
        """The length of all values, if it is one."""
        return self.length_min if self.length_min == self.length_max else None

    @cached_property
    def matrix(self) -> Bytes:
        """Values as rows of bytes; only if `width` is not None."""
        return self.data.reshape(self.count, self.width or 0)

    @cached_property
    def dots(self) -> int | None:
        """How many dots there are, if all else are digits and leading minus signs; or None."""
        if not self.length_min:
            return None
        digits = np.count_nonzero(self.data - _ZERO < np.uint8(10))
        total = len(self.data)
        if digits == total:
            return 0
        minus = np.count_nonzero(self.data == _MINUS)
        dots = np.count_nonzero(self.data == _DOT)
        if digits + minus + dots != total or minus != np.count_nonzero(self.minus):
            return None
        return int(dots)

    @cached_property
    def minus(self) -> npt.NDArray[np.bool_]:
        """Which values begin with a minus sign."""
        return np.asarray(self.data[self.starts] == _MINUS)

    @cached_property
    def body_lengths(self) -> Counts:
        """Bytes of each value without its minus sign."""
        return self.lengths - self.minus

    @cached_property
    def begins_with_zero(self) -> npt.NDArray[np.bool_]:
        """Whose first digit is 0; only if no value is a minus sign alone."""
        return np.asarray(self.data[self.starts + self.minus] == _ZERO)

    @cached_property
    def integers(self) -> IntegerFacts | None:
        """What they are as integers; None if one has a zero or plus in front, or is none."""
        if self.dots != 0 or not int(self.body_lengths.min()):
            return None
        if np.any(self.begins_with_zero & ((self.body_lengths > 1) | self.minus)):
            return None
        return IntegerFacts(bool(self.minus.any()), int(self.body_lengths.max()))

    @cached_property
    def plain_numbers(self) -> PlainNumberFacts | None:
        """What they are as numbers; None if one is none, or not in its shortest form."""
        if self.dots is None or not int(self.body_lengths.min()):
            return None
        at = np.flatnonzero(self.data == _DOT)
        rows = np.searchsorted(self.starts, at, "right") - 1
        places = at - self.starts[rows]
        if len(rows) > 1 and bool((rows[1:] == rows[:-1]).any()):
            return None
        whole = self.body_lengths.copy()
        whole[rows] = places - self.minus[rows]
        fraction = self.lengths[rows] - places - 1
        if int(whole.min()) < 1 or (len(rows) and int(fraction.min()) < 1):
            return None
        if bool((self.begins_with_zero & (whole > 1)).any()):
            return None
        last_is_zero = self.data[self.starts[rows] + self.lengths[rows] - 1] == _ZERO
        if bool((last_is_zero & (fraction > 1)).any()):
            return None
        digits = self.body_lengths.copy()
        digits[rows] -= 1
        long = digits > DIGITS_EXACT_MAX
        return PlainNumberFacts(
            all_dotted=len(rows) == self.count,
            whole_dotted=bool(last_is_zero.any()),
            long=self.array.filter(pa.array(long)) if long.any() else None,
        )

    def casts(self, arrow_type: pa.DataType) -> bool:
        """Whether Arrow can read all of them as this type."""
        try:
            self.array.cast(arrow_type)
        except pa.ArrowInvalid:
            return False
        return True


def digit_columns(matrix: Bytes, columns: Any) -> Bytes | None:
    """The digits in these columns as numbers 0..9; None if there is anything else."""
    digits = matrix[:, columns] - np.uint8(_ZERO)
    return None if bool((digits > 9).any()) else np.asarray(digits)
