"""Findings as tasks: what a person, or a program, can do about each.

A task names an action, the object, its two places and a command. Nothing is done here. A deletion
is only proposed if both sides were seen whole and live; otherwise the task is to look again.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from stocktake.clock import format_utc
from stocktake.model import S3Url
from stocktake.reconcile._findings import Finding, FindingKind, Severity
from stocktake.reconcile._report import ReconcileReport, Verdict
from stocktake.reconcile._request import ScanMode, ShouldKind
from stocktake.reconcile._said import should_text

TASKS_FORMAT = "stocktake-tasks"
TASKS_VERSION = 1


class Action(StrEnum):
    """What a task asks for."""

    UPLOAD = "upload"
    RESTORE = "restore"
    DELETE = "delete"
    INVESTIGATE = "investigate"
    RESCAN = "rescan"


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do.

    Attributes:
        action: What.
        key: The name that both sides share, as in the finding.
        severity: Of the finding.
        why: One sentence.
        finding: Kind of the finding; None for tasks about the whole comparison.
        source: Where the bytes are to come from: a path or an `s3://` address; None if unknown.
        target: The object, as an `s3://` address.
        command: A shell command; words in capitals are to be filled in. None if there is none.
    """

    action: Action
    key: str
    severity: Severity
    why: str
    finding: str | None = None
    source: str | None = None
    target: str | None = None
    command: str | None = None


def tasks_of(report: ReconcileReport, *, endpoint_url: str | None = None) -> Iterator[Task]:
    """The tasks of a report: first those about the whole of it, then one per finding it keeps.

    Args:
        report: What was found.
        endpoint_url: Of the store, for commands of other programs; None is AWS.
    """
    making = _Making(report, endpoint_url)
    yield from making.of_the_whole()
    for finding in report.findings:
        yield making.of(finding)


def tasks_document(report: ReconcileReport, *, endpoint_url: str | None = None) -> dict[str, Any]:
    """The task list as JSON: `docs/formats/reconcile-report.md` describes it."""
    tasks = list(tasks_of(report, endpoint_url=endpoint_url))
    return {
        "format": TASKS_FORMAT,
        "version": TASKS_VERSION,
        "made_at": format_utc(report.finished_at),
        "have": report.have.place,
        "should": should_text(report),
        "counts": dict(Counter(str(task.action) for task in tasks)),
        "left_out": report.findings_total - len(report.findings),
        "together": _together(report, tasks),
        "tasks": [asdict(task) for task in tasks],
    }


def _together(report: ReconcileReport, tasks: Iterable[Task]) -> dict[str, str]:
    """One command for all tasks of an action, where there is one."""
    actions = {task.action for task in tasks}
    should, source = report.config.should, str(report.config.have.source)
    plain = not (report.config.names.strip or report.config.names.add)
    if Action.UPLOAD in actions and should.kind is ShouldKind.FOLDER and plain:
        command = ["stocktake", "sync", should.place, source, "--dataset"]
        return {str(Action.UPLOAD): f"{shlex.join(command)} ID"}
    if Action.RESTORE in actions and should.kind is ShouldKind.MANIFEST:
        command = ["stocktake", "sync", "FOLDER", source, "--dataset", should.place]
        return {str(Action.RESTORE): shlex.join(command)}
    return {}


