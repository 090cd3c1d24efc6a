"""INV-4: keys are decoded once, strictly, and an escape never reaches into the next key."""

from __future__ import annotations

import pyarrow as pa
import pytest

from stocktake.inventory._key_decoding import decode_keys


def keys(*raw: bytes) -> pa.Array:
    return pa.array(raw, pa.binary())


def decoded(*raw: bytes, encoding: str = "form") -> list[str]:
    return decode_keys(keys(*raw), encoding).keys.to_pylist()


@pytest.mark.parametrize(
    ("raw", "form", "percent"),
    [
        (b"a+b", "a b", "a+b"),
        (b"a%2Bb", "a+b", "a+b"),
        (b"a%2bb", "a+b", "a+b"),
        (b"a%20b", "a b", "a b"),
        (b"a%252Bb", "a%2Bb", "a%2Bb"),
        (b"%25", "%", "%"),
        (b"%00", "\0", "\0"),
        (b"%C3%A9", "\u00e9", "\u00e9"),
        (b"%F0%9F%93%B7", "\U0001f4f7", "\U0001f4f7"),
        (b"\xc3\xa9%2F", "\u00e9/", "\u00e9/"),
        (b"%ZZ", "%ZZ", "%ZZ"),
        (b"%2", "%2", "%2"),
        (b"%", "%", "%"),
        (b"%%41", "%A", "%A"),
        (b"%4%41", "%4A", "%4A"),
        (b"%+1", "% 1", "%+1"),
        (b"%4+1", "%4 1", "%4+1"),
        (b"", "", ""),
    ],
)
def test_one_key_in_each_encoding(raw, form, percent) -> None:
    assert decoded(raw) == [form]
    assert decoded(raw, encoding="percent") == [percent]
    assert decoded(raw, encoding="none") == [raw.decode()]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ((b"a%", b"41b"), ["a%", "41b"]),
        ((b"a%4", b"1b"), ["a%4", "1b"]),
        ((b"%", b"", b"41"), ["%", "", "41"]),
        ((b"%4", b"", b"1"), ["%4", "", "1"]),
        ((b"%", b"%41"), ["%", "A"]),
        ((b"%41%", b"41"), ["A%", "41"]),
        ((b"%41", b"42"), ["A", "42"]),
        ((b"x", b"%", b"4", b"1"), ["x", "%", "4", "1"]),
        ((b"41", b"%"), ["41", "%"]),
        ((b"41", b"%4"), ["41", "%4"]),
    ],
)
def test_escape_does_not_swallow_the_next_key(raw, expected) -> None:
    """A lone % at the end, and hex digits at the start of the next."""
    assert decoded(*raw) == expected


def test_undecodable_keys_stay_raw_and_distinct_beside_good_ones() -> None:
    found = decode_keys(keys(b"a+1", b"%FF%FE", b"%C3%A9", b"%FF%FD", b"%ED%A0%80", b"z"), "form")
    assert found.keys.to_pylist() == ["a 1", "%FF%FE", "\u00e9", "%FF%FD", "%ED%A0%80", "z"]
    assert found.undecodable == (1, 3, 4)


def test_character_split_over_two_keys_is_undecodable_in_both() -> None:
    """Together their bytes are UTF-8, apart they are not."""
    found = decode_keys(keys(b"%C3", b"%A9", b"\xc3", b"\xa9"), "form")
    assert found.undecodable == (0, 1, 2, 3)
    assert found.keys.to_pylist() == ["%C3", "%A9", "\\xc3", "\\xa9"]


@pytest.mark.parametrize("encoding", ["form", "percent", "none"])
def test_raw_bytes_that_are_not_utf8_are_undecodable_in_every_encoding(encoding) -> None:
    found = decode_keys(keys(b"a\xff", b"b"), encoding)
    assert found.undecodable == (0,)
    assert found.keys.to_pylist() == ["a\\xff", "b"]


@pytest.mark.parametrize(
    ("raw", "encoding", "suspicious", "plus", "percent20"),
    [
        ((b"a+b++", b"%20", b"c%20%20"), "form", 0, 3, 3),
        ((b"a+b%20",), "percent", 0, 1, 1),
        ((b"a+b%20%",), "none", 0, 0, 0),
        ((b"%zz%zz", b"%", b"%41%", b"ok"), "form", 3, 0, 0),
        ((b"%2B%2520",), "form", 0, 0, 0),
    ],
)
def test_counts_that_settle_the_encoding(raw, encoding, suspicious, plus, percent20) -> None:
    """Keys with a lone %, bytes that are a bare +, escapes that are %20."""
    found = decode_keys(keys(*raw), encoding)
    assert (found.suspicious, found.plus, found.percent20) == (suspicious, plus, percent20)


@pytest.mark.parametrize("encoding", ["form", "percent", "none"])
def test_slice_of_a_longer_array_is_decoded_alone(encoding) -> None:
    """The bytes before and behind it are in the same buffer."""
    whole = keys(b"%41", b"%", b"41+", b"%FF", b"x%2", b"0%")
    for start in range(6):
        for stop in range(start, 7):
            part = whole.slice(start, stop - start)
            alone = pa.array(part.to_pylist(), pa.binary())
            assert decode_keys(part, encoding) == decode_keys(alone, encoding)


@pytest.mark.parametrize("raw", [(), (b"",), (b"", b"", b"")])
def test_no_bytes_at_all(raw) -> None:
    found = decode_keys(keys(*raw), "form")
    assert found.keys.to_pylist() == [""] * len(raw)
    assert found.keys.type == pa.string()


def test_input_is_left_as_it_was() -> None:
    raw = keys(b"a+b%20", b"%41")
    decode_keys(raw, "form")
    assert raw.to_pylist() == [b"a+b%20", b"%41"]


def test_decoded_array_is_sound() -> None:
    found = decode_keys(keys(b"a%C3%A9+", b"", b"%", b"x" * 100), "form")
    found.keys.validate(full=True)
