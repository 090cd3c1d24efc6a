"""What is an archive: the name says so, and the first bytes agree."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from stocktake.errors import ArchiveIncompleteError, ArchiveUnsupportedError, NotAnArchiveError
from stocktake.unpack._member import ArchiveFormat

HEAD_BYTES = 1024
TAR_BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True)
class NamedFormat:
    """What a file's name promises: a container, a filter around it, or both."""

    suffix: str
    container: ArchiveFormat
    packing: str | None = None


_FORMATS = (
    NamedFormat(".zip", ArchiveFormat.ZIP),
    NamedFormat(".7z", ArchiveFormat.SEVEN_ZIP),
    NamedFormat(".rar", ArchiveFormat.RAR),
    NamedFormat(".tar", ArchiveFormat.TAR),
    *(
        NamedFormat(suffix, ArchiveFormat.TAR, packing)
        for packing, suffixes in (
            ("gz", ".tar.gz .tgz .taz"),
            ("bz2", ".tar.bz2 .tbz2 .tbz .tb2"),
            ("xz", ".tar.xz .txz"),
            ("zst", ".tar.zst .tzst .tar.zstd"),
        )
        for suffix in suffixes.split()
    ),
    *(
        NamedFormat(suffix, ArchiveFormat.SINGLE, packing)
        for suffix, packing in (
            (".gz", "gz"),
            (".bz2", "bz2"),
            (".xz", "xz"),
            (".zst", "zst"),
            (".zstd", "zst"),
        )
    ),
)
"""Longer suffixes before those they end in."""
_LAST_PARTS = frozenset(promised.suffix.rpartition(".")[2] for promised in _FORMATS)

_MAGICS: dict[str, tuple[bytes, ...]] = {
    ArchiveFormat.ZIP: (b"PK\x03\x04", b"PK\x05\x06"),
    ArchiveFormat.SEVEN_ZIP: (b"7z\xbc\xaf\x27\x1c",),
    ArchiveFormat.RAR: (b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"),
    "gz": (b"\x1f\x8b\x08",),
    "bz2": (*(b"BZh%d1AY&SY" % level for level in range(1, 10)),
            *(b"BZh%d\x17rE8P\x90" % level for level in range(1, 10))),
    "xz": (b"\xfd7zXZ\x00",),
    "zst": (b"\x28\xb5\x2f\xfd", *(b"%c\x2a\x4d\x18" % first for first in range(0x50, 0x60))),
}  # fmt: skip
_SPANNED = (b"PK\x07\x08", b"PK00PK\x03\x04")
_PROGRAMS = (b"MZ", b"\x7fELF", b"#!")
"""What a self-extracting ZIP may begin with; its directory at the end decides."""


def named_format(name: str) -> NamedFormat | None:
    """What the name promises; None if it is not an archive's name."""
    if name.rpartition(".")[2].lower() not in _LAST_PARTS:
        return None
    lowered = name.rpartition("/")[2].lower()
    for promised in _FORMATS:
        if lowered.endswith(promised.suffix) and len(lowered) > len(promised.suffix):
            return promised
    return None


def is_archive_name(name: str) -> bool:
    """Whether a file of this name is taken for an archive."""
    return named_format(name) is not None


def archive_stem(name: str) -> str:
    """The name without the archive's suffix: `a/x.tar.gz` -> `a/x`, `x.csv.gz` -> `x.csv`."""
    promised = named_format(name)
    return name if promised is None else name[: -len(promised.suffix)]


def detect(name: str, head: bytes) -> ArchiveFormat | None:
    """What kind of archive this is; None if the name is no archive's name.

    Args:
        name: The file's name or path.
        head: Its first 512 or more bytes, or all of it.

    Raises:
        NotAnArchiveError: The bytes are of something else.
        ArchiveIncompleteError: The file ends inside the first bytes.
        ArchiveUnsupportedError: One volume of a ZIP in several.
    """
    promised = named_format(name)
    if promised is None:
        return None
    if promised.container is ArchiveFormat.ZIP:
        _check_zip(name, head)
    elif promised.packing is not None:
        _check_magic(name, head, promised.packing)
        if promised.packing == "gz" and is_tar(_first_of_gzip(head)):
            return ArchiveFormat.TAR
    elif promised.container is ArchiveFormat.TAR:
        _check_tar(name, head)
    else:
        _check_magic(name, head, promised.container)
    return promised.container


def _check_magic(name: str, head: bytes, kind: str) -> None:
    magics = _MAGICS[kind]
    if head.startswith(magics):
        return
    if head and any(magic.startswith(head) for magic in magics):
        raise ArchiveIncompleteError(f"{name} ends after {len(head)} bytes", name=name)
    raise NotAnArchiveError(f"{name} is not {kind}: it {_begins(head)}", name=name)


def _check_zip(name: str, head: bytes) -> None:
    if head.startswith(_SPANNED):
        raise ArchiveUnsupportedError(
            f"{name} is one of several volumes", hint="join them first: zip -s 0", name=name
        )
    if not head.startswith(_PROGRAMS):
        _check_magic(name, head, ArchiveFormat.ZIP)


def _check_tar(name: str, head: bytes) -> None:
    if head and len(head) < TAR_BLOCK_BYTES and not head.startswith((b"<", b"{")):
        raise ArchiveIncompleteError(f"{name} ends after {len(head)} bytes", name=name)
    if not is_tar(head):
        raise NotAnArchiveError(f"{name} is not tar: it {_begins(head)}", name=name)


def _begins(head: bytes) -> str:
    return f"begins with {head[:16]!r}" if head else "is empty"


def is_tar(head: bytes) -> bool:
    """Whether this is a tar header, or the end of an empty tar."""
    block = head[:TAR_BLOCK_BYTES]
    if len(block) < TAR_BLOCK_BYTES:
        return False
    if not block.strip(b"\0"):
        return True
    try:
        told = int(block[148:156].strip(b"\0 ") or b"x", 8)
    except ValueError:
        return False
    return told == sum(block[:148]) + 8 * 32 + sum(block[156:])


def _first_of_gzip(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(head, TAR_BLOCK_BYTES)
    except zlib.error:
        return b""
