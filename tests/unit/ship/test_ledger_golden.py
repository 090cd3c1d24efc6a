"""Ledgers of every version must load for ever. docs/formats/ledger.md."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

from stocktake.clock import FixedClock
from stocktake.ship import ObjectState, SourceState
from stocktake.ship._ledger import Ledger

GOLDEN = Path(__file__).parents[2] / "fixtures" / "ledgers"


def test_golden_ledger_of_version_1_loads_and_goes_on(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    place.write_bytes(gzip.decompress((GOLDEN / "v1.db.gz").read_bytes()))
    clock = FixedClock(datetime(2026, 11, 21, 2, tzinfo=UTC))
    ledger = Ledger.open(place, clock=clock)
    assert ledger.counts() == {
        SourceState.COMPLETED: 2,
        SourceState.PENDING: 1,
        SourceState.SHIPPING: 2,
        SourceState.PLANNED: 1,
        SourceState.RETRY: 1,
        SourceState.FAILED: 1,
        SourceState.VANISHED: 1,
    }
    assert [one.state for one in ledger.open_uploads()] == [
        ObjectState.INTENT,
        ObjectState.UPLOADING,
        ObjectState.COMPLETING,
    ]
    assert ledger.open_uploads()[1].planned.key == "in/x1/m2"
    assert [record.s3_key for _, record in ledger.uploads_after(1, 9)] == [
        "in/caf\\xe9",
        "in/x1/m0",
    ]
    assert ledger.release_all() == 2
    job = ledger.claim_ship()
    assert job is not None
    entries = [one.planned.entry for one in ledger.next_objects(job.source_id, -1, 9)]
    assert entries == ["m1", "m2", "m3", "m4"]
    jobs, _ = ledger.claim_files(
        files_max=9,
        bytes_max=10**6,
        small_max_bytes=1000,
        key_of=lambda path: "in/" + path.decode(),
    )
    assert [(one.source.path, one.source.attempt) for one in jobs] == [
        (b"again", 2),
        (b"busy", 1),
        (b"waits", 1),
    ]
    ledger.close()
