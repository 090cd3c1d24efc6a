"""Which datasets a command is about, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stocktake.errors import UsageError
from stocktake.manifests import Dataset, DatasetInfo, list_datasets, open_dataset
from stocktake.model import S3Url, display_key
from stocktake.state import State


def chosen(state: State, ids: Sequence[str], *, every: bool) -> list[Dataset]:
    """The datasets of these ids, or all; in the order given, none twice.

    Raises:
        UsageError: Neither ids nor all, or both.
        DatasetNotFoundError: One is not there; nothing was begun.
    """
    if bool(ids) == every:
        raise UsageError(
            "name datasets, or --all" if not ids else "ids and --all contradict each other",
            hint="see the datasets there are: stocktake manifest list",
        )
    if every:
        return [Dataset(state, one.id) for one in list_datasets(state)]
    return [open_dataset(state, one) for one in dict.fromkeys(ids)]


def info_json(info: DatasetInfo) -> dict[str, Any]:
    """A dataset in an answer."""
    return {
        "id": info.id,
        "title": info.title,
        "bucket": info.bucket,
        "prefix": info.prefix,
        "version": info.version,
        "total_files": info.total_files,
        "total_size_bytes": info.total_size_bytes,
        "created_at": info.created_at,
        "last_synced": info.last_synced,
    }


def place_of(info: DatasetInfo) -> str:
    """Its address, for people."""
    return display_key(str(S3Url(info.bucket, info.prefix)))


def heading(info: DatasetInfo) -> str:
    """Id and title, for people."""
    return info.id if info.title == info.id else f"{info.id}  {info.title}"
