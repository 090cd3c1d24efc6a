"""Inventory configurations as S3 keeps them: read, listed to the end, and written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stocktake.errors import InvalidSettingError, SetupError, UnexpectedAnswerError
from stocktake.model import S3Url
from stocktake.store import Store

FORMATS = ("CSV", "ORC", "Parquet")
FREQUENCIES = ("Daily", "Weekly")
VERSIONS = ("All", "Current")
FIELDS = (
    "Size",
    "LastModifiedDate",
    "StorageClass",
    "ETag",
    "IsMultipartUploaded",
    "ReplicationStatus",
    "EncryptionStatus",
    "ObjectLockRetainUntilDate",
    "ObjectLockMode",
    "ObjectLockLegalHoldStatus",
    "ObjectLockEventHoldStatus",
    "ObjectLockEventHoldDuration",
    "IntelligentTieringAccessTier",
    "IntelligentTieringReferenceDate",
    "BucketKeyStatus",
    "ChecksumAlgorithm",
    "ObjectAccessControlList",
    "ObjectOwner",
    "LifecycleExpirationDate",
)
"""Optional fields that S3 has, in the order of its reports."""

DEFAULT_FIELDS = (
    "Size",
    "LastModifiedDate",
    "StorageClass",
    "ETag",
    "IsMultipartUploaded",
    "EncryptionStatus",
    "ChecksumAlgorithm",
)
"""What sizes, ages, classes and comparisons by content need."""

CONFIGURATIONS_MAX = 1000
"""Per bucket, says S3."""
_PAGES_MAX = 2 * CONFIGURATIONS_MAX
_KNOWN = frozenset(
    {
        "Id",
        "IsEnabled",
        "IncludedObjectVersions",
        "Schedule",
        "Destination",
        "Filter",
        "OptionalFields",
    }
)
_KNOWN_OF_PLACE = frozenset({"Bucket", "Format", "AccountId", "Prefix", "Encryption"})
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Configuration:
    """One inventory configuration.

    Attributes:
        id: Its name; part of the address of its reports.
        bucket: The bucket that is inventoried.
        destination_arn: Of the bucket that gets the reports, as it is written there.
        prefix: Below which reports are put, exactly as configured: a slash too many shows here.
        enabled: Whether reports are made.
        format: `CSV`, `ORC` or `Parquet`.
        frequency: `Daily` or `Weekly`.
        versions: `All` or `Current`.
        fields: Optional fields.
        filter_prefix: Only keys that begin so; '' is the whole bucket.
        encryption: None: as the destination does by default; `SSE-S3`; `SSE-KMS`.
        kms_key: Of SSE-KMS.
        account_id: The account that is said to own the destination.
        document: As S3 has it; what we do not know of it included.
    """

    id: str
    bucket: str
    destination_arn: str
    prefix: str = ""
    enabled: bool = True
    format: str = "Parquet"
    frequency: str = "Daily"
    versions: str = "Current"
    fields: tuple[str, ...] = DEFAULT_FIELDS
    filter_prefix: str = ""
    encryption: str | None = None
    kms_key: str | None = None
    account_id: str | None = None
    document: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def destination_bucket(self) -> str:
        """The name of the bucket that gets the reports."""
        return S3Url.bucket_from_arn(self.destination_arn)

    def to_document(self) -> dict[str, Any]:
        """The `InventoryConfiguration` of the S3 API, as `aws s3api` takes it."""
        place: dict[str, Any] = {"Bucket": self.destination_arn, "Format": self.format}
        if self.account_id:
            place["AccountId"] = self.account_id
        if self.prefix:
            place["Prefix"] = self.prefix
        if self.encryption == "SSE-S3":
            place["Encryption"] = {"SSES3": {}}
        elif self.encryption == "SSE-KMS":
            place["Encryption"] = {"SSEKMS": {"KeyId": self.kms_key}}
        made: dict[str, Any] = {
            "Id": self.id,
            "IsEnabled": self.enabled,
            "IncludedObjectVersions": self.versions,
            "Schedule": {"Frequency": self.frequency},
            "Destination": {"S3BucketDestination": place},
        }
        if self.filter_prefix:
            made["Filter"] = {"Prefix": self.filter_prefix}
        if self.fields:
            made["OptionalFields"] = list(self.fields)
        return made

    def corrected(self, **changes: Any) -> dict[str, Any]:
        """The document with these attributes changed, to put it back whole.

        What S3 has in it that we do not know stays in it.
        """
        made = replace(self, **changes).to_document()
        kept = {name: value for name, value in self.document.items() if name not in _KNOWN}
        place = made["Destination"]["S3BucketDestination"]
        old = (self.document.get("Destination") or {}).get("S3BucketDestination") or {}
        strange = {name: value for name, value in old.items() if name not in _KNOWN_OF_PLACE}
        made["Destination"] = {"S3BucketDestination": {**place, **strange}}
        return {**made, **kept}

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form in our words."""
        return {
            "id": self.id,
            "bucket": self.bucket,
            "destination_bucket": self.destination_bucket,
            "destination_arn": self.destination_arn,
            "prefix": self.prefix,
            "enabled": self.enabled,
            "format": self.format,
            "frequency": self.frequency,
            "versions": self.versions,
            "fields": list(self.fields),
            "filter_prefix": self.filter_prefix,
            "encryption": self.encryption,
            "kms_key": self.kms_key,
            "account_id": self.account_id,
        }

    def differences(self, other: Configuration) -> list[str]:
        """What `other` says differently, as sentences; order of fields does not count."""
        ours, theirs = self.to_dict(), other.to_dict()
        ours["fields"], theirs["fields"] = sorted(self.fields), sorted(other.fields)
        names = [name for name in ours if name != "destination_bucket"]
        return [
            f"{name} is {_shown(ours[name])}, wanted {_shown(theirs[name])}"
            for name in names
            if ours[name] != theirs[name] and (name != "account_id" or theirs[name])
        ]


