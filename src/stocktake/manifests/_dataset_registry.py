"""The rows of datasets: made, found, named, forgotten."""

from __future__ import annotations

import difflib
import unicodedata
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, text, update

from stocktake.clock import format_utc, parse_utc
from stocktake.errors import DatasetExistsError, DatasetNotFoundError, UsageError
from stocktake.manifests._dataset_values import DatasetInfo, DatasetSpec
from stocktake.model import S3Url, display_key, escape_key, unescape_key
from stocktake.state import (
    State,
    dataset_entries,
    dataset_runs,
    dataset_uploads,
    dataset_versions,
    datasets,
    properties,
)

OWN_FOLDER = ".stocktake/"
"""Below a dataset's prefix: our own files, never part of it."""

_ID_CHARS_MAX = 128
_TITLE_CHARS_MAX = 1000
_CREATION_LOCK = 0x73746D66  # any number that nothing else locks
_ADDRESS = "dataset-base-url:"
_d = datasets.c


def check_spec(spec: DatasetSpec) -> None:
    """Refuse what cannot be a dataset.

    Raises:
        UsageError: Its id, title, bucket or prefix is not legal.
    """
    check_id(spec.id)
    if len(spec.title) > _TITLE_CHARS_MAX or not _is_text(spec.title):
        raise UsageError(f"the title of dataset `{spec.id}` is no line of text of 1,000 characters")
    S3Url.parse(f"s3://{spec.bucket}/")
    if spec.prefix and not spec.prefix.endswith("/"):
        raise UsageError(
            f"the prefix `{display_key(spec.prefix)}` of dataset `{spec.id}` does not end in `/`",
            hint="a dataset is a folder: s3://bucket/prefix/",
        )
    if f"/{OWN_FOLDER}" in f"/{spec.prefix}":
        raise UsageError(f"`{display_key(spec.prefix)}` is where stocktake keeps its own files")
    try:
        spec.prefix.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"`{display_key(spec.prefix)}` is no prefix") from error


def check_id(dataset_id: str) -> None:
    """Refuse what cannot be a dataset's id.

    Raises:
        UsageError: Empty, too long, with `/` or control characters, or with space around it.
    """
    legal = 0 < len(dataset_id) <= _ID_CHARS_MAX and "/" not in dataset_id
    if not legal or not _is_text(dataset_id) or dataset_id != dataset_id.strip():
        raise UsageError(
            f"`{display_key(dataset_id[:140])}` cannot be the id of a dataset",
            hint="1 to 128 characters, no `/`, no control characters, no space around it",
            dataset=display_key(dataset_id[:140]),
        )


def _is_text(value: str) -> bool:
    return not any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in value)


def insert_dataset(state: State, spec: DatasetSpec) -> None:
    """Make a dataset; one that is there with the same place gets its title.

    Raises:
        UsageError: The specification cannot work.
        DatasetExistsError: The id is elsewhere, or the place has another id.
    """
    check_spec(spec)
    title = spec.title or spec.id
    with state.write() as connection:
        if state.dialect == "postgresql":  # two makers of one place under two ids
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_CREATION_LOCK})"))
        row = connection.execute(select(datasets).where(_d.id == spec.id)).first()
        if row is not None:
            _check_same(row, spec)
            if title not in (spec.id, row.title):
                connection.execute(update(datasets).where(_d.id == spec.id).values(title=title))
            return
        _check_place(connection, spec)
        connection.execute(
            insert(datasets).values(
                id=spec.id,
                title=title,
                bucket=spec.bucket,
                prefix=escape_key(spec.prefix),
                created_at=format_utc(state.clock.now()),
            )
        )


def _check_same(row: Row[Any], spec: DatasetSpec) -> None:
    there = S3Url(row.bucket, unescape_key(row.prefix))
    if there != S3Url(spec.bucket, spec.prefix):
        raise DatasetExistsError(
            f"dataset `{spec.id}` is at {display_key(str(there))} already",
            hint=f"take that address, another id, or: stocktake manifest forget {spec.id}",
            dataset=spec.id,
        )


def _check_place(connection: Connection, spec: DatasetSpec) -> None:
    other = connection.scalar(
        select(_d.id).where(_d.bucket == spec.bucket, _d.prefix == escape_key(spec.prefix))
    )
    if other is not None:
        place = display_key(str(S3Url(spec.bucket, spec.prefix)))
        raise DatasetExistsError(
            f"{place} is dataset `{other}` already", hint=f"use --dataset {other}", dataset=other
        )


def read_info(connection: Connection, dataset_id: str, *, lock: bool = False) -> DatasetInfo:
    """A dataset's row, locked until the transaction ends if it is to be changed.

    Raises:
        DatasetNotFoundError: There is none; its hint names near ones.
    """
    query = select(datasets).where(_d.id == dataset_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise _not_found(connection, dataset_id)
    url = connection.scalar(
        select(properties.c.value).where(properties.c.name == _ADDRESS + dataset_id)
    )
    return _info_of(row, url)


def read_infos(state: State) -> list[DatasetInfo]:
    """Every dataset, by id."""
    with state.read() as connection:
        rows = connection.execute(select(datasets)).all()
        named = properties.c.name.startswith(_ADDRESS, autoescape=True)
        urls = {
            row.name.removeprefix(_ADDRESS): row.value
            for row in connection.execute(select(properties).where(named))
        }
    return sorted((_info_of(row, urls.get(row.id)) for row in rows), key=lambda one: one.id)


def _info_of(row: Row[Any], base_url: str | None) -> DatasetInfo:
    return DatasetInfo(
        id=row.id,
        title=row.title,
        bucket=row.bucket,
        prefix=unescape_key(row.prefix),
        created_at=parse_utc(row.created_at),
        last_synced=None if row.last_synced is None else parse_utc(row.last_synced),
        version=row.version,
        total_files=row.total_files,
        total_size_bytes=row.total_size_bytes,
        base_url=base_url,
    )


def write_base_url(state: State, dataset_id: str, base_url: str) -> None:
    """Keep where the bucket answers HTTP."""
    name = _ADDRESS + dataset_id
    with state.write() as connection:
        read_info(connection, dataset_id, lock=True)
        connection.execute(delete(properties).where(properties.c.name == name))
        connection.execute(insert(properties).values(name=name, value=base_url))


def delete_dataset(state: State, dataset_id: str) -> None:
    """Forget a dataset and everything that is known of it. Objects stay.

    Raises:
        DatasetNotFoundError: There is none.
    """
    with state.write() as connection:
        read_info(connection, dataset_id, lock=True)
        for table in (dataset_uploads, dataset_runs, dataset_entries, dataset_versions):
            connection.execute(delete(table).where(table.c.dataset_id == dataset_id))
        connection.execute(delete(datasets).where(_d.id == dataset_id))
        connection.execute(delete(properties).where(properties.c.name == _ADDRESS + dataset_id))


def _not_found(connection: Connection, dataset_id: str) -> DatasetNotFoundError:
    ids = sorted(connection.execute(select(_d.id)).scalars())
    near = difflib.get_close_matches(dataset_id, ids, n=3, cutoff=0.5) or ids[:10]
    hint = f"there is: {', '.join(near)}" if near else "make one: stocktake sync FOLDER s3://..."
    return DatasetNotFoundError(
        f"there is no dataset `{display_key(dataset_id)}`", hint=hint, dataset=dataset_id
    )
