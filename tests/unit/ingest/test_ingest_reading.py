"""Reading exactly the version that was discovered (ING-2; facts 4.1, any)."""

from __future__ import annotations

import pytest

from ingest_world import BUCKET, World, seqs
from stocktake.clock import FixedClock
from stocktake.errors import (
    ArchivedObjectError,
    IngestError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from stocktake.ingest import Batch, Ingestion


def taken(ingestion: Ingestion) -> Batch:
    batch = ingestion.next_batch()
    assert batch is not None
    return batch


def body(batch: Batch, index: int = 0) -> bytes | None:
    with batch.open(batch.items[index]) as opened:
        return None if opened is None else opened.read()


def test_object_replaced_between_discovery_and_read_is_superseded(world: World) -> None:
    """Facts 4.1: bytes of another version would be loaded under this one's name; 412 says so."""
    world.put("a", b"one")
    world.put("b", b"untouched")
    world.store.put(BUCKET, "a", b"another")
    ingestion = world.ingestion()
    batch = taken(ingestion)
    assert body(batch) is None
    assert seqs(batch) == [2]
    assert body(batch) == b"untouched"
    batch.commit()
    change = ingestion.explain("a").changes[0]
    assert change.state == "superseded"
    assert change.history[0]["code"] == "precondition-failed"
    assert ingestion.status().low_seq == 2


def test_object_gone_between_discovery_and_read_has_vanished(world: World) -> None:
    """Facts 4.1: 404 is no failure to be tried again."""
    world.put("a")
    world.store.delete(BUCKET, ["a"])
    ingestion = world.ingestion()
    batch = taken(ingestion)
    assert body(batch) is None
    batch.commit()
    assert ingestion.explain("a").changes[0].state == "vanished"
    assert ingestion.next_batch() is None


def versioned(world: World) -> None:
    world.store.describe(
        "PutBucketVersioning", BUCKET, VersioningConfiguration={"Status": "Enabled"}
    )


def test_old_version_is_read_by_its_id(world: World) -> None:
    versioned(world)
    world.put("a", b"one")
    world.put("a", b"two", "modified")
    batch = taken(world.ingestion())
    assert [body(batch, 0), body(batch, 1)] == [b"one", b"two"]


def test_version_that_is_gone_is_superseded_if_the_key_is_there(world: World) -> None:
    versioned(world)
    world.feed.add("a", version_id="never")
    world.store.put(BUCKET, "a", b"x")
    world.feed.add("b", version_id="never")
    ingestion = world.ingestion()
    batch = taken(ingestion)
    for item in list(batch.items):
        with batch.open(item) as opened:
            assert opened is None
    batch.commit()
    assert ingestion.explain("a").changes[0].state == "superseded"
    assert ingestion.explain("b").changes[0].state == "vanished"


def test_null_version_is_read_with_its_etag(world: World) -> None:
    """The null version can be overwritten under the same id."""
    world.put("a", b"one")
    world.feed.rows[-1]["version_id"] = "null"
    world.store.put(BUCKET, "a", b"two")
    batch = taken(world.ingestion())
    assert body(batch) is None


def test_object_known_from_an_event_only_is_looked_at_first(world: World) -> None:
    """No ETag: a HEAD gives it; another size is another object."""
    world.store.put(BUCKET, "a", b"abc")
    world.feed.add("a", etag=None, size_bytes=3, last_modified=None)
    world.feed.add("a", etag=None, size_bytes=None, last_modified=None)
    world.feed.add("a", etag=None, size_bytes=4, last_modified=None)
    world.feed.add("z", etag=None, size_bytes=4, last_modified=None)
    ingestion = world.ingestion()
    batch = taken(ingestion)
    assert [body(batch, 0), body(batch, 1)] == [b"abc", b"abc"]
    assert [body(batch, 3), body(batch, 2)] == [None, None]
    batch.commit()
    assert ingestion.explain("a").changes[2].state == "superseded"
    assert ingestion.explain("z").changes[0].state == "vanished"


def test_overwrite_in_the_middle_of_reading_reaches_the_sink_and_is_superseded(
    world: World,
) -> None:
    world.put("a")
    ingestion = world.ingestion()
    batch = taken(ingestion)
    item = batch.items[0]
    changed = PreconditionFailedError("changed", bucket=BUCKET, key="a")

    def read() -> None:
        with batch.open(item):
            raise changed

    with pytest.raises(PreconditionFailedError):
        read()
    assert seqs(batch) == [1]
    batch.fail(item, changed)
    batch.commit()
    assert ingestion.explain("a").changes[0].state == "superseded"


def test_trouble_with_an_object_of_the_sink_is_a_failure(world: World) -> None:
    """If-None-Match of the sink's own file says nothing about the source."""
    world.put("a")
    ingestion = world.ingestion()
    batch = taken(ingestion)
    batch.fail(batch.items[0], PreconditionFailedError("exists", bucket="out", key="a"))
    batch.commit()
    assert ingestion.explain("a").changes[0].state == "retry"
    batch2 = taken_later(world, ingestion)
    batch2.fail(batch2.items[0], ObjectNotFoundError("gone", bucket="out", key="a"))
    batch2.commit()
    assert ingestion.explain("a").changes[0].state == "retry"


def taken_later(world: World, ingestion: Ingestion) -> Batch:
    world.clock.advance(4000)
    return taken(ingestion)


def test_archived_object_is_tried_again_with_its_error(
    world: World, monkeypatch: pytest.MonkeyPatch, clock: FixedClock
) -> None:
    world.put("a")
    ingestion = world.ingestion()

    def archived(*_: object, **__: object) -> None:
        raise ArchivedObjectError("in GLACIER", bucket=BUCKET, key="a")

    monkeypatch.setattr(world.store, "get", archived)
    batch = taken(ingestion)
    assert body(batch) is None
    batch.commit()
    change = ingestion.explain("a").changes[0]
    assert (change.state, change.history[0]["code"]) == ("retry", "archived-object")


def test_deletion_cannot_be_opened(world: World) -> None:
    world.feed.add("a", "deleted")
    batch = taken(world.ingestion(deletions=True))
    with pytest.raises(IngestError), batch.open(batch.items[0]):
        pass
