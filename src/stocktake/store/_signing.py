"""AWS Signature Version 4 of headers and bodies, with the signing key kept for its day.

Source: "Authenticating Requests: Using the Authorization Header" of the S3 API reference. The
strict server of the tests checks signatures by an implementation of its own.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
"""Instead of a body's SHA-256: the signature then says nothing about the body."""
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class SigningScope:
    """Where a signature holds."""

    region: str
    service: str


@dataclass(frozen=True, slots=True)
class _Key:
    secret: str
    day: str
    scope: SigningScope
    value: bytes


@dataclass(frozen=True, slots=True)
class Signable:
    """What a signature covers beside headers: method, path and query as sent, the body's SHA-256.

    The query is as `canonical_query` makes it.
    """

    method: str
    path: str
    query: str
    sha256: str = EMPTY_SHA256


class Signer:
    """Signs requests. Safe to share between threads."""

    def __init__(self) -> None:
        self._key: _Key | None = None

    def headers(
        self,
        request: Signable,
        headers: Mapping[str, str],
        identity: tuple[str, str, str | None],
        scope: SigningScope,
        now: datetime,
    ) -> dict[str, str]:
        """The headers to send: those given and those that the signature needs.

        Args:
            request: What is sent.
            headers: Names in lower case, with `host`; all of them are signed.
            identity: Access key, secret and session token.
            scope: Where the signature is to hold.
            now: Aware UTC; the store refuses what is off by 15 minutes.
        """
        access_key, secret, token = identity
        stamp = f"{now:%Y%m%dT%H%M%SZ}"
        signed = {**headers, "x-amz-content-sha256": request.sha256, "x-amz-date": stamp}
        if token:
            signed["x-amz-security-token"] = token
        names = sorted(signed)
        listed = ";".join(names)
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        canonical = (
            f"{request.method}\n{request.path}\n{request.query}\n"
            f"{lines}\n{listed}\n{request.sha256}"
        )
        day = stamp[:8]
        place = f"{day}/{scope.region}/{scope.service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{stamp}\n{place}\n{digest}"
        key = self._signing_key(secret, day, scope)
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={access_key}/{place}, "
            f"SignedHeaders={listed}, Signature={signature}"
        )
        return signed

    def _signing_key(self, secret: str, day: str, scope: SigningScope) -> bytes:
        known = self._key
        if known is None or (known.secret, known.day, known.scope) != (secret, day, scope):
            value = f"AWS4{secret}".encode()
            for part in (day, scope.region, scope.service, "aws4_request"):
                value = hmac.digest(value, part.encode(), "sha256")
            known = self._key = _Key(secret, day, scope, value)
        return known.value


def canonical_query(parameters: Mapping[str, str]) -> str:
    """A query string in the form that is signed; sent like this it needs no second spelling."""
    pairs = sorted((_quoted(name), _quoted(value)) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
