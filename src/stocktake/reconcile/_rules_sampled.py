"""Rules against a sample: an estimate for each prefix, and a look at whatever was read for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from stocktake.catalog import Catalog
from stocktake.listing import sample_objects
from stocktake.model import S3Url
from stocktake.reconcile._align import rows_before, rows_through
from stocktake.reconcile._known_keys import known_keys
from stocktake.reconcile._named_side import NamedSide
from stocktake.reconcile._request import HaveSpec, Rule
from stocktake.reconcile._rule_verdicts import Numbers
from stocktake.reconcile._rules import Offend, Seen
from stocktake.reconcile._side_rows import RowCount, side_rows
from stocktake.store import KeyPage, ListQuery, Store, read_key_page

RULES_AT_ONCE = 8

Look = Callable[[pa.RecordBatch], None]


class WatchedStore:
    """A store, each page of which somebody looks at; nothing else differs."""

    def __init__(self, store: Store, look: Look) -> None:
        self._store = store
        self._look = look

    def list_columns(self, query: ListQuery) -> KeyPage:
        """One page of a listing, as columns."""
        page = read_key_page(self._store, query)
        if page.rows.num_rows and not query.delimiter:
            self._look(page.rows)
        return page

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class ReadRanges:
    """Ranges of keys that were read, so that no object is looked at twice."""

    def __init__(self) -> None:
        self._ranges: list[tuple[str, str]] = []

    def fresh(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Those of a page's rows that were in no page before. Pages are gapless and ascend."""
        keys = rows.column("key")
        first, last = keys[0].as_py(), keys[-1].as_py()
        met = [one for one in self._ranges if one[0] <= last and one[1] >= first]
        known = np.zeros(rows.num_rows, dtype=bool)
        for low, high in met:
            known[rows_before(keys, low) : rows_through(keys, high)] = True
        self._ranges = [one for one in self._ranges if one not in met]
        # what lies between two pages that touch was read by the one or the other
        self._ranges.append(
            (min(first, *(one[0] for one in met), first), max(last, *(one[1] for one in met), last))
        )
        return rows.filter(pa.array(~known)) if met else rows


class RuleSampler:
    """Samples below the prefix of each rule, several at a time. What all of them cost adds up."""

    def __init__(
        self, store: Store, catalog: Catalog, spec: HaveSpec, have: NamedSide, offend: Offend
    ) -> None:
        self.calls = 0
        self.calls_saved = 0
        self.count = RowCount()
        self._store = store
        self._catalog = catalog
        self._spec = spec
        self._have = have
        self._offend = offend
        self._lock = threading.Lock()

    def sample_all(self, rules: Sequence[Rule]) -> Iterator[tuple[Seen, Numbers]]:
        """Of each rule what was seen and the estimate, in order."""
        workers = max(1, min(self._spec.workers, RULES_AT_ONCE))
        with ThreadPoolExecutor(workers, "stocktake-sample") as pool:
            yield from pool.map(self._sample, rules)

    def _sample(self, rule: Rule) -> tuple[Seen, Numbers]:
        """What was seen below the rule's prefix, and the estimate of all of it."""
        base, seen, read = self._spec.source.key, Seen(rule, self._offend), ReadRanges()
        source = S3Url(self._spec.source.bucket, base + rule.prefix)

        def look(page: pa.RecordBatch) -> None:
            with self._lock:
                for rows in side_rows([read.fresh(page)], base, self.count):
                    seen.add(self._have.shared_rows(rows))

        watched: Any = WatchedStore(self._store, look)
        found = sample_objects(
            watched,
            source,
            seed=self._spec.seed,
            probes=self._spec.probes,
            confidence=self._spec.confidence,
            split_keys=known_keys(self._catalog, source).split_keys,
            clock=self._catalog.clock,
        )
        with self._lock:
            self.calls += found.metrics.requests
            self.calls_saved += found.calls_saved
        return seen, Numbers(found.objects, found.bytes)
