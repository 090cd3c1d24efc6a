"""Everything that can be known before the first file is shipped."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

from stocktake.clock import Clock, SystemClock
from stocktake.errors import MissingExtraError, StocktakeError, StoreError
from stocktake.ship._check_findings import Finding, Level
from stocktake.ship._check_machine import check_machine
from stocktake.ship._settings import ShipSettings
from stocktake.store import Store, UploadProfile, probe_uploads

__all__ = ["Finding", "Level", "check_settings"]

_SKEW_WARN_S = 30.0
_SKEW_FAIL_S = 300.0
_ABILITIES = (
    ("crc64nvme", "compares every request with its checksum", "the answer's ETag is compared"),
    (
        "full_object_crc",
        "compares whole objects with their checksum",
        "large objects are proven by their ETag or read back",
    ),
    ("put_if_absent", "writes only where nothing is", "two shippers of one prefix go unnoticed"),
    ("put_if_match", "replaces only what was seen", "replacing has a gap of one request"),
    (
        "complete_if_absent",
        "writes large objects only where nothing is",
        "two shippers of one prefix go unnoticed",
    ),
    ("lists_uploads", "lists open uploads", "an upload whose id was lost cannot be found again"),
)


def check_settings(
    settings: ShipSettings, store: Store, *, clock: Clock | None = None
) -> list[Finding]:
    """Look at folders, machine and bucket; in the bucket, small objects are written and deleted.

    Never raises for what it finds: that is a finding with level `fail`.
    """
    found = list(check_machine(settings))
    found += _bucket(settings, store, clock or SystemClock())
    return found


def _bucket(settings: ShipSettings, store: Store, clock: Clock) -> Iterator[Finding]:
    target = f"s3://{settings.bucket}/{settings.prefix}"
    try:
        profile = probe_uploads(store, settings.bucket, prefix=settings.prefix)
    except (StoreError, MissingExtraError) as error:
        yield _failed("bucket", f"`{target}` cannot be used", error)
        return
    yield Finding("bucket", Level.OK, f"`{target}` takes, lists and aborts uploads")
    yield from _abilities(profile)
    try:
        yield _skew(settings, store, clock)
    except StoreError as error:
        yield _failed("clock", "the store's clock cannot be asked", error)


def _failed(name: str, what: str, error: StocktakeError) -> Finding:
    return Finding(name, Level.FAIL, f"{what}: {error.message}", error.hint)


def _abilities(profile: UploadProfile) -> Iterator[Finding]:
    for field, good, otherwise in _ABILITIES:
        name = field.replace("_", "-")
        if getattr(profile, field):
            yield Finding(name, Level.OK, f"the store {good}")
        else:
            yield Finding(name, Level.WARN, f"not so: the store {good}; {otherwise}")


def _skew(settings: ShipSettings, store: Store, clock: Clock) -> Finding:
    """For people only: shipping compares no time of the store with one of this machine."""
    key = f"{settings.prefix}.stocktake-probe/{secrets.token_hex(8)}"
    store.put(settings.bucket, key, b"")
    try:
        written = store.head(settings.bucket, key).last_modified
    finally:
        with contextlib.suppress(StoreError):
            store.delete(settings.bucket, [key])
    if written is None:
        return Finding("clock", Level.WARN, "the store does not say when an object was written")
    skew_s = (clock.now() - written).total_seconds()
    level = Level.OK
    if abs(skew_s) > _SKEW_WARN_S:
        level = Level.WARN if abs(skew_s) <= _SKEW_FAIL_S else Level.FAIL
    hint = "set this machine's clock (NTP): a store refuses requests that are 15 minutes off"
    ahead = "ahead of" if skew_s >= 0 else "behind"
    return Finding(
        "clock",
        level,
        f"this machine's clock is {abs(skew_s):.0f} s {ahead} the store's",
        None if level is Level.OK else hint,
    )
