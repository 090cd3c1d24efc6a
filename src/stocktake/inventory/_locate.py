"""Finds the deliveries of a report: one delimiter listing, never a look into `data/`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from stocktake.errors import AccessDeniedError, ObjectNotFoundError, ReportNotFoundError
from stocktake.inventory._access import needed_for
from stocktake.inventory._address import (
    CHECKSUM_NAME,
    MANIFEST_NAME,
    ReportAddress,
    format_stamp,
)
from stocktake.inventory._dialect import AWS, Dialect
from stocktake.model import S3Url
from stocktake.store import ListQuery, Store, iter_listing


class DeliveryState(StrEnum):
    """How far a delivery is."""

    UNCHECKED = "unchecked"
    """A dated folder was listed; what is in it was not looked at."""
    READY = "ready"
    """Manifest and checksum are there (whether they agree shows when it is opened)."""
    NOT_READY = "not-ready"
    """The checksum, which is written last, is not there yet."""
    EXPIRED = "expired"
    """The checksum is there, the manifest is gone."""
    DENIED = "denied"
    """The manifest may not be read."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One dated folder of a report.

    Attributes:
        stamp: When the scan began, aware UTC.
        folder_url: The dated folder; its key ends with a slash.
        state: `unchecked` from a listing, else the answer of `check_delivery`.
        warning: What is wrong with where it lies, and how to mend it; None if nothing is.
    """

    stamp: datetime
    folder_url: S3Url
    state: DeliveryState = DeliveryState.UNCHECKED
    warning: str | None = None

    @property
    def date(self) -> str:
        """The folder's name, which `--date` takes."""
        return format_stamp(self.stamp)

    @property
    def manifest_url(self) -> S3Url:
        """Where its manifest.json is."""
        return S3Url(self.folder_url.bucket, self.folder_url.key + MANIFEST_NAME)


def list_deliveries(
    store: Store,
    address: ReportAddress,
    *,
    after: datetime | None = None,
    dialect: Dialect = AWS,
) -> list[Delivery]:
    """All deliveries of a report, oldest first. One LIST request per 1,000 of them.

    A Prefix that was configured with a trailing slash makes keys with `//`: if nothing is found
    where the address says, that spelling is tried too, and the deliveries carry a warning.

    Args:
        store: Where the report lies.
        address: Of the report; its `date` is ignored.
        after: Only deliveries later than this.
        dialect: The layout.

    Returns:
        An empty list if there is no delivery (yet).

    Raises:
        AccessDeniedError: s3:ListBucket is missing.
        BucketNotFoundError: There is no destination bucket of this name.
    """
    for base in dialect.base_prefixes(address):
        deliveries = _list_under(store, address.destination_bucket, base, after, dialect)
        if deliveries:
            warning = slash_warning(base, address)
            return [replace(one, warning=warning) for one in deliveries]
    return []


def latest_delivery(store: Store, address: ReportAddress, *, dialect: Dialect = AWS) -> Delivery:
    """The newest delivery, ready or not.

    Raises:
        ReportNotFoundError: There is none; the hint says what the address looks like.
    """
    deliveries = list_deliveries(store, address, dialect=dialect)
    if not deliveries:
        raise nothing_delivered(address)
    return deliveries[-1]


def check_delivery(store: Store, delivery: Delivery) -> Delivery:
    """The same delivery with its state: two HEAD requests, no bytes."""
    bucket, folder = delivery.folder_url.bucket, delivery.folder_url.key
    try:
        checksum = _exists(store, bucket, folder + CHECKSUM_NAME)
        manifest = _exists(store, bucket, folder + MANIFEST_NAME)
    except AccessDeniedError:
        return replace(delivery, state=DeliveryState.DENIED)
    if not checksum:
        return replace(delivery, state=DeliveryState.NOT_READY)
    return replace(delivery, state=DeliveryState.READY if manifest else DeliveryState.EXPIRED)


def nothing_delivered(address: ReportAddress) -> ReportNotFoundError:
    """The error for an address with nothing below it, with the likeliest reason as its hint."""
    hint = None
    if address.config_id in ("data", "hive") or address.config_id.startswith("dt="):
        hint = (
            f"`{address.config_id}` is a folder inside a report: drop it from the address, "
            f"s3://{address.destination_bucket}/{address.prefix}/{address.source_bucket}"
        )
    return ReportNotFoundError(
        f"no inventory report was delivered under {replace(address, date=None)}",
        hint=hint,
        url=str(address),
    )


def _list_under(
    store: Store, bucket: str, base: str, after: datetime | None, dialect: Dialect
) -> list[Delivery]:
    start_after = base + format_stamp(after) if after else ""
    query = ListQuery(bucket, prefix=base, delimiter="/", start_after=start_after)
    found = []
    with needed_for("to find the deliveries of the report"):
        for page in iter_listing(store, query):
            for folder in page.prefixes:
                stamp = dialect.stamp_of(folder.removeprefix(base).rstrip("/"))
                if stamp is not None and (after is None or stamp > after):
                    found.append(Delivery(stamp, S3Url(bucket, folder)))
    return sorted(found, key=lambda delivery: delivery.stamp)


def slash_warning(base: str, address: ReportAddress) -> str | None:
    """What to mend if this base prefix is one that a trailing slash of Prefix makes."""
    lead = base.removesuffix(f"{address.source_bucket}/{address.config_id}/")
    if not lead.endswith("//"):
        return None
    wrong, right = lead[:-1], lead.rstrip("/")
    return (
        f"the report lies under `{lead}` because its Prefix is configured as `{wrong}`; "
        f"set Prefix to `{right}` in the inventory configuration `{address.config_id}`, "
        "query engines stumble over the empty folder name"
    )


def _exists(store: Store, bucket: str, key: str) -> bool:
    try:
        store.head(bucket, key)
    except ObjectNotFoundError:
        return False
    return True
