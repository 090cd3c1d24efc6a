"""How to read a report: what is accepted, what is kept, and the limits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class KeyEncoding(StrEnum):
    """How a CSV report writes keys. ORC and Parquet keys are never encoded."""

    AUTO = "auto"
    """Read as `form`, count what contradicts it, and let `settle_key_encoding` decide."""
    FORM = "form"
    """`+` is a space, `%2B` a plus: what AWS writes."""
    PERCENT = "percent"
    """Only `%XX` is decoded; `+` is a plus."""
    NONE = "none"
    """Keys are written as they are."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What a reader of reports may accept. The defaults are the strict ones.

    Attributes:
        key_encoding: Of CSV keys.
        allow_unverified_manifest: Accept a delivery without `manifest.checksum`, and parts without
            an MD5 (a copy that left them behind).
        allow_foreign_parts: Follow parts that lie outside the report's own folder, also in other
            buckets. A planted manifest could then make this reader fetch anything it may read.
        keep_acl: Deliver the ACL column (up to 15 KB of base64 per row).
        exclude_own_files: Keep the report's own files out of folders and totals.
        force: Accept a report that is dated in the future.
        read_configuration: Ask the source bucket for the inventory configuration (its filter).
        workers: Parts that are read at the same time by `verify_report`.
        manifest_bytes_max: A bigger manifest.json is refused.
        buffer_bytes_max: ORC and Parquet parts up to this size are held in memory while they are
            read; bigger ones are read twice, in ranges.
    """

    key_encoding: KeyEncoding = KeyEncoding.AUTO
    allow_unverified_manifest: bool = False
    allow_foreign_parts: bool = False
    keep_acl: bool = False
    exclude_own_files: bool = True
    force: bool = False
    read_configuration: bool = True
    workers: int = 2
    manifest_bytes_max: int = 64 << 20
    buffer_bytes_max: int = 32 << 20
