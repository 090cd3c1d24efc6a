"""How a folder is shipped: every setting, parsed once (`_settings_reading.py` reads them)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from stocktake.convert import ConvertOptions
from stocktake.store import S3StoreOptions
from stocktake.unpack import UnpackLimits


@dataclass(frozen=True, slots=True)
class ShipSettings:
    """The configuration of one shipper.

    Attributes:
        folder: The watched directory, absolute.
        bucket: Where to.
        prefix: In front of every key; empty or ending in `/`.
        dataset: Name of the manifest in the bucket.
        store: Endpoint and identity.
        state_folder: Where the ledger lies: never inside `folder`.
        error_folder: Where failed files are moved; inside `folder` it is not watched.
        workers: Worker processes.
        uploads: Requests that one worker has in flight at most.
        attempts_max: Times a file is tried when its failure may pass; outages do not count.
        retry_cap_s: Longest wait between two tries.
        settle_s: Seconds a file must be unchanged when the kernel says that nobody writes to it.
        settle_unknown_s: The same where the kernel cannot say.
        incomplete_grace_s: Seconds until a file that ends too early counts as corrupt.
        scan_interval_s: Longest time between two scans.
        done_marker: Suffix of a marker file that must be there first (`.done`); None: no markers.
        checksum: Read completed files again to find changes that keep size and times.
        small_max_bytes: Plain files up to this size go by one PUT.
        part_bytes_min: Smallest part of a multipart upload.
        file_bytes_max: Larger files fail; None: what S3 can hold.
        nested_folder: False puts an archive's members beside it instead of below its stem.
        convert_tables: False ships data files as they are.
        on_collision: `fail`, or `suffix` to keep the source's extension in the name.
        limits: Of archives.
        convert: Of tables.
        worker_memory_bytes: What one worker is expected to need at most.
        stop_grace_s: How long a stop waits for work that is under way.
        manifest_interval_s: Longest time until completed uploads are in the bucket's manifest.
        follow_links: Follow symbolic links that stay inside the folder.
        log_level: `debug`, `info`, `warning` or `error`.
        log_format: `human`, `json`, or `auto`: human on a terminal.
    """

    folder: Path
    bucket: str
    prefix: str = ""
    dataset: str = "default"
    store: S3StoreOptions = field(default=S3StoreOptions(), repr=False)
    state_folder: Path = Path()
    error_folder: Path = Path()
    workers: int = 2
    uploads: int = 64
    attempts_max: int = 8
    retry_cap_s: float = 60.0
    settle_s: float = 2.0
    settle_unknown_s: float = 20.0
    incomplete_grace_s: float = 60.0
    scan_interval_s: float = 5.0
    done_marker: str | None = None
    checksum: bool = False
    small_max_bytes: int = 8 << 20
    part_bytes_min: int = 8 << 20
    file_bytes_max: int | None = None
    nested_folder: bool = True
    convert_tables: bool = True
    on_collision: str = "fail"
    limits: UnpackLimits = field(default_factory=UnpackLimits)
    convert: ConvertOptions = field(default_factory=ConvertOptions)
    worker_memory_bytes: int = 320 << 20
    stop_grace_s: float = 20.0
    manifest_interval_s: float = 60.0
    follow_links: bool = False
    log_level: str = "info"
    log_format: str = "auto"
