"""The CSV reader: rows come out the same wherever the bytes are cut, and no row vanishes."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from stocktake.errors import PartCorruptError
from stocktake.inventory import _csv_part
from stocktake.inventory._csv_part import normalise_columns, read_csv_part
from stocktake.inventory._layout import CsvLayout
from stocktake.model import PartTally, object_schema

SIZES = "Bucket, Key, Size"
TAGS = "Bucket, Key, ETag"
VERSIONED = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate"
BLOCKS = [1, 2, 3, 5, 8, 13, 21, 34, 55, 1 << 20]


def utc(*parts: int) -> datetime:
    """Naive, as Arrow gives it."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)


class Reading:
    """What came out of a text: keys and columns of good rows, of undecodable ones, the tally."""

    def __init__(self, text: bytes, schema: str, **layout) -> None:
        self.tally = PartTally()
        names = [name.strip() for name in schema.split(",")]
        self.layout = CsvLayout.of(names, bucket="src", part_name="p.csv", **layout)
        self.rows: list[dict] = []
        self.raw: list[dict] = []
        self.blocks = 0
        for block in read_csv_part(io.BytesIO(text), self.layout, self.tally):
            self.blocks += 1
            assert block.rows.schema == object_schema(self.layout.output)
            self.rows += block.rows.to_pylist()
            if block.undecodable is not None:
                self.raw += block.undecodable.to_pylist()

    @property
    def keys(self) -> list[str]:
        return [row["key"] for row in self.rows]

    @property
    def reasons(self) -> list[str]:
        return [sample["reason"] for sample in self.tally.bad_samples]

    @property
    def outcome(self) -> tuple:
        counts = (self.tally.rows, self.tally.bad_rows, self.tally.undecodable_keys)
        return self.rows, self.raw, counts, sorted(self.reasons)


def read(text: bytes | str, schema: str = SIZES, **layout) -> Reading:
    return Reading(text.encode() if isinstance(text, str) else text, schema, **layout)


def quoted(rows: list[list[str]], end: str = "\n") -> bytes:
    sink = io.StringIO(newline="")
    csv.writer(sink, quoting=csv.QUOTE_ALL, lineterminator=end).writerows(rows)
    return sink.getvalue().encode()


def bare(rows: list[list[str]], end: str = "\n") -> bytes:
    def field(text: str) -> str:
        doubled = text.replace('"', '""')
        return f'"{doubled}"' if set(text) & set('",\r\n') else text

    return "".join(",".join(map(field, row)) + end for row in rows).encode()


NASTY = ['"', '""', 'a"', '"a', "\n", 'a\n"', '"\n', '",\n', ',"\n",', '\r\n"', "a\r", ",", '""\n,']
ROWS = [["src", key, "5"] for key in NASTY] + [["src", key, ""] for key in NASTY]
ROWS += [["src", "k", tail] for tail in NASTY]


@pytest.mark.parametrize("block_bytes", BLOCKS)
@pytest.mark.parametrize("write", [quoted, bare])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quotes_commas_and_newlines_survive_every_cut(block_bytes, write, end, monkeypatch) -> None:
    """INV-11: RFC 4180 in all columns; the last field quoted, bare or empty."""
    monkeypatch.setattr(_csv_part, "BLOCK_BYTES", block_bytes)
    rows = [["src", "x", "STANDARD"], *ROWS]
    found = read(write(rows, end), "Bucket, Key, StorageClass", key_encoding="none")
    assert [(row["key"], row["storage_class"] or "") for row in found.rows] == [
        (key, storage_class) for _, key, storage_class in rows
    ]
    assert found.tally.bad_rows == 0


