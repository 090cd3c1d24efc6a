"""What the ledger and the segments write comes back as it was, whatever it is. SHP-40, MAN-2."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stocktake.clock import FixedClock
from stocktake.manifests import SegmentLog, UploadRecord
from stocktake.ship import Identity
from stocktake.ship import _ledger_rows as rows
from stocktake.ship._ledger_adopt import path_of
from stocktake.ship._ledger_facts import shown_path
from stocktake.testing import MemoryStore

NUMBERS = st.integers(0, 2**64 - 1)
TIMES = st.integers(-2_200_000_000 * 10**9, 16_000_000_000 * 10**9)
TEXTS = st.text(st.characters(codec=None), max_size=20)
KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(identity=st.builds(Identity, NUMBERS, NUMBERS, st.integers(0, 2**62), TIMES, TIMES))
def test_identity_comes_back_out_of_64_bits(identity: Identity) -> None:
    names = ("dev", "ino", "size_bytes", "mtime_ns", "ctime_after_ns")
    with sqlite3.connect(":memory:") as connection:
        connection.row_factory = sqlite3.Row
        columns = ", ".join(f"? AS {name}" for name in names)
        row = connection.execute(f"SELECT {columns}", rows.identity_columns(identity)).fetchone()
    connection.close()
    assert rows.identity_of_row(row) == identity


@given(entry=st.none() | TEXTS)
def test_member_path_comes_back(entry: str | None) -> None:
    assert rows.entry_text(rows.entry_bytes(entry)) == entry


RECORDS = st.builds(
    UploadRecord,
    s3_key=KEYS,
    size_bytes=st.integers(0, 2**62),
    etag=st.none() | KEYS,
    version_id=st.none() | KEYS,
    md5=st.none() | st.just("ab" * 16),
    sha256=st.none() | st.just("cd" * 32),
    crc64nvme=st.none() | st.just("AAAAAAAAAAE="),
    part_size_bytes=st.none() | st.integers(1, 2**40),
    token=KEYS,
    uploaded_at=st.datetimes(timezones=st.just(UTC), min_value=datetime(1971, 1, 1)),  # noqa: DTZ001
    verified_by=st.sampled_from(["checksum", "etag", "read-back", "adopted"]),
    source=KEYS,
    source_raw=st.none() | st.binary(max_size=9).map(bytes.hex),
    source_sha256=st.just("ef" * 32),
    source_size_bytes=st.integers(0, 2**62),
    source_mtime_ns=TIMES,
    entry=st.none() | TEXTS,
    rows=st.none() | st.integers(0, 2**40),
    columns=st.lists(st.dictionaries(KEYS, TEXTS, max_size=2), max_size=2).map(tuple),
)


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    batches=st.lists(st.lists(RECORDS, min_size=1, max_size=4), max_size=8),
    merge=st.sets(st.integers(0, 7)),
)
def test_segments_say_the_last_record_of_every_key(
    batches: list[list[UploadRecord]], merge: set[int]
) -> None:
    """Against a dictionary, merged at any time."""
    store = MemoryStore(clock=FixedClock(datetime(2026, 1, 1, tzinfo=UTC)))
    store.describe("CreateBucket", "b")
    expected: dict[str, UploadRecord] = {}
    number = 1
    for place, batch in enumerate(batches):
        log = SegmentLog(store, "b", "m/")
        log.append("ship", number, batch)
        number += len(batch)
        expected |= {record.s3_key: record for record in batch}
        if place in merge:
            log.merge("ship")
    assert {record.s3_key: record for record in SegmentLog(store, "b", "m/").read()} == expected


@given(path=st.binary(min_size=1, max_size=30).filter(lambda path: b"\0" not in path))
def test_path_of_any_bytes_comes_back_from_its_record(path: bytes) -> None:
    """Fault 14."""
    shown, raw = shown_path(path)
    shown.encode()
    values = dict.fromkeys(UploadRecord.__dataclass_fields__)
    assert path_of(UploadRecord(**values | {"source": shown, "source_raw": raw})) == path


def test_hashes_of_the_indexes_never_change() -> None:
    assert rows.hash64(b"photos/2026/a.jpg") == rows.key_hash("photos/2026/a.jpg")
    assert rows.hash64(b"") == 0xDDD9C40767F9
