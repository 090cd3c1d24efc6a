"""`Account` over STS and KMS."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from botocore import exceptions as aws
from botocore.config import Config
from botocore.parsers import ResponseParserError

from stocktake.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    InvalidSettingError,
    ObjectNotFoundError,
    StoreError,
    UnexpectedAnswerError,
    UnsupportedOperationError,
)
from stocktake.store._account import Caller, KeyFacts
from stocktake.store._answers import Call
from stocktake.store._options import S3StoreOptions
from stocktake.store._refusals import TRANSPORT_ERRORS, store_error
from stocktake.store._retry import Retrier
from stocktake.store._session import make_session
from stocktake.telemetry import Meter

_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_ABSENT = frozenset({"NotFoundException", "InvalidArnException"})
_ABOUT_BUCKETS = (ObjectNotFoundError, BucketNotFoundError)
_NOT_THERE_STATUS = frozenset({400, 404, 405, 500, 501})


class AwsAccount:
    """STS and KMS with the identity of the store's options. Clients are made when first needed."""

    def __init__(self, options: S3StoreOptions, retrier: Retrier, meter: Meter) -> None:
        self._options = options
        self._retrier = retrier
        self._meter = meter
        self._session, self._region = make_session(options)
        self._clients: dict[tuple[str, str], Any] = {}

    def caller(self) -> Caller:
        """Who we are."""
        if self._options.anonymous:
            raise CredentialsError("requests are not signed, so they come from nobody")
        answer = self._ask("sts", "GetCallerIdentity", "ask who signs our requests")
        account, arn = answer.get("Account"), answer.get("Arn")
        if not account or not arn:
            raise UnexpectedAnswerError("cannot ask who signs our requests: no account in answer")
        return Caller(str(account), str(arn))

    def key(self, key_id: str, region: str | None = None) -> KeyFacts:
        """A KMS key by id, ARN or alias."""
        about = f"look at KMS key {key_id}"
        where = region_of_arn(key_id) or region
        answer = self._ask("kms", "DescribeKey", about, where, KeyId=key_id)
        found = answer.get("KeyMetadata") or {}
        if not found.get("Arn"):
            raise UnexpectedAnswerError(f"cannot {about}: the answer names no key")
        return KeyFacts(
            arn=str(found["Arn"]),
            is_aws_managed=found.get("KeyManager") == "AWS",
            state=str(found.get("KeyState", "Enabled")),
        )

    def key_policy(self, key: KeyFacts) -> str:
        """The key's policy."""
        about = f"read the policy of KMS key {key.arn}"
        where = region_of_arn(key.arn)
        answer = self._ask("kms", "GetKeyPolicy", about, where, KeyId=key.arn, PolicyName="default")
        return str(answer.get("Policy", ""))

    def close(self) -> None:
        """Give back connections."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _ask(
        self,
        service: str,
        operation: str,
        deed: str,
        region: str | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        client = self._client(service, region or self._region or "us-east-1")
        name = next(n for n, api in client.meta.method_to_api_mapping.items() if api == operation)
        method: Callable[..., dict[str, Any]] = getattr(client, name)

        def once(_attempt: int) -> dict[str, Any]:
            self._meter.call(operation)
            try:
                return method(**parameters)
            except (aws.ClientError, *TRANSPORT_ERRORS) as error:
                raise _failure(error, service, operation, deed) from error

        return self._retrier.run(once)

    def _client(self, service: str, region: str) -> Any:
        known = self._clients.get((service, region))
        if known is not None:
            return known
        options = self._options
        config = Config(
            connect_timeout=options.connect_timeout_s,
            read_timeout=options.read_timeout_s,
            retries={"total_max_attempts": 1, "mode": "standard"},
            user_agent_extra="stocktake",
        )
        try:
            made = self._session.create_client(
                service,
                region_name=region,
                endpoint_url=_endpoint(options, service),
                config=config,
            )
        except (ValueError, aws.BotoCoreError) as error:
            raise InvalidSettingError(
                f"no {service.upper()} client in region {region}: {error}"
            ) from error
        self._clients[service, region] = made
        return made


def region_of_arn(text: str) -> str | None:
    """The region that an ARN names; None for an id, an alias or an ARN without one."""
    words = text.split(":")
    return words[3] or None if words[0] == "arn" and len(words) > 3 else None


def _endpoint(options: S3StoreOptions, service: str) -> str | None:
    """Where a service is; None leaves it to botocore (its own settings, then Amazon)."""
    environment = os.environ
    named = {f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"}
    if options.endpoint_url is None and named & environment.keys():
        return None
    url = options.endpoint_url or environment.get("AWS_ENDPOINT_URL_S3")
    if url is None or (urlsplit(url).hostname or "").endswith(_AMAZON):
        return None
    return url


def _failure(error: Exception, service: str, operation: str, deed: str) -> StoreError:
    call = Call(operation)
    if isinstance(error, ResponseParserError):
        return UnsupportedOperationError(
            f"cannot {deed}: this store has no {service.upper()} (what it answers is none of it)",
            operation=operation,
        )
    if not isinstance(error, aws.ClientError):
        return store_error(error, call)
    said = error.response.get("Error", {})
    code, status = str(said.get("Code", "")), _status(error)
    text = f"cannot {deed}: {said.get('Message') or code}".rstrip(".").replace("\n", " ")
    attrs: dict[str, Any] = {"operation": operation, "status": status, "store_code": code}
    if code in _DENIED:
        permission = f"{service}:{operation}"
        return AccessDeniedError(
            f"cannot {deed}: access denied",
            hint=f"grant {permission} to this identity",
            permission=permission,
            **attrs,
        )
    if code in _ABSENT:
        return ObjectNotFoundError(text, **attrs)
    known = store_error(error, call)
    if type(known) is not StoreError and not isinstance(known, _ABOUT_BUCKETS):
        return known
    if status in _NOT_THERE_STATUS:
        return UnsupportedOperationError(
            f"cannot {deed}: this store has no {service.upper()} ({code or status})", **attrs
        )
    return StoreError(text, **attrs)


def _status(error: aws.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
