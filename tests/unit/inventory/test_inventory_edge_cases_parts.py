"""INV-12: damaged, odd and missing parts, as the reader must take them."""

from __future__ import annotations

import gzip
import io

import pyarrow as pa
import pyarrow.parquet as papq
import pytest

from stocktake.errors import (
    ArchivedObjectError,
    KmsAccessDeniedError,
    PartBombError,
    PartCorruptError,
    ReportChangedError,
    ReportExpiredError,
)
from stocktake.inventory import _part_stream, verify_report
from stocktake.model import PartTally

LINES = "".join(f'"src","folder/{n:06d}"\n' for n in range(20_000)).encode()


def deliver(desk, body: bytes, **entry) -> None:
    desk.publish(desk.manifest([desk.part("1.csv.gz", body, **entry)], "Bucket, Key"))


def read(desk) -> list[str]:
    rows, _ = desk.read(desk.open())
    return [row["key"] for row in rows]


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def table(*keys: str, **columns: list) -> pa.Table:
    return pa.table({"bucket": ["src"] * len(keys), "key": list(keys), **columns})


def test_edge_26_unsorted_overlapping_parts_are_all_read(desk) -> None:
    """INV-7."""
    parts = [
        desk.part("2.csv.gz", gz(b'"src","m"\n"src","a"\n"src","z"\n')),
        desk.part("1.csv.gz", gz(b'"src","z2"\n"src","b"\n')),
    ]
    desk.publish(desk.manifest(parts, "Bucket, Key"))
    assert read(desk) == ["m", "a", "z", "z2", "b"]


def test_edge_27_parts_that_begin_with_the_same_key_are_both_read(desk) -> None:
    """INV-7."""
    parts = [
        desk.part("1.csv.gz", gz(b'"src","a"\n"src","b"\n')),
        desk.part("2.csv.gz", gz(b'"src","a"\n"src","c"\n')),
    ]
    desk.publish(desk.manifest(parts, "Bucket, Key"))
    assert read(desk) == ["a", "b", "a", "c"]


@pytest.mark.parametrize("body", [gz(b""), b"", gz(b"\n\n")])
def test_edge_28_csv_part_without_rows_is_fine(desk, body) -> None:
    deliver(desk, body)
    assert read(desk) == []


@pytest.mark.parametrize("fmt", ["ORC", "Parquet"])
def test_edge_28_columnar_part_without_rows_is_fine(desk, fmt) -> None:
    """A real ORC report had parts with zero stripes."""
    full = table("a", "b", e_tag=["1", "2"])
    desk.columnar(full.slice(0, 0), full, fmt=fmt)
    report = desk.open()
    assert report.header.columns == ("key", "etag")
    rows, _ = desk.read(report)
    assert [row["key"] for row in rows] == ["a", "b"]


def test_edge_31_part_listed_twice_is_read_once(desk) -> None:
    entry = desk.part("1.csv.gz", gz(b'"src","a"\n'))
    desk.publish(desk.manifest([entry, entry], "Bucket, Key"))
    assert read(desk) == ["a"]
    assert "more than once" in desk.open().warnings[0]


@pytest.mark.parametrize("cut", [1, 8, 9, 5000])
def test_edge_42_truncated_gzip_fails_though_the_manifest_agrees(desk, cut) -> None:
    """INV-5."""
    deliver(desk, gz(LINES)[:-cut])
    with pytest.raises(PartCorruptError, match=r"part p/src/cfg/data/1\.csv\.gz is cut off") as e:
        read(desk)
    assert not e.value.retryable


@pytest.mark.parametrize("position", [15, 2000, -12, -3])
def test_edge_43_flipped_byte_fails(desk, position) -> None:
    """INV-5."""
    body = gz(LINES)
    deliver(desk, body)
    damaged = bytearray(body)
    damaged[position] ^= 1
    desk.put("p/src/cfg/data/1.csv.gz", bytes(damaged))
    with pytest.raises(PartCorruptError, match="has MD5") as e:
        read(desk)
    assert e.value.retryable


def test_edge_43_part_that_is_right_at_second_reading_passes_verify(desk) -> None:
    """INV-5: read again once, then fail."""
    body = gz(LINES)
    deliver(desk, body)
    report = desk.open()
    desk.put("p/src/cfg/data/1.csv.gz", body[:-1] + b"x")
    heal = desk.store.get

    def get_and_heal(bucket, key, **parameters):
        answer = heal(bucket, key, **parameters)
        desk.put("p/src/cfg/data/1.csv.gz", body)
        return answer

    desk.store.get = get_and_heal
    result = verify_report(report)
    assert result.ok
    assert result.rows == 20_000


def test_edge_44_wrong_crc_fails_though_the_md5_is_right(desk) -> None:
    """INV-5."""
    body = bytearray(gz(LINES))
    body[-6] ^= 1
    deliver(desk, bytes(body))
    with pytest.raises(PartCorruptError, match="cannot be inflated"):
        read(desk)


def test_edge_45_gzip_members_and_trailing_zeros_are_all_read(desk) -> None:
    """INV-5."""
    half = len(LINES) // 2 + 7
    members = gz(LINES[:half]) + gz(b"") + gz(LINES[half:])
    deliver(desk, members + b"\0" * 700)
    assert len(read(desk)) == 20_000


def test_edge_45_garbage_behind_the_gzip_stream_fails(desk) -> None:
    deliver(desk, gz(LINES) + b"\0\0surplus")
    with pytest.raises(PartCorruptError, match="other data behind"):
        read(desk)


