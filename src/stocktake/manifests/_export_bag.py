"""A dataset as a BagIt bag (RFC 8493): what its files are, and where they are fetched from.

The bag has no payload of its own: `fetch.txt` names the object of each file. Restoring the dataset
into its `data/` makes it whole.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from stocktake import __version__
from stocktake.errors import DiskFullError, LocalFolderError
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_address import object_url
from stocktake.manifests._dataset_values import DatasetInfo
from stocktake.manifests._export import Algorithm
from stocktake.manifests._export_names import FileNames, LeftOut
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._render import render_manifest
from stocktake.manifests._render_file import manifest_file_name
from stocktake.model import display_key

LEFT_OUT_KEPT_MAX = 1000
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


@dataclass(frozen=True, slots=True)
class BagResult:
    """A bag that was written.

    Attributes:
        path: Its folder.
        version: Of the dataset.
        files: How many it has.
        size_bytes: Of all of them.
        algorithms: Of its payload manifests.
        left_out: Files that it cannot have, at most 1,000.
        left_out_files: How many.
    """

    path: Path
    version: int
    files: int
    size_bytes: int
    algorithms: tuple[Algorithm, ...]
    left_out: tuple[LeftOut, ...]
    left_out_files: int


def export_bag(
    dataset: Dataset, target: Path, *, version: int | None = None, s3_urls: bool = False
) -> BagResult:
    """Write a bag of a version (the one there is now) to a folder that is not there yet.

    It is there whole or not at all. A payload manifest lists every file, so it is written for the
    digests that are known of all of them; if none is, for the one known of most, and the others are
    left out. So are names that no file can have on any system.

    Args:
        dataset: Whose.
        target: The folder to be made.
        version: An earlier version.
        s3_urls: Name objects by `s3://` instead of `https://`.

    Raises:
        LocalFolderError: It is there already, or cannot be made.
        DiskFullError: No space left; nothing is left of it.
        DatasetNotFoundError: No such version.
    """
    number = dataset.info().version if version is None else version
    algorithms = _algorithms(dataset, number)
    with _whole_folder(target) as folder:
        bag = _Bag(dataset, number, folder, s3_urls=s3_urls)
        bag.write(algorithms)
    return BagResult(
        path=target,
        version=number,
        files=bag.files,
        size_bytes=bag.size_bytes,
        algorithms=algorithms,
        left_out=tuple(bag.left_out[:LEFT_OUT_KEPT_MAX]),
        left_out_files=bag.left_out_files,
    )


def _algorithms(dataset: Dataset, version: int) -> tuple[Algorithm, ...]:
    """Those known of all files; else the one that is known of most."""
    known = dict.fromkeys(Algorithm, 0)
    total = 0
    for entry in dataset.entries(version=version) if version else ():
        total += 1
        for one in Algorithm:
            known[one] += one.of(entry.record) is not None
    whole = tuple(one for one in Algorithm if known[one] == total)
    return whole or (max(reversed(Algorithm), key=known.__getitem__),)


class _Bag:
    """A bag that is being written."""

    def __init__(self, dataset: Dataset, version: int, folder: Path, *, s3_urls: bool) -> None:
        self._dataset = dataset
        self._info = dataset.info()
        self._version = version
        self._folder = folder
        self._s3_urls = s3_urls
        self.files = 0
        self.size_bytes = 0
        self.left_out: list[LeftOut] = []
        self.left_out_files = 0

    def write(self, algorithms: tuple[Algorithm, ...]) -> None:
        """All of it."""
        (self._folder / "data").mkdir()
        tags = ["bagit.txt", *(f"manifest-{one}.txt" for one in algorithms), "fetch.txt"]
        _write_file(self._folder / "bagit.txt", [_DECLARATION])
        with ExitStack() as files:
            sinks = {one: files.enter_context(_sink(self._folder, one)) for one in algorithms}
            fetch = files.enter_context((self._folder / "fetch.txt").open("wb"))
            for record, name in self._payload(algorithms):
                for one, sink in sinks.items():
                    sink.write(f"{one.of(record)}  {name}\n".encode())
                fetch.write(f"{self._url(record)} {record.size_bytes} {name}\n".encode())
                self.files += 1
                self.size_bytes += record.size_bytes
        for name in tags[1:]:
            _sync(self._folder / name)
        picture = manifest_file_name(self._info.id)
        _write_file(self._folder / picture, render_manifest(self._dataset, version=self._version))
        _write_file(self._folder / "bag-info.txt", [self._bag_info()])
        self._write_tag_manifests([*tags, picture, "bag-info.txt"], algorithms)

    def _payload(self, algorithms: tuple[Algorithm, ...]) -> Iterator[tuple[UploadRecord, str]]:
        """Every file that can be in the bag, with its name as the bag has it."""
        version = self._version
        names = FileNames(self._dataset, replace(self._info, version=version))
        for entry in self._dataset.entries(version=version) if version else ():
            record = entry.record
            name = names.of(record)
            if isinstance(name, LeftOut):
                self._leave_out(name)
            elif not name.isascii() and not _is_text(name):
                self._leave_out(LeftOut(record.s3_key, "its name is not UTF-8"))
            elif not all(one.of(record) for one in algorithms):
                self._leave_out(LeftOut(record.s3_key, f"its {algorithms[0]} is not known"))
            else:
                yield record, encode_path(f"data/{name}")

    def _leave_out(self, one: LeftOut) -> None:
        self.left_out_files += 1
        if len(self.left_out) < LEFT_OUT_KEPT_MAX:
            self.left_out.append(one)

    def _url(self, record: UploadRecord) -> str:
        if self._s3_urls:
            return f"s3://{self._info.bucket}/{quote(record.s3_key, safe='/-_.~')}"
        url = object_url(self._info, record.s3_key)
        return f"{url}?versionId={quote(record.version_id, safe='')}" if record.version_id else url

    def _bag_info(self) -> bytes:
        values: Mapping[str, object] = {
            "Bag-Software-Agent": f"stocktake {__version__}",
            "Bagging-Date": self._dataset.state.clock.now().date().isoformat(),
            "Payload-Oxum": f"{self.size_bytes}.{self.files}",
            "External-Identifier": self._info.id,
            "External-Description": self._info.title,
            "Stocktake-Dataset-Version": self._version,
            "Stocktake-Place": _place(self._info),
        }
        return "".join(f"{name}: {value}\n" for name, value in values.items()).encode()

    def _write_tag_manifests(self, names: Sequence[str], algorithms: tuple[Algorithm, ...]) -> None:
        for one in algorithms:
            lines = [
                f"{_digest(self._folder / name, one)}  {encode_path(name)}\n" for name in names
            ]
            _write_file(self._folder / f"tagmanifest-{one}.txt", (line.encode() for line in lines))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def encode_path(path: str) -> str:
    """A path as manifests and `fetch.txt` have it: RFC 8493 escapes line breaks and `%`."""
    return path.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")


def _place(info: DatasetInfo) -> str:
    return display_key(f"s3://{info.bucket}/{info.prefix}")


def _sink(folder: Path, algorithm: Algorithm) -> BinaryIO:
    return (folder / f"manifest-{algorithm}.txt").open("wb")


def _digest(path: Path, algorithm: Algorithm) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm.value).hexdigest()


def _write_file(path: Path, pieces: Iterable[bytes]) -> None:
    with path.open("xb") as sink:
        sink.writelines(pieces)
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """A folder that gets its name when all is in it; nothing stays of it otherwise."""
    if os.path.lexists(target):
        raise LocalFolderError(
            f"`{target}` is there already", hint="name a folder that is not", folder=str(target)
        )
    part = target.absolute().with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        part.mkdir()
        yield part
        _sync(part)
        part.rename(target)
        _sync(part.parent)
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFullError(f"no space is left for `{target}`", path=str(target)) from error
        raise LocalFolderError(
            f"cannot write `{target}`: {error.strerror}", folder=str(target)
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
