"""Sweep 1 of a source: everything is read and verified, nothing is uploaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from stocktake import faults, unpack
from stocktake.convert import ConversionPlan, TableKind, plan_conversion, plan_to_json, table_kind
from stocktake.errors import SourceTooLargeError
from stocktake.ship._keys import escape_path, member_key, plain_key, table_key
from stocktake.ship._part_digests import PlainDigests
from stocktake.ship._records import PlannedObject, PlanSummary, SourceJob, SourceKind
from stocktake.ship._task_context import TaskContext
from stocktake.ship._task_source import SourceFile, SourceStream, opened
from stocktake.store import OBJECT_BYTES_MAX
from stocktake.unpack import Member, MemberKind, OpenMember

_TOGETHER = 500
_SKIPPED_TOLD_MAX = 1000
_WARNINGS_MAX = 100
_DRAIN_BYTES = 1 << 20


class PlanSweep:
    """Sweep 1 of one source. What it finds is recorded as it goes, and holds once it has ended."""

    def __init__(self, context: TaskContext, job: SourceJob) -> None:
        self._context = context
        self._settings = context.settings
        self._job = job
        self._found: list[PlannedObject] = []
        self._objects = 0
        self._skipped: list[dict[str, str]] = []
        self._skipped_count = 0
        self._warnings: list[str] = []

    def run(self) -> PlanSummary:
        """Read it all and record what it becomes.

        Raises:
            StocktakeError: It is damaged, refused, changing, or would collide with another.
            OSError: It cannot be read.
        """
        self._check_size()
        with opened(self._settings, self._job) as source:
            faults.reached("ship.plan-begun")
            sha256 = self._sweep(source)
            source.recheck()
        self._flush()
        summary = PlanSummary(
            sha256,
            self._objects,
            tuple(self._skipped),
            self._skipped_count,
            tuple(self._warnings),
        )
        self._context.recorder.end_plan(self._job.source_id, summary)
        faults.reached("ship.plan-ended")
        return summary

    def _check_size(self) -> None:
        size_bytes = self._job.identity.size_bytes
        limit = self._settings.file_bytes_max
        if limit is not None and size_bytes > limit:
            raise self._too_large(limit, "raise --file-bytes-max, or leave it out of the folder")
        if self._job.kind is SourceKind.PLAIN and size_bytes > OBJECT_BYTES_MAX:
            raise self._too_large(OBJECT_BYTES_MAX, "no S3 object can be larger: split it")

    def _too_large(self, limit_bytes: int, hint: str) -> SourceTooLargeError:
        shown = escape_path(self._job.path)
        size_bytes = self._job.identity.size_bytes
        return SourceTooLargeError(
            f"`{shown}` has {size_bytes:,} bytes, {limit_bytes:,} are allowed",
            hint=hint,
            path=shown,
            size_bytes=size_bytes,
            limit_bytes=limit_bytes,
        )

    def _sweep(self, source: SourceFile) -> str:
        """Find all objects; gives the source's SHA-256."""
        if self._job.kind is SourceKind.ARCHIVE:
            return self._archive(source)
        if self._job.kind is SourceKind.TABLE:
            kind = table_kind(source.shown)
            if kind is not None:
                return self._table(source, kind)
        return self._plain(source)

    def _plain(self, source: SourceFile) -> str:
        with PlainDigests(with_crc=self._context.uploader.profile.full_object_crc) as digests:
            self._read_through(source, digests.update)
        sha256, told = digests.results()
        size_bytes = source.size_bytes
        key = plain_key(self._settings, self._job.path)
        self._add(PlannedObject(0, None, key, None, size_bytes, size_bytes, sha256, told))
        return sha256

    def _read_through(self, source: SourceFile, take: Callable[[memoryview], None]) -> None:
        told = self._context.told(self._job, "plan")
        done_bytes = 0
        for piece in source.views():
            take(piece)
            done_bytes += len(piece)
            told(done_bytes)

    def _table(self, source: SourceFile, kind: TableKind) -> str:
        key = table_key(self._settings, self._job.path)
        stream = SourceStream(source, self._context.told(self._job, "plan"))
        plan = plan_conversion(stream, kind, self._settings.convert, name=source.shown)
        self._warn(*plan.warnings)
        if plan.rows is None:
            self._skip(source.shown, "it has no rows and no columns")
        else:
            self._add(_planned_table(0, None, key, kind, plan))
        return plan.sha256

    def _archive(self, source: SourceFile) -> str:
        digest = hashlib.sha256()
        self._read_through(source, digest.update)
        told = self._context.told(self._job, "plan")
        source.file.seek(0)
        name = source.shown.rpartition("/")[2]
        with unpack.walk(
            source.file, name, self._settings.limits, clock=self._context.clock
        ) as members:
            for opened_member in members:
                told(source.file.tell())
                self._member(opened_member)
        return digest.hexdigest()

    def _member(self, opened_member: OpenMember) -> None:
        member = opened_member.member
        if member.kind is not MemberKind.FILE:
            if member.kind is not MemberKind.FOLDER:
                self._skip(member.path, _reason(member))
            return
        kind = table_kind(member.path) if self._settings.convert_tables else None
        key = member_key(self._settings, self._job.path, member.path, kind is not None)
        if kind is None:
            self._plain_member(opened_member, key)
            return
        name = f"{escape_path(self._job.path)}!{member.path}"
        plan = plan_conversion(opened_member, kind, self._settings.convert, name=name)
        self._warn(*(f"{member.path}: {warning}" for warning in plan.warnings))
        while opened_member.read(_DRAIN_BYTES):
            pass  # what is verified is verified at the end
        if plan.rows is None:
            self._skip(member.path, "it has no rows and no columns")
            return
        self._add(_planned_table(member.ordinal, member.path, key, kind, plan))

    def _plain_member(self, opened_member: OpenMember, key: str) -> None:
        member = opened_member.member
        digest, size_bytes = hashlib.sha256(), 0
        for block in opened_member.blocks():
            self._context.patience.check()
            digest.update(block)
            size_bytes += len(block)
        sha256 = digest.hexdigest()
        planned = PlannedObject(
            member.ordinal, member.path, key, None, size_bytes, size_bytes, sha256
        )
        self._add(planned)

    def _warn(self, *warnings: str) -> None:
        self._warnings.extend(warnings[: _WARNINGS_MAX - len(self._warnings)])

    def _skip(self, entry: str, reason: str) -> None:
        self._skipped_count += 1
        if len(self._skipped) < _SKIPPED_TOLD_MAX:
            self._skipped.append({"entry": entry, "reason": reason})

    def _add(self, planned: PlannedObject) -> None:
        self._objects += 1
        self._found.append(planned)
        if len(self._found) >= _TOGETHER:
            self._flush()

    def _flush(self) -> None:
        if self._found:
            self._context.recorder.add_planned(self._job.source_id, self._found)
            faults.reached("ship.plan-entries-recorded")
            self._found = []


def _planned_table(
    ordinal: int, entry: str | None, key: str, kind: TableKind, plan: ConversionPlan
) -> PlannedObject:
    told: dict[str, Any] = json.loads(plan_to_json(plan))
    return PlannedObject(
        ordinal, entry, key, str(kind), plan.size_bytes, plan.bound_bytes, plan.sha256, told
    )


def _reason(member: Member) -> str:
    if member.kind is MemberKind.LINK:
        return f"a link to `{member.link_target}`" if member.link_target else "a link"
    return "a device, a pipe or a socket"
