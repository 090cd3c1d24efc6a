"""`stocktake unpack` as users run it (SHP-23)."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from acceptance_shell import Inside, help_of, members_in

CONTENT = {"a.txt": b"hello\n", "folder/b.bin": bytes(range(256)) * 40, "empty": b""}


@pytest.fixture
def offline(tmp_path: Path) -> Inside:
    """A user with an empty home and no server anywhere."""
    return Inside(tmp_path, {})


def make_zip(path: Path, content: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def make_tar(path: Path) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in CONTENT.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_700_000_000
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_an_archive_is_unpacked_below_its_own_name(offline: Inside) -> None:
    make_zip(offline.home / "data.zip", CONTENT)
    answer = offline("unpack", "data.zip")
    assert (answer.code, answer.out) == (0, "3 files, 10.0 KiB in data\n")
    assert files_in(offline.home / "data") == CONTENT


def test_nothing_that_exists_is_overwritten(offline: Inside) -> None:
    make_zip(offline.home / "data.zip", CONTENT)
    (offline.home / "data/folder").mkdir(parents=True)
    (offline.home / "data/folder/b.bin").write_bytes(b"mine")
    answer = offline("unpack", "data.zip")
    assert answer.code == 2
    assert "data/folder/b.bin exists already" in answer.err
    assert files_in(offline.home / "data") == {"folder/b.bin": b"mine"}


def test_links_are_skipped_and_told_of(offline: Inside) -> None:
    make_tar(offline.home / "data.tar.gz")
    answer = offline("unpack", "data.tar.gz", "-o", "there", "--json")
    assert answer.code == 3
    assert answer.json == {
        "archive": "data.tar.gz",
        "format": "tar",
        "target": "there",
        "files": 3,
        "size_bytes": sum(map(len, CONTENT.values())),
        "skipped": [
            {
                "path": "link",
                "kind": "link",
                "reason": "links are not made",
                "link_target": "/etc/passwd",
            }
        ],
    }
    assert files_in(offline.home / "there") == CONTENT
    assert not (offline.home / "there/link").is_symlink()
    assert (offline.home / "there/a.txt").stat().st_mtime == 1_700_000_000


def test_a_list_has_sizes_and_sums_and_writes_nothing(offline: Inside) -> None:
    make_tar(offline.home / "data.tar.gz")
    make_zip(
        offline.home / "outer.zip",
        {"data.tar.gz": (offline.home / "data.tar.gz").read_bytes(), "x.txt": b"x"},
    )
    before = sorted(offline.home.rglob("*"))
    answer = offline("unpack", "outer.zip", "--list", "--json")
    assert answer.code == 0
    members = {one["path"]: one for one in answer.json["members"]}
    assert set(members) == {"data/a.txt", "data/folder/b.bin", "data/empty", "x.txt"}
    for name, data in CONTENT.items():
        one = members[f"data/{name}"]
        assert one["size_bytes"] == len(data)
        assert one["sha256"] == hashlib.sha256(data).hexdigest()
        assert (one["depth"], one["modified_at"]) == (1, "2023-11-14T22:13:20Z")
    assert [one["path"] for one in answer.json["skipped"]] == ["data/link"]
    assert sorted(offline.home.rglob("*")) == before
    shown = offline("unpack", "outer.zip", "--list")
    assert shown.code == 0
    assert "data/folder/b.bin" in shown.out
    assert "4 files, " in shown.out
    assert "skipped data/link -> /etc/passwd" in shown.err
    left = offline("unpack", "outer.zip", "--list", "--json", "--depth", "0").json
    assert [one["path"] for one in left["members"]] == ["data.tar.gz", "x.txt"]


def test_the_help_names_the_members_of_the_answer(offline: Inside) -> None:
    make_zip(offline.home / "data.zip", CONTENT)
    text = help_of(offline, "unpack")
    done = offline("unpack", "data.zip", "--json").json
    assert members_in(text) == set(done)
    listed = offline("unpack", "data.zip", "--list", "--json").json
    rest = text[text.index("with --list") :]
    assert members_in("JSON " + rest) == set(listed)
    assert set(listed["members"][0]) == {
        "path",
        "size_bytes",
        "sha256",
        "modified_at",
        "depth",
    }


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("page.zip", b"<html>not found</html>" * 20, "not-an-archive"),
        ("cut.zip", None, "archive-incomplete"),
        ("plain.txt", b"hello", "not-an-archive"),
        ("bomb.zip", b"bomb", "archive-limit"),
        ("out.zip", b"../x", "archive-path"),
        ("locked.zip", b"locked", "archive-encrypted"),
        ("flipped.zip", b"flipped", "archive-corrupt"),
    ],
)
def test_what_cannot_be_unpacked_says_why_and_leaves_nothing(
    offline: Inside, name: str, data: bytes | None, code: str
) -> None:
    path = offline.home / name
    if data is None:
        make_zip(path, {"a": os.urandom(2000)})
        path.write_bytes(path.read_bytes()[:1500])
    elif data == b"bomb":
        make_zip(path, {"zeros": bytes(50 << 20)})
    elif data == b"../x":
        make_zip(path, {"ok.txt": b"ok", "../x": b"x"})
    elif data == b"locked":
        make_zip(path, {"a": b"secret"})
        path.write_bytes(encrypted(path.read_bytes()))
    elif data == b"flipped":
        make_zip(path, {"a": b"a" * 100})
        raw = bytearray(path.read_bytes())
        raw[14] ^= 1
        raw[raw.rindex(b"PK\x01\x02") + 16] ^= 1
        path.write_bytes(raw)
    else:
        path.write_bytes(data)
    answer = offline("unpack", name, "-o", "there", "--json")
    assert (answer.code, answer.json["error"]["code"]) == (1, code)
    assert not (offline.home / "there").exists()
    listed = offline("unpack", name, "--list", "--json")
    assert (listed.code, listed.json["error"]["code"]) == (1, code)


def encrypted(raw: bytes) -> bytes:
    """The same ZIP with the flag that says that its members are encrypted."""
    changed = bytearray(raw)
    changed[6] |= 1
    changed[raw.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def test_what_was_typed_wrong_is_a_usage_error(offline: Inside) -> None:
    make_zip(offline.home / "data.zip", CONTENT)
    (offline.home / "file").write_bytes(b"")
    for arguments, message in (
        (("gone.zip",), "cannot read `gone.zip`"),
        (("data.zip", "--list", "-o", "x"), "--list writes nothing"),
        (("data.zip", "--max-size", "big"), "--max-size"),
        (("data.zip", "--code-page", "klingon"), "--code-page"),
        (("data.zip", "-o", "file/below"), "file/below"),
    ):
        answer = offline("unpack", *arguments)
        assert (answer.code, message in answer.err) == (2, True), answer.err
    assert offline("unpack", "data.zip", "--max-size", "1KiB").code == 1
