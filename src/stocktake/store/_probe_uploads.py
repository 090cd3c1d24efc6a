"""How a store takes uploads, found out by trying: which promises of S3 it keeps, and which not.

Whoever uploads decides by this what proves that an object arrived. A check that is accepted when it
is wrong is no check, so every one is tried with a wrong value first.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any

from stocktake.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
    ThrottledError,
    WrongRegionError,
)
from stocktake.store._checksums import crc64nvme, encode_crc64nvme
from stocktake.store._port import CompleteOptions, MultipartUpload, PutOptions, Store
from stocktake.store._uploads_under_way import uploads_of

_BODY = b"stocktake looks at what this store can do"
_RIGHT = PutOptions(full_object_crc64nvme=True)
_SKEW_MAX = timedelta(hours=1)
_PART_BYTES = 5 << 20
_NAMES = (
    *("plain", "summed", "wrong", "once", "whole", "wrong-whole", "sized", "wrong-size"),
    *("held", "matched", "listed", "listed-too", "unequal"),
)
"""Every key of a trial, so that what is left of one can be found."""
_NO_VERDICT = (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    StoreUnavailableError,
    ThrottledError,
    WrongRegionError,
)
"""Failures that say nothing about what a store can do."""


@dataclass(frozen=True, slots=True)
class UploadProfile:
    """What one bucket of one endpoint does with uploads as S3 does it.

    Attributes:
        crc64nvme: PUT compares the body with its CRC64NVME.
        tells_crc64nvme: HEAD tells that checksum.
        full_object_crc: Complete compares the object with its CRC64NVME, if that was declared.
        tells_full_object_crc: HEAD tells that checksum.
        upload_size: Complete compares the object's size with the one given.
        put_if_absent: PUT on condition that nothing is there is refused when something is.
        put_if_match: PUT on condition of an ETag works, and is refused for another one.
        complete_if_absent: The same of Complete.
        complete_if_match: The same of Complete.
        lists_uploads: Open uploads are listed by their exact key.
        upload_times: That listing says when they were begun.
        same_size_parts: All parts but the last must have the same size; None: not tried.
    """

    crc64nvme: bool
    tells_crc64nvme: bool
    full_object_crc: bool
    tells_full_object_crc: bool
    upload_size: bool
    put_if_absent: bool
    put_if_match: bool
    complete_if_absent: bool
    complete_if_match: bool
    lists_uploads: bool
    upload_times: bool
    same_size_parts: bool | None = None

    def to_json(self) -> str:
        """As one JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> UploadProfile:
        """What `to_json` wrote. Raises `ValueError` for anything else: probe again then."""
        said = json.loads(text)
        names = {field.name for field in fields(cls)}
        if not isinstance(said, dict) or set(said) != names:
            raise ValueError("not the upload profile of this version")
        optional = said["same_size_parts"] is None
        wrong = [name for name, value in said.items() if not isinstance(value, bool)]
        if wrong and not (optional and wrong == ["same_size_parts"]):
            raise ValueError(f"not yes or no: {', '.join(wrong)}")
        return cls(**said)


S3_UPLOADS = UploadProfile(
    **{field.name: True for field in fields(UploadProfile) if field.name != "same_size_parts"},
    same_size_parts=False,
)
"""What Amazon S3 does."""


def probe_uploads(
    store: Store,
    bucket: str,
    *,
    prefix: str = "",
    trial_name: str | None = None,
    unequal_parts: bool = False,
) -> UploadProfile:
    """Try out one bucket below `prefix` with objects of some bytes, in about sixty requests.

    Leaves no object and no upload behind (in a versioned bucket: versions under delete markers),
    also none whose id was lost with an answer. If it is killed, the next one of the same name
    removes what it left.

    Args:
        store: Who is asked.
        bucket: Where.
        prefix: Below it, objects may be written and deleted.
        trial_name: A name that nobody else uses, the same after a crash; None: a random one.
        unequal_parts: Also try parts of different sizes, which sends 11 MiB.

    Raises:
        MissingExtraError: awscrt is not installed.
        StoreError: The bucket cannot be written, or the store is not there.
    """
    name = trial_name or secrets.token_hex(8)
    trial = _Trial(store, bucket, f"{prefix}.stocktake-probe/{name}/")
    if trial_name is not None:
        trial.clean()
    try:
        store.put(bucket, trial.key("plain"), _BODY)
        puts = trial.puts()
        return UploadProfile(
            **puts,
            **trial.completions(),
            **trial.conditions(),
            **trial.listing(),
            same_size_parts=trial.refuses_unequal_parts() if unequal_parts else None,
        )
    finally:
        trial.clean()


