"""ORC and Parquet parts: any column type, bounded memory, nothing before the MD5 is right."""

from __future__ import annotations

import datetime as dt
import io
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as papq
import pytest

from stocktake.errors import (
    PartBombError,
    PartCorruptError,
    PreconditionFailedError,
    ReportExpiredError,
    StoreUnavailableError,
)
from stocktake.inventory import ReadOptions, _columnar_file
from stocktake.inventory._columnar_values import plain, to_boolean, to_instant, to_size, to_text
from stocktake.model import OBJECT, PartTally

RANGED = ReadOptions(buffer_bytes_max=0)
BOTH = pytest.mark.parametrize("fmt", ["ORC", "Parquet"])
MIDNIGHT = dt.datetime(2024, 5, 6)  # noqa: DTZ001 - naive is UTC
WHEN = dt.datetime(2024, 5, 6, 22, 38, 0, 125_000)  # noqa: DTZ001 - naive is UTC


def one(desk, name: str, column: pa.Array, fmt: str = "Parquet"):
    """The value that a column of one row becomes."""
    desk.columnar(pa.table({"key": ["k"], name: column}), fmt=fmt)
    ((_, value),) = [list(row.values()) for row in desk.read(desk.open())[0]]
    return value


@BOTH
@pytest.mark.parametrize("options", [ReadOptions(), RANGED])
def test_all_columns_of_a_versioned_report_come_out(desk, fmt, options) -> None:
    """INV-3, INV-6."""
    stamp = pa.array([WHEN, WHEN], pa.timestamp("ms" if fmt == "Parquet" else "ns"))
    table = pa.table(
        {
            "bucket": ["src", "src"],
            "key": ["a+b%20c", "a+b%20c"],
            "version_id": pa.array([None, "v2"], pa.string()),
            "is_latest": [False, True],
            "is_delete_marker": [False, True],
            "size": pa.array([7, None], pa.int64()),
            "last_modified_date": stamp,
            "e_tag": pa.array(['"ABC-2"', None], pa.string()),
            "storage_class": pa.array(["STANDARD", ""], pa.string()),
            "is_multipart_uploaded": [True, None],
            "object_lock_retain_until_date": stamp,
            "never_seen": pa.array([1, None], pa.int32()),
        }
    )
    desk.columnar(table, fmt=fmt)
    report = desk.open(options=options)
    (older, marker), tally = desk.read(report)
    assert older == {
        "key": "a+b%20c",
        "version_id": "null",
        "is_latest": False,
        "is_delete_marker": False,
        "size_bytes": 7,
        "last_modified": WHEN,
        "etag": "abc-2",
        "storage_class": "STANDARD",
        "extra_is_multipart_uploaded": "true",
        "extra_never_seen": "1",
        "extra_object_lock_retain_until_date": "2024-05-06T22:38:00.125Z",
    }
    assert marker["version_id"] == "v2"
    for name in ("size_bytes", "etag", "storage_class", "extra_never_seen"):
        assert marker[name] is None
    assert (tally.rows, tally.bad_rows) == (2, 0)
    assert tally.bytes_read == report.size_bytes
    assert report.header.coverage.versions == "all"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([WHEN], pa.timestamp("s")), WHEN.replace(microsecond=0)),
        (pa.array([WHEN], pa.timestamp("us")), WHEN),
        (pa.array([WHEN], pa.timestamp("ns", "UTC")), WHEN),
        (pa.array([WHEN], pa.timestamp("ms", "Europe/Paris")), WHEN),
        (
            pa.array([WHEN.date()], pa.date32()),
            MIDNIGHT,
        ),
        (pa.array(["2024-05-06T22:38:00.125Z"]), WHEN),
        (pa.array(["2024-05-07T00:38:00.125+02:00"]), WHEN),
        (pa.array(["soon"]), None),
        (pa.array([b"\xff"]), None),
        (pa.array([1_715_035_080], pa.int64()), WHEN.replace(microsecond=0)),
        (pa.array([1_715_035_080_125], pa.int64()), WHEN),
        (pa.array([1_715_035_080_125_000], pa.int64()), WHEN),
        (pa.array([1_715_035_080_125_000_000], pa.int64()), WHEN),
        (pa.array([1.5]), None),
        (pa.array([None], pa.null()), None),
    ],
)
def test_dates_of_any_type_become_naive_utc_milliseconds(desk, column, expected) -> None:
    """INV-3."""
    assert one(desk, "last_modified_date", column) == expected


