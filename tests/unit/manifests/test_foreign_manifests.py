"""Manifests of other programs, with the damage they are known to have (MAN-1)."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from stocktake.errors import ManifestFormatError
from stocktake.manifests import ParsedManifest, parse_manifest

MD5 = "0123456789abcdef" * 2
FILE: Mapping[str, Any] = {
    "filename": "red fox.jpg",
    "s3_key": "styles/16/red fox.jpg",
    "s3_url": "https://photos.s3.us-east-1.amazonaws.com/styles/16/red fox.jpg",
    "size_bytes": 2_457_600,
    "md5_hash": MD5,
    "uploaded_at": "2025-10-24T14:30:00.123Z",
    "last_modified": "2025-10-24T14:30:00.123Z",
    "local_path": "/data/styles/16/red fox.jpg",
}
HEAD: Mapping[str, Any] = {
    "style_id": 16,
    "title": "Foxes",
    "s3_bucket": "photos",
    "s3_prefix": "styles/16/",
    "created_at": "2025-10-24T14:00:00.000Z",
    "last_synced": "2025-10-24T15:00:00.000Z",
    "total_files": 1,
    "total_size_bytes": 2_457_600,
}


def parsed(*files: Any, **head: Any) -> ParsedManifest:
    text = json.dumps({**HEAD, "total_files": len(files), **head, "files": list(files)})
    return parse_manifest(text.encode())


def file(**other: Any) -> dict[str, Any]:
    return {**FILE, **other}


def test_sound_manifest_of_another_program_is_taken_whole() -> None:
    found = parsed(FILE)
    (record,) = found.records
    assert found.spec.id == "16"  # a number there, text here
    assert (found.spec.title, found.spec.bucket, found.spec.prefix) == (
        "Foxes",
        "photos",
        "styles/16/",
    )
    assert found.last_synced == datetime(2025, 10, 24, 15, tzinfo=UTC)
    assert (record.s3_key, record.size_bytes, record.md5) == (FILE["s3_key"], 2_457_600, MD5)
    assert record.etag is None, "an MD5 is not claimed to be the ETag"
    assert record.uploaded_at == datetime(2025, 10, 24, 14, 30, 0, 123_000, tzinfo=UTC)
    assert (record.source, record.verified_by) == ("red fox.jpg", "imported")
    assert record.extra == {"local_path": FILE["local_path"]}
    assert (found.left_out, found.notes) == (0, [])


def test_md5_that_is_a_multipart_etag_is_no_md5() -> None:
    found = parsed(file(md5_hash='"54C3' + "0" * 28 + '-26"'))
    assert (found.records[0].md5, found.records[0].etag) == (None, "54c3" + "0" * 28 + "-26")
    assert any("multipart" in note for note in found.notes)


@pytest.mark.parametrize("said", ["", None, 7, "d41d8cd9", "z" * 32])
def test_md5_that_is_none_is_not_believed(said: Any) -> None:
    found = parsed(file(md5_hash=said))
    assert found.records[0].md5 is None
    assert found.records[0].extra.get("md5_hash") == (said or None)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://photos.s3.eu-west-1.amazonaws.com/styles/16/a%20b.jpg", "styles/16/a b.jpg"),
        ("https://photos.s3.amazonaws.com/styles/16/a b%20.jpg", "styles/16/a b%20.jpg"),
        ("http://127.0.0.1:9000/photos/styles/16/%C3%A4.jpg?x=1", "styles/16/ä.jpg"),
        ("https://s3.amazonaws.com/photos/styles/16/ä.jpg", "styles/16/ä.jpg"),
        ("s3://photos/styles/16/a%20b.jpg", "styles/16/a%20b.jpg"),
    ],
)
def test_missing_key_is_taken_from_the_address(url: str, key: str) -> None:
    assert parsed(file(s3_key=None, s3_url=url)).records[0].s3_key == key


def test_missing_key_and_address_leave_the_name() -> None:
    assert parsed(file(s3_key=None, s3_url=None)).records[0].s3_key == "styles/16/red fox.jpg"


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2025-10-24T14:30:00+02:00", datetime(2025, 10, 24, 12, 30, tzinfo=UTC)),
        ("2025-10-24T14:30:00", datetime(2025, 10, 24, 14, 30, tzinfo=UTC)),
        (1_761_316_200_000, datetime(2025, 10, 24, 14, 30, tzinfo=UTC)),
        ("yesterday", datetime(2025, 10, 24, 15, 0, tzinfo=UTC)),
        (None, datetime(2025, 10, 24, 15, 0, tzinfo=UTC)),
        (float("1e300"), datetime(2025, 10, 24, 15, 0, tzinfo=UTC)),
    ],
)
def test_times_of_every_kind(said: Any, at: datetime) -> None:
    assert parsed(file(uploaded_at=said, last_modified=None)).records[0].uploaded_at == at


@pytest.mark.parametrize(
    "bad",
    [
        "no object",
        None,
        {"s3_key": "styles/16/x"},
        {"s3_key": "styles/16/x", "size_bytes": -1},
        {"s3_key": "styles/16/x", "size_bytes": 1.5},
        {"s3_key": "styles/16/x", "size_bytes": True},
        {"s3_key": "elsewhere/x", "size_bytes": 1},
        {"s3_key": "styles/16/.stocktake/manifests/16_s3_manifest.json", "size_bytes": 1},
        {"s3_key": "styles/16/" + "x" * 1024, "size_bytes": 1},
        {"s3_key": "styles/16/\ud800", "size_bytes": 1},
        {"size_bytes": 1},
    ],
)
def test_entry_that_cannot_be_told_is_left_out_and_said(bad: Any) -> None:
    found = parsed(FILE, bad)
    assert [one.s3_key for one in found.records] == [FILE["s3_key"]]
    assert found.left_out == 1
    assert any("left out" in note for note in found.notes)
    assert any("claims 2 files" in note for note in found.notes)


def test_same_name_in_two_folders_is_two_files() -> None:
    found = parsed(FILE, file(s3_key="styles/16/b/red fox.jpg"))
    assert [one.source for one in found.records] == ["b/red fox.jpg", "red fox.jpg"]


@pytest.mark.parametrize("newer_first", [True, False])
def test_same_key_twice_counts_once_the_newer(newer_first: bool) -> None:
    newer = file(uploaded_at="2025-10-25T00:00:00Z", size_bytes=5)
    files = [newer, FILE] if newer_first else [FILE, newer]
    assert [one.size_bytes for one in parsed(*files).records] == [5]


def test_unknown_fields_are_kept() -> None:
    found = parsed(file(camera={"make": "x"}, uploaded_at="2025-10-24T14:30:00Z"), studio="north")
    assert found.records[0].extra["camera"] == {"make": "x"}
    assert found.records[0].extra["last_modified"] == FILE["last_modified"]
    assert found.extra == {"studio": "north"}


def test_head_behind_the_files_counts_all_the_same() -> None:
    files = [file(s3_key=None, s3_url=None), FILE]
    text = json.dumps({"files": files, "created_at": "2025-10-24T14:00:00Z", **HEAD})
    assert [one.s3_key for one in parse_manifest(text.encode()).records] == [FILE["s3_key"]]


@pytest.mark.parametrize(
    ("prefix", "key", "expected"),
    [
        ("styles/16", "styles/16/a", "styles/16/"),
        ("/styles/16/", "styles/16/a", "styles/16/"),
        ("/styles/16/", "/styles/16/a", "/styles/16/"),
        (None, "styles/16/a", "styles/16/"),
        ("", "styles/16/a", ""),
    ],
)
def test_prefix_is_what_the_keys_have(prefix: str | None, key: str, expected: str) -> None:
    found = parsed(file(s3_key=key), s3_prefix=prefix)
    assert found.spec.prefix == expected
    assert len(found.records) == 1


def test_bucket_is_found_in_the_addresses() -> None:
    assert parsed(FILE, s3_bucket=None).spec.bucket == "photos"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "no JSON object"),
        (b"[]", "no JSON object"),
        (b'{"files": [', "Expecting value"),
        (b'{"files": [{"a": 1}', "comma"),
        (b'{"files": {}}', "no list"),
        (b'{"style_id": 1}', "no list"),
        (b'{"files": [], "files": []}', "two lists"),
        (b'{"files": []} x', "follows"),
        (b'{"files": [], 7: 1}', "name"),
        (b'{"files": [], "a" 1}', "name"),
        (b'{"files": [\xff]}', "UTF-8"),
        (b'{"files": [' + b"[" * 100_000, "nested"),
        (b'{"files": [' + b"1" * 10_000 + b"]}", "too long"),
        (b'{"files": []}', "which dataset"),
        (b'{"style_id": 1, "files": []}', "which bucket"),
        (b'{"sourceBucket": "a", "fileSchema": "b", "files": []}', "inventory report"),
    ],
)
def test_what_is_no_manifest_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ManifestFormatError, match=why):
        parse_manifest(text)


def test_manifest_of_a_newer_stocktake_is_refused() -> None:
    with pytest.raises(ManifestFormatError, match="format version 2") as caught:
        parsed(FILE, format="stocktake-manifest", format_version=2)
    assert "upgrade" in (caught.value.hint or "")


def test_more_files_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stocktake.manifests._foreign.RECORDS_MAX", 1)
    assert len(parsed(FILE).records) == 1
    with pytest.raises(ManifestFormatError, match="more than 1 files"):
        parsed(FILE, FILE)


@pytest.mark.parametrize(
    ("url", "bucket"),
    [
        ("s3://other/styles/16/red fox.jpg", "other"),
        ("https://other.s3-eu-west-1.amazonaws.com/x", "other"),
        ("https://other.s3.amazonaws.com/x", "other"),
    ],
)
def test_bucket_of_every_kind_of_address(url: str, bucket: str) -> None:
    assert parsed(file(s3_url=url), s3_bucket=None).spec.bucket == bucket


@pytest.mark.parametrize(
    "url", [7, "ftp://photos/x", "https://cdn.example.org/x", "https://[photos/x", "s3://"]
)
def test_address_that_tells_no_bucket_is_not_guessed_at(url: Any) -> None:
    with pytest.raises(ManifestFormatError, match="which bucket"):
        parsed(file(s3_url=url), s3_bucket=None)
    found = parsed(file(s3_url=url, s3_key=None))
    assert found.records[0].s3_key == FILE["s3_key"], "the name below the prefix"


def test_address_that_is_no_utf8_is_taken_as_it_is() -> None:
    url = "https://photos.s3.amazonaws.com/styles/16/%FF"
    assert parsed(file(s3_url=url, s3_key=None)).records[0].s3_key == "styles/16/%FF"


def test_manifest_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ManifestFormatError, match="larger than 10 bytes"):
        parse_manifest(json.dumps({**HEAD, "files": []}).encode(), bytes_max=10)


def test_endless_value_is_not_read_to_its_end() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            return b"x" * size if self.given > size else b'{"title": "' + b"x" * (size - 11)

    source = Endless()
    with pytest.raises(ManifestFormatError, match="longer than"):
        parse_manifest(source)  # type: ignore[arg-type]
    assert source.given < 40 << 20


def test_manifest_is_read_in_pieces_of_any_length() -> None:
    class Drops(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(1)

    text = json.dumps({**HEAD, "title": "Füchse \U0001f98a", "files": [FILE]}, ensure_ascii=False)
    found = parse_manifest(Drops(b"\xef\xbb\xbf" + text.encode()))
    assert (found.spec.title, len(found.records)) == ("Füchse \U0001f98a", 1)
