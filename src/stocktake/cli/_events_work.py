"""Work of `events`: move them into the control database, look after what was not understood."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from stocktake.catalog import Catalog
from stocktake.cli._output import Column
from stocktake.cli._run import Run
from stocktake.cli._text import (
    count_text,
    duration_text,
    parse_duration,
    plural,
    size_text,
    time_text,
)
from stocktake.errors import InvalidSettingError
from stocktake.events import (
    EventMetrics,
    EventQueue,
    Quarantined,
    Webhook,
    check_queue,
    count_quarantined,
    discard,
    list_quarantined,
    pump,
    release,
)
from stocktake.ingest import NoSeenCache, RedisSeenCache, SeenCache, SeenIntake

SEEN_CACHE_VARIABLE = "STOCKTAKE_SEEN_CACHE"
TOKEN_VARIABLE = "STOCKTAKE_WEBHOOK_TOKEN"  # noqa: S105 - the name of a variable
_WAIT_MAX_S = 20
_REPORT_EVERY_S = 1.0
_COLUMNS = (
    Column("RECEIVED (UTC)"),
    Column("ID"),
    Column("QUEUE", flexible=True),
    Column("REASON", flexible=True),
)


@dataclass(frozen=True, slots=True)
class Reception:
    """What `events receive` was asked for."""

    queue: str
    buckets: tuple[str, ...]
    wait: str
    seen_cache: str
    follow: bool


def receive_events(run: Run, asked: Reception) -> int:
    """Answer `events receive`."""
    wait_s = parse_duration(asked.wait, "--wait").total_seconds()
    if wait_s > _WAIT_MAX_S:
        raise InvalidSettingError(f"--wait is {asked.wait}; queues wait at most {_WAIT_MAX_S}s")
    queue = EventQueue(asked.queue, run.store_options(), clock=run.clock)
    with (
        run.open_catalog(create=True) as catalog,
        closing(_seen_cache(asked.seen_cache, catalog, run)) as cache,
        run.watch() as progress,
    ):
        buckets = asked.buckets or None
        intake = SeenIntake(catalog.state, queue.address, run.clock, cache, buckets=buckets)
        progress.phase("receiving events", None, "messages")
        seen = 0

        def show(metrics: EventMetrics) -> None:
            nonlocal seen
            progress.advance(metrics.messages - seen)
            seen = metrics.messages

        metrics = pump(intake, queue, until_empty=not asked.follow, wait_s=wait_s, after_batch=show)
    _show_taken(run, {"queue": queue.address}, metrics)
    return 0


def _seen_cache(url: str, catalog: Catalog, run: Run) -> SeenCache:
    address = url or os.environ.get(SEEN_CACHE_VARIABLE, "")
    return RedisSeenCache(address, catalog.id, clock=run.clock) if address else NoSeenCache()


def _show_taken(run: Run, head: dict[str, Any], metrics: EventMetrics) -> None:
    if run.out.json:
        run.out.document({**head, "metrics": metrics.to_dict()})
        return
    run.out.line(f"{plural(metrics.messages, 'message')} with {plural(metrics.received, 'event')}")
    facts = {
        "new on hold": metrics.held,
        "there already": metrics.duplicate + metrics.out_of_order + metrics.folded,
        "of other buckets": metrics.foreign,
        "that change no object": metrics.ignored,
        "not understood, in quarantine": metrics.undecodable,
        "not deleted, they will come again": metrics.undeleted,
    }
    for label, count in facts.items():
        if count:
            run.out.line(f"  {count_text(count)} {label}")
    if metrics.lag_max_s is not None:
        run.out.note(f"the oldest had waited {duration_text(metrics.lag_max_s)}")


def serve_webhook(run: Run, host: str, port: int, buckets: tuple[str, ...]) -> int:
    """Answer `events serve`; ends when it is interrupted."""
    token = os.environ.get(TOKEN_VARIABLE) or None
    with run.open_catalog(create=True) as catalog:
        webhook = Webhook(
            catalog.state,
            host=host,
            port=port,
            token=token,
            buckets=buckets or None,
            clock=run.clock,
        )
        with webhook:
            if run.out.json:
                run.out.document({"url": webhook.url})
            else:
                run.out.line(f"listening on {webhook.url}")
            run.out.flush()
            _report_until_interrupted(run, webhook)
    return 0


def _report_until_interrupted(run: Run, webhook: Webhook) -> None:
    said = 0
    while True:
        run.clock.sleep(_REPORT_EVERY_S)
        metrics = webhook.metrics
        if metrics.messages != said:
            said = metrics.messages
            run.out.note(
                f"{plural(metrics.received, 'event')} so far, {count_text(metrics.held)} new on "
                f"hold, {count_text(metrics.undecodable)} not understood"
            )


def check_one(run: Run, address: str) -> int:
    """Answer `events check`."""
    found = check_queue(EventQueue(address, run.store_options(), clock=run.clock))
    code = 3 if any(problem.loses_events for problem in found.problems) else 0
    if run.out.json:
        facts = asdict(found)
        run.out.document({"queue": facts.pop("address"), **facts})
        return code
    run.out.line(found.address)
    run.out.line(f"  {count_text(found.waiting)} messages waiting")
    run.out.line(f"  largest message {size_text(found.message_bytes_max)}")
    if found.retention_s is not None:
        run.out.line(f"  a message is kept for {duration_text(found.retention_s)}")
    for problem in found.problems:
        run.out.warn(problem.message)
        run.out.note(f"  {problem.hint}")
    if not found.problems:
        run.out.note("nothing of it would lose events")
    return code


def show_quarantine(run: Run, limit: int) -> int:
    """Answer `events quarantine`."""
    with run.open_catalog() as catalog:
        found = list_quarantined(catalog.state, limit=limit)
        total = count_quarantined(catalog.state)
    if run.out.json:
        run.out.rows_document({}, map(_message, found), "messages", lambda: {"total": total})
        return 0
    rows = ((time_text(one.received_at), one.id, one.queue, one.reason) for one in found)
    if not run.out.table(_COLUMNS, rows):
        run.out.line("no messages in quarantine")
    elif total > len(found):
        run.out.note(f"the oldest {len(found)} of {count_text(total)}; --limit shows more")
    return 0


def _message(one: Quarantined) -> dict[str, Any]:
    return {**asdict(one), "body": one.body.decode("utf-8", "backslashreplace")}


def release_messages(run: Run, ids: Sequence[str]) -> int:
    """Answer `events release`."""
    with run.open_catalog() as catalog:
        done = release(catalog.state, ids, run.clock)
    if run.out.json:
        run.out.document({"released": list(done.released), "kept": list(done.kept)})
    else:
        run.out.line(f"{plural(len(done.released), 'message')} understood now")
        for one in done.kept:
            run.out.line(f"  {one} is still not understood")
    return 3 if done.kept else 0


def discard_messages(run: Run, ids: Sequence[str]) -> int:
    """Answer `events discard`."""
    with run.open_catalog() as catalog:
        count = discard(catalog.state, ids)
    if run.out.json:
        run.out.document({"discarded": count})
    else:
        run.out.line(f"{plural(count, 'message')} thrown away")
    return 0
