"""Opening a store: the one place that brings the S3 client in, and only when it is needed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from stocktake.clock import Clock, SystemClock
from stocktake.store._options import S3StoreOptions
from stocktake.store._port import Store
from stocktake.store._retry import Retrier
from stocktake.telemetry import Meter

_IDLE_CONNECTIONS = 256
"""Idle connections that are kept for listings, at least: a lister brings its own limit."""


def open_store(
    options: S3StoreOptions = S3StoreOptions(),
    *,
    meter: Meter | None = None,
    clock: Clock | None = None,
    dice: Callable[[], float] = random.random,
) -> Store:
    """A store over the S3 API. Makes no request.

    Args:
        options: Where and who.
        meter: Counts every request and byte; None counts for nobody.
        clock: Waits between tries.
        dice: Random numbers from 0 to 1 for the length of those waits.

    Raises:
        CredentialsError: The profile does not exist, or there is nothing to assume the role with.
        InvalidSettingError: Endpoint or region cannot be used.
    """
    # the S3 client takes 0.3 s to import: commands that never talk to a store do not pay for it
    from stocktake.store._calls import S3Calls
    from stocktake.store._client import make_client
    from stocktake.store._http import Http, HttpLimits
    from stocktake.store._object_requests import ObjectRequests
    from stocktake.store._page_requests import PageRequests
    from stocktake.store._routes import Routes
    from stocktake.store._s3 import S3Store

    meter = meter or Meter()
    retrier = Retrier(options.retry, clock or SystemClock(), dice, meter)
    opened = make_client(options, meter)
    limits = HttpLimits(
        options.connect_timeout_s,
        options.read_timeout_s,
        max(options.concurrency, _IDLE_CONNECTIONS),
        opened.ca_bundle,
    )
    http = Http(limits)
    routes = Routes(opened.client, opened.credentials)
    objects = ObjectRequests(routes, http, meter)
    calls = S3Calls(opened.client, options, retrier, meter, objects)
    return S3Store(calls, PageRequests(calls, routes, http))


def open_session(options: S3StoreOptions) -> tuple[Any, str | None]:
    """Botocore's session for these options and its region, for services beside S3. No request.

    Raises:
        CredentialsError: The profile does not exist, or there is nothing to assume the role with.
    """
    from stocktake.store._session import make_session

    return make_session(options)
