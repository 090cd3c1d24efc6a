"""ORC and Parquet parts of our own reports, read by readers that are not ours."""

import io
from datetime import UTC, datetime

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from stocktake.errors import ReportWriteError
from stocktake.inventory import ReportFormat
from stocktake.inventory._write_columnar import OrcPart, ParquetPart
from stocktake.inventory._write_columns import aws_order, file_schema, report_columns
from stocktake.model import object_schema

ROWS = {
    "key": ["a b=1", "é", "gone", "007"],
    "version_id": ["v1", "null", "v3", "v4"],
    "is_latest": [True, True, True, False],
    "is_delete_marker": [False, False, True, False],
    "size_bytes": [5, 2**40, None, 0],
    "last_modified": [
        datetime.fromisoformat("2024-05-06T22:38:00.123"),
        None,
        datetime.fromisoformat("1969-01-01T00:00:00"),
        None,
    ],
    "etag": ["e1", "e2-7", None, "e4"],
    "storage_class": ["STANDARD", "GLACIER", None, "STANDARD"],
    "extra_is_multipart_uploaded": ["false", "TRUE", None, ""],
    "extra_lifecycle_expiration_date": ["2030-01-01T00:00:00.000Z", None, "", None],
    "extra_new_thing": ["x", None, "", "y"],
}


def batch(rows=ROWS) -> pa.RecordBatch:
    schema = object_schema(rows)
    return pa.RecordBatch.from_pydict({name: rows[name] for name in schema.names}, schema=schema)


def encoded(kind, rows: pa.RecordBatch, pieces=1) -> bytes:
    sink = io.BytesIO()
    part = kind(sink, report_columns(aws_order(rows.schema.names)), "photos")
    step = -(-max(rows.num_rows, 1) // pieces)
    for start in range(0, max(rows.num_rows, 1), step):
        part.write(rows.slice(start, step))
    part.finish()
    return sink.getvalue()


def expected_rows(time_of) -> list[dict]:
    return [
        {
            "bucket": "photos",
            "key": ROWS["key"][row],
            "version_id": [("v1"), None, "v3", "v4"][row],
            "is_latest": ROWS["is_latest"][row],
            "is_delete_marker": ROWS["is_delete_marker"][row],
            "size": ROWS["size_bytes"][row],
            "last_modified_date": time_of(ROWS["last_modified"][row]),
            "e_tag": ROWS["etag"][row],
            "storage_class": ROWS["storage_class"][row],
            "is_multipart_uploaded": [False, True, None, None][row],
            "lifecycle_expiration_date": time_of(datetime.fromisoformat("2030-01-01T00:00:00"))
            if row == 0
            else None,
            "new_thing": ROWS["extra_new_thing"][row],
        }
        for row in range(4)
    ]


def utc(moment):
    return moment and moment.replace(tzinfo=UTC)


def test_polars_reads_our_parquet():
    # INV-20: keys are not encoded, the null version is a null, times are UTC
    table = pl.read_parquet(io.BytesIO(encoded(ParquetPart, batch(), pieces=2)))
    assert table.to_dicts() == expected_rows(utc)


def test_duckdb_reads_our_parquet(tmp_path):
    path = tmp_path / "part.parquet"
    path.write_bytes(encoded(ParquetPart, batch()))
    query = "select key, version_id, size, epoch_ms(last_modified_date) from read_parquet(?)"
    assert duckdb.execute(query, [str(path)]).fetchall() == [
        ("a b=1", "v1", 5, 1715035080123),
        ("é", None, 2**40, None),
        ("gone", "v3", None, -31536000000),
        ("007", "v4", 0, None),
    ]


def test_orc_times_are_naive_as_aws_writes_them():
    # INV-3, INV-20
    file = orc.ORCFile(io.BytesIO(encoded(OrcPart, batch(), pieces=2)))
    assert file.compression == "ZLIB"
    assert str(file.file_version) == "0.12"
    assert file.schema.field("last_modified_date").type == pa.timestamp("ns")
    assert file.read().to_pylist() == expected_rows(lambda moment: moment)


def test_parquet_looks_like_parquet_mr_wrote_it():
    file = pq.ParquetFile(io.BytesIO(encoded(ParquetPart, batch())))
    key = file.metadata.row_group(0).column(1)
    assert key.compression == "SNAPPY"
    assert (key.statistics.min, key.statistics.max) == ("007", "é")
    assert file.schema.column(1).logical_type.type == "STRING"
    assert file.schema.column(1).max_definition_level == 0, "key must be required"
    assert "isAdjustedToUTC=true, timeUnit=milliseconds" in str(file.schema.column(6).logical_type)
    assert file.metadata.metadata is None, "no Arrow schema beside Parquet's own"


def test_a_parquet_part_has_one_row_group_until_it_is_large(monkeypatch):
    rows = batch()
    file = pq.ParquetFile(io.BytesIO(encoded(ParquetPart, rows, pieces=4)))
    assert file.metadata.num_row_groups == 1
    monkeypatch.setattr("stocktake.inventory._write_columnar._GROUP_BYTES", 1)
    file = pq.ParquetFile(io.BytesIO(encoded(ParquetPart, rows, pieces=4)))
    assert file.metadata.num_row_groups == 4


@pytest.mark.parametrize("kind", [ParquetPart, OrcPart])
def test_a_part_without_rows_still_has_its_columns(kind):
    data = encoded(kind, batch().slice(0, 0))
    reader = pq.ParquetFile if kind is ParquetPart else orc.ORCFile
    table = reader(io.BytesIO(data)).read()
    assert table.num_rows == 0
    assert table.column_names[:3] == ["bucket", "key", "version_id"]


@pytest.mark.parametrize("kind", [ParquetPart, OrcPart])
@pytest.mark.parametrize(
    ("column", "value"),
    [("extra_is_multipart_uploaded", "perhaps"), ("extra_lifecycle_expiration_date", "soon")],
)
def test_a_value_that_does_not_fit_its_column_is_named(kind, column, value):
    with pytest.raises(ReportWriteError) as caught:
        encoded(kind, batch({"key": ["k"], column: [value]}))
    assert caught.value.attrs["column"] == column


def test_schemas_are_spelt_as_aws_spells_them():
    # INV-20; expected texts from the AWS manifest examples and a real lakeFS manifest
    columns = report_columns(
        ("bucket", "key", "version_id", "is_latest", "size_bytes", "last_modified", "etag")
    )
    assert file_schema(columns, ReportFormat.CSV) == (
        "Bucket, Key, VersionId, IsLatest, Size, LastModifiedDate, ETag"
    )
    assert file_schema(columns, ReportFormat.ORC) == (
        "struct<bucket:string,key:string,version_id:string,is_latest:boolean,size:bigint,"
        "last_modified_date:timestamp,e_tag:string>"
    )
    assert file_schema(columns, ReportFormat.PARQUET) == (
        "message s3.inventory {  required binary bucket (STRING);  required binary key (STRING);  "
        "optional binary version_id (STRING);  optional boolean is_latest;  optional int64 size;  "
        "optional int64 last_modified_date (TIMESTAMP(MILLIS,true));  "
        "optional binary e_tag (STRING);}"
    )


@pytest.mark.parametrize("names", [("bucket",), ("key", "key"), ("key", "colour"), ("key", "size")])
def test_impossible_columns_are_refused(names):
    with pytest.raises(ReportWriteError):
        report_columns(names)
