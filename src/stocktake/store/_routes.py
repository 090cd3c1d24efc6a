"""Where buckets are, learned from the requests that botocore made and a store answered.

botocore knows addressing styles, access points and redirects to other regions. A request that was
answered shows where and for which region to ask; those after it are signed and sent by us, at a
fifth of the CPU time. What is not plain Signature Version 4 to a host that is reached directly
(directory buckets, multi-region access points, proxies) stays with botocore.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.utils import get_environ_proxies

from stocktake.clock import SystemClock
from stocktake.store._http import Origin
from stocktake.store._signing import Signable, Signer, SigningScope

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^ ]*/\d{8}/([^/ ]*)/([^/ ]*)/aws4_request,"
)
_SESSION_HEADER = "x-amz-s3session-token"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Route:
    """How a bucket is reached: which server, the path, and for what to sign (None: nothing)."""

    origin: Origin
    path: str
    scope: SigningScope | None

    def target(self, key: str | None) -> str:
        """The path of the bucket, or of an object in it, as it is sent."""
        if key is None:
            return self.path
        return f"{self.path.rstrip('/')}/{quoted_key(key)}"


class Routes:
    """The routes of one client's buckets, and the signature of requests on them."""

    def __init__(self, client: Any, credentials: Any) -> None:
        self._credentials = credentials
        self._signer = Signer()
        self._clock = SystemClock()  # a store compares with the real time, also in tests
        self._known: dict[str, Route] = {}
        self._banned: set[str] = set()
        self._sent = threading.local()
        self.user_agent = str(client.meta.config.user_agent)
        client.meta.events.register("before-send.s3", self._remember)

    def __len__(self) -> int:
        return len(self._known)

    def find(self, bucket: str) -> Route | None:
        """The route to a bucket, if it is known."""
        return self._known.get(bucket)

    def forget(self, bucket: str) -> None:
        """It is elsewhere now."""
        self._known.pop(bucket, None)

    def ban(self, bucket: str) -> None:
        """Leave this bucket to botocore from now on."""
        self._banned.add(bucket)
        self.forget(bucket)

    def watch(self) -> None:
        """This thread is about to ask through botocore."""
        self._sent.request = None

    def learn(self, bucket: str, key: str | None) -> None:
        """What this thread asked through botocore since `watch` was answered by the bucket."""
        route = _route_of(getattr(self._sent, "request", None), key)
        if route is not None and bucket not in self._banned:
            self._known[bucket] = route

    def sign(
        self, route: Route, method: str, target: tuple[str, str], headers: dict[str, str], sha: str
    ) -> dict[str, str]:
        """All headers to send: those given, the signature of them, and who we are.

        Args:
            route: Where it goes.
            method: As in HTTP.
            target: Path and query as they are sent; the query as `canonical_query` makes it.
            headers: Names in lower case, without `host`.
            sha: SHA-256 of the body in hexadecimal, or `UNSIGNED-PAYLOAD`.
        """
        headers = {"host": route.origin.host, **headers}
        if route.scope is not None:
            frozen = self._credentials.get_frozen_credentials()
            identity = (frozen.access_key, frozen.secret_key, frozen.token)
            request = Signable(method, *target, sha)
            now = self._clock.now()
            headers = self._signer.headers(request, headers, identity, route.scope, now)
        headers["user-agent"] = self.user_agent
        return headers

    def _remember(self, request: Any, **_: Any) -> None:
        self._sent.request = request


def quoted_key(key: str) -> str:
    """A key as botocore puts it into a path."""
    return quote(key, safe="/~")


def _route_of(request: Any, key: str | None) -> Route | None:
    """What an answered request shows; None if it was not one that we can make."""
    if request is None or _SESSION_HEADER in {name.lower() for name in request.headers}:
        return None
    parts = urlsplit(request.url)
    proxies = get_environ_proxies(f"{parts.scheme}://{parts.netloc}")
    if parts.scheme not in _PORTS or parts.hostname is None or parts.scheme in proxies:
        return None
    authorization = request.headers.get("Authorization")
    scope = None
    if authorization is not None:
        text = authorization.decode() if isinstance(authorization, bytes) else authorization
        match = _AUTHORIZATION.match(text)
        if match is None:
            return None
        scope = SigningScope(match[1], match[2])
    path = parts.path
    if key is not None:
        suffix = "/" + quoted_key(key)
        if not path.endswith(suffix):
            return None
        path = path.removesuffix(suffix)
    usual_port = _PORTS[parts.scheme]
    host = parts.netloc.removesuffix(f":{usual_port}")
    origin = Origin(parts.scheme, parts.hostname, parts.port or usual_port, host)
    return Route(origin, path or "/", scope)
