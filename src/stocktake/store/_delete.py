"""Deleting any number of keys: 1,000 per request, odd keys one by one."""

from __future__ import annotations

import re
from typing import Any

from stocktake.errors import StoreError, UnsupportedOperationError
from stocktake.store._answers import Refusal, odd_answer_error, refusal_error
from stocktake.store._calls import S3Calls

_BATCH = 1000
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that keys may have and XML 1.0 documents may not."""


def delete_keys(calls: S3Calls, bucket: str, keys: list[str]) -> dict[str, str]:
    """Delete them all; returns the failures as key -> reason. Absent is not a failure.

    Refusals of single keys are data. A failure of a whole request (no such bucket, no answer after
    all retries) is raised; keys of earlier requests are then deleted already.
    """
    odd = [key for key in keys if _NOT_XML.search(key)]
    plain = [key for key in keys if not _NOT_XML.search(key)] if odd else keys
    failures: dict[str, str] = {}
    for start in range(0, len(plain), _BATCH):
        failures |= _delete_batch(calls, bucket, plain[start : start + _BATCH])
    return failures | _delete_each(calls, bucket, odd)


def _delete_batch(calls: S3Calls, bucket: str, keys: list[str]) -> dict[str, str]:
    call = calls.about("DeleteObjects", bucket)
    listed = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
    parameters = {"Bucket": bucket, "Delete": listed} | calls.payer

    def read(answer: dict[str, Any]) -> dict[str, str]:
        if answer.get("RootElement") not in {"DeleteResult", None}:
            raise odd_answer_error(f"a {answer['RootElement']}", call)
        return {error["Key"]: _reason(error) for error in answer.get("Errors", [])}

    try:
        failures = calls.retried(call, parameters, read)
    except UnsupportedOperationError:
        return _delete_each(calls, bucket, keys)
    again = [key for key, reason in failures.items() if _is_transient(reason, bucket, key, calls)]
    lasting = {key: reason for key, reason in failures.items() if key not in again}
    return lasting | _delete_each(calls, bucket, again)


def _delete_each(calls: S3Calls, bucket: str, keys: list[str]) -> dict[str, str]:
    failures: dict[str, str] = {}
    for key in keys:
        failures |= _delete_one(calls, bucket, key)
    return failures


def _reason(error: dict[str, Any]) -> str:
    return f"{error.get('Code', 'error')}: {error.get('Message', '')}".rstrip(": ")


def _is_transient(reason: str, bucket: str, key: str, calls: S3Calls) -> bool:
    refusal = Refusal(200, reason.partition(":")[0], "")
    return refusal_error(refusal, calls.about("DeleteObject", bucket, key)).retryable


def _delete_one(calls: S3Calls, bucket: str, key: str) -> dict[str, str]:
    call = calls.about("DeleteObject", bucket, key)
    parameters = {"Bucket": bucket, "Key": key} | calls.payer
    try:
        calls.retried(call, parameters, lambda answer: answer)
    except StoreError as error:
        if error.code in _WHOLE_REQUEST:
            raise
        return {key: error.message}
    return {}


_WHOLE_REQUEST = frozenset({"bucket-not-found", "credentials", "store-unavailable", "throttled"})
"""Failures that are not about one key."""
