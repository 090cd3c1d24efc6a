"""Which files are tables, by their names."""

from __future__ import annotations

from stocktake.convert._plan import TableKind

_KINDS = {
    ".csv": TableKind.CSV,
    ".tsv": TableKind.TSV,
    ".tab": TableKind.TSV,
    ".json": TableKind.JSON,
    ".jsonl": TableKind.JSONL,
    ".ndjson": TableKind.JSONL,
    ".xml": TableKind.XML,
}


def table_kind(name: str) -> TableKind | None:
    """The kind of table that a file of this name holds; None: it goes as it is.

    Upper and lower case are the same. Of a path the last part counts.
    """
    last = name.rsplit("/", 1)[-1]
    stem, dot, extension = last.rpartition(".")
    return _KINDS.get(dot + extension.lower()) if stem else None
