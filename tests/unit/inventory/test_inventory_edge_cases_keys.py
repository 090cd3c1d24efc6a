"""INV-12: nasty keys and rows of CSV reports, as the reader must take them."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from stocktake.clock import parse_utc
from stocktake.errors import ManifestInvalidError, TooManyBadRowsError
from stocktake.inventory import KeyEncoding, ReadOptions, check_bad_rows
from stocktake.model import PartTally

VERSIONED = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag"


def naive(text: str) -> datetime:
    return parse_utc(text).replace(tzinfo=None)


def test_edge_01_encoded_plus_is_decoded_once(desk) -> None:
    """INV-4."""
    assert desk.keys("a%2Bb", "a%252Bb") == ["a+b", "a%2Bb"]


def test_edge_02_plus_in_form_encoded_key_is_a_space(desk) -> None:
    """INV-4."""
    assert desk.keys("my+photo.jpg", "2020/Milledgeville%2C+GA/IMG+%281%29.CR3") == [
        "my photo.jpg",
        "2020/Milledgeville, GA/IMG (1).CR3",
    ]


def test_edge_02_plus_stays_when_the_store_encodes_by_percent(desk) -> None:
    percent = ReadOptions(key_encoding=KeyEncoding.PERCENT)
    assert desk.keys("a+b%20c", options=percent) == ["a+b c"]
    none = ReadOptions(key_encoding=KeyEncoding.NONE)
    assert desk.keys("a+b%20c", options=none) == ["a+b%20c"]


def test_edge_03_encoded_percent_is_not_decoded_again(desk) -> None:
    assert desk.keys("100%25.txt", "%2541") == ["100%.txt", "%41"]


def test_edge_04_broken_escapes_are_kept_and_counted(desk) -> None:
    desk.csv('"src","bad%ZZ"', '"src","100%"', schema="Bucket, Key")
    rows, tally = desk.read(desk.open())
    assert [row["key"] for row in rows] == ["bad%ZZ", "100%"]
    assert tally.suspicious_keys == 2


def test_edge_05_keys_that_are_not_utf8_come_apart_and_raw(desk) -> None:
    desk.csv('"src","%FF%FE"', '"src","%FF%FD"', '"src","good"', schema="Bucket, Key")
    report = desk.open()
    tally = PartTally()
    (block,) = report.read(report.parts()[0], tally)
    assert block.rows.column("key").to_pylist() == ["good"]
    assert block.undecodable.column("key").to_pylist() == ["%FF%FE", "%FF%FD"]
    assert (tally.rows, tally.undecodable_keys) == (1, 2)


def test_edge_06_encoded_newlines_make_one_row(desk) -> None:
    assert desk.keys("a%0Ab", "a%0D%0Ab") == ["a\nb", "a\r\nb"]


def test_edge_07_raw_newline_inside_quotes_makes_one_row(desk) -> None:
    """INV-11."""
    assert desk.keys("a\nb", "c") == ["a\nb", "c"]


def test_edge_08_nul_in_key_is_kept(desk) -> None:
    assert desk.keys("a%00b") == ["a\0b"]


def test_edge_09_unicode_line_separators_do_not_end_rows(desk) -> None:
    raw = ["a\u2028b", "a\u0085b", "a%E2%80%A8b", "a\x0bb\x0cc"]
    assert desk.keys(*raw) == ["a\u2028b", "a\u0085b", "a\u2028b", "a\x0bb\x0cc"]


def test_edge_10_nfc_and_nfd_are_two_keys(desk) -> None:
    assert desk.keys("%C3%A9", "e%CC%81") == ["\u00e9", "e\u0301"]


def test_edge_11_rtl_emoji_and_astral_keys_are_unchanged(desk) -> None:
    assert desk.keys("%D7%90%D7%91", "%F0%9F%93%B7.jpg") == ["\u05d0\u05d1", "\U0001f4f7.jpg"]


def test_edge_12_the_longest_key_takes_3072_encoded_characters(desk) -> None:
    assert desk.keys("%C3%A9" * 512) == ["\u00e9" * 512]


def test_edge_13_leading_slash_is_kept(desk) -> None:
    assert desk.keys("/a/b", "a/b") == ["/a/b", "a/b"]


def test_edge_14_empty_folder_names_are_kept(desk) -> None:
    assert desk.keys("a//b", "a/b", "//") == ["a//b", "a/b", "//"]


def test_edge_15_keys_that_climb_are_keys_like_others(desk) -> None:
    assert desk.keys("a/../../etc/passwd", "..\\x") == ["a/../../etc/passwd", "..\\x"]


def test_edge_16_dots_and_trailing_spaces_are_kept(desk) -> None:
    assert desk.keys(".", "ends.", "ends+", "+") == [".", "ends.", "ends ", " "]


def test_edge_17_and_edge_18_folder_markers_are_rows_with_their_size(desk) -> None:
    desk.csv('"src","empty/","0"', '"src","full/","7"', schema="Bucket, Key, Size")
    rows, tally = desk.read(desk.open())
    assert [(row["key"], row["size_bytes"]) for row in rows] == [("empty/", 0), ("full/", 7)]
    assert tally.bad_rows == 0


def test_edge_19_key_and_folder_of_one_name_are_both_kept(desk) -> None:
    assert desk.keys("a", "a/b", "a/") == ["a", "a/b", "a/"]


def test_edge_20_case_makes_another_key(desk) -> None:
    assert desk.keys("IMG.jpg", "img.JPG") == ["IMG.jpg", "img.JPG"]


def test_edge_21_delete_marker_has_no_size(desk) -> None:
    """INV-6: a marker is not an object of 0 bytes."""
    desk.csv(
        '"src","k","v2","true","true","","2024-05-06T22:46:14.000Z",""',
        '"src","k","v1","false","false","7","2024-05-06T22:38:00.000Z","abc"',
        schema=VERSIONED,
    )
    (marker, older), tally = desk.read(desk.open())
    assert (marker["is_delete_marker"], marker["size_bytes"], marker["etag"]) == (True, None, None)
    assert (older["is_latest"], older["size_bytes"]) == (False, 7)
    assert tally.bad_rows == 0


def test_edge_21_delete_marker_that_claims_a_size_has_none(desk) -> None:
    desk.csv('"src","k","v2","true","true","0","2024-05-06T22:46:14.000Z",""', schema=VERSIONED)
    (marker,), _ = desk.read(desk.open())
    assert marker["size_bytes"] is None


def test_edge_24_empty_version_id_is_the_null_version(desk) -> None:
    """INV-6."""
    desk.csv('"src","k","","true","false","7","2024-05-06T22:46:14.000Z",""', schema=VERSIONED)
    (row,), _ = desk.read(desk.open())
    assert row["version_id"] == "null"


def test_edge_32_unknown_column_passes_through(desk) -> None:
    """INV-3."""
    desk.csv('"src","k","ON"', schema="Bucket, Key, ObjectLockEventHoldStatus")
    (row,), _ = desk.read(desk.open())
    assert row == {"key": "k", "extra_object_lock_event_hold_status": "ON"}
    desk.csv('"src","k","x"', schema="Bucket, Key, NeverSeenBefore")
    (row,), _ = desk.read(desk.open())
    assert row == {"key": "k", "extra_neverseenbefore": "x"}


def test_edge_33_columns_go_by_name_not_position(desk) -> None:
    """INV-3."""
    desk.csv('"5","src","k"', schema="Size, Bucket, Key")
    (row,), _ = desk.read(desk.open())
    assert row == {"key": "k", "size_bytes": 5}


def test_edge_34_doubled_column_is_refused(desk) -> None:
    desk.csv('"src","k","e","f"', schema="Bucket, Key, ETag, e_tag")
    with pytest.raises(ManifestInvalidError, match="column `e_tag` twice"):
        desk.open()


def test_edge_35_absent_size_column_is_absent_not_zero(desk) -> None:
    """INV-3: pmc-oa-opendata has no Size."""
    desk.csv(
        '"src","k","2024-05-06T22:46:14.000Z","abc"', schema="Bucket, Key, LastModifiedDate, ETag"
    )
    report = desk.open()
    (row,), _ = desk.read(report)
    assert report.header.columns == ("key", "last_modified", "etag")
    assert "size_bytes" not in row


def test_edge_36_column_names_match_in_any_case(desk) -> None:
    desk.csv('"src","k","v"', schema="BUCKET, KEY, Versionid")
    (row,), _ = desk.read(desk.open())
    assert row == {"key": "k", "version_id": "v"}


def test_edge_37_rows_of_another_width_are_bad_and_counted(desk) -> None:
    """INV-7."""
    desk.csv('"src","k","5"', '"src","short"', '"src","long","5","6"', schema="Bucket, Key, Size")
    rows, tally = desk.read(desk.open())
    assert [row["key"] for row in rows] == ["k"]
    assert tally.bad_rows == 2
    assert "short" in tally.bad_samples[0]["row"]
    assert check_bad_rows([tally], source_name="src/cfg") == 2


def test_edge_37_too_many_bad_rows_fail(desk) -> None:
    """INV-7."""
    desk.csv('"src","k","5"', *['"src"'] * 11, schema="Bucket, Key, Size")
    _, tally = desk.read(desk.open())
    with pytest.raises(TooManyBadRowsError, match="11 of about 1 rows") as caught:
        check_bad_rows([tally], source_name="src/cfg")
    assert len(caught.value.attrs["samples"]) == 11


@pytest.mark.parametrize("size", ["", "-1", "1e6", "9223372036854775808", "5 GB"])
def test_edge_38_impossible_size_is_unknown_and_a_bad_row(desk, size) -> None:
    desk.csv(f'"src","k","{size}"', '"src","l","9223372036854775807"', schema="Bucket, Key, Size")
    rows, tally = desk.read(desk.open())
    assert rows == [
        {"key": "k", "size_bytes": None},
        {"key": "l", "size_bytes": 9223372036854775807},
    ]
    assert tally.bad_rows == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("2024-05-06T22:38:00Z", naive("2024-05-06T22:38:00")),
        ("2024-05-06T22:38:00.125+00:00", naive("2024-05-06T22:38:00.125")),
        ("2024-05-06T22:38:00+02:00", naive("2024-05-06T20:38:00")),
        ("1970-01-01T00:00:00.000Z", naive("1970-01-01")),
        ("yesterday", None),
    ],
)
def test_edge_39_odd_dates_are_read_or_unknown(desk, text, expected) -> None:
    desk.csv(f'"src","k","{text}"', schema="Bucket, Key, LastModifiedDate")
    (row,), _ = desk.read(desk.open())
    assert row["last_modified"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('""D41D8CD98F00B204E9800998ECF8427E""', "d41d8cd98f00b204e9800998ecf8427e"),
        ("D41D8CD98F00B204E9800998ECF8427E-12", "d41d8cd98f00b204e9800998ecf8427e-12"),
        ("", None),
    ],
)
def test_edge_40_etags_have_one_spelling(desk, text, expected) -> None:
    desk.csv(f'"src","k","{text}"', schema="Bucket, Key, ETag")
    (row,), _ = desk.read(desk.open())
    assert row["etag"] == expected


def test_edge_41_header_row_is_skipped(desk) -> None:
    """INV-11."""
    desk.csv("Bucket,Key,Size", '"src","k","5"', schema="Bucket, Key, Size")
    rows, tally = desk.read(desk.open())
    assert rows == [{"key": "k", "size_bytes": 5}]
    assert tally.bad_rows == 0


def test_edge_74_keys_that_look_like_values_stay_text(desk) -> None:
    raw = ["007", "0042", "2024-01-01", "NULL", "null", "true", "nan", "1e5"]
    assert desk.keys(*raw) == raw


def test_edge_75_acl_column_is_read_over_and_kept_on_request(desk) -> None:
    """INV-3."""
    acl = "eyJ2ZXJzaW9uIjoi" * 1000
    desk.csv(f'"src","k","{acl}"', schema="Bucket, Key, ObjectAccessControlList")
    (row,), _ = desk.read(desk.open())
    assert row == {"key": "k"}
    (row,), _ = desk.read(desk.open(options=ReadOptions(keep_acl=True)))
    assert row["extra_object_access_control_list"] == acl


def test_real_rows_are_read_as_they_were_meant(desk, fixtures) -> None:
    """INV-3, INV-4, INV-6: four rows that AWS wrote for dandiarchive."""
    text = (fixtures / "dandi-s3invsync" / "dandiarchive_rows.csv").read_bytes()
    part = desk.part("1.csv.gz", gzip.compress(text))
    schema = f"{VERSIONED}, IsMultipartUploaded"
    desk.publish(desk.manifest([part], schema))
    rows, tally = desk.read(desk.open())
    assert tally.bad_rows == tally.suspicious_keys == 0
    assert [row["size_bytes"] for row in rows] == [1511723, None, 38129, 0]
    assert rows[1]["is_delete_marker"]
    assert rows[1]["version_id"] == "t5w9XO56_Yi1eF6HE7KUgoLumufisMyo"
    assert rows[2]["key"] == "dandiarchive/dandiarchive/hive/dt=2024-05-07-01-00/symlink.txt"
    assert rows[2]["last_modified"].replace(tzinfo=UTC) == datetime(
        2024, 5, 7, 21, 12, 55, tzinfo=UTC
    )
    assert rows[3]["extra_is_multipart_uploaded"] == "false"
