"""Which snapshot and prefix a command is about, and how an answer says where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stocktake.catalog import Catalog, Snapshot, find_snapshot, snapshot_json, use_snapshot
from stocktake.cli._output import Output
from stocktake.cli._run import Run
from stocktake.cli._text import time_text
from stocktake.model import S3Url, SourceKind

_KINDS = {SourceKind.AWS_INVENTORY.value: "inventory"}


@dataclass(frozen=True, slots=True)
class Place:
    """A prefix in a snapshot that is kept from deletion while it is being read."""

    catalog: Catalog
    snapshot: Snapshot
    prefix: str


@contextmanager
def open_place(run: Run, target: str, reference: str) -> Iterator[Place]:
    """Open the catalog and the snapshot that a command line means.

    Args:
        run: The run.
        target: `s3://bucket/prefix`, or a prefix alone.
        reference: What people call the snapshot.

    Raises:
        CatalogError: No catalog, no such snapshot, or several sources to choose from.
    """
    bucket, prefix = split_target(target)
    with run.open_catalog() as catalog:
        found = find_snapshot(catalog, reference, source=bucket)
        with use_snapshot(catalog, found) as snapshot:
            yield Place(catalog, snapshot, prefix)


def split_target(target: str) -> tuple[str | None, str]:
    """Bucket (None if not named) and prefix of a target. The prefix is taken literally."""
    if not target.startswith("s3://"):
        return None, target
    url = S3Url.parse(target)
    return url.bucket, url.key


def folder_prefix(prefix: str) -> str:
    """The prefix as the folder it means: `photos` and `photos/` are the same folder."""
    return prefix if not prefix or prefix.endswith("/") else f"{prefix}/"


def about(snapshot: Snapshot) -> dict[str, Any]:
    """What every JSON answer says of its snapshot: source, age, coverage."""
    coverage = snapshot.coverage
    return {
        **snapshot_json(snapshot),
        "bucket": snapshot.bucket,
        "coverage": {"prefix": coverage.prefix, "versions": coverage.versions},
    }


def show_source(out: Output, snapshot: Snapshot) -> None:
    """The lines below every answer: how old it is and where it comes from."""
    out.note(f"as of {time_text(snapshot.as_of)} UTC, {source_text(snapshot)}")
    out.note(f"snapshot {snapshot.id}")


def source_text(snapshot: Snapshot) -> str:
    """`inventory daily of photos`, `listing of s3://photos/2026/`."""
    if snapshot.kind == SourceKind.LIST.value:
        return f"listing of {S3Url(snapshot.bucket, snapshot.coverage.prefix or '')}"
    kind = _KINDS.get(snapshot.kind, snapshot.kind)
    return f"{kind} {snapshot.config_id} of {snapshot.bucket}"
