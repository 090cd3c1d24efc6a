"""What a two-way sync brings down: objects to files, through the writer that restores use."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import PurePosixPath

from stocktake.clock import Clock
from stocktake.errors import RestoreMismatchError, RestoreTargetError
from stocktake.manifests._local_digests import FileDigests, FileHasher
from stocktake.manifests._local_files import LocalFile, changed_error, open_local, recheck_local
from stocktake.manifests._local_names import local_key
from stocktake.manifests._record import UploadRecord
from stocktake.manifests._restore_folder import TargetFolder
from stocktake.manifests._restore_path import PathProblem
from stocktake.manifests._sync_sides import KeyRow, RemoteObject
from stocktake.manifests._upload_file import MTIME_NAME
from stocktake.model import display_key
from stocktake.store import ObjectHead, Store, token_of

_PIECE_BYTES = 1 << 20
_SHA256_SHOWN = 12


class FolderWriter:
    """Writes into the folder of a sync, and never over a file that is not what was compared."""

    def __init__(self, store: Store, bucket: str, prefix: str, folder: TargetFolder) -> None:
        self._store = store
        self._bucket = bucket
        self._prefix = prefix
        self._folder = folder

    def fetch(self, row: KeyRow, remote: RemoteObject, clock: Clock) -> UploadRecord:
        """Bring an object down to its file; what the manifest is to say of it.

        Raises:
            RestoreTargetError: It cannot be a file there, or another one is.
            PreconditionFailedError: The object is another one by now.
            RestoreMismatchError: Other bytes came than its checksum says.
            SourceChangedError: The file changed since it was compared.
        """
        path = self._path(row)
        over = None if row.file is None else self._unchanged(row.file)
        hasher = FileHasher()
        with (
            self._store.get(self._bucket, row.key, if_match=remote.etag) as body,
            self._folder.part(path) as part,
        ):
            head = body.head
            while piece := body.read(_PIECE_BYTES):
                hasher.update(piece)
                part.write(piece)
            digests = hasher.digests()
            _check_bytes(row.key, head, digests)
            part.place(over=over, mtime_ns=_mtime_ns(row, head))
        status = self._folder.status(path)
        source = local_key(path)
        return UploadRecord(
            s3_key=row.key,
            size_bytes=digests.size_bytes,
            etag=head.etag,
            version_id=head.version_id,
            md5=digests.md5,
            sha256=digests.sha256,
            crc64nvme=digests.crc64nvme,
            part_size_bytes=None,
            token=token_of(head.metadata) or "",
            uploaded_at=head.last_modified or clock.now(),
            verified_by="read-back",
            source=source,
            source_raw=None if source.encode() == path else path.hex(),
            source_sha256=digests.sha256,
            source_size_bytes=digests.size_bytes,
            source_mtime_ns=None if status is None else status.st_mtime_ns,
        )

    def copy_beside(self, file: LocalFile, sha256: str) -> LocalFile:
        """A copy of a file under a name that says that it lost a conflict.

        The name has the bytes' digest: doing it again makes no second copy.

        Raises:
            SourceChangedError: The file changed meanwhile.
        """
        path = _beside(file.path, sha256)
        try:
            with open_local(self._folder.root, file) as opened, self._folder.part(path) as part:
                while piece := opened.read(_PIECE_BYTES):
                    part.write(piece)
                recheck_local(self._folder.root, file, opened)
                part.place(mtime_ns=file.mtime_ns)
        except RestoreTargetError as error:
            if error.attrs.get("problem") != PathProblem.EXISTS:
                raise
        status = self._folder.status(path)
        if status is None or status.st_size != file.size_bytes:
            raise changed_error(file)
        return _local(path, status)

    def remove(self, file: LocalFile) -> None:
        """Delete a file that is still what was compared. Raises `SourceChangedError`."""
        self._unchanged(file)
        self._folder.remove_file(file.path)

    def _unchanged(self, file: LocalFile) -> os.stat_result:
        status = self._folder.status(file.path)
        if status is None or _local(file.path, status) != file:
            raise changed_error(file)
        return status

    def _path(self, row: KeyRow) -> bytes:
        """Where the object's file is: a key that no file's name leads back to has none."""
        if row.file is not None:
            return row.file.path
        relative = row.key[len(self._prefix) :]
        raw = row.entry.record.source_raw if row.entry is not None else None
        if raw is not None:
            with suppress(ValueError):
                path = bytes.fromhex(raw)
                if local_key(path) == relative:
                    return path
        path = relative.encode()
        if local_key(path) != relative:
            raise RestoreTargetError(
                f"`{display_key(row.key)}` has characters that no file of a synchronised folder "
                "has in its key",
                key=row.key,
                problem=PathProblem.ILLEGAL_NAME,
            )
        return path


def _beside(path: bytes, sha256: str) -> bytes:
    """The name of a file that lost a conflict: `a.txt` is `a.conflict-0f3b….txt`."""
    name = PurePosixPath(os.fsdecode(path))
    stem = name.name.removesuffix(name.suffix)
    return os.fsencode(
        str(name.with_name(f"{stem}.conflict-{sha256[:_SHA256_SHOWN]}{name.suffix}"))
    )


def _local(path: bytes, status: os.stat_result) -> LocalFile:
    return LocalFile(
        path,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_dev,
        status.st_ino,
    )


def _mtime_ns(row: KeyRow, head: ObjectHead) -> int | None:
    """The time of change that the object says its file had, or the manifest."""
    said = head.metadata.get(MTIME_NAME, "")
    if said.isdecimal() and said.isascii() and len(said) < 20:
        return int(said)
    same = row.entry is not None and row.entry.record.etag == head.etag
    return row.entry.record.source_mtime_ns if same and row.entry is not None else None


def _check_bytes(key: str, head: ObjectHead, digests: FileDigests) -> None:
    said = head.checksums.get("crc64nvme")
    wrong = None not in {said, digests.crc64nvme} and said != digests.crc64nvme
    if wrong or head.size_bytes != digests.size_bytes:
        raise RestoreMismatchError(
            f"what came of `{display_key(key)}` is not what its checksum says", key=key
        )
