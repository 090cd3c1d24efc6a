"""Bytes in any pieces give the same object, in parts of one size (SHP-30)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ship_recorder import BUCKET, Desk
from stocktake.ship._records import PlannedObject
from stocktake.ship._upload_sink import ObjectSink
from stocktake.ship._upload_target import Target
from stocktake.store import MIB
from stocktake.testing import MemoryStore, _uploads

BODY = random.Random(2).randbytes(3 * MIB + 7)


class Watched:
    """A store that remembers the sizes of parts."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.sizes: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def begin_upload(self, *args: Any, **more: Any) -> Any:
        upload, sizes = self.inner.begin_upload(*args, **more), self.sizes

        class Upload:
            upload_id = upload.upload_id
            complete = staticmethod(upload.complete)

            def put_part(self, number: int, body: Any) -> Any:
                sizes[number] = len(body)
                return upload.put_part(number, body)

        return Upload()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_uploads, "PART_BYTES_MIN", 1)
    return tmp_path / "world"


PIECES = st.lists(
    st.one_of(
        st.integers(0, 3 * MIB), st.sampled_from([0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB])
    ),
    max_size=12,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=PIECES, kinds=st.lists(st.sampled_from([bytes, bytearray, memoryview]), min_size=1))
def test_any_pieces_give_the_same_object(folder: Path, pieces: list[int], kinds: list[Any]) -> None:
    inner = MemoryStore()
    inner.describe("CreateBucket", BUCKET)
    store = Watched(inner)
    desk = Desk(folder, store)  # type: ignore[arg-type]
    job = desk.job("x.bin", b"")
    row = desk.ledger.add_row(job, PlannedObject(0, None, "in/x.bin", None, 0, 0, "0" * 64))
    metadata = {"stocktake-token": row.token}
    target = Target(row.object_id, row.token, "in/x.bin", "0" * 64, metadata, "text/plain")
    uploader = desk.tasks._context.uploader
    sink = ObjectSink(uploader, target, bound_bytes=0, part_bytes_min=MIB)
    body, start = BODY[: min(len(BODY), sum(pieces))], 0
    for number, size in enumerate(pieces):
        sink.write(kinds[number % len(kinds)](body[start : start + size]))
        start += size
    result = sink.finish(lambda: None)
    desk.tasks.close()
    assert desk.read("x.bin") == body
    assert (result.size_bytes, sink.size_bytes) == (len(body), len(body))
    assert (result.part_size_bytes is None) == (len(body) <= MIB)
    if store.sizes:
        *full, last = [store.sizes[number] for number in sorted(store.sizes)]
        assert full == [MIB] * len(full)
        assert 0 < last <= MIB
