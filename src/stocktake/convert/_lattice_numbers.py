"""Candidates for columns of numbers: integers, decimals of one scale, floating point."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stocktake.convert._text_block import DIGITS_EXACT_MAX, TextBlock
from stocktake.convert._typed_text import float_text

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_DECIMAL_DIGITS_MAX = 38
_INT64_DIGITS_SAFE = 18
_UINT64_DIGITS_SAFE = 19
_FLOAT_CHARS_MAX = 330
_REPR = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?")
_REPR_CHARS_MAX = 32
_PLAIN_FROM, _PLAIN_BELOW = 1e-4, 1e16
_FLOAT_BYTES = np.zeros(256, np.bool_)
_FLOAT_BYTES[list(b"0123456789.+-e")] = True
_INT64 = (-(2**63), 2**63 - 1)
_UINT64 = (0, 2**64 - 1)


def integer_misfit(text: str) -> str | None:
    """Why a text is not an integer as a program prints it."""
    if _INTEGER.fullmatch(text) and text != "-0" and text.isascii():
        return None
    if re.fullmatch(r"[+-]?[0-9]+", text) and text.isascii():
        return "a sign or zero in front that a number does not keep"
    return "no integer"


@dataclass
class IntegerCandidate:
    """int64 or uint64."""

    name: str
    arrow_type: pa.DataType
    digits_safe: int
    bounds: tuple[int, int]

    def admits(self, block: TextBlock) -> bool:
        """Whether all values fit."""
        facts = block.integers
        if facts is None or (facts.negative and self.bounds[0] == 0):
            return False
        if facts.digits_max <= self.digits_safe:
            return True
        return facts.digits_max <= self.digits_safe + 1 and block.casts(self.arrow_type)

    def misfit(self, text: str) -> str | None:
        """Why one value does not fit; None if it does."""
        reason = integer_misfit(text)
        if reason is None and not self.bounds[0] <= int(text[:40]) <= self.bounds[1]:
            reason = "out of range"
        return reason

    def result(self) -> tuple[pa.DataType, str | None]:
        """The type, and the texts' format where the type does not tell it."""
        return self.arrow_type, None


@dataclass
class BigIntegerCandidate:
    """decimal128(38, 0)."""

    name: str = "decimal128(38, 0)"

    def admits(self, block: TextBlock) -> bool:
        """Whether all values fit."""
        return block.integers is not None and block.integers.digits_max <= _DECIMAL_DIGITS_MAX

    def misfit(self, text: str) -> str | None:
        """Why one value does not fit; None if it does."""
        reason = integer_misfit(text)
        if reason is None and len(text.lstrip("-")) > _DECIMAL_DIGITS_MAX:
            reason = f"more than {_DECIMAL_DIGITS_MAX} digits"
        return reason

    def result(self) -> tuple[pa.DataType, str | None]:
        """The type, and no format."""
        return pa.decimal128(_DECIMAL_DIGITS_MAX, 0), None


@dataclass
class DecimalCandidate:
    """decimal128(p, s): as many digits behind the dot in every value as in the first."""

    name: str = "decimal"
    scale: int | None = None
    precision: int = 0

    def admits(self, block: TextBlock) -> bool:
        """Whether all values fit; the first of all fixes the scale."""
        if self.scale is None:
            self.scale = len(block.text(0).partition(".")[2])
        scale = self.scale
        if not scale or block.dots != block.count:
            return False
        whole = block.body_lengths - 1 - scale
        if int(whole.min()) < 1 or int(whole.max()) + scale > _DECIMAL_DIGITS_MAX:
            return False
        if not np.all(block.data[block.starts + block.lengths - 1 - scale] == ord(".")):
            return False
        if np.any(block.begins_with_zero & (whole > 1)):
            return False
        if block.minus.any() and pc.any(pc.equal(block.array, "-0." + "0" * scale)).as_py():
            return False
        self.precision = max(self.precision, int(whole.max()) + scale)
        return True

    def misfit(self, text: str) -> str | None:
        """Why one value does not fit; None if it does."""
        found = _NUMBER.fullmatch(text) if text.isascii() else None
        if found is None or found[2] is None:
            return "no decimal fraction"
        if self.scale is not None and len(found[2]) != self.scale:
            return f"{len(found[2])} digits behind the dot, not {self.scale}"
        if len(found[1]) + len(found[2]) > _DECIMAL_DIGITS_MAX:
            return f"more than {_DECIMAL_DIGITS_MAX} digits"
        return "a negative zero" if not text.strip("-0.") and text[0] == "-" else None

    def result(self) -> tuple[pa.DataType, str | None]:
        """The type; the scale is the format."""
        return pa.decimal128(self.precision, self.scale or 0), None


