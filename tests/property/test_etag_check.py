"""ETags against files of known parts, and part sizes against their counts: REC-4."""

from __future__ import annotations

import hashlib
import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stocktake.errors import SourceChangedError
from stocktake.manifests import EtagOutcome, check_etag, md5_of_etag, part_size_guesses
from stocktake.manifests import _etag_check as module
from stocktake.manifests._part_sizes import GUESSES_MAX, MIB, PARTS_MAX, parts_of


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def multipart_etag(data: bytes, part_bytes: int) -> str:
    """As S3 makes it, written once more, plainly."""
    parts = [data[at : at + part_bytes] for at in range(0, len(data), part_bytes)] or [b""]
    return f"{md5(b''.join(map(md5, parts))).hex()}-{len(parts)}"


SIZES = st.one_of(st.integers(1, 5 << 40), st.integers(1, 1 << 20))


@given(size_bytes=SIZES, parts=st.integers(1, PARTS_MAX))
def test_every_guess_gives_exactly_that_many_parts(size_bytes: int, parts: int) -> None:
    guesses = part_size_guesses(size_bytes, parts)
    assert len(guesses) == len(set(guesses)) <= GUESSES_MAX
    assert all(parts_of(size_bytes, guess) == parts for guess in guesses)


@pytest.mark.parametrize(
    ("tool", "part_bytes"),
    [
        ("aws cli, boto3", 8 * MIB),
        ("rclone, go and java sdk", 5 * MIB),
        ("s3cmd", 15 * MIB),
        ("mc", 16 * MIB),
        ("s5cmd", 50 * MIB),
        ("ours", 64 * MIB),
        ("console", 17_179_870),
        ("megabytes", 100_000_000),
    ],
)
@given(parts=st.integers(2, PARTS_MAX), last=st.floats(0, 1))
def test_what_tools_use_is_among_the_guesses(
    tool: str, part_bytes: int, parts: int, last: float
) -> None:
    size_bytes = (parts - 1) * part_bytes + 1 + int(last * (part_bytes - 1))
    assert part_bytes in part_size_guesses(size_bytes, parts), tool


