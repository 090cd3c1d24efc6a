"""Which key a file gets (SHP-12, SHP-20; faults 14 to 18)."""

from __future__ import annotations

from pathlib import Path

import pytest

from stocktake.errors import KeyNotAllowedError
from stocktake.ship import ShipSettings, SourceKind
from stocktake.ship._keys import escape_path, member_key, plain_key, table_key, unescape_path
from stocktake.ship._kinds import kind_of

SETTINGS = ShipSettings(folder=Path("/in"), bucket="landing", prefix="in/")
SUFFIX = ShipSettings(folder=Path("/in"), bucket="landing", on_collision="suffix")
FLAT = ShipSettings(folder=Path("/in"), bucket="landing", nested_folder=False)
PLAIN = ShipSettings(folder=Path("/in"), bucket="landing", convert_tables=False)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (b"a.txt", "in/a.txt"),
        (b"sub/A b+c&d.txt", "in/sub/A b+c&d.txt"),
        ("caf\u00e9/\u65e5\u672c.txt".encode(), "in/caf\u00e9/\u65e5\u672c.txt"),
        (b"100%.txt", "in/100%.txt"),
        (b"caf%C3%A9.txt", "in/caf%C3%A9.txt"),
        (b"...", "in/..."),
        (b"..a/b..", "in/..a/b.."),
        (b" leading and trailing ", "in/ leading and trailing "),
        (b"back\\slash", "in/back\\slash"),
    ],
)
def test_a_plain_file_has_its_path_as_key(path: bytes, key: str) -> None:
    assert plain_key(SETTINGS, path) == key


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (b"caf\xe9.csv", "caf%E9.csv"),
        (b"\xff/\xfe 100%.csv", "%FF/%FE 100%25.csv"),
        (b"a\xed\xa0\x80b", "a%ED%A0%80b"),
        ("a\uffffb".encode(), "a%EF%BF%BFb"),
    ],
)
def test_fault_14_bytes_that_are_no_text_are_escaped(path: bytes, key: str) -> None:
    assert escape_path(path) == key
    assert unescape_path(key) == path
    plain_key(SETTINGS, path).encode()


@pytest.mark.parametrize(
    ("path", "key"),
    [(b"a\nb", "a%0Ab"), (b"\x01%0A", "%01%250A"), (b"a\x7f", "a%7F"), (b"a\xc2\x85", "a%C2%85")],
)
def test_fault_15_control_characters_are_escaped(path: bytes, key: str) -> None:
    assert escape_path(path) == key
    assert unescape_path(key) == path


@pytest.mark.parametrize(
    "member", ["../a", "a/../b", "./a", "a/.", "a//b", "/a", "a/", "", ".", ".."]
)
def test_fault_16_parts_that_tools_resolve_are_refused(member: str) -> None:
    with pytest.raises(KeyNotAllowedError):
        member_key(SETTINGS, b"x.zip", member, False)


def test_fault_16_an_archive_named_dots_is_refused() -> None:
    with pytest.raises(KeyNotAllowedError, match=r"`\.` or `\.\.`"):
        member_key(SETTINGS, b"..zip", "a", False)


def test_fault_17_a_key_that_is_too_long_is_refused() -> None:
    longest = ("\u00e9" * 100 + "/") * 5  # 201 bytes each
    fits = longest.encode() + b"x" * (1024 - 3 - len(longest.encode()))
    assert len(plain_key(SETTINGS, fits).encode()) == 1024
    with pytest.raises(KeyNotAllowedError, match="1,025 bytes") as caught:
        plain_key(SETTINGS, fits + b"x")
    assert caught.value.attrs["path"].endswith("xx")
    with pytest.raises(KeyNotAllowedError):
        plain_key(SETTINGS, b"a/" + b"\xff" * 400)  # 400 bytes, 1200 characters


def test_fault_18_twins_have_keys_of_their_own() -> None:
    twins = ["a", "A", "caf\u00e9", "cafe\u0301"]
    assert len({plain_key(SETTINGS, name.encode()) for name in twins}) == len(twins)


@pytest.mark.parametrize(
    ("path", "key", "suffixed"),
    [
        (b"d/a.csv", "in/d/a.parquet", "d/a.csv.parquet"),
        (b"a.b.JSON", "in/a.b.parquet", "a.b.JSON.parquet"),
        (b"a.dir/x.tsv", "in/a.dir/x.parquet", "a.dir/x.tsv.parquet"),
        (b"caf\xe9.csv", "in/caf%E9.parquet", "caf%E9.csv.parquet"),
    ],
)
def test_shp_20_a_table_becomes_parquet(path: bytes, key: str, suffixed: str) -> None:
    assert table_key(SETTINGS, path) == key
    assert table_key(SUFFIX, path) == suffixed


@pytest.mark.parametrize(
    ("archive", "member", "is_table", "key"),
    [
        (b"x.zip", "a/b.txt", False, "in/x/a/b.txt"),
        (b"d/x.tar.gz", "b.csv", True, "in/d/x/b.parquet"),
        (b"d/X.TGZ", "b", False, "in/d/X/b"),
        (b"d/data.csv.gz", "data.csv", True, "in/d/data.parquet"),  # nothing to keep together
        (b"notes.txt.ZST", "notes.txt", False, "in/notes.txt"),
        (b"d/x.gz", "x/in.a.tar", False, "in/d/x/x/in.a.tar"),
        (b"d/x.tar.gz", "x", False, "in/d/x/x"),
        (b"d/x.zip", "x", False, "in/d/x/x"),
        (b"caf\xe9.zip", "caf\udce9.txt", False, "in/caf%E9/caf%E9.txt"),
    ],
)
def test_shp_12_members_lie_below_the_stem(
    archive: bytes, member: str, is_table: bool, key: str
) -> None:
    assert member_key(SETTINGS, archive, member, is_table) == key


def test_shp_12_the_other_places_of_members() -> None:
    assert member_key(FLAT, b"d/x.zip", "a/b.csv", True) == "d/a/b.parquet"
    assert member_key(FLAT, b"x.zip", "a", False) == "a"
    assert member_key(SUFFIX, b"d/x.tar.gz", "a.csv", True) == "d/x.tar.gz/a.csv.parquet"


def test_nothing_goes_where_the_manifests_are() -> None:
    for settings, member in ((FLAT, ".stocktake/manifests/x"), (SETTINGS, "a")):
        archive = b"x.zip" if settings is FLAT else b".stocktake.zip"
        with pytest.raises(KeyNotAllowedError, match="stocktake's own"):
            member_key(settings, archive, member, False)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"a.csv", SourceKind.TABLE),
        (b"d/a.JSONL", SourceKind.TABLE),
        (b"a.xml", SourceKind.TABLE),
        (b"a.zip", SourceKind.ARCHIVE),
        (b"a.tar.zst", SourceKind.ARCHIVE),
        (b"a.csv.gz", SourceKind.ARCHIVE),
        (b"a.7z", SourceKind.ARCHIVE),
        (b"a.docx", SourceKind.PLAIN),
        (b"a.parquet", SourceKind.PLAIN),
        (b"d.csv/a", SourceKind.PLAIN),
        (b"d.zip/a.txt", SourceKind.PLAIN),
        (b"caf\xe9.CSV", SourceKind.TABLE),
    ],
)
def test_the_kind_follows_from_the_name(name: bytes, kind: SourceKind) -> None:
    assert kind_of(SETTINGS, name, 10) is kind
    without = SourceKind.PLAIN if kind is SourceKind.TABLE else kind
    assert kind_of(PLAIN, name, 10) is without
