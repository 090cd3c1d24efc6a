"""One thing that happened to one object, whichever envelope told of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from stocktake.clock import format_utc, parse_utc


class EventKind(StrEnum):
    """What an event means for what is there."""

    CREATED = "created"
    DELETED = "deleted"
    DELETE_MARKER = "delete-marker"
    ATTRIBUTES = "attributes"
    """Restored, tagged, moved to another class: the content is the same."""
    UNKNOWN = "unknown"
    """An S3 event of a name we do not know: only a HEAD tells what is there."""


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """A decoded event.

    Attributes:
        kind: What it means.
        name: The store's name of it (`ObjectCreated:Put`, `Object Created`).
        bucket: Of the object.
        key: Decoded as its envelope demands.
        version_id: None where the bucket has no versions; 'null' is the null version.
        size_bytes: None for deletions and where the envelope does not say.
        etag: Normalised; None where the envelope does not say.
        sequencer: Orders events of one key; compare with `sequencer_order` only.
        occurred_at: The store's time of the event: never an object's last-modified.
        envelope: The outermost one: `s3`, `sns`, `eventbridge`, `lambda`, `sqs` or `webhook`.
    """

    kind: EventKind
    name: str
    bucket: str
    key: str
    version_id: str | None
    size_bytes: int | None
    etag: str | None
    sequencer: str | None
    occurred_at: datetime | None
    envelope: str

    @property
    def needs_head(self) -> bool:
        """True if only a HEAD tells what is there now.

        An event of an unknown name says nothing; deleting one version (or a delete marker) may
        bring an older version to light.
        """
        lifted = self.kind is EventKind.DELETED and self.version_id is not None
        return lifted or self.kind is EventKind.UNKNOWN

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        raw = asdict(self)
        raw["occurred_at"] = format_utc(self.occurred_at) if self.occurred_at else None
        return raw

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> ObjectEvent:
        """From its JSON form."""
        at = raw["occurred_at"]
        kind = EventKind(raw["kind"])
        return cls(**{**raw, "kind": kind, "occurred_at": parse_utc(at) if at else None})
