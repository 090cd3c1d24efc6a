"""What an object of ours says about itself: the token that proves it, and where it came from.

User metadata of S3 is ASCII in headers, at most 2,048 bytes with its names; values are
percent-encoded, and a path too long for that is left out (the ledger and the manifest have it).
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from urllib.parse import quote, quote_from_bytes

from stocktake import __version__
from stocktake.ship._records import Identity, SourceJob

TOKEN = "stocktake-token"  # noqa: S105 - the name of a metadata entry
SHA256 = "stocktake-sha256"
SIZE = "stocktake-size"
ENTRY = "stocktake-entry"

_TEXT_BYTES_MAX = 760
"""Of an encoded path: two of them and the rest stay below 2,048 bytes."""

_SAFE = "/ ._-+=@()[]{}~,:;!"
_UNKNOWN = "application/octet-stream"
_TYPES = mimetypes.MimeTypes(filenames=())
for _name, _type in (
    (".parquet", "application/vnd.apache.parquet"),
    (".csv", "text/csv"),
    (".tsv", "text/tab-separated-values"),
    (".json", "application/json"),
    (".jsonl", "application/jsonl"),
    (".ndjson", "application/x-ndjson"),
    (".md", "text/markdown"),
    (".webp", "image/webp"),
    (".avif", "image/avif"),
    (".heic", "image/heic"),
    (".7z", "application/x-7z-compressed"),
    (".rar", "application/vnd.rar"),
):
    _TYPES.add_type(_type, _name)
_PACKED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
}


def object_metadata(
    job: SourceJob, sha256: str, *, token: str, ship_id: str, entry: str | None = None
) -> dict[str, str]:
    """The user metadata of one object of a source; `sha256` is the source file's."""
    identity: Identity = job.identity
    values = {
        TOKEN: token,
        "stocktake-ship": ship_id,
        SHA256: sha256,
        SIZE: str(identity.size_bytes),
        "stocktake-mtime": str(identity.mtime_ns),
        "stocktake-version": __version__,
    }
    path = quote_from_bytes(job.path, safe=_SAFE)
    if len(path) <= _TEXT_BYTES_MAX:
        values["stocktake-source"] = path.strip()
    if entry is not None:
        inside = quote(entry, safe=_SAFE, errors="surrogateescape").strip()
        values[ENTRY] = inside if len(inside) <= _TEXT_BYTES_MAX else "-"
    return values


def token_of(metadata: Mapping[str, str]) -> str | None:
    """The token of an object that some shipper wrote; None if none did."""
    return metadata.get(TOKEN)


def content_type_of(key: str) -> str:
    """What browsers and tools take an object for, by its name alone, the same on every machine."""
    name = key.rpartition("/")[2]
    kind, packed = _TYPES.guess_type(f"file:///{quote(name)}")
    if packed is not None:
        return _PACKED.get(packed, _UNKNOWN)
    return kind or _UNKNOWN
