"""Runs over a dataset (sync, verify, restore), and the multipart uploads they have under way."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import DatasetNotFoundError
from stocktake.manifests._dataset_rows import key_bytes
from stocktake.manifests._dataset_values import NotedUpload, RunInfo, RunKind
from stocktake.model import new_id
from stocktake.state import State, dataset_runs, dataset_uploads

RUNNING = "running"
_r = dataset_runs.c
_u = dataset_uploads.c


def begin_run(
    state: State, dataset_id: str, kind: RunKind, place: str | None, version: int | None
) -> str:
    """Note that a run of this process begins; gives its id."""
    run_id = new_id("run", state.clock)
    with _of_dataset(state, dataset_id) as connection:
        connection.execute(
            insert(dataset_runs).values(
                id=run_id,
                dataset_id=dataset_id,
                kind=kind.value,
                started_at=format_utc(state.clock.now()),
                owner_host=socket.gethostname(),
                owner_pid=os.getpid(),
                state=RUNNING,
                place=place,
                version=version,
            )
        )
    return run_id


@contextmanager
def _of_dataset(state: State, dataset_id: str) -> Iterator[Connection]:
    """A transaction that adds a row to a dataset, which may be forgotten at any moment."""
    try:
        with state.write() as connection:
            yield connection
    except IntegrityError as error:
        raise DatasetNotFoundError(
            f"there is no dataset `{dataset_id}`", dataset=dataset_id
        ) from error


def end_run(
    state: State, dataset_id: str, run_id: str, how: str, result: Mapping[str, Any]
) -> None:
    """Note how a run ended. A run of a dataset that was forgotten meanwhile is no matter."""
    with state.write() as connection:
        connection.execute(
            update(dataset_runs)
            .where(_r.dataset_id == dataset_id, _r.id == run_id)
            .values(state=how, result=dict(result), finished_at=format_utc(state.clock.now()))
        )


def read_runs(state: State, dataset_id: str, kind: RunKind | None, limit: int) -> list[RunInfo]:
    """The last runs, newest first."""
    query = select(dataset_runs).where(_r.dataset_id == dataset_id)
    if kind is not None:
        query = query.where(_r.kind == kind.value)
    with state.read() as connection:
        rows = connection.execute(
            query.order_by(_r.started_at.desc(), _r.id.desc()).limit(limit)
        ).all()
    return [_run_of(row) for row in rows]


def _run_of(row: Row[Any]) -> RunInfo:
    return RunInfo(
        id=row.id,
        kind=RunKind(row.kind),
        started_at=parse_utc(row.started_at),
        finished_at=None if row.finished_at is None else parse_utc(row.finished_at),
        owner_host=row.owner_host,
        owner_pid=row.owner_pid,
        state=row.state,
        place=row.place,
        version=row.version,
        result=row.result or {},
    )


def note_upload(state: State, dataset_id: str, upload: tuple[str, str, str | None, str]) -> None:
    """Keep (key, token, upload id, run id): first the intent, then again with the id."""
    s3_key, token, upload_id, run_id = upload
    key = key_bytes(s3_key)
    with _of_dataset(state, dataset_id) as connection:
        done = connection.execute(
            update(dataset_uploads)
            .where(_u.dataset_id == dataset_id, _u.s3_key == key, _u.token == token)
            .values(upload_id=upload_id, run_id=run_id)
        )
        if done.rowcount == 0:
            connection.execute(
                insert(dataset_uploads).values(
                    dataset_id=dataset_id,
                    s3_key=key,
                    token=token,
                    upload_id=upload_id,
                    run_id=run_id,
                    recorded_at=format_utc(state.clock.now()),
                )
            )


def drop_upload(state: State, dataset_id: str, s3_key: str, token: str) -> None:
    """Forget an upload that is complete or aborted."""
    with state.write() as connection:
        connection.execute(
            delete(dataset_uploads).where(
                _u.dataset_id == dataset_id, _u.s3_key == key_bytes(s3_key), _u.token == token
            )
        )


def read_uploads(state: State, dataset_id: str) -> list[NotedUpload]:
    """Every upload that is noted, by key."""
    query = select(dataset_uploads).where(_u.dataset_id == dataset_id)
    with state.read() as connection:
        rows = connection.execute(query.order_by(_u.s3_key, _u.token)).all()
    return [
        NotedUpload(
            s3_key=bytes(row.s3_key).decode(),
            token=row.token,
            upload_id=row.upload_id,
            run_id=row.run_id,
            recorded_at=parse_utc(row.recorded_at),
        )
        for row in rows
    ]
