"""CSV parts of our own reports, read back by nothing of ours: gzip, csv and urllib."""

import csv
import gzip
import io
from datetime import UTC, datetime
from urllib.parse import unquote_plus

import pyarrow as pa
import pytest

from stocktake.errors import ReportWriteError
from stocktake.inventory import CsvStyle
from stocktake.inventory._write_columns import aws_order, report_columns
from stocktake.inventory._write_csv import CsvPart, form_encode
from stocktake.model import object_schema


def batch(**columns) -> pa.RecordBatch:
    schema = object_schema(columns)
    return pa.RecordBatch.from_pydict({name: columns[name] for name in schema.names}, schema=schema)


def render(*batches: pa.RecordBatch, columns=None, style=CsvStyle(), bucket="photos") -> bytes:
    sink = io.BytesIO()
    names = columns or aws_order(batches[0].schema.names)
    part = CsvPart(sink, report_columns(names), bucket, style)
    for rows in batches:
        part.write(rows)
    part.finish()
    return gzip.decompress(sink.getvalue())


def parsed(text: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.decode(), newline=""), strict=True))


def test_a_row_looks_byte_for_byte_like_aws():
    # INV-20; sample row of the AWS documentation, and what umccr's real reports look like
    text = render(
        batch(
            key=["inventory-test/key1"],
            version_id=["null"],
            is_latest=[False],
            is_delete_marker=[False],
            size_bytes=[0],
            last_modified=[datetime.fromisoformat("2024-05-06T22:38:00")],
            etag=["d41d8cd98f00b204e9800998ecf8427e"],
            storage_class=["STANDARD"],
        )
    )
    assert text == (
        b'"photos","inventory-test/key1","","false","false","0","2024-05-06T22:38:00.000Z",'
        b'"d41d8cd98f00b204e9800998ecf8427e","STANDARD"\n'
    )


def test_a_delete_marker_has_empty_fields_not_zeros():
    # INV-20
    text = render(
        batch(
            key=["gone"],
            version_id=["gdN1ex"],
            is_latest=[True],
            is_delete_marker=[True],
            size_bytes=[None],
            last_modified=[datetime.fromisoformat("2024-05-06T22:46:14")],
            etag=[None],
            storage_class=[None],
        )
    )
    assert text == (b'"photos","gone","gdN1ex","true","true","","2024-05-06T22:46:14.000Z","",""\n')


@pytest.mark.parametrize(
    ("key", "encoded"),
    [
        ("a b", b"a+b"),
        ("a+b", b"a%2Bb"),
        ("year=2024/month=05", b"year%3D2024/month%3D05"),
        ("100%.txt", b"100%25.txt"),
        ("%2B", b"%252B"),
        ("-_.*/aZ09", b"-_.*/aZ09"),
        ("~", b"%7E"),
        ('"', b"%22"),
        ("a\r\nb", b"a%0D%0Ab"),
        ("\u00e9", b"%C3%A9"),
        ("e\u0301", b"e%CC%81"),
        ("\U0001f600", b"%F0%9F%98%80"),
        ("\x00", b"%00"),
        ("", b""),
    ],
)
def test_keys_are_form_encoded_as_aws_does(key, encoded):
    # INV-20
    assert form_encode(pa.array([key])).to_pylist() == [encoded.decode()]


def test_an_escape_at_the_end_of_one_key_does_not_move_the_next():
    keys = ["a=", "=", "", "==", "plain", " =+ ", "é"]
    encoded = form_encode(pa.array(keys)).to_pylist()
    assert [unquote_plus(text, errors="strict") for text in encoded] == keys


def test_a_slice_of_keys_encodes_its_own_rows_only():
    whole = pa.array(["first=", "a=b", "c d", "last="])
    assert form_encode(whole.slice(1, 2)).to_pylist() == ["a%3Db", "c+d"]
    assert form_encode(whole.slice(1, 0)).to_pylist() == []


def test_keys_in_other_arrow_encodings_give_the_same_text():
    keys = ["a b", "a b", "c=d"]
    for kind in (pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        assert form_encode(pa.array(keys).cast(kind)).to_pylist() == ["a+b", "a+b", "c%3Dd"]


def test_quotes_and_line_ends_in_text_columns_survive():
    values = ['say "hi"', 'line\nend,"x"', None, ""]
    text = render(batch(key=list("abcd"), extra_object_owner=values))
    assert [row[2] for row in parsed(text)] == ['say "hi"', 'line\nend,"x"', "", ""]


def test_a_quote_in_the_bucket_column_is_doubled():
    text = render(batch(key=["k"]), bucket='odd"name')
    assert parsed(text) == [['odd"name', "k"]]


def test_times_keep_milliseconds_and_missing_ones_are_empty():
    times = [
        datetime.fromisoformat("1970-01-01T00:00:00"),
        datetime.fromisoformat("2024-02-29T23:59:59.999"),
        None,
    ]
    text = render(batch(key=list("abc"), last_modified=times))
    assert [row[2] for row in parsed(text)] == [
        "1970-01-01T00:00:00.000Z",
        "2024-02-29T23:59:59.999Z",
        "",
    ]


def test_times_with_a_zone_are_written_in_utc():
    schema = pa.schema(
        [pa.field("key", pa.string()), pa.field("last_modified", pa.timestamp("us", "+02:00"))]
    )
    moment = datetime(2024, 5, 6, 22, 38, 0, 123456, tzinfo=UTC)
    rows = pa.RecordBatch.from_pydict({"key": ["k"], "last_modified": [moment]}, schema=schema)
    assert parsed(render(rows))[0][2] == "2024-05-06T22:38:00.123Z"


def test_a_time_that_four_digits_cannot_say_is_refused():
    far = pa.array([300_000_000_000_000], pa.int64()).cast(pa.timestamp("ms"))
    rows = pa.RecordBatch.from_arrays([pa.array(["k"]), far], ["key", "last_modified"])
    with pytest.raises(ReportWriteError, match="years 0 to 9999"):
        render(rows)


def test_columns_come_in_the_order_asked_for():
    # INV-3: other stores order columns as they like; tests need reports that do
    text = render(
        batch(key=["k"], size_bytes=[7], etag=["e"]), columns=("etag", "key", "size_bytes")
    )
    assert text == b'"e","k","7"\n'


def test_a_header_row_and_windows_line_ends_can_be_imitated():
    # INV-11
    text = render(batch(key=["k=1"], size_bytes=[7]), style=CsvStyle(header=True, line_end="\r\n"))
    assert text == b'"Bucket","Key","Size"\r\n"photos","k%3D1","7"\r\n'


def test_no_rows_make_a_valid_empty_gzip():
    assert render(batch(key=[])) == b""


def test_many_blocks_keep_their_order():
    rows = batch(key=[f"k {number}" for number in range(40_000)], size_bytes=list(range(40_000)))
    out = parsed(render(rows, rows.slice(10, 5)))
    assert [unquote_plus(row[1]) for row in out[:40_000]] == rows.column("key").to_pylist()
    assert [row[2] for row in out[40_000:]] == ["10", "11", "12", "13", "14"]
