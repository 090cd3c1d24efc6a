"""Which names of objects can be names of files in one tree, asked in key order."""

from __future__ import annotations

_NAME_BYTES_MAX = 255
_AFTER_SLASH = "0"  # the character behind `/`


class BagNames:
    """Tells of each name, in byte order, whether a file can have it beside those before it.

    Memory: the files whose names the current one begins with.
    """

    def __init__(self) -> None:
        self._open: list[str] = []

    def refusal(self, name: str) -> str | None:
        """Why no file can have this name; None if one can, and then it has it."""
        why = _refused(name)
        while self._open and name >= self._open[-1] + _AFTER_SLASH:
            self._open.pop()
        if why is None and any(name.startswith(f"{one}/") for one in self._open):
            why = "a file has the name of its folder"
        if why is None:
            self._open.append(name)
        return why


def _refused(name: str) -> str | None:
    parts = name.split("/")
    if "\0" in name:
        return "its name has a NUL"
    if not all(parts):
        return "its name has an empty part, or is that of a folder"
    if any(part in (".", "..") for part in parts):
        return "its name has a part `.` or `..`"
    if any(len(part.encode()) > _NAME_BYTES_MAX for part in parts):
        return f"its name has a part of more than {_NAME_BYTES_MAX} bytes"
    return None
