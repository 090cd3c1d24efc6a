"""Where records of delimited text end, with quotes taken strictly.

Blocks are cut here, between records, before any parser sees them: no record ever straddles two
blocks, whatever its size. A quote opens a field only at the field's first byte; after the closing
one only a delimiter, a line end or the end of the file may come.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from itertools import chain

import numpy as np
import numpy.typing as npt

_LF, _CR, _QUOTE = 10, 13, 34
_PART_BYTES = 256 << 10

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are told apart.

    Attributes:
        delimiter: One ASCII character.
        quoting: False: a quote is a character like any other.
    """

    delimiter: str
    quoting: bool = True

    def ends_field(self) -> npt.NDArray[np.bool_]:
        """By byte: True for what may stand beside a quoted field."""
        table = np.zeros(256, np.bool_)
        table[[ord(self.delimiter), _LF, _CR]] = True
        return table


@dataclass(frozen=True, slots=True)
class Cut:
    """How much of some data is whole records.

    Attributes:
        end: The records end here; 0: not one is whole.
        opens: Where quoted parts begin; may go beyond `end`.
        closes: Where they end; one less than `opens` if the last is still open.
        escaped: A quoted field holds a quote (`""`).
    """

    end: int
    opens: Positions
    closes: Positions
    escaped: bool = False

    @property
    def open_at(self) -> int | None:
        """Where a quoted part begins that does not end in this data."""
        return int(self.opens[-1]) if len(self.opens) > len(self.closes) else None


_NOWHERE: Positions = np.empty(0, np.intp)


