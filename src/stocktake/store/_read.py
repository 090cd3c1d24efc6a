"""GET: opening an answer, checking that it is the one asked for, and wrapping its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stocktake.errors import PreconditionFailedError, StoreError, UsageError
from stocktake.store._answers import Call, odd_answer_error, silence_error
from stocktake.store._body import OpenedRange, ResumingBody
from stocktake.store._calls import S3Calls
from stocktake.store._heads import content_range, head_of
from stocktake.store._port import ByteRange
from stocktake.store._refusals import TRANSPORT_ERRORS, transport_error


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What `get` was asked for."""

    call: Call
    byte_range: ByteRange | None
    if_match: str | None

    def __post_init__(self) -> None:
        """Refuse an empty range: S3 has no way to ask for nothing."""
        span = self.byte_range
        if span is not None and (
            span.start < 0 or (span.stop is not None and span.stop <= span.start)
        ):
            raise UsageError(f"bytes {span.start} to {span.stop} are not a range")


class _Stream:
    """botocore's streaming body, raising our errors."""

    def __init__(self, raw: Any, call: Call) -> None:
        self._raw = raw
        self._call = call

    def read(self, size_bytes: int) -> bytes:
        try:
            data: bytes = self._raw.read(size_bytes)
        except TRANSPORT_ERRORS as error:
            raise transport_error(error, self._call) from error
        except OSError as error:
            raise silence_error(f"the connection broke: {error}", self._call) from error
        return data

    def close(self) -> None:
        self._raw.close()


def open_body(calls: S3Calls, request: ReadRequest) -> ResumingBody:
    """The first answer, retried until it comes, as a body that resumes."""
    start = request.byte_range.start if request.byte_range else 0
    stop = request.byte_range.stop if request.byte_range else None
    opened = calls.retrier.run(
        lambda _: _open(calls, request, ByteRange(start, stop), request.if_match)
    )
    etag = opened.head.etag

    def reopen(position: int) -> OpenedRange:
        try:
            again = _open(calls, request, ByteRange(position, opened.stop), etag)
        except PreconditionFailedError as error:
            raise _changed(request.call) from error
        if again.head.etag != etag or again.head.size_bytes != opened.head.size_bytes:
            again.stream.close()
            raise _changed(request.call)
        return again

    return ResumingBody(opened, reopen, calls.retrier, calls.meter, request.call)


def _changed(call: Call) -> StoreError:
    return PreconditionFailedError(
        f"cannot {call.deed}: it was overwritten while it was being read",
        hint="run it again: it then reads the new object whole",
        **call.attrs,
    )


def _open(
    calls: S3Calls, request: ReadRequest, span: ByteRange, if_match: str | None
) -> OpenedRange:
    """One GET of `span`; a whole-object GET if it is everything."""
    call = request.call
    parameters: dict[str, Any] = {"Bucket": call.bucket, "Key": call.key} | calls.payer
    partial = span.start > 0 or span.stop is not None
    if partial:
        last = "" if span.stop is None else span.stop - 1
        parameters["Range"] = f"bytes={span.start}-{last}"
    if if_match is not None:
        parameters["IfMatch"] = f'"{if_match}"'
    if call.version_id is not None:
        parameters["VersionId"] = call.version_id
    answer = calls.once(call, parameters)
    stream = _Stream(answer["Body"], call)
    try:
        return _checked(answer, stream, call, span, partial=partial)
    except StoreError:
        stream.close()
        raise


def _checked(
    answer: dict[str, Any], stream: _Stream, call: Call, span: ByteRange, *, partial: bool
) -> OpenedRange:
    if not partial:
        head = head_of(answer, call)
        return OpenedRange(head, stream, 0, head.size_bytes)
    got = content_range(answer)
    if got is None:
        raise odd_answer_error("it ignores the byte range", call)
    start, stop, total = got
    wanted_stop = total if span.stop is None else min(span.stop, total)
    if (start, stop) != (span.start, wanted_stop):
        raise odd_answer_error(f"it holds bytes {start} to {stop}", call)
    return OpenedRange(head_of(answer, call, size_bytes=total), stream, start, stop)
