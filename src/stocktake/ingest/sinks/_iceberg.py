"""Batches as appends to an Apache Iceberg table, with the token in the snapshot's summary."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from stocktake.clock import Clock
from stocktake.errors import MissingExtraError, SinkError, StocktakeError
from stocktake.faults import reached
from stocktake.ingest._sink import Landed, OpenItems
from stocktake.ingest.sinks._columns import Settled, settle
from stocktake.ingest.sinks._iceberg_history import TableHistory, remembering
from stocktake.ingest.sinks._landing import labels
from stocktake.ingest.sinks._read import LINEAGE, Found, Reading, read_batch
from stocktake.ingest.sinks._types import lake_type

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog as IcebergCatalog
    from pyiceberg.table import Table

DEFAULT_NAME = "stocktake"
_CONFLICTS_MAX = 30
_FAILURES_MAX = 5
_WAIT_S = 0.1
_WAIT_S_MAX = 5.0
_RETRIES = "commit.retry.num-retries"


class IcebergSink:
    """Appends batches to one Iceberg table through PyIceberg.

    A batch is one Iceberg snapshot. Its summary carries `stocktake.commit-token`,
    `stocktake.consumer` and `stocktake.seqs`, so what has been ingested is read back from the
    table. For snapshots that maintenance expires, the last tokens of a consumer are also in the
    table property `stocktake.landed.<consumer>`. A commit is made only on a state of the table in
    which the token was looked for, so two holders of one batch cannot both append it.

    The table and its namespace are made if they are not there; new columns are added, optional.
    A commit takes some 50 ms and more and its metadata grows with every one: let batches be large,
    and expire snapshots from time to time, but never younger ones than a worker may be silent.

    Args:
        catalog: PyIceberg's properties (`type`, `uri`, `warehouse`, ...), and `name`, under which
            its configuration files know the catalog.
        table: `namespace.name`.
        reading: What is read out of objects.
        clock: Waits between tries.
    """

    keeps_tokens = True

    def __init__(
        self, catalog: Mapping[str, str], table: str, reading: Reading, clock: Clock
    ) -> None:
        self._properties = dict(catalog)
        self._name = table
        self._reading = reading
        self._clock = clock
        self._opened: IcebergCatalog | None = None
        self._opening = threading.Lock()
        # threads that share this sink would only collide on commit, and write their files again
        self._committing = threading.Lock()

    def load(self, batch: OpenItems) -> None:
        """Append all rows with the token in one commit. A batch that is there is read for nothing.

        Raises:
            MissingExtraError: PyIceberg is not installed.
            SinkError: The catalog or table refuses, or the batch's own rows do not fit the table.
            StoreError: Objects cannot be read.
        """
        found = read_batch(batch, self._reading, self._clock)
        if not found.seqs:
            return
        batch.renew()
        reached("sink.rows-ready")
        with self._committing:
            settled = self._commit(batch, found)
        reached("sink.committed")
        for item, error in settled.failures if settled is not None else ():
            batch.fail(item, error)

    def landed(self, consumer: str, tokens: Sequence[str]) -> Mapping[str, Landed]:
        """Batches of this consumer in the table's history.

        Raises:
            SinkError: A token was not found, and the history since it was given out is not whole.
        """
        table = self._table() if tokens else None
        return {} if table is None else TableHistory(table, self._name).landed(consumer, tokens)

    def close(self) -> None:
        """Give back the catalog's connections."""
        with self._opening:
            close = getattr(self._opened, "close", None)
            if close is not None:
                close()
            self._opened = None

    def _commit(self, batch: OpenItems, found: Found) -> Settled | None:
        """Append, again while others commit at the same time; None if the token is there."""
        from pyiceberg.exceptions import CommitFailedException

        conflicts = failures = 0
        while True:
            table = self._table()
            if table and TableHistory(table, self._name).landed(batch.consumer, [batch.token]):
                return None
            try:
                return self._append(table or self._create(found), batch, found)
            except StocktakeError:
                raise
            except CommitFailedException as error:
                conflicts += 1
                if conflicts == _CONFLICTS_MAX:
                    raise self._refused("the table refuses the batch", error) from error
            except Exception as error:
                # boundary: catalogs of many kinds behind one door, each with its own exceptions.
                # The commit may have landed all the same; the next look at the history tells
                failures += 1
                if failures == _FAILURES_MAX:
                    raise self._refused("the table refuses the batch", error) from error
            self._clock.sleep(min(_WAIT_S_MAX, _WAIT_S * 2 ** (conflicts + failures)))

    def _append(self, table: Table, batch: OpenItems, found: Found) -> Settled:
        known = _plain_schema(table.schema().as_arrow())
        settled = settle(found.rows, known, f"the table `{self._name}`", adapt=lake_type)
        seqs = found.seqs - {item.seq for item, _ in settled.failures}
        if not seqs:
            return settled
        properties = labels(batch, seqs)
        # PyIceberg would try again by itself on whatever the table has become, without a look at
        # the history. Only this object is told not to; the table's own property stays
        table.metadata.properties[_RETRIES] = "0"
        with table.transaction() as transaction:
            if len(settled.rows.schema) > len(known):
                with transaction.update_schema() as update:
                    update.union_by_name(settled.rows.schema)
            transaction.set_properties(remembering(table, batch, seqs, self._clock.now()))
            transaction.append(settled.rows, snapshot_properties=properties)
            reached("sink.rows-inserted")
        return settled

    def _create(self, found: Found) -> Table:
        """The table, made by whoever is first; fails like a commit if two collide."""
        from pyiceberg.exceptions import CommitFailedException

        rows = settle(found.rows, None, f"the table `{self._name}`", adapt=lake_type).rows
        catalog = self._catalog()
        catalog.create_namespace_if_not_exists(self._name.rpartition(".")[0])
        table = catalog.create_table_if_not_exists(
            self._name, schema=rows.schema if rows.num_columns else LINEAGE
        )
        reached("sink.table-made")
        if table.current_snapshot() is not None:
            # another worker was first, and may have loaded this very batch
            raise CommitFailedException("the table was made by another worker")
        return table

    def _table(self) -> Table | None:
        """The table as it is now; None if there is none."""
        catalog = self._catalog()
        from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

        try:
            return catalog.load_table(self._name)
        except (NoSuchTableError, NoSuchNamespaceError):
            return None
        except Exception as error:
            # boundary: catalogs of many kinds behind one door, each with its own exceptions
            raise self._refused("the table cannot be read", error) from error

    def _catalog(self) -> IcebergCatalog:
        with self._opening:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> IcebergCatalog:
        try:
            from pyiceberg.catalog import load_catalog
            from pyiceberg.exceptions import NotInstalledError
        except ImportError as error:
            raise MissingExtraError(
                "Iceberg support is not installed",
                hint="pip install 'stocktake[iceberg]'",
                extra="iceberg",
            ) from error
        rest = dict(self._properties)
        name = rest.pop("name", DEFAULT_NAME)
        number = 0
        while True:
            number += 1
            try:
                return load_catalog(name, **rest)
            except NotInstalledError as error:
                raise MissingExtraError(f"the Iceberg catalog needs more: {error}") from error
            except Exception as error:
                # boundary: catalogs of many kinds behind one door, each with its own exceptions.
                # Those in a database make their tables when first opened, and two at once collide
                if number == _FAILURES_MAX:
                    raise self._refused("the catalog cannot be opened", error) from error
            self._clock.sleep(_WAIT_S)

    def _refused(self, what: str, error: Exception) -> SinkError:
        cause = " ".join(str(error).split()) or type(error).__name__
        return SinkError(
            f"Iceberg table `{self._name}`: {what}: {cause}",
            table=self._name,
            cause=type(error).__name__,
        )


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.remove_metadata() for field in schema])
