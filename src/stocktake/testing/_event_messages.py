"""Messages about object changes as stores and relays send them, written from their documentation.

Nothing here is taken from the decoder, so that a test of it compares two opinions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

ACCOUNT = "111122223333"
_REGION = "eu-west-1"


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """A change that a store tells of.

    Attributes:
        name: The notification's name of it, as of S3: `ObjectCreated:Put`.
        key: Of the object, as it is.
        bucket: Where it is.
        version_id: None where the bucket has no versions.
        size_bytes: Of the object; left out of deletions.
        etag: Without quotes; left out of deletions.
        sequencer: None for events that have none.
        at: When it happened, as the store writes it.
    """

    name: str = "ObjectCreated:Put"
    key: str = "a+b c%2F.txt"
    bucket: str = "data"
    version_id: str | None = None
    size_bytes: int = 5
    etag: str = "b1946ac92492d2347c6235b4d2611184"
    sequencer: str | None = "0055AED6DCD90281E5"
    at: str = "2026-11-20T18:00:03.123Z"


_BRIDGE_TYPES = {
    "ObjectCreated": "Object Created",
    "ObjectRemoved": "Object Deleted",
    "LifecycleExpiration": "Object Deleted",
    "ObjectRestore:Post": "Object Restore Initiated",
    "ObjectRestore:Completed": "Object Restore Completed",
    "ObjectRestore:Delete": "Object Restore Expired",
    "ObjectTagging:Put": "Object Tags Added",
    "ObjectTagging:Delete": "Object Tags Deleted",
    "ObjectAcl:Put": "Object ACL Updated",
    "LifecycleTransition": "Object Storage Class Changed",
    "IntelligentTiering": "Object Access Tier Changed",
}
_BRIDGE_REASONS = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "ObjectRemoved:Delete": "DeleteObject",
    "ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
    "LifecycleExpiration:Delete": "Lifecycle Expiration",
    "LifecycleExpiration:DeleteMarkerCreated": "Lifecycle Expiration",
}


def render_event(envelope: str, *changes: ObjectChange) -> str:
    """A message that tells of these changes, in one of the `EVENT_ENVELOPES`.

    EventBridge has one change per event, so there several become a JSON array, as pipes send them.

    Raises:
        KeyError: There is no such envelope.
    """
    return json.dumps(_ENVELOPES[envelope](changes))


def render_test_event(envelope: str, bucket: str = "data") -> str:
    """The message with which a store tries out a destination: `s3`, `sns` or `minio`."""
    if envelope == "minio":
        return "{}"
    test = {
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": "2026-11-20T17:00:00.000Z",
        "Bucket": bucket,
        "RequestId": "N4N7GDK58NMKJ12R",
        "HostId": "host",
    }
    return json.dumps(_sns(test) if envelope == "sns" else test)


_Changes = tuple[ObjectChange, ...]


def _s3(changes: _Changes) -> dict[str, Any]:
    return {"Records": [_record(change) for change in changes]}


def _record(change: ObjectChange, *, key: str | None = None, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"key": quote_plus(change.key, safe="/") if key is None else key}
    if change.name.startswith("ObjectCreated"):
        body |= {"size": change.size_bytes, "eTag": change.etag}
    if change.version_id is not None:
        body["versionId"] = change.version_id
    if change.sequencer is not None:
        body["sequencer"] = change.sequencer
    record: dict[str, Any] = {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": _REGION,
        "eventTime": change.at,
        "eventName": change.name,
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "stocktake",
            "bucket": {
                "name": change.bucket,
                "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                "arn": f"arn:aws:s3:::{change.bucket}",
            },
            "object": body,
        },
    }
    return record | fields


def _sns(message: object) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": f"arn:aws:sns:{_REGION}:{ACCOUNT}:changes",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(message),
        "Timestamp": "2026-11-20T18:00:04.000Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
        "SigningCertURL": "https://sns.example/cert.pem",
        "UnsubscribeURL": "https://sns.example/unsubscribe",
    }


def _bridge(change: ObjectChange) -> dict[str, Any]:
    family = change.name.partition(":")[0]
    body: dict[str, Any] = {"key": change.key}
    if family == "ObjectCreated":
        body |= {"size": change.size_bytes}
    if family in ("ObjectCreated", "ObjectTagging"):
        body |= {"etag": change.etag}
    if change.version_id is not None:
        body["version-id"] = change.version_id
    if change.sequencer is not None:
        body["sequencer"] = change.sequencer
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": change.bucket},
        "object": body,
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": ACCOUNT,
    }
    if change.name in _BRIDGE_REASONS:
        detail["reason"] = _BRIDGE_REASONS[change.name]
    if family in ("ObjectRemoved", "LifecycleExpiration"):
        marked = change.name.endswith("DeleteMarkerCreated")
        detail["deletion-type"] = "Delete Marker Created" if marked else "Permanently Deleted"
    return _bus_event("aws.s3", _bridge_type(change.name), detail, change)


def _bridge_type(name: str) -> str:
    return _BRIDGE_TYPES.get(name) or _BRIDGE_TYPES.get(name.partition(":")[0]) or name


def _bus_event(
    source: str, kind: str, detail: Mapping[str, Any], change: ObjectChange
) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": change.at,
        "region": _REGION,
        "resources": [f"arn:aws:s3:::{change.bucket}"],
        "detail": detail,
    }


def _eventbridge(changes: _Changes) -> object:
    events = [_bridge(change) for change in changes]
    return events[0] if len(events) == 1 else events


def _minio(changes: _Changes) -> dict[str, Any]:
    records = [
        _record(
            change,
            key=quote(change.key, safe="").replace("%20", "+"),
            eventSource="minio:s3",
            eventVersion="2.0",
            eventName=f"s3:{change.name}",
        )
        for change in changes
    ]
    first = changes[0]
    return {
        "EventName": f"s3:{first.name}",
        "Key": f"{first.bucket}/{first.key}",
        "Records": records,
    }


def _ceph(changes: _Changes) -> dict[str, Any]:
    records = [
        _record(change, key=change.key, eventSource="ceph:s3", eventVersion="2.2", eventId="")
        for change in changes
    ]
    return {"Records": records}


def _invocation(payload: object) -> dict[str, Any]:
    return {
        "version": "1.0",
        "timestamp": "2026-11-20T18:00:05.000Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e",
            "functionArn": f"arn:aws:lambda:{_REGION}:{ACCOUNT}:function:load:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": payload,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "failed"},
    }


def _lambda_bridge(changes: _Changes) -> dict[str, Any]:
    kind = "Lambda Function Invocation Result - Failure"
    return _bus_event("lambda", kind, _invocation(_s3(changes)), changes[0])


def _lambda_sns(changes: _Changes) -> dict[str, Any]:
    record = {"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": _sns(_s3(changes))}
    return {"Records": [record]}


def _lambda_sqs(changes: _Changes) -> dict[str, Any]:
    """A batch of messages, one change in each."""
    records = [
        {
            "messageId": str(number),
            "receiptHandle": "EXAMPLE",
            "body": json.dumps(_s3((change,))),
            "attributes": {"ApproximateReceiveCount": "1"},
            "eventSource": "aws:sqs",
            "awsRegion": _REGION,
        }
        for number, change in enumerate(changes)
    ]
    return {"Records": records}


_ENVELOPES: Mapping[str, Callable[[_Changes], object]] = {
    "s3": _s3,
    "sns": lambda changes: _sns(_s3(changes)),
    "eventbridge": _eventbridge,
    "sns-eventbridge": lambda changes: _sns(_eventbridge(changes)),
    "minio": _minio,
    "ceph": _ceph,
    "lambda-destination": lambda changes: _invocation(_s3(changes)),
    "lambda-destination-sns": lambda changes: _sns(_invocation(_lambda_sns(changes))),
    "lambda-destination-eventbridge": _lambda_bridge,
    "lambda-sns": _lambda_sns,
    "lambda-sqs": _lambda_sqs,
}
EVENT_ENVELOPES = tuple(_ENVELOPES)
"""All envelopes that `render_event` knows. SNS with raw delivery is `s3`: nothing is around it."""
