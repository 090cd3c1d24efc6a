"""The permission that S3 needs to deliver reports: as a statement, and as requests to judge by.

Source: S3 user guide, "Grant permissions for S3 Inventory and S3 analytics" (bucket policy) and
"Granting Amazon S3 permission to use your customer managed key for encryption" (key policy).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from stocktake.setup._configuration import Configuration
from stocktake.setup._policy_conditions import UNKNOWN, Context, Unknown
from stocktake.setup._policy_decision import ServiceRequest

S3_SERVICE = "s3.amazonaws.com"
SID_LEAD = "StocktakeInventory"
_STRANGER = "000000000000"
_STRANGERS_BUCKET = "some-bucket-of-a-stranger"
_ENDINGS = {"CSV": "csv.gz", "ORC": "orc", "Parquet": "parquet"}
_ENCRYPTIONS = {"SSE-S3": "AES256", "SSE-KMS": "aws:kms"}
_PART = "data/0f2ab2e6-5c8b-4d63-a1f8-2f4c1f8a2c11"


@dataclass(frozen=True, slots=True)
class Grant:
    """Reports of one bucket may be put below one prefix of another.

    Attributes:
        source_bucket: The bucket that is inventoried.
        destination_bucket: The bucket that gets the reports.
        prefix: Below which they are put, without slashes at its ends; '' for none.
        account: That owns the source bucket; None if not known.
        partition: The second word of ARNs.
    """

    source_bucket: str
    destination_bucket: str
    prefix: str = ""
    account: str | None = None
    partition: str = "aws"

    @classmethod
    def of(cls, configuration: Configuration, account: str | None, partition: str) -> Grant:
        """What a configuration needs."""
        return cls(
            configuration.bucket,
            configuration.destination_bucket,
            configuration.prefix.strip("/"),
            account,
            partition,
        )

    @property
    def source_arn(self) -> str:
        """Of the bucket that is inventoried."""
        return f"arn:{self.partition}:s3:::{self.source_bucket}"

    @property
    def sid(self) -> str:
        """The name of our statement: the same for the same source and place, and ours alone."""
        told = f"{self.source_arn} {self.destination_bucket} {self.prefix}"
        return SID_LEAD + hashlib.sha256(told.encode()).hexdigest()[:12]

    def statement(self) -> dict[str, Any]:
        """The bucket policy's statement.

        Without both conditions S3 would deliver anybody's inventory there, on anybody's word.
        """
        below = f"{self.prefix}/*" if self.prefix else "*"
        return {
            "Sid": self.sid,
            "Effect": "Allow",
            "Principal": {"Service": S3_SERVICE},
            "Action": "s3:PutObject",
            "Resource": f"arn:{self.partition}:s3:::{self.destination_bucket}/{below}",
            "Condition": {
                "ArnLike": {"aws:SourceArn": self.source_arn},
                "StringEquals": {
                    "aws:SourceAccount": self.account,
                    "s3:x-amz-acl": "bucket-owner-full-control",
                },
            },
        }

    def key_statement(self) -> dict[str, Any]:
        """The key policy's statement."""
        return {
            "Sid": self.sid,
            "Effect": "Allow",
            "Principal": {"Service": S3_SERVICE},
            "Action": "kms:GenerateDataKey",
            "Resource": "*",
            "Condition": {
                "ArnLike": {"aws:SourceArn": self.source_arn},
                "StringEquals": {"aws:SourceAccount": self.account},
            },
        }

    def context(self) -> dict[str, tuple[str, ...] | Unknown | None]:
        """What is known of the requests with which S3 delivers."""
        absent = dict.fromkeys(_ABSENT)
        return {
            **absent,
            "aws:sourcearn": (self.source_arn,),
            "aws:sourceaccount": (self.account,) if self.account else UNKNOWN,
            "aws:securetransport": ("true",),
            "aws:principalisawsservice": ("true",),
            "aws:viaawsservice": ("false",),
            "aws:principalservicename": (S3_SERVICE,),
            "aws:principalservicenameslist": (S3_SERVICE,),
        }

    def stranger(self) -> Grant:
        """The same place, asked for by a bucket of somebody else."""
        return replace(self, source_bucket=_STRANGERS_BUCKET, account=_STRANGER)

    def namesake(self) -> Grant:
        """The same place, asked for by a bucket of our name that belongs to somebody else."""
        return replace(self, account=_STRANGER)


_ABSENT = (
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:vpcsourceip",
    "aws:principalarn",
    "aws:principalaccount",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principaltype",
    "aws:userid",
    "aws:username",
    "aws:multifactorauthpresent",
    "aws:multifactorauthage",
    "aws:tokenissuetime",
    "aws:referer",
    "aws:useragent",
    "s3:x-amz-storage-class",
    "s3:x-amz-copy-source",
    "s3:x-amz-grant-full-control",
    "s3:x-amz-grant-read",
    "s3:x-amz-website-redirect-location",
)
"""Context keys that a request of the service itself does not have."""


def delivery_requests(
    grant: Grant, configuration: Configuration, encryption: str | None
) -> list[ServiceRequest]:
    """The writes of one delivery: data, symlinks, manifest, checksum. All must be allowed.

    Args:
        grant: Who writes where.
        configuration: Its id, format and prefix are in the keys.
        encryption: `SSE-S3`, `SSE-KMS` or None: none is asked for.
    """
    context: dict[str, tuple[str, ...] | Unknown | None] = grant.context()
    context["s3:x-amz-acl"] = ("bucket-owner-full-control",)
    header = _ENCRYPTIONS.get(encryption or "")
    context["s3:x-amz-server-side-encryption"] = (header,) if header else None
    key = configuration.kms_key if encryption == "SSE-KMS" else None
    context["s3:x-amz-server-side-encryption-aws-kms-key-id"] = (key,) if key else None
    lead = f"{configuration.prefix}/" if configuration.prefix else ""
    base = (
        f"arn:{grant.partition}:s3:::{grant.destination_bucket}/"
        f"{lead}{grant.source_bucket}/{configuration.id}/"
    )
    ending = _ENDINGS.get(configuration.format, "csv.gz")
    names = (
        f"{_PART}.{ending}",
        "hive/dt=2026-01-01-01-00/symlink.txt",
        "2026-01-01T01-00Z/manifest.json",
        "2026-01-01T01-00Z/manifest.checksum",
    )
    frozen: Context = context
    return [ServiceRequest(S3_SERVICE, "s3:PutObject", base + name, frozen) for name in names]


def key_request(grant: Grant, key_arn: str) -> ServiceRequest:
    """The use of a KMS key by a delivery."""
    return ServiceRequest(S3_SERVICE, "kms:GenerateDataKey", key_arn, grant.context())