def read_document(bucket: str, document: Mapping[str, Any]) -> Configuration:
    """The configuration that an `InventoryConfiguration` of the S3 API is.

    Raises:
        UnexpectedAnswerError: It lacks its id or its destination.
    """
    place = (document.get("Destination") or {}).get("S3BucketDestination") or {}
    if not document.get("Id") or not place.get("Bucket"):
        raise UnexpectedAnswerError(
            f"an inventory configuration of bucket {bucket} has no id or no destination"
        )
    encryption = place.get("Encryption") or {}
    return Configuration(
        id=str(document["Id"]),
        bucket=bucket,
        destination_arn=str(place["Bucket"]),
        prefix=str(place.get("Prefix") or ""),
        enabled=_is_true(document.get("IsEnabled")),
        format=str(place.get("Format") or ""),
        frequency=str((document.get("Schedule") or {}).get("Frequency") or ""),
        versions=str(document.get("IncludedObjectVersions") or ""),
        fields=tuple(str(one) for one in document.get("OptionalFields") or ()),
        filter_prefix=str((document.get("Filter") or {}).get("Prefix") or ""),
        encryption=_encryption(encryption),
        kms_key=(encryption.get("SSEKMS") or {}).get("KeyId"),
        account_id=place.get("AccountId"),
        document=dict(document),
    )


def _encryption(found: Mapping[str, Any]) -> str | None:
    if "SSEKMS" in found:
        return "SSE-KMS"
    return "SSE-S3" if "SSES3" in found else None


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _shown(value: Any) -> str:
    if value is None or value in ("", []):
        return "not set"
    return ", ".join(value) if isinstance(value, list) else f"`{value}`"


def list_configurations(store: Store, bucket: str) -> Iterator[Configuration]:
    """All inventory configurations of a bucket, in the order S3 gives them: one request per 100.

    Raises:
        AccessDeniedError: s3:GetInventoryConfiguration is missing.
        UnsupportedOperationError: The store has no inventories.
        UnexpectedAnswerError: The pages do not come to an end.
    """
    token: str | None = None
    seen: set[str] = set()
    for _ in range(_PAGES_MAX):
        more = {} if token is None else {"ContinuationToken": token}
        answer = store.describe("ListBucketInventoryConfigurations", bucket, **more)
        for document in answer.get("InventoryConfigurationList") or ():
            yield read_document(bucket, document)
        token = answer.get("NextContinuationToken")
        if not _is_true(answer.get("IsTruncated")) or token is None:
            return
        if token in seen:
            break
        seen.add(token)
    raise UnexpectedAnswerError(
        f"the list of inventory configurations of bucket {bucket} does not come to an end"
    )


def check_id(config_id: str) -> str:
    """The id, if S3 takes it.

    Raises:
        InvalidSettingError: It does not.
    """
    if not _ID.fullmatch(config_id):
        raise InvalidSettingError(
            f"`{config_id}` cannot be the id of an inventory configuration",
            hint="up to 64 letters, digits, periods, dashes and underscores",
        )
    return config_id


def check_fields(fields: tuple[str, ...]) -> tuple[str, ...]:
    """The fields as S3 spells them, each once, in its order.

    Raises:
        InvalidSettingError: S3 has no such field.
    """
    known = {one.lower(): one for one in FIELDS}
    for one in fields:
        if one.lower() not in known:
            raise InvalidSettingError(
                f"S3 Inventory has no field `{one}`", hint=f"there are {', '.join(FIELDS)}"
            )
    wanted = {known[one.lower()] for one in fields}
    return tuple(one for one in FIELDS if one in wanted)


def put_configuration(store: Store, wanted: Configuration) -> None:
    """Write a configuration, over one of the same id if there is one, and read it back.

    Raises:
        AccessDeniedError: s3:PutInventoryConfiguration is missing.
        SetupError: What S3 has afterwards is not what was written.
    """
    document = wanted.to_document()
    store.describe(
        "PutBucketInventoryConfiguration",
        wanted.bucket,
        Id=wanted.id,
        InventoryConfiguration=document,
    )
    answer = store.describe("GetBucketInventoryConfiguration", wanted.bucket, Id=wanted.id)
    kept = read_document(wanted.bucket, answer.get("InventoryConfiguration") or {})
    wrong = kept.differences(wanted)
    if wrong:
        raise SetupError(
            f"inventory configuration {wanted.id} of bucket {wanted.bucket} was written, "
            f"but the store has another one: {'; '.join(wrong)}"
        )
