"""The manifest as JSON: the fields its old readers know, ours, and the same bytes again. MAN-1."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from golden_manifest import RECORDS, golden_dataset, golden_state

from dataset_world import PREFIX, record
from stocktake.clock import FixedClock
from stocktake.errors import DatasetNotFoundError, InvalidSettingError
from stocktake.manifests import (
    Dataset,
    DatasetSpec,
    PutEntry,
    Reason,
    base_url_of,
    create_dataset,
    manifest_etag,
    manifest_with_etag,
    parse_manifest,
    render_manifest,
    set_base_url,
)

GOLDEN = Path(__file__).parents[2] / "fixtures" / "manifests" / "v1" / "16_s3_manifest.json"
OLD_HEAD = [
    *("style_id", "style_title", "s3_bucket", "s3_prefix", "created_at", "last_synced"),
    *("total_files", "total_size_bytes", "files"),
]
OLD_FIELDS = [
    *("filename", "s3_key", "s3_url", "size_bytes", "md5_hash", "uploaded_at", "last_modified"),
    "local_path",
]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Dataset, FixedClock]]:
    state, clock = golden_state(tmp_path)
    with state:
        yield golden_dataset(state, clock), clock


@pytest.fixture
def dataset(made: tuple[Dataset, FixedClock]) -> Dataset:
    return made[0]


def rendered(dataset: Dataset, **how: Any) -> bytes:
    return b"".join(render_manifest(dataset, **how))


def test_a_manifest_is_drawn_as_ever(dataset: Dataset) -> None:
    """The golden file: what was written once is written, and read, for ever."""
    assert rendered(dataset) == GOLDEN.read_bytes()


def test_old_readers_find_every_field_they_know(dataset: Dataset) -> None:
    """MAN-1: names, types and times of the manifests that were there before us."""
    document = json.loads(rendered(dataset))
    assert [name for name in OLD_HEAD if name not in document] == []
    assert (document["style_id"], document["style_title"]) == ("16", "Dynamic Simplicity")
    assert document["total_files"] == len(document["files"]) == len(RECORDS)
    assert document["total_size_bytes"] == sum(one["size_bytes"] for one in document["files"])
    names = [one["filename"] for one in document["files"]]
    assert names == sorted(names, key=str.encode)
    for one in document["files"]:
        assert list(one)[:8] == OLD_FIELDS
        assert one["s3_key"] == document["s3_prefix"] + one["filename"]
        assert isinstance(one["size_bytes"], int)
        for name in ("uploaded_at", "last_modified"):
            assert TIME.fullmatch(one[name])
            datetime.fromisoformat(one[name])
    assert all(TIME.fullmatch(document[name]) for name in ("created_at", "last_synced"))


def test_an_md5_is_never_a_multipart_etag(dataset: Dataset) -> None:
    big = next(
        one for one in json.loads(rendered(dataset))["files"] if one["filename"] == "big.tif"
    )
    assert big["md5_hash"] is None
    assert big["etag"].endswith("-26")


def test_addresses_are_encoded_and_those_of_the_bucket(dataset: Dataset) -> None:
    def urls() -> list[str]:
        return [one["s3_url"] for one in json.loads(rendered(dataset))["files"]]

    base = "https://storyboard.s3.us-west-1.amazonaws.com/"
    assert f"{base}styles/16/set%20b/100%25%20%C3%BC.jpg" in urls()
    set_base_url(dataset, "http://127.0.0.1:9000/storyboard/")
    assert "http://127.0.0.1:9000/storyboard/styles/16/big.tif" in urls()


@pytest.mark.parametrize(
    ("bucket", "region", "endpoint", "expected"),
    [
        ("b", None, None, "https://b.s3.amazonaws.com/"),
        ("b", "us-east-1", None, "https://b.s3.amazonaws.com/"),
        ("b", "eu-west-1", None, "https://b.s3.eu-west-1.amazonaws.com/"),
        ("b", "cn-north-1", None, "https://b.s3.cn-north-1.amazonaws.com.cn/"),
        ("b.c", "eu-west-1", None, "https://s3.eu-west-1.amazonaws.com/b.c/"),
        ("b", "eu-west-1", "http://minio:9000/", "http://minio:9000/b/"),
    ],
)
def test_where_a_bucket_answers(
    bucket: str, region: str | None, endpoint: str | None, expected: str
) -> None:
    assert base_url_of(bucket, region=region, endpoint_url=endpoint) == expected


@pytest.mark.parametrize(
    "url", ["", "ftp://x/y/", "https://x/y", "https://user:secret@x/", "https://x/?a=/", "x/"]
)
def test_an_address_that_is_none_is_refused_without_its_password(
    dataset: Dataset, url: str
) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        set_base_url(dataset, url)
    assert "secret" not in str(caught.value)


def test_an_earlier_version_is_drawn_as_it_was(dataset: Dataset) -> None:
    """MAN-5: the same bytes whenever it is drawn."""
    second = json.loads(rendered(dataset, version=2))
    assert (second["version"], second["total_files"]) == (2, len(RECORDS) + 1)
    assert second["last_synced"] == second["history"][0]["at"]
    assert [one["version"] for one in second["history"]] == [2, 1]
    before = rendered(dataset, version=2)
    dataset.commit([PutEntry(record("new.jpg", 8))], Reason.SYNC)
    assert rendered(dataset, version=2) == before
    nothing = json.loads(rendered(dataset, version=0))
    assert (nothing["files"], nothing["total_files"], nothing["last_synced"]) == ([], 0, None)
    with pytest.raises(DatasetNotFoundError, match="no version 9"):
        rendered(dataset, version=9)


def test_commits_while_it_is_drawn_do_not_show(dataset: Dataset) -> None:
    pieces = render_manifest(dataset)
    head = next(pieces)
    dataset.commit([PutEntry(record("zz-late.jpg", 8))], Reason.SYNC)
    assert head + b"".join(pieces) == GOLDEN.read_bytes()


def test_the_etag_follows_everything_that_is_drawn(made: tuple[Dataset, FixedClock]) -> None:
    """MAN-6's 304: nothing is rendered to find out that nothing changed."""
    dataset, clock = made
    info = dataset.info()
    seen = [manifest_etag(dataset)]
    assert re.fullmatch(r'"[0-9a-f]{32}"', seen[0])
    assert manifest_etag(dataset) == seen[0]
    clock.advance(1)

    def changed() -> bool:
        seen.append(manifest_etag(dataset))
        return len(set(seen)) == len(seen)

    dataset.commit([PutEntry(record("new.jpg", 8))], Reason.SYNC)
    assert changed()
    dataset.commit([], Reason.SYNC, synced=True)
    assert changed()
    create_dataset(dataset.state, DatasetSpec(info.id, "Other", info.bucket, info.prefix))
    assert changed()
    set_base_url(dataset, "https://elsewhere/")
    assert changed()


