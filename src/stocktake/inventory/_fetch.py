"""Fetches manifest.json and manifest.checksum, and says what state the delivery is in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from stocktake.errors import (
    ManifestChecksumError,
    ManifestInvalidError,
    ObjectNotFoundError,
    ReportExpiredError,
    ReportNotFoundError,
    ReportNotReadyError,
)
from stocktake.inventory._access import needed_for
from stocktake.inventory._address import CHECKSUM_NAME, MANIFEST_NAME
from stocktake.inventory._options import ReadOptions
from stocktake.model import S3Url
from stocktake.store import Store

_CHECKSUM_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class FetchedManifest:
    """A manifest's bytes and what the store said about them.

    Attributes:
        data: The bytes of manifest.json.
        md5: Their MD5, lower hex.
        etag: Of manifest.json at that moment, normalised.
        delivered_at: When the checksum (else the manifest) was written, aware UTC.
        verified: True if a checksum was there and agreed.
    """

    data: bytes
    md5: str
    etag: str | None
    delivered_at: datetime | None
    verified: bool


def fetch_manifest(
    store: Store, url: S3Url, options: ReadOptions, *, listed: bool = False
) -> FetchedManifest:
    """The manifest at this address, checked against its checksum. Two GET requests.

    A report may overwrite its predecessor ("might overwrite each other", says its maker), so a
    pair that disagrees is read a second time before it is an error.

    Args:
        store: Where it lies.
        url: Of manifest.json.
        options: `allow_unverified_manifest` and `manifest_bytes_max` count here.
        listed: Its folder was seen in a listing, so nothing in it means "being written".

    Raises:
        ReportNotReadyError: The checksum is not there yet.
        ReportNotFoundError: Neither file is there.
        ReportExpiredError: Only the checksum is left.
        ManifestChecksumError: They disagree, twice.
        ManifestInvalidError: The manifest is bigger than `manifest_bytes_max`.
        AccessDeniedError: s3:GetObject or kms:Decrypt is missing.
    """
    for _ in range(2):
        checksum = _get(store, url.bucket, _checksum_key(url), _CHECKSUM_BYTES_MAX)
        manifest = _get(store, url.bucket, url.key, options.manifest_bytes_max)
        if manifest is None:
            raise _absent(url, checksum_is_there=checksum is not None, listed=listed)
        if checksum is None and not options.allow_unverified_manifest:
            raise ReportNotReadyError(
                f"{url} is still being written: its manifest.checksum is not there yet",
                hint="try again in a few minutes; if it is a copy without a checksum, "
                "pass --allow-unverified-manifest",
                url=str(url),
            )
        data, etag, written_at = manifest
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        if checksum is None:
            return FetchedManifest(data, md5, etag, written_at, verified=False)
        stated = _stated_md5(checksum[0])
        if stated == md5:
            return FetchedManifest(data, md5, etag, checksum[2] or written_at, verified=True)
    raise ManifestChecksumError(
        f"{url} has MD5 {md5}, its manifest.checksum says {stated or 'nothing readable'}",
        hint="it may be rewritten just now: try again in a few minutes",
        url=str(url),
        md5=md5,
    )


def _checksum_key(url: S3Url) -> str:
    return url.key.removesuffix(MANIFEST_NAME) + CHECKSUM_NAME


def _get(
    store: Store, bucket: str, key: str, bytes_max: int
) -> tuple[bytes, str | None, datetime | None] | None:
    """Bytes, ETag and time of a small object, or None if it is not there."""
    try:
        with needed_for("to open the report"), store.get(bucket, key) as body:
            if body.head.size_bytes > bytes_max:
                raise ManifestInvalidError(
                    f"s3://{bucket}/{key} has {body.head.size_bytes} bytes, "
                    f"more than the {bytes_max} that are accepted",
                    size_bytes=body.head.size_bytes,
                )
            return body.read(), body.head.etag, body.head.last_modified
    except ObjectNotFoundError:
        return None


def _stated_md5(data: bytes) -> str:
    """The MD5 in a manifest.checksum: 32 hex digits, whatever is around them; '' if none."""
    text = data.decode("utf-8-sig", errors="replace").strip().lower()
    return text if len(text) == 32 else ""


def _absent(
    url: S3Url, *, checksum_is_there: bool, listed: bool
) -> ReportExpiredError | ReportNotReadyError | ReportNotFoundError:
    if checksum_is_there:
        return ReportExpiredError(f"{url} is gone, only its checksum is left", url=str(url))
    if listed:
        return ReportNotReadyError(
            f"{url} is still being written: neither manifest nor checksum is there yet",
            url=str(url),
        )
    return ReportNotFoundError(
        f"there is no manifest at {url}",
        hint="stocktake inventory dates lists the deliveries",
        url=str(url),
    )
