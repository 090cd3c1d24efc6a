"""A local folder as a side, and what proves its files against ETags: REC-1, REC-4."""

from __future__ import annotations

import hashlib
import os
import zlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stocktake.clock import FixedClock
from stocktake.errors import AccessDeniedError, LocalFolderError
from stocktake.manifests import DigestCache
from stocktake.reconcile import Pair, Same, SideKind
from stocktake.reconcile import _side_folder as module
from stocktake.reconcile._proof import Heads, KnownDigests, Look, by_digests
from stocktake.reconcile._side import SIDE_ROW
from stocktake.reconcile._side_folder import FolderSide
from stocktake.state import State, open_state
from stocktake.store import ObjectHead, crc64nvme, encode_crc64nvme

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DATA = b"what should be there"
SIZE = len(DATA)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def parts_etag(data: bytes, part_bytes: int) -> str:
    parts = [data[at : at + part_bytes] for at in range(0, len(data), part_bytes)]
    digests = b"".join(bytes.fromhex(md5(part)) for part in parts)
    return f"{md5(digests)}-{len(parts)}"


def head_of(data: bytes, **more: object) -> ObjectHead:
    head = ObjectHead("b", "a", len(data), md5(data), NOW)
    return replace(head, **more)  # type: ignore[arg-type]


def side(root: Path, look: Look | None = None, **more: bool | int | DigestCache) -> FolderSide:
    return FolderSide(root, FixedClock(NOW), look=look, **more)  # type: ignore[arg-type]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "a").write_bytes(DATA)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=FixedClock(NOW)) as opened:
        opened.upgrade()
        yield opened


def test_folder_gives_rows_in_key_order_and_says_what_it_left_out(root: Path) -> None:
    (root / "d").mkdir()
    (root / "d" / "b").write_bytes(b"12")
    (root / "d.txt").touch()
    (root / "link").symlink_to("a")
    os.utime(root / "a", ns=(0, 1_700_000_000_123_456_789))
    folder = side(root)
    (rows,) = folder.batches()
    assert rows.schema == SIDE_ROW
    assert rows.column("key").to_pylist() == ["a", "d.txt", "d/b"]
    assert rows.column("size_bytes").to_pylist() == [SIZE, 0, 2]
    assert rows.column("last_modified")[0].as_py() == datetime(2023, 11, 14, 22, 13, 20, 123000)  # noqa: DTZ001 - the side's own
    assert rows.column("md5").null_count == 3
    facts = folder.facts
    assert (facts.kind, facts.objects, facts.size_bytes) == (SideKind.FOLDER, 3, SIZE + 2)
    assert facts.as_of == NOW
    assert facts.notes == ("1 symbolic links are not followed",)
    assert facts.complete


def test_downloads_that_were_killed_are_no_files(root: Path) -> None:
    (root / ".b.0123456789ab-01234567.part").write_bytes(b"half")
    (rows,) = side(root).batches()
    assert rows.column("key").to_pylist() == ["a"]


def test_folder_that_cannot_be_read_whole_is_not_complete(root: Path) -> None:
    (root / "caf%E9").touch()
    with open(os.fsencode(root) + b"/caf\xe9", "wb"):  # noqa: PTH123 - bytes
        pass
    folder = side(root)
    assert sum(rows.num_rows for rows in folder.batches()) == 2
    assert not folder.facts.complete
    with pytest.raises(LocalFolderError):
        list(side(root / "gone").batches())


