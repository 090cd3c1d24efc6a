"""Checks of what was delivered: due, late, partial, readable. Sets nothing off, reads little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from stocktake.clock import Clock, format_utc
from stocktake.errors import (
    AccessDeniedError,
    ArchivedObjectError,
    BucketNotFoundError,
    ObjectNotFoundError,
    ReportError,
    ReportNotReadyError,
    StoreError,
)
from stocktake.inventory import (
    Delivery,
    DeliveryState,
    Report,
    ReportAddress,
    check_delivery,
    list_deliveries,
    open_report,
)
from stocktake.setup._checks import Check, CheckState, Fix, not_seen
from stocktake.setup._configuration import Configuration
from stocktake.store import ByteRange, ObjectHead, Store

FIRST_DUE = timedelta(hours=48)
"""The first report comes up to 48 hours after the configuration, says S3."""
LATE_AFTER = {"Daily": timedelta(hours=48), "Weekly": timedelta(days=9)}
"""A report is delivered up to a day after its stamp; weekly ones begin on Sundays."""
PARTS_LOOKED_AT = 50
_BACK_MAX = 3
_TITLE = "Delivery"
_READING = "Reading"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What was found below a report's address."""

    deliveries: tuple[Delivery, ...]
    error: StoreError | None = None


def check_deliveries(
    store: Store,
    one: Configuration,
    clock: Clock,
    *,
    readers: str | None = None,
) -> Iterator[Check]:
    """Whether reports come, come in time, are whole, and can be read by us.

    One LIST per 1,000 deliveries, then two HEADs for up to three of them, what opening a report
    takes, a HEAD for up to 50 of its parts, and one GET of one byte.

    Args:
        store: With the identity that will read the reports.
        one: The configuration.
        clock: Says what is late.
        readers: ARN of that identity, for the policy that would let it read.
    """
    found = _deliveries(store, one)
    if found.error is not None:
        yield _unlisted(one, found.error, readers)
        return
    if not found.deliveries:
        yield _nothing(one)
        return
    newest = found.deliveries[-1]
    late = _late(one, newest, clock.now())
    ready, states = _newest_ready(store, found.deliveries)
    yield late or _state(one, found, ready, states)
    if ready is not None:
        yield from _reading(store, one, ready, readers, clock)


def address_of(one: Configuration) -> ReportAddress:
    """Where a configuration's reports lie; the trap of a slash too many is tried by the reader."""
    return ReportAddress(one.destination_bucket, one.prefix.strip("/"), one.bucket, one.id)


def _deliveries(store: Store, one: Configuration) -> Delivered:
    try:
        return Delivered(tuple(list_deliveries(store, address_of(one))))
    except StoreError as error:
        return Delivered((), error)


def _unlisted(one: Configuration, error: StoreError, readers: str | None) -> Check:
    if isinstance(error, AccessDeniedError):
        return Check(
            "delivery",
            _TITLE,
            CheckState.UNKNOWN,
            error.message,
            _reader_fix(one, "s3:ListBucket", readers),
            one.id,
        )
    if isinstance(error, BucketNotFoundError):
        why = "nothing can be delivered: the destination bucket is not there"
        return Check("delivery", _TITLE, CheckState.UNKNOWN, why, None, one.id)
    return not_seen("delivery", _TITLE, error, one.id)


