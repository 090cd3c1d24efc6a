"""CRC64NVME: against its definition bit by bit, in any pieces, and without awscrt."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stocktake.errors import MissingExtraError
from stocktake.store import (
    _checksums,
    combine_crc64nvme,
    crc64nvme,
    decode_crc64nvme,
    encode_crc64nvme,
)

POLYNOMIAL = 0x9A6C9329AC4BC9B5  # of NVMe, reversed


def by_definition(data: bytes) -> int:
    value = (1 << 64) - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
    return value ^ ((1 << 64) - 1)


def test_the_check_value_of_the_catalogue():
    assert crc64nvme(b"123456789") == 0xAE8B14860A799888
    assert encode_crc64nvme(0xAE8B14860A799888) == "rosUhgp5mIg="
    assert encode_crc64nvme(crc64nvme(b"")) == "AAAAAAAAAAA="


@given(st.binary(max_size=200))
def test_any_bytes_have_the_sum_of_the_definition(data):
    assert crc64nvme(data) == by_definition(data)


@given(st.lists(st.binary(max_size=50), max_size=8))
def test_pieces_add_up_to_the_whole_either_way(pieces):
    whole = b"".join(pieces)
    running, combined = 0, 0
    for piece in pieces:
        running = crc64nvme(memoryview(piece), running)
        combined = combine_crc64nvme(combined, crc64nvme(piece), len(piece))
    assert running == combined == crc64nvme(whole)


@given(st.integers(0, (1 << 64) - 1))
def test_a_header_gives_the_number_back(value):
    assert decode_crc64nvme(encode_crc64nvme(value)) == value


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "AAAAAAAAAAAA"])
def test_what_is_no_header_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - of b64decode, or ours
        decode_crc64nvme(text)


def test_without_awscrt_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "awscrt.checksums", None)
    _checksums._functions.cache_clear()
    try:
        with pytest.raises(MissingExtraError) as caught:
            crc64nvme(b"x")
        assert "stocktake[ship]" in caught.value.hint
    finally:
        _checksums._functions.cache_clear()
