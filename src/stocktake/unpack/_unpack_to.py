"""An archive into a folder: verified whole first, and nothing that exists is touched."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stocktake.clock import Clock
from stocktake.errors import ArchivePathError, UsageError
from stocktake.unpack._member import Member, MemberKind, OpenMember, UnpackLimits
from stocktake.unpack._streams import SeekableFile
from stocktake.unpack._walk import walk


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What was written.

    Attributes:
        files: How many.
        size_bytes: Of all of them.
        skipped: Links and devices, which are never made.
    """

    files: int
    size_bytes: int
    skipped: tuple[Member, ...]


def unpack_to(
    source: SeekableFile,
    target_dir: Path,
    *,
    name: str,
    limits: UnpackLimits | None = None,
    clock: Clock,
    code_page: str = "cp437",
    on_member: Callable[[Member], None] | None = None,
) -> Unpacked:
    """Write an archive's files below a folder, which is made if it is not there.

    The whole archive is verified before the first file is written, so it is read twice.

    Args:
        source: The archive, opened with "rb".
        target_dir: Where to.
        name: The archive's name.
        limits: How much it may unpack to.
        clock: For the time limit.
        code_page: Of ZIP names that do not say how they are encoded.
        on_member: Told of each member before it is written.

    Raises:
        ArchiveError: Nothing was written.
        UsageError: A file is there already; nothing was written, unless it came meanwhile.
    """
    with walk(source, name, limits, clock=clock, code_page=code_page) as members:
        for opened in members:
            for _ in opened.blocks():
                pass
            if opened.member.kind is MemberKind.FILE:
                _check_free(target_dir / opened.member.path)
    files = size_bytes = 0
    skipped = []
    with walk(source, name, limits, clock=clock, code_page=code_page) as members:
        target_dir.mkdir(parents=True, exist_ok=True)
        for opened in members:
            member = opened.member
            if on_member is not None:
                on_member(member)
            if member.kind is MemberKind.FILE:
                size_bytes += _write(opened, target_dir / member.path)
                files += 1
            elif member.kind is MemberKind.FOLDER:
                _make_folder(target_dir / member.path)
            else:
                skipped.append(member)
    return Unpacked(files, size_bytes, tuple(skipped))


def _check_free(path: Path) -> None:
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already", hint="unpack into an empty folder")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ArchivePathError(f"{path}: a file is where a folder should be") from error


def _write(opened: OpenMember, path: Path) -> int:
    """One file, whole or not at all."""
    _make_folder(path.parent)
    size_bytes = 0
    try:
        file = path.open("xb")
    except FileExistsError as error:
        raise UsageError(f"{path} exists already", hint="unpack into an empty folder") from error
    try:
        with file:
            for block in opened.blocks():
                file.write(block)
                size_bytes += len(block)
    except BaseException:
        path.unlink()
        raise
    if opened.member.modified_at is not None:
        stamp_s = opened.member.modified_at.timestamp()
        os.utime(path, (stamp_s, stamp_s))
    return size_bytes
