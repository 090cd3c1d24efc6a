"""Whatever a manifest holds: it is read or refused, and what is read can be kept (MAN-1)."""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from copy_world import upload
from stocktake.errors import ManifestFormatError
from stocktake.manifests import parse_manifest
from stocktake.manifests._dataset_rows import row_of
from stocktake.model import display_key

ENTRY_NAMES = (
    *("filename", "s3_key", "s3_url", "size_bytes", "md5_hash", "uploaded_at", "last_modified"),
    *("local_path", "etag", "version_id", "sha256", "crc64nvme", "part_size_bytes", "part_size"),
    *("token", "verified_by", "source", "source_raw", "source_mtime_ns", "source_size_bytes"),
    *("entry", "rows", "schema", "columns", "extra", "other", "md5"),
)
HEAD_NAMES = (
    *("style_id", "dataset_id", "title", "s3_bucket", "s3_prefix", "created_at", "last_synced"),
    *("total_files", "total_size_bytes", "version", "format", "format_version", "studio"),
)
LIKELY: tuple[Any, ...] = (
    *("styles/16/a", "styles/16/", "", "/x", "a\ud800", "\0", "0" * 32, "0" * 32 + "-26"),
    *("2025-10-24T14:30:00.123Z", "9999-12-31T23:59:59-12:00", "1e999", "7", -1, 0, 1.5, 2**63),
    *(10**30, True, None, "https://[bad/x", "https://photos.s3.amazonaws.com/%FF", "s3://"),
    *([], {}, ["x"], [{"name": "n"}], {"extra": {"s3_key": 1}}),
)
ANY_JSON = st.recursive(
    st.sampled_from(LIKELY) | st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ENTRIES = st.lists(
    st.dictionaries(st.sampled_from(ENTRY_NAMES), ANY_JSON, max_size=9) | ANY_JSON, max_size=5
)
HEADS = st.dictionaries(st.sampled_from(HEAD_NAMES), ANY_JSON, max_size=7)


def check(data: bytes) -> None:
    try:
        found = parse_manifest(data)
    except ManifestFormatError:
        return
    keys = [one.s3_key for one in found.records]
    assert keys == sorted(set(keys))
    assert all(key.startswith(found.spec.prefix) for key in keys)
    for record in found.records:
        row_of(record)
    assert all(display_key(note) == note for note in found.notes), "safe to print"


@settings(max_examples=300, deadline=None)
@given(head=HEADS, entries=ENTRIES, ours=st.booleans(), files_first=st.booleans())
def test_any_values_are_read_or_left_out(
    head: dict[str, Any], entries: list[Any], ours: bool, files_first: bool
) -> None:
    sure = {"style_id": "16", "s3_bucket": "photos"} if ours else {}
    files = {"files": entries}
    document = {**files, **head, **sure} if files_first else {**head, **sure, **files}
    check(json.dumps(document).encode())


@settings(max_examples=300, deadline=None)
@given(cut=st.integers(0, 400), junk=st.binary(max_size=3), at_once=st.integers(1, 50))
def test_damaged_bytes_are_read_or_refused(cut: int, junk: bytes, at_once: int) -> None:
    class Drops(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(at_once)

    entry = {"s3_key": upload("a", 1).s3_key, "size_bytes": 1, "camera": {"x": [1.5, "ä"]}}
    whole = json.dumps({"style_id": 1, "s3_bucket": "photos", "files": [entry, entry]}).encode()
    damaged = whole[:cut] + junk + whole[cut + len(junk) :]
    outcomes = []
    for source in (damaged, Drops(damaged)):
        try:
            outcomes.append(parse_manifest(source))
        except ManifestFormatError:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1], "it makes no difference in which pieces it comes"
