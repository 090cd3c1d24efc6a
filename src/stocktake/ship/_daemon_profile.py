"""What the store can do with uploads: found out once, then remembered beside the ledger."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from stocktake.clock import Clock
from stocktake.ship._settings import ShipSettings
from stocktake.ship._wire import decode, encode
from stocktake.store import Store, UploadProfile, probe_uploads

PROFILE_NAME = "ledger.profile.json"
KEPT = timedelta(days=7)
"""A store may be upgraded, or another one put in its place."""
_VERSION = 1


def upload_profile(
    store: Store, settings: ShipSettings, clock: Clock, ship_id: str
) -> UploadProfile:
    """The profile of the bucket: remembered, or found out with about forty requests.

    Raises:
        StoreError: The bucket cannot be written, or the store is not there.
    """
    path = settings.state_folder / PROFILE_NAME
    about = [_VERSION, settings.store.endpoint_url, settings.bucket, settings.prefix]
    try:
        known_about, at, profile = decode(path.read_bytes())
    except (OSError, ValueError, TypeError, KeyError):
        known_about = None  # not there, or of another version
    if known_about == about and clock.now() - at < KEPT:
        known: UploadProfile = profile
        return known
    found = probe_uploads(store, settings.bucket, prefix=settings.prefix, trial_name=ship_id)
    _write(path, encode([about, clock.now(), found]))
    return found


def _write(path: Path, data: bytes) -> None:
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(data)
    beside.replace(path)
