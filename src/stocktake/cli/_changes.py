"""How a summary of changes reads."""

from __future__ import annotations

from stocktake.catalog import DiffSummary
from stocktake.cli._text import count_text, signed_size_text

KINDS = ("new", "modified", "deleted", "renamed")


def changes_line(summary: DiffSummary) -> str:
    """`12 new, 3 modified, 1 deleted, 2 renamed, +1.2 GiB`."""
    counts = ", ".join(f"{count_text(getattr(summary, kind))} {kind}" for kind in KINDS)
    line = f"{counts}, {signed_size_text(summary.bytes_delta)}"
    if summary.unconfirmed:
        line += f"; {count_text(summary.unconfirmed)} gone, but too young to be called deleted"
    return line
