"""PUT, whole or on condition, and what to believe when an answer was lost.

A conditional PUT whose answer is lost is sent again, and the store then refuses it: because of our
own first write. So each conditional write carries a random token in its metadata, and a refusal
after a lost answer is settled by reading the token back.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64encode
from dataclasses import replace
from typing import Any

from stocktake.errors import (
    AccessDeniedError,
    DigestRefusedError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
)
from stocktake.model import normalise_etag
from stocktake.store._answers import Call, odd_answer_error
from stocktake.store._calls import S3Calls
from stocktake.store._checksums import Buffer, crc64nvme, encode_crc64nvme
from stocktake.store._heads import WRITE_TOKEN, head_of
from stocktake.store._port import ObjectHead, PutOptions


def put_object(calls: S3Calls, call: Call, body: Buffer, options: PutOptions) -> ObjectHead:
    """Write one object; conditions as in `options`, exact also when an answer was lost.

    Raises:
        PreconditionFailedError: Somebody else's object is there (or not there, for `if_match`).
        UnsupportedOperationError: This store has no conditional writes of that kind.
    """
    conditional = options.if_absent or options.if_match is not None
    token = secrets.token_hex(16) if conditional else None
    parameters = write_parameters(call, options, token) | calls.payer
    parameters |= {"Body": body} | integrity(body, options.crc64nvme)
    if options.if_absent:
        parameters["IfNoneMatch"] = "*"
    attempt = _Attempt(calls, call, parameters, len(body), token)
    if options.if_match is None:
        return calls.retrier.run(attempt)
    return _put_if_match(calls, attempt, options.if_match)


def integrity(body: Buffer, crc64nvme: str | None) -> dict[str, str]:
    """The checksum that the store compares with what arrives: the CRC if there is one, or MD5."""
    if crc64nvme is not None:
        return {"ChecksumCRC64NVME": crc64nvme}
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    return {"ContentMD5": b64encode(digest).decode()}


def write_parameters(call: Call, options: PutOptions, token: str | None) -> dict[str, Any]:
    """The request parameters that PUT and CreateMultipartUpload share."""
    metadata = dict(options.metadata) | ({WRITE_TOKEN: token} if token else {})
    for name, value in (*metadata.items(), ("content type", options.content_type or "")):
        if not (value.isascii() and value.isprintable()):
            raise StoreError(
                f"cannot {call.deed}: `{name}` is {value!r}, which headers cannot carry",
                hint="percent-encode it",
                **call.attrs,
            )
    parameters: dict[str, Any] = {"Bucket": call.bucket, "Key": call.key, "Metadata": metadata}
    if options.content_type is not None:
        parameters["ContentType"] = options.content_type
    return parameters


def _put_if_match(calls: S3Calls, attempt: _Attempt, etag: str) -> ObjectHead:
    """Quoted as the standard says; unquoted for stores that compare the text as it comes.

    Source: Ceph RGW 16 refuses every quoted ETag of a PUT, also the right one.
    """
    attempt.parameters["IfMatch"] = f'"{etag}"'
    try:
        return calls.retrier.run(attempt)
    except PreconditionFailedError:
        found = look(calls, attempt.call)
        if found is None or normalise_etag(found.get("ETag")) != etag:
            raise
    attempt.parameters["IfMatch"] = etag
    return calls.retrier.run(attempt)


class _Attempt:
    """One PUT, to be called again while it fails; remembers whether an answer was lost."""

    def __init__(
        self,
        calls: S3Calls,
        call: Call,
        parameters: dict[str, Any],
        size_bytes: int,
        token: str | None,
    ) -> None:
        self.call = call
        self.parameters = parameters
        self._calls = calls
        self._size_bytes = size_bytes
        self._token = token
        self._answer_lost = False

    def __call__(self, _number: int) -> ObjectHead:
        """Send it; settle a refusal that our own lost write may have caused."""
        try:
            answer = self._calls.once(self.call, self.parameters)
            return self._head(answer)
        except (PreconditionFailedError, ObjectNotFoundError):
            mine = self._own_write() if self._answer_lost else None
            if mine is None:
                raise
            return mine
        except DigestRefusedError as error:
            claimed = self.parameters.get("ChecksumCRC64NVME")
            if claimed and claimed != encode_crc64nvme(crc64nvme(self.parameters["Body"])):
                error.retryable = False  # not damaged on the way: it was wrong before
            raise
        except StoreError as error:
            self._answer_lost = self._answer_lost or error.retryable
            raise

    def _head(self, answer: dict[str, Any]) -> ObjectHead:
        if normalise_etag(answer.get("ETag")) is None:
            raise odd_answer_error("a write without an ETag", self.call)
        self._calls.meter.send(self._size_bytes)
        written = head_of(answer, self.call, size_bytes=self._size_bytes)
        metadata = {k: v for k, v in self.parameters["Metadata"].items() if k != WRITE_TOKEN}
        return replace(written, metadata=metadata, content_type=self.parameters.get("ContentType"))

    def _own_write(self) -> ObjectHead | None:
        """The object, if it carries this write's token."""
        found = look(self._calls, self.call)
        if found is None or found.get("Metadata", {}).get(WRITE_TOKEN) != self._token:
            return None
        self._calls.meter.send(self._size_bytes)
        return head_of(found, self.call)


def look(calls: S3Calls, call: Call, **more: str) -> dict[str, Any] | None:
    """HEAD of the same key, retried; None if it is not there or may not be looked at."""
    about = calls.about("HeadObject", call.bucket, call.key)
    parameters = {"Bucket": call.bucket, "Key": call.key} | more | calls.payer
    try:
        return calls.retried(about, parameters, lambda answer: answer)
    except (ObjectNotFoundError, AccessDeniedError):
        return None
