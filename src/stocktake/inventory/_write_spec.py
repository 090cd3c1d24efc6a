"""Which report to write and where, and what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from stocktake.errors import InvalidSettingError
from stocktake.inventory._address import MANIFEST_NAME, format_stamp
from stocktake.inventory._manifest import ReportFormat
from stocktake.inventory._write_csv import CsvStyle
from stocktake.inventory._write_manifest import ReportPart
from stocktake.model import S3Url

_CONFIG_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """What report to write, and where.

    Attributes:
        destination: Bucket and prefix; slashes around the prefix are dropped, because readers
            stumble over them.
        source_bucket: The bucket that the rows are about.
        config_id: Name of the configuration, 1 to 64 letters, digits and `._-`.
        stamp: When the scan started, aware; the report is dated by its minute, in UTC.
        file_format: Of the parts.
        columns: Our names in file order, `bucket` included where it shall stand. Empty: those of
            the first batch, as AWS orders them.
        rows_per_part: Rows of every part but the last.
        csv_style: How CSV parts look; change it only to imitate another store.
    """

    destination: S3Url
    source_bucket: str
    config_id: str
    stamp: datetime
    file_format: ReportFormat = ReportFormat.CSV
    columns: tuple[str, ...] = ()
    rows_per_part: int = 1_000_000
    csv_style: CsvStyle = CsvStyle()

    def __post_init__(self) -> None:
        if not _CONFIG_ID.fullmatch(self.config_id):
            raise InvalidSettingError(
                f"`{self.config_id}` is not a configuration name",
                hint="use 1 to 64 letters, digits, dots, dashes and underscores",
                config_id=self.config_id,
            )
        if self.rows_per_part < 1:
            raise InvalidSettingError(
                f"{self.rows_per_part} rows per part is not possible", rows=self.rows_per_part
            )
        if self.stamp.tzinfo is None:
            raise InvalidSettingError("the stamp of a report needs a time zone")

    @property
    def base(self) -> S3Url:
        """The folder of this configuration: `[prefix/]source-bucket/config-id`, no slash last."""
        place = S3Url(self.destination.bucket, self.destination.key.strip("/"))
        return place.join(self.source_bucket, self.config_id)

    @property
    def manifest_url(self) -> S3Url:
        """Where this delivery's manifest will be."""
        return self.base.join(format_stamp(self.stamp), MANIFEST_NAME)


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A delivery that is complete. `manifest_md5` is its identity; sizes are of stored parts."""

    manifest_url: S3Url
    manifest_md5: str
    parts: tuple[ReportPart, ...]
    rows: int
    size_bytes: int
