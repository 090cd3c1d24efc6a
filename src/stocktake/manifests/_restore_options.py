"""What a restore is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

WORKERS_DEFAULT = 16
FINDINGS_KEPT_MAX = 10_000


class Overwrite(StrEnum):
    """What becomes of a file that is there already."""

    NEVER = "never"
    DIFFERENT = "different"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What is restored, and how.

    Attributes:
        version: Of the manifest; None: the one there is now.
        include: Globs as for `--exclude` of sync: only paths that match one; empty: all.
        overwrite: What becomes of files that are there and are others. Those that have the right
            bytes already are never fetched again, but with `ALWAYS`.
        read_back: Read every file from the disk once more and compare it.
        dry_run: Only say what would be done; nothing is made, nothing asked of the store.
        workers: Files at once.
    """

    version: int | None = None
    include: Sequence[str] = ()
    overwrite: Overwrite = Overwrite.NEVER
    read_back: bool = False
    dry_run: bool = False
    workers: int = WORKERS_DEFAULT


class RestoreProblem(StrEnum):
    """Why a file was not restored, beside the `PathProblem`s."""

    GONE = "gone"
    CHANGED = "changed"
    MISMATCH = "mismatch"
    ARCHIVED = "archived"
    UNREADABLE = "unreadable"
    NOT_TRIED = "not-tried"


@dataclass(frozen=True, slots=True)
class RestoreFinding:
    """A file that was not restored.

    Attributes:
        key: The object's.
        path: Below the target, as it is shown.
        problem: A `RestoreProblem` or a `PathProblem`.
        why: For people.
        hint: What helps, if anything is known to.
    """

    key: str
    path: str
    problem: str
    why: str
    hint: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {name: getattr(self, name) for name in ("key", "path", "problem", "why", "hint")}


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What came of a restore.

    Attributes:
        run_id: Of the download history; None for a dry run.
        version: Of the manifest.
        files: That were restored (a dry run: would be).
        size_bytes: Of these.
        replaced: Of these, how many took the place of another file.
        unproven: Of these, how many had nothing but their size to be compared with.
        identical: Files that were there with the right bytes.
        folders: Folder markers.
        excluded: Files that no glob asked for.
        problems: Counts by problem.
        findings: The first `FINDINGS_KEPT_MAX` of them, in key order.
        leftovers: Unfinished files of earlier runs that were removed.
        interrupted: It was stopped: by the user or because the store does not answer.
    """

    run_id: str | None
    dataset: str
    target: str
    version: int
    files: int = 0
    size_bytes: int = 0
    replaced: int = 0
    unproven: int = 0
    identical: int = 0
    folders: int = 0
    excluded: int = 0
    problems: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[RestoreFinding, ...] = ()
    leftovers: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)
    received_bytes: int = 0
    elapsed_s: float = 0.0
    interrupted: str | None = None

    @property
    def is_complete(self) -> bool:
        """Everything that was asked for is there."""
        return not self.problems and self.interrupted is None

    def to_dict(self, *, findings: bool = True) -> dict[str, Any]:
        """Its JSON form."""
        names = [name for name in self.__dataclass_fields__ if name != "findings"]
        values = {name: getattr(self, name) for name in names}
        values["problems"], values["calls"] = dict(self.problems), dict(self.calls)
        values["elapsed_s"] = round(self.elapsed_s, 3)
        if findings:
            values["findings"] = [one.to_dict() for one in self.findings]
        return values
