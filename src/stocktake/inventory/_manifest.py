"""The report manifest: `manifest.json` as a frozen value, parsed once at the door.

>>> text = b'{"sourceBucket": "b", "fileFormat": "ORC", "fileSchema": "", "files": []}'
>>> parse_manifest(text).file_format
<ReportFormat.ORC: 'ORC'>
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from stocktake.errors import ManifestInvalidError, NotAnInventoryError
from stocktake.model import S3Url, display_key

_MD5 = re.compile(r"[0-9a-f]{32}")
_INT64_MAX = (1 << 63) - 1
_SECONDS_MAX = 10**11
"""A timestamp below this is in seconds (until the year 5138), above it in milliseconds."""


class ReportFormat(StrEnum):
    """The three formats of report parts."""

    CSV = "CSV"
    ORC = "ORC"
    PARQUET = "Parquet"


@dataclass(frozen=True, slots=True)
class PartFile:
    """One entry of `files`. `md5` is lower hex, '' if the manifest has none."""

    key: str
    size_bytes: int
    md5: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What manifest.json says, taken literally.

    Attributes:
        source_bucket: Bare name of the bucket that the report is about.
        destination_bucket: Bare name; '' if the manifest does not say.
        created_at: The report's own timestamp, aware UTC; None if absent or impossible.
        file_format: Of all parts.
        file_schema: The text as it is; only CSV reports are read by it.
        files: The parts, each once, in order.
        md5: Lower hex of the manifest's bytes.
        warnings: What was odd and tolerated.
    """

    source_bucket: str
    destination_bucket: str
    created_at: datetime | None
    file_format: ReportFormat
    file_schema: str
    files: tuple[PartFile, ...]
    md5: str
    warnings: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Stored bytes of all parts."""
        return sum(part.size_bytes for part in self.files)


def parse_manifest(
    data: bytes, *, where: str = "manifest.json", allow_missing_md5: bool = False
) -> Manifest:
    """The manifest that these bytes are. 100,000 parts take about a second.

    Tolerates what look-alikes write: a bare bucket for an ARN of any partition, seconds for
    milliseconds, numbers for text and text for numbers, upper-case MD5, other letter case of names.

    Raises:
        NotAnInventoryError: S3 Batch Operations, Storage Lens, or something else altogether.
        ManifestInvalidError: Not JSON, or a field is missing or impossible.
    """
    fields = _fields(_decode(data, where))
    _refuse_others(fields, where)
    files, doubled = _parse_files(fields.get("files"), where, allow_missing_md5=allow_missing_md5)
    created_at = _parse_created(fields.get("creationtimestamp"))
    warnings = []
    if doubled:
        warnings.append(f"{where} lists {doubled} parts more than once: each is read once")
    if created_at is None:
        warnings.append(f"{where} has no usable creationTimestamp: the folder's date counts")
    return Manifest(
        source_bucket=S3Url.bucket_from_arn(_text(fields, "sourceBucket", where)),
        destination_bucket=_optional_bucket(fields.get("destinationbucket")),
        created_at=created_at,
        file_format=_parse_format(_text(fields, "fileFormat", where), where),
        file_schema=_text(fields, "fileSchema", where, empty=True),
        files=files,
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        warnings=tuple(warnings),
    )


def _decode(data: bytes, where: str) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ManifestInvalidError(f"{where} is not JSON: {error}", manifest=where) from error


def _fields(document: Any) -> dict[str, Any]:
    """Top-level fields by lower-case name."""
    if not isinstance(document, Mapping):
        raise ManifestInvalidError("the manifest is JSON, but not an object")
    return {str(name).lower(): value for name, value in document.items()}


def _refuse_others(fields: Mapping[str, Any], where: str) -> None:
    if "sourcebucket" in fields:
        return
    kind, hint = "not an inventory manifest", "give the address of an S3 Inventory delivery"
    if "reportfiles" in fields or "sourceaccountid" in fields:
        kind, hint = "a Storage Lens manifest", "Storage Lens exports metrics, not objects; " + hint
    elif "results" in fields and "reportschema" in fields:
        kind = "the manifest of an S3 Batch Operations completion report"
    elif "report_shards_file_names" in fields or "reportconfig" in fields:
        kind = "a Google Cloud Storage Insights manifest"
    elif "files" in fields or "fileschema" in fields:
        raise ManifestInvalidError(f"{where} has no `sourceBucket`", manifest=where)
    raise NotAnInventoryError(f"{where} is {kind}", hint=hint, manifest=where)


def _text(fields: Mapping[str, Any], name: str, where: str, *, empty: bool = False) -> str:
    value = fields.get(name.lower())
    if not isinstance(value, str) or not (value.strip() or empty):
        raise ManifestInvalidError(f"{where} has no `{name}`", manifest=where)
    return value.strip()


def _optional_bucket(value: Any) -> str:
    return S3Url.bucket_from_arn(value.strip()) if isinstance(value, str) else ""


def _parse_format(text: str, where: str) -> ReportFormat:
    for known in ReportFormat:
        if known.value.lower() == text.lower():
            return known
    raise ManifestInvalidError(
        f"{where} is a report in `{display_key(text)}`, which cannot be read",
        hint="configure the inventory as CSV, ORC or Parquet",
        manifest=where,
    )


def _parse_created(value: Any) -> datetime | None:
    try:
        stamp = int(value)
        stamp_s = stamp if abs(stamp) < _SECONDS_MAX else stamp / 1000
        return datetime.fromtimestamp(stamp_s, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _parse_files(
    value: Any, where: str, *, allow_missing_md5: bool
) -> tuple[tuple[PartFile, ...], int]:
    """Every part once, and how many entries were repeats."""
    if not isinstance(value, list):
        raise ManifestInvalidError(f"`files` of {where} is not a list", manifest=where)
    files: dict[str, PartFile] = {}
    for position, entry in enumerate(value):
        part = _parse_file(entry, f"`files[{position}]` of {where}")
        if not part.md5 and not allow_missing_md5:
            raise ManifestInvalidError(
                f"`files[{position}]` of {where} has no MD5checksum",
                hint="pass --allow-unverified-manifest to read its parts without checking them",
                manifest=where,
            )
        if files.setdefault(part.key, part) != part:
            raise ManifestInvalidError(
                f"{where} names the part {display_key(part.key)} twice, with different checksums",
                manifest=where,
            )
    return tuple(files.values()), len(value) - len(files)


def _parse_file(entry: Any, what: str) -> PartFile:
    if not isinstance(entry, Mapping):
        raise ManifestInvalidError(f"{what} is not an object")
    fields = {str(name).lower(): value for name, value in entry.items()}
    key, md5 = fields.get("key"), fields.get("md5checksum") or ""
    if not isinstance(key, str) or not key or not _is_utf8(key):
        raise ManifestInvalidError(f"{what} has no usable `key`")
    if not isinstance(md5, str) or not (md5 == "" or _MD5.fullmatch(md5.strip().lower())):
        raise ManifestInvalidError(f"{what} has an MD5checksum that is not one")
    return PartFile(key, _parse_size(fields.get("size"), what), md5.strip().lower())


def _parse_size(value: Any, what: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _INT64_MAX:
        raise ManifestInvalidError(f"{what} has no usable `size`")
    return value


def _is_utf8(text: str) -> bool:
    """False for lone surrogates, which JSON can spell and no store can take."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
