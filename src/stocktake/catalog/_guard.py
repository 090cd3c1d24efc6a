"""Stops an import that looks like a mistake: an empty report, or a mass deletion.

A narrowed filter or a half-made report reads exactly like one, and what follows from a deletion
(a cleaned-up target, a purged index) cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping

from stocktake.catalog._compare import DiffSummary
from stocktake.errors import ConfirmationNeededError

DELETED_SHARE_MAX = 0.10
DELETED_MAX = 10_000
_FEED_DELETED_MIN = 100


def check_not_empty(source_name: str, part_count: int) -> None:
    """Refuse a source without any part. Raises `ConfirmationNeededError`."""
    if part_count == 0:
        raise ConfirmationNeededError(
            f"the report of {source_name} lists no files: it says the bucket is empty",
            hint="if the bucket is empty, run it again with --accept-deletions",
            source=source_name,
        )


def check_deletions(source_name: str, objects_before: int, summary: DiffSummary) -> None:
    """Refuse more than 10 % or 10,000 deletions. Raises `ConfirmationNeededError`."""
    share = summary.deleted / objects_before if objects_before else 0.0
    if share > DELETED_SHARE_MAX or summary.deleted > DELETED_MAX:
        raise ConfirmationNeededError(
            f"{summary.deleted} of {objects_before} objects of {source_name} are gone in this "
            f"report ({share:.1%})",
            hint="check the inventory's filter and configuration; if the objects were deleted on "
            "purpose, run it again with --accept-deletions (nothing is read twice)",
            source=source_name,
            deleted=summary.deleted,
            objects_before=objects_before,
        )


def check_feed_deletions(source_name: str, objects_now: int, kinds: Mapping[str, int]) -> None:
    """Refuse a listing in which more than 10 % or 10,000 of the known objects are gone.

    Fewer than 100 are never refused: a prefix that work is taken from empties all day.

    Args:
        source_name: For the message.
        objects_now: Objects listed.
        kinds: How many keys are `new`, `modified`, `deleted`.

    Raises:
        ConfirmationNeededError: It looks like a mass deletion.
    """
    deleted = kinds["deleted"]
    before = max(objects_now - kinds["new"], 0) + deleted
    if deleted < _FEED_DELETED_MIN or (
        deleted <= DELETED_MAX and deleted <= DELETED_SHARE_MAX * before
    ):
        return
    raise ConfirmationNeededError(
        f"{deleted} of {before} objects of {source_name} are gone ({deleted / before:.1%})",
        hint="check that the listing may see them; if they were deleted on purpose, run it again "
        "with --accept-deletions",
        source=source_name,
        deleted=deleted,
        objects_before=before,
    )
