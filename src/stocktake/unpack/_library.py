"""The shared library libarchive: where it is, which version, which functions."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import sys
from ctypes import POINTER, c_char_p, c_int, c_int64, c_long, c_size_t, c_void_p
from dataclasses import dataclass
from typing import Any

from stocktake.errors import ArchiveUnsupportedError

OVERRIDE = "STOCKTAKE_LIBARCHIVE"
"""Environment variable: path of the library; empty or `none`: do without."""

INSTALL_HINT = "install libarchive: apt-get install libarchive13 (libarchive13t64 from Debian 13)"

READ_CALLBACK = ctypes.CFUNCTYPE(c_long, c_void_p, c_void_p, POINTER(c_void_p))
SEEK_CALLBACK = ctypes.CFUNCTYPE(c_int64, c_void_p, c_void_p, c_int64, c_int)

_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "archive_version_number": (c_int, ()),
    "archive_version_details": (c_char_p, ()),
    "archive_read_new": (c_void_p, ()),
    "archive_read_free": (c_int, (c_void_p,)),
    "archive_read_support_format_zip": (c_int, (c_void_p,)),
    "archive_read_support_format_7zip": (c_int, (c_void_p,)),
    "archive_read_support_format_rar": (c_int, (c_void_p,)),
    "archive_read_support_format_rar5": (c_int, (c_void_p,)),
    "archive_read_set_read_callback": (c_int, (c_void_p, READ_CALLBACK)),
    "archive_read_set_seek_callback": (c_int, (c_void_p, SEEK_CALLBACK)),
    "archive_read_set_callback_data": (c_int, (c_void_p, c_void_p)),
    "archive_read_open1": (c_int, (c_void_p,)),
    "archive_read_next_header": (c_int, (c_void_p, POINTER(c_void_p))),
    "archive_read_data_block": (
        c_int,
        (c_void_p, POINTER(c_void_p), POINTER(c_size_t), POINTER(c_int64)),
    ),
    "archive_read_has_encrypted_entries": (c_int, (c_void_p,)),
    "archive_error_string": (c_char_p, (c_void_p,)),
    "archive_entry_pathname": (c_char_p, (c_void_p,)),
    "archive_entry_pathname_utf8": (c_char_p, (c_void_p,)),
    "archive_entry_hardlink": (c_char_p, (c_void_p,)),
    "archive_entry_hardlink_utf8": (c_char_p, (c_void_p,)),
    "archive_entry_symlink": (c_char_p, (c_void_p,)),
    "archive_entry_symlink_utf8": (c_char_p, (c_void_p,)),
    "archive_entry_filetype": (ctypes.c_uint, (c_void_p,)),
    "archive_entry_size": (c_int64, (c_void_p,)),
    "archive_entry_size_is_set": (c_int, (c_void_p,)),
    "archive_entry_mtime": (c_int64, (c_void_p,)),
    "archive_entry_mtime_nsec": (c_long, (c_void_p,)),
    "archive_entry_mtime_is_set": (c_int, (c_void_p,)),
    "archive_entry_is_data_encrypted": (c_int, (c_void_p,)),
    "archive_entry_is_metadata_encrypted": (c_int, (c_void_p,)),
}


@dataclass(frozen=True, slots=True)
class Library:
    """A loaded libarchive.

    Attributes:
        c: Its functions, with declared types.
        version: As 3006002.
        found_as: What it was loaded by.
    """

    c: Any
    version: int
    found_as: str

    @property
    def version_text(self) -> str:
        """As `3.6.2`."""
        major, rest = divmod(self.version, 1_000_000)
        minor, patch = divmod(rest, 1_000)
        return f"{major}.{minor}.{patch}"


@dataclass(frozen=True, slots=True)
class LibraryStatus:
    """What unpacking can do on this machine.

    Attributes:
        version: Of libarchive, as `3.6.2`; None: it is not there.
        found_as: What it was loaded by.
        formats: What can be read, by the names of `ArchiveFormat` and of filters.
        hint: What to install for the rest; None if nothing is missing.
    """

    version: str | None
    found_as: str | None
    formats: tuple[str, ...]
    hint: str | None


def load_library() -> Library | None:
    """Libarchive as the environment says, as the system finds it, or by its usual name."""
    return _load(os.environ.get(OVERRIDE))


@functools.cache
def _load(override: str | None) -> Library | None:
    if override is not None and override.strip().lower() in ("", "none"):
        return None
    for name in [override] if override else _usual_names():
        try:
            c = ctypes.CDLL(name)
            for function, (result, arguments) in _FUNCTIONS.items():
                declared = getattr(c, function)
                declared.restype, declared.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        return Library(c, int(c.archive_version_number()), str(name))
    return None


def _usual_names() -> list[str]:
    """What to try. On Linux only the name: `find_library` calls gcc, which writes a file."""
    found = None if sys.platform == "linux" else ctypes.util.find_library("archive")
    return ["libarchive.so.13", "libarchive.13.dylib", *([found] if found else [])]


def need_library(library: Library | None, name: str, what: str) -> Library:
    """The library, or the error that says how to get it."""
    if library is None:
        raise ArchiveUnsupportedError(
            f"{name}: {what} needs libarchive, which is not installed", hint=INSTALL_HINT, name=name
        )
    return library