@pytest.mark.parametrize("block_bytes", BLOCKS)
@pytest.mark.parametrize(
    "text",
    [
        b"src,k,5\nsrc,l,6",
        b"src,k,5\r\nsrc,l,6\r\n",
        b"src,k,5\rsrc,l,6\r",
        b'\xef\xbb\xbf"src","k","5"\n"src","l","6"\n',
        b"\n\n\r\nsrc,k,5\n\n\nsrc,l,6\n\n\n\n",
        b'"Bucket","Key","Size"\n"src","k","5"\n"src","l","6"\n',
        b"\xef\xbb\xbf\r\nbucket,KEY,size\r\nsrc,k,5\r\nsrc,l,6\r\n",
        b'"src",k,"5"\n src ,l, 6 \n',
        b'"src"x,k,5\ns\'rc,"l",6\n',
    ],
)
def test_line_ends_headers_and_spelling_of_look_alikes(text, block_bytes, monkeypatch) -> None:
    """INV-11."""
    monkeypatch.setattr(_csv_part, "BLOCK_BYTES", block_bytes)
    found = read(text)
    assert found.rows == [{"key": "k", "size_bytes": 5}, {"key": "l", "size_bytes": 6}]
    assert found.tally.bad_rows == 0


def test_newline_behind_bom_and_quote_is_part_of_the_first_field(monkeypatch) -> None:
    """The BOM looked like text before a closing quote."""
    monkeypatch.setattr(_csv_part, "BLOCK_BYTES", 5)
    assert read(b'\xef\xbb\xbf"\nsrc","k","5"\n').keys == ["k"]


def test_newline_behind_carriage_return_and_quote_is_inside_quotes(monkeypatch) -> None:
    monkeypatch.setattr(_csv_part, "BLOCK_BYTES", 17)
    found = read(b'"src","k","5"\r"\nsrc","l","5"\n')
    assert found.keys == ["k", "l"]
    assert found.tally.bad_rows == 0


@pytest.mark.parametrize("block_bytes", [*BLOCKS, 10])
@pytest.mark.parametrize("value", ["1", "many"])
def test_key_that_begins_with_a_byte_order_mark_keeps_it(value, block_bytes, monkeypatch) -> None:
    """Only the one at the start of the part is none of its text; pyarrow drops one per block."""
    monkeypatch.setattr(_csv_part, "BLOCK_BYTES", block_bytes)
    text = f"\ufeffa,1\n\ufeff\ufeffb,{value}\n\ufeffc,3\n"
    assert read(text, "Key, Size").keys == ["a", "\ufeff\ufeffb", "\ufeffc"]


MIXED = (
    b'"src","good+1","5"\n'
    b'"src","short"\n'
    b'"src","%FF%FE","5"\n'
    b'"src","","7"\n'
    b'"src","l\nm","many","too"\n'
    b'"src","100%","-1"\n'
    b'"src","size","1e6"\n'
    b'"src","last","9"\n'
)


@pytest.mark.parametrize("block_bytes", BLOCKS)
def test_good_bad_and_undecodable_rows_do_not_depend_on_the_cut(block_bytes, monkeypatch) -> None:
    """INV-7: eight records, each accounted for."""
    monkeypatch.setattr(_csv_part, "BLOCK_BYTES", block_bytes)
    found = read(MIXED)
    assert found.keys == ["good 1", "100%", "size", "last"]
    assert [row["size_bytes"] for row in found.rows] == [5, None, None, 9]
    assert found.raw == [{"key": "%FF%FE", "size_bytes": 5}]
    assert sorted(found.reasons) == [
        "2 fields instead of 3",
        "4 fields instead of 3",
        "no key",
        "no usable size",
        "no usable size",
    ]
    assert found.tally.suspicious_keys == 1


@pytest.mark.parametrize("text", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n\n"])
def test_text_without_rows_gives_no_blocks(text) -> None:
    found = read(text)
    assert found.outcome == ([], [], (0, 0, 0), [])
    assert found.blocks == 0


@pytest.mark.parametrize("text", [b"Bucket,Key,Size", b"Bucket,Key,Size\n\n", b'src,"",5\n'])
def test_text_of_a_header_or_keyless_rows_gives_no_blocks(text) -> None:
    assert read(text).blocks == 0


def test_one_line_of_spaces_is_a_bad_row_not_an_empty_line() -> None:
    """INV-7."""
    assert read(b"  \nsrc,k,5\n").reasons == ["1 fields instead of 3"]


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (b'"bucket","key"\n"bucket","l"\n', ["key", "l"]),
        (b'"Bucket","Key"\n"bucket","l"\n', ["l"]),
    ],
)
def test_object_named_key_in_bucket_named_bucket_is_not_a_header(text, keys) -> None:
    """No silent loss: its row reads as the column names do."""
    tally = PartTally()
    layout = CsvLayout.of(["Bucket", "Key"], bucket="bucket", part_name="p")
    blocks = list(read_csv_part(io.BytesIO(text), layout, tally))
    assert [key for block in blocks for key in block.rows.column("key").to_pylist()] == keys


