"""One file of a manifest that we or somebody else wrote, as an upload record.

What other programs are known to spoil is put right and counted; what cannot be told is left out
and said. Nothing of an entry is dropped silently: what has no field of ours is kept in `extra`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from stocktake.manifests._foreign_values import (
    as_digest,
    as_multipart_etag,
    as_size,
    as_text,
    as_time,
    as_whole,
    key_of_url,
)
from stocktake.manifests._record import UploadRecord
from stocktake.model import display_key, normalise_etag

KEY_BYTES_MAX = 1024
_OURS = frozenset(UploadRecord.__slots__)
_THEIRS = frozenset(
    ("filename", "s3_url", "md5_hash", "last_modified", "local_path", "part_size", "schema")
)
_TEXTS = ("version_id", "crc64nvme", "source_raw", "entry")
_NUMBERS = ("part_size_bytes", "source_size_bytes", "rows")


@dataclass(slots=True)
class Remarks:
    """What was put right or left out, by kind: how often, and the first example."""

    kinds: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, kind: str, example: str) -> None:
        """One more of a kind."""
        count, first = self.kinds.get(kind, (0, display_key(example)[:120]))
        self.kinds[kind] = (count + 1, first)

    def count(self, kind: str) -> int:
        """How many of a kind."""
        return self.kinds.get(kind, (0, ""))[0]

    def lines(self) -> list[str]:
        """One line per kind."""
        return [f"{count:,} x {kind} (first: {one})" for kind, (count, one) in self.kinds.items()]


@dataclass(frozen=True, slots=True)
class HeadTimes:
    """What stands in for the time of an upload that nobody noted."""

    fallback: datetime
    bucket: str | None
    prefix: str


def entry_key(entry: Mapping[str, Any], head: HeadTimes, remarks: Remarks) -> str | None:
    """The key of an entry: its own word, else its address, else its name below the prefix."""
    key = as_text(entry.get("s3_key"))
    linked = key_of_url(entry.get("s3_url"), head.bucket)
    name = as_text(entry.get("filename"))
    if key is None and linked is not None:
        remarks.add("no s3_key: taken from s3_url", linked)
        key = linked
    elif key is None and name is not None:
        key = head.prefix + name
        remarks.add("no s3_key: the file name below the prefix is taken for it", key)
    elif key is not None and entry.get("s3_url") and linked != key:
        remarks.add("s3_url does not lead to s3_key: it is written anew", key)
    if key is None:
        remarks.add("left out: no key", str(entry)[:80])
        return None
    return key if _is_key(key, remarks) else None


def _is_key(key: str, remarks: Remarks) -> bool:
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        remarks.add("left out: the key is no text", ascii(key))
        return False
    if length > KEY_BYTES_MAX:
        remarks.add(f"left out: the key has more than {KEY_BYTES_MAX} bytes", key)
        return False
    return True


def entry_record(
    entry: Mapping[str, Any], key: str, head: HeadTimes, remarks: Remarks
) -> UploadRecord | None:
    """The upload that an entry is about; None if it does not say how large the object is."""
    size_bytes = as_size(entry.get("size_bytes"))
    if size_bytes is None:
        remarks.add("left out: no size", key)
        return None
    extra: dict[str, Any] = dict(_mapping(entry.get("extra")))
    extra.update({k: v for k, v in entry.items() if k not in _OURS and k not in _THEIRS})
    md5, etag = _digests(entry, key, extra, remarks)
    ours = "source" in entry
    if not ours:
        _keep_theirs(entry, key, extra)
    return UploadRecord(
        s3_key=key,
        size_bytes=size_bytes,
        etag=etag,
        md5=md5,
        sha256=as_digest(entry.get("sha256"), "sha256"),
        token=as_text(entry.get("token")) or "",
        uploaded_at=_uploaded_at(entry, key, head, remarks),
        verified_by=as_text(entry.get("verified_by")) or "imported",
        source=str(entry["source"]) if ours else "",
        source_sha256=as_digest(entry.get("source_sha256"), "sha256"),
        source_mtime_ns=as_whole(entry.get("source_mtime_ns")),
        columns=_columns(entry),
        extra=extra,
        **_texts(entry),
        **_numbers(entry),
    )


def _texts(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: as_text(entry.get(name)) for name in _TEXTS}


def _numbers(entry: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: as_size(entry.get(name)) for name in _NUMBERS}
    if values["part_size_bytes"] is None:
        values["part_size_bytes"] = as_size(entry.get("part_size"))
    return values


def _digests(
    entry: Mapping[str, Any], key: str, extra: dict[str, Any], remarks: Remarks
) -> tuple[str | None, str | None]:
    """MD5 and ETag. What is called an MD5 may be the ETag of a multipart upload."""
    etag = normalise_etag(as_text(entry.get("etag")))
    said = entry.get("md5") if entry.get("md5_hash") is None else entry["md5_hash"]
    md5 = as_digest(said, "md5")
    multipart = as_multipart_etag(said)
    if multipart is not None:
        remarks.add("md5_hash is the ETag of a multipart upload: kept as the ETag", key)
        etag = etag or multipart
    elif said not in (None, "") and md5 is None:
        remarks.add("md5_hash is no MD5: kept beside", key)
        extra["md5_hash"] = said
    return md5, etag


def _uploaded_at(entry: Mapping[str, Any], key: str, head: HeadTimes, remarks: Remarks) -> datetime:
    said = as_time(entry.get("uploaded_at")) or as_time(entry.get("last_modified"))
    if said is None:
        remarks.add("no time of upload: that of the manifest is taken", key)
    return said or head.fallback


def _keep_theirs(entry: Mapping[str, Any], key: str, extra: dict[str, Any]) -> None:
    """Fields that we derive from others, as far as they say something else."""
    path, name = entry.get("local_path"), entry.get("filename")
    if path not in (None, key):
        extra["local_path"] = path
    if not isinstance(name, str) or not f"/{key}".endswith(f"/{name}"):
        extra.update({"filename": name} if name is not None else {})
    changed = as_time(entry.get("last_modified"))
    if changed is not None and changed != as_time(entry.get("uploaded_at")):
        extra["last_modified"] = entry["last_modified"]


def _columns(entry: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    said = entry.get("columns") or entry.get("schema") or ()
    listed = isinstance(said, list) and all(isinstance(one, Mapping) for one in said)
    return tuple(said) if listed else ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
