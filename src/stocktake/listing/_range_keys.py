"""The space of keys as numbers: how far apart two keys are, and which key lies between them.

Keys are not spread evenly over all strings: a name is digits here, letters there, always `/` in a
third place. `KeySpace` learns from keys that were seen which characters occur at which place and
counts in those. What it says is a guess that a listing uses to cut ranges; any cut is correct, a
good one is fast.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

_PLACES_MAX = 48
_TAIL_PLACES = 3
_BLOCK_BITS = 7
_LAST_POINT = 0x10FFFF

_DIGITS = "0123456789"
_HEX = "abcdef"
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_UPPER = _LOWER.upper()
_DIGIT_SET, _HEX_SET = frozenset(_DIGITS), frozenset(_HEX)
_LOWER_SET, _UPPER_SET = frozenset(_LOWER), frozenset(_UPPER)

Place = tuple[int, int]
"""Where a character stands: how many `/` are before it, and its distance from the last of them."""


class KeySpace:
    """What characters occur where, learned from keys.

    An alphabet is narrow (what was seen, and the rest of its kind once a few were seen) or wide
    (always with the rest of its kind): narrow where both ends of a range are known, wide where
    names may go on growing.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._seen: dict[Place, set[str]] = {}
        self._blocks: dict[int, set[str]] = {}
        self._narrow: dict[Place, str] = {}
        self._wide: dict[Place, str] = {}
        self._stem: str | None = None

    def learn(self, keys: Iterable[str]) -> None:
        """Take note of the characters of some keys."""
        for key in keys:
            if self._stem is None:
                self._stem = key
            elif not key.startswith(self._stem):
                self._stem = key[: common_length(self._stem, key)]
            depth, offset = 0, 0
            for char in key[len(self._prefix) :]:
                place = (depth, offset)
                seen = self._seen.get(place)
                if seen is None:
                    seen = self._seen[place] = set()
                if char not in seen:
                    self._note(place, seen, char)
                if char == "/":
                    depth, offset = depth + 1, 0
                else:
                    offset += 1

    def _note(self, place: Place, seen: set[str], char: str) -> None:
        seen.add(char)
        self._narrow.pop(place, None)
        self._wide.pop(place, None)
        if char > "\x7f":
            block = self._blocks.setdefault(_block(char), set())
            if char not in block:
                block.add(char)
                self._narrow.clear()
                self._wide.clear()

    def narrow(self, place: Place) -> str:
        """The characters that are known at a place, sorted."""
        known = self._narrow.get(place)
        if known is None:
            known = self._narrow[place] = self._expand(self._seen.get(place, set()), 3, 6)
        return known

    def wide(self, place: Place) -> str:
        """The characters that are likely at a place, sorted: who saw 3 will see 5."""
        known = self._wide.get(place)
        if known is None:
            known = self._wide[place] = self._expand(self._seen.get(place, set()), 1, 2)
        return known

    def _expand(self, seen: set[str], digits_min: int, letters_min: int) -> str:
        chars = set(seen)
        digits, lower, upper = seen & _DIGIT_SET, seen & _LOWER_SET, seen & _UPPER_SET
        if len(digits) >= digits_min:
            chars |= _DIGIT_SET
        hexadecimal = bool(digits) and lower <= _HEX_SET
        if lower and (len(lower) >= letters_min or hexadecimal):
            chars |= _HEX_SET if hexadecimal else _LOWER_SET
        if len(upper) >= letters_min:
            chars |= _UPPER_SET
        for char in seen:
            if char > "\x7f":
                chars |= self._blocks[_block(char)]
        return "".join(sorted(chars))

    def beyond(self, step: int) -> str | None:
        """A key behind all that look like those seen: is there anything? Farther for more steps."""
        if self._stem is None:
            return None
        place = next(iter(self._places(self._stem, len(self._stem), len(self._stem) + 1)))
        seen = self.wide(place)
        point = ord(seen[-1]) if seen else 0x7F
        if step or point > 0x7F:
            point = (point | 0x7F) + (0x80 << step) - 0x80
        following = _not_surrogate(point + 1)
        return self._stem + chr(following) if following <= _LAST_POINT else None

    def ruler(self, first: str, last: str, end: str | None, *, wide: bool = True) -> Ruler:
        """A measure of the keys from `first` over `last` up to `end` (None: no bound)."""
        shared = common_length(first, last)
        parting = common_length(last, end) if end is not None else len(self._prefix)
        start = min(shared, parting)
        stop = min(max(shared + _TAIL_PLACES, start + 1), start + _PLACES_MAX)
        places = list(self._places(last, start, stop))
        chosen = self.wide if wide else self.narrow
        alphabets = [chosen(place) for place in places]
        if not wide and end is not None and start == parting < min(len(last), len(end)):
            low, high = last[parting], end[parting]
            if not any(low < char < high for char in alphabets[0]):
                alphabets[0] = self.wide(places[0])
        return Ruler(last[:start], alphabets)

    def _places(self, key: str, start: int, stop: int) -> Iterable[Place]:
        base = len(self._prefix)
        depth = key.count("/", base, start)
        slash = key.rfind("/", base, start)
        offset = start - (slash + 1 if slash >= 0 else base)
        for index in range(start, stop):
            yield depth, offset
            if index < len(key) and key[index] == "/":
                depth, offset = depth + 1, 0
            else:
                offset += 1


