"""Where the elements of JSON text begin and end, in linear time and without parsing it.

Only quotes, brackets and separators are looked at, by NumPy, so that a piece of a huge array can be
cut off wherever an element ends, and so that nesting is known before any parser recurses. What is
between the brackets is left to the parsers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_Positions = npt.NDArray[np.int64]

_QUOTE, _OPEN_OBJECT, _OPEN_LIST, _CLOSE_OBJECT, _CLOSE_LIST, _SEPARATOR = range(1, 7)
_DELTA = np.array([0, 0, 1, 1, -1, -1, 0], dtype=np.int8)
_NEWLINE, _RETURN, _OPEN, _CLOSE = b"\n\r{}"
_PART_BYTES = 256 << 10
SPACE = b" \t\r\n"


def _table(separator: bytes) -> bytes:
    classes = bytearray(256)
    for byte, kind in (
        (b'"', _QUOTE),
        (b"{", _OPEN_OBJECT),
        (b"[", _OPEN_LIST),
        (b"}", _CLOSE_OBJECT),
        (b"]", _CLOSE_LIST),
        (separator, _SEPARATOR),
    ):
        classes[byte[0]] = kind
    return bytes(classes)


_TABLES = {separator: _table(separator) for separator in (b",", b"\n")}


@dataclass(frozen=True, slots=True)
class Structure:
    """Positions in a text that begins where an element may begin.

    Attributes:
        opens: Where elements that are objects or lists begin.
        closes: Where they end (the closing bracket).
        separators: Separators between elements.
        end: The bracket that closes what the elements are in; -1 if it is not in the text.
        depth: Of the deepest element; 1 is an object without any other in it.
        lists: Elements that are lists.
    """

    opens: _Positions
    closes: _Positions
    separators: _Positions
    end: int
    depth: int
    lists: int


def scan(text: bytes, separator: bytes = b",") -> Structure:
    """The structure of the text; quotes escaped by a backslash end nothing.

    Memory: three times the text and a few MiB, whatever it consists of.
    """
    if b"\\" in text:
        text = text.replace(b"\\\\", b"__").replace(b'\\"', b"__")
    classes = np.frombuffer(text.translate(_TABLES[separator]), dtype=np.uint8)
    parts: list[_Part] = []
    depth, inside = 0, 0
    for begin in range(0, len(classes), _PART_BYTES):
        part = _scan_part(classes[begin : begin + _PART_BYTES], begin, depth, inside)
        parts.append(part)
        if part.end >= 0:
            break
        depth, inside = part.depth_after, part.inside_after
    if not parts:
        parts.append(_scan_part(classes, 0, 0, 0))
    if len(parts) == 1:
        return parts[0].structure
    return Structure(
        opens=np.concatenate([part.structure.opens for part in parts]),
        closes=np.concatenate([part.structure.closes for part in parts]),
        separators=np.concatenate([part.structure.separators for part in parts]),
        end=parts[-1].end,
        depth=max(part.structure.depth for part in parts),
        lists=sum(part.structure.lists for part in parts),
    )


@dataclass(frozen=True, slots=True)
class _Part:
    structure: Structure
    end: int
    depth_after: int
    inside_after: int


def _scan_part(classes: npt.NDArray[np.uint8], begin: int, depth: int, inside: int) -> _Part:
    """The structure of one part, which begins at this depth, inside a string or not."""
    positions = np.flatnonzero(classes != 0)
    kinds = classes[positions]
    quotes = (kinds == _QUOTE).view(np.uint8)
    if inside and len(quotes):
        quotes[0] ^= 1  # the parity begins at one
    in_string = np.bitwise_xor.accumulate(quotes) if len(quotes) else quotes
    inside_after = int(in_string[-1]) if len(quotes) else inside
    kept = np.flatnonzero(((kinds == _QUOTE).view(np.uint8) | in_string) == 0)
    positions, kinds = positions[kept], kinds[kept]
    depths = np.cumsum(_DELTA[kinds], dtype=np.int32) + depth
    depth_after = int(depths[-1]) if len(depths) else depth
    below = np.flatnonzero(depths < 0)
    end = -1
    if len(below):
        cut = below[0]
        end = begin + int(positions[cut])
        positions, kinds, depths = positions[:cut], kinds[:cut], depths[:cut]
    outside = depths == 0
    begins = (depths == 1) & ((kinds == _OPEN_OBJECT) | (kinds == _OPEN_LIST))
    ends = outside & ((kinds == _CLOSE_OBJECT) | (kinds == _CLOSE_LIST))
    structure = Structure(
        opens=positions[begins] + begin,
        closes=positions[ends] + begin,
        separators=positions[outside & (kinds == _SEPARATOR)] + begin,
        end=end,
        depth=int(depths.max()) if len(depths) else 0,
        lists=int(np.count_nonzero(kinds[begins] == _OPEN_LIST)),
    )
    return _Part(structure, end, depth_after, inside_after)


def objects_of(text: bytes, structure: Structure, separator: bytes = b",") -> int | None:
    """How many objects the text is, if it is objects with one separator between any two.

    Other values may hide between them; they make a parser count more values than this. None if it
    is something else as far as brackets show. Lines may be empty.
    """
    opens, separators = structure.opens, structure.separators
    if structure.lists or not len(opens) or len(opens) != len(structure.closes):
        return None
    if text[: int(opens[0])].strip(SPACE):
        return None
    if separator == b"\n":
        if len(separators) != text.count(b"\n"):
            return None
        owners = np.searchsorted(separators, opens)
        return len(opens) if bool(np.all(owners[1:] > owners[:-1])) else None
    if len(separators) != len(opens) - 1:
        return None
    between = (opens[:-1] < separators) & (separators < opens[1:])
    return len(opens) if bool(np.all(between)) else None


def objects_in_lines(text: bytes) -> int | None:
    """The same for lines that each begin with a brace and end with one, found without a scan.

    A newline between two such braces is no place inside a value: there would be a comma.
    """
    if text[:1] != b"{" or not text.endswith((b"}", b"}\r")):
        return None
    codes = np.frombuffer(text, dtype=np.uint8)
    ends = np.flatnonzero(codes == _NEWLINE)
    before = codes[ends - 1]
    if text.endswith(b"\r"):
        if not bool(np.all(before == _RETURN)):
            return None
        before = codes[ends - 2]
    if not bool(np.all(before == _CLOSE) and np.all(codes[ends + 1] == _OPEN)):
        return None
    return len(ends) + 1
