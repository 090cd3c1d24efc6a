"""Where a report lies, and what a delivery of it is called.

>>> address = ReportAddress.parse("s3://dest/reports/photos/daily/2025-06-02T01-00Z/manifest.json")
>>> address.source_bucket, address.config_id, address.date
('photos', 'daily', '2025-06-02T01-00Z')
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from stocktake.errors import InvalidUrlError
from stocktake.model import S3Url

MANIFEST_NAME = "manifest.json"
CHECKSUM_NAME = "manifest.checksum"

_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}Z")
_PART_FILE = re.compile(r"\.(csv|csv\.gz|orc|parquet|txt)$", re.IGNORECASE)
_FORM = "s3://destination-bucket/[prefix/]source-bucket/configuration-id"


def parse_stamp(folder_name: str) -> datetime | None:
    """The instant of a dated folder such as `2025-06-02T01-00Z`, aware UTC; None for others."""
    if not _STAMP.fullmatch(folder_name):
        return None
    try:
        return datetime.strptime(folder_name, "%Y-%m-%dT%H-%MZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def format_stamp(stamp: datetime) -> str:
    """The folder name of a delivery: `2025-06-02T01-00Z`."""
    return stamp.astimezone(UTC).strftime("%Y-%m-%dT%H-%MZ")


@dataclass(frozen=True, slots=True)
class ReportAddress:
    """One inventory configuration's place: the folder above the dated folders.

    Attributes:
        destination_bucket: Where the report lies.
        prefix: The configured prefix, without the slash that follows it; '' for none.
        source_bucket: The bucket that the report is about.
        config_id: The inventory configuration.
        date: The delivery (folder name) that the address named, or None.
    """

    destination_bucket: str
    prefix: str
    source_bucket: str
    config_id: str
    date: str | None = None

    @classmethod
    def parse(cls, text: str) -> ReportAddress:
        """Parse `s3://destination/[prefix/]source-bucket/config-id`, with or without a last slash.

        The address of a dated folder, or of its manifest.json, is taken too and sets `date`.

        Raises:
            InvalidUrlError: Anything else; the hint says what is missing or too much.
        """
        url = S3Url.parse(text)
        segments, date = _split_date(url.key)
        if segments == [""]:
            raise _not_an_address(text, f"it is only a bucket; the whole address is {_FORM}")
        if _PART_FILE.search(segments[-1]):
            raise _not_an_address(
                text, f"it is a data file; give the folder two levels up: {_FORM}"
            )
        if len(segments) < 2:
            raise _not_an_address(text, f"source bucket and configuration are missing: {_FORM}")
        *prefix, source_bucket, config_id = segments
        if not source_bucket or not config_id or not _is_bucket(source_bucket):
            raise _not_an_address(text, f"`{source_bucket}` is not a source bucket: {_FORM}")
        return cls(url.bucket, "/".join(prefix), source_bucket, config_id, date)

    @property
    def base_prefix(self) -> str:
        """The key prefix of everything the report consists of; ends with a slash."""
        lead = f"{self.prefix}/" if self.prefix else ""
        return f"{lead}{self.source_bucket}/{self.config_id}/"

    def __str__(self) -> str:
        return f"s3://{self.destination_bucket}/{self.base_prefix}{self.date or ''}"


def _split_date(key: str) -> tuple[list[str], str | None]:
    for name in (MANIFEST_NAME, CHECKSUM_NAME):
        if key == name or key.endswith(f"/{name}"):
            key = key.removesuffix(name)
    segments = key.rstrip("/").split("/")
    if len(segments) > 1 and parse_stamp(segments[-1]):
        return segments[:-1], segments[-1]
    return segments, None


def _is_bucket(name: str) -> bool:
    try:
        S3Url.parse(f"s3://{name}")
    except InvalidUrlError:
        return False
    return True


def _not_an_address(text: str, why: str) -> InvalidUrlError:
    return InvalidUrlError(f"`{text}` is not the address of a report", hint=why, url=text)
