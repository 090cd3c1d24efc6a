"""The manifest as a local file: whole or not at all, and never an older one over a newer one."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stocktake import faults
from stocktake.errors import DiskFullError, LocalFolderError
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._render import render_manifest

_SUFFIX = "_s3_manifest.json"
_NAME_BYTES_MAX = 200
_REPLACED = frozenset('%/\\:*?"<>|')
_HEAD_BYTES = 16_384
_VERSION = re.compile(rb'^  "version": (\d+),$', re.MULTILINE)
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def manifest_file_name(dataset_id: str) -> str:
    """The name of a dataset's manifest, in a folder or below a prefix; ids never share one.

    What file systems or addresses dislike is percent-encoded; a name too long ends in a digest.

    >>> manifest_file_name("16"), manifest_file_name("a:b")
    ('16_s3_manifest.json', 'a%3Ab_s3_manifest.json')
    """
    name = "".join(_escaped(char, at == 0) for at, char in enumerate(dataset_id))
    if len(name.encode()) > _NAME_BYTES_MAX:
        digest = hashlib.sha256(dataset_id.encode()).hexdigest()[:16]
        cut = name.encode()[: _NAME_BYTES_MAX - 20].decode(errors="ignore")
        name = f"{cut}%~{digest}"  # `%~` is in no escaped name
    return name + _SUFFIX


def _escaped(char: str, first: bool) -> str:  # noqa: FBT001 - of two words
    hidden = first and char == "."
    if char in _REPLACED or hidden or not char.isprintable():
        return "".join(f"%{byte:02X}" for byte in char.encode())
    return char


def is_manifest_file_current(dataset: Dataset, folder: Path) -> bool:
    """Whether the file there is of the dataset's version by now; only its head is read."""
    try:
        with (folder / manifest_file_name(dataset.id)).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    found = _VERSION.search(head)
    return found is not None and int(found[1]) == dataset.info().version


def write_manifest_file(dataset: Dataset, folder: Path) -> Path:
    """Write the manifest as it is now to `<folder>/<id>_s3_manifest.json`; gives that path.

    Readers see the old file or the new one. Writers in one folder take turns, so that the last
    file is of the last version. What a killed writer left is removed.

    Raises:
        LocalFolderError: The folder cannot be made or written.
        DiskFullError: No space left; the file is as it was.
        DatasetNotFoundError: The dataset was forgotten.
    """
    name = manifest_file_name(dataset.id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _turn(folder) as descriptor:
            for left in folder.glob(f".{_glob_safe(name)}.*.part"):
                left.unlink(missing_ok=True)
            part = folder / f".{name}.{secrets.token_hex(4)}.part"
            try:
                _write(part, render_manifest(dataset))
                faults.reached("dataset.file-written")
                part.replace(folder / name)
                os.fsync(descriptor)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFullError(f"no space is left for the manifest in `{folder}`") from error
        raise LocalFolderError(
            f"cannot write the manifest to `{folder}`: {error.strerror}", folder=str(folder)
        ) from error
    return folder / name


def _write(part: Path, pieces: Iterator[bytes]) -> None:
    with part.open("xb") as sink:
        for piece in pieces:
            sink.write(piece)
        sink.flush()
        os.fsync(sink.fileno())


@contextmanager
def _turn(folder: Path) -> Iterator[int]:
    """Alone in this folder, as long as the block runs; the kernel ends the turn of the killed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _glob_safe(name: str) -> str:
    return "".join(f"[{char}]" if char in "[]*?" else char for char in name)