def test_header_row_is_looked_for_only_at_the_start() -> None:
    found = read(b"src,k,5\nBucket,Key,Size\n")
    assert found.keys == ["k", "Key"]
    assert found.reasons == ["no usable size"]


def test_first_row_with_an_open_quote_is_no_header() -> None:
    found = read(b'"Bucket,Key,Size\n')
    assert found.rows == []
    assert found.reasons == ["a quote is open"]


@pytest.mark.parametrize("block_bytes", BLOCKS)
@pytest.mark.parametrize("broken", [b'src,"k,5\n', b'src,k,"5\n', b'"src,k,5\n'])
def test_open_quote_does_not_swallow_the_rest_of_the_part(broken, block_bytes, monkeypatch) -> None:
    """INV-7: it made one row, or one long value, of everything behind it."""
    monkeypatch.setattr(_csv_part, "BLOCK_BYTES", block_bytes)
    found = read(b"src,a,1\n" + broken + b"src,b,2\nsrc,c,3\n", "Bucket, Key, StorageClass")
    assert found.keys == ["a", "b", "c"]
    assert found.reasons == ["a quote is open"]


def test_open_quote_among_quoted_rows_costs_its_own_line() -> None:
    """INV-7: the next quote closes it, and two rows became one bad one."""
    found = read(b'"src","a","1"\n"src","k\n"src","b","2"\n"src","c","3"\n')
    assert found.keys == ["a", "b", "c"]
    assert found.reasons == ["4 fields instead of 3"]


def test_last_row_that_is_cut_off_inside_quotes_is_bad() -> None:
    """INV-7."""
    found = read(b'"src","a","1"\n"src","k","12')
    assert found.keys == ["a"]
    assert found.reasons == ["a quote is open"]


def test_row_longer_than_the_limit_is_refused(monkeypatch) -> None:
    """INV-5: this is not a CSV file, and memory has a bound."""
    monkeypatch.setattr(_csv_part, "ROW_BYTES_MAX", 1000)
    monkeypatch.setattr(_csv_part, "BLOCK_BYTES", 100)
    long = b'"src","' + b"k" * 900 + b'","5"\n'
    assert len(read(long * 3).rows) == 3
    with pytest.raises(PartCorruptError, match=r"p\.csv.* has a row of more than 1000 bytes") as e:
        read(b'"src","' + b"\n" * 1200)
    assert e.value.attrs["part"] == "p.csv"


def test_row_of_four_mebibytes_stops_the_reading() -> None:
    text = b'"src","' + b"k" * (7 << 20)
    with pytest.raises(PartCorruptError, match="more than 4194304 bytes"):
        read(text)


