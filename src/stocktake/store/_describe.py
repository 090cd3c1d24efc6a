"""Bucket-level operations: is the answer the one this operation gives?

Emulators answer 200 to sub-resources they do not know, as if the sub-resource were not there: a
PUT then creates a bucket, a GET lists it. So the root element decides, never the status.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stocktake.errors import StoreError, UnsupportedOperationError
from stocktake.store._answers import Call, odd_answer_error

_ROOTS: Mapping[str, str] = {
    "ListBuckets": "ListAllMyBucketsResult",
    "GetBucketLocation": "LocationConstraint",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketInventoryConfiguration": "InventoryConfiguration",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "GetBucketEncryption": "ServerSideEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketOwnershipControls": "OwnershipControls",
    "GetObjectLockConfiguration": "ObjectLockConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListParts": "ListPartsResult",
}
"""The root element of each operation's answer; `<operation>Response` will do as well."""


def read_description(answer: dict[str, Any], call: Call) -> dict[str, Any]:
    """The answer without botocore's additions.

    Raises:
        UnsupportedOperationError: It is another operation's answer.
        UnexpectedAnswerError: It is no S3 answer at all.
    """
    root = answer.pop("RootElement", None)
    metadata = answer.pop("ResponseMetadata", {})
    if call.operation == "GetBucketPolicy" and root is not None:
        raise _foreign(root, call)  # it is JSON
    expected = _ROOTS.get(call.operation)
    if expected is not None and root not in {expected, f"{call.operation}Response"}:
        raise _foreign(root, call)
    changes = call.operation.startswith("Put")
    if changes and "location" in metadata.get("HTTPHeaders", {}):
        raise _foreign("the Location of a new bucket", call)
    if root == "html":
        raise odd_answer_error("a web page", call)
    return answer


def _foreign(found: str | None, call: Call) -> StoreError:
    if found in {None, "html"}:
        return odd_answer_error("a web page" if found else "nothing in it", call)
    return UnsupportedOperationError(
        f"cannot {call.deed}: this store does not know the operation (it answers with {found})",
        **call.attrs,
    )
