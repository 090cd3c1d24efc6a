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

    Numbers are only comparable within one `Ruler`, which is made for one place in the key space.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._seen: dict[Place, set[str]] = {}
        self._blocks: dict[int, set[str]] = {}
        self._alphabets: dict[Place, str] = {}

    def learn(self, keys: Iterable[str]) -> None:
        """Take note of the characters of some keys."""
        for key in keys:
            depth, offset = 0, 0
            for char in key[len(self._prefix) :]:
                seen = self._seen.setdefault((depth, offset), set())
                if char not in seen:
                    seen.add(char)
                    self._alphabets.clear()
                    if char > "\x7f":
                        self._blocks.setdefault(ord(char) >> _BLOCK_BITS, set()).add(char)
                depth, offset = (depth + 1, 0) if char == "/" else (depth, offset + 1)

    def alphabet(self, place: Place) -> str:
        """The characters that are likely at a place, sorted: those seen and their kind."""
        known = self._alphabets.get(place)
        if known is None:
            known = self._alphabets[place] = self._expand(self._seen.get(place, set()))
        return known

    def _expand(self, seen: set[str]) -> str:
        """The seen characters and the rest of their class: who saw 3 and 7 will see 5."""
        chars = set(seen)
        if len(seen) > 1 or seen & _DIGIT_SET:
            if seen & _DIGIT_SET:
                chars |= _DIGIT_SET
            lower, upper = seen & _LOWER_SET, seen & _UPPER_SET
            if lower:
                chars |= _HEX_SET if lower <= _HEX_SET and seen & _DIGIT_SET else _LOWER_SET
            if upper:
                chars |= _UPPER_SET
        for char in seen:
            if char > "\x7f":
                chars |= self._blocks[ord(char) >> _BLOCK_BITS]
        return "".join(sorted(chars))

    def ruler(self, first: str, last: str, end: str | None) -> Ruler:
        """A measure of the keys from `first` over `last` up to `end` (None: no bound)."""
        shared = common_length(first, last)
        start = min(shared, common_length(last, end) if end is not None else len(self._prefix))
        stop = min(shared + _TAIL_PLACES, start + _PLACES_MAX)
        return Ruler(last[:start], [self.alphabet(p) for p in self._places(last, start, stop)])

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
