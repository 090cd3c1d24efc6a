"""Changes that keep size and times (fault 21): found by reading again, with a bounded rate."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from arrival_folder import SETTLE_S, Watched

from stocktake.ship import _arrival_checksum as checksum_module


@pytest.fixture
def shipped(tmp_path: Path) -> dict[bytes, str]:
    return {}


@pytest.fixture
def watched(tmp_path: Path, shipped: dict[bytes, str]) -> Watched:
    """A folder with a shipped file, whose bytes are said to have been others."""
    watched = Watched(tmp_path, changes={"checksum": True})
    watched.restart(sha256_of=shipped.get)
    for name in ("a.csv", "sub/b.txt"):
        watched.write(name, b"content")
        shipped[name.encode()] = hashlib.sha256(b"content").hexdigest()
    watched.settled()
    return watched


def altered(watched: Watched, after_s: float = 61) -> list[bytes]:
    return [one.path for one in watched.poll(after_s).altered]


def test_fault_21_same_size_and_times_but_other_bytes_is_found(
    watched: Watched, shipped: dict[bytes, str]
) -> None:
    assert altered(watched) == []
    shipped[b"a.csv"] = hashlib.sha256(b"another").hexdigest()
    (one,) = watched.poll(61).altered
    assert (one.path, one.kind.value, one.identity.size_bytes) == (b"a.csv", "table", 7)
    shipped[b"a.csv"] = hashlib.sha256(b"content").hexdigest()
    assert altered(watched) == []


def test_fault_21_what_is_not_shipped_is_not_read(
    watched: Watched, shipped: dict[bytes, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped.clear()
    monkeypatch.setattr(checksum_module, "open_source", lambda *_: pytest.fail("read"))
    assert altered(watched) == []


def test_fault_21_reading_is_bounded_by_time(
    watched: Watched, shipped: dict[bytes, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksum_module, "BYTES_PER_S", 1 << 20)
    large = bytes(5 << 20)
    watched.write("large.bin", large)
    watched.settled()
    shipped[b"large.bin"] = "another"
    for _ in range(4):
        assert altered(watched, 1) == []
    found = [altered(watched, 1) for _ in range(120)]
    assert [b"large.bin"] in found


def test_fault_21_a_file_that_changes_while_it_is_read_again_is_left_to_the_scan(
    watched: Watched, shipped: dict[bytes, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped[b"a.csv"] = "another"
    sha256 = hashlib.sha256

    def change() -> object:
        watched.write("a.csv", b"changed")
        return sha256()

    monkeypatch.setattr(checksum_module.hashlib, "sha256", change)
    assert altered(watched) == []
    monkeypatch.undo()
    watched.poll()
    assert [one.path for one in watched.poll(SETTLE_S).ready] == [b"a.csv"]


def test_fault_21_a_file_that_is_being_written_to_waits(
    watched: Watched, shipped: dict[bytes, str]
) -> None:
    shipped[b"sub/b.txt"] = "another"
    with (watched.folder / "sub" / "b.txt").open("r+b"):
        assert altered(watched) == []
    assert altered(watched) == [b"sub/b.txt"]


def test_fault_21_without_the_setting_nothing_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksum_module, "open_source", lambda *_: pytest.fail("read"))
    watched = Watched(tmp_path)
    watched.restart(sha256_of=lambda _: "another")
    watched.write("a.txt")
    watched.settled()
    assert altered(watched) == []
