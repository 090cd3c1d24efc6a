"""What an object of ours says of itself, as a record of the manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from stocktake.errors import StocktakeError
from stocktake.manifests import UploadRecord
from stocktake.ship._keys import member_key, plain_key, table_key, unescape_path
from stocktake.ship._ledger_facts import shown_path
from stocktake.ship._metadata import ENTRY, SIZE
from stocktake.ship._settings import ShipSettings
from stocktake.store import SHA256_NAME, ObjectHead, token_of


def record_of_object(settings: ShipSettings, head: ObjectHead) -> UploadRecord | None:
    """The record of an object by its metadata; None if it does not say of which file it is.

    Its key must be the one that this file gets today: metadata has no room for long paths, and
    what was shipped under other settings is another matter.
    """
    token, metadata = token_of(head.metadata), head.metadata
    try:
        source_bytes = int(metadata[SIZE])
        mtime_ns = int(metadata["stocktake-mtime"])
        source_sha256 = bytes.fromhex(metadata[SHA256_NAME]).hex()
    except (KeyError, ValueError):
        return None
    entry = os.fsdecode(unquote_to_bytes(metadata[ENTRY])) if ENTRY in metadata else None
    found = _source(settings, head.key, metadata, entry)
    if found is None or token is None or head.last_modified is None:
        return None
    path, is_plain = found
    shown, raw = shown_path(path)
    return UploadRecord(
        s3_key=head.key,
        size_bytes=head.size_bytes,
        etag=head.etag,
        version_id=head.version_id,
        md5=None,
        sha256=source_sha256 if is_plain else None,
        crc64nvme=head.checksums.get("crc64nvme"),
        part_size_bytes=None,
        token=token,
        uploaded_at=head.last_modified,
        verified_by="adopted",
        source=shown,
        source_raw=raw,
        source_sha256=source_sha256,
        source_size_bytes=source_bytes,
        source_mtime_ns=mtime_ns,
        entry=entry,
    )


def _source(
    settings: ShipSettings, key: str, metadata: Mapping[str, str], entry: str | None
) -> tuple[bytes, bool] | None:
    """Path of the file that gets this key, and whether the object has its very bytes."""
    said = metadata.get("stocktake-source")
    paths = [] if said is None else [unquote_to_bytes(said)]
    if entry is None:
        relative = key.removeprefix(settings.prefix)
        paths += [relative.encode(), unescape_path(relative)]
    for path in paths:
        try:
            if entry is not None:
                tables = (member_key(settings, path, entry, is_table) for is_table in (False, True))
                if key in tables:
                    return path, False
            elif plain_key(settings, path) == key:
                return path, True
            elif table_key(settings, path) == key:
                return path, False
        except (StocktakeError, ValueError):
            continue
    return None
