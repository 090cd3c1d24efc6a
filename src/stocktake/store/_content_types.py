"""What kind of thing an object is, by its name alone: the same on every machine."""

from __future__ import annotations

import mimetypes
from urllib.parse import quote

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


def content_type_of(key: str) -> str:
    """What browsers and tools take an object for, by its name alone, the same on every machine."""
    name = key.rpartition("/")[2]
    kind, packed = _TYPES.guess_type(f"file:///{quote(name)}")
    if packed is not None:
        return _PACKED.get(packed, _UNKNOWN)
    return kind or _UNKNOWN
