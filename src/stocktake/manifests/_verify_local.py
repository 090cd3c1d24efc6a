"""A local folder held against a manifest, by the bytes of its files.

What was uploaded as it is has its file at the key's place. Tables and members of archives were made
of a file: for them it is that file that is held against what the manifest says of it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from stocktake.errors import SourceChangedError, SourceUnreadableError, SourceVanishedError
from stocktake.manifests._dataset import Dataset
from stocktake.manifests._dataset_values import DatasetInfo
from stocktake.manifests._etag_check import EtagOutcome, check_etag
from stocktake.manifests._local_digests import DigestCache, FileDigests
from stocktake.manifests._local_files import (
    LocalFile,
    Skipped,
    find_local,
    open_local,
    walk_folder,
)
from stocktake.manifests._local_names import Exclusions, local_key
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._restore_folder import is_unfinished
from stocktake.manifests._verify_listing import Compared
from stocktake.manifests._verify_object import NOTHING, Checked, missing, other_size
from stocktake.manifests._verify_pool import in_order
from stocktake.manifests._verify_values import Damage, VerifyFinding, VerifyOptions

_BY = "folder"


@dataclass(frozen=True, slots=True)
class _Pair:
    """A record and the file it is about; one of them may be missing."""

    record: UploadRecord | None
    file: LocalFile | None


class FolderComparer:
    """Compares one folder. The digests of its files are kept for the next time.

    Args:
        dataset: Whose manifest.
        version: Of it.
        options: The folder, and what of it is left out.
        advance: Is told of bytes that were compared.
    """

    def __init__(
        self,
        dataset: Dataset,
        version: int,
        options: VerifyOptions,
        advance: Callable[[int], None],
    ) -> None:
        assert options.folder is not None
        self._dataset = dataset
        self._version = version
        self._root: Path = options.folder
        self._options = options
        self._advance = advance
        self._excluded = Exclusions.of(options.exclude)
        self._unknown: set[str] = set()
        self._sources: set[bytes] = set()
        self._prefix = ""

    def compared(self, info: DatasetInfo) -> Generator[tuple[Compared, Checked], None, None]:
        """Every entry and every file, in key order.

        Memory: a digest for each entry that was made of a file, and what the walk left out.

        Raises:
            LocalFolderError: The folder cannot be walked.
        """
        self._prefix = info.prefix
        self._note_sources()
        stopped = threading.Event()
        with DigestCache(self._dataset.state, self._root) as cache:

            def check(pair: _Pair) -> Checked:
                return self._check(pair, cache, stopped)

            workers = self._options.workers
            for pair, checked in in_order(check, self._pairs(), workers=workers, stopped=stopped):
                yield Compared(pair.record, None), checked

    def _note_sources(self) -> None:
        for entry in self._dataset.entries(version=self._version):
            if is_made(entry.record):
                self._sources.add(_digest(entry.record.source))

    def _pairs(self) -> Iterator[_Pair]:
        entries = (one.record for one in self._dataset.entries(version=self._version))
        files = (
            one
            for one in walk_folder(
                self._root, exclude=self._options.exclude, skipped=self._note_skipped
            )
            if not is_unfinished(one.path)
        )
        record, file = next(entries, None), next(files, None)
        while record is not None or file is not None:
            key = None if record is None else record.s3_key
            file_key = None if file is None else self._prefix + file.key
            if record is not None and is_made(record):
                yield _Pair(record, find_local(self._root, record.source))
                record = next(entries, None)
            elif file_key is None or (key is not None and key < file_key):
                assert record is not None
                if not self._is_left_out(record):
                    yield _Pair(record, None)
                record = next(entries, None)
            elif key is None or key > file_key:
                assert file is not None
                if _digest(file.key) not in self._sources:
                    yield _Pair(None, file)
                file = next(files, None)
            else:
                yield _Pair(record, file)
                record, file = next(entries, None), next(files, None)

    def _note_skipped(self, one: Skipped) -> None:
        self._unknown.add(local_key(one.path))

    def _is_left_out(self, record: UploadRecord) -> bool:
        """Whether its file was not looked for: excluded, or no file at all."""
        path = record.s3_key.removeprefix(self._prefix)
        return path.endswith("/") or any(map(self._excluded.matches, _with_folders(path)))

    def _check(self, pair: _Pair, cache: DigestCache, stopped: threading.Event) -> Checked:
        record, file = pair.record, pair.file
        if record is None:
            assert file is not None
            return Checked(self._extra(file))
        if file is None:
            return Checked(self._absent(record))
        size = record.source_size_bytes if is_made(record) else record.size_bytes
        if size is not None and size != file.size_bytes:
            return Checked(other_size(record, file.size_bytes, _BY))
        if stopped.is_set():
            return Checked()
        try:
            digests = cache.digests(file)
            self._advance(file.size_bytes)
            return self._compare(record, file, digests)
        except SourceVanishedError:
            return Checked(missing(record, _BY))
        except (SourceChangedError, SourceUnreadableError) as error:
            what = Damage.UNREADABLE
            return Checked(VerifyFinding(record.s3_key, what, "", error.message, _BY))

    def _compare(self, record: UploadRecord, file: LocalFile, digests: FileDigests) -> Checked:
        for name, expected, found in _digest_pairs(record, digests):
            if expected is not None and found is not None:
                if expected == found:
                    return Checked()
                texts = f"{name} {expected}", f"{name} {found}"
                return Checked(VerifyFinding(record.s3_key, Damage.CHECKSUM, *texts, _BY))
        if is_made(record) or record.etag is None:
            return Checked(proven=False)
        verdict = check_etag(
            lambda: open_local(self._root, file),
            file.size_bytes,
            record.etag,
            part_size_bytes=record.part_size_bytes,
        )
        if verdict.outcome is EtagOutcome.DIFFERENT:
            found = verdict.why
            finding = VerifyFinding(record.s3_key, Damage.ETAG, f"ETag {record.etag}", found, _BY)
            return Checked(finding)
        return Checked(proven=verdict.outcome is EtagOutcome.SAME)

    def _extra(self, file: LocalFile) -> VerifyFinding:
        found = f"{file.size_bytes:,} bytes"
        return VerifyFinding(self._prefix + file.key, Damage.EXTRA, NOTHING, found, _BY)

    def _absent(self, record: UploadRecord) -> VerifyFinding:
        path = record.source if is_made(record) else record.s3_key.removeprefix(self._prefix)
        if any(one in self._unknown for one in _with_folders(path)):
            found = "a link, a special file, or a folder that cannot be read"
            return VerifyFinding(record.s3_key, Damage.UNREADABLE, "a file", found, _BY)
        return missing(record, _BY)


def is_made(record: UploadRecord) -> bool:
    """Whether the object was made of a file: a table, or a member of an archive."""
    return record.entry is not None or record.rows is not None or bool(record.columns)


def _digest_pairs(
    record: UploadRecord, digests: FileDigests
) -> tuple[tuple[str, str | None, str | None], ...]:
    if is_made(record):
        return (("sha256", record.source_sha256, digests.sha256),)
    return (
        ("sha256", record.sha256, digests.sha256),
        ("md5", record.md5, digests.md5),
        ("crc64nvme", record.crc64nvme, digests.crc64nvme),
    )


def _with_folders(path: str) -> list[str]:
    """The path and every folder above it."""
    names = path.split("/")
    return ["/".join(names[:count]) for count in range(1, len(names) + 1)]


def _digest(path: str) -> bytes:
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).digest()
