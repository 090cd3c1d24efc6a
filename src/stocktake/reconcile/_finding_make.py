"""Rows to findings: the sentence, the two names, the two values. Made only as far as kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from stocktake.clock import format_utc
from stocktake.reconcile._finding_log import FindingLog
from stocktake.reconcile._findings import Finding, FindingKind, SeverityRule
from stocktake.reconcile._named_side import NamedSide
from stocktake.reconcile._side import Proof, SideKind

Row = dict[str, Any]

_FOLDER_WORDS = {SideKind.FOLDER: "the folder", SideKind.MANIFEST: "the manifest"}


@dataclass(frozen=True, slots=True)
class FindingMaker:
    """Makes findings of rows and logs them; beyond what the log keeps, rows are only counted."""

    log: FindingLog
    severities: SeverityRule
    should: NamedSide
    have: NamedSide

    def missing(self, rows: pa.RecordBatch) -> None:
        """Objects that should be there."""
        why = f"{self._should_word()} has it, {self._have_word()} does not"
        self._each(FindingKind.MISSING, rows, lambda row: self._lone(row, why))

    def not_known_yet(self, rows: pa.RecordBatch) -> None:
        """Objects made after the instant that HAVE speaks of."""
        as_of = self.have.facts.as_of
        assert as_of is not None
        why = (
            f"made after {format_utc(as_of)}, which is all that {self._have_word()} speaks of: "
            "whether it is there is not known"
        )
        self._each(FindingKind.STALE, rows, lambda row: self._lone(row, why))

    def surplus(self, rows: pa.RecordBatch) -> None:
        """Objects that SHOULD does not know."""
        why = f"{self._have_word()} has it, {self._should_word()} does not know it"

        def one(row: Row) -> dict[str, Any]:
            key = row["key"]
            return {
                "why": why,
                "found": _size(row),
                "have_key": self._have_key(key),
                "size_bytes": row["size_bytes"],
            }

        self._each(FindingKind.EXTRA, rows, one)

    def wrong_class(self, rows: pa.RecordBatch, allowed: Sequence[str]) -> None:
        """Objects of another storage class than is wanted."""
        wanted = " or ".join(allowed)

        def one(row: Row) -> dict[str, Any]:
            found = row["storage_class"] or "STANDARD"
            return {
                "why": f"its storage class is {found}, not {wanted}",
                "expected": wanted,
                "found": found,
                "have_key": self._have_key(row["key"]),
                "size_bytes": row["size_bytes"],
            }

        self._each(FindingKind.WRONG_CLASS, rows, one)

    def differing(
        self,
        kind: FindingKind,
        should: pa.RecordBatch,
        have: pa.RecordBatch,
        *,
        proofs: Sequence[Proof] | None = None,
        same_objects: bool = False,
        is_total: bool = False,
    ) -> None:
        """Objects that both have, and that are not alike; row by row."""
        severity = self.severities.of(kind, is_total=is_total)
        number, room = should.num_rows, self.log.room(severity)
        made = number if room is None else min(number, room)
        left, right = should.slice(0, made).to_pylist(), have.slice(0, made).to_pylist()
        for index, (a, b) in enumerate(zip(left, right, strict=True)):
            proof = proofs[index] if proofs is not None else None
            why, expected, found = self._difference(kind, a, b, proof, same_objects=same_objects)
            self.log.add(
                Finding(
                    kind=kind,
                    severity=severity,
                    key=a["key"],
                    why=why,
                    expected=expected,
                    found=found,
                    have_key=self._have_key(b["key"]),
                    should_key=self.should.own_name(a["key"]),
                    size_bytes=b["size_bytes"],
                )
            )
        self.log.count(kind, severity, number - made)

    def _each(
        self, kind: FindingKind, rows: pa.RecordBatch, values: Callable[[Row], dict[str, Any]]
    ) -> None:
        severity = self.severities.of(kind)
        room = self.log.room(severity)
        made = rows.num_rows if room is None else min(rows.num_rows, room)
        for row in rows.slice(0, made).to_pylist():
            self.log.add(Finding(kind=kind, severity=severity, key=row["key"], **values(row)))
        self.log.count(kind, severity, rows.num_rows - made)

    def _lone(self, row: Row, why: str) -> dict[str, Any]:
        return {
            "why": why,
            "expected": _size(row),
            "should_key": self.should.own_name(row["key"]),
            "size_bytes": row["size_bytes"],
        }

    def _difference(
        self, kind: FindingKind, a: Row, b: Row, proof: Proof | None, *, same_objects: bool
    ) -> tuple[str, str | None, str | None]:
        """Why, expected, found."""
        if kind is FindingKind.STALE:
            expected, found = _time(a), _time(b)
            why = (
                f"older than what it should be a copy of ({found}, not {expected}), and their "
                "checksums cannot be compared"
            )
            return why, expected, found
        if kind in (FindingKind.SIZE_MISMATCH, FindingKind.EMPTY):
            expected, found = _size(a), _size(b)
            empty = " no bytes" if kind is FindingKind.EMPTY else f" {found}"
            return f"it has{empty}, and should have {expected}", expected, found
        if proof is not None:
            return proof.why, proof.expected, b["etag"]
        if a["sha256"] and b["sha256"] and a["sha256"] != b["sha256"]:
            return "the SHA-256 is another one", a["sha256"], b["sha256"]
        expected, found = a["md5"] or a["etag"], b["md5"] or b["etag"]
        if same_objects and a["etag"] != b["etag"]:
            why = f"it was written again since {self._should_word()} knew it: its ETag is another"
            return why, a["etag"], b["etag"]
        return "of the same size, and the MD5 is another one", expected, found

    def _have_key(self, name: str) -> str:
        at = self.have.facts.objects_at
        return (at.key if at is not None else "") + self.have.own_name(name)

    def _have_word(self) -> str:
        return {
            SideKind.AWS_INVENTORY: "the inventory",
            SideKind.CATALOG: "the snapshot",
        }.get(self.have.facts.kind, "the bucket")

    def _should_word(self) -> str:
        return _FOLDER_WORDS.get(self.should.facts.kind, self.should.facts.place)


def _size(row: Row) -> str | None:
    return None if row["size_bytes"] is None else f"{row['size_bytes']} bytes"


def _time(row: Row) -> str | None:
    when: datetime | None = row["last_modified"]
    return None if when is None else format_utc(when.replace(tzinfo=UTC))
