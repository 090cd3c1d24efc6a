"""Which delimiter a file has: the one that gives all records of its front the same width."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stocktake.convert._csv_records import (
    Cut,
    Dialect,
    MisquotedError,
    Positions,
    cut_records,
    inside_quotes,
    record_ends,
)
from stocktake.errors import InvalidSettingError

SAMPLE_BYTES = 256 << 10
DELIMITERS = (",", ";", "\t", "|")
_SEP_LINE_BYTES_MAX = 8


@dataclass(frozen=True, slots=True)
class _Score:
    """Best is largest: a constant width first, then how often, then how wide."""

    constant: bool
    agreeing: float
    width: int


def check_delimiter(delimiter: str) -> str:
    """The same delimiter, if it can be one.

    Raises:
        InvalidSettingError: Not one ASCII character, or a quote or a line end.
    """
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
        raise InvalidSettingError(f"delimiter {delimiter!r} is not one ASCII character")
    return delimiter


def sep_line(sample: bytes) -> tuple[str, int] | None:
    """The delimiter that a first line `sep=;` names, and the bytes of that line."""
    if sample[:4].lower() != b"sep=":
        return None
    line = sample[:_SEP_LINE_BYTES_MAX].splitlines(keepends=True)[0]
    value = line.rstrip(b"\r\n")[4:]
    if len(value) != 1 or line == value or value in b'"' or value > b"\x7f":
        return None
    return value.decode("ascii"), len(line)


def find_delimiter(sample: bytes, *, final: bool) -> str:
    """The delimiter of which the header has one and that all records have equally often.

    Args:
        sample: The front of the file.
        final: It is all of the file.
    """
    scores = {one: _score(sample, one, final=final) for one in DELIMITERS}
    best = max(DELIMITERS, key=lambda one: _order(scores[one]))
    return best if scores[best].width > 1 else ","


def _order(score: _Score) -> tuple[bool, bool, float, int]:
    return score.width > 1, score.constant, score.agreeing, score.width


def _score(sample: bytes, delimiter: str, *, final: bool) -> _Score:
    try:
        cut = cut_records(sample, Dialect(delimiter), final=final)
    except MisquotedError:
        cut = cut_records(sample, Dialect(delimiter, quoting=False), final=final)
    if not cut.end:
        cut = Cut(len(sample), cut.opens, cut.closes)
    widths = _widths(sample, delimiter, cut)
    if not len(widths):
        return _Score(constant=False, agreeing=0.0, width=0)
    agreeing = float(np.mean(widths == widths[0]))
    return _Score(constant=agreeing == 1.0, agreeing=agreeing, width=int(widths[0]))


def _widths(sample: bytes, delimiter: str, cut: Cut) -> Positions:
    """Fields of each record that is not an empty line."""
    ends = record_ends(sample, cut)
    buffer = np.frombuffer(sample, np.uint8)[: cut.end]
    found = np.flatnonzero(buffer == ord(delimiter))
    found = found[~inside_quotes(found, cut)]
    counts = np.bincount(np.searchsorted(ends, found, "right"), minlength=len(ends)) + 1
    starts = np.concatenate(([0], ends[:-1])) if len(ends) else ends
    first = buffer[starts]
    return np.asarray(counts[: len(ends)][(first != 10) & (first != 13)])