def test_folder_can_be_read_twice_in_small_batches(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    for number in range(5):
        (root / f"x{number}").touch()
    folder = side(root)
    for _ in range(2):
        assert [rows.num_rows for rows in folder.batches()] == [2, 2, 2]
        assert folder.facts.objects == 6


def test_known_digests_are_in_the_rows(root: Path, state: State) -> None:
    with DigestCache(state, root, clock=FixedClock(datetime(2100, 1, 1, tzinfo=UTC))) as cache:
        folder = side(root, cache=cache)
        assert folder.prove([Pair("a", SIZE, md5(DATA))])[0].same is Same.SAME
        (rows,) = folder.batches()
    assert rows.column("md5").to_pylist() == [md5(DATA)]
    assert rows.column("sha256").to_pylist() == [hashlib.sha256(DATA).hexdigest()]


@pytest.mark.parametrize(
    ("pair", "same"),
    [
        (Pair("a", SIZE, md5(DATA)), Same.SAME),
        (Pair("a", SIZE, md5(DATA), encryption="SSE-S3"), Same.SAME),
        (Pair("a", SIZE, md5(b"other"), encryption="SSE-S3"), Same.DIFFERENT),
        (Pair("a", SIZE, md5(b"other"), encryption="SSE-KMS"), Same.UNKNOWN),
        (Pair("a", SIZE, md5(b"other")), Same.UNKNOWN),
        (Pair("a", SIZE, None, md5=md5(DATA)), Same.SAME),
        (Pair("a", SIZE, None, md5=md5(b"other")), Same.DIFFERENT),
        (Pair("a", SIZE, "x" * 32, sha256=hashlib.sha256(DATA).hexdigest()), Same.SAME),
        (Pair("a", SIZE, parts_etag(DATA, 10)), Same.SAME),
        (Pair("a", SIZE, parts_etag(DATA, 7)), Same.SAME),
        (Pair("a", SIZE, parts_etag(b"what should be gone!", 10)), Same.UNKNOWN),
        (Pair("a", SIZE, None), Same.UNKNOWN),
        (Pair("gone", SIZE, md5(DATA)), Same.UNKNOWN),
        (Pair("a", SIZE + 1, md5(DATA)), Same.UNKNOWN),
    ],
)
def test_what_an_etag_says_of_a_file(root: Path, pair: Pair, same: Same) -> None:
    """REC-4: multipart and encrypted ETags are never taken for MD5s, in neither direction."""
    (proof,) = side(root).prove([pair])
    assert proof.same is same, proof
    assert proof.why


def test_trusted_etags_are_md5s(root: Path) -> None:
    (proof,) = side(root, trust_etags=True).prove([Pair("a", SIZE, md5(b"other"))])
    assert (proof.same, proof.expected) == (Same.DIFFERENT, f"MD5 {md5(DATA)}")


CRC32 = b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()
CRC = encode_crc64nvme(crc64nvme(DATA))


@pytest.mark.parametrize(
    ("head", "same"),
    [
        ({"checksums": {"crc64nvme": CRC}, "encryption": "aws:kms"}, Same.SAME),
        ({"checksums": {"crc64nvme": "AAAAAAAAAAE="}}, Same.DIFFERENT),
        ({"checksums": {"crc32": CRC32}, "encryption": "aws:kms"}, Same.SAME),
        ({"checksums": {"crc32": "AAAAAQ=="}, "encryption": "aws:kms"}, Same.DIFFERENT),
        ({"checksums": {"crc32": "AAAAAQ==-2"}, "encryption": "aws:kms"}, Same.UNKNOWN),
        ({"encryption": "AES256"}, Same.DIFFERENT),
        ({"encryption": "NOT-SSE"}, Same.DIFFERENT),
        ({"encryption": "aws:kms"}, Same.UNKNOWN),
        ({"encryption": "SSE-C"}, Same.UNKNOWN),
        ({"checksums": {"sha256": "AAAA-3"}, "encryption": "aws:kms"}, Same.UNKNOWN),
        ({"etag": "0" * 32, "encryption": "AES256"}, Same.UNKNOWN),
        ({"size_bytes": 7, "encryption": "AES256"}, Same.UNKNOWN),
    ],
)
def test_one_head_settles_what_the_etag_leaves_open(
    root: Path, head: dict[str, object], same: Same
) -> None:
    """REC-4: same-size damage below a bucket of unknown encryption is found, and no false one."""
    other = b"what should NOT be  "
    assert len(other) == SIZE
    folder = side(root, look=lambda key: head_of(other, **head))
    (proof,) = folder.prove([Pair("a", SIZE, md5(other))])
    assert proof.same is same, proof
    assert folder.facts.requests == {"HEAD": 1}


def test_whole_object_checksum_settles_unusual_parts_without_guessing(root: Path) -> None:
    etag = parts_etag(DATA, 7)
    for crc, same in ((CRC, Same.SAME), ("AAAAAAAAAAE=", Same.DIFFERENT)):
        head = head_of(DATA, etag=etag, checksums={"crc64nvme": crc})
        (proof,) = side(root, look=lambda key, head=head: head).prove([Pair("a", SIZE, etag)])
        assert proof.same is same


def test_head_requests_have_a_limit_and_refusals_are_unknown(root: Path) -> None:
    (root / "b").write_bytes(DATA)
    pairs = [Pair(key, SIZE, md5(b"other")) for key in "ab"]

    def deny(key: str) -> ObjectHead:
        raise AccessDeniedError("no")

    folder = side(root, look=deny)
    proofs = folder.prove(pairs[:1]) + folder.prove(pairs[1:])
    assert {proof.same for proof in proofs} == {Same.UNKNOWN}
    assert "access-denied" in proofs[0].why
    assert folder.facts.requests == {"HEAD": 1}
    heads = Heads(deny, 0)
    assert not heads.can_ask
    assert "0 objects" in str(heads.ask(pairs[0]))


def test_file_that_changes_while_it_is_compared_is_unknown(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = module.find_local

    def stale(folder: Path, key: str) -> object:
        file = find(folder, key)
        (root / "a").write_bytes(b"x" * SIZE)
        os.utime(root / "a", ns=(1, 1))
        return file

    monkeypatch.setattr(module, "find_local", stale)
    (proof,) = side(root).prove([Pair("a", SIZE, md5(DATA))])
    assert (proof.same, proof.why) == (
        Same.UNKNOWN,
        "the file could not be read whole: source-changed",
    )


def test_escaped_names_are_found_again(root: Path) -> None:
    os.makedirs(os.fsencode(root) + b"/d\xe9")  # noqa: PTH103 - bytes
    with open(os.fsencode(root) + b"/d\xe9/a\nb", "wb") as file:  # noqa: PTH123 - bytes
        file.write(DATA)
    (proof,) = side(root).prove([Pair("d%E9/a%0Ab", SIZE, md5(DATA))])
    assert proof.same is Same.SAME
    for key in ("../outside/a", "/a", "d%E9/../a", "", "a/", "\0", "x" * 300):
        (proof,) = side(root).prove([Pair(key, SIZE, md5(DATA))])
        assert proof.same is Same.UNKNOWN


def test_nothing_known_proves_nothing() -> None:
    assert by_digests(Pair("a", 1, md5(b"x")), KnownDigests()).same is Same.UNKNOWN
