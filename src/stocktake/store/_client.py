"""A botocore client set up our way: no retries of its own, every request counted, raw listings.

botocore does signing, credentials, endpoints and region redirects. Retries are ours (`_retry.py`),
because it neither resumes bodies nor tells a lost answer from a refused write.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.handlers import BUILTIN_HANDLERS
from botocore.httpsession import get_cert_path

from stocktake.errors import InvalidSettingError
from stocktake.store._options import S3StoreOptions
from stocktake.store._session import make_session
from stocktake.telemetry import Meter

_EVERY_ANSWER = "before-parse.s3.*"
ROOT_ELEMENT = re.compile(rb"\s*(?:<\?xml[^>]*\?>\s*)?<([A-Za-z0-9]+:)?([A-Za-z0-9]+)")
"""Finds the name of a document's root element, as its second group."""

RAW_LISTINGS = {
    "ListObjectsV2": b"<ListBucketResult/>",
    "ListObjectVersions": b"<ListVersionsResult/>",
}
"""Operations whose answer we parse ourselves, and what botocore is given to parse instead."""


@dataclass(frozen=True, slots=True)
class S3Client:
    """A botocore client, and what it uses that our own requests need too.

    Attributes:
        client: botocore's.
        credentials: Of the session, refreshing themselves; None for anonymous access.
        ca_bundle: Path of the certificates that servers are checked with.
    """

    client: Any
    credentials: Any
    ca_bundle: str


def make_client(options: S3StoreOptions, meter: Meter) -> S3Client:
    """A botocore S3 client for these options. Makes no request.

    Raises:
        CredentialsError: The profile does not exist.
        InvalidSettingError: An endpoint or region that botocore cannot use.
    """
    session, region = make_session(options)
    region = region or "us-east-1"
    endpoint_url = options.endpoint_url or _endpoint_of_environment()
    config = Config(
        connect_timeout=options.connect_timeout_s,
        read_timeout=options.read_timeout_s,
        max_pool_connections=options.concurrency,
        retries={"total_max_attempts": 1, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        signature_version=UNSIGNED if options.anonymous else None,
        s3={"addressing_style": "path" if endpoint_url else "auto"},
        tcp_keepalive=True,
        user_agent_extra="stocktake",
    )
    try:
        client = session.create_client(
            "s3",
            region_name=region,
            endpoint_url=endpoint_url,
            config=config,
        )
    except (ValueError, BotoCoreError) as error:
        raise InvalidSettingError(
            f"no S3 client for endpoint {endpoint_url} in region {region}: {error}"
        ) from error
    _count_requests(client, meter)
    _keep_raw_answers(client)
    credentials = None if options.anonymous else session.get_credentials()
    bundle = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    return S3Client(client, credentials, get_cert_path(bundle or True))


def _endpoint_of_environment() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _count_requests(client: Any, meter: Meter) -> None:
    def count(event_name: str, **_: Any) -> None:
        meter.call(event_name.rpartition(".")[2])

    client.meta.events.register("before-send.s3", count)


def _keep_raw_answers(client: Any) -> None:
    """Give us the bytes of listings, and the root element of every other XML answer.

    botocore takes 78 ms to parse a page of 1,000 keys, parses a foreign document to an empty
    success, and takes a listing with a control character for an internal error of the store.
    """
    events = client.meta.events
    for entry in BUILTIN_HANDLERS:
        if entry[0] == _EVERY_ANSWER and "200_error" in getattr(entry[1], "__name__", ""):
            events.unregister(_EVERY_ANSWER, entry[1])
    events.register_first(_EVERY_ANSWER, _look_at_answer)


def _look_at_answer(
    operation_model: Any,
    response_dict: dict[str, Any],
    customized_response_dict: dict[str, Any],
    **_: Any,
) -> None:
    body = response_dict["body"]
    if response_dict["status_code"] >= 300 or not isinstance(body, bytes):
        return
    root = ROOT_ELEMENT.match(body)
    name = root.group(2).decode() if root else None
    customized_response_dict["RootElement"] = name
    if name == "Error":  # S3 may find out that it fails after it has said 200
        response_dict["status_code"] = 500
    elif operation_model.name in RAW_LISTINGS:
        customized_response_dict["RawBody"] = body
        response_dict["body"] = RAW_LISTINGS[operation_model.name]
