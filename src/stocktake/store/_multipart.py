"""Multipart uploads whose id is ours: to keep, resume, complete exactly once, or abort."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stocktake.errors import (
    DigestRefusedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
    UsageError,
)
from stocktake.model import normalise_etag
from stocktake.store._answers import Call, odd_answer_error
from stocktake.store._calls import S3Calls
from stocktake.store._checksums import Buffer, crc64nvme, encode_crc64nvme
from stocktake.store._heads import head_of
from stocktake.store._port import CompleteOptions, ObjectHead, PutOptions
from stocktake.store._write import integrity, look, write_parameters


def begin_upload(calls: S3Calls, call: Call, options: PutOptions) -> S3Upload:
    """Start one. A lost answer leaves an upload without an owner, which a lifecycle rule ends."""

    def read(answer: dict[str, Any]) -> str:
        upload_id = answer.get("UploadId")
        if not upload_id:
            raise odd_answer_error("an upload without an id", call)
        return str(upload_id)

    parameters = write_parameters(call, options, None) | calls.payer
    if options.full_object_crc64nvme:
        parameters |= {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
    upload_id = calls.retried(call, parameters, read)
    return S3Upload(calls, call, upload_id, checked=options.full_object_crc64nvme)


class S3Upload:
    """A multipart upload that is under way. Parts may be put from several threads.

    Args:
        calls: Sends requests.
        call: What errors say it was about.
        upload_id: The store's id of it.
        checked: It was declared that every part carries its CRC64NVME.
    """

    def __init__(self, calls: S3Calls, call: Call, upload_id: str, *, checked: bool) -> None:
        self._calls = calls
        self._call = call
        self._upload_id = upload_id
        self._checked = checked

    @property
    def upload_id(self) -> str:
        """The store's id of this upload."""
        return self._upload_id

    def put_part(self, number: int, body: Buffer) -> str:
        """Upload part `number`, its CRC or MD5 checked by the store; returns its ETag."""
        call = replace(self._call, operation="UploadPart")
        checksum = encode_crc64nvme(crc64nvme(body)) if self._checked else None

        def read(answer: dict[str, Any]) -> str:
            etag = normalise_etag(answer.get("ETag"))
            if etag is None:
                raise odd_answer_error("a part without an ETag", call)
            self._calls.meter.send(len(body))
            return etag

        parameters = self._scope | {"PartNumber": number, "Body": body}
        parameters |= integrity(body, checksum)
        return self._calls.retried(call, parameters, read)

    def complete(
        self, etags: Mapping[int, str], conditions: CompleteOptions = CompleteOptions()
    ) -> ObjectHead:
        """Make the object of these parts, in order of number, if the conditions hold.

        If the answer was lost and the upload is gone, the object is taken for ours when its ETag
        is the one these parts make; `conditions.settle` False leaves that to the caller.
        """
        if not etags:
            raise UsageError("an upload without parts cannot be completed")
        if not conditions.settle and conditions.size_bytes is None:
            raise UsageError("completing without a look at the object needs its size")
        call = replace(self._call, operation="CompleteMultipartUpload")
        parts = [{"PartNumber": n, "ETag": f'"{etags[n]}"'} for n in sorted(etags)]
        parameters = self._scope | {"MultipartUpload": {"Parts": parts}}
        parameters |= _condition_parameters(conditions)
        attempt = _Completion(self._calls, call, parameters, _etag_of(etags))
        if not conditions.settle:
            return head_of(attempt(1), call, size_bytes=conditions.size_bytes)
        self._calls.retrier.run(attempt)
        return self._completed(call)

    def _completed(self, call: Call) -> ObjectHead:
        found = look(self._calls, call, ChecksumMode="ENABLED") or look(self._calls, call)
        if found is None:
            raise odd_answer_error("the completed object is not there", call, retryable=False)
        return head_of(found, call)

    def abort(self) -> None:
        """Drop the upload and its parts. Not an error if it is gone."""
        call = replace(self._call, operation="AbortMultipartUpload")
        try:
            self._calls.retried(call, self._scope, lambda answer: answer)
        except ObjectNotFoundError:
            return

    @property
    def _scope(self) -> dict[str, Any]:
        return {
            "Bucket": self._call.bucket,
            "Key": self._call.key,
            "UploadId": self._upload_id,
        } | self._calls.payer


class _Completion:
    """One CompleteMultipartUpload, to be called again while it fails."""

    def __init__(
        self, calls: S3Calls, call: Call, parameters: dict[str, Any], etag: str | None
    ) -> None:
        self._calls = calls
        self._call = call
        self._parameters = parameters
        self._etag = etag
        self._answer_lost = False

    def __call__(self, _number: int) -> dict[str, Any]:
        """Send it; a refusal after a lost answer is settled by the ETag that the parts make."""
        try:
            answer = self._calls.once(self._call, self._parameters)
        except (ObjectNotFoundError, PreconditionFailedError):
            if not (self._answer_lost and self._is_ours()):
                raise
            return {}
        except DigestRefusedError as error:
            error.retryable = False  # of parts that have arrived whole
            raise
        except StoreError as error:
            self._answer_lost = self._answer_lost or error.retryable
            raise
        completed = answer.get("RootElement") == "CompleteMultipartUploadResult"
        if completed and not answer.get("ETag") and self._etag is not None:
            return {**answer, "ETag": self._etag}  # RGW 16 leaves it empty
        if normalise_etag(answer.get("ETag")) is None:
            self._answer_lost = True
            raise odd_answer_error("a completion without an ETag", self._call)
        return answer

    def _is_ours(self) -> bool:
        found = look(self._calls, self._call)
        return found is not None and normalise_etag(found.get("ETag")) == self._etag


def _condition_parameters(conditions: CompleteOptions) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    if conditions.if_absent:
        parameters["IfNoneMatch"] = "*"
    if conditions.if_match is not None:
        parameters["IfMatch"] = f'"{conditions.if_match}"'
    if conditions.crc64nvme is not None:
        parameters |= {"ChecksumCRC64NVME": conditions.crc64nvme, "ChecksumType": "FULL_OBJECT"}
    if conditions.size_bytes is not None:
        parameters["MpuObjectSize"] = conditions.size_bytes
    return parameters


def _etag_of(etags: Mapping[int, str]) -> str | None:
    """The ETag S3 gives to these parts: MD5 of their MD5s and their number; None if not MD5s."""
    try:
        digests = b"".join(bytes.fromhex(etags[number]) for number in sorted(etags))
    except ValueError:
        return None
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"
