"""Settles how a report encodes its keys, by asking the bucket which reading exists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from stocktake.errors import AccessDeniedError, ObjectNotFoundError
from stocktake.inventory._options import KeyEncoding
from stocktake.store import Store

PROBES_MAX = 3


@dataclass(frozen=True, slots=True)
class KeyEncodingVerdict:
    """What the bucket says about `+` in a report's keys.

    Attributes:
        encoding: `form` or `percent`; `auto` if it stays open, then `form` is read.
        probed: The raw keys that were looked up.
        reason: Why, for people.
    """

    encoding: KeyEncoding
    probed: tuple[str, ...]
    reason: str


def is_ambiguous(plus_keys: int, percent20_keys: int) -> bool:
    """True if a report shows both `%20` and a bare `+`: one of the two is not a space."""
    return plus_keys > 0 and percent20_keys > 0


def settle_key_encoding(store: Store, bucket: str, samples: Iterable[str]) -> KeyEncodingVerdict:
    """Look up to 3 raw keys with a bare `+` up in both readings (two HEADs each).

    The first key that exists in exactly one reading decides; keep the answer with the
    configuration. The bucket is asked as it is now, so keys deleted since decide nothing.

    Args:
        store: Where the source bucket is.
        bucket: The source bucket.
        samples: Raw keys as the report writes them.
    """
    probed: list[str] = []
    try:
        for raw in samples:
            form, percent = _read(raw.replace("+", " ")), _read(raw)
            if "+" not in raw or form is None or percent is None:
                continue
            if len(probed) == PROBES_MAX:
                break
            probed.append(raw)
            found_form, found_percent = (_exists(store, bucket, key) for key in (form, percent))
            if found_form != found_percent:
                settled = KeyEncoding.FORM if found_form else KeyEncoding.PERCENT
                return KeyEncodingVerdict(settled, tuple(probed), f"`{raw}` exists only so")
    except AccessDeniedError as refusal:
        return KeyEncodingVerdict(KeyEncoding.AUTO, tuple(probed), refusal.message)
    return KeyEncodingVerdict(KeyEncoding.AUTO, tuple(probed), "no key exists in one reading only")


def _read(encoded: str) -> str | None:
    try:
        return unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        return None


def _exists(store: Store, bucket: str, key: str) -> bool:
    try:
        store.head(bucket, key)
    except ObjectNotFoundError:
        return False
    return True
