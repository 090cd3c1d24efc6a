"""What a sink keeps about a batch: token, consumer, and the numbers that were loaded, as text."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from pyroaring import BitMap64

from stocktake.errors import SinkError
from stocktake.ingest._seqs import pack, unpack
from stocktake.ingest._sink import Landed, OpenItems

TOKEN = "stocktake.commit-token"  # noqa: S105 - a name, not a secret
CONSUMER = "stocktake.consumer"
SEQS = "stocktake.seqs"
"""Names under which Parquet files and Iceberg snapshots carry it."""

KEY_COLUMN = "_stocktake_key"
SEQ_COLUMN = "_stocktake_seq"
"""Where a row came from: columns that are added to everything read out of objects."""

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_TIMED = re.compile(f"0[{_DIGITS}]{{25}}")
_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,100}")


def encode_seqs(seqs: Iterable[int]) -> str:
    """Numbers as base64 of a 64-bit Roaring bitmap: some 40 characters if they are dense."""
    return base64.b64encode(pack(BitMap64(seqs))).decode("ascii")


def decode_seqs(text: str, where: str) -> BitMap64:
    """What `encode_seqs` made. Raises `SinkError` that names `where` if it is something else."""
    try:
        return unpack(base64.b64decode(text, validate=True))
    except (ValueError, IndexError, binascii.Error) as error:
        raise SinkError(
            f"{where} carries numbers that cannot be read: {error}", retryable=False
        ) from error


def labels(batch: OpenItems, seqs: Iterable[int]) -> dict[str, str]:
    """Token, consumer and numbers as the properties that a file or snapshot carries."""
    return {TOKEN: batch.token, CONSUMER: batch.consumer, SEQS: encode_seqs(seqs)}


def landed_of(properties: Mapping[str, str], consumer: str, where: str) -> Landed | None:
    """The batch that these properties tell of, if it is one of this consumer's."""
    token = properties.get(TOKEN)
    if token is None or properties.get(CONSUMER) != consumer:
        return None
    return Landed(token, decode_seqs(properties.get(SEQS, ""), where))


def token_time(token: str) -> datetime | None:
    """When a token was given out: its id begins with the time. None for a token of other make."""
    text = token.rpartition("_")[2]
    if not _TIMED.fullmatch(text):
        return None
    value = 0
    for character in text:
        value = value << 5 | _DIGITS.index(character)
    return datetime.fromtimestamp((value >> 80) / 1000, UTC)


def token_name(token: str) -> str:
    """The token as a part of a file name; a token of odd characters becomes its digest."""
    if _PLAIN_TOKEN.fullmatch(token):
        return token
    return hashlib.sha256(token.encode()).hexdigest()
