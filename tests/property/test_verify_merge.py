"""A listing against a manifest, and paths against each other: what a dict would say (MAN-4)."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from restore_world import PREFIX, record_of
from stocktake.errors import RestoreTargetError
from stocktake.listing import ROWS_PER_BATCH
from stocktake.manifests import DatasetInfo, Entry
from stocktake.manifests._restore_claims import PathClaims
from stocktake.manifests._verify_listing import compare_listing, listed_objects
from stocktake.store import ListedObject, listed_schema, rows_to_batch

KEYS = st.text(st.sampled_from("ab/.~é\U0001f600\ue000\n"), min_size=1, max_size=4)
SIDE = st.dictionaries(KEYS, st.binary(max_size=2), max_size=12)
INFO = DatasetInfo("16", "16", "b", PREFIX, datetime(2026, 1, 1, tzinfo=UTC), None, 1, 0, 0)


def _listed(path: str, data: bytes) -> ListedObject:
    return ListedObject(PREFIX + path, len(data), record_of(path, data).etag, None)


@given(manifest=SIDE, bucket=SIDE, own=st.booleans())
def test_differences_are_those_of_two_dicts(
    manifest: dict[str, bytes], bucket: dict[str, bytes], own: bool
) -> None:
    entries = [
        Entry(record_of(path, manifest[path]), 1) for path in sorted(manifest, key=str.encode)
    ]
    there = {**bucket, **({".stocktake/x": b"own"} if own else {})}
    objects = [_listed(path, there[path]) for path in sorted(there, key=str.encode)]
    batch = rows_to_batch(objects, listed_schema(versions=False))
    batches = [batch.slice(start, 3) for start in range(0, batch.num_rows, 3)]
    assert batch.num_rows <= ROWS_PER_BATCH
    found = {}
    seen = 0
    for one in compare_listing(entries, listed_objects(batches, INFO)):
        seen += one.record is not None
        if one.finding is not None:
            found[one.finding.key.removeprefix(PREFIX)] = str(one.finding.what)
    expected = {}
    for path in manifest.keys() | bucket.keys():
        ours, theirs = manifest.get(path), bucket.get(path)
        if theirs is None:
            expected[path] = "missing"
        elif ours is None:
            if theirs or not path.endswith("/"):
                expected[path] = "extra"
        elif len(ours) != len(theirs):
            expected[path] = "size"
        elif ours != theirs:
            expected[path] = "etag"
    assert found == expected
    assert seen == len(manifest)


@given(paths=st.sets(st.text("aA/!0~", min_size=1, max_size=6).map(str.encode), max_size=20))
def test_a_file_excludes_what_would_be_in_a_folder_of_its_name(paths: set[bytes]) -> None:
    kept: set[bytes] = set()
    claims = PathClaims(folds=False)
    for path in sorted(paths):
        above = {path[:at] for at in range(len(path)) if path[at : at + 1] == b"/"}
        try:
            claims.claim(path)
        except RestoreTargetError:
            assert above & kept, path
        else:
            assert not above & kept, path
            kept.add(path)
