"""Does anybody write to this file? The kernel knows, where it is asked the right way.

A read lease is granted only while nobody has the file open for writing or mapped writable. It is
given back at once. A writer that comes in between waits for microseconds; the kernel tells us by a
signal, which by default would end the process: it is changed to one that nobody minds.

Leases need the file's owner or CAP_LEASE, and a file system whose writers all are on this machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
from enum import StrEnum

NETWORK_FILE_SYSTEMS = {
    0x6969: "nfs",
    0x517B: "smb",
    0xFE534D42: "smb2",
    0xFF534D42: "cifs",
    0x65735546: "fuse",
    0x01021997: "9p",
    0x00C36400: "ceph",
    0x5346414F: "afs",
    0x6B414653: "afs",
    0x73757245: "coda",
    0x0BD00BD0: "lustre",
    0x7461636F: "ocfs2",
    0x01161970: "gfs2",
    0x47504653: "gpfs",
    0x19830326: "beegfs",
    0x786F4256: "vboxsf",
    0xBACBACBC: "vmhgfs",
    0x7C7C6673: "prl_fs",
}
"""By the magic number of statfs: files that others may write to without this kernel's knowledge."""

LOCAL_FILE_SYSTEMS = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x01021994: "tmpfs",
    0x2FC12FC1: "zfs",
    0xF2F52010: "f2fs",
    0x794C7630: "overlayfs",
    0x4D44: "vfat",
    0x2011BAB0: "exfat",
    0x5346544E: "ntfs",
}
"""Names for people."""

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_STATFS_BYTES = 512
_LIBC = ctypes.CDLL(None, use_errno=True)


class Lease(StrEnum):
    """What the kernel says."""

    QUIET = "quiet"
    BUSY = "busy"
    """Open for writing somewhere, or mapped writable."""
    UNKNOWN = "unknown"
    """It cannot say: another user's file, or a file system without leases."""


def probe_lease(path: bytes, *, follow_links: bool = False) -> Lease:
    """Whether anybody writes to the file just now.

    Raises:
        OSError: It cannot be opened for reading.
    """
    flags = _OPEN & ~os.O_NOFOLLOW if follow_links else _OPEN
    try:
        descriptor = os.open(path, flags)
    except BlockingIOError:  # somebody (Samba) has a lease of its own and must write back first
        return Lease.BUSY
    try:
        return _probe(descriptor)
    finally:
        os.close(descriptor)


def _probe(descriptor: int) -> Lease:
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # not SIGIO, which ends a process
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return Lease.BUSY if error.errno == errno.EAGAIN else Lease.UNKNOWN
    with contextlib.suppress(OSError):  # closing gives it back as well
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return Lease.QUIET


def file_system(path: bytes) -> tuple[str, bool]:
    """The name of the file system that holds `path`, and whether it is on this machine only.

    Raises:
        OSError: It cannot be asked.
    """
    answer = ctypes.create_string_buffer(_STATFS_BYTES)
    if _LIBC.statfs(path, answer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(path))
    magic = ctypes.c_long.from_buffer(answer).value & 0xFFFFFFFF
    if magic in NETWORK_FILE_SYSTEMS:
        return NETWORK_FILE_SYSTEMS[magic], False
    return LOCAL_FILE_SYSTEMS.get(magic, f"0x{magic:x}"), True
