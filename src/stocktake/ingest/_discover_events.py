"""event_driven: what is on hold goes into the feed, after the queue was emptied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stocktake.events import EventQueue, Intake, QueuePulse, held_events, pump
from stocktake.ingest._discover_job import DiscoveryJob, DiscoveryReport, report_of, together
from stocktake.ingest._discover_look import look_in
from stocktake.listing import ListingMetrics, StrategyName, parse_settings

_EVENTS_PER_STEP = 10_000
_QUEUE_WAIT_S = 1.0
_EVENTS = StrategyName.EVENT_DRIVEN


@dataclass(frozen=True, slots=True)
class _Received:
    pulse: dict[str, Any]
    warnings: tuple[str, ...] = ()


def run_events(job: DiscoveryJob) -> DiscoveryReport | None:
    """Absorb every event on hold below the prefix; None if there are none and nothing to say.

    Killed in between, what was not absorbed is on hold still. Memory: 10,000 events.
    """
    metrics = ListingMetrics()
    received = _empty_queue(job, metrics)
    source = job.spec.source
    look = look_in(job.store, source.bucket)
    events = held_events(job.catalog.state, source.bucket, source.key, _EVENTS_PER_STEP)
    if not events:
        return _only_warnings(job, metrics, received.warnings)
    report: DiscoveryReport | None = None
    with job.feed.discovering(_EVENTS) as writer:
        while events:
            metrics.objects += len(events)
            absorbed = writer.absorb_events(
                events, metrics=metrics, look=look, cursor={"pulse": received.pulse}
            )
            latest = report_of(job, _EVENTS, absorbed, metrics, received.warnings)
            report = together(report, latest)
            events = held_events(job.catalog.state, source.bucket, source.key, _EVENTS_PER_STEP)
    return report


def _only_warnings(
    job: DiscoveryJob, metrics: ListingMetrics, warnings: tuple[str, ...]
) -> DiscoveryReport | None:
    """A silent queue is worth a word most of all when nothing came of it."""
    if not warnings:
        return None
    runs = job.feed.runs(1)
    run_id = runs[0].id if runs else ""
    return DiscoveryReport(run_id, _EVENTS, metrics, job.feed.claim(), warnings=warnings)


def _empty_queue(job: DiscoveryJob, cost: ListingMetrics) -> _Received:
    """Put on hold what waits in the queue, if there is one; other receivers may do the same."""
    known = job.feed.cursor(_EVENTS).get("pulse", {})
    address: str | None = None
    if job.spec.strategy is _EVENTS:  # as the tail of a report they only come from hold
        address = parse_settings(_EVENTS, job.spec.strategy_settings)["queue_url"]
    clock = job.catalog.clock
    queue = job.queue or (EventQueue(address, clock=clock) if address else None)
    if queue is None:
        return _Received(known)
    intake = Intake(
        job.catalog.state, queue.address, clock=clock, pulse=QueuePulse.from_dict(known)
    )
    metrics = pump(intake, queue, until_empty=True, wait_s=_QUEUE_WAIT_S)
    cost.calls["receive"] = metrics.calls.get("receive", 0)
    cost.throttles += metrics.throttles
    cost.retries += metrics.retries
    warnings = []
    if metrics.undecodable:
        warnings.append(
            f"{metrics.undecodable} messages of {queue.address} could not be understood; they are "
            "in quarantine"
        )
    if intake.pulse.is_silent(clock.now()):
        silent_s = intake.pulse.gap_s(clock.now()) or 0.0
        warnings.append(
            f"{queue.address} has been silent for {silent_s / 3600:.1f} h, longer than usual: an "
            "audit would tell whether events are lost"
        )
    return _Received(intake.pulse.to_dict(), tuple(warnings))
