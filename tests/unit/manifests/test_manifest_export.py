"""A dataset for other programs: checksum files, CSV, BagIt (MAN-4)."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from bag_reader import check_complete, check_tags, read_bag
from copy_world import NOON, PREFIX, dataset_of, drop, open_host, put, upload
from stocktake.clock import FixedClock
from stocktake.errors import DatasetNotFoundError, DiskFullError, LocalFolderError
from stocktake.manifests import (
    Algorithm,
    Dataset,
    LeftOut,
    UploadRecord,
    export_bag,
    export_csv,
    export_sums,
    local_key,
    parse_manifest,
    set_base_url,
)

NAMES = (
    "a b.txt",
    "line\nbreak.txt",
    "return\r.txt",
    "back\\slash.txt",
    "100%.txt",
    "%0A is not a line break.txt",
    "ä/ü\u202e.txt",
    "deep/er/x",
    " leading",
    "*star",
    "=1+1",
)


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[Dataset]:
    state = open_host(tmp_path / "home", FixedClock(NOON))
    yield dataset_of(state)
    state.close()


def of_bytes(name: str, body: bytes) -> UploadRecord:
    return replace(
        upload(name, 7),
        size_bytes=len(body),
        md5=hashlib.md5(body, usedforsecurity=False).hexdigest(),
        sha256=hashlib.sha256(body).hexdigest(),
    )


def body_of(name: str) -> bytes:
    return f"what is in {name}".encode()


def write_files(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body_of(name))


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_checksum_file_is_checked_by_the_real_programs(
    algorithm: Algorithm, dataset: Dataset, tmp_path: Path
) -> None:
    put(dataset, *(of_bytes(name, body_of(name)) for name in NAMES))
    folder = tmp_path / "files"
    write_files(folder, NAMES)
    (tmp_path / "sums").write_text("".join(export_sums(dataset, algorithm)), newline="")
    program = shutil.which(f"{algorithm}sum")
    assert program is not None
    done = subprocess.run(
        [program, "--check", "--strict", "--quiet", tmp_path / "sums"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_file_whose_digest_nobody_knows_is_left_out_and_said(dataset: Dataset) -> None:
    put(dataset, replace(upload("a", 1), md5=None), upload("b", 2), upload("folder/", 3))
    left: list[LeftOut] = []
    lines = list(export_sums(dataset, Algorithm.MD5, left_out=left.append))
    assert lines == [f"{2:032x}  b\n"]
    assert [(one.s3_key.removeprefix(PREFIX), one.why) for one in left] == [
        ("a", "its md5 is not known"),
        ("folder/", "its name has an empty part, or is that of a folder"),
    ]


def test_earlier_version_can_be_exported(dataset: Dataset) -> None:
    assert list(export_sums(dataset, Algorithm.MD5)) == []
    put(dataset, upload("a", 1))
    drop(dataset, "a")
    assert list(export_sums(dataset, Algorithm.MD5)) == []
    assert list(export_sums(dataset, Algorithm.MD5, version=1)) == [f"{1:032x}  a\n"]
    with pytest.raises(DatasetNotFoundError):
        list(export_sums(dataset, Algorithm.MD5, version=9))


def test_csv_has_every_name_unharmed(dataset: Dataset) -> None:
    put(dataset, *(upload(name, number + 1) for number, name in enumerate(NAMES)))
    text = "".join(export_csv(dataset))
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert sorted(row["name"] for row in rows) == sorted(NAMES)
    for row in rows:
        assert row["s3_key"] == PREFIX + row["name"]
        assert unquote(urlsplit(row["s3_url"]).path) == "/" + row["s3_key"]
    safe = "".join(export_csv(dataset, spreadsheet_safe=True))
    assert "\n'=1+1," in safe
    assert "\n=1+1," in text


def test_long_csv_is_whole(dataset: Dataset) -> None:
    put(dataset, *(upload(f"{number:05}", number + 1) for number in range(1_500)))
    pieces = list(export_csv(dataset))
    assert len(pieces) > 1
    rows = list(csv.reader(io.StringIO("".join(pieces), newline="")))
    assert [len(rows), len({row[0] for row in rows})] == [1_501, 1_501]


def test_bag_is_valid_and_becomes_complete(dataset: Dataset, tmp_path: Path) -> None:
    put(dataset, *(of_bytes(name, body_of(name)) for name in NAMES))
    result = export_bag(dataset, tmp_path / "bag")
    assert (result.files, result.left_out, result.algorithms) == (
        len(NAMES),
        (),
        tuple(Algorithm),
    )
    bag = read_bag(tmp_path / "bag")
    check_tags(bag)
    assert bag.info["Bagging-Date"] == "2026-11-21"
    assert bag.info["External-Identifier"] == "16"
    for name, (url, size_bytes) in bag.fetch.items():
        assert " " not in url
        assert unquote(urlsplit(url).path) == f"/{PREFIX}{name.removeprefix('data/')}"
        assert size_bytes == len(body_of(name.removeprefix("data/")))
    write_files(tmp_path / "bag" / "data", NAMES)
    check_complete(bag)
    picture = parse_manifest((tmp_path / "bag" / "16_s3_manifest.json").read_bytes())
    assert len(picture.records) == len(NAMES)


def test_bag_names_the_right_address(dataset: Dataset, tmp_path: Path) -> None:
    put(dataset, replace(upload("ä b", 1), version_id="v/1+="))
    set_base_url(dataset, "http://127.0.0.1:9000/photos/")
    export_bag(dataset, tmp_path / "https")
    export_bag(dataset, tmp_path / "s3", s3_urls=True)
    (url, _), *_ = read_bag(tmp_path / "https").fetch.values()
    assert url == "http://127.0.0.1:9000/photos/styles/16/%C3%A4%20b?versionId=v%2F1%2B%3D"
    (url, _), *_ = read_bag(tmp_path / "s3").fetch.values()
    assert url == "s3://photos/styles/16/%C3%A4%20b"


def test_bag_has_only_the_digests_that_are_known_of_all(dataset: Dataset, tmp_path: Path) -> None:
    put(dataset, upload("a", 1), replace(upload("b", 2), md5=None))
    result = export_bag(dataset, tmp_path / "bag")
    assert (result.algorithms, result.left_out_files) == ((Algorithm.SHA256,), 0)
    assert set(read_bag(tmp_path / "bag").payload) == {"sha256"}


def test_bag_leaves_out_what_has_no_digest_and_says_so(dataset: Dataset, tmp_path: Path) -> None:
    bare = replace(upload("bare", 3), md5=None, sha256=None)
    put(dataset, replace(upload("a", 1), md5=None), bare)
    result = export_bag(dataset, tmp_path / "bag")
    assert result.left_out == (LeftOut(PREFIX + "bare", "its sha256 is not known"),)
    assert set(read_bag(tmp_path / "bag").payload["sha256"]) == {"data/a"}


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "/etc/passwd",
        "a//b",
        "folder/",
        "./x",
        "x/..",
        "nul\0",
        "y" * 256,
        "taken/below",
    ],
)
def test_name_that_no_file_can_have_is_left_out_and_said(
    name: str, dataset: Dataset, tmp_path: Path
) -> None:
    put(dataset, upload("taken", 1), upload("taken-", 3), upload(name, 2))
    result = export_bag(dataset, tmp_path / "bag")
    assert [one.s3_key for one in result.left_out] == [PREFIX + name]
    bag = read_bag(tmp_path / "bag")
    check_tags(bag)
    assert set(bag.fetch) == {"data/taken", "data/taken-"}


def escaped(raw: bytes, number: int) -> UploadRecord:
    """As sync records a file whose name no key can have."""
    key = local_key(raw)
    return replace(upload(key, number), source=key, source_raw=raw.hex())


def test_names_are_those_that_restoring_gives(dataset: Dataset, tmp_path: Path) -> None:
    put(dataset, escaped(b"line\nbreak 100%", 1), escaped(b"caf\xe9/x", 2), upload("%E9", 3))
    lines = list(export_sums(dataset, Algorithm.MD5))
    assert [line.encode("utf-8", "surrogateescape").partition(b"  ")[2] for line in lines] == [
        b"%E9\n",
        b"caf\xe9/x\n",
        b"line\\nbreak 100%\n",
    ]
    result = export_bag(dataset, tmp_path / "bag")
    assert [one.why for one in result.left_out] == ["its name is not UTF-8"]
    assert set(read_bag(tmp_path / "bag").fetch) == {"data/%E9", "data/line\nbreak 100%"}


def test_two_files_of_one_name_are_not_both_in_a_bag(dataset: Dataset, tmp_path: Path) -> None:
    put(dataset, escaped(b"a\nb", 1), upload("a\nb", 2))
    result = export_bag(dataset, tmp_path / "bag")
    assert [(one.s3_key, one.why) for one in result.left_out] == [
        (PREFIX + "a%0Ab", "another file has its name")
    ]
    assert set(read_bag(tmp_path / "bag").fetch) == {"data/a\nb"}


def test_raw_name_that_leads_outside_is_left_out(dataset: Dataset, tmp_path: Path) -> None:
    raw = b"../\nout"
    put(dataset, replace(upload("%2E%2E/%0Aout", 1), source_raw=raw.hex()))
    assert list(export_sums(dataset, Algorithm.MD5)) == []
    assert export_bag(dataset, tmp_path / "bag").left_out_files == 1


def test_bag_of_nothing_is_a_bag(dataset: Dataset, tmp_path: Path) -> None:
    export_bag(dataset, tmp_path / "bag")
    bag = read_bag(tmp_path / "bag")
    check_tags(bag)
    check_complete(bag)


def test_bag_is_never_written_over_what_is_there(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    with pytest.raises(LocalFolderError, match="there already"):
        export_bag(dataset, tmp_path / "bag")
    with pytest.raises(LocalFolderError, match="cannot write"):
        export_bag(dataset, tmp_path / "nowhere" / "bag")


def test_bag_that_does_not_fit_leaves_nothing(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(dataset, upload("a", 1))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFullError):
        export_bag(dataset, tmp_path / "bag")
    assert [one.name for one in tmp_path.iterdir()] == ["home"]
