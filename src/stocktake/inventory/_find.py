"""Which delivery is meant: the newest, the one of a date, or the one of a manifest's address."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from stocktake.errors import (
    InvalidSettingError,
    InvalidUrlError,
    ReportNotFoundError,
    ReportNotReadyError,
)
from stocktake.inventory._address import MANIFEST_NAME, ReportAddress, parse_stamp
from stocktake.inventory._dialect import Dialect
from stocktake.inventory._fetch import FetchedManifest, fetch_manifest
from stocktake.inventory._locate import (
    Delivery,
    list_deliveries,
    nothing_delivered,
    slash_warning,
)
from stocktake.inventory._options import ReadOptions
from stocktake.model import S3Url
from stocktake.store import Store

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
LATEST = "latest"


@dataclass(frozen=True, slots=True)
class FoundManifest:
    """A manifest that was fetched, and where it was.

    Attributes:
        url: Of manifest.json.
        stamp: Of its folder, aware UTC; None if the folder is not a dated one.
        fetched: Its bytes.
        warning: What is wrong with where it lies.
    """

    url: S3Url
    stamp: datetime | None
    fetched: FetchedManifest
    warning: str | None = None


def find_manifest(
    store: Store,
    address: ReportAddress,
    date: str | None,
    options: ReadOptions,
    dialect: Dialect,
) -> FoundManifest:
    """The manifest of the delivery of a date: a stamp, a day, or `latest` (also None).

    A full stamp is fetched without a listing, so it needs no s3:ListBucket.

    Raises:
        InvalidSettingError: `date` is none of these.
        ReportNotFoundError: There is no such delivery.
        ReportError: As `fetch_manifest`.
    """
    if date in (None, LATEST):
        return _newest(store, address, list_deliveries(store, address, dialect=dialect), options)
    if parse_stamp(str(date)):
        return _of_stamp(store, replace(address, date=date), options, dialect)
    if not _DAY.fullmatch(str(date)):
        raise InvalidSettingError(
            f"`{date}` is not the date of a delivery",
            hint="write it as 2025-06-02, 2025-06-02T01-00Z or latest",
            date=date,
        )
    deliveries = list_deliveries(store, address, dialect=dialect)
    of_day = [one for one in deliveries if one.date.startswith(str(date))]
    if not of_day and deliveries:
        raise ReportNotFoundError(
            f"no inventory report was delivered on {date} under {replace(address, date=None)}",
            hint=f"there are {len(deliveries)}, from {deliveries[0].date} to {deliveries[-1].date}",
            date=date,
        )
    return _newest(store, address, of_day, options)


def fetch_at(store: Store, url: S3Url | str, options: ReadOptions) -> FoundManifest:
    """The manifest at an address that need not be where deliveries usually are.

    Raises:
        InvalidUrlError: The address does not end in manifest.json.
        ReportError: As `fetch_manifest`.
    """
    where = S3Url.parse(url) if isinstance(url, str) else url
    folder, _, name = where.key.rpartition("/")
    if name != MANIFEST_NAME:
        raise InvalidUrlError(
            f"`{where}` is not the address of a manifest.json",
            hint="end it with /manifest.json",
            url=str(where),
        )
    stamp = parse_stamp(folder.rpartition("/")[2])
    return FoundManifest(where, stamp, fetch_manifest(store, where, options))


def _newest(
    store: Store, address: ReportAddress, deliveries: list[Delivery], options: ReadOptions
) -> FoundManifest:
    if not deliveries:
        raise nothing_delivered(address)
    newest = deliveries[-1]
    try:
        fetched = fetch_manifest(store, newest.manifest_url, options, listed=True)
    except ReportNotReadyError as error:
        if len(deliveries) == 1:
            raise
        raise ReportNotReadyError(
            error.message,
            hint="try again in a few minutes, or take the one before: "
            f"--date {deliveries[-2].date}",
            **error.attrs,
        ) from error
    return FoundManifest(newest.manifest_url, newest.stamp, fetched, newest.warning)


def _of_stamp(
    store: Store, address: ReportAddress, options: ReadOptions, dialect: Dialect
) -> FoundManifest:
    for base in dialect.base_prefixes(address):
        url = S3Url(address.destination_bucket, f"{base}{address.date}/{MANIFEST_NAME}")
        try:
            fetched = fetch_manifest(store, url, options)
        except ReportNotFoundError:
            continue
        stamp = parse_stamp(str(address.date))
        return FoundManifest(url, stamp, fetched, slash_warning(base, address))
    raise ReportNotFoundError(
        f"no inventory report was delivered at {address}",
        hint="stocktake inventory dates lists the deliveries",
        url=str(address),
    )
