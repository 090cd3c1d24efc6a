"""What a reconciliation works with: stores, the catalog, the clock, who watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from stocktake.catalog import Catalog
from stocktake.clock import Clock, SystemClock
from stocktake.errors import SideUnavailableError
from stocktake.store import Store
from stocktake.telemetry import Meter, NoProgress, Progress


@dataclass(frozen=True, slots=True)
class Desk:
    """What a reconciliation works with; nothing of it is closed by it.

    Attributes:
        store: Where HAVE is, and where reports are.
        catalog: Snapshots, listing profiles, datasets, digests of local files.
        clock: For all times.
        meter: That of the store, for throttles.
        progress: Who watches.
        open_store: Opens a store at another endpoint, for SHOULD; None: there is none.
    """

    store: Store
    catalog: Catalog
    clock: Clock = field(default_factory=SystemClock)
    meter: Meter | None = None
    progress: Progress = field(default_factory=NoProgress)
    open_store: Callable[[str], Store] | None = None

    def store_at(self, endpoint_url: str | None) -> Store:
        """The store of an endpoint; None is HAVE's own."""
        if endpoint_url is None:
            return self.store
        if self.open_store is None:
            raise SideUnavailableError(
                f"nothing here can open the store at {endpoint_url}", endpoint_url=endpoint_url
            )
        return self.open_store(endpoint_url)
