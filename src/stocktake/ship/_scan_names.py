"""Which names are never shipped: unfinished files, hidden ones, and those of editors."""

from __future__ import annotations

PARTIAL_SUFFIXES = (".tmp", ".part", ".partial", ".crdownload", ".filepart")
"""What programs name a file that they have not finished; upper case too."""

_SUFFIXES = tuple(suffix.encode() for suffix in PARTIAL_SUFFIXES)


def is_ignored(name: bytes) -> bool:
    """Whether a file or folder of this name is passed over.

    >>> is_ignored(b".hidden"), is_ignored(b"a.PART"), is_ignored(b"a.csv~"), is_ignored(b"a.csv")
    (True, True, True, False)
    """
    return name.startswith((b".", b"~")) or name.endswith(b"~") or name.lower().endswith(_SUFFIXES)