class _Trial:
    """The tries, and everything they made."""

    def __init__(self, store: Store, bucket: str, folder: str) -> None:
        self._store = store
        self._bucket = bucket
        self._folder = folder
        self._keys = {folder + name for name in _NAMES}
        self._uploads: list[MultipartUpload] = []

    def key(self, name: str) -> str:
        """A key of this trial, one of `_NAMES`."""
        key = self._folder + name
        if key not in self._keys:
            raise ValueError(name)
        return key

    def clean(self) -> None:
        """Abort and delete everything, also after a failure, and what a lost answer left."""
        for upload in self._uploads:
            _works(upload.abort)
        for key in sorted(self._keys):
            with contextlib.suppress(StoreError):  # who may not list them cannot end them
                self._abort_all(key)
        self._store.delete(self._bucket, sorted(self._keys))

    def _abort_all(self, key: str) -> None:
        for left in uploads_of(self._store, self._bucket, key):
            self._store.begin_upload(self._bucket, key, upload_id=left.upload_id).abort()

    def puts(self) -> dict[str, bool]:
        """What PUT checks."""
        summed = PutOptions(crc64nvme=_crc(_BODY))
        takes = _works(lambda: self._put("summed", summed))
        refuses = not _works(lambda: self._put("wrong", PutOptions(crc64nvme=_crc(b"wrong"))))
        once = PutOptions(if_absent=True)
        etag = self._store.head(self._bucket, self.key("plain")).etag
        absent = _works(lambda: self._put("once", once))
        over = _works(lambda: self._put("plain", PutOptions(if_match=etag), b"over"))
        return {
            "crc64nvme": takes and refuses,
            "tells_crc64nvme": takes and self._tells("summed"),
            "put_if_absent": absent and self._is_held(lambda: self._put("once", once)),
            # the ETag of before: another object is there now
            "put_if_match": over
            and self._is_held(lambda: self._put("plain", PutOptions(if_match=etag))),
        }

    def completions(self) -> dict[str, bool]:
        """What Complete checks."""
        right = CompleteOptions(crc64nvme=_crc(_BODY))
        takes = self._completes("whole", right)
        refuses = not self._completes("wrong-whole", CompleteOptions(crc64nvme=_crc(b"wrong")))
        size = len(_BODY)
        sized = self._completes("sized", CompleteOptions(size_bytes=size))
        refuses_size = not self._completes("wrong-size", CompleteOptions(size_bytes=size + 1))
        return {
            "full_object_crc": takes and refuses,
            "tells_full_object_crc": takes and self._tells("whole"),
            "upload_size": sized and refuses_size,
        }

    def conditions(self) -> dict[str, bool]:
        """Which conditions Complete knows."""
        absent = CompleteOptions(if_absent=True)
        made = self._completes("held", absent)
        self._put("matched", PutOptions())
        etag = self._store.head(self._bucket, self.key("matched")).etag
        match = CompleteOptions(if_match=etag)
        over = self._completes("matched", match)
        return {
            "complete_if_absent": made and self._is_held(lambda: self._complete("held", absent)),
            "complete_if_match": over and self._is_held(lambda: self._complete("matched", match)),
        }

    def listing(self) -> dict[str, bool]:
        """Whether open uploads are found by their key."""
        upload = self._begin("listed")
        # who sees only the folder of a key would answer with this one too
        self._begin("listed-too")
        key = self.key("listed")
        written = self._store.head(self._bucket, self.key("plain")).last_modified
        try:
            listed = uploads_of(self._store, self._bucket, key)
        except _NO_VERDICT:
            raise
        except StoreError:
            listed = []
        begun = {one.upload_id: one.initiated for one in listed}.get(upload.upload_id)
        timed = begun is not None and written is not None and abs(begun - written) <= _SKEW_MAX
        found = upload.upload_id in {one.upload_id for one in listed}
        return {"lists_uploads": found, "upload_times": timed}

    def refuses_unequal_parts(self) -> bool:
        """Whether parts of different sizes do not become an object (Cloudflare R2)."""
        upload = self._begin("unequal")
        sizes = {1: _PART_BYTES, 2: _PART_BYTES + (1 << 20), 3: 1}
        return not _works(
            lambda: upload.complete(
                {number: upload.put_part(number, bytes(size)) for number, size in sizes.items()}
            )
        )

    def _put(self, name: str, options: PutOptions, body: bytes = _BODY) -> None:
        self._store.put(self._bucket, self.key(name), body, options)

    def _tells(self, name: str) -> bool:
        told = self._store.head(self._bucket, self.key(name)).checksums
        return told.get("crc64nvme") == _crc(_BODY)

    def _begin(self, name: str) -> MultipartUpload:
        key = self.key(name)
        try:
            upload = self._store.begin_upload(self._bucket, key, _RIGHT)
        except _NO_VERDICT:
            raise
        except StoreError:  # it does not know how to declare checksums
            upload = self._store.begin_upload(self._bucket, key)
        self._uploads.append(upload)
        return upload

    def _complete(self, name: str, conditions: CompleteOptions) -> None:
        upload = self._begin(name)
        upload.complete({1: upload.put_part(1, _BODY)}, conditions)

    def _completes(self, name: str, conditions: CompleteOptions) -> bool:
        return _works(lambda: self._complete(name, conditions))

    @staticmethod
    def _is_held(write: Callable[[], Any]) -> bool:
        try:
            write()
        except _NO_VERDICT:
            raise
        except PreconditionFailedError:
            return True
        except StoreError:
            return False
        return False


def _works(action: Callable[[], Any]) -> bool:
    try:
        action()
    except _NO_VERDICT:
        raise
    except StoreError:
        return False
    return True


def _crc(data: bytes) -> str:
    return encode_crc64nvme(crc64nvme(data))
