"""What an object of ours says about itself: the token that proves it, and where it came from.

User metadata of S3 is ASCII in headers, at most 2,048 bytes with its names; values are
percent-encoded, and a path too long for that is left out (the ledger and the manifest have it).
"""

from __future__ import annotations

from urllib.parse import quote, quote_from_bytes

from stocktake import __version__
from stocktake.ship._records import Identity, SourceJob
from stocktake.store import SHA256_NAME, TOKEN_NAME

SIZE = "stocktake-size"
ENTRY = "stocktake-entry"

_TEXT_BYTES_MAX = 760
"""Of an encoded path: two of them and the rest stay below 2,048 bytes."""

_SAFE = "/ ._-+=@()[]{}~,:;!"


def object_metadata(
    job: SourceJob, sha256: str, *, token: str, ship_id: str, entry: str | None = None
) -> dict[str, str]:
    """The user metadata of one object of a source; `sha256` is the source file's."""
    identity: Identity = job.identity
    values = {
        TOKEN_NAME: token,
        "stocktake-ship": ship_id,
        SHA256_NAME: sha256,
        SIZE: str(identity.size_bytes),
        "stocktake-mtime": str(identity.mtime_ns),
        "stocktake-version": __version__,
    }
    path = quote_from_bytes(job.path, safe=_SAFE)
    if len(path) <= _TEXT_BYTES_MAX:
        values["stocktake-source"] = path.strip()
    if entry is not None:
        inside = quote(entry, safe=_SAFE, errors="surrogateescape").strip()
        values[ENTRY] = inside if len(inside) <= _TEXT_BYTES_MAX else "-"
    return values
