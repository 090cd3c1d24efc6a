"""Which names a member may have, and what they mean. Nothing is renamed: a bad name fails."""

from __future__ import annotations

import re
import struct
import unicodedata
from zlib import crc32

from stocktake.errors import ArchivePathError

KEY_BYTES_MAX = 1024

_SUSPECT = re.compile(r"[\x00-\x1f\x7f\\:]|//|^/|(?:^|/)\.{1,2}(?:/|$)")
_PLAIN_CHARACTERS_MAX = KEY_BYTES_MAX // 4
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_DRIVE = re.compile("[A-Za-z]:")
_UNICODE_PATH = 0x7075


def member_path(name: str, archive: str) -> str:
    """The path of a member below its archive's folder, `/` between parts.

    Parts `.` say nothing and are left out; "" is the folder itself. A name that leaves the folder,
    or that would need another name, raises ArchivePathError.
    """
    if 0 < len(name) <= _PLAIN_CHARACTERS_MAX and not _SUSPECT.search(name):
        return name.removesuffix("/")
    if reason := _objection(name):
        raise ArchivePathError(f"{archive} has a member named {name!r}: {reason}", member=name)
    return "/".join(part for part in name.rstrip("/").split("/") if part != ".")


def _objection(name: str) -> str | None:
    if not name:
        return "an empty name"
    if _CONTROL.search(name):
        return "a control character"
    if "\\" in name:
        return "a backslash"
    if name.startswith("/"):
        return "an absolute path"
    if _DRIVE.match(name):
        return "a drive letter"
    parts = name.removesuffix("/").split("/")
    if ".." in parts:
        return "it leaves the folder"
    if "" in parts:
        return "an empty part"
    if len(name.encode("utf-8", "surrogateescape")) > KEY_BYTES_MAX:
        return f"longer than {KEY_BYTES_MAX:,} bytes"
    return None


def comparable(path: str) -> str:
    """The form in which two paths are compared: Unicode composed."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def decode_name(raw: bytes) -> str:
    """UTF-8; other bytes stay visible as surrogates, as in names of files."""
    return raw.decode("utf-8", "surrogateescape")


def zip_name(raw: bytes, *, utf8: bool, extra: bytes, code_page: str) -> str:
    """A ZIP member's name: by its flag, its Unicode path field, as UTF-8, or by the code page."""
    if utf8 or raw.isascii():
        return decode_name(raw)
    if (named := _unicode_path(raw, extra)) is not None:
        return named
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode(code_page, "surrogateescape")


def _unicode_path(raw: bytes, extra: bytes) -> str | None:
    """The Info-ZIP field 0x7075, if it belongs to this name."""
    field = extra_fields(extra).get(_UNICODE_PATH, b"")
    if len(field) > 5 and field[0] == 1 and struct.unpack_from("<I", field, 1)[0] == crc32(raw):
        try:
            return field[5:].decode("utf-8")
        except UnicodeDecodeError:
            return None
    return None


def extra_fields(extra: bytes) -> dict[int, bytes]:
    """The extra fields of a ZIP header by id; of two with one id the first."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        kind, size_bytes = struct.unpack_from("<HH", extra, at)
        found.setdefault(kind, extra[at + 4 : at + 4 + size_bytes])
        at += 4 + size_bytes
    return found
