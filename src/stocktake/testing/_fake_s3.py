"""A strict S3 over HTTP for tests and benchmarks: signatures checked, a sorted index, no mercy.

    with FakeS3() as fake:
        fake.create_bucket("photos")
        store = open_store(fake.options())

It refuses what S3 refuses, and can be told to refuse more (`fake.behaviour`). Listing a page costs
as much as its entries, reading a file costs a `sendfile`, so it can stand under benchmarks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stocktake.clock import Clock, SystemClock
from stocktake.store import S3StoreOptions
from stocktake.testing._blobs import FileBlob, md5_hex
from stocktake.testing._fake_s3_auth import Identity, Signed, check_signature
from stocktake.testing._fake_s3_buckets import FakeBucket
from stocktake.testing._fake_s3_http import FakeS3Listener
from stocktake.testing._fake_s3_routes import BUCKET_ROUTES, OBJECT_ROUTES, operation_of
from stocktake.testing._fake_s3_sts import assume_role
from stocktake.testing._fake_s3_wire import Answer, Request, error_answer, xml_answer
from stocktake.testing._object_table import BucketTable, Refused, Version
from stocktake.testing._servers import Credentials


@dataclass(slots=True)
class Behaviour:
    """What the fake does beyond serving: switches that tests turn.

    Attributes:
        public: Buckets that anybody may read.
        requester_pays: Buckets that are read only by who agrees to pay.
        denied: (operation, bucket) pairs that are refused.
        kms_denied: Key prefixes whose objects' KMS key may not be used.
        slow_down: That many further requests are answered 503 SlowDown.
        page_delay_s: Every listing takes that much longer.
        redirect_status: How a request signed for another region is refused: 400 names the region
            in the error, 301 in a header.
    """

    public: set[str] = field(default_factory=set)
    requester_pays: set[str] = field(default_factory=set)
    denied: set[tuple[str, str]] = field(default_factory=set)
    kms_denied: tuple[str, ...] = ()
    slow_down: int = 0
    page_delay_s: float = 0.0
    redirect_status: int = 400


class FakeS3:
    """The server: buckets, identities, and one listening thread while it is entered."""

    def __init__(
        self,
        *,
        port: int = 0,
        credentials: Credentials = Credentials(),
        clock: Clock | None = None,
    ) -> None:
        self.buckets: dict[str, FakeBucket] = {}
        self.behaviour = Behaviour()
        self.credentials = credentials
        self.identities = {credentials.access_key_id: Identity(credentials.secret_access_key)}
        self.region = "us-east-1"
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._listener = FakeS3Listener(port, self.answer)

    @property
    def endpoint_url(self) -> str:
        """Where it listens."""
        return self._listener.endpoint_url

    def options(self, **changes: Any) -> S3StoreOptions:
        """Store options that reach it."""
        values: dict[str, Any] = {
            "endpoint_url": self.endpoint_url,
            "region": self.region,
            "access_key_id": self.credentials.access_key_id,
            "secret_access_key": self.credentials.secret_access_key,
        }
        return S3StoreOptions(**(values | changes))

    def create_bucket(self, name: str, *, region: str = "us-east-1") -> FakeBucket:
        """Make a bucket; one that is there stays as it is."""
        with self._lock:
            return self.buckets.setdefault(name, FakeBucket(BucketTable(name, region=region)))

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        """Serve a file as an object, without reading it. Its ETag is that of a multipart upload."""
        self.create_bucket(bucket).table.put(self._file_version(key, path))

    def put_directory(self, bucket: str, directory: Path, prefix: str = "") -> int:
        """Serve every file below a directory; returns how many there are."""
        files = sorted(path for path in directory.rglob("*") if path.is_file())
        versions = (
            self._file_version(prefix + path.relative_to(directory).as_posix(), path)
            for path in files
        )
        self.create_bucket(bucket).table.load(versions)
        return len(files)

    def _file_version(self, key: str, path: Path) -> Version:
        size = path.stat().st_size
        etag = md5_hex(f"{path} {size}".encode()) + "-2"
        return Version(key, FileBlob(path, size), etag, self._clock.now().replace(microsecond=0))

    def answer(self, request: Request) -> Answer:
        """What S3 would answer."""
        region = None
        try:
            if request.headers.get("content-type", "").startswith(_FORM) and not request.bucket:
                return assume_role(request, self.identities, self._clock.now())
            self._throttle()
            signed = check_signature(request, self.identities, self._clock.now())
            if not request.bucket:
                return self._list_buckets(signed)
            if request.bucket in self.buckets:
                region = self._foreign_region(request, signed)
            return self._serve(request, signed)
        except Refused as refused:
            return error_answer(refused, request, region)

    def _throttle(self) -> None:
        with self._lock:
            if self.behaviour.slow_down > 0:
                self.behaviour.slow_down -= 1
                raise Refused(503, "SlowDown", "Please reduce your request rate.")

    def _foreign_region(self, request: Request, signed: Signed | None) -> str | None:
        region = self.buckets[request.bucket].table.region
        return region if signed is not None and signed.region != region else None

    def _serve(self, request: Request, signed: Signed | None) -> Answer:
        operation = operation_of(request)
        if operation == "CreateBucket":
            return self._create(request, signed)
        bucket = self.buckets.get(request.bucket)
        if bucket is None:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        self._check_region(request, signed, bucket)
        self._check_access(operation, request, signed)
        if operation in {"ListObjectsV2", "ListObjectVersions"} and self.behaviour.page_delay_s:
            self._clock.sleep(self.behaviour.page_delay_s)
        routes = OBJECT_ROUTES if request.key else BUCKET_ROUTES
        route: Callable[..., Answer] | None = routes.get(operation)
        if route is None:
            raise Refused(501, "NotImplemented", f"the fake has no {operation}")
        return route(bucket, request, self._clock.now())

    def _check_region(self, request: Request, signed: Signed | None, bucket: FakeBucket) -> None:
        if signed is None or signed.region == bucket.table.region:
            return
        if self.behaviour.redirect_status == 301:
            raise Refused(301, "PermanentRedirect", "use the specified endpoint")
        text = f"the region '{signed.region}' is wrong; expecting '{bucket.table.region}'"
        raise Refused(400, "AuthorizationHeaderMalformed", text)

    def _check_access(self, operation: str, request: Request, signed: Signed | None) -> None:
        rules = self.behaviour
        if signed is None and not (
            request.bucket in rules.public and request.method in {"GET", "HEAD"}
        ):
            raise Refused(403, "AccessDenied", "Access Denied")
        if (operation, request.bucket) in rules.denied:
            raise Refused(403, "AccessDenied", "Access Denied")
        pays = request.headers.get("x-amz-request-payer") == "requester"
        if request.bucket in rules.requester_pays and not pays:
            raise Refused(403, "AccessDenied", "Access Denied")
        reads_key = request.method != "HEAD" or "x-amz-checksum-mode" in request.headers
        encrypted = bool(rules.kms_denied) and request.key.startswith(rules.kms_denied)
        if request.key and reads_key and encrypted:
            raise Refused(
                403,
                "AccessDenied",
                "User is not authorized to perform: kms:Decrypt on the resource "
                "associated with this ciphertext",
            )

    def _create(self, request: Request, signed: Signed | None) -> Answer:
        if signed is None:
            raise Refused(403, "AccessDenied", "Access Denied")
        self.create_bucket(request.bucket, region=signed.region)
        return Answer(200, {"location": f"/{request.bucket}"})

    def _list_buckets(self, signed: Signed | None) -> Answer:
        if signed is None:
            raise Refused(403, "AccessDenied", "Access Denied")
        names = "".join(f"<Bucket><Name>{name}</Name></Bucket>" for name in sorted(self.buckets))
        return xml_answer("ListAllMyBucketsResult", f"<Buckets>{names}</Buckets>")

    def start(self) -> FakeS3:
        """Listen in a thread of its own."""
        self._listener.start()
        return self

    def serve(self) -> None:
        """Listen in this thread until the process is interrupted."""
        self._listener.serve()

    def stop(self) -> None:
        """Stop listening. Calling it again does nothing."""
        self._listener.stop()

    def __enter__(self) -> FakeS3:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()


_FORM = "application/x-www-form-urlencoded"
