"""Cutting the entries of a listing answer out of its bytes, all at once.

The entries of an answer repeat one pattern of tags, or a few. From the places of `<` and the
pattern of the first entry follows where every value of every entry begins and ends. Whatever is not
a value is then compared, byte for byte, with the repeated pattern: if it is equal, the cuts are
what an XML parser would find; if not, there is no cut. No Python object is made per entry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints: TypeAlias = npt.NDArray[np.int32]

_OPEN, _CLOSE, _AMPERSAND, _SPACE = b"<>& "
_TAG = re.compile(rb"<(/?[A-Za-z0-9]+)>([^<>]*)")
_QUOTES = (b"&quot;", b"&#34;", b'"')
_ASCII_END = 128
_ENTRY_BYTES_MAX = 1 << 13  # a key of 1,024 bytes is at most 3,072 once encoded
_PATTERNS_MAX = 8
POOL = pa.system_memory_pool()
"""Where columns live: Arrow's own pools double the CPU time of a page when 64 threads use them."""
_CHILD = 2  # tags on the path to a value directly below its entry
_NEVER_NESTED = frozenset(
    b"Key LastModified ETag Size StorageClass ChecksumAlgorithm VersionId IsLatest".split()
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """The tags of an entry.

    Attributes:
        tag: What the entry is (`Contents`, `Version`, `DeleteMarker`).
        names: The values directly below it, in order; '' for those of deeper elements.
        tags: How many tags the entry has.
        edges: By which tag each part of the entry begins: the first fixed part, then a value, a
            fixed part, and so on; at last the tag by which the entry ends.
        shifts: How many bytes behind that tag's `<`.
        skeleton: The entry without its values.
    """

    tag: str
    names: tuple[str, ...]
    tags: int
    edges: Ints
    shifts: Ints
    skeleton: bytes


@dataclass(frozen=True, slots=True)
class Cuts:
    """The values of all entries of one pattern.

    Attributes:
        pattern: Theirs.
        rows: Their places among the entries of the answer; None if they are all.
        count: How many there are.
    """

    pattern: Pattern
    rows: npt.NDArray[np.int64] | None
    count: int
    _segments: pa.StringArray

    def values(self, name: str) -> list[pa.StringArray]:
        """The texts of an element, undecoded: none, or one column for each time it occurs."""
        places = [place for place, known in enumerate(self.pattern.names) if known == name]
        width = 2 * len(self.pattern.names) + 2
        every = np.arange(0, self.count * width, width)
        return [_taken(self._segments, pa.array(every + (2 * place + 1))) for place in places]


def cut_entries(region: memoryview, tags: tuple[str, ...]) -> list[Cuts] | None:
    """Where the values of every entry are; None if that cannot be told for sure.

    Args:
        region: From the first byte of the first entry to the last byte of the last.
        tags: What an entry may be.
    """
    data = np.frombuffer(region, np.uint8)
    opened = np.flatnonzero(data == _OPEN).astype(np.int32)
    if not _is_plain(data, len(opened)):
        return None
    first = _pattern_at(region, 0, tags)
    if first is None:
        return None
    if len(opened) % first.tags == 0:
        cuts = _cut(region, opened.reshape(-1, first.tags), first, None)
        if cuts is not None and _accounts_for(data, [cuts]):
            return [cuts]
    return _cut_by_pattern(region, data, opened, tags)


def _is_plain(data: Any, tags: int) -> bool:
    """ASCII without control characters, and no `>` but those of tags: XML changes none of it."""
    plain = data.min() >= _SPACE and data.max() < _ASCII_END
    return bool(plain) and int(np.count_nonzero(data == _CLOSE)) == tags


def _accounts_for(data: Any, cuts: list[Cuts]) -> bool:
    """Every `&` is one of the patterns': no value holds a reference."""
    expected = sum(each.count * each.pattern.skeleton.count(b"&") for each in cuts)
    return int(np.count_nonzero(data == _AMPERSAND)) == expected


def _cut(
    region: memoryview, opened: Ints, pattern: Pattern, rows: npt.NDArray[np.int64] | None
) -> Cuts | None:
    """The values of the entries with those tags, if all of them have the pattern."""
    count, width = len(opened), len(pattern.edges)
    bounds = opened.take(pattern.edges, axis=1) + pattern.shifts
    flat = bounds.reshape(-1)
    if flat[-1] > len(region) or not (flat[1:] >= flat[:-1]).all():
        return None
    segments = pa.StringArray.from_buffers(len(flat) - 1, pa.py_buffer(flat), pa.py_buffer(region))
    kept = _taken(segments, _every_other(count, width))
    if kept.buffers()[2] is None or bytes(_data(kept)) != pattern.skeleton * count:
        return None
    return Cuts(pattern, rows, count, segments)


def _taken(segments: pa.StringArray, places: pa.Array) -> pa.StringArray:
    return pc.take(segments, places, boundscheck=False, memory_pool=POOL)


@lru_cache(maxsize=16)
def _every_other(count: int, width: int) -> pa.Int64Array:
    """Which segments are not values: of each entry every other one, from its first."""
    rows = np.arange(0, count * width, width)[:, None]
    return pa.array((rows + np.arange(0, width, 2)).reshape(-1))


def _data(texts: pa.StringArray) -> memoryview:
    offsets = np.frombuffer(texts.buffers()[1], np.int32)
    return memoryview(texts.buffers()[2])[: offsets[len(texts)]]


def _cut_by_pattern(
    region: memoryview, data: Any, opened: Ints, tags: tuple[str, ...]
) -> list[Cuts] | None:
    """The entries in groups of one pattern each."""
    begins = np.flatnonzero(_begins_entry(region, data, opened, tags))
    if not len(begins) or begins[0] != 0:
        return None
    lengths = np.diff(begins, append=len(opened))
    left = np.arange(len(begins))
    cuts: list[Cuts] = []
    while len(left):
        if len(cuts) == _PATTERNS_MAX:
            return None
        begin = begins[left[0]]
        pattern = _pattern_at(region, int(opened[begin]), tags)
        if pattern is None or pattern.tags != lengths[left[0]]:
            return None
        alike = left[lengths[left] == pattern.tags]
        places = opened[begins[alike][:, None] + np.arange(pattern.tags)]
        same = _has_tags(region, places, opened[begin : begin + pattern.tags])
        alike = alike[same]
        cut = _cut(region, places[same], pattern, alike)
        if cut is None:
            return None
        cuts.append(cut)
        left = left[~np.isin(left, alike)]
    return cuts if _accounts_for(data, cuts) else None


def _begins_entry(region: memoryview, data: Any, opened: Ints, tags: tuple[str, ...]) -> Any:
    found = np.zeros(len(opened), np.bool_)
    for tag in tags:
        wanted = np.frombuffer(f"<{tag}>".encode(), np.uint8)
        fits = opened[opened <= len(region) - len(wanted)]
        here = np.ones(len(fits), np.bool_)
        for offset in (1, 2, len(wanted) - 1):  # the rest is compared with the pattern
            here &= data[fits + offset] == wanted[offset]
        found[: len(fits)] |= here
    return found


def _has_tags(region: memoryview, places: Ints, pattern: Ints) -> Any:
    """Which rows have the same letters behind each `<` as the pattern has, as far as it tells."""
    data = np.frombuffer(region, np.uint8)
    same = np.ones(len(places), np.bool_)
    for offset in (1, 2):
        same &= (data[places + offset] == data[pattern + offset]).all(axis=1)
    return same


def _pattern_at(region: memoryview, start: int, tags: tuple[str, ...]) -> Pattern | None:
    """The pattern of the entry that starts there; None if it is not of plain tags."""
    entry = bytes(region[start : start + _ENTRY_BYTES_MAX])
    values: list[_Value] = []
    path: list[bytes] = []
    position, number = 0, 0
    while True:
        match = _TAG.match(entry, position)
        if match is None:
            return None
        tag = match[1]
        if not tag.startswith(b"/"):
            path.append(tag)
            if entry.startswith(b"</" + tag + b">", match.end()):
                name = tag.decode() if len(path) == _CHILD else ""
                values.append(_Value(name, number, position, match.start(2), match.end()))
            elif match[2].strip() or (len(path) == _CHILD and tag in _NEVER_NESTED):
                return None
        elif not path or path.pop() != tag[1:] or (path and match[2].strip()):
            return None
        number += 1
        if not path:
            return _pattern(entry[: match.start(2)], values, number, tags)
        position = match.end()


@dataclass(frozen=True, slots=True)
class _Value:
    """A value of the entry that a pattern is made from, with its tag and its places in bytes."""

    name: str
    place: int
    opened: int
    first: int
    end: int


def _pattern(
    entry: bytes, values: list[_Value], tags: int, wanted: tuple[str, ...]
) -> Pattern | None:
    tag = entry[1 : entry.index(b">")].decode()
    if tag not in wanted:
        return None
    quotes = [
        _quote(entry[value.first : value.end]) if value.name == "ETag" else 0 for value in values
    ]
    pieces: list[bytes] = []
    position = 0
    for value, quote in zip(values, quotes, strict=True):
        pieces.append(entry[position : value.first + quote])
        position = value.end - quote
    pieces.append(entry[position:])
    edges, shifts = [0], [0]
    for value, quote in zip(values, quotes, strict=True):
        edges += (value.place, value.place + 1)
        shifts += (value.first - value.opened + quote, -quote)
    return Pattern(
        tag=tag,
        names=tuple(value.name for value in values),
        tags=tags,
        edges=np.array([*edges, tags - 1], np.int32),
        shifts=np.array([*shifts, len(tag) + 3], np.int32),
        skeleton=b"".join(pieces),
    )


def _quote(etag: bytes) -> int:
    """How many bytes at either end of an ETag are its quotes."""
    for quote in _QUOTES:
        if len(etag) > 2 * len(quote) and etag.startswith(quote) and etag.endswith(quote):
            return len(quote)
    return 0
