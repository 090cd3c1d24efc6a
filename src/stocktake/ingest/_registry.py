"""The rows of ingestions: made, found, paused, deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from stocktake.catalog import Catalog
from stocktake.clock import format_utc, parse_utc
from stocktake.errors import IngestError, IngestionExistsError, IngestionNotFoundError
from stocktake.ingest._change import ChangeFeed
from stocktake.ingest._ledger import (
    ACTIVE,
    PAUSED,
    STARTING,
    Consumer,
    claims_of,
    is_abandoned,
    locked,
    looked_at,
)
from stocktake.ingest._spec import IngestionSpec
from stocktake.ingest._spec_json import check_spec, spec_from_json, spec_to_json
from stocktake.model import new_id
from stocktake.state import ingest_claims, ingest_commits, ingest_items, ingestions


@dataclass(frozen=True, slots=True)
class IngestionRow:
    """One ingestion as the control database has it.

    Attributes:
        id: Its id.
        spec: What its creator decided.
        feed_id: The feed it reads.
        state: `starting` (its first discovery decides where it begins), `active` or `paused`.
        low_seq: Everything up to this number is settled.
        start_seq: Numbers up to this one were there before it.
        created_at: When it was made.
    """

    id: str
    spec: IngestionSpec
    feed_id: str
    state: str
    low_seq: int
    start_seq: int
    created_at: datetime


def add_ingestion(catalog: Catalog, spec: IngestionSpec, feed_id: str) -> IngestionRow:
    """A new ingestion.

    With `include_existing=False` it is `starting`: what it leaves out is everything that its feed
    holds when the first discovery that it makes has ended.

    Raises:
        InvalidSettingError: The specification cannot work.
        IngestionExistsError: The name is taken.
    """
    check_spec(spec)
    new = IngestionRow(
        id=new_id("ing", catalog.clock),
        spec=spec,
        feed_id=feed_id,
        state=ACTIVE if spec.include_existing else STARTING,
        low_seq=0,
        start_seq=0,
        created_at=catalog.clock.now(),
    )
    try:
        with catalog.state.write() as connection:
            connection.execute(
                insert(ingestions).values(
                    id=new.id,
                    name=spec.name,
                    feed_id=feed_id,
                    spec=spec_to_json(spec),
                    state=new.state,
                    created_at=format_utc(new.created_at),
                )
            )
    except IntegrityError as error:
        raise IngestionExistsError(
            f"there is an ingestion `{spec.name}` already",
            hint="choose another name, or delete that one",
            name=spec.name,
        ) from error
    return new


def find_ingestion(catalog: Catalog, name: str) -> IngestionRow:
    """The ingestion of that name.

    Raises:
        IngestionNotFoundError: There is none; its hint names those there are.
    """
    with catalog.state.read() as connection:
        row = connection.execute(select(ingestions).where(ingestions.c.name == name)).first()
        if row is None:
            raise _not_found(connection, name)
    return _ingestion(row)


def list_ingestions(catalog: Catalog) -> list[IngestionRow]:
    """Every ingestion, by name."""
    with catalog.state.read() as connection:
        rows = connection.execute(select(ingestions)).all()
    return sorted(map(_ingestion, rows), key=lambda row: row.spec.name)


def begin_after(consumer: Consumer, feed: ChangeFeed) -> None:
    """End the start: what the feed holds now was there before, and is settled.

    Nothing happens if the start is over already.
    """
    with looked_at(consumer) as here:
        if here.state != STARTING:
            return
    last_seq = feed.last_seq()
    with locked(consumer) as here:
        if here.state == STARTING:
            here.state = ACTIVE
            here.start_seq = here.seqs.low = last_seq
            here.save()


def set_paused(consumer: Consumer, *, paused: bool) -> None:
    """Hand out no more batches, or do so again. Batches in flight may end.

    Raises:
        IngestError: It has not begun yet.
    """
    with locked(consumer) as here:
        if here.state == STARTING:
            name = consumer.spec.name
            raise IngestError(
                f"the ingestion `{name}` has not begun: its first discovery is to come", name=name
            )
        here.state = PAUSED if paused else ACTIVE
        here.save()


def delete_ingestion(catalog: Catalog, name: str, *, force: bool = False) -> None:
    """Forget an ingestion and all it knows; the feed and what was loaded stay.

    Args:
        catalog: The catalog.
        name: Its name.
        force: Although somebody works on a batch; whoever does can not commit it.

    Raises:
        IngestionNotFoundError: There is none.
        IngestError: Somebody works on a batch.
    """
    row = find_ingestion(catalog, name)
    consumer = Consumer(row.id, row.spec, catalog.state)
    with locked(consumer) as here:
        busy = [c for c in claims_of(here) if not is_abandoned(c, consumer.now())]
        if busy and not force:
            raise IngestError(
                f"`{busy[0].worker}` works on a batch of `{name}`",
                hint="pause the ingestion and let its batches end, or delete it by force",
                name=name,
            )
        for table in (ingest_claims, ingest_items, ingest_commits):
            here.connection.execute(delete(table).where(table.c.ingestion_id == row.id))
        here.connection.execute(delete(ingestions).where(ingestions.c.id == row.id))


def _ingestion(row: Row[Any]) -> IngestionRow:
    return IngestionRow(
        id=row.id,
        spec=spec_from_json(row.spec),
        feed_id=row.feed_id,
        state=row.state,
        low_seq=row.low_seq,
        start_seq=row.start_seq,
        created_at=parse_utc(row.created_at),
    )


def _not_found(connection: Connection, name: str) -> IngestionNotFoundError:
    names = sorted(connection.execute(select(ingestions.c.name)).scalars())
    hint = f"there are: {', '.join(names[:10])}" if names else "make one: stocktake ingest create"
    return IngestionNotFoundError(f"there is no ingestion `{name}`", hint=hint, name=name)
