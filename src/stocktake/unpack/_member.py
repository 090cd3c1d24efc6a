"""What an archive holds, and how much of it is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class ArchiveFormat(StrEnum):
    """What an archive is, by its name and its first bytes."""

    ZIP = "zip"
    TAR = "tar"
    SEVEN_ZIP = "7z"
    RAR = "rar"
    SINGLE = "single"
    """One file, compressed: gz, bz2, xz, zst."""


class MemberKind(StrEnum):
    """What a member is. Only files have bytes."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive, also of an archive inside it.

    Attributes:
        ordinal: Place among all members of all levels, from 0; the same in every sweep.
        path: Where it goes, relative to the archive's own folder, `/` between parts. A member of a
            nested archive `a/b.zip` lies below `a/b/`.
        raw_path: The name as the archive has it (of the innermost archive only).
        kind: Only files have bytes; the rest is listed and skipped.
        size_bytes: As the archive declares it; None if it does not.
        modified_at: As the archive has it, aware UTC; None if it does not.
        link_target: Of links.
        depth: 0 in the archive itself, 1 in an archive inside it, ...
    """

    ordinal: int
    path: str
    raw_path: bytes
    kind: MemberKind
    size_bytes: int | None
    modified_at: datetime | None = None
    link_target: str | None = None
    depth: int = 0


class OpenMember(Protocol):
    """One member with its bytes. Valid until the next one is asked for; the reader has one thread.

    Bytes count as verified only when `blocks` has ended, or `read` has returned b"": a checksum
    comes after the bytes it is of; that of a packed tar after all members, when the walk has ended.
    What is left unread is skipped when the next one is asked for.
    """

    @property
    def member(self) -> Member:
        """What it is."""

    def read(self, size_bytes: int = -1) -> bytes:
        """Up to that many bytes, b"" at the verified end."""

    def blocks(self) -> Iterator[bytes]:
        """The rest, in pieces of at most 1 MiB."""


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """How much an archive may unpack to, all levels together.

    Attributes:
        members_max: Members of all kinds.
        total_bytes_max: Bytes of all files.
        member_ratio_max: Unpacked to packed bytes of one member, beyond `ratio_free_bytes`.
        ratio_free_bytes: A member may unpack to this many bytes whatever its ratio.
        depth_max: Levels of archives inside archives; 0 leaves them as they are.
        nested_memory_bytes: An inner archive that must be read in any order may take this much.
        decoder_memory_bytes: Memory that an xz, 7z or zstd decoder may ask for.
        duration_s_max: Seconds that reading may take in one sweep; what is done between two reads
            does not count.
    """

    members_max: int = 1_000_000
    total_bytes_max: int = 1 << 40
    member_ratio_max: float = 200.0
    ratio_free_bytes: int = 10 << 20
    depth_max: int = 3
    nested_memory_bytes: int = 64 << 20
    decoder_memory_bytes: int = 128 << 20
    duration_s_max: float = 6 * 3600.0
