"""INV-4: the block decoder is `unquote_plus`, strict, key by key."""

from __future__ import annotations

from urllib.parse import quote_plus, unquote, unquote_plus, unquote_to_bytes

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from stocktake.inventory._key_decoding import decode_keys

pieces = st.sampled_from(
    [b"%", b"+", b"%2", b"%41", b"%2B", b"%20", b"%25", b"%FF", b"%C3", b"%A9", b"%c3%a9", b"%zz"]
) | st.binary(max_size=3)
raw_key = st.lists(pieces, max_size=6).map(b"".join)
ascii_key = st.lists(pieces, max_size=6).map(lambda p: bytes(b & 0x7F for b in b"".join(p)))
text_key = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def expected(raw: bytes, encoding: str) -> str | None:
    """The decoded key; None if it is not UTF-8."""
    data = raw.replace(b"+", b" ") if encoding == "form" else raw
    try:
        return (data if encoding == "none" else unquote_to_bytes(data)).decode()
    except UnicodeDecodeError:
        return None


@given(
    st.lists(raw_key, max_size=8),
    st.sampled_from(["form", "percent", "none"]),
    st.integers(0, 3),
    st.integers(0, 3),
)
@example([b"%", b"41"], "form", 0, 0)
@example([b"%C3", b"%A9"], "form", 0, 0)
@example([b"x", b"%4", b"1"], "form", 1, 0)
def test_each_key_is_decoded_as_if_alone(raws, encoding, before, behind) -> None:
    array = pa.array(raws, pa.binary())
    array = array.slice(before, max(len(raws) - before - behind, 0))
    found = decode_keys(array, encoding)
    found.keys.validate(full=True)
    assert len(found.keys) == len(array)
    undecodable = []
    for position, (raw, key) in enumerate(
        zip(array.to_pylist(), found.keys.to_pylist(), strict=True)
    ):
        wanted = expected(raw, encoding)
        if wanted is None:
            undecodable.append(position)
            assert key == raw.decode("ascii", "backslashreplace")
        else:
            assert key == wanted
    assert found.undecodable == tuple(undecodable)


@given(st.lists(ascii_key, min_size=1, max_size=5))
def test_agrees_with_the_standard_library(raws) -> None:
    array = pa.array(raws, pa.binary())
    for encoding, decode in (("form", unquote_plus), ("percent", unquote)):
        found = decode_keys(array, encoding)
        for position, raw in enumerate(raws):
            if position not in found.undecodable:
                assert found.keys[position].as_py() == decode(raw.decode(), errors="strict")


@given(st.lists(raw_key, max_size=8))
def test_counts_are_those_of_single_keys(raws) -> None:
    whole = decode_keys(pa.array(raws, pa.binary()), "form")
    alone = [decode_keys(pa.array([raw], pa.binary()), "form") for raw in raws]
    assert whole.suspicious == sum(one.suspicious for one in alone)
    assert whole.plus == sum(raw.count(b"+") for raw in raws)
    assert whole.percent20 == sum(one.percent20 for one in alone)


@given(st.lists(text_key, max_size=8))
def test_encoded_keys_come_back(texts) -> None:
    array = pa.array([quote_plus(text).encode() for text in texts], pa.binary())
    found = decode_keys(array, "form")
    assert found.keys.to_pylist() == texts
    assert found.undecodable == ()
    assert found.suspicious == 0
