"""A side with the names that both sides share, and without what is outside of the comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.errors import ReconcileError
from stocktake.model import display_key
from stocktake.reconcile._globs import matches
from stocktake.reconcile._request import NameMap
from stocktake.reconcile._side import Pair, Proof, Side, SideFacts
from stocktake.reconcile._side_rows import surely, without_beginning

OWN_FOLDER = ".stocktake/"
"""stocktake keeps manifests there; it is part of no dataset."""


class NamedSide:
    """Rows of a side under shared names, in their order; what is left out is counted.

    Attributes:
        names: How the side's names become shared ones.
        excluded: Rows left out: by globs, folder markers (`x/` of no bytes), our own files.
        outside: Rows whose names the map does not cover.
    """

    def __init__(
        self, side: Side, *, names: NameMap = NameMap(), exclude: Sequence[str] = ()
    ) -> None:
        self.names = names
        self.excluded = 0
        self.outside = 0
        self._side = side
        self._exclude = tuple(exclude)

    @property
    def facts(self) -> SideFacts:
        """Of the side beneath."""
        return self._side.facts

    def own_name(self, name: str) -> str:
        """What the side itself calls a shared name."""
        return self.names.strip + name.removeprefix(self.names.add)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows that are compared.

        Raises:
            ReconcileError: The side is not in key order.
        """
        self.excluded = self.outside = 0
        last = None
        for batch in self._side.batches():
            rows = self.shared_rows(batch)
            if not rows.num_rows:
                continue
            self._check_order(rows.column("key"), last)
            last = rows.column("key")[-1].as_py()
            yield rows

    def prove(self, pairs: Sequence[Pair]) -> list[Proof]:
        """Look closer; see `Side`."""
        return self._side.prove([replace(one, key=self.own_name(one.key)) for one in pairs])

    def shared_rows(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Some rows of the side under shared names, without what is outside; that is counted."""
        return self._without_excluded(self._renamed(rows))

    def _renamed(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        strip, add = self.names.strip, self.names.add
        if strip and rows.num_rows:
            covered = rows.filter(pc.starts_with(rows.column("key"), strip))
            self.outside += rows.num_rows - covered.num_rows
            rows = _with_keys(covered, without_beginning(covered.column("key"), len(strip)))
        if add and rows.num_rows:
            rows = _with_keys(rows, pc.binary_join_element_wise(add, rows.column("key"), ""))
        return rows

    def _without_excluded(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        keys = rows.column("key")
        marker = pc.and_(pc.ends_with(keys, "/"), surely(pc.equal(rows.column("size_bytes"), 0)))
        drop = pc.or_(pc.or_(marker, pc.starts_with(keys, OWN_FOLDER)), pc.equal(keys, ""))
        if self._exclude:
            drop = pc.or_(drop, matches(keys, self._exclude))
        count = pc.sum(drop, min_count=0).as_py()
        if not count:
            return rows
        self.excluded += count
        return rows.filter(pc.invert(drop))

    def _check_order(self, keys: pa.StringArray, last: str | None) -> None:
        ascends = pc.all(pc.less(keys[:-1], keys[1:]), min_count=0).as_py()
        if ascends and (last is None or keys[0].as_py() > last):
            return
        raise ReconcileError(
            f"{self.facts.place} is not in key order near `{display_key(keys[0].as_py())}`",
            place=self.facts.place,
        )


def _with_keys(rows: pa.RecordBatch, keys: pa.StringArray) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([keys, *rows.columns[1:]], schema=rows.schema)
