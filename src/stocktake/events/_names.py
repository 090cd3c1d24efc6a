"""What each event name means: one table per dialect, as data.

Sources: the S3 user guide (event notification types, EventBridge event types), the event lists of
MinIO and Ceph. A name that is not here becomes `EventKind.UNKNOWN`: whoever takes the event looks
at the object.
"""

from __future__ import annotations

from collections.abc import Mapping

from stocktake.events._event import EventKind

_CREATED, _DELETED = EventKind.CREATED, EventKind.DELETED
_MARKER, _ATTRIBUTES, _UNKNOWN = EventKind.DELETE_MARKER, EventKind.ATTRIBUTES, EventKind.UNKNOWN

S3_NAMES: Mapping[str, EventKind | None] = {
    "ObjectCreated:Put": _CREATED,
    "ObjectCreated:Post": _CREATED,
    "ObjectCreated:Copy": _CREATED,
    "ObjectCreated:CompleteMultipartUpload": _CREATED,
    "ObjectRemoved:Delete": _DELETED,
    "ObjectRemoved:DeleteMarkerCreated": _MARKER,
    "LifecycleExpiration:Delete": _DELETED,
    "LifecycleExpiration:DeleteMarkerCreated": _MARKER,
    "ObjectRestore:Post": _ATTRIBUTES,
    "ObjectRestore:Completed": _ATTRIBUTES,
    "ObjectRestore:Delete": _ATTRIBUTES,
    "ObjectTagging:Put": _ATTRIBUTES,
    "ObjectTagging:Delete": _ATTRIBUTES,
    "ObjectAnnotation:Put": _ATTRIBUTES,
    "ObjectAnnotation:Delete": _ATTRIBUTES,
    "ObjectAcl:Put": _ATTRIBUTES,
    "LifecycleTransition": _ATTRIBUTES,
    "IntelligentTiering": _ATTRIBUTES,
    "Replication:OperationFailedReplication": _ATTRIBUTES,
    "Replication:OperationMissedThreshold": _ATTRIBUTES,
    "Replication:OperationReplicatedAfterThreshold": _ATTRIBUTES,
    "Replication:OperationNotTracked": _ATTRIBUTES,
    "ReducedRedundancyLostObject": _UNKNOWN,  # the bytes are lost; what a HEAD says is the truth
    # MinIO
    "ObjectCreated:PutRetention": _ATTRIBUTES,
    "ObjectCreated:PutLegalHold": _ATTRIBUTES,
    "ObjectCreated:PutTagging": _ATTRIBUTES,
    "ObjectCreated:DeleteTagging": _ATTRIBUTES,
    "ObjectRemoved:NoOP": None,
    "ObjectRemoved:DeleteAllVersions": _UNKNOWN,
    "LifecycleDelMarkerExpiration:Delete": _DELETED,
    "Replication:OperationCompletedReplication": _ATTRIBUTES,
    "ObjectTransition:Complete": _ATTRIBUTES,
    "ObjectTransition:Failed": None,
    "ObjectAccessed:Get": None,
    "ObjectAccessed:GetRetention": None,
    "ObjectAccessed:GetLegalHold": None,
    "ObjectAccessed:Head": None,
    "ObjectAccessed:Attributes": None,
    "Scanner:ManyVersions": None,
    "Scanner:LargeVersions": None,
    "Scanner:BigPrefix": None,
    "BucketCreated:*": None,
    "BucketRemoved:*": None,
    # Ceph before it took over the names of S3
    "OBJECT_CREATE": _CREATED,
    "OBJECT_DELETE": _DELETED,
    "DELETE_MARKER_CREATE": _MARKER,
}
"""Names of `Records[].eventName`, without the `s3:` that some stores put in front.

None: nothing happened to an object's content or attributes; the record is counted and left.
"""

EVENTBRIDGE_NAMES: Mapping[str, EventKind | None] = {
    "Object Created": _CREATED,
    "Object Deleted": _DELETED,
    "Object Restore Initiated": _ATTRIBUTES,
    "Object Restore Completed": _ATTRIBUTES,
    "Object Restore Expired": _ATTRIBUTES,
    "Object Tags Added": _ATTRIBUTES,
    "Object Tags Deleted": _ATTRIBUTES,
    "Object Annotation Created": _ATTRIBUTES,
    "Object Annotation Deleted": _ATTRIBUTES,
    "Object ACL Updated": _ATTRIBUTES,
    "Object Storage Class Changed": _ATTRIBUTES,
    "Object Access Tier Changed": _ATTRIBUTES,
    "Async Copy Completion": None,  # the copy itself is an `Object Created`
}
"""Names of EventBridge's `detail-type`, of events whose source is `aws.s3`."""

MARKER_DELETION = "Delete Marker Created"
"""What `detail.deletion-type` of an `Object Deleted` says when only a marker was put on top."""


def kind_of_s3(name: str) -> EventKind | None:
    """What a notification's event name means; None: nothing."""
    return S3_NAMES.get(name.removeprefix("s3:"), _UNKNOWN)


def kind_of_eventbridge(name: str, deletion_type: object) -> EventKind | None:
    """What an EventBridge `detail-type` means; None: nothing."""
    kind = EVENTBRIDGE_NAMES.get(name, _UNKNOWN)
    if kind is _DELETED and deletion_type == MARKER_DELETION:
        return _MARKER
    return kind