class _Making:
    """What all tasks of one report share."""

    def __init__(self, report: ReconcileReport, endpoint_url: str | None) -> None:
        self._report = report
        self._should = report.config.should
        self._source = report.config.have.source
        self._aws = ["aws"] + (["--endpoint-url", endpoint_url] if endpoint_url else [])
        self._is_live = report.mode is ScanMode.FULL and not report.is_partial

    def of_the_whole(self) -> Iterator[Task]:
        """What to do about what could not be looked at."""
        report = self._report
        if report.fell_back is not None:
            yield self._rescan(f"it is a sample only: {report.fell_back}")
        if report.is_partial:
            yield self._rescan("not everything could be looked at: see the notes of the report")
        undecided = [one for one in report.rules if one.verdict is Verdict.UNDECIDED]
        for one in undecided:
            yield Task(
                Action.RESCAN,
                one.prefix,
                Severity.MEDIUM,
                f"{one.expectation} of the rule {one.rule}: a sample could not decide",
                target=str(self._at(one.prefix)),
                command=self._look(one.prefix),
            )

    def of(self, finding: Finding) -> Task:
        """What to do about one finding."""
        action = self._action(finding)
        source = self._from(finding) if action in (Action.UPLOAD, Action.RESTORE) else None
        target = self._to(finding)
        return Task(
            action,
            finding.key,
            finding.severity,
            finding.why,
            finding=str(finding.kind),
            source=source,
            target=str(target),
            command=self._command(action, finding, source, target),
        )

    def _rescan(self, why: str) -> Task:
        prefix = self._source.key
        return Task(
            Action.RESCAN,
            "",
            Severity.HIGH,
            why,
            target=str(self._source),
            command=shlex.join(["stocktake", "scan", str(S3Url(self._source.bucket, prefix))]),
        )

    def _action(self, finding: Finding) -> Action:
        kind, should = finding.kind, self._should.kind
        if finding.is_prefix or kind in _TO_LOOK_AT:
            decided = self._report.mode is ScanMode.FULL
            return Action.INVESTIGATE if decided else Action.RESCAN
        if kind is FindingKind.STALE and finding.have_key is None:
            return Action.RESCAN  # what is there is too old to know of it
        if kind is FindingKind.EXTRA:
            return Action.DELETE if self._is_live else Action.RESCAN
        if kind is FindingKind.MISSING and should in (ShouldKind.MANIFEST, ShouldKind.SNAPSHOT):
            return Action.RESTORE
        return _BY_SHOULD.get(should, Action.INVESTIGATE)

    def _from(self, finding: Finding) -> str | None:
        """Where the right bytes are."""
        if finding.should_key is None:
            return None
        if self._should.kind is ShouldKind.FOLDER:
            return f"{self._should.place.rstrip('/')}/{finding.should_key}"
        if self._should.kind is ShouldKind.BUCKET:
            at = S3Url.parse(self._should.place)
            return str(S3Url(at.bucket, at.key + finding.should_key))
        return None

    def _to(self, finding: Finding) -> S3Url:
        if finding.have_key is not None:
            return S3Url(self._source.bucket, finding.have_key)
        return self._at(finding.key)

    def _at(self, name: str) -> S3Url:
        return S3Url(self._source.bucket, self._source.key + name)

    def _command(
        self, action: Action, finding: Finding, source: str | None, target: S3Url
    ) -> str | None:
        if action in (Action.UPLOAD, Action.RESTORE):
            if source is not None:
                return self._copy(source, target)
            if self._should.kind is ShouldKind.MANIFEST:
                words = ["stocktake", "manifest", "show", self._should.place]
                return shlex.join(words)
            return self._versions(target)
        if action is Action.DELETE:
            return shlex.join([*self._aws, "s3", "rm", str(target)])
        if finding.kind is FindingKind.WRONG_CLASS and finding.expected:
            wanted = finding.expected.partition(" or ")[0]
            words = [*self._aws, "s3", "cp", str(target), str(target), "--storage-class", wanted]
            return shlex.join(words)
        if finding.is_prefix:
            return self._look(finding.key)
        if action is Action.RESCAN:
            words = [*self._aws, "s3api", "head-object", "--bucket", target.bucket]
            return shlex.join([*words, "--key", target.key])
        if self._should.kind is ShouldKind.MANIFEST:
            return shlex.join(["stocktake", "manifest", "verify", self._should.place])
        return self._versions(target)

    def _copy(self, source: str, target: S3Url) -> str | None:
        if self._should.endpoint_url is not None:
            return None  # one call of that program knows one store
        return shlex.join([*self._aws, "s3", "cp", source, str(target)])

    def _versions(self, target: S3Url) -> str:
        words = [*self._aws, "s3api", "list-object-versions", "--bucket", target.bucket]
        return shlex.join([*words, "--prefix", target.key])

    def _look(self, name: str) -> str:
        return shlex.join(["stocktake", "scan", str(self._at(name))])


_TO_LOOK_AT = frozenset(
    {
        FindingKind.BELOW_EXPECTED,
        FindingKind.ABOVE_EXPECTED,
        FindingKind.PATTERN,
        FindingKind.WRONG_CLASS,
    }
)
_BY_SHOULD = {ShouldKind.FOLDER: Action.UPLOAD, ShouldKind.BUCKET: Action.RESTORE}
