"""A botocore SQS client set up our way. Makes no request."""

from __future__ import annotations

from typing import Any

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from stocktake.errors import InvalidSettingError
from stocktake.events._queue_address import LONG_POLL_S, QueueAddress
from stocktake.store import S3StoreOptions, open_session

_READ_SLACK_S = 10.0


def make_queue_client(address: QueueAddress, options: S3StoreOptions) -> Any:
    """A botocore SQS client for this queue, with the identity that the store's options name.

    The endpoint is the one of the queue's URL; else the options' one, else Amazon's.

    Raises:
        CredentialsError: The profile does not exist, or there is nothing to assume the role with.
        InvalidSettingError: An endpoint or region that botocore cannot use.
    """
    session, usual_region = open_session(options)
    region = address.region or usual_region
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