def test_acl_of_fifteen_kilobytes_in_every_row_is_kept_when_asked_for(monkeypatch) -> None:
    monkeypatch.setattr(_csv_part, "BLOCK_BYTES", 10_000)
    acl = "eyJ2ZXJzaW9uIjoi" * 1000
    text = "".join(f'"src","{n}","{acl}"\n' for n in range(9))
    schema = "Bucket, Key, ObjectAccessControlList"
    assert read(text, schema).rows == [{"key": str(n)} for n in range(9)]
    kept = read(text, schema, keep_acl=True)
    assert {row["extra_object_access_control_list"] for row in kept.rows} == {acl}


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("9223372036854775807", 2**63 - 1),
        (" 7 ", 7),
        ("007", 7),
        ("-0", 0),
        ("0x10", 16),
        ("0000000000000000000000042", 42),
        ("", None),
        ("  ", None),
        ("-1", None),
        ("+1", None),
        ("1e6", None),
        ("5.0", None),
        ("9223372036854775808", None),
        ("-9223372036854775808", None),
        ("99999999999999999999999", None),
        ("\u0663", None),
        ("5\0", None),
        ("1 000", None),
    ],
)
def test_size_does_not_depend_on_its_neighbours(text, size_bytes) -> None:
    """INV-7: the fast and the tolerant parse agree; unknown is None and a bad row, never 0."""
    row = f'"src","k","{text}"\n'
    for neighbour, bad in (("", 0), ('"src","z","many"\n', 1)):
        found = read(row + neighbour)
        assert found.rows[0] == {"key": "k", "size_bytes": size_bytes}
        assert found.tally.bad_rows == bad + (size_bytes is None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-06T22:38:00.123Z", utc(2024, 5, 6, 22, 38, 0, 123000)),
        ("2024-05-06T22:38:00Z", utc(2024, 5, 6, 22, 38)),
        ("2024-05-06T22:38Z", utc(2024, 5, 6, 22, 38)),
        ("2024-05-06T22:38:00+00:00", utc(2024, 5, 6, 22, 38)),
        ("2024-05-06T22:38:00+02:00", utc(2024, 5, 6, 20, 38)),
        ("2024-05-06T22:38:00-0130", utc(2024, 5, 7, 0, 8)),
        ("2024-05-06T22:38:00", utc(2024, 5, 6, 22, 38)),
        ("2024-05-06 22:38:00Z", utc(2024, 5, 6, 22, 38)),
        ("2024-05-06", utc(2024, 5, 6)),
        ("2024-05-06T22:38:00.123456Z", utc(2024, 5, 6, 22, 38, 0, 123000)),
        ("0001-01-01T00:00:00Z", utc(1, 1, 1)),
        ("9999-12-31T23:59:59.999Z", utc(9999, 12, 31, 23, 59, 59, 999000)),
        ("", None),
    ],
)
def test_time_does_not_depend_on_its_neighbours(text, expected) -> None:
    row = f'"src","k","{text}"\n'
    for neighbour, bad in (("", 0), ('"src","z","yesterday"\n', 1)):
        found = read(row + neighbour, "Bucket, Key, LastModifiedDate")
        assert found.rows[0]["last_modified"] == expected
        assert found.tally.bad_rows == bad


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2024-13-01T00:00:00Z", "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-02:00"],
)
def test_impossible_time_is_unknown_and_counted(text) -> None:
    """The edge of the calendar ended the import with an OverflowError."""
    row = f'"src","k","{text}"\n'
    for neighbour, bad in (("", 0), ('"src","z","yesterday"\n', 1)):
        found = read(row + neighbour, "Bucket, Key, LastModifiedDate")
        assert found.rows[0] == {"key": "k", "last_modified": None}
        assert found.tally.bad_rows == bad + 1


def test_keyless_row_with_an_impossible_time_is_counted() -> None:
    """Python cannot show that time, and must not try."""
    found = read('"src","","0000-12-31T00:00:00Z"\n"src","k",""\n', "Bucket,Key,LastModifiedDate")
    assert found.keys == ["k"]
    assert found.reasons == ["no key"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", True),
        ("TRUE", True),
        ("True", True),
        ("tRuE", True),
        ("1", True),
        ("false", False),
        ("FALSE", False),
        ("0", False),
        ("", None),
    ],
)
def test_booleans_in_every_spelling(text, expected) -> None:
    row = f'"src","k","{text}"\n'
    for neighbour, bad in (("", 0), ('"src","z","perhaps"\n', 1)):
        found = read(row + neighbour, "Bucket, Key, IsLatest")
        assert found.rows[0]["is_latest"] is expected
        assert found.tally.bad_rows == bad


@pytest.mark.parametrize("size", ["0", "", "17", "many", "-1"])
def test_delete_marker_never_has_a_size_and_is_never_bad(size) -> None:
    """INV-6."""
    text = (
        f'"src","k","v2","true","true","{size}","2024-05-06T22:46:14.000Z"\n'
        '"src","k","","false","FALSE","17",""\n'
        '"src","l","","false","","17",""\n'
    )
    found = read(text, VERSIONED)
    assert [row["size_bytes"] for row in found.rows] == [None, 17, 17]
    assert [row["is_delete_marker"] for row in found.rows] == [True, False, None]
    assert [row["version_id"] for row in found.rows] == ["v2", "null", "null"]
    assert found.tally.bad_rows == 0