def _block(char: str) -> int:
    """Characters of one kind, roughly a script: who uses one of them uses others."""
    point = ord(char)
    if 0x2E80 <= point <= 0x9FFF:
        return -1  # Chinese and Japanese
    if 0xAC00 <= point <= 0xD7AF:
        return -2  # Korean
    return point >> _BLOCK_BITS


class Ruler:
    """Keys as whole numbers in a mixed base: one digit for each place, its alphabet the base."""

    def __init__(self, stem: str, alphabets: list[str]) -> None:
        self._stem = stem
        self._alphabets = alphabets
        self.size = 1
        for alphabet in alphabets:
            self.size *= max(len(alphabet), 1)

    def number(self, key: str | None) -> int:
        """The place of a key; keys in ascending order have numbers that never descend."""
        if key is None or key[: len(self._stem)] > self._stem:
            return self.size
        if not key.startswith(self._stem):
            return 0
        number, index = 0, len(self._stem)
        for position, alphabet in enumerate(self._alphabets):
            base = max(len(alphabet), 1)
            char = key[index : index + 1]
            digit = bisect_left(alphabet, char) if char else 0
            if digit >= len(alphabet) or alphabet[digit] != char:
                # between two characters that are known: all further digits are the lowest
                rest = 1
                for further in self._alphabets[position + 1 :]:
                    rest *= max(len(further), 1)
                return min((number * base + min(digit, base)) * rest, self.size)
            number = number * base + digit
            index += 1
        return number

    def key(self, number: int) -> str:
        """A short key of this number: what is smaller has smaller numbers."""
        chars: list[str] = []
        for alphabet in reversed(self._alphabets):
            number, digit = divmod(number, max(len(alphabet), 1))
            if (digit or chars) and alphabet:  # the lowest characters at the end are left out
                chars.append(alphabet[digit])
        return self._stem + "".join(reversed(chars))


def common_length(one: str, other: str) -> int:
    """How many characters two keys have in common at their start."""
    if other.startswith(one):
        return len(one)
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def middle_key(after: str, through: str | None, prefix: str = "") -> str | None:
    """A key strictly between two, by arithmetic on code points; None if there is no room.

    Never by bytes: not every byte string is UTF-8, and surrogates are no characters. `through`
    None is the end of everything below `prefix`.
    """
    start = len(prefix) if through is None else common_length(after, through)
    if through is not None and start >= len(through):
        return None
    low = ord(after[start]) if start < len(after) else -1
    high = ord(through[start]) if through is not None else _LAST_POINT + 1
    stem = after[:start]
    if high - low > 1:
        found = stem + chr(_not_surrogate((low + high) // 2))
        return found if after < found and (through is None or found < through) else None
    if low < 0 or start + 1 > len(after):
        return None
    # nothing between the two characters: above the rest of `after`, below the next character
    rest = ord(after[start + 1]) if start + 1 < len(after) else -1
    if rest >= _LAST_POINT:
        return None
    found = after[: start + 1] + chr(_not_surrogate((rest + _LAST_POINT + 1) // 2))
    return found if after < found and (through is None or found < through) else None


def _not_surrogate(point: int) -> int:
    return 0xE000 if 0xD800 <= point <= 0xDFFF else point


def keys_between(keys: tuple[str, ...] | list[str], after: str, through: str | None) -> slice:
    """Which of some sorted keys lie strictly between two."""
    stop = len(keys) if through is None else bisect_left(keys, through)
    return slice(bisect_right(keys, after), stop)
