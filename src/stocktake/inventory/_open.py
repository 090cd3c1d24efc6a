"""Opens a delivery: find it, check its manifest, and say what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stocktake.clock import Clock, SystemClock, format_utc
from stocktake.errors import ForeignManifestError, ManifestInvalidError, StaleReportError
from stocktake.inventory._address import ReportAddress
from stocktake.inventory._columnar_part import peek_footer
from stocktake.inventory._configuration import ConfigurationFacts, read_configuration
from stocktake.inventory._dialect import AWS, Dialect
from stocktake.inventory._find import FoundManifest, fetch_at, find_manifest
from stocktake.inventory._layout import canonical_columns, delivered_columns
from stocktake.inventory._manifest import Manifest, ReportFormat
from stocktake.inventory._options import KeyEncoding, ReadOptions
from stocktake.inventory._part_access import PartAccess
from stocktake.inventory._part_location import locate_parts, report_base
from stocktake.inventory._report import OpenedReport, Report
from stocktake.model import Coverage, PartRef, S3Url, SourceHeader, SourceKind
from stocktake.store import Store

_FUTURE_MAX = timedelta(hours=1)
_STAMP_DRIFT_MAX = timedelta(days=1)
_EMPTY_PARTS_MAX = 8
"""Parts without rows at the start of a report that are passed over to learn its columns."""


def open_report(
    store: Store,
    address: ReportAddress,
    *,
    date: str | None = None,
    manifest_url: S3Url | str | None = None,
    options: ReadOptions = ReadOptions(),
    clock: Clock = SystemClock(),
    dialect: Dialect = AWS,
) -> Report:
    """Open one delivery of a report: the newest, the one of a date, or the one of a manifest.

    Costs one LIST (none if the full stamp or the manifest is given), two GETs for the manifest, one
    request for the inventory configuration, and for ORC and Parquet a few small ones for a footer.

    Args:
        store: Where the report lies.
        address: Of the report. Its source bucket is the one the manifest must be about.
        date: `2025-06-02T01-00Z`, `2025-06-02` (the last of that day) or `latest`; by default what
            the address names.
        manifest_url: A manifest.json elsewhere, for instance of a copied report.
        options: What to accept.
        clock: To notice a report that is dated in the future.
        dialect: The maker of the report.

    Raises:
        ReportNotFoundError: Nothing was delivered there, or not on that date.
        ReportNotReadyError: It is being written.
        ReportExpiredError: Its manifest, or the part that tells its columns, is gone.
        ManifestChecksumError: Manifest and checksum disagree, twice.
        ManifestInvalidError: The manifest does not say what it must.
        NotAnInventoryError: It is the manifest of something else.
        ForeignManifestError: It is about another bucket.
        ForeignPartError: It points outside its own folder.
        StaleReportError: It is dated in the future.
        PartCorruptError: The first ORC or Parquet part has no readable footer.
        AccessDeniedError: s3:ListBucket, s3:GetObject or kms:Decrypt is missing.
    """
    if manifest_url is None:
        found = find_manifest(store, address, date or address.date, options, dialect)
    else:
        found = fetch_at(store, manifest_url, options)
    manifest = dialect.manifest(
        found.fetched.data,
        where=str(found.url),
        allow_missing_md5=options.allow_unverified_manifest,
    )
    _refuse_foreign(manifest, found.url, address)
    as_of = _as_of(found, manifest)
    if not options.force:
        _refuse_future(as_of, found.url, clock)
    places, moved = locate_parts(manifest, found.url, dialect.base_prefixes(address), options)
    accesses = tuple(
        PartAccess(store, place, PartRef(index, part.key, part.size_bytes, part.md5))
        for index, (place, part) in enumerate(zip(places, manifest.files, strict=True))
    )
    facts = ConfigurationFacts(None, None, "not asked")
    if options.read_configuration:
        facts = read_configuration(store, address.source_bucket, address.config_id)
    draft = _Draft(
        address=address,
        found=found,
        manifest=manifest,
        as_of=as_of,
        columns=_column_names(manifest, accesses, dialect),
        key_encoding=_key_encoding(manifest, options, dialect),
        facts=facts,
        warnings=(*_warnings(found, manifest, as_of), *moved),
        options=options,
    )
    return Report(store, draft.opened(accesses))


@dataclass(frozen=True, slots=True)
class _Draft:
    """What is known of a report while it is opened."""

    address: ReportAddress
    found: FoundManifest
    manifest: Manifest
    as_of: datetime
    columns: tuple[str, ...]
    key_encoding: KeyEncoding
    facts: ConfigurationFacts
    warnings: tuple[str, ...]
    options: ReadOptions

    def opened(self, accesses: tuple[PartAccess, ...]) -> OpenedReport:
        return OpenedReport(
            header=self._header(),
            manifest=self.manifest,
            manifest_url=self.found.url,
            fetched=self.found.fetched,
            columns=self.columns,
            key_encoding=self.key_encoding,
            accesses=accesses,
            options=self.options,
            warnings=self.warnings,
        )

    def _header(self) -> SourceHeader:
        columns = canonical_columns(self.columns)
        versioned = not {"version_id", "is_latest"}.isdisjoint(columns)
        url, base = self.found.url, report_base(self.found.url)
        own = self.options.exclude_own_files and url.bucket == self.manifest.source_bucket and base
        return SourceHeader(
            kind=SourceKind.AWS_INVENTORY,
            bucket=self.manifest.source_bucket,
            config_id=self.address.config_id,
            as_of=self.as_of,
            identity=self.manifest.md5,
            location=str(S3Url(url.bucket, url.key.rpartition("/")[0] + "/")),
            columns=delivered_columns(columns, keep_acl=self.options.keep_acl),
            coverage=Coverage(
                prefix=self.facts.prefix,
                versions="all" if versioned else "current",
                config_hash=self.facts.config_hash,
            ),
            delivered_at=self.found.fetched.delivered_at,
            excluded_prefixes=(base,) if own else (),
            attrs=self._attrs(),
        )

    def _attrs(self) -> dict[str, Any]:
        delivered_at = self.found.fetched.delivered_at
        lag_s = None if delivered_at is None else (delivered_at - self.as_of).total_seconds()
        return {
            "format": self.manifest.file_format.value,
            "lag_s": lag_s,
            "key_encoding": self.key_encoding.value,
            "manifest_url": str(self.found.url),
            "part_bytes": self.manifest.size_bytes,
            "verified": self.found.fetched.verified,
            "configuration": self.facts.outcome,
            "warnings": list(self.warnings),
        }


def _refuse_foreign(manifest: Manifest, url: S3Url, address: ReportAddress) -> None:
    if manifest.source_bucket != address.source_bucket:
        raise ForeignManifestError(
            f"{url} is about bucket {manifest.source_bucket}, not {address.source_bucket}",
            hint="check the address; a report whose folder was renamed is not taken for another's",
            source_bucket=manifest.source_bucket,
        )


def _as_of(found: FoundManifest, manifest: Manifest) -> datetime:
    stamp = found.stamp or manifest.created_at
    if stamp is None:
        raise ManifestInvalidError(
            f"{found.url} has no date: neither its folder nor its creationTimestamp gives one",
            manifest=str(found.url),
        )
    return stamp


def _refuse_future(as_of: datetime, url: S3Url, clock: Clock) -> None:
    if as_of > clock.now() + _FUTURE_MAX:
        raise StaleReportError(
            f"{url} is dated {format_utc(as_of)}, which has not come yet",
            hint="check this machine's clock, or pass --force",
            as_of=format_utc(as_of),
        )


def _column_names(
    manifest: Manifest, accesses: tuple[PartAccess, ...], dialect: Dialect
) -> tuple[str, ...]:
    """The report's own names of its columns, in file order.

    ORC and Parquet: those of the first part that has rows, else of the first that has columns.
    """
    stated = dialect.column_names(manifest)
    if manifest.file_format is ReportFormat.CSV:
        return stated
    fallback: tuple[str, ...] = ()
    for access in accesses[:_EMPTY_PARTS_MAX]:
        footer = peek_footer(access, manifest.file_format)
        if footer.rows:
            return footer.columns
        fallback = fallback or footer.columns
    return fallback or stated


def _key_encoding(manifest: Manifest, options: ReadOptions, dialect: Dialect) -> KeyEncoding:
    if manifest.file_format is not ReportFormat.CSV:
        return KeyEncoding.NONE
    return dialect.key_encoding(options.key_encoding)


def _warnings(found: FoundManifest, manifest: Manifest, as_of: datetime) -> tuple[str, ...]:
    warnings = [*manifest.warnings]
    if found.warning:
        warnings.append(found.warning)
    if not found.fetched.verified:
        warnings.append(f"{found.url} has no manifest.checksum: it was taken unverified")
    created_at = manifest.created_at
    if created_at is not None and abs(created_at - as_of) > _STAMP_DRIFT_MAX:
        warnings.append(
            f"{found.url} says it was made at {format_utc(created_at)}, its folder is of "
            f"{format_utc(as_of)}: the folder counts"
        )
    return tuple(warnings)
