"""Work of `unpack`: an archive into a folder, or its members as a list."""

from __future__ import annotations

import codecs
import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._text import parse_size, plural, size_text
from stocktake.errors import DiskFullError, InvalidSettingError, UsageError
from stocktake.model import display_key
from stocktake.unpack import (
    Member,
    MemberKind,
    OpenMember,
    UnpackLimits,
    Walk,
    archive_stem,
    unpack_to,
    walk,
)

_EXIT_PARTIAL = 3
_SHORT_DIGITS = 12
_COLUMNS = (Column("SIZE", right=True), Column("SHA256"), Column("PATH", flexible=True))
_REASONS = {
    MemberKind.LINK: "links are not made",
    MemberKind.DEVICE: "devices and pipes are not made",
}


@dataclass(frozen=True, slots=True)
class UnpackRequest:
    """What `unpack` was asked for."""

    archive: str
    out: str | None
    list_only: bool
    size_max: str
    depth_max: int
    code_page: str

    def limits(self) -> UnpackLimits:
        """The limits that the options name."""
        total_bytes_max = parse_size(self.size_max, "--max-size")
        return UnpackLimits(total_bytes_max=total_bytes_max, depth_max=self.depth_max)

    def target_dir(self) -> Path:
        """Where the files go."""
        if self.out is not None:
            return Path(self.out)
        return Path(archive_stem(Path(self.archive).name))

    def check(self) -> None:
        """Refuse what cannot be meant, before anything is opened."""
        try:
            codecs.lookup(self.code_page)
        except LookupError:
            raise InvalidSettingError(
                f"--code-page is `{self.code_page}`, no encoding that is known",
                hint="write it as cp437, cp850, cp1252 or shift_jis",
            ) from None
        if self.list_only and self.out is not None:
            raise UsageError(
                "--list writes nothing, --out says where to", hint="leave one of them away"
            )


def unpack_archive(run: Run, request: UnpackRequest) -> int:
    """Answer `unpack`."""
    request.check()
    with _opened(request.archive) as source:
        if request.list_only:
            return _list(run, request, source)
        return _unpack(run, request, source)


def _unpack(run: Run, request: UnpackRequest, source: BinaryIO) -> int:
    target_dir = request.target_dir()
    limits = request.limits()
    with run.watch() as progress, _disk_errors(target_dir):
        progress.phase("unpacking", None, "members")
        done = unpack_to(
            source,
            target_dir,
            name=request.archive,
            limits=limits,
            clock=run.clock,
            code_page=request.code_page,
            on_member=lambda _: progress.advance(1),
        )
    skipped = [_skipped(member) for member in done.skipped]
    if run.out.json:
        source.seek(0)
        with walk(source, request.archive, limits, clock=run.clock) as members:
            name = str(members.format)
        run.out.document(
            {
                "archive": request.archive,
                "format": name,
                "target": str(target_dir),
                "files": done.files,
                "size_bytes": done.size_bytes,
                "skipped": skipped,
            }
        )
    else:
        run.out.line(f"{plural(done.files, 'file')}, {size_text(done.size_bytes)} in {target_dir}")
    _warn(run, skipped)
    return _EXIT_PARTIAL if skipped else 0


@dataclass
class _Listing:
    """The members as they are read, and the sums of those that were."""

    members: Walk
    files: int = 0
    size_bytes: int = 0
    skipped: list[dict[str, Any]] = field(default_factory=list)

    def rows(self) -> Iterator[dict[str, Any]]:
        """One per file; a row is there when its bytes are verified."""
        for opened in self.members:
            member = opened.member
            if member.kind is MemberKind.FOLDER:
                continue
            if member.kind is not MemberKind.FILE:
                self.skipped.append(_skipped(member))
                continue
            sha256, size_bytes = _digest(opened)
            self.files += 1
            self.size_bytes += size_bytes
            yield {
                "path": member.path,
                "size_bytes": size_bytes,
                "sha256": sha256,
                "modified_at": member.modified_at,
                "depth": member.depth,
            }

    def tail(self) -> dict[str, Any]:
        """The sums."""
        return {"files": self.files, "size_bytes": self.size_bytes, "skipped": self.skipped}


def _list(run: Run, request: UnpackRequest, source: BinaryIO) -> int:
    opened = walk(
        source, request.archive, request.limits(), clock=run.clock, code_page=request.code_page
    )
    with opened as members:
        listing = _Listing(members)
        if run.out.json:
            head = {"archive": request.archive, "format": str(members.format)}
            run.out.rows_document(head, listing.rows(), "members", listing.tail)
            return 0
        run.out.table(
            _COLUMNS,
            (
                (
                    size_text(row["size_bytes"]),
                    row["sha256"][:_SHORT_DIGITS],
                    display_key(row["path"]),
                )
                for row in listing.rows()
            ),
        )
    run.out.line()
    run.out.line(
        f"{plural(listing.files, 'file')}, {size_text(listing.size_bytes)}, all checksums verified"
    )
    _warn(run, listing.skipped)
    return 0


def _digest(opened: OpenMember) -> tuple[str, int]:
    sha256, size_bytes = hashlib.sha256(), 0
    for block in opened.blocks():
        sha256.update(block)
        size_bytes += len(block)
    return sha256.hexdigest(), size_bytes


def _skipped(member: Member) -> dict[str, Any]:
    return {
        "path": member.path,
        "kind": str(member.kind),
        "reason": _REASONS.get(member.kind, "no file"),
        "link_target": member.link_target,
    }


def _warn(run: Run, skipped: list[dict[str, Any]]) -> None:
    for one in skipped:
        leads = f" -> {display_key(one['link_target'])}" if one["link_target"] else ""
        run.out.warn(f"skipped {display_key(one['path'])}{leads}: {one['reason']}")


@contextmanager
def _opened(archive: str) -> Iterator[BinaryIO]:
    try:
        source = Path(archive).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError(f"cannot read `{archive}`: {error.strerror}") from error
    with source:
        yield source


@contextmanager
def _disk_errors(target_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(f"no space is left for `{target_dir}`") from error
        raise UsageError(
            f"cannot write below `{target_dir}`: {error.strerror}", hint="name a folder with --out"
        ) from error