def test_the_etag_is_that_of_what_is_drawn_with_it(dataset: Dataset) -> None:
    """MAN-6: also if somebody commits between the two."""
    before = manifest_etag(dataset)
    etag, pieces = manifest_with_etag(dataset)
    dataset.commit([PutEntry(record("new.jpg", 8))], Reason.SYNC, synced=True)
    assert etag == before
    assert b"".join(pieces) == GOLDEN.read_bytes()
    assert manifest_etag(dataset) != before


def test_what_is_drawn_is_read_back_without_loss(dataset: Dataset) -> None:
    nasty = [
        record(name, at)
        for at, name in enumerate(["a\x00b", "\n", "\uffff", "\U0001f600", "..", "//"])
    ]
    odd = record(
        "odd", 50, source="\ud800", size_bytes=1 << 50, source_mtime_ns=-(2**62),
        token="<script>", extra={"extra": {"a": 1}, "filename": "x", "s3_key": 3, "ü": None},
    )  # fmt: skip
    dataset.commit(map(PutEntry, [*nasty, odd]), Reason.IMPORT)
    document = rendered(dataset)
    assert document.isascii()
    parsed = parse_manifest(document)
    assert parsed.records == [one.record for one in dataset.entries()]
    assert (parsed.spec.id, parsed.spec.prefix, parsed.version) == ("16", PREFIX, 4)
    assert parsed.notes == []


def test_numbers_that_javascript_rounds_are_text(dataset: Dataset) -> None:
    first = json.loads(rendered(dataset))["files"][1]
    assert first["source_mtime_ns"] == str(RECORDS[0].source_mtime_ns)


def test_a_time_that_no_calendar_has_is_left_out(dataset: Dataset) -> None:
    dataset.commit([PutEntry(record("new.jpg", 8, source_mtime_ns=2**63 - 1))], Reason.SYNC)
    dataset.commit([PutEntry(record("old.jpg", 8, source_mtime_ns=-(2**63) + 1))], Reason.SYNC)
    for one in json.loads(rendered(dataset))["files"]:
        assert TIME.fullmatch(one["last_modified"])
