"""Who we are: a botocore session with the identity that the options name. Makes no request."""

from __future__ import annotations

import os
from typing import Any

import botocore.session
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import ProfileNotFound

from stocktake.errors import CredentialsError
from stocktake.store._options import S3StoreOptions


def make_session(options: S3StoreOptions) -> tuple[Any, str | None]:
    """A session of that profile, keys and role, and the region that it is set to, if any.

    Raises:
        CredentialsError: The profile does not exist, or there is nothing to assume the role with.
    """
    session = _session(options)
    region: str | None = options.region or session.get_config_variable("region")
    if options.role_arn is not None:
        session = _role_session(session, options)
    return session, region


def _session(options: S3StoreOptions) -> Any:
    session = botocore.session.Session(profile=options.profile)
    try:
        session.get_scoped_config()
    except ProfileNotFound as error:
        raise CredentialsError(
            f"there is no profile `{options.profile or os.environ.get('AWS_PROFILE')}`",
            hint="aws configure list-profiles shows what there is",
        ) from error
    if options.region is not None:
        session.set_config_variable("region", options.region)
    if options.access_key_id is not None:
        session.set_credentials(
            options.access_key_id, options.secret_access_key, options.session_token
        )
    return session


def _role_session(source: Any, options: S3StoreOptions) -> Any:
    """A session that takes on the role, with the identity of `source`, when first needed."""
    credentials = source.get_credentials()
    if credentials is None:
        raise CredentialsError(f"there are no credentials to assume {options.role_arn} with")
    extra = {"RoleSessionName": "stocktake"}
    if options.role_external_id is not None:
        extra["ExternalId"] = options.role_external_id
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=source.create_client,
        source_credentials=credentials,
        role_arn=options.role_arn,
        extra_args=extra,
    )
    session = botocore.session.Session(profile=options.profile)
    resolver = session.get_component("credential_provider")
    resolver.providers.insert(0, _RoleProvider(fetcher))
    return session


class _RoleProvider:
    """The assumed role as one more place where botocore looks for credentials."""

    METHOD = "stocktake-role"
    CANONICAL_NAME = None

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        self._fetcher = fetcher

    def load(self) -> DeferredRefreshableCredentials:
        """Credentials that refresh themselves before they expire."""
        return DeferredRefreshableCredentials(
            refresh_using=self._fetcher.fetch_credentials, method="assume-role"
        )
