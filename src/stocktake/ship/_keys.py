r"""The key that a file, a table or an archive's member gets.

A path that is clean UTF-8 is its own key, below the prefix. Bytes that are no UTF-8 and control
characters cannot be part of a key that every tool reads back: a path that holds any is written with
`%XX` for these bytes and `%25` for its own `%`.

>>> escape_path("Mürz/50 %.csv".encode()), escape_path(b"caf\xe9 100%.csv"), escape_path(b"a\nb")
('Mürz/50 %.csv', 'caf%E9 100%25.csv', 'a%0Ab')

Two paths have the same key in one case only: a name that has `%E9` itself beside one that has the
byte. The ledger refuses the second of them, as any two files that would become one object.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from stocktake.errors import KeyNotAllowedError
from stocktake.ship._kinds import extension_of
from stocktake.unpack import archive_stem

if TYPE_CHECKING:
    from stocktake.ship._settings import ShipSettings

KEY_BYTES_MAX = 1024
"""What S3 takes, in UTF-8, prefix included."""

RESERVED = ".stocktake/"
"""Where stocktake's own objects are: nothing of a folder goes there."""

_SINGLE = frozenset({".gz", ".bz2", ".xz", ".zst"})
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\udc80-\udcff\ufffe\uffff]")
_ESCAPE = re.compile(rb"%([0-9A-F]{2})")


def plain_key(settings: ShipSettings, path: bytes) -> str:
    """Where a file goes that is shipped as it is.

    Raises:
        KeyNotAllowedError: Too long, or a part that many tools would change.
    """
    return _checked(settings, escape_path(path), path)


def table_key(settings: ShipSettings, path: bytes) -> str:
    """Where a data file's Parquet goes: `a.csv` is `a.parquet`, or `a.csv.parquet` on `suffix`.

    Raises:
        KeyNotAllowedError: As for `plain_key`.
    """
    return _checked(settings, _as_table(settings, escape_path(path)), path)


def member_key(
    settings: ShipSettings,
    archive_path: bytes,
    member_path: str,
    is_table: bool,  # noqa: FBT001 - the last of four that all callers give
) -> str:
    """Where a member of an archive goes: below the archive's stem, or beside the archive.

    A single packed file has no structure to keep and lies where its archive does: `d/a.csv.gz` is
    `d/a.parquet`. With `on_collision=suffix` the folder keeps the archive's whole name (`x.zip/a`).

    Raises:
        KeyNotAllowedError: As for `plain_key`.
    """
    folder, slash, name = escape_path(archive_path).rpartition("/")
    parts = [folder] if slash else []
    if settings.on_collision == "suffix" and settings.nested_folder:
        parts.append(name)
    elif settings.nested_folder and member_path != single_member(archive_path):
        parts.append(archive_stem(name))
    member = escape_path(os.fsencode(member_path))
    parts.append(_as_table(settings, member) if is_table else member)
    return _checked(settings, "/".join(parts), archive_path + b"!" + os.fsencode(member_path))


def single_member(archive_path: bytes) -> str | None:
    """What a packed file's only member is called (`a.csv` of `d/a.csv.gz`); None for the rest."""
    name = os.fsdecode(archive_path).rpartition("/")[2]
    stem = archive_stem(name)
    return stem if name[len(stem) :].lower() in _SINGLE else None


def escape_path(path: bytes) -> str:
    """A path as text that every store, log and JSON document can hold."""
    text = path.decode("utf-8", "surrogateescape")
    if text.isprintable() or not _UNSAFE.search(text):
        return text
    return _UNSAFE.sub(_percent, text.replace("%", "%25"))


def unescape_path(text: str) -> bytes:
    r"""The path that `escape_path` made this of, if that escaped anything.

    >>> unescape_path("caf%E9 100%25.csv")
    b'caf\xe9 100%.csv'
    """
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), text.encode())


def _percent(match: re.Match[str]) -> str:
    data = match[0].encode("utf-8", "surrogateescape")
    return "".join(f"%{byte:02X}" for byte in data)


def _as_table(settings: ShipSettings, text: str) -> str:
    if settings.on_collision == "suffix":
        return text + ".parquet"
    return text.removesuffix(extension_of(text)) + ".parquet"


def _checked(settings: ShipSettings, relative: str, path: bytes) -> str:
    key = settings.prefix + relative
    reason = _objection(key, relative)
    if reason is None:
        return key
    shown = escape_path(path)
    raise KeyNotAllowedError(f"`{shown}` cannot be uploaded: {reason}", path=shown, key=key)


def _objection(key: str, relative: str) -> str | None:
    """Why S3, or a tool that reads from it, would not keep this key as it is."""
    size_bytes = len(key.encode())
    if size_bytes > KEY_BYTES_MAX:
        return f"its key would have {size_bytes:,} bytes, {KEY_BYTES_MAX:,} are allowed"
    parts = relative.split("/")
    if "." in parts or ".." in parts:
        return "`.` or `..` would be a part of its key, which many tools resolve"
    if "" in parts:
        return "its key would have an empty part"
    if key.startswith(RESERVED) or relative.startswith(RESERVED):
        return f"`{RESERVED}` in the bucket is stocktake's own"
    return None
