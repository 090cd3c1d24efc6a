"""Which settings a running daemon can take over, and which need a restart."""

from __future__ import annotations

from dataclasses import fields, replace

from stocktake.ship._settings import ShipSettings

NEEDS_RESTART = frozenset(
    {
        "folder",
        "bucket",
        "prefix",
        "dataset",
        "store",
        "state_folder",
        "error_folder",
        "settle_s",
        "settle_unknown_s",
        "done_marker",
        "checksum",
        "follow_links",
    }
)
"""What the ledger, the scan and the connections were opened with."""

DAEMON_ONLY = frozenset(
    {
        "attempts_max",
        "retry_cap_s",
        "incomplete_grace_s",
        "scan_interval_s",
        "stop_grace_s",
        "manifest_interval_s",
        "log_level",
        "log_format",
    }
)
"""What workers need not be replaced for."""


def reloaded(
    old: ShipSettings, new: ShipSettings
) -> tuple[ShipSettings, list[str], list[str], bool]:
    """The settings to go on with.

    Returns:
        The settings, the names that changed, those that changed but need a restart, and whether
        workers must be replaced.
    """
    changed = [
        item.name for item in fields(old) if getattr(old, item.name) != getattr(new, item.name)
    ]
    waiting = [name for name in changed if name in NEEDS_RESTART]
    taken = [name for name in changed if name not in NEEDS_RESTART]
    merged = replace(new, **{name: getattr(old, name) for name in waiting})
    return merged, taken, waiting, any(name not in DAEMON_ONLY for name in taken)