def _nothing(one: Configuration) -> Check:
    where = f"s3://{one.destination_bucket}/{address_of(one).base_prefix}"
    if not one.enabled:
        why = f"nothing below {where}, and the configuration is disabled"
        return Check("delivery", _TITLE, CheckState.WARNING, why, None, one.id)
    hours = int(FIRST_DUE.total_seconds() // 3600)
    weekly = ", or on the Sunday after" if one.frequency == "Weekly" else ""
    why = (
        f"nothing yet below {where}: the first report comes up to {hours} hours after the "
        f"configuration was made{weekly}, and S3 does not tell when that was; nothing after that "
        "time means that one of the checks above fails"
    )
    return Check("delivery", _TITLE, CheckState.WARNING, why, None, one.id)


def _late(one: Configuration, newest: Delivery, now: datetime) -> Check | None:
    allowed = LATE_AFTER.get(one.frequency, LATE_AFTER["Daily"])
    age = now - newest.stamp
    if not one.enabled or age <= allowed:
        return None
    usual = "daily" if one.frequency == "Daily" else "weekly"
    why = (
        f"the newest report is of {format_utc(newest.stamp)}, {_days(age)} ago: no {usual} report "
        f"came for more than {_days(allowed)}"
    )
    fix = Fix(
        "mend what fails above (S3 stops delivering when policy or key change); if nothing does, "
        "ask AWS support"
    )
    return Check("delivery", _TITLE, CheckState.FAILED, why, fix, one.id)


def _days(span: timedelta) -> str:
    hours = round(span.total_seconds() / 3600)
    return f"{hours} hours" if hours < 72 else f"{hours // 24} days"


def _newest_ready(
    store: Store, deliveries: tuple[Delivery, ...]
) -> tuple[Delivery | None, list[Delivery]]:
    """The newest that is whole, and what was found on the way to it."""
    looked_at = []
    for one in reversed(deliveries[-_BACK_MAX:]):
        looked_at.append(check_delivery(store, one))
        if looked_at[-1].state in (DeliveryState.READY, DeliveryState.DENIED):
            return looked_at[-1], looked_at
    return None, looked_at


def _state(
    one: Configuration, found: Delivered, ready: Delivery | None, states: list[Delivery]
) -> Check:
    newest, count = states[0], len(found.deliveries)
    said = f"{count} {'delivery' if count == 1 else 'deliveries'}, the newest of {newest.date}"
    if newest.warning:
        # the check of the destination prefix has the fix
        return Check("delivery", _TITLE, CheckState.WARNING, newest.warning, None, one.id)
    if newest.state in (DeliveryState.READY, DeliveryState.DENIED):
        return Check("delivery", _TITLE, CheckState.OK, said, None, one.id)
    if newest.state is DeliveryState.EXPIRED:
        why = f"{said}, of which only the checksum is left: something removes reports"
        fix = Fix("look at the lifecycle rules of the destination")
        return Check("delivery", _TITLE, CheckState.FAILED, why, fix, one.id)
    then = f"; the one before, {ready.date}, is whole" if ready else ""
    why = f"{said}, which is still being written: its manifest.checksum is not there{then}"
    return Check("delivery", _TITLE, CheckState.WARNING, why, None, one.id)


def _reading(
    store: Store, one: Configuration, ready: Delivery, readers: str | None, clock: Clock
) -> Iterator[Check]:
    """Whether we can read a whole delivery, and whether all of its parts are there."""
    try:
        report = open_report(store, address_of(one), date=ready.date, clock=clock)
        yield _parts(store, one, report)
    except AccessDeniedError as error:
        permission = str(error.attrs.get("permission", "s3:GetObject"))
        fix = _reader_fix(one, permission, readers)
        yield Check("reading", _READING, CheckState.FAILED, error.message, fix, one.id)
    except ReportNotReadyError as error:
        yield Check("reading", _READING, CheckState.WARNING, error.message, None, one.id)
    except (ReportError, ArchivedObjectError) as error:
        mend = Fix(error.hint) if error.hint else None
        yield Check("reading", _READING, CheckState.FAILED, error.message, mend, one.id)
    except StoreError as error:
        yield not_seen("reading", _READING, error, one.id)


def _parts(store: Store, one: Configuration, report: Report) -> Check:
    """HEADs of parts, then one byte: HEAD needs no key, GET does."""
    parts = report.manifest.files[:PARTS_LOOKED_AT]
    first: str | None = None
    for part in parts:
        found = _find_part(store, report, part.key)
        if found is None:
            why = f"part {part.key} of the delivery is gone: the report is incomplete"
            fix = Fix("look at the lifecycle rules of the destination; import an older report")
            return Check("reading", _READING, CheckState.FAILED, why, fix, one.id)
        if found.size_bytes != part.size_bytes:
            why = (
                f"part {found.key} has {found.size_bytes:,} bytes, the manifest says "
                f"{part.size_bytes:,}"
            )
            fix = Fix("wait for the next report, or import the one before")
            return Check("reading", _READING, CheckState.FAILED, why, fix, one.id)
        first = first or (found.key if found.size_bytes else None)
    if first is not None:
        with store.get(report.manifest_url.bucket, first, byte_range=ByteRange(0, 1)) as body:
            body.read()
    total = len(report.manifest.files)
    beyond = f" (the first {len(parts)} looked at)" if total > len(parts) else ""
    noun = "part" if total == 1 else "parts"
    why = f"manifest and checksum agree, {total} {noun} there{beyond} and readable"
    return Check("reading", _READING, CheckState.OK, why, None, one.id)


def _find_part(store: Store, report: Report, key: str) -> ObjectHead | None:
    """The part where the manifest says, or beside the manifest: they differ by a slash too many."""
    url = report.manifest_url
    base = url.key.rsplit("/", 2)[0]
    for place in (key, f"{base}/data/{key.rpartition('/')[2]}"):
        try:
            return store.head(url.bucket, place)
        except ObjectNotFoundError:
            continue
    return None


def _reader_fix(one: Configuration, permission: str, readers: str | None) -> Fix:
    """What lets us read the reports."""
    if permission.startswith("kms:"):
        return Fix(
            "allow the key's use to whoever reads: in the key policy and for the identity",
            None,
            {
                "Effect": "Allow",
                "Principal": {"AWS": readers or "arn:aws:iam::ACCOUNT:role/READER"},
                "Action": "kms:Decrypt",
                "Resource": "*",
            },
        )
    partition = one.destination_arn.split(":")[1] if one.destination_arn.count(":") > 1 else "aws"
    bucket_arn = f"arn:{partition}:s3:::{one.destination_bucket}"
    below = address_of(one).base_prefix
    return Fix(
        f"attach this policy to {readers or 'the identity that reads'}",
        None,
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "s3:ListBucket",
                    "Resource": bucket_arn,
                    "Condition": {"StringLike": {"s3:prefix": f"{below}*"}},
                },
                {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{bucket_arn}/{below}*"},
            ],
        },
    )
