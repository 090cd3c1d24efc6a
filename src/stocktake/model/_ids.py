"""Ids as people see them: a three-letter kind, `_`, 26 characters that sort by time (TypeID)."""

from __future__ import annotations

import secrets

from stocktake.clock import Clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(kind: str, clock: Clock) -> str:
    """A new id such as `snp_01k...`: a UUIDv7 in base 32, so ids of one kind sort by creation."""
    millis = int(clock.now().timestamp() * 1000)
    noise = secrets.randbits(74)
    value = (
        (millis << 80) | (7 << 76) | ((noise >> 62) << 64) | (2 << 62) | (noise & ((1 << 62) - 1))
    )
    digits = "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))
    return f"{kind}_{digits}"
