"""Keys as numbers and the keys between them: only guesses, but never an impossible key (LST-1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stocktake.listing._range_keys import KeySpace, common_length, middle_key

_KEYS = st.text(
    st.one_of(
        st.sampled_from("ab09fz/-\x00\x7f\ud7ff\ue000\uffff\U00010000\U0010ffff"),
        st.characters(exclude_categories=["Cs"]),
    ),
    min_size=1,
    max_size=8,
)


@given(one=_KEYS, other=_KEYS)
def test_a_middle_key_lies_between_and_is_utf8(one: str, other: str) -> None:
    """Trap: a raw byte midpoint is no UTF-8; surrogates are no characters."""
    low, high = sorted((one, other))
    middle = middle_key(low, high)
    if middle is not None:
        assert low < middle < high
        assert low.encode() < middle.encode() < high.encode()


@given(low=_KEYS)
def test_a_middle_key_without_an_upper_end_is_greater(low: str) -> None:
    middle = middle_key(low, None)
    if middle is not None:
        assert low.encode() < middle.encode()


def test_a_middle_key_exists_unless_there_is_no_room() -> None:
    assert middle_key("a", "c") == "b"
    assert middle_key("a", "b") is None or "a" < middle_key("a", "b") < "b"
    assert middle_key("a", "a\x00") is None
    assert middle_key("\ud7fe", "\ue001") not in (None, "\ud7ff\ue000")
    assert middle_key("p/\U0010ffff\U0010ffff", None, "p/") is None


@given(keys=st.lists(_KEYS, min_size=3, max_size=30, unique=True), wide=st.booleans())
def test_numbers_never_descend(keys: list[str], wide: bool) -> None:
    keys.sort()
    space = KeySpace()
    space.learn(keys)
    ruler = space.ruler(keys[0], keys[len(keys) // 2], keys[-1], wide=wide)
    numbers = [ruler.number(key) for key in keys]
    assert numbers == sorted(numbers)
    assert ruler.number(None) == ruler.size


@given(keys=st.lists(_KEYS, min_size=2, max_size=30, unique=True), share=st.floats(0, 1))
def test_a_key_of_a_number_is_text_of_that_number_or_less(keys: list[str], share: float) -> None:
    keys.sort()
    space = KeySpace()
    space.learn(keys)
    ruler = space.ruler(keys[0], keys[-1], None)
    number = int(ruler.size * share) if share < 1 else ruler.size - 1
    found = ruler.key(min(number, ruler.size - 1))
    found.encode()
    assert ruler.number(found) <= number or ruler.size == 1


@given(one=_KEYS, other=_KEYS)
def test_common_length(one: str, other: str) -> None:
    length = common_length(one, other)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length == len(one) == len(
        other
    )


def test_numbers_halve_what_is_evenly_spread() -> None:
    space = KeySpace()
    space.learn(f"{number * 0x01010101:08x}" for number in range(256))
    ruler = space.ruler("00000000", "01010101", None)
    assert ruler.key(ruler.size // 2)[:1] == "8"
    assert ruler.key(ruler.size // 16)[:1] == "1"


def test_scripts_are_learned_as_a_whole() -> None:
    space = KeySpace()
    space.learn(["日本", "本旅", "旅行"])
    assert space.narrow((0, 0)) == "".join(sorted("日本旅行"))
    assert space.beyond(0) == chr(0x9FFF & ~0x7F) or space.beyond(0) > "行"