def test_int96_timestamps_of_old_writers_are_read(desk) -> None:
    sink = io.BytesIO()
    table = pa.table({"key": ["k"], "last_modified_date": pa.array([WHEN], pa.timestamp("ns"))})
    papq.write_table(table, sink, use_deprecated_int96_timestamps=True)
    desk.publish(desk.manifest([desk.part("1.x", sink.getvalue())], "", "Parquet"))
    assert desk.read(desk.open())[0][0]["last_modified"] == WHEN


@pytest.mark.parametrize(
    ("column", "expected", "bad"),
    [
        (pa.array([7], pa.int32()), 7, 0),
        (pa.array([7], pa.uint64()), 7, 0),
        (pa.array(["7"]), 7, 0),
        (pa.array([b"7"]), 7, 0),
        (pa.array([7.0]), 7, 0),
        (pa.array([Decimal("7")]), 7, 0),
        (pa.array([2**63], pa.uint64()), None, 1),
        (pa.array([7.5]), None, 1),
        (pa.array([float("nan")]), None, 1),
        (pa.array([float("inf")]), None, 1),
        (pa.array(["1e6"]), None, 1),
        (pa.array([-1], pa.int64()), None, 1),
        (pa.array([None], pa.null()), None, 1),
        (pa.array([None], pa.int64()), None, 1),
    ],
)
def test_edge_38_sizes_of_any_type_become_bytes_or_unknown(desk, column, expected, bad) -> None:
    """INV-3, INV-7."""
    desk.columnar(pa.table({"key": ["k"], "size": column}))
    ((row,), tally) = desk.read(desk.open())
    assert (row["size_bytes"], tally.bad_rows) == (expected, bad)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([True]), True),
        (pa.array(["TRUE"]), True),
        (pa.array([b"false"]), False),
        (pa.array([1], pa.int8()), True),
        (pa.array(["maybe"]), None),
        (pa.array([None], pa.null()), None),
    ],
)
def test_booleans_of_any_type_are_understood(desk, column, expected) -> None:
    assert one(desk, "is_latest", column) is expected


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["STANDARD"]),
        pa.array(["STANDARD"], pa.large_string()),
        pa.array([b"STANDARD"], pa.binary()),
        pa.array([b"STANDARD"], pa.large_binary()),
        pa.array([b"STANDARD"], pa.binary(8)),
        pa.array(["STANDARD"]).dictionary_encode(),
    ],
)
def test_text_of_any_type_is_text(desk, column) -> None:
    assert one(desk, "storage_class", column) == "STANDARD"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([[1, 2]]), "[1, 2]"),
        (pa.array([{"a": "é"}]), '{"a": "é"}'),
        (pa.array([None], pa.list_(pa.int8())), None),
        (pa.array([WHEN.date()], pa.date32()), "2024-05-06T00:00:00.000Z"),
        (pa.array([b"\xff\x00"]), "%FF%00"),
        (pa.array([1.5]), "1.5"),
        (pa.array([None], pa.null()), None),
    ],
)
def test_unknown_columns_of_any_type_become_text(desk, column, expected) -> None:
    """INV-3."""
    assert one(desk, "never_seen", column) == expected


def test_types_that_files_hardly_have_are_understood() -> None:
    interval = pa.array([pa.MonthDayNano([1, 2, 3]), None])
    assert to_text(interval).to_pylist() == [str(interval[0].as_py()), None]
    when = pa.array([2**62], pa.timestamp("ms"))
    for column in (interval, when, pa.array([[1]]), pa.array([dt.time(1)])):
        assert to_size(column).null_count == to_boolean(column).null_count == len(column)
    assert to_instant(pa.array([[1]])).null_count == 1
    assert to_boolean(pa.array([True])).to_pylist() == [True]


def test_string_views_are_text() -> None:
    assert plain(pa.array(["a"], pa.string_view())).type == pa.string()
    assert plain(pa.array([b"a"], pa.binary_view())).type == pa.binary()


@BOTH
def test_edge_05_binary_keys_that_are_not_utf8_come_apart(desk, fmt) -> None:
    """INV-4: kept raw, as a CSV report would write them, so that they stay distinct."""
    keys = pa.array([b"\xff\xfe", b"good", b"\xff\xfd", None, b""], pa.binary())
    desk.columnar(pa.table({"key": keys, "size": [1, 2, 3, 4, 5]}), fmt=fmt)
    report, tally = desk.open(), PartTally()
    (block,) = report.read(report.parts()[0], tally)
    assert block.rows.to_pylist() == [{"key": "good", "size_bytes": 2}]
    assert block.undecodable.to_pylist() == [
        {"key": "%FF%FE", "size_bytes": 1},
        {"key": "%FF%FD", "size_bytes": 3},
    ]
    assert (tally.rows, tally.undecodable_keys, tally.bad_rows) == (1, 2, 2)
    assert tally.bad_samples[0]["reason"] == "no key"


