"""Objects that may be copies of one another, graded by how sure that is.

Grouping ten million ETags takes more memory than an engine may have here. So a first pass looks at
64-bit hashes alone, and only what shares its hash with something is grouped.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa

from stocktake.catalog._catalog import Catalog
from stocktake.catalog._query import Keyset, Origin, Page, PageRequest, SortKey, fetch, page_of
from stocktake.catalog._query_groups import counted_table
from stocktake.catalog._query_view import value
from stocktake.catalog._snapshots import Snapshot
from stocktake.catalog.engines._protocol import QueryLimits

DUPLICATES: pa.Schema = pa.schema(
    [
        pa.field("evidence", pa.string()),
        pa.field("size_bytes", pa.int64()),
        pa.field("copies", pa.int64()),
        pa.field("wasted_bytes", pa.int64()),
        pa.field("etag", pa.string()),
        pa.field("name", pa.string()),
        pa.field("keys", pa.list_(pa.string())),
    ]
)
"""Rows of `find_duplicates`: `size_bytes` is that of one copy, `wasted_bytes` that of all but one,
`name` the last name of the maybe ones, `keys` the first ten in key order."""

_EXAMPLES = 10
_HASHES_PER_PASS = 16_000_000
_CANDIDATES_MAX = 500_000
_BASE_NAME = "parse_filename(key, false, 'forward_slash')"
_TIMEOUT_S = 3_600.0


class Evidence(StrEnum):
    """How sure it is that objects are copies of one another.

    strong: same size and same ETag of one part, which is the MD5 of the bytes unless KMS or a
    customer's key encrypted them. likely: same size and same multipart ETag (or one that is no
    MD5). maybe: same size and last name, where there is no ETag.
    """

    STRONG = "strong"
    LIKELY = "likely"
    MAYBE = "maybe"


ALL_EVIDENCE = tuple(Evidence)


def find_duplicates(
    catalog: Catalog,
    snapshot: Snapshot,
    prefix: str = "",
    *,
    evidence: Sequence[Evidence] = ALL_EVIDENCE,
    size_bytes_min: int = 1,
    page: PageRequest = PageRequest(),
) -> Page:
    """Groups of current objects that may be copies of one another, most wasted bytes first.

    Rows of `DUPLICATES`. Empty objects are never duplicates. Memory: 128 MB for the hashes, and the
    engine's limit; it spills if very many objects have copies. Every page costs a pass.
    """
    grades = sorted({str(grade) for grade in evidence})
    keyset = Keyset(_ORDER, "duplicates", snapshot.id, prefix, grades, size_bytes_min)
    origin = Origin.of(snapshot)
    if "size_bytes" not in snapshot.manifest.header.columns:
        return Page(DUPLICATES.empty_table(), origin)
    graded, parameters = _graded(snapshot, prefix, max(size_bytes_min, 1))
    shared = _shared_hashes(catalog, snapshot, graded, parameters)
    if len(shared) == 0:
        return Page(DUPLICATES.empty_table(), origin)
    if len(shared) <= _CANDIDATES_MAX:
        graded = f"(SELECT * FROM {graded} WHERE mark IN (SELECT unnest(CAST(? AS UBIGINT[]))))"
        parameters = [*parameters, shared.tolist()]
    table = _groups(catalog, (graded, parameters), grades, keyset, page)
    return page_of(table, keyset, page, origin)


_ORDER = (
    SortKey("wasted_bytes", descending=True),
    SortKey("size_bytes", descending=True),
    SortKey("etag", nullable=True),
    SortKey("name", nullable=True),
    SortKey("evidence"),
)


def _graded(snapshot: Snapshot, prefix: str, size_bytes_min: int) -> tuple[str, list[Any]]:
    """A table expression (key, size_bytes, etag, name, evidence, mark) and its parameters.

    An encryption that is not known is taken for one that keeps ETags MD5s.
    """
    manifest = snapshot.manifest
    source, parameters = counted_table(snapshot, prefix, versions=False)
    status = "extra_encryption_status"
    encryption = status if status in manifest.header.columns else "CAST(NULL AS VARCHAR)"
    graded = f"""(
        SELECT *, hash(size_bytes, coalesce(etag, name)) AS mark,
            CASE WHEN etag IS NULL THEN 'maybe'
            WHEN length(etag) = 32 AND NOT contains(etag, '-') AND coalesce(upper(encryption), '')
                IN ('', 'NOT-SSE', 'SSE-S3', 'AES256') THEN 'strong'
            ELSE 'likely' END AS evidence
        FROM (SELECT key, size_bytes, {encryption} AS encryption,
                {value(manifest, "etag")} AS etag,
                CASE WHEN {value(manifest, "etag")} IS NULL THEN {_BASE_NAME} END AS name
            FROM {source} WHERE size_bytes >= ?))"""
    return graded, [*parameters, size_bytes_min]


def _shared_hashes(
    catalog: Catalog, snapshot: Snapshot, graded: str, parameters: list[Any]
) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Hashes that more than one row has, sorted."""
    rows = snapshot.manifest.stats.rows
    passes = -(-rows // _HASHES_PER_PASS)
    limits = QueryLimits(rows_max=rows, timeout_s=_TIMEOUT_S)
    shared = [np.empty(0, np.uint64)]
    for number in range(passes):
        statement = f"SELECT mark FROM {graded} WHERE mark % {passes} = {number}"
        batches = catalog.engine.query(statement, parameters, limits)
        hashes = np.concatenate(
            [np.empty(0, np.uint64), *(batch.column(0).to_numpy() for batch in batches)]
        )
        hashes.sort()
        shared.append(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]))
    return np.concatenate(shared)


def _groups(
    catalog: Catalog,
    graded: tuple[str, list[Any]],
    grades: list[str],
    keyset: Keyset,
    page: PageRequest,
) -> pa.Table:
    after, after_parameters = keyset.after(page.cursor)
    statement = f"""
        WITH graded AS MATERIALIZED (
            SELECT * FROM {graded[0]} WHERE list_contains(?, evidence)),
        wanted AS (
            SELECT * FROM (
                SELECT evidence, size_bytes, count(*) AS copies,
                    CAST((count(*) - 1) * size_bytes AS BIGINT) AS wasted_bytes, etag, name
                FROM graded GROUP BY evidence, size_bytes, etag, name HAVING count(*) > 1)
            WHERE {after} ORDER BY {keyset.order_by} LIMIT {page.rows_max + 1})
        SELECT * FROM (
            SELECT wanted.evidence, wanted.size_bytes, copies, wasted_bytes, wanted.etag,
                wanted.name, min(graded.key, {_EXAMPLES}) AS keys
            FROM wanted JOIN graded ON wanted.size_bytes = graded.size_bytes
                AND wanted.evidence = graded.evidence
                AND wanted.etag IS NOT DISTINCT FROM graded.etag
                AND wanted.name IS NOT DISTINCT FROM graded.name
            GROUP BY ALL)
        ORDER BY {keyset.order_by}"""
    parameters = [*graded[1], grades, *after_parameters]
    limits = QueryLimits(timeout_s=_TIMEOUT_S)
    return fetch(catalog, statement, parameters, limits=limits).cast(DUPLICATES)
