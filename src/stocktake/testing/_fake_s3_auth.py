"""AWS Signature Version 4, checked by its specification and independently of any SDK.

Source: "Authenticating Requests: Using the Authorization Header" of the S3 API reference.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from stocktake.testing._fake_s3_wire import Request
from stocktake.testing._object_table import Refused

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]*)/(s3|sts)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)
_SKEW_MAX = timedelta(minutes=15)
_UNSIGNED = frozenset({"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})


@dataclass(frozen=True, slots=True)
class Identity:
    """An access key that the fake knows."""

    secret_access_key: str
    session_token: str | None = None
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed a request, and for which region."""

    access_key_id: str
    region: str


def check_signature(
    request: Request, identities: Mapping[str, Identity], now: datetime
) -> Signed | None:
    """Who signed; None for an anonymous request. Refuses what S3 refuses."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    match = _AUTHORIZATION.fullmatch(header)
    if match is None:
        raise Refused(400, "AuthorizationHeaderMalformed", "The authorization header is malformed")
    access_key_id, day, region, service, names, signature = match.groups()
    identity = identities.get(access_key_id)
    if identity is None:
        raise Refused(403, "InvalidAccessKeyId", "The AWS Access Key Id does not exist")
    _check_time(request, day, now)
    _check_payload(request)
    scope = f"{day}/{region}/{service}/aws4_request"
    expected = _sign(request, identity, scope, names.split(";"))
    if not hmac.compare_digest(expected, signature):
        raise Refused(403, "SignatureDoesNotMatch", "The request signature does not match")
    _check_token(request, identity)
    return Signed(access_key_id, region)


def _check_time(request: Request, day: str, now: datetime) -> None:
    stamp = request.headers.get("x-amz-date", "")
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise Refused(403, "AccessDenied", "a request needs x-amz-date") from error
    if abs(now - signed_at) > _SKEW_MAX or not stamp.startswith(day):
        raise Refused(403, "RequestTimeTooSkewed", "The time of the request is too far off")


def _check_payload(request: Request) -> None:
    claimed = request.headers.get("x-amz-content-sha256", "")
    if claimed in _UNSIGNED or not claimed:
        return
    if hashlib.sha256(request.body).hexdigest() != claimed:
        raise Refused(400, "XAmzContentSHA256Mismatch", "The payload's SHA256 does not match")


def _check_token(request: Request, identity: Identity) -> None:
    if identity.expired:
        raise Refused(400, "ExpiredToken", "The provided token has expired.")
    if request.headers.get("x-amz-security-token") != identity.session_token:
        raise Refused(403, "InvalidToken", "The provided token is malformed or otherwise invalid.")


def _sign(request: Request, identity: Identity, scope: str, names: list[str]) -> str:
    headers = "".join(f"{name}:{_trim(request.headers.get(name, ''))}\n" for name in names)
    payload = request.headers.get("x-amz-content-sha256")
    if payload is None:
        payload = hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join(
        [
            request.method,
            request.raw_path,
            _canonical_query(request.raw_query),
            headers,
            ";".join(names),
            payload,
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{request.headers['x-amz-date']}\n{scope}\n{digest}"
    key = f"AWS4{identity.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _trim(value: str) -> str:
    return " ".join(value.split())


def _canonical_query(raw_query: str) -> str:
    pairs = [item.partition("=") for item in raw_query.split("&") if item]
    encoded = sorted((_recode(name), _recode(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _recode(text: str) -> str:
    return quote(unquote(text), safe="-_.~")