class MisquotedError(ValueError):
    """Quotes are not where they may be.

    Attributes:
        position: Of the fault, from the front of the data.
        before: What was well-formed in front of it.
        reason: For people.
    """

    def __init__(self, position: int, before: Cut, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.before = before
        self.reason = reason


def cut_records(data: bytes, dialect: Dialect, *, final: bool) -> Cut:
    """Find the end of the last whole record in data that begins with a record.

    Args:
        data: Text in UTF-8, or anything that has ASCII in ASCII's places.
        dialect: How to read it.
        final: Nothing comes after it: the last record needs no line end.

    Raises:
        MisquotedError: Text after a closing quote, or the file ends inside quotes.
    """
    if not dialect.quoting or data.find(b'"') < 0:
        end = len(data) if final else _last_line_end(data, 0, _settled(data, final=final))
        return Cut(end, _NOWHERE, _NOWHERE)
    buffer = np.frombuffer(data, np.uint8)
    quotes = _positions(buffer, _QUOTE)
    parts = _alternating(buffer, quotes, dialect, final=final)
    opens, closes, escaped = parts or _walk(data, buffer, quotes, dialect, final=final)
    if final:
        if len(opens) > len(closes):
            begin = _chain_start(opens, closes)
            before = Cut(begin, opens[opens < begin], closes[closes < begin])
            raise MisquotedError(begin, before, "the file ends inside quotes that open here")
        return Cut(len(data), opens, closes, escaped)
    return Cut(_end_outside(data, opens, closes), opens, closes, escaped)


def record_ends(data: bytes, cut: Cut) -> Positions:
    """Where each record of `data[:cut.end]` ends, behind its line end."""
    ends = _line_ends(data, cut)
    if cut.end and (not len(ends) or ends[-1] != cut.end):
        ends = np.append(ends, cut.end)
    return ends


def records_before(data: bytes, cut: Cut) -> int:
    """Records of `data[:cut.end]` that have their line end."""
    return len(_line_ends(data, cut))


def _line_ends(data: bytes, cut: Cut) -> Positions:
    buffer = np.frombuffer(data, np.uint8)[: cut.end]
    breaks = buffer == _LF
    returns = buffer == _CR
    if returns.any():
        alone = returns.copy()
        alone[:-1] &= ~breaks[1:]
        breaks |= alone
    ends = np.flatnonzero(breaks)
    return np.asarray(ends[~inside_quotes(ends, cut)] + 1)


def inside_quotes(positions: Positions, cut: Cut) -> npt.NDArray[np.bool_]:
    """Which positions are inside a quoted part."""
    if not len(cut.opens):
        return np.zeros(len(positions), np.bool_)
    opened = np.searchsorted(cut.opens, positions)
    closed = np.searchsorted(cut.closes, positions)
    return np.asarray(opened > closed)


def count_lines(data: bytes, end: int) -> int:
    """Line ends in `data[:end]`, whichever kind; what is inside quotes counts too."""
    buffer = np.frombuffer(data, np.uint8)[:end]
    starts = range(0, end, _PART_BYTES)
    feeds = sum(int(np.count_nonzero(buffer[at : at + _PART_BYTES] == _LF)) for at in starts)
    if data.find(b"\r", 0, end) < 0:
        return feeds
    return feeds + data.count(b"\r", 0, end) - data.count(b"\r\n", 0, end)


def split_record(record: bytes, dialect: Dialect) -> list[bytes]:
    """The fields of one record without its line end, quotes removed. For headers; not fast."""
    delimiter = dialect.delimiter.encode("ascii")
    if not dialect.quoting or b'"' not in record:
        return record.split(delimiter)
    fields, at = [], 0
    while True:
        if record[at : at + 1] == b'"':
            close = at + 1
            while record[close : close + 2] == b'""' or record[close : close + 1] not in (
                b'"',
                b"",
            ):
                close += 2 if record[close : close + 2] == b'""' else 1
            fields.append(record[at + 1 : close].replace(b'""', b'"'))
            end = close + 1
        else:
            found = record.find(delimiter, at)
            end = len(record) if found < 0 else found
            fields.append(record[at:end])
        if end >= len(record):
            return fields
        at = end + 1


def _positions(buffer: npt.NDArray[np.uint8], byte: int) -> Positions:
    """Where a byte is; in parts that stay in the processor's cache."""
    parts = [
        np.flatnonzero(buffer[start : start + _PART_BYTES] == byte) + start
        for start in range(0, len(buffer), _PART_BYTES)
    ]
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _settled(data: bytes, *, final: bool) -> int:
    """Up to here line ends are certain: a CR at the very end may be half of a CR LF."""
    return len(data) - 1 if not final and data[-1:] == b"\r" else len(data)


def _last_line_end(data: bytes, start: int, end: int) -> int:
    """Behind the last line end in a part; 0 if there is none."""
    feed = data.rfind(b"\n", start, end)
    return max(feed, data.rfind(b"\r", max(feed + 1, start), end)) + 1


def _end_outside(data: bytes, opens: Positions, closes: Positions) -> int:
    """Behind the last line end outside quotes."""
    if len(opens) > len(closes):
        limit, last = int(opens[-1]), len(opens) - 2
    else:
        limit, last = _settled(data, final=False), len(opens) - 1
    while True:
        start = int(closes[last]) + 1 if last >= 0 else 0
        end = _last_line_end(data, start, limit)
        if end or last < 0:
            return end
        limit, last = int(opens[last]), last - 1


_Parts = tuple[Positions, Positions, bool]


def _alternating(
    buffer: npt.NDArray[np.uint8], quotes: Positions, dialect: Dialect, *, final: bool
) -> _Parts | None:
    """Quotes as they alternate, if every one of them is where that is right; else None.

    An escaped quote is a closing one with an opening one behind it, which changes nothing.
    """
    ends_field = dialect.ends_field()
    opens, closes = quotes[0::2], quotes[1::2]
    pairs = min(len(closes), len(opens) - 1)
    joined = opens[1 : pairs + 1] == closes[:pairs] + 1
    opened_right = ends_field[buffer[opens - 1]]
    opened_right[0] |= opens[0] == 0
    opened_right[1 : pairs + 1] |= joined
    if not opened_right.all():
        return None
    undecided = len(closes) and closes[-1] == len(buffer) - 1
    inner = closes[:-1] if undecided else closes
    closed_right = ends_field[buffer[inner + 1]]
    closed_right[:pairs] |= joined[: len(inner)]
    if not closed_right.all():
        return None
    if undecided and not final:
        closes = closes[:-1]
    return opens, closes, bool(joined.any())


def _walk(
    data: bytes, buffer: npt.NDArray[np.uint8], quotes: Positions, dialect: Dialect, *, final: bool
) -> _Parts:
    """The same by going from quoted field to quoted field, for data with quotes inside text.

    A regular expression finds the fields that are well-formed; from the first quote on that opens a
    field and is none of theirs, they are walked one by one, which finds the fault or the open end.
    """
    ends_field = dialect.ends_field()
    first = ends_field[buffer[quotes - 1]]
    first[0] |= quotes[0] == 0
    candidates = quotes[first]
    spans = [found.span() for found in _quoted_field(dialect.delimiter).finditer(data)]
    if spans and spans[-1][1] == len(data) and not final:
        spans.pop()
    both = np.fromiter(chain.from_iterable(spans), np.intp, 2 * len(spans)).reshape(-1, 2)
    opens, closes = both[:, 0].copy(), both[:, 1] - 1
    escaped = _any_between(quotes, opens, closes)
    begun = np.searchsorted(opens, candidates, "right")
    left_over = begun <= np.searchsorted(closes, candidates)
    if not left_over.any():
        return opens, closes, escaped
    begin = int(candidates[left_over][0])
    known = int(np.searchsorted(opens, begin))
    before = Cut(begin, opens[:known], closes[:known])
    rest = _walk_from(data, candidates.tolist(), before, dialect, final=final)
    return rest[0], rest[1], escaped or rest[2]


@cache
def _quoted_field(delimiter: str) -> re.Pattern[bytes]:
    beside = re.escape(delimiter.encode("ascii")) + rb"\r\n"
    inside = rb'[^"]*+(?:""[^"]*+)*+'
    return re.compile(rb'"(?<![^' + beside + rb']")' + inside + rb'"(?![^' + beside + rb"])")


def _any_between(quotes: Positions, opens: Positions, closes: Positions) -> bool:
    """Whether a quoted field holds a quote."""
    return bool(np.any(np.searchsorted(quotes, closes) - np.searchsorted(quotes, opens) > 1))


def _walk_from(
    data: bytes, candidates: list[int], before: Cut, dialect: Dialect, *, final: bool
) -> _Parts:
    ends_field = dialect.ends_field()
    opens, closes = before.opens.tolist(), before.closes.tolist()
    escaped = False
    at, index = before.end, 0
    while (index := bisect_left(candidates, at, index)) < len(candidates):
        opened = candidates[index]
        opens.append(opened)
        close = data.find(b'"', opened + 1)
        while close >= 0 and data[close + 1 : close + 2] == b'"':
            escaped = True
            close = data.find(b'"', close + 2)
        if close < 0 or (close + 1 == len(data) and not final):
            break
        if close + 1 < len(data) and not ends_field[data[close + 1]]:
            fine = Cut(opened, np.array(opens[:-1], np.intp), np.array(closes, np.intp))
            raise MisquotedError(close + 1, fine, "text after a closing quote")
        closes.append(close)
        at = close + 1
    return np.array(opens, np.intp), np.array(closes, np.intp), escaped


def _chain_start(opens: Positions, closes: Positions) -> int:
    """Where the field begins whose last part is open: escaped quotes part it."""
    last = len(opens) - 1
    while last > 0 and opens[last] == closes[last - 1] + 1:
        last -= 1
    return int(opens[last])