def test_row_that_may_be_a_marker_without_a_size_is_counted() -> None:
    """Unknown whether it is one: the object is kept, its size is not known."""
    found = read('"src","k","","","","",""\n', VERSIONED)
    assert found.rows[0]["size_bytes"] is None
    assert found.reasons == ["no usable size"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e"),
        ("D41D8CD98F00B204E9800998ECF8427E-3", "d41d8cd98f00b204e9800998ecf8427e-3"),
        ('""ab""', "ab"),
        ('W/""AB""', "ab"),
        (' w/""ab"" ', "ab"),
        ('""""', None),
        ("", None),
    ],
)
def test_etags_have_one_spelling_beside_others(text, expected) -> None:
    found = read(f'"src","k","{text}"\n"src","l","cd-2"\n', TAGS)
    assert [row["etag"] for row in found.rows] == [expected, "cd-2"]


def test_etag_does_not_depend_on_its_neighbours() -> None:
    for neighbour in ("", '"src","l","""x"""\n', '"src","l","X"\n'):
        found = read(f'"src","k"," a b "\n"src","m",""\n{neighbour}', TAGS)
        assert [row["etag"] for row in found.rows[:2]] == [" a b ", None]


def test_etag_column_that_is_all_empty_is_unknown() -> None:
    assert read('"src","k",""\n', TAGS).rows == [{"key": "k", "etag": None}]


def test_text_that_is_not_utf8_beside_the_key_is_kept_escaped() -> None:
    """The object is there: its row must not be lost for a label."""
    found = read(b'"src","k","a\xffb"\n"src","l","c"\n', "Bucket, Key, ObjectOwner")
    assert [row["extra_object_owner"] for row in found.rows] == ["a\\xffb", "c"]
    assert found.tally.bad_rows == 0


def test_raw_key_that_is_not_utf8_comes_apart() -> None:
    found = read(b'"src","a\xff","5"\n"src","b","6"\n', key_encoding="none")
    assert found.keys == ["b"]
    assert found.raw == [{"key": "a\\xff", "size_bytes": 5}]


def test_columns_in_any_order_unknown_ones_and_no_bucket() -> None:
    """INV-3."""
    found = read('"x","5","k"\n"","6","l"\n', "NewThing, Size, KEY")
    assert found.rows == [
        {"key": "k", "size_bytes": 5, "extra_newthing": "x"},
        {"key": "l", "size_bytes": 6, "extra_newthing": None},
    ]


def test_report_of_keys_alone() -> None:
    """INV-3: only Key is required; empty lines are not rows."""
    found = read('"k"\n\n007\ntrue\nNULL\n""\n', "Key")
    assert found.keys == ["k", "007", "true", "NULL"]
    assert found.reasons == ["no key"]


def test_counts_of_pluses_and_escapes_add_up_over_blocks(monkeypatch) -> None:
    """INV-4: what settles the encoding of an `auto` report."""
    monkeypatch.setattr(_csv_part, "BLOCK_BYTES", 16)
    text = '"src","a+b+c","5"\n"src","d%20e","5"\n"src","50%","5"\n"src","%2B","5"\n'
    tally = read(text).tally
    assert (tally.plus_keys, tally.percent20_keys, tally.suspicious_keys) == (2, 1, 1)


def test_only_twenty_bad_rows_are_kept_and_cut_short() -> None:
    """INV-7."""
    found = read("x" * 5000 + "\n" + "y\n" * 40)
    assert found.tally.bad_rows == 41
    assert len(found.tally.bad_samples) == 20
    assert len(found.tally.bad_samples[0]["row"]) == 2000
    assert found.tally.bad_samples[0]["part"] == "p.csv"


def test_values_of_good_columns_stay_when_one_is_out_of_the_calendar() -> None:
    """Other formats come through the same door."""
    columns = {
        "key": pa.array(["a", "b", "c"]),
        "last_modified": pa.array([-(10**15), None, 0], pa.int64()).view(pa.timestamp("ms")),
    }
    tally = PartTally()
    normalise_columns(columns, "p", tally)
    assert columns["last_modified"].to_pylist() == [None, None, utc(1970, 1, 1)]
    assert tally.bad_samples[0]["row"] == "'a'"
