"""What shipping needs of this machine: folders, file systems, libraries, memory."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from stocktake.ship._check_findings import Finding, Level
from stocktake.ship._lease import Lease, file_system, probe_lease
from stocktake.ship._settings import ShipSettings
from stocktake.unpack import library_status

_GIB, _MIB = 1 << 30, 1 << 20
_SPACE_FAIL_BYTES = 64 * _MIB
_SPACE_WARN_BYTES = _GIB
_ENTRIES_MAX = 1000
_FOLDERS_MAX = 100_000
_EXTRAS = (
    ("awscrt", Level.FAIL, "checksums of uploads cannot be computed"),
    ("watchfiles", Level.WARN, "the folder is scanned at intervals only"),
    ("dotenv", Level.WARN, "`.env` files cannot be read"),
    ("lxml", Level.FAIL, "XML cannot be converted"),
)


def check_machine(settings: ShipSettings) -> Iterator[Finding]:
    """Findings about folders, libraries and memory. Writes nothing."""
    folder = _folder(settings)
    yield folder
    if folder.level is not Level.FAIL:
        yield from _file_system(settings)
        yield _watches(settings)
        yield _error_folder(settings)
    yield from _state_folder(settings)
    yield from _libraries()
    yield _memory(settings)


def _folder(settings: ShipSettings) -> Finding:
    try:
        with os.scandir(settings.folder):
            pass
    except OSError as error:
        return Finding(
            "folder",
            Level.FAIL,
            f"`{settings.folder}` cannot be read: {error.strerror}",
            "make or mount it, and let the user that runs stocktake read and enter it",
        )
    return Finding("folder", Level.OK, f"`{settings.folder}` can be read")


def _file_system(settings: ShipSettings) -> Iterator[Finding]:
    try:
        name, local = file_system(os.fsencode(settings.folder))
    except OSError as error:
        yield Finding("file-system", Level.WARN, f"unknown: {error.strerror}")
        return
    if not local:
        yield Finding(
            "file-system",
            Level.WARN,
            f"{name}: others may write without this machine's knowledge; files must be unchanged "
            f"for {settings.settle_unknown_s:g} s",
            "let writers rename files into place, or use --done-marker",
        )
        return
    yield Finding("file-system", Level.OK, name)
    yield _lease(settings)


def _lease(settings: ShipSettings) -> Finding:
    """Ask about a file that is there; nothing is written to try it out."""
    with os.scandir(os.fsencode(settings.folder)) as entries:
        for _, entry in zip(range(_ENTRIES_MAX), entries, strict=False):
            if entry.is_file(follow_symlinks=False):
                try:
                    answer = probe_lease(entry.path)
                except OSError:
                    continue
                if answer is not Lease.UNKNOWN:
                    return Finding("lease", Level.OK, "the kernel says who is still writing")
                return Finding(
                    "lease",
                    Level.WARN,
                    "the kernel does not say who is still writing; files must be unchanged for "
                    f"{settings.settle_unknown_s:g} s",
                    "run as the owner of the files, or with CAP_LEASE",
                )
    return Finding("lease", Level.OK, "not tried: no file is there yet")


def _watches(settings: ShipSettings) -> Finding:
    limit_text = _read("/proc/sys/fs/inotify/max_user_watches")
    if not limit_text.isdigit():
        return Finding("notices", Level.WARN, "no inotify: the folder is scanned at intervals")
    folders, limit = _count_folders(settings.folder), int(limit_text)
    if folders > limit:
        return Finding(
            "notices",
            Level.WARN,
            f"{folders:,} folders, the kernel watches {limit:,}: the rest is scanned at intervals",
            "raise it: sysctl fs.inotify.max_user_watches=1048576",
        )
    return Finding("notices", Level.OK, f"{folders:,} folders to watch, {limit:,} are possible")


def _count_folders(top: Path) -> int:
    """How many, up to a limit, so that a check stays quick."""
    count = 0
    for _, folders, _ in os.walk(top):
        count += 1
        folders[:] = [name for name in folders if not name.startswith(".")]
        if count > _FOLDERS_MAX:
            break
    return count


def _error_folder(settings: ShipSettings) -> Finding:
    folder, failed = settings.folder, settings.error_folder
    there = _existing(failed)
    if there.stat().st_dev != folder.stat().st_dev:
        return Finding(
            "error-folder",
            Level.WARN,
            f"`{failed}` is on another file system: failed files stay where they are",
            f"name one on the file system of `{folder}`",
        )
    if not os.access(there, os.W_OK | os.X_OK) or not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            "error-folder",
            Level.WARN,
            f"files cannot be moved from `{folder}` to `{failed}`: failed ones stay where they are",
            "give the user that runs stocktake the right to write to both",
        )
    return Finding("error-folder", Level.OK, f"failed files are moved to `{failed}`")


def _state_folder(settings: ShipSettings) -> Iterator[Finding]:
    state = settings.state_folder
    there = _existing(state)
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            "state-folder",
            Level.FAIL,
            f"`{state}` cannot be written",
            "name another one with --state-folder, or give the right to write to it",
        )
        return
    name, local = file_system(os.fsencode(there))
    yield Finding(
        "state-folder",
        Level.OK if local else Level.WARN,
        f"`{state}` is on {name}" + ("" if local else ", which may lose or lock a database"),
        None if local else "name a local folder with --state-folder",
    )
    free_bytes = shutil.disk_usage(there).free
    level = Level.OK
    if free_bytes < _SPACE_WARN_BYTES:
        level = Level.WARN if free_bytes >= _SPACE_FAIL_BYTES else Level.FAIL
    yield Finding(
        "state-space",
        level,
        f"{free_bytes / _MIB:,.0f} MiB are free for the ledger, which needs about 200 bytes a file",
        None if level is Level.OK else "make space, or name another folder with --state-folder",
    )


def _libraries() -> Iterator[Finding]:
    for module, level, loss in _EXTRAS:
        if importlib.util.find_spec(module) is None:
            hint = "pip install 'stocktake[ship]'"
            yield Finding("library", level, f"{module} is not installed: {loss}", hint)
    status = library_status()
    yield Finding(
        "archives",
        Level.OK if status.hint is None else Level.WARN,
        f"libarchive {status.version or 'is not there'}; readable: {', '.join(status.formats)}",
        status.hint,
    )


def _memory(settings: ShipSettings) -> Finding:
    needed = settings.workers * settings.worker_memory_bytes
    available = _available_bytes()
    message = (
        f"{settings.workers} workers need up to {needed / _MIB:,.0f} MiB, "
        f"{available / _MIB:,.0f} MiB are available"
    )
    if needed <= available:
        return Finding("memory", Level.OK, message)
    fit = max(1, available // settings.worker_memory_bytes)
    return Finding("memory", Level.WARN, message, f"use --workers {fit}")


def _available_bytes() -> int:
    """What the machine and the control group leave, the smaller of both."""
    figures = [os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            figures = [int(line.split()[1]) * 1024]
    limit, used = (_read(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if limit.isdigit() and used.isdigit():
        figures.append(max(0, int(limit) - int(used)))
    return min(figures)


def _existing(folder: Path) -> Path:
    """The folder, or the closest one above it that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
