"""`stocktake events`: take events from a queue or a webhook; look at what was not understood."""

from __future__ import annotations

from typing import Annotated

import typer

from stocktake.cli._declare import callback, command, new_app
from stocktake.cli._run import Run

app = new_app(
    "Take events from a queue or a webhook, and look at what was not understood.\n\nAn event is in "
    "the control database before its message is deleted. It waits there until a discovery of its "
    "prefix picks it up; `stocktake ingest run` receives from the queue of its ingestion by itself."
)
callback(app)

Queue = Annotated[str, typer.Argument(metavar="QUEUE", help="URL, ARN or name of an SQS queue.")]
BucketOption = Annotated[
    list[str] | None,
    typer.Option("--bucket", metavar="NAME", help="Only events of this bucket; may be repeated."),
]
MessageIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids that the list shows.")]
_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/new"


@command(app, "receive", examples=(f"stocktake events receive {_URL}",))
def receive(
    run: Run,
    queue: Queue,
    *,
    bucket: BucketOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until interrupted; otherwise until it is empty.")
    ] = False,
    wait: Annotated[
        str, typer.Option("--wait", metavar="TIME", help="Longest wait for a message, up to 20s.")
    ] = "5s",
    seen_cache: Annotated[
        str,
        typer.Option(
            "--seen-cache",
            metavar="URL",
            help="Redis that several receivers share, to spare the database duplicates.",
        ),
    ] = "",
) -> int:
    """Move events from a queue into the control database.

    Several may run on one queue. Messages that are not understood are kept whole in quarantine.
    The address of the Redis may be in STOCKTAKE_SEEN_CACHE instead, where no process list shows it.

    JSON: {queue, metrics}.
    """
    from stocktake.cli._events_work import Reception, receive_events

    reception = Reception(queue, tuple(bucket or ()), wait, seen_cache, follow=follow)
    return receive_events(run, reception)


@command(app, "check", exits=(0, 1, 2, 3), examples=(f"stocktake events check {_URL}",))
def check(run: Run, queue: Queue) -> int:
    """Say what of a queue's settings and policy would lose events.

    Nothing is received. Exits with 3 if events would be lost.

    JSON: {queue, waiting, retention_s, visibility_s, message_bytes_max, problems: [{code, message,
    hint, loses_events}]}.
    """
    from stocktake.cli._events_work import check_one

    return check_one(run, queue)


@command(
    app,
    "serve",
    examples=("stocktake events serve --port 8722",),
)
def serve(
    run: Run,
    *,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, help="0: any.")] = 8722,
    bucket: BucketOption = None,
) -> int:
    """Receive notifications by HTTP POST (MinIO, Ceph).

    It serves until it is interrupted. The variable STOCKTAKE_WEBHOOK_TOKEN holds what senders must
    present as `Authorization: Bearer`. Without it, only this machine can send. It speaks plain
    HTTP: a reverse proxy does TLS. 200 is answered when the events are in the control database.

    JSON: {url}, as soon as it listens.
    """
    from stocktake.cli._events_work import serve_webhook

    return serve_webhook(run, host, port, tuple(bucket or ()))


@command(app, "quarantine", examples=("stocktake events quarantine --json",))
def quarantine(
    run: Run,
    *,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, help="Rows at most.")
    ] = 100,
) -> int:
    """List the messages that were not understood.

    The oldest come first. Their bodies are in the JSON.

    JSON: {messages: [{id, queue, message_id, reason, received_at, attempts, body}], total}.
    """
    from stocktake.cli._events_work import show_quarantine

    return show_quarantine(run, limit)


@command(app, "release", exits=(0, 1, 2, 3), examples=("stocktake events release evq_01m7",))
def release(run: Run, ids: MessageIds) -> int:
    """Try messages of the quarantine again, after an upgrade.

    What is understood now goes on hold and leaves the quarantine. Exits with 3 if some stay.

    JSON: {released, kept}.
    """
    from stocktake.cli._events_work import release_messages

    return release_messages(run, ids)


@command(app, "discard", examples=("stocktake events discard evq_01m7",))
def discard(run: Run, ids: MessageIds) -> int:
    """Throw messages of the quarantine away for good.

    JSON: {discarded}.
    """
    from stocktake.cli._events_work import discard_messages

    return discard_messages(run, ids)
