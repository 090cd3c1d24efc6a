"""`Store` over the S3 API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stocktake.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ObjectNotFoundError,
    StoreError,
    UsageError,
)
from stocktake.store._answers import odd_answer_error
from stocktake.store._calls import S3Calls
from stocktake.store._checksums import Buffer
from stocktake.store._delete import delete_keys
from stocktake.store._describe import read_description
from stocktake.store._heads import head_of
from stocktake.store._key_pages import KeyPage
from stocktake.store._listing_xml import ListingShapeError, listing_parameters
from stocktake.store._multipart import S3Upload, begin_upload
from stocktake.store._page_columns import parse_rows
from stocktake.store._page_requests import PageRequests
from stocktake.store._port import (
    ByteRange,
    ListPage,
    ListQuery,
    ObjectBody,
    ObjectHead,
    PutOptions,
)
from stocktake.store._read import ReadRequest, open_body
from stocktake.store._span import Span
from stocktake.store._write import put_object


class S3Store:
    """One S3 endpoint with one identity. Safe to share between threads."""

    def __init__(self, calls: S3Calls, pages: PageRequests) -> None:
        self._calls = calls
        self._pages = pages
        self._seen_buckets: set[str] = set()

    @property
    def endpoint(self) -> str:
        """The address of the store, to tell one from another."""
        return self._calls.endpoint

    def head(self, bucket: str, key: str, *, version_id: str | None = None) -> ObjectHead:
        """What is known about one object, with its checksums."""
        call = self._calls.about("HeadObject", bucket, key, version_id)
        parameters = {"Bucket": bucket, "Key": key} | self._calls.payer
        if version_id is not None:
            parameters["VersionId"] = version_id

        def ask(**more: str) -> ObjectHead:
            return self._calls.retried(
                call, parameters | more, lambda answer: head_of(answer, call)
            )

        try:
            found = ask(ChecksumMode="ENABLED")
        except AccessDeniedError:
            found = ask()  # checksums of KMS objects need kms:Decrypt, the rest does not
        except ObjectNotFoundError as error:
            self._tell_missing_bucket(bucket, error)
            raise
        self._seen_buckets.add(bucket)
        return found

    def _tell_missing_bucket(self, bucket: str, error: ObjectNotFoundError) -> None:
        """A HEAD answer has no reason: ask once per bucket whether it is the bucket."""
        if bucket in self._seen_buckets:
            return
        call = self._calls.about("HeadBucket", bucket)
        try:
            self._calls.retried(call, {"Bucket": bucket}, lambda answer: answer)
        except BucketNotFoundError as missing:
            raise missing from error
        except StoreError:
            return  # who may not look at the bucket still knows that the key was not found
        self._seen_buckets.add(bucket)

    def get(
        self,
        bucket: str,
        key: str,
        *,
        byte_range: ByteRange | None = None,
        if_match: str | None = None,
        version_id: str | None = None,
    ) -> ObjectBody:
        """Open an object for reading; the body resumes after a broken connection."""
        call = self._calls.about("GetObject", bucket, key, version_id)
        return open_body(self._calls, ReadRequest(call, byte_range, if_match))

    def list_page(self, query: ListQuery) -> ListPage:
        """One page of ListObjectsV2 or ListObjectVersions."""
        _check_page_size(query)
        operation = "ListObjectVersions" if query.versions else "ListObjectsV2"
        call = self._calls.about(operation, query.bucket)

        def read(answer: dict[str, Any]) -> ListPage:
            try:
                return parse_rows(Span.of(answer.get("RawBody", b"")), query)
            except ListingShapeError as error:
                raise odd_answer_error(str(error), call) from error

        parameters = listing_parameters(query) | self._calls.payer
        return self._calls.retried(call, parameters, read)

    def list_columns(self, query: ListQuery) -> KeyPage:
        """The same page as Arrow columns, at a tenth of the CPU time."""
        return self._calls.retrier.run(lambda _: self.list_columns_once(query))

    def list_columns_once(self, query: ListQuery) -> KeyPage:
        """As `list_columns`, but whatever fails is raised at once, also if it is `retryable`.

        For callers that adapt to `ThrottledError` themselves. Such a failure is not counted as a
        retry.
        """
        _check_page_size(query)
        return self._pages.page(query)

    def put(
        self, bucket: str, key: str, body: Buffer, options: PutOptions = PutOptions()
    ) -> ObjectHead:
        """Write one object whole, its CRC64NVME or MD5 checked by the store."""
        call = self._calls.about("PutObject", bucket, key)
        return put_object(self._calls, call, body, options)

    def delete(self, bucket: str, keys: list[str]) -> dict[str, str]:
        """Delete keys, 1,000 per request; returns the failures as key -> reason."""
        return delete_keys(self._calls, bucket, keys)

    def begin_upload(
        self,
        bucket: str,
        key: str,
        options: PutOptions = PutOptions(),
        *,
        upload_id: str | None = None,
    ) -> S3Upload:
        """Start a multipart upload, or take up one whose id is known (makes no request)."""
        call = self._calls.about("CreateMultipartUpload", bucket, key)
        if upload_id is not None:
            call = replace(call, operation="UploadPart")
            checked = options.full_object_crc64nvme
            return S3Upload(self._calls, call, upload_id, checked=checked)
        return begin_upload(self._calls, call, options)

    def describe(self, operation: str, bucket: str, **parameters: Any) -> dict[str, Any]:
        """Run a bucket-level operation; the answer is checked to be that operation's."""
        call = self._calls.about(operation, bucket)
        scope = {"Bucket": bucket} if bucket else {}
        try:
            return self._calls.retried(
                call, {**scope, **parameters}, lambda answer: read_description(answer, call)
            )
        except StoreError as error:
            # a repeated CreateBucket is refused in some regions, and happens when an answer is lost
            if error.attrs.get("store_code") != "BucketAlreadyOwnedByYou":
                raise
            return {}

    def close(self) -> None:
        """Give back connections."""
        self._pages.close()
        self._calls.close()


def _check_page_size(query: ListQuery) -> None:
    if query.keys_max < 1:
        raise UsageError(f"a page of {query.keys_max} keys is not possible")
