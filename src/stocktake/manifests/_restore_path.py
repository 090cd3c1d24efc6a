"""Which paths may be made below a folder, and why others may not.

Nothing is changed into a name that is allowed: two keys would then be one file.
"""

from __future__ import annotations

import os
import re
from enum import StrEnum

from stocktake.errors import RestoreTargetError
from stocktake.model import display_key

NAME_BYTES_MAX = 255
"""What every usual file system takes for one name."""

_ESCAPE = re.compile(rb"%([0-9A-F]{2})")
_WINDOWS_CHARACTERS = re.compile(rb'[<>:"|?*\x00-\x1f\\]')
_WINDOWS_DEVICE = re.compile(rb"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?: *\.|:|$)", re.IGNORECASE)


class PathProblem(StrEnum):
    """Why a file is not written where it should be."""

    OUTSIDE = "outside"
    ILLEGAL_NAME = "illegal-name"
    TOO_LONG = "too-long"
    SYMLINK = "symlink"
    NO_FILE = "no-file"
    FILE_IN_THE_WAY = "file-in-the-way"
    FOLDER_IN_THE_WAY = "folder-in-the-way"
    SAME_NAME = "same-name"
    FOLDER_MARKER = "folder-marker"
    EXISTS = "exists"
    NOT_WRITABLE = "not-writable"


def path_error(path: bytes, problem: PathProblem, why: str) -> RestoreTargetError:
    """The error of a path: its attributes are `path` and `problem`."""
    shown = display_key(os.fsdecode(path))
    return RestoreTargetError(
        f"cannot restore `{shown}`: {why}", path=shown, problem=str(problem), why=why
    )


def names_of(path: bytes, *, windows: bool = os.name == "nt") -> list[bytes]:
    """The names that lead to a file, folders first.

    Args:
        path: Relative, with `/` between names.
        windows: Hold it to the rules of Windows: no drives, backslashes or names of devices.

    Raises:
        RestoreTargetError: The path could lead outside, or has a name that no file can have.
    """
    names = path.split(b"/")
    for name in names:
        problem, why = _problem(name)
        if not problem and windows:
            problem, why = _windows_problem(name)
        if problem:
            raise path_error(path, problem, why)
    return names


def _problem(name: bytes) -> tuple[PathProblem | None, str]:
    if name in (b".", b".."):
        return PathProblem.OUTSIDE, f"`{name.decode()}` would lead elsewhere"
    if not name:
        return PathProblem.ILLEGAL_NAME, "it has an empty name: `//`, or a `/` at an end"
    if b"\0" in name:
        return PathProblem.ILLEGAL_NAME, "it has a NUL character"
    if len(name) > NAME_BYTES_MAX:
        why = f"a name of {len(name)} bytes, files have {NAME_BYTES_MAX} at most"
        return PathProblem.TOO_LONG, why
    return None, ""


def _windows_problem(name: bytes) -> tuple[PathProblem | None, str]:
    if _WINDOWS_CHARACTERS.search(name) or name.endswith((b".", b" ")):
        return PathProblem.ILLEGAL_NAME, "Windows has no such name"
    if _WINDOWS_DEVICE.match(name):
        return PathProblem.ILLEGAL_NAME, "Windows has a device of this name"
    return None, ""


def unescape_path(text: str) -> bytes:
    r"""The bytes that a key's `%XX` stand for.

    >>> unescape_path("caf%E9")
    b'caf\xe9'
    """
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), os.fsencode(text))
