"""A receiver for stores that push their notifications over HTTP, as MinIO and Ceph do."""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections.abc import Collection
from http import HTTPStatus

from stocktake.clock import Clock, SystemClock
from stocktake.errors import EventQueueError, InvalidSettingError, StocktakeError
from stocktake.events._intake import Intake, Message
from stocktake.events._metrics import EventMetrics
from stocktake.events._webhook_http import Reply, WebhookLimits, WebhookServer
from stocktake.state import State

WEBHOOK = "webhook"
_RETRY_LATER = (("retry-after", "5"),)


class Webhook:
    """Takes notifications with POST. 200 means: the events are safe in our tables.

    400: nothing of the message was understood, and it is in quarantine; sent again, it is only
    counted. 401, 408, 411, 413: refused. 503: not kept, send it again. One request per connection;
    no TLS, which is what a reverse proxy is for.

    >>> with Webhook(state, token="secret") as webhook:
    ...     print(webhook.url)
    http://127.0.0.1:40123/
    """

    def __init__(
        self,
        state: State,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        buckets: Collection[str] | None = None,
        limits: WebhookLimits = WebhookLimits(),
        clock: Clock | None = None,
    ) -> None:
        """Take the port; requests wait until `start`.

        Args:
            state: Where events are kept.
            host: The address to listen on.
            port: The port; 0 takes a free one.
            token: What senders must show as `Authorization: Bearer ...`.
            buckets: Events of other buckets are counted and left out; None keeps all.
            limits: Sizes and times.
            clock: For stamps and time-outs.

        Raises:
            InvalidSettingError: An address that others can reach, without a token; or one that
                cannot be listened on.
        """
        if token is not None and not (token.isascii() and token.isprintable() and token.strip()):
            raise InvalidSettingError("a webhook's token must be printable ASCII")
        if token is None and not _is_loopback(host):
            raise InvalidSettingError(
                f"a webhook on {host} is open to everybody",
                hint="set a token that senders must show, or listen on 127.0.0.1",
                host=host,
            )
        clock = clock or SystemClock()
        self._intake = Intake(state, WEBHOOK, clock, buckets=buckets, envelope=WEBHOOK)
        try:
            self._server = WebhookServer((host, port), self._receive, token, limits, clock)
        except OSError as error:
            raise InvalidSettingError(
                f"cannot listen on {host} port {port}: {error.strerror or error}",
                hint="choose another address or port",
                host=host,
                port=port,
            ) from error
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where senders post to."""
        host, port = self._server.server_address[:2]
        named = str(host)
        return f"http://[{named}]:{port}/" if ":" in named else f"http://{named}:{port}/"

    @property
    def metrics(self) -> EventMetrics:
        """What was received so far."""
        return self._intake.metrics

    def start(self) -> None:
        """Serve from a thread until `stop`."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._server.serve_forever,
                kwargs={"poll_interval": 0.05},
                name="stocktake-webhook",
            )
            self._thread.start()

    def stop(self) -> None:
        """Listen no more; requests under way are answered first. Calling it again does nothing.

        Raises:
            BaseException: What went wrong in a request and was nobody's fault but ours.
        """
        if self._thread is None:
            self._server.server_close()
            return
        self._server.close_gracefully()
        self._thread.join()
        self._thread = None
        failure, self._server.failure = self._server.failure, None
        if failure is not None:
            raise failure

    def __enter__(self) -> Webhook:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _receive(self, body: bytes) -> Reply:
        message = Message(id=hashlib.sha256(body).hexdigest(), body=body)
        try:
            (decoded,) = self._intake.take([message])
        except EventQueueError as error:
            return Reply(HTTPStatus.BAD_REQUEST, {"error": error.message})
        except StocktakeError as error:  # the database is busy, gone or full
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, {"error": error.message}, _RETRY_LATER)
        if decoded.kind == "undecodable":
            return Reply(HTTPStatus.BAD_REQUEST, {"error": str(decoded.refusals[0])})
        return Reply(HTTPStatus.OK, {"events": len(decoded.events)})


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
