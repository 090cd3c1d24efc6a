"""Findings as they come: all counted, the worst kept, all written to a file if one is wanted."""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from stocktake.errors import DiskFullError, ReconcileError
from stocktake.reconcile._findings import Finding, FindingKind, Severity


class FindingLog:
    """Takes findings in; memory is that of `kept_max` findings per severity.

    The file is written as `<name>.part` and gets its name by `finish`: one that has it is whole.
    """

    def __init__(self, kept_max: int, file: Path | None = None) -> None:
        self._kept_max = kept_max
        self._kept: dict[Severity, list[Finding]] = {one: [] for one in Severity}
        self.by_kind: Counter[FindingKind] = Counter()
        self.by_severity: Counter[Severity] = Counter()
        self._file = file
        self._out: TextIO | None = None
        if file is not None:
            self._out = _open(_part(file))

    @property
    def total(self) -> int:
        """All findings so far."""
        return self.by_kind.total()

    def room(self, severity: Severity) -> int | None:
        """How many more findings of a severity have to be made; the rest need only be counted.

        None: all of them, for the file.
        """
        if self._out is not None:
            return None
        return max(0, self._kept_max - len(self._kept[severity]))

    def add(self, finding: Finding) -> None:
        """Take one in."""
        self.count(finding.kind, finding.severity, 1)
        kept = self._kept[finding.severity]
        if len(kept) < self._kept_max:
            kept.append(finding)
        if self._out is not None:
            try:
                self._out.write(json.dumps(finding_json(finding), ensure_ascii=False) + "\n")
            except OSError as error:
                raise _write_error(self._file, error) from error

    def count(self, kind: FindingKind, severity: Severity, number: int) -> None:
        """Count findings that are not made."""
        if number:
            self.by_kind[kind] += number
            self.by_severity[severity] += number

    def kept(self) -> tuple[Finding, ...]:
        """The worst ones, at most `kept_max`, the worst first, then by key."""
        found: list[Finding] = []
        for severity in Severity:
            ordered = sorted(self._kept[severity], key=lambda one: (not one.is_prefix, one.key))
            found += ordered[: self._kept_max - len(found)]
        return tuple(found)

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            DiskFullError: It does not fit.
            ReconcileError: It cannot be written.
        """
        if self._out is None or self._file is None:
            return
        try:
            self._out.flush()
            os.fsync(self._out.fileno())
            self._out.close()
            _part(self._file).replace(self._file)
        except OSError as error:
            raise _write_error(self._file, error) from error
        self._out = None

    def abandon(self) -> None:
        """Remove the unfinished file, if there is one."""
        if self._out is not None and self._file is not None:
            with suppress(OSError):
                self._out.close()
            _part(self._file).unlink(missing_ok=True)
            self._out = None


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as reports and findings files have it, keys as they are."""
    return {
        "kind": str(finding.kind),
        "severity": str(finding.severity),
        "key": finding.key,
        "is_prefix": finding.is_prefix,
        "why": finding.why,
        "expected": finding.expected,
        "found": finding.found,
        "have_key": finding.have_key,
        "should_key": finding.should_key,
        "size_bytes": finding.size_bytes,
        "rule": finding.rule,
    }


def add_all(log: FindingLog, findings: Iterable[Finding]) -> None:
    """Take several in."""
    for one in findings:
        log.add(one)


def _part(file: Path) -> Path:
    return file.with_name(f"{file.name}.part")


def _open(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise _write_error(path, error) from error


def _write_error(path: Path | None, error: OSError) -> ReconcileError | DiskFullError:
    if error.errno == errno.ENOSPC:
        return DiskFullError(f"no space left for the findings in {path}", path=str(path))
    return ReconcileError(
        f"the findings cannot be written to {path}: {error.strerror}",
        hint="choose another place for the file of findings",
        path=str(path),
    )