@given(size_bytes=st.integers(80 << 30, 5 << 40))
def test_what_tools_use_for_large_files_is_among_the_guesses(size_bytes: int) -> None:
    doubled = 8 * MIB
    while parts_of(size_bytes, doubled) > PARTS_MAX:
        doubled *= 2
    equal = -(-size_bytes // PARTS_MAX)
    in_mib = -(-equal // MIB) * MIB
    own = max(64 * MIB, math.ceil(math.ceil(size_bytes / 9_000) / MIB) * MIB)
    for part_bytes in (doubled, equal, in_mib, own):
        assert part_bytes in part_size_guesses(size_bytes, parts_of(size_bytes, part_bytes))


@pytest.mark.parametrize(("size_bytes", "parts"), [(5, 6), (100, 0), (100, PARTS_MAX + 1), (7, 5)])
def test_impossible_counts_have_no_guesses(size_bytes: int, parts: int) -> None:
    assert part_size_guesses(size_bytes, parts) == []


@given(
    data=st.binary(max_size=400), part_bytes=st.integers(1, 200), piece_bytes=st.integers(1, 130)
)
@settings(max_examples=200)
def test_known_part_size_proves_the_bytes(data: bytes, part_bytes: int, piece_bytes: int) -> None:
    etag = multipart_etag(data, part_bytes)
    before, module.PIECE_BYTES = module.PIECE_BYTES, piece_bytes
    try:
        same = check_etag(
            lambda: io.BytesIO(data), len(data), f'"{etag.upper()}"', part_size_bytes=part_bytes
        )
        assert (same.outcome, same.part_size_bytes) == (EtagOutcome.SAME, part_bytes)
        if data:
            other = bytes([data[0] ^ 1]) + data[1:]
            changed = check_etag(
                lambda: io.BytesIO(other), len(data), etag, part_size_bytes=part_bytes
            )
            assert changed.outcome is EtagOutcome.DIFFERENT
    finally:
        module.PIECE_BYTES = before


@given(data=st.binary(max_size=200), guesses=st.lists(st.integers(1, 300), max_size=6))
def test_one_pass_gives_the_same_as_one_pass_each(data: bytes, guesses: list[int]) -> None:
    opened = []

    def open_file() -> io.BytesIO:
        opened.append(1)
        return io.BytesIO(data)

    found = module.composite_digests(open_file, len(data), guesses)
    assert found == [multipart_etag(data, size).split("-")[0] for size in guesses]
    assert len(opened) == 1


def test_part_size_is_found_without_being_told() -> None:
    data = b"0123456789abcdef" * (MIB * 13 // 16) + b"tail"
    for part_bytes in (5 * MIB, 6 * MIB, 7 * MIB, 8 * MIB, 5_000_000, 12 * MIB):
        verdict = check_etag(lambda: io.BytesIO(data), len(data), multipart_etag(data, part_bytes))
        assert (verdict.outcome, verdict.part_size_bytes) == (EtagOutcome.SAME, part_bytes)


def test_unusual_part_size_is_unknown_and_never_different() -> None:
    """REC-4: not to have guessed the part size is no difference."""
    data = bytes(range(256)) * 100
    verdict = check_etag(lambda: io.BytesIO(data), len(data), multipart_etag(data, 13_337))
    assert verdict.outcome is EtagOutcome.UNKNOWN
    assert "none of" in verdict.why


def test_usual_part_size_costs_one_reading_and_unusual_ones_two() -> None:
    data = bytes(20 * MIB)
    for part_bytes, readings in ((16 * MIB, 1), (19 * MIB, 2), (MIB * 27 // 2 + 7, 2)):
        opened = []

        def open_file(opened: list[int] = opened) -> io.BytesIO:
            opened.append(1)
            return io.BytesIO(data)

        check_etag(open_file, len(data), multipart_etag(data, part_bytes))
        assert len(opened) == readings, part_bytes


def test_etag_of_parts_is_never_an_md5() -> None:
    """The trap in manifests that have `54c3...-26` as `md5_hash`."""
    assert md5_of_etag("54c3a8cb0a4b8ab4fd3a9a9eb4d0a1c0-26") is None
    assert md5_of_etag('"D41D8CD98F00B204E9800998ECF8427E"') == "d41d8cd98f00b204e9800998ecf8427e"
    assert md5_of_etag("d41d8cd98f00b204e9800998ecf8427e", encryption="aws:kms") is None
    assert md5_of_etag("CJqfkv2C0IYDEAE=") is None


@pytest.mark.parametrize("encryption", ["aws:kms", "aws:kms:dsse", "SSE-KMS", "DSSE-KMS", "SSE-C"])
def test_encrypted_etag_proves_nothing_and_costs_no_reading(encryption: str) -> None:
    def refuse() -> io.BytesIO:
        raise AssertionError("read")

    for etag in ("d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e-3"):
        verdict = check_etag(refuse, 0, etag, encryption=encryption)
        assert verdict.outcome is EtagOutcome.UNKNOWN
        assert encryption in verdict.why


@pytest.mark.parametrize("encryption", [None, "AES256", "NOT-SSE", "SSE-S3"])
def test_plain_etag_is_the_md5(encryption: str | None) -> None:
    data = b"bytes"
    for etag, outcome in ((md5(data).hex(), "same"), (md5(b"other").hex(), "different")):
        verdict = check_etag(lambda: io.BytesIO(data), 5, etag, encryption=encryption)
        assert verdict.outcome.value == outcome
    assert verdict.certain is (encryption is not None)


@pytest.mark.parametrize("etag", [None, "", "abc", "CJqfkv2C0IYDEAE=", "0x8DABC", f"{'a' * 32}-0"])
def test_etag_of_another_kind_is_unknown(etag: str | None) -> None:
    assert check_etag(io.BytesIO, 0, etag).outcome is EtagOutcome.UNKNOWN


def test_empty_file_has_one_part() -> None:
    assert check_etag(io.BytesIO, 0, multipart_etag(b"", 5)).outcome is EtagOutcome.SAME
    assert check_etag(io.BytesIO, 0, md5(b"").hex()).outcome is EtagOutcome.SAME


@pytest.mark.parametrize("real", [b"", b"abcd", b"abcdefgh"])
def test_file_of_another_size_is_no_verdict(real: bytes) -> None:
    with pytest.raises(SourceChangedError):
        check_etag(lambda: io.BytesIO(real), 5, md5(real).hex())