@dataclass
class FloatCandidate:
    """float64 whose shortest text is the given one; whole numbers are all `1.0` or all `1`."""

    dotted: bool

    @property
    def name(self) -> str:
        """For people."""
        return "double (1.0)" if self.dotted else "double (1)"

    def admits(self, block: TextBlock) -> bool:
        """Whether all values fit."""
        if block.dots is None or block.length_max > _FLOAT_CHARS_MAX:
            return False
        facts = block.integers
        if facts is not None and facts.digits_max <= DIGITS_EXACT_MAX:
            return not self.dotted
        plain = block.plain_numbers
        if plain is None or (self.dotted and not plain.all_dotted):
            return False
        if plain.whole_dotted and not self.dotted:
            return False
        return plain.long is None or self._all_exact(plain.long)

    def _all_exact(self, texts: pa.StringArray) -> bool:
        back = pc.cast(pc.cast(texts, pa.float64()), pa.string())
        differ = texts.filter(pc.not_equal(texts, back))
        return all(self._exact(text) for text in differ.to_pylist())

    def _exact(self, text: str) -> bool:
        return float_text(float(text), dotted=self.dotted) == text

    def misfit(self, text: str) -> str | None:
        """Why one value does not fit; None if it does."""
        if not text.isascii() or not _NUMBER.fullmatch(text) or len(text) > _FLOAT_CHARS_MAX:
            return "no plain number"
        if self.dotted and "." not in text:
            return "no dot"
        return None if self._exact(text) else "a double gives other digits back"

    def result(self) -> tuple[pa.DataType, str | None]:
        """The type, and how whole numbers are written."""
        return pa.float64(), "1.0" if self.dotted else "1"


@dataclass
class ShortestFloatCandidate:
    """float64 as Python and its libraries print it: `0.5`, `1e-05`, `1.5e+300`."""

    name: str = "double (1e-05)"

    def admits(self, block: TextBlock) -> bool:
        """Whether all values fit."""
        if block.length_max > _REPR_CHARS_MAX or not _FLOAT_BYTES[block.data].all():
            return False
        try:
            values = pc.cast(block.array, pa.float64())
        except pa.ArrowInvalid:
            return False
        size = np.abs(values.to_numpy())
        exponents = block.data == ord("e")
        marked = np.zeros(block.count, np.bool_)
        marked[_rows(block, exponents | (block.data == ord(".")))] = True
        if not marked.all():  # Python prints a dot or an exponent, Arrow not always
            return False
        doubtful = ((size < _PLAIN_FROM) & (size != 0)) | (size >= _PLAIN_BELOW)
        doubtful[_rows(block, exponents)] = True
        differ = pc.not_equal(block.array, pc.cast(values, pa.string()))
        texts = block.array.filter(pc.or_(differ, pa.array(doubtful)))
        return all(repr(float(text)) == text for text in texts.to_pylist())

    def misfit(self, text: str) -> str | None:
        """Why one value does not fit; None if it does."""
        if not _REPR.fullmatch(text) or len(text) > _REPR_CHARS_MAX:
            return "no plain number"
        return None if repr(float(text)) == text else "not the digits that a double gives back"

    def result(self) -> tuple[pa.DataType, str | None]:
        """The type, and the format's name."""
        return pa.float64(), "1e-05"


def _rows(block: TextBlock, marks: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """The values in which bytes are marked."""
    return np.searchsorted(block.starts, np.flatnonzero(marks), "right") - 1


def number_candidates() -> list[
    IntegerCandidate
    | BigIntegerCandidate
    | DecimalCandidate
    | FloatCandidate
    | ShortestFloatCandidate
]:
    """All of them, narrowest first."""
    return [
        IntegerCandidate("int64", pa.int64(), _INT64_DIGITS_SAFE, _INT64),
        IntegerCandidate("uint64", pa.uint64(), _UINT64_DIGITS_SAFE, _UINT64),
        BigIntegerCandidate(),
        DecimalCandidate(),
        FloatCandidate(dotted=True),
        FloatCandidate(dotted=False),
        ShortestFloatCandidate(),
    ]
