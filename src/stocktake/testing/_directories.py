"""A store whose buckets are folders and whose objects are plain files, for writing reports."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from stocktake.errors import ObjectNotFoundError, PreconditionFailedError, UsageError
from stocktake.store import Buffer, CompleteOptions, ObjectHead, PutOptions


class DirectoryStore:
    """Objects as files `root/<bucket>/<key>`: enough of a store to write a report into.

    An object appears whole or not at all: bytes go to a file of another name, which is then
    renamed. Keys must be plain file names, as those of reports are.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def head(self, bucket: str, key: str, *, version_id: str | None = None) -> ObjectHead:
        """What is known about one file, or `ObjectNotFoundError`. The ETag is not computed."""
        path = self._path(bucket, key)
        if not path.is_file():
            raise ObjectNotFoundError(f"s3://{bucket}/{key} does not exist", bucket=bucket, key=key)
        return ObjectHead(bucket, key, path.stat().st_size, None, None)

    def put(
        self, bucket: str, key: str, body: Buffer, options: PutOptions = PutOptions()
    ) -> ObjectHead:
        """Write one file whole."""
        upload = self.begin_upload(bucket, key, options)
        upload.put_part(1, body)
        return upload.complete({1: ""}, CompleteOptions(if_absent=options.if_absent))

    def delete(self, bucket: str, keys: list[str]) -> dict[str, str]:
        """Remove files; an absent one is no failure."""
        for key in keys:
            self._path(bucket, key).unlink(missing_ok=True)
        return {}

    def begin_upload(
        self,
        bucket: str,
        key: str,
        options: PutOptions = PutOptions(),
        *,
        upload_id: str | None = None,
    ) -> DirectoryUpload:
        """Start a file that appears when it is completed."""
        return DirectoryUpload(self._path(bucket, key), bucket, key)

    def _path(self, bucket: str, key: str) -> Path:
        names = [bucket, *key.split("/")]
        if any(name in {"", ".", ".."} or "\\" in name or "\0" in name for name in names):
            raise UsageError(f"`{key}` cannot be a file name", bucket=bucket, key=key)
        return self._root.joinpath(*names)


class DirectoryUpload:
    """A file under way: each part is a file beside it until the upload is complete."""

    def __init__(self, path: Path, bucket: str, key: str) -> None:
        self._path = path
        self._bucket = bucket
        self._key = key
        self._folder = path.with_name(f".{path.name}.parts")

    @property
    def upload_id(self) -> str:
        """The name of the folder that holds the parts."""
        return self._folder.name

    def put_part(self, number: int, body: Buffer) -> str:
        """Keep one part; the same number again replaces it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{number:05d}").write_bytes(body)
        return hashlib.md5(body, usedforsecurity=False).hexdigest()

    def complete(
        self, etags: Mapping[int, str], conditions: CompleteOptions = CompleteOptions()
    ) -> ObjectHead:
        """Make the file of these parts, in order of number; other conditions are not checked."""
        if conditions.if_absent and self._path.exists():
            raise PreconditionFailedError(
                f"s3://{self._bucket}/{self._key} exists", bucket=self._bucket, key=self._key
            )
        first, *rest = (self._folder / f"{number:05d}" for number in sorted(etags))
        with first.open("ab") as whole:
            for part in rest:
                with part.open("rb") as piece:
                    shutil.copyfileobj(piece, whole)
                part.unlink()
        first.rename(self._path)
        self.abort()
        return ObjectHead(self._bucket, self._key, self._path.stat().st_size, None, None)

    def abort(self) -> None:
        """Drop the parts."""
        shutil.rmtree(self._folder, ignore_errors=True)
