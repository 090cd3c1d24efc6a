"""Which control database belongs to which catalog.

The files say what the catalog's id is, and so does the database. Opened with another's database, a
catalog would look empty, and cleaning up would take every snapshot for an orphan.
"""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select

from stocktake.errors import StateError
from stocktake.model import new_id
from stocktake.state import State, properties, sources

_NAME = "catalog_id"


def bind_state(state: State, marker_id: str | None, location: str) -> str:
    """The catalog's id, after making sure that database and files agree on it.

    Args:
        state: The control database.
        marker_id: The id in the files; None while the catalog is being created.
        location: The catalog's place, for messages.

    Raises:
        StateError: The database knows another catalog, or (lost, or on another machine) none.
    """
    with state.read() as connection:
        known = _known(connection)
    if marker_id is not None:
        _check(state, known, marker_id, location)
        return marker_id
    with state.write() as connection:
        known = _known(connection)
        if known is None:
            known = new_id("cat", state.clock)
            connection.execute(insert(properties).values(name=_NAME, value=known))
        elif connection.execute(select(func.count()).select_from(sources)).scalar_one():
            raise StateError(
                f"the control database `{state.address}` already serves another catalog",
                hint="each catalog needs its own database",
                address=state.address,
                reason="other-catalog",
            )
    return known


def _known(connection: Connection) -> str | None:
    value: str | None = connection.execute(
        select(properties.c.value).where(properties.c.name == _NAME)
    ).scalar()
    return value


def _check(state: State, known: str | None, marker_id: str, location: str) -> None:
    if known == marker_id:
        return
    which = "another catalog" if known else "no catalog yet"
    raise StateError(
        f"the control database `{state.address}` belongs to {which}, not to `{location}`",
        hint="name the database that this catalog was made with: --state-url",
        address=state.address,
        reason="other-catalog",
    )