def test_edge_05_string_keys_are_checked_too(desk) -> None:
    """Parquet readers hand out whatever bytes a string column holds."""
    raw = pa.array([b"\xff", b"ok"], pa.binary())
    keys = pa.StringArray.from_buffers(2, raw.buffers()[1], raw.buffers()[2])
    desk.columnar(pa.table({"key": keys}))
    report, tally = desk.open(), PartTally()
    (block,) = report.read(report.parts()[0], tally)
    assert block.undecodable.to_pylist() == [{"key": "%FF"}]


def test_edge_74_integer_keys_become_text(desk) -> None:
    desk.columnar(pa.table({"key": pa.array([7, None], pa.int32())}))
    rows, tally = desk.read(desk.open())
    assert rows == [{"key": "7"}]
    assert tally.bad_rows == 1


def test_part_that_lacks_a_column_gives_nulls(desk) -> None:
    """INV-3; an absent size is unknown, not a bad row."""
    full = pa.table({"key": ["a"], "version_id": ["v"], "size": [1], "e_tag": ["x"]})
    desk.columnar(full, full.select(["e_tag", "key"]))
    rows, tally = desk.read(desk.open())
    assert rows[1] == {"key": "a", "version_id": "null", "size_bytes": None, "etag": "x"}
    assert tally.bad_rows == 0


def test_column_that_only_a_later_part_has_is_left_out_with_a_warning(desk) -> None:
    """INV-3: never silently."""
    desk.columnar(pa.table({"key": ["a"]}), pa.table({"key": ["b"], "e_tag": ["x"]}))
    rows, tally = desk.read(desk.open())
    assert rows == [{"key": "a"}, {"key": "b"}]
    assert tally.warnings == [
        "part p/src/cfg/data/1.x has columns that the report's first part lacks, "
        "they are left out: e_tag"
    ]


def test_part_with_other_column_types_and_order_gives_the_same_schema(desk) -> None:
    """INV-3."""
    first = pa.table({"key": ["a"], "size": [1]})
    second = pa.table({"Size": ["2"], "KEY": [b"b"]})
    desk.columnar(first, second)
    rows, _ = desk.read(desk.open())
    assert rows == [{"key": "a", "size_bytes": 1}, {"key": "b", "size_bytes": 2}]


def test_later_part_without_key_column_is_corrupt(desk) -> None:
    desk.columnar(pa.table({"key": ["a"]}), pa.table({"size": [1]}))
    with pytest.raises(PartCorruptError, match="no Key column"):
        desk.read(desk.open())


def test_later_part_without_rows_or_columns_is_fine(desk) -> None:
    desk.columnar(pa.table({"key": ["a"]}), pa.table({"x": pa.array([], pa.int8())}))
    assert len(desk.read(desk.open())[0]) == 1


def test_acl_column_is_left_out_unless_wanted(desk) -> None:
    desk.columnar(pa.table({"key": ["a"], "object_access_control_list": ["x"]}))
    assert desk.read(desk.open())[0] == [{"key": "a"}]
    (row,), _ = desk.read(desk.open(options=ReadOptions(keep_acl=True)))
    assert row["extra_object_access_control_list"] == "x"


@BOTH
@pytest.mark.parametrize("options", [ReadOptions(), RANGED])
def test_edge_43_nothing_is_given_before_the_md5_is_right(desk, fmt, options) -> None:
    """INV-5."""
    table = pa.table({"key": [f"{n:09d}" for n in range(5000)]})
    desk.columnar(table, fmt=fmt)
    report, key = desk.open(options=options), "p/src/cfg/data/0.x"
    with desk.store.get("dest", key) as body:
        data = bytearray(body.read())
    data[200] ^= 1
    desk.put(key, bytes(data))
    tally = PartTally()
    with pytest.raises(PartCorruptError, match="has MD5") as caught:
        next(iter(report.read(report.parts()[0], tally)))
    assert caught.value.retryable
    assert tally.rows == 0


@BOTH
def test_big_part_is_read_in_ranges_and_small_batches(desk, fmt) -> None:
    """INV-9: a part beyond the buffer is never held whole."""
    rows = 150_000
    table = pa.table({"key": [f"{n * 7919 % 1000003:07d}" for n in range(rows)]})
    desk.columnar(table, fmt=fmt)
    report = desk.open(options=RANGED)
    desk.store.ranges.clear()
    blocks = list(report.read(report.parts()[0], PartTally()))
    assert max(block.rows.num_rows for block in blocks) <= 65_536
    keys = [key for block in blocks for key in block.rows.column("key").to_pylist()]
    assert keys == table.column("key").to_pylist()
    size_bytes = report.parts()[0].size_bytes
    assert sum(r.stop - r.start for r in desk.store.ranges) <= size_bytes * 1.2


