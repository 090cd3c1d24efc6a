"""The process that the chaos suite kills: does one piece of work for every line it is sent.

python chaos_child.py CATALOG ENDPOINT QUEUE_URL DATASET [STATE_URL]

Lines: `events` (empty the queue), `discover STRATEGY`, `audit`, `ingest`. It answers `ok` or the
code of the error.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

from chaos_world import BUCKET, NAME, PREFIX

from stocktake.catalog import Catalog, open_catalog
from stocktake.clock import SystemClock
from stocktake.errors import StocktakeError
from stocktake.events import EventQueue, Intake, pump
from stocktake.ingest import (
    IngestionSpec,
    create_ingestion,
    discover,
    list_ingestions,
    open_ingestion,
    open_sink,
)
from stocktake.listing import StrategyName
from stocktake.model import S3Url
from stocktake.store import S3StoreOptions, Store, open_store


def specification(dataset: str) -> IngestionSpec:
    """Small batches, so that there are many commits."""
    return IngestionSpec(
        name=NAME,
        source=S3Url(BUCKET, PREFIX),
        strategy=StrategyName.EVENT_DRIVEN,
        sink={"kind": "parquet", "location": dataset, "reader": "files"},
        files_max=5,
        lease=timedelta(seconds=1),
        backoff=timedelta(seconds=0),
    )


class Child:
    """Everything opened once."""

    def __init__(self, catalog: Catalog, store: Store, queue_url: str, dataset: str) -> None:
        self.catalog, self.store = catalog, store
        self.queue = EventQueue(queue_url, _options(None))
        self.intake = Intake(catalog.state, queue_url, SystemClock())
        self.spec = specification(dataset)
        if NAME not in {row.spec.name for row in list_ingestions(catalog)}:
            create_ingestion(catalog, self.spec)

    def do(self, work: str, *arguments: str) -> None:
        """One piece of work."""
        if work == "events":
            pump(self.intake, self.queue, until_empty=True, wait_s=0, batch_messages=3)
        elif work == "discover":
            strategy = StrategyName(arguments[0])
            discover(self.catalog, self.store, replace(self.spec, strategy=strategy))
        elif work == "audit":
            discover(self.catalog, self.store, self.spec, audit=True)
        else:
            assert self.spec.sink is not None
            sink = open_sink(self.spec.sink)
            open_ingestion(self.catalog, self.store, NAME).run(
                sink, workers=2, discover_first=False
            )
            sink.close()


def _options(endpoint: str | None) -> Any:
    return S3StoreOptions(
        endpoint_url=endpoint,
        region="us-east-1",
        access_key_id="stocktake",
        secret_access_key="stocktake-secret",
    )


def main(
    location: str, endpoint: str, queue_url: str, dataset: str, state_url: str | None = None
) -> None:
    """Work until standard input ends."""
    store = open_store(_options(endpoint))
    with open_catalog(location, state_url=state_url, create=True) as catalog:
        child = Child(catalog, store, queue_url, dataset)
        print("ready", flush=True)
        for line in sys.stdin:
            try:
                child.do(*line.split())
            except StocktakeError as error:
                print(f"{error.code} {error.message}", flush=True)
            else:
                print("ok", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
