"""Whether two sights of a key are the same object, and which of them is the newer: as SQL.

`n` is what is seen now, `k` what was known. Source of the rules: listings are strongly consistent,
so a listing shows every write that was complete when it began; reports are not.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from stocktake.catalog.engines._protocol import KnownObjects, Witness

# What only one side knows is no difference. A version id alone decides, but for 'null', which every
# write to an unversioned bucket has. An ETag is not a hash of the content, so the date counts too,
# by the second: headers of HEAD have no more. An event has no date, as its time is another clock.
SAME = """
    CASE WHEN n.version_id <> 'null' OR (n.version_id = 'null' AND k.version_id <> 'null')
        THEN coalesce(n.version_id = k.version_id, {content})
        ELSE {content} END
""".format(
    content="""(
        coalesce(n.size_bytes = k.size_bytes, true) AND coalesce(n.etag = k.etag, true)
        AND coalesce(date_trunc('second', n.last_modified) = date_trunc('second', k.last_modified),
            true))"""
)

_CHANGE = """
    WHEN n.key IS NULL THEN 'deleted'
    WHEN k.key IS NULL OR k.gone THEN 'new'
    ELSE 'modified'
"""


def verdict(known: KnownObjects, witness: Witness) -> tuple[str, list[Any]]:
    """The verdict of NET_CHANGE on a row of `k FULL JOIN n`, and its parameters."""
    if witness.report_margin is None:
        return _of_listing(known, witness)
    return _of_report(witness, witness.report_margin)


def _of_listing(known: KnownObjects, witness: Witness) -> tuple[str, list[Any]]:
    """A listing is right but for what was learnt after it began."""
    base_from, base_to = known.base_seen or (None, None)
    sql = f"""
        CASE WHEN {_agree()} THEN 'same'
            WHEN coalesce(k.seen_to, CAST(? AS TIMESTAMP)) > CAST(? AS TIMESTAMP) THEN
                CASE WHEN coalesce(k.seen_from, CAST(? AS TIMESTAMP)) >= CAST(? AS TIMESTAMP)
                    THEN 'carried' ELSE 'doubtful' END
            {_CHANGE} END
    """
    after = witness.finished_at + witness.skew
    return sql, [_naive(at) for at in (base_to, witness.started_at, base_from, after)]


def _of_report(witness: Witness, margin: Any) -> tuple[str, list[Any]]:
    """A report is a past, fuzzy picture: what was read after its stamp is newer than it.

    Of what was read before, the younger object is the newer one; and an absent key is deleted only
    if it was there long enough before.
    """
    sql = f"""
        CASE WHEN {_agree()} THEN 'same'
            WHEN k.seen_from >= CAST(? AS TIMESTAMP) THEN 'carried'
            WHEN n.key IS NULL AND coalesce(k.last_modified, k.seen_from) >= CAST(? AS TIMESTAMP)
                THEN 'carried'
            WHEN n.key IS NOT NULL AND coalesce(n.last_modified <
                CASE WHEN k.gone THEN k.seen_from ELSE coalesce(k.last_modified, k.seen_from) END,
                false) THEN 'carried'
            {_CHANGE} END
    """
    return sql, [_naive(witness.started_at), _naive(witness.started_at - margin)]


def _agree() -> str:
    """Both say the same object, or both say that there is none."""
    gone = "(k.key IS NULL OR k.gone)"
    return f"CASE WHEN n.key IS NULL OR {gone} THEN n.key IS NULL AND {gone} ELSE {SAME} END"


def _naive(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC).replace(tzinfo=None)