def test_edge_46_gzip_bomb_is_stopped_while_it_inflates(desk, monkeypatch) -> None:
    """INV-5: 10 MB of one row from 10 kB, with a slack that fits this size."""
    monkeypatch.setattr(_part_stream, "_SLACK_BYTES", 1 << 20)
    deliver(desk, gz(b'"src","k"\n' * 1_000_000))
    report = desk.open()
    tally = PartTally()
    with pytest.raises(PartBombError, match="inflates to more than 400 times"):
        for _ in report.read(report.parts()[0], tally):
            pass
    assert tally.rows < 1_000_000


def test_edge_46_countless_tiny_members_are_stopped(desk) -> None:
    deliver(desk, gz(b"") * 12_000)
    with pytest.raises(PartBombError, match="tiny gzip members"):
        read(desk)


@pytest.mark.parametrize("claimed", [1, 10**12])
def test_edge_47_wrong_size_fails_before_a_row_is_read(desk, claimed) -> None:
    """INV-5."""
    deliver(desk, gz(LINES), size=claimed)
    report = desk.open()
    tally = PartTally()
    with pytest.raises(PartCorruptError, match=f"the manifest says {claimed}"):
        next(iter(report.read(report.parts()[0], tally)))
    assert (tally.rows, tally.bytes_read) == (0, 0)


@pytest.mark.parametrize("fmt", ["CSV", "Parquet"])
def test_edge_48_missing_part_means_expired(desk, fmt) -> None:
    """INV-5: never a silent hole."""
    part = desk.part("1.csv.gz", gz(LINES))
    gone = {"key": "p/src/cfg/data/gone.csv.gz", "size": 5, "MD5checksum": "0" * 32}
    files = [part, gone] if fmt == "CSV" else [gone]
    desk.publish(desk.manifest(files, "Bucket, Key", fmt))
    with pytest.raises(ReportExpiredError, match=r"data/gone\.csv\.gz of the report is gone"):
        read(desk)


def test_edge_51_rewritten_manifest_is_noticed(desk) -> None:
    """INV-2."""
    deliver(desk, gz(LINES))
    report = desk.open()
    report.recheck()
    desk.publish(desk.manifest([]))
    with pytest.raises(ReportChangedError, match="was rewritten"):
        report.recheck()
    desk.store.delete("dest", [report.manifest_url.key])
    with pytest.raises(ReportChangedError, match="was removed"):
        report.recheck()


def test_edge_51_same_manifest_with_another_etag_is_no_change(desk) -> None:
    deliver(desk, gz(LINES))
    report = desk.open()
    upload = desk.store.begin_upload("dest", report.manifest_url.key)
    with desk.store.get("dest", report.manifest_url.key) as body:
        etag = upload.put_part(1, body.read())
    assert "-" in (upload.complete({1: etag}).etag or "")
    report.recheck()


def test_edge_67_orc_timestamps_without_zone_are_utc(desk) -> None:
    """INV-3."""
    stamps = pa.array([1_715_035_080_000_000_000], pa.timestamp("ns"))
    desk.columnar(table("a").append_column("last_modified_date", stamps), fmt="ORC")
    (row,), _ = desk.read(desk.open())
    assert row["last_modified"].isoformat() == "2024-05-06T22:38:00"


def test_edge_68_footer_wins_over_the_manifest_text(desk) -> None:
    """INV-3."""
    sink = io.BytesIO()
    papq.write_table(table("a", size=[5]), sink)
    part = desk.part("1.parquet", sink.getvalue())
    text = "message s3.inventory { required binary key (UTF8); optional binary e_tag (UTF8); }"
    desk.publish(desk.manifest([part], text, "Parquet"))
    report = desk.open()
    assert report.header.columns == ("key", "size_bytes")
    rows, _ = desk.read(report)
    assert rows == [{"key": "a", "size_bytes": 5}]


def test_edge_69_keys_come_from_rows_not_from_truncated_statistics(desk) -> None:
    keys = [f"{'long/' * 150}{n}" for n in range(10)]
    desk.columnar(table(*keys), row_group_size=3)
    rows, _ = desk.read(desk.open())
    assert [row["key"] for row in rows] == keys


def test_edge_70_kms_refusal_of_a_part_is_told_apart(desk) -> None:
    """INV-2."""
    deliver(desk, gz(LINES))
    desk.store.faults["p/src/cfg/data/1.csv.gz"] = KmsAccessDeniedError(
        "cannot read s3://dest/p/src/cfg/data/1.csv.gz", permission="kms:Decrypt"
    )
    with pytest.raises(KmsAccessDeniedError, match="as part 0 of the report") as caught:
        read(desk)
    assert "kms:Decrypt" in (caught.value.hint or "")
    assert caught.value.attrs["permission"] == "kms:Decrypt"


def test_edge_73_archived_part_says_restore(desk) -> None:
    deliver(desk, gz(LINES))
    desk.store.faults["p/src/cfg/data/1.csv.gz"] = ArchivedObjectError("in GLACIER")
    with pytest.raises(ArchivedObjectError) as caught:
        read(desk)
    assert "restore" in (caught.value.hint or "")


def test_uncompressed_csv_of_other_stores_is_read(desk) -> None:
    """INV-11."""
    deliver(desk, LINES)
    assert len(read(desk)) == 20_000


@pytest.mark.parametrize("magic", [b"PK\x03\x04....", b"PAR1....", b"\x28\xb5\x2f\xfd...."])
def test_other_formats_than_the_manifest_says_are_named(desk, magic) -> None:
    deliver(desk, magic)
    with pytest.raises(PartCorruptError, match=r"is a .* file, not gzip"):
        read(desk)
