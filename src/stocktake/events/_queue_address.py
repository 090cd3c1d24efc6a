"""Which queue an address means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from stocktake.errors import InvalidSettingError

LONG_POLL_S = 20
"""The longest wait that SQS grants."""
_ARN = re.compile(r"arn:[a-z-]+:sqs:([a-z0-9-]+):(\d*):([A-Za-z0-9_.-]{1,85})")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,85}")
_AWS_HOST = re.compile(
    r"(?:sqs(?:-fips)?\.([a-z0-9-]+)|([a-z0-9-]+)\.queue|queue)\.amazonaws\.com(?:\.cn)?"
)


@dataclass(frozen=True, slots=True)
class QueueAddress:
    """Where a queue is.

    Attributes:
        text: As it was given.
        url: The queue's URL; None if the service has to be asked by name.
        name: The queue's name.
        account: Its owner; None is the caller's own.
        region: Where it is; None is the session's.
        endpoint_url: The service's address; None is Amazon's own.
    """

    text: str
    url: str | None
    name: str
    account: str | None = None
    region: str | None = None
    endpoint_url: str | None = None


def parse_queue(text: str) -> QueueAddress:
    """A queue's URL, ARN or name.

    Raises:
        InvalidSettingError: None of them.
    """
    if text.startswith(("http://", "https://")):
        return _parse_url(text)
    arn = _ARN.fullmatch(text)
    if arn is not None:
        return QueueAddress(text, None, arn[3], arn[2] or None, arn[1])
    if _NAME.fullmatch(text):
        return QueueAddress(text, None, text)
    raise _no_queue(text)


def _parse_url(text: str) -> QueueAddress:
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        raise _no_queue(text) from None
    account, _, name = parts.path.strip("/").rpartition("/")
    if not host or not _NAME.fullmatch(name):
        raise _no_queue(text)
    amazon = _AWS_HOST.fullmatch(host)
    if amazon is not None:
        region = amazon[1] or amazon[2] or "us-east-1"
        return QueueAddress(text, text, name, account or None, region)
    origin = f"{parts.scheme}://{parts.netloc}"
    return QueueAddress(text, text, name, account or None, None, origin)


def _no_queue(text: str) -> InvalidSettingError:
    return InvalidSettingError(
        f"`{text}` is not a queue",
        hint="give its URL (https://sqs.eu-west-1.amazonaws.com/123456789012/name), its ARN "
        "(arn:aws:sqs:eu-west-1:123456789012:name) or its name",
        queue=text,
    )
