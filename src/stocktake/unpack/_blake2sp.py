"""BLAKE2sp: eight BLAKE2s side by side, each of every eighth 64 bytes. RAR 5 may use it.

https://www.blake2.net/blake2.pdf, section 2.10
"""

from __future__ import annotations

import hashlib

import numpy as np

_LEAVES = 8
_STRIPE_BYTES = 64
_ROW_BYTES = _LEAVES * _STRIPE_BYTES


class Blake2sp:
    """A hash to feed pieces to."""

    def __init__(self) -> None:
        self._leaves = [
            hashlib.blake2s(
                digest_size=32,
                fanout=_LEAVES,
                depth=2,
                inner_size=32,
                node_offset=leaf,
                last_node=leaf == _LEAVES - 1,
            )
            for leaf in range(_LEAVES)
        ]
        self._rest = b""

    def update(self, data: bytes) -> None:
        """The next bytes."""
        data = self._rest + data
        whole = len(data) // _ROW_BYTES * _ROW_BYTES
        self._rest = data[whole:]
        if whole:
            rows = np.frombuffer(data, np.uint8, whole).reshape(-1, _LEAVES, _STRIPE_BYTES)
            for leaf, hashed in enumerate(self._leaves):
                hashed.update(rows[:, leaf].tobytes())

    def digest(self) -> bytes:
        """Of everything so far; ends the hash."""
        for leaf, hashed in enumerate(self._leaves):
            hashed.update(self._rest[leaf * _STRIPE_BYTES : (leaf + 1) * _STRIPE_BYTES])
        self._rest = b""
        root = hashlib.blake2s(
            digest_size=32, fanout=_LEAVES, depth=2, inner_size=32, node_depth=1, last_node=True
        )
        for hashed in self._leaves:
            root.update(hashed.digest())
        return root.digest()