def test_part_overwritten_between_check_and_reading_fails(desk) -> None:
    """INV-5: the ranges are pinned to the bytes that were verified."""
    table = pa.table({"key": ["a", "b"]})
    desk.columnar(table)
    report = desk.open(options=RANGED)
    get = desk.store.get

    def get_then_overwrite(bucket, key, **parameters):
        body = get(bucket, key, **parameters)
        if not parameters.get("byte_range"):
            desk.put(key, b"x" * body.head.size_bytes)
        return body

    desk.store.get = get_then_overwrite
    with pytest.raises(PartCorruptError, match="was overwritten while it was read"):
        list(report.read(report.parts()[0], PartTally()))


def test_store_without_etags_is_pinned_by_checksums(desk) -> None:
    """INV-5."""
    desk.columnar(pa.table({"key": ["a"]}))
    report = desk.open(options=RANGED)
    get, overwrite = desk.store.get, False

    def get_nameless(bucket, key, **parameters):
        parameters.pop("if_match", None)
        body = get(bucket, key, **parameters)
        body._head = replace(body.head, etag=None)
        if overwrite and not parameters.get("byte_range"):
            desk.put(key, b"x" * body.head.size_bytes)
        return body

    desk.store.get = get_nameless
    assert len(desk.read(report)[0]) == 1
    overwrite = True
    with pytest.raises(PartCorruptError, match="other bytes than a moment ago"):
        desk.read(report)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StoreUnavailableError("reset"), StoreUnavailableError),
        (PreconditionFailedError("changed"), PartCorruptError),
    ],
)
@BOTH
def test_failure_inside_the_parser_keeps_its_name(desk, fmt, error, expected) -> None:
    desk.columnar(pa.table({"key": ["a"]}), fmt=fmt)
    report = desk.open(options=RANGED)
    get = desk.store.get

    def fail_ranges(bucket, key, **parameters):
        if parameters.get("byte_range"):
            raise error
        return get(bucket, key, **parameters)

    desk.store.get = fail_ranges
    with pytest.raises(expected):
        list(report.read(report.parts()[0], PartTally()))


def test_range_that_comes_back_short_is_corrupt(desk) -> None:
    desk.columnar(pa.table({"key": ["a"]}))
    report = desk.open(options=RANGED)
    get = desk.store.get

    def cut_ranges(bucket, key, **parameters):
        body = get(bucket, key, **parameters)
        if parameters.get("byte_range"):
            body._data = body._data[:-1]
        return body

    desk.store.get = cut_ranges
    with pytest.raises(PartCorruptError, match="ends before byte"):
        list(report.read(report.parts()[0], PartTally()))


def test_part_that_vanished_is_expired(desk) -> None:
    desk.columnar(pa.table({"key": ["a"]}))
    report = desk.open()
    desk.store.delete("dest", ["p/src/cfg/data/0.x"])
    with pytest.raises(ReportExpiredError):
        list(report.read(report.parts()[0], PartTally()))


@BOTH
def test_edge_46_rows_beyond_what_the_size_can_hold_are_a_bomb(desk, fmt, monkeypatch) -> None:
    """INV-5."""
    monkeypatch.setattr(_columnar_file, "_ROWS_SLACK", 100)
    monkeypatch.setattr(_columnar_file, "_ROWS_PER_BYTE_MAX", 1)
    desk.columnar(pa.table({"key": ["same"] * 300_000}), fmt=fmt)
    with pytest.raises(PartBombError, match="claims 300000 rows"):
        desk.open()


def test_batches_have_the_types_of_the_object_record(desk) -> None:
    """INV-3."""
    stamp = pa.array([WHEN], pa.timestamp("us", "UTC"))
    desk.columnar(pa.table({"key": ["k"], "size": ["5"], "last_modified_date": stamp}))
    report = desk.open()
    (block,) = report.read(report.parts()[0], PartTally())
    for name in ("key", "size_bytes", "last_modified"):
        assert block.rows.schema.field(name).type == OBJECT.field(name).type


def test_part_whose_rows_all_lack_a_key_gives_no_block(desk) -> None:
    """INV-7."""
    desk.columnar(pa.table({"key": pa.array([None, ""], pa.string())}))
    report, tally = desk.open(), PartTally()
    assert list(report.read(report.parts()[0], tally)) == []
    assert (tally.rows, tally.bad_rows) == (0, 2)


@BOTH
def test_part_can_be_read_again(desk, fmt) -> None:
    """INV-8: a retry starts from nothing."""
    desk.columnar(pa.table({"key": ["a", "b"], "size": [1, 2]}), fmt=fmt)
    report = desk.open()
    assert desk.read(report) == desk.read(report)
