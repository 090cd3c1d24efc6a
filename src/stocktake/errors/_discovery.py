"""Discovering what is new, and feeding it to consumers."""

from __future__ import annotations

from stocktake.errors._root import StocktakeError


class DiscoveryError(StocktakeError):
    """Discovery of a prefix cannot go on."""

    code = "discovery"


class DiscoveryRunningError(DiscoveryError):
    """Another process discovers this prefix."""

    code = "discovery-running"
    default_retryable = True
    default_hint = (
        "wait for it; a killed run is taken over at once on the same machine, after a minute "
        "from another"
    )


class StrategyRefusedError(DiscoveryError):
    """The strategy would miss objects here; the message says which evidence was found."""

    code = "strategy-refused"
    exit_code = 2
    default_hint = "ask for a strategy that fits: stocktake plan s3://bucket/prefix"


class EventQueueError(DiscoveryError):
    """The event queue cannot be read: missing, denied, or not a queue."""

    code = "event-queue"


class IngestError(StocktakeError):
    """An ingestion cannot do it."""

    code = "ingest"


class IngestionNotFoundError(IngestError):
    """No ingestion has this name."""

    code = "ingestion-not-found"
    exit_code = 2
    default_hint = "list them: stocktake ingest status"


class IngestionExistsError(IngestError):
    """An ingestion of this name is there already."""

    code = "ingestion-exists"
    exit_code = 2


class ItemNotFoundError(IngestError):
    """This key was never seen, or this number never given out."""

    code = "item-not-found"
    exit_code = 2


class LeaseLostError(IngestError):
    """Another worker took the batch over; nothing of it may be committed by this one."""

    code = "lease-lost"
    default_hint = "it was silent for longer than the lease; the other worker finishes the batch"


class UnreadableItemError(IngestError):
    """An object is not of the format that the sink was told to read."""

    code = "unreadable-item"


class SinkError(IngestError):
    """The sink did not take a batch; nothing of it is committed."""

    code = "sink"
    default_retryable = True
