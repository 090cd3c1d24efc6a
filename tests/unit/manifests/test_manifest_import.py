"""Taking over manifests of other programs and what ship recorded (MAN-1, MAN-5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from copy_world import (
    BUCKET,
    NOON,
    PREFIX,
    dataset_of,
    make_bucket,
    numbers,
    open_host,
    put,
    upload,
)
from stocktake.clock import FixedClock
from stocktake.errors import DatasetNotFoundError, UnorderedListingError, UsageError
from stocktake.manifests import (
    Dataset,
    Reason,
    SegmentLog,
    check_records,
    import_records,
    import_segments,
    manifest_prefix,
    parse_manifest,
    render_manifest,
)
from stocktake.store import Store
from stocktake.testing import ListingManner, MemoryStore, scrambled


@pytest.fixture
def store() -> Store:
    found = MemoryStore()
    make_bucket(found)
    return found


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[Dataset]:
    state = open_host(tmp_path / "home", FixedClock(NOON))
    yield dataset_of(state)
    state.close()


def test_import_twice_is_one_version(dataset: Dataset) -> None:
    records = [upload("b", 2), upload("a", 1)]
    first = import_records(dataset, records)
    again = import_records(dataset, records)
    assert (first.added, first.version, again.added, again.version) == (2, 1, 0, 1)
    assert dataset.history()[0].reason is Reason.IMPORT


def test_newer_upload_stands(dataset: Dataset) -> None:
    put(dataset, upload("a", 5), upload("b", 5))
    done = import_records(dataset, [upload("a", 4), upload("b", 6), upload("c", 1)])
    assert (done.added, done.replaced) == (1, 1)
    assert numbers(dataset) == {"a": 5, "b": 6, "c": 1}


def test_key_outside_is_refused_whole(dataset: Dataset) -> None:
    with pytest.raises(UsageError):
        import_records(dataset, [upload("a", 1), replace(upload("b", 2), s3_key="other/b")])
    assert numbers(dataset) == {}


def test_commit_in_the_middle_of_an_import_is_seen(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Dataset.commit
    others = [upload("a", 9), upload("b", 1)]

    def commit(self: Dataset, edits: object, reason: object, **more: object) -> object:
        if others:
            put(dataset, others.pop(), others.pop())
        return real(self, edits, reason, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Dataset, "commit", commit)
    import_records(dataset, [upload("a", 5), upload("b", 5)])
    assert numbers(dataset) == {"a": 9, "b": 5}


def test_our_own_manifest_comes_back_field_by_field(dataset: Dataset, tmp_path: Path) -> None:
    odd = replace(
        upload("caf%E9.csv", 3),
        version_id="v1",
        part_size_bytes=8 << 20,
        etag="0" * 32 + "-3",
        source_raw=b"caf\xe9.csv".hex(),
        source_sha256=None,
        source_size_bytes=4,
        entry="inner/\udce9.csv",
        rows=7,
        columns=({"name": "Größe", "type": "int64", "why": "all rows"},),
        extra={"local_path": "/data/x", "camera": {"make": "y"}, "filename": 7},
    )
    large = replace(upload("large", 4), size_bytes=5 * 10**12, source_mtime_ns=-(10**18))
    put(dataset, odd, large, replace(upload("bare", 5), md5=None, sha256=None, etag=None, token=""))
    found = parse_manifest(b"".join(render_manifest(dataset)))
    assert found.notes == []
    assert found.extra == {}
    assert found.records == [one.record for one in dataset.entries()]


def test_stale_entries_are_found_with_one_listing(store: Store, dataset: Dataset) -> None:
    """Deleted objects stay in the manifests of the program that req C describes."""
    there = store.put(BUCKET, PREFIX + "b", b"12345")
    store.put(BUCKET, PREFIX + "c", b"other")
    store.put(BUCKET, PREFIX + "d", b"123456")
    records = [replace(upload(name, 1, size_bytes=5), etag=None, md5=None) for name in "abcd"]
    records[2] = replace(records[2], md5="0" * 32)
    found = check_records(store, dataset.info(), records)
    assert [one.s3_key for one in found.records] == [PREFIX + name for name in "bcd"]
    assert found.records[0].etag == there.etag
    assert (found.gone, found.gone_files) == ((PREFIX + "a",), 1)
    assert (found.different, found.different_files) == ((PREFIX + "c", PREFIX + "d"), 2)
    assert found.records[1].etag is None, "an object that is another proves nothing"
    assert found.requests == 1


def test_store_without_key_order_is_not_believed(dataset: Dataset) -> None:
    store = MemoryStore(manner=ListingManner(order=scrambled))
    make_bucket(store)
    for number in range(20):
        store.put(BUCKET, f"{PREFIX}{number:02}", b"x")
    with pytest.raises(UnorderedListingError):
        check_records(store, dataset.info(), [upload(f"{n:02}", 1) for n in range(20)])


def test_what_ship_recorded_is_taken_over(store: Store, dataset: Dataset) -> None:
    log = SegmentLog(store, BUCKET, manifest_prefix(PREFIX, "cameras"))
    log.append("ship1", 1, [upload("a", 1), upload("b", 2)])
    log.append("ship1", 3, [upload("a", 3)])
    done = import_segments(dataset, store, "cameras")
    assert (done.added, numbers(dataset)) == (2, {"a": 3, "b": 2})
    assert import_segments(dataset, store, "cameras").version == done.version
    (entry, _) = dataset.entries()
    assert entry.record == upload("a", 3)


def test_shipping_of_a_wider_prefix_gives_what_is_below_ours(
    store: Store, dataset: Dataset
) -> None:
    log = SegmentLog(store, BUCKET, manifest_prefix("styles/", "all"))
    log.append("ship1", 1, [upload("a", 1), replace(upload("b", 2), s3_key="styles/17/b")])
    assert import_segments(dataset, store, "all", ship_prefix="styles/").added == 1


def test_shipping_that_is_not_there_is_said(store: Store, dataset: Dataset) -> None:
    with pytest.raises(DatasetNotFoundError, match="nothing was shipped"):
        import_segments(dataset, store, "cameras")
