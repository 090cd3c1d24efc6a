"""How to reach an object store: endpoint, identity, time-outs, limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from stocktake.errors import InvalidSettingError
from stocktake.store._retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class S3StoreOptions:
    """Everything `open_store` needs. All of it has a default that works on AWS.

    Attributes:
        endpoint_url: Another S3 than Amazon's; None takes AWS_ENDPOINT_URL or Amazon's own.
        region: Where requests are signed for first; buckets elsewhere are followed there.
        profile: A profile of the AWS configuration files.
        role_arn: A role to assume with the identity found otherwise.
        role_external_id: What the role's trust policy may ask for.
        access_key_id: Static credentials, together with `secret_access_key`; None looks them up
            the AWS way (environment, profile, SSO, container, instance).
        secret_access_key: Never shown by `repr`.
        session_token: Of temporary static credentials. Never shown by `repr`.
        anonymous: Sign nothing: public buckets.
        requester_pays: Agree to pay for requests and transfer.
        connect_timeout_s: Longest wait for a connection.
        read_timeout_s: Longest silence on a connection.
        retry: How often and how long transient failures are tried again.
        concurrency: Connections kept open, so threads that may share this store.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    role_external_id: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    anonymous: bool = False
    requester_pays: bool = False
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 60.0
    retry: RetryPolicy = RetryPolicy()
    concurrency: int = 32

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise InvalidSettingError("an access key id and a secret access key go together")
        if self.anonymous and (self.access_key_id or self.profile or self.role_arn):
            raise InvalidSettingError("anonymous access and credentials exclude each other")
        if self.concurrency < 1:
            raise InvalidSettingError(f"concurrency {self.concurrency} is less than 1")
        if min(self.connect_timeout_s, self.read_timeout_s) <= 0:
            raise InvalidSettingError("time-outs must be more than 0 seconds")
        if self.endpoint_url is not None and not self.endpoint_url.startswith(
            ("http://", "https://")
        ):
            raise InvalidSettingError(
                f"the endpoint `{self.endpoint_url}` is not an http:// or https:// address",
                hint="write it whole, for example --endpoint-url http://127.0.0.1:9000",
                endpoint_url=self.endpoint_url,
            )
