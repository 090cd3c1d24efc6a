"""One entry of a manifest: where its file goes, whether it is there already, and fetching it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from stocktake.errors import (
    ArchivedObjectError,
    BucketNotFoundError,
    CredentialsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    RestoreMismatchError,
    RestoreTargetError,
    StocktakeError,
    StoreError,
    WrongRegionError,
)
from stocktake.manifests._local_names import local_key
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._restore_fetch import FetchRequest, check_file, fetch_file
from stocktake.manifests._restore_folder import TargetFolder
from stocktake.manifests._restore_options import (
    Overwrite,
    RestoreFinding,
    RestoreOptions,
    RestoreProblem,
)
from stocktake.manifests._restore_part import taken_error
from stocktake.manifests._restore_path import PathProblem, path_error, unescape_path
from stocktake.manifests._verify_bytes import Expected
from stocktake.model import display_key
from stocktake.store import Store


class Deed(StrEnum):
    """What was done about one entry."""

    RESTORED = "restored"
    IDENTICAL = "identical"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one entry. `error` is why nothing did."""

    record: UploadRecord
    deed: Deed | None = None
    replaced: bool = False
    proven: bool = True
    error: StocktakeError | None = None


def target_path(record: UploadRecord, prefix: str) -> bytes:
    """Where an object goes below the target: its key without the prefix.

    A file whose name no key can have (bytes that are no UTF-8, control characters) has its own name
    again, if the key really is that of this name.
    """
    relative = record.s3_key.removeprefix(prefix)
    if record.source_raw is not None and record.entry is None:
        try:
            raw = bytes.fromhex(record.source_raw)
        except ValueError:
            return relative.encode()
        is_its_key = local_key(raw) == relative or unescape_path(relative) == raw
        # a name that a key can have is its own key: anything else would be that of another file
        if is_its_key and not os.fsdecode(raw).isprintable():
            return raw
    return relative.encode()


class EntryRestorer:
    """Restores entries one by one. Safe to use from several threads.

    Args:
        store: Where the objects are.
        bucket: The dataset's.
        folder: The target.
        options: What becomes of files that are there.
        advance: Is told of bytes that are done; what it raises ends a download.
    """

    def __init__(
        self,
        store: Store,
        bucket: str,
        folder: TargetFolder,
        options: RestoreOptions,
        advance: Callable[[int], None],
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._folder = folder
        self._options = options
        self._advance = advance

    def restore(self, record: UploadRecord, path: bytes) -> Outcome:
        """Have the file of this record at this path. What fails comes back as the outcome's error.

        Raises:
            DiskFullError: No space; the place is as it was.
            CredentialsError, BucketNotFoundError, WrongRegionError: No other object will come.
        """
        try:
            return self._restore(record, path)
        except (CredentialsError, BucketNotFoundError, WrongRegionError):
            raise
        except (RestoreTargetError, RestoreMismatchError, StoreError) as error:
            return Outcome(record, error=error)

    def _restore(self, record: UploadRecord, path: bytes) -> Outcome:
        expected = Expected.of(record)
        status = self._folder.status(path)
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise taken_error(path, status.st_mode)
        if status is not None and self._options.overwrite is not Overwrite.ALWAYS:
            if self._is_there(path, expected):
                self._advance(record.size_bytes)
                return Outcome(record, Deed.IDENTICAL)
            if self._options.overwrite is Overwrite.NEVER:
                raise taken_error(path, status.st_mode)
        replaced = status is not None
        if self._options.dry_run:
            return Outcome(record, Deed.RESTORED, replaced)
        request = FetchRequest(
            bucket=self._bucket,
            key=record.s3_key,
            expected=expected,
            path=path,
            version_id=record.version_id,
            by_version=record.etag is None,
            over=status,
            mtime_ns=record.source_mtime_ns if record.entry is None else None,
            read_back=self._options.read_back,
        )
        return self._fetch(record, request)

    def _fetch(self, record: UploadRecord, request: FetchRequest) -> Outcome:
        try:
            fetched = fetch_file(self._store, request, self._folder, advance=self._advance)
        except RestoreTargetError as error:
            came_meanwhile = error.attrs.get("problem") == PathProblem.EXISTS
            if came_meanwhile and self._is_there(request.path, request.expected):
                return Outcome(record, Deed.IDENTICAL)
            raise
        return Outcome(
            record,
            Deed.RESTORED,
            replaced=request.over is not None,
            proven=fetched.verdict.same is True,
        )

    def _is_there(self, path: bytes, expected: Expected) -> bool:
        return check_file(self._folder, path, expected).same is True


def finding_of(record: UploadRecord, path: bytes, error: StocktakeError) -> RestoreFinding:
    """Why a file was not restored, for people and programs."""
    problem: str
    why, hint = error.message, error.hint
    match error:
        case RestoreTargetError():
            problem, why = str(error.attrs["problem"]), str(error.attrs["why"])
        case RestoreMismatchError():
            problem = RestoreProblem.MISMATCH
            why = f"the store gives other bytes: {error.attrs['why']}"
        case ObjectNotFoundError():
            problem = RestoreProblem.GONE
            why = "its bytes are gone: the object is deleted" + _lost(record)
            hint = None
        case PreconditionFailedError():
            problem = RestoreProblem.CHANGED
            why = "its bytes are gone: the object was overwritten" + _lost(record)
            hint = None
        case ArchivedObjectError():
            problem = RestoreProblem.ARCHIVED
            hint = "have S3 restore it first: aws s3api restore-object"
        case _:
            problem = RestoreProblem.UNREADABLE
            why = why.rpartition(f"{display_key(record.s3_key)}: ")[2]
    shown = display_key(path.decode("utf-8", "surrogateescape"))
    return RestoreFinding(record.s3_key, shown, str(problem), why, hint)


def _lost(record: UploadRecord) -> str:
    if record.version_id is None:
        return ", and the manifest knows no version of it"
    return f", and so is its version {record.version_id}"


def marker_error(path: bytes) -> RestoreTargetError:
    """The error of an object with data whose key ends in `/`: no file has such a name."""
    why = "its key ends in `/` and it has data: no file has such a name"
    return path_error(path, PathProblem.FOLDER_MARKER, why)
