"""Are two rows of the same size the same bytes? By columns, for whole batches at once.

What counts, in this order: equal SHA-256 or MD5 prove, different ones disprove; an ETag is an MD5
only without `-N` and if the object is known not to be encrypted by KMS or the customer; an equal
ETag of an equal size proves; a different one disproves only of the very same object, which was then
written anew. Anything else says nothing.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from stocktake.reconcile._side_rows import surely

_PLAIN_ENCRYPTIONS = pa.array(["", "NOT-SSE", "SSE-S3", "AES256"])
_MD5 = "^[0-9a-f]{32}$"

SAME, DIFFERENT, UNKNOWN = 1, 0, -1


def verdicts(
    should: pa.RecordBatch, have: pa.RecordBatch, *, same_objects: bool, trust_etags: bool
) -> pa.Int8Array:
    """For each pair of rows SAME, DIFFERENT or UNKNOWN.

    Args:
        should: Rows of `SIDE_ROW`.
        have: Their counterparts, row by row.
        same_objects: Both sides speak of the same objects in the same bucket.
        trust_etags: ETags without `-N` are MD5s, whatever is known of the encryption.
    """
    etag_a, etag_b = should.column("etag"), have.column("etag")
    etags_equal = pc.equal(etag_a, etag_b)
    if pc.all(surely(etags_equal), min_count=0).as_py():
        return pa.repeat(pa.scalar(SAME, pa.int8()), should.num_rows)
    by_sha = _by_equality(pc.equal(should.column("sha256"), have.column("sha256")))
    by_md5 = _by_equality(
        pc.equal(_md5_of(should, trust_etags=trust_etags), _md5_of(have, trust_etags=trust_etags))
    )
    # an ETag that is the other's MD5 is one, whatever is known of the encryption
    crossed = pc.or_(
        surely(pc.equal(should.column("md5"), etag_b)),
        surely(pc.equal(should.column("etag"), have.column("md5"))),
    )
    by_cross = pc.if_else(crossed, pa.scalar(SAME, pa.int8()), pa.scalar(None, pa.int8()))
    other = DIFFERENT if same_objects else None
    by_etag = pc.if_else(etags_equal, pa.scalar(SAME, pa.int8()), pa.scalar(other, pa.int8()))
    return pc.coalesce(by_sha, by_md5, by_cross, by_etag, pa.scalar(UNKNOWN, pa.int8()))


def _by_equality(equal: pa.BooleanArray) -> pa.Int8Array:
    return pc.if_else(equal, pa.scalar(SAME, pa.int8()), pa.scalar(DIFFERENT, pa.int8()))


def _md5_of(rows: pa.RecordBatch, *, trust_etags: bool) -> pa.StringArray:
    """The MD5 of the bytes where it is known, else NULL."""
    etag, encryption = rows.column("etag"), rows.column("encryption")
    is_md5 = surely(pc.match_substring_regex(etag, _MD5))
    if not trust_etags:
        plain = pc.is_in(pc.utf8_upper(encryption), value_set=_PLAIN_ENCRYPTIONS)
        is_md5 = pc.and_(is_md5, pc.and_(plain, pc.is_valid(encryption)))
    return pc.coalesce(rows.column("md5"), pc.if_else(is_md5, etag, pa.scalar(None, pa.string())))


def why_unknown(etag_a: str | None, etag_b: str | None) -> str:
    """Why two rows cannot be compared by checksum, as a short phrase that groups them."""
    if etag_a is None and etag_b is None:
        return "neither side has a checksum"
    if any(one is not None and "-" in one for one in (etag_a, etag_b)):
        return "the ETag of a multipart upload is not a checksum of the bytes"
    if etag_a is None or etag_b is None:
        return "only one side has a checksum"
    return "the ETags may be those of encrypted objects"
