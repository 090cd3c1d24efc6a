"""The newest inventory report of a bucket as a snapshot, found from as much as the user knows."""

from __future__ import annotations

from stocktake.catalog import (
    KEY_ENCODING,
    Catalog,
    Snapshot,
    find_snapshot,
    import_snapshot,
    keep_source_setting,
    list_snapshots,
    source_setting,
)
from stocktake.errors import KeyEncodingError, SideUnavailableError
from stocktake.inventory import KeyEncoding, ReportAddress, open_report
from stocktake.model import S3Url, SourceKind
from stocktake.store import ListQuery, Store, iter_listing

_CONFIGS_NAMED_MAX = 10


def newest_report(catalog: Catalog, store: Store, source: S3Url, location: str | None) -> Snapshot:
    """The newest delivery as a snapshot; imported unless it is one already.

    Args:
        catalog: Where snapshots are.
        store: Where reports are.
        source: What they should be about.
        location: Where they are; None: the newest one that was imported.

    Raises:
        SideUnavailableError: There is none, or it cannot be told which one is meant.
        ReportError, StoreError: It cannot be read.
    """
    if location is None:
        return _newest_imported(catalog, source)
    report = open_report(store, report_address(store, location, source.bucket), clock=catalog.clock)
    known = source_setting(catalog, report.header, KEY_ENCODING)
    if known is not None:
        report = report.with_key_encoding(KeyEncoding(known))
    try:
        result = import_snapshot(catalog, report)
    except KeyEncodingError as error:
        encoding = error.attrs["encoding"]
        keep_source_setting(catalog, report.header, KEY_ENCODING, encoding)
        result = import_snapshot(catalog, report.with_key_encoding(KeyEncoding(encoding)))
    return find_snapshot(catalog, result.snapshot_id)


def report_address(store: Store, location: str, source_bucket: str) -> ReportAddress:
    """The report's address; the source bucket and an only configuration may be left out.

    At most two LIST requests; none if the address is whole.

    Raises:
        SideUnavailableError: No configuration is there, or several.
    """
    url = S3Url.parse(location)
    names = [name for name in url.key.split("/") if name]
    if source_bucket in names[:-1]:
        return ReportAddress.parse(location)
    if names and names[-1] == source_bucket:
        names.pop()
    prefix = "/".join(names)
    below = f"{prefix}/{source_bucket}/" if prefix else f"{source_bucket}/"
    found = _folders(store, url.bucket, below)
    if len(found) == 1:
        return ReportAddress(url.bucket, prefix, source_bucket, found[0])
    at = f"s3://{url.bucket}/{below}"
    if not found:
        raise SideUnavailableError(
            f"there are no inventory reports of `{source_bucket}` under {at}",
            hint="the first one comes within 48 hours; see: stocktake setup check "
            f"s3://{source_bucket}",
            location=location,
        )
    named = ", ".join(found[:_CONFIGS_NAMED_MAX])
    raise SideUnavailableError(
        f"there are {len(found)} inventory configurations under {at}: {named}",
        hint=f"name one of them: {at}{found[0]}",
        location=location,
    )


def _folders(store: Store, bucket: str, below: str) -> list[str]:
    pages = iter_listing(store, ListQuery(bucket, below, delimiter="/"))
    return [one.removeprefix(below).rstrip("/") for page in pages for one in page.prefixes]


def _newest_imported(catalog: Catalog, source: S3Url) -> Snapshot:
    for one in list_snapshots(catalog, source=source.bucket):
        covers = source.key.startswith(one.coverage.prefix or "")
        if one.kind == SourceKind.AWS_INVENTORY and covers:
            return one
    raise SideUnavailableError(
        f"no inventory report that covers {source} was imported, and it is not said where "
        "reports are",
        hint="set inventory_bucket and inventory_prefix in the configuration",
        source=str(source),
    )
