"""S3 addresses, parsed once.

>>> S3Url.parse("s3://photos/2020/a b.jpg")
S3Url(bucket='photos', key='2020/a b.jpg')
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stocktake.errors import InvalidUrlError

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class S3Url:
    """A bucket and a key or prefix. The key is taken literally: no decoding, no normalising."""

    bucket: str
    key: str = ""

    @classmethod
    def parse(cls, text: str) -> S3Url:
        """Parse `s3://bucket[/key]`.

        Raises:
            InvalidUrlError: Not that form, or not a possible bucket name.
        """
        if not text.startswith("s3://"):
            raise InvalidUrlError(f"`{text}` is not an S3 address", url=text)
        bucket, _, key = text.removeprefix("s3://").partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise InvalidUrlError(f"`{bucket}` in `{text}` is not a bucket name", url=text)
        return cls(bucket, key)

    @classmethod
    def bucket_from_arn(cls, text: str) -> str:
        """The bucket of `arn:aws:s3:::name`, of any partition; a bare name is taken as it is."""
        return text.rpartition(":::")[2] if text.startswith("arn:") else text

    def join(self, *names: str) -> S3Url:
        """This address with names added below it, one slash between each, none doubled."""
        parts = [self.key.rstrip("/"), *names] if self.key else list(names)
        return S3Url(self.bucket, "/".join(parts))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"
