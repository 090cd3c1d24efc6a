"""Requests and answers of the fake S3, and its XML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote_plus, unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from stocktake.testing._blobs import Blob
from stocktake.testing._object_table import Refused

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are lower case; `raw_*` are as they came."""

    method: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes = b""
    bucket: str = ""
    key: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send back: bytes, or a slice of a blob."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    blob: Blob | None = None
    start: int = 0
    stop: int = 0


def parse_target(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Request:
    """A request whose bucket and key come from a path-style target."""
    raw_path, _, raw_query = target.partition("?")
    bucket, _, raw_key = raw_path.removeprefix("/").partition("/")
    try:
        key = unquote(raw_key, errors="strict")
        query = dict(parse_qsl(raw_query, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError as error:
        raise Refused(400, "InvalidURI", "Couldn't parse the specified URI.") from error
    return Request(method, raw_path, raw_query, headers, body, unquote(bucket), key, query)


def decode_chunked(body: bytes) -> bytes:
    """The payload of an `aws-chunked` body; its chunk signatures and trailers are not checked."""
    pieces: list[bytes] = []
    position = 0
    while True:
        end = body.index(b"\r\n", position)
        size = int(body[position:end].split(b";")[0], 16)
        if size == 0:
            return b"".join(pieces)
        pieces.append(body[end + 2 : end + 2 + size])
        position = end + 2 + size + 2


def xml_answer(root: str, inner: str, *, status: int = 200) -> Answer:
    """An answer whose body is one XML document."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{inner}</{root}>'
    return Answer(status, {"content-type": "application/xml"}, text.encode())


def error_answer(refused: Refused, request: Request, region: str | None = None) -> Answer:
    """A refusal as S3 words it. HEAD answers carry no body."""
    headers = {"content-type": "application/xml"}
    if region is not None:
        headers["x-amz-bucket-region"] = region
    inner = (
        f"<Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>"
        f"<Resource>{escape(request.raw_path)}</Resource>"
        + (f"<Region>{region}</Region>" if region else "")
        + "<RequestId>FAKE</RequestId>"
    )
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'
    body = b"" if request.method == "HEAD" else text.encode()
    return Answer(refused.status, headers, body)


def parse_xml(body: bytes) -> ET.Element:
    """The root of a request's document, tags without namespaces."""
    try:
        root = ET.fromstring(body)  # noqa: S314 - requests of our own tests
    except ET.ParseError as error:
        raise Refused(400, "MalformedXML", "The XML you provided was not well-formed") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def url_text(text: str, *, encoded: bool) -> str:
    """A key or prefix for an XML answer, percent-encoded if the request asked for it."""
    if encoded:
        return quote_plus(text, safe="/")
    if any(ord(char) < 32 and char not in "\t\n\r" for char in text):
        raise Refused(500, "InternalError", "a key that XML cannot hold: pass encoding-type=url")
    return escape(text, {"\r": "&#13;"})


def iso_time(value: datetime) -> str:
    """`2026-11-20T01:00:00.000Z`, as in listings."""
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


def http_time(value: datetime) -> str:
    """`Fri, 20 Nov 2026 01:00:00 GMT`, as in headers."""
    return format_datetime(value, usegmt=True)
