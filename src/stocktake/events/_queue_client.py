"""A botocore SQS client set up our way. Makes no request."""

from __future__ import annotations

from typing import Any

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ProfileNotFound

from stocktake.errors import CredentialsError, InvalidSettingError
from stocktake.events._queue_address import LONG_POLL_S, QueueAddress
from stocktake.store import S3StoreOptions

_READ_SLACK_S = 10.0


def make_queue_client(address: QueueAddress, options: S3StoreOptions) -> Any:
    """A botocore SQS client for this queue, with the identity that the store's options name.

    The endpoint is the one of the queue's URL; else the options' one, else Amazon's.

    Raises:
        CredentialsError: The profile does not exist, or there is nothing to assume the role with.
        InvalidSettingError: An endpoint or region that botocore cannot use.
    """
    session = _session(options)
    region = address.region or options.region or session.get_config_variable("region")
    if options.role_arn is not None:
        session = _with_role(session, options, options.role_arn)
    ours = address.url is None  # an Amazon URL is Amazon's, whichever store the objects are in
    config = Config(
        connect_timeout=options.connect_timeout_s,
        read_timeout=max(options.read_timeout_s, LONG_POLL_S + _READ_SLACK_S),
        retries={"total_max_attempts": 1, "mode": "standard"},
        signature_version=UNSIGNED if options.anonymous else None,
        max_pool_connections=options.concurrency,
        user_agent_extra="stocktake",
    )
    try:
        return session.create_client(
            "sqs",
            region_name=region or "us-east-1",
            endpoint_url=address.endpoint_url or (options.endpoint_url if ours else None),
            config=config,
        )
    except (ValueError, BotoCoreError) as error:
        raise InvalidSettingError(
            f"no SQS client for `{address.text}` in region {region}: {error}", queue=address.text
        ) from error


def _session(options: S3StoreOptions) -> Any:
    session = botocore.session.Session(profile=options.profile)
    try:
        session.get_scoped_config()
    except ProfileNotFound as error:
        raise CredentialsError(
            f"there is no profile `{options.profile}`",
            hint="aws configure list-profiles shows what there is",
        ) from error
    if options.region is not None:
        session.set_config_variable("region", options.region)
    if options.access_key_id is not None:
        session.set_credentials(
            options.access_key_id, options.secret_access_key, options.session_token
        )
    return session


def _with_role(source: Any, options: S3StoreOptions, role_arn: str) -> Any:
    credentials = source.get_credentials()
    if credentials is None:
        raise CredentialsError(f"there are no credentials to assume {role_arn} with")
    extra = {"RoleSessionName": "stocktake"}
    if options.role_external_id is not None:
        extra["ExternalId"] = options.role_external_id
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=source.create_client,
        source_credentials=credentials,
        role_arn=role_arn,
        extra_args=extra,
    )
    session = botocore.session.Session(profile=options.profile)
    session.get_component("credential_provider").providers.insert(0, _AssumedRole(fetcher))
    return session


class _AssumedRole:
    """The role as one more place where botocore looks for credentials."""

    METHOD = "stocktake-role"
    CANONICAL_NAME = None

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        self._fetcher = fetcher

    def load(self) -> DeferredRefreshableCredentials:
        """Credentials that refresh themselves before they expire."""
        return DeferredRefreshableCredentials(
            refresh_using=self._fetcher.fetch_credentials, method="assume-role"
        )
