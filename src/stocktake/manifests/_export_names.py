"""What a dataset's files are called once they are restored, and which cannot be in one tree."""

from __future__ import annotations

from dataclasses import dataclass

from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import DatasetInfo
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._restore_one import target_path

_NAME_BYTES_MAX = 255
_AFTER_SLASH = "0"  # the character behind `/`


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that an export cannot have, and why."""

    s3_key: str
    why: str


class FileNames:
    """The name that each file has below the folder it is restored to, asked in key order.

    Memory: the files whose names the current one begins with.
    """

    def __init__(self, dataset: Dataset, info: DatasetInfo) -> None:
        """`info` is of the version that is exported."""
        self._dataset = dataset
        self._info = info
        self._open: list[str] = []

    def of(self, record: UploadRecord) -> str | LeftOut:
        """The name; bytes that are no UTF-8 are lone surrogates, as everywhere in Python."""
        relative = record.s3_key.removeprefix(self._info.prefix)
        why = self._refusal(relative)
        name = target_path(record, self._info.prefix).decode("utf-8", "surrogateescape")
        if why is None and name != relative:
            why = _refused(name) or self._taken(name)
        return name if why is None else LeftOut(record.s3_key, why)

    def _taken(self, name: str) -> str | None:
        """A local name that had to be escaped for its key, and another key that is just that."""
        try:
            name.encode()
        except UnicodeEncodeError:
            return None  # no key is that
        other = self._dataset.find(self._info.prefix + name, version=self._info.version)
        return None if other is None else "another file has its name"

    def _refusal(self, name: str) -> str | None:
        """Why no file can have this name; None if one can, and then it has it."""
        why = _refused(name)
        while self._open and name >= self._open[-1] + _AFTER_SLASH:
            self._open.pop()
        if why is None and any(name.startswith(f"{one}/") for one in self._open):
            why = "a file has the name of its folder"
        if why is None:
            self._open.append(name)
        return why


def _refused(name: str) -> str | None:
    parts = name.split("/")
    if "\0" in name:
        return "its name has a NUL"
    if not all(parts):
        return "its name has an empty part, or is that of a folder"
    if any(part in (".", "..") for part in parts):
        return "its name has a part `.` or `..`"
    if any(len(part.encode("utf-8", "surrogateescape")) > _NAME_BYTES_MAX for part in parts):
        return f"its name has a part of more than {_NAME_BYTES_MAX} bytes"
    return None
