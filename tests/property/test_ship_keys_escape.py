"""Keys of any path: reversible, and one path each, but for the collision that is documented."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from stocktake.errors import KeyNotAllowedError
from stocktake.ship import ShipSettings
from stocktake.ship._keys import escape_path, plain_key, table_key, unescape_path

SETTINGS = ShipSettings(folder=Path("/in"), bucket="landing", prefix="p/")

ODD = st.sampled_from(
    [b"%", b"%E9", b"%25", b"\xe9", b"\n", b"\xc3\xa9", b"\xff", b"a", b".", b"\x7f"]
)
NAMES = st.one_of(st.binary(min_size=1, max_size=20), st.lists(ODD, min_size=1).map(b"".join))
PARTS = NAMES.map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(b"/".join)


@given(PATHS)
def test_an_escaped_path_can_be_told_back(path: bytes) -> None:
    text = escape_path(path)
    text.encode()  # it is text
    if text.encode() != path:
        assert unescape_path(text) == path


@given(PATHS, PATHS)
def test_two_paths_have_one_key_only_if_one_of_them_has_percent_signs(a: bytes, b: bytes) -> None:
    if a != b and escape_path(a) == escape_path(b):
        clean = [path for path in (a, b) if escape_path(path).encode() == path]
        assert len(clean) == 1
        assert b"%" in clean[0]


@given(PATHS)
def test_keys_have_no_control_characters_and_fit(path: bytes) -> None:
    try:
        keys = [plain_key(SETTINGS, path), table_key(SETTINGS, path)]
    except KeyNotAllowedError as error:
        error.message.encode()
        return
    for key in keys:
        assert key.startswith("p/")
        assert len(key.encode()) <= 1024
        assert not [char for char in key if ord(char) < 32 or 127 <= ord(char) < 160]
        assert not {"", ".", ".."} & set(key.removeprefix("p/").split("/"))
