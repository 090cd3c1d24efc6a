"""The type of a column of texts: the narrowest one that gives every text back.

Every candidate that is still possible sees every block, so that a decision after the last block
holds for the whole column. A value that rules a type out in the last row widens the column, and
never fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa

from stocktake.convert._lattice_numbers import number_candidates
from stocktake.convert._lattice_times import time_candidates
from stocktake.convert._text_block import TextBlock
from stocktake.convert._typed_text import field_with_format

_NUMBERS = [one.name for one in number_candidates()]
_ORDER = [*_NUMBERS, *(one.name for one in time_candidates())]
_WHY_CHARS_MAX = 400


class _Candidate(Protocol):
    """A type that a column may have."""

    @property
    def name(self) -> str:
        """For people."""

    def admits(self, block: TextBlock) -> bool:
        """Whether all values of a block keep their texts as this type."""

    def misfit(self, text: str) -> str | None:
        """The same of one value, with the reason."""

    def result(self) -> tuple[pa.DataType, str | None]:
        """The type, and the format of its texts if they could be written otherwise."""


@dataclass(frozen=True, slots=True)
class TypeDecision:
    """What a column becomes.

    Attributes:
        type: In Arrow.
        text_format: How its values were written, if the type leaves that open.
        why: For people.
    """

    type: pa.DataType
    text_format: str | None
    why: str

    def field(self, name: str) -> pa.Field:
        """The column's field, with the format in its metadata."""
        return field_with_format(name, self.type, self.text_format)


@dataclass
class ColumnLattice:
    """The types a column may still have. Memory: none that grows.

    Attributes:
        open: False: it is text, whatever comes; `add` need not be called any more.
    """

    open: bool = True
    _candidates: list[_Candidate] = field(
        default_factory=lambda: [*number_candidates(), *time_candidates()]
    )
    _ruled_out: list[tuple[int, str, str]] = field(default_factory=list)
    _values_seen: bool = False

    def add(
        self, texts: pa.StringArray, first_row: int, row_of: Callable[[int], int] | None = None
    ) -> None:
        """Take the next block.

        Args:
            texts: The column in this block; an empty text is not a null.
            first_row: Number of the block's first row, for people.
            row_of: Number of a row from its place in the block, where rows were left out.
        """
        if not self.open or texts.null_count == len(texts):
            return
        block = TextBlock(texts)

        def number(place: int) -> int:
            if texts.null_count:
                valid = np.asarray(texts.is_valid())
                place = int(np.flatnonzero(valid)[place])
            return row_of(place) if row_of else first_row + place

        if block.length_min == 0:
            empty = int(np.flatnonzero(block.lengths == 0)[0])
            self._close(number(empty), "an empty text that is not a null")
            return
        if not self._values_seen:
            self._values_seen = True
            self._try_first(block.text(0), number)
        self._candidates = [one for one in self._candidates if self._keep(one, block, number)]
        self.open = bool(self._candidates)

    def decide(self) -> TypeDecision:
        """The narrowest type that is left."""
        if not self._values_seen:
            return TypeDecision(pa.string(), None, "no values")
        if not self._candidates:
            return TypeDecision(pa.string(), None, self._against(len(_ORDER)))
        best = self._candidates[0]
        against = self._against(_ORDER.index(best.name))
        why = f"every value keeps its text{'; ' if against else ''}{against}"
        return TypeDecision(*best.result(), why)

    def _against(self, place: int) -> str:
        """What ruled out the types before this place, by row."""
        grouped: dict[int, dict[str, list[str]]] = {}
        for row, reason, name in self._ruled_out:
            if _ORDER.index(name) < place:
                grouped.setdefault(row, {}).setdefault(reason, []).append(name)
        text = "; ".join(_row_text(row, reasons, place) for row, reasons in grouped.items())
        return text if len(text) <= _WHY_CHARS_MAX else text[: _WHY_CHARS_MAX - 1] + "…"

    def _try_first(self, text: str, number: Callable[[int], int]) -> None:
        left = []
        for one in self._candidates:
            reason = one.misfit(text)
            if reason is None:
                left.append(one)
            else:
                self._ruled_out.append((number(0), reason, one.name))
        self._candidates = left

    def _keep(self, one: _Candidate, block: TextBlock, number: Callable[[int], int]) -> bool:
        if one.admits(block):
            return True
        place = _first_misfit(one, block)
        reason = one.misfit(block.text(place)) or "written unlike the rows before"
        self._ruled_out.append((number(place), reason, one.name))
        return False

    def _close(self, row: int, reason: str) -> None:
        names = [one.name for one in self._candidates]
        self._ruled_out += [(row, reason, name) for name in names]
        self._candidates = []
        self._values_seen = True
        self.open = False


def _row_text(row: int, reasons: dict[str, list[str]], place: int) -> str:
    """What one row rules out; plain text is not explained type by type."""
    telling = {why: names for why, names in reasons.items() if not why.startswith(("no ", "not "))}
    names = [name for some in reasons.values() for name in some]
    if not telling and len(names) == place == len(_ORDER):
        return f"row {row} is text"
    if telling:
        whys = [f"{_together(some)} ({why})" for why, some in telling.items()]
        return f"row {row} rules out " + ", ".join(whys)
    return f"row {row} rules out {_together(names)}"


def _together(names: list[str]) -> str:
    """Names of types, with a word for the families that are complete."""
    for word, family in (("all types", _ORDER), ("numbers", _NUMBERS), ("integers", _NUMBERS[:3])):
        if set(family) <= set(names):
            return ", ".join([word, *(name for name in names if name not in family)])
    return ", ".join(names)


def _first_misfit(one: _Candidate, block: TextBlock) -> int:
    """The place of the first value that a type does not admit, of a block that it does not."""
    good, bad = 0, block.count
    while bad - good > 1:
        middle = (good + bad) // 2
        if one.admits(TextBlock(block.array.slice(good, middle - good))):
            good = middle
        else:
            bad = middle
    return good
