"""Everything a large file is known by, in one reading: SHA-256, CRC64NVME, and MD5 beside them."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from stocktake.store import crc64nvme, encode_crc64nvme

_AHEAD = 4
"""Pieces that may wait for the MD5, which takes twice as long as the rest."""


class PlainDigests:
    """Takes a file's bytes in order. Use it as a context manager.

    Args:
        with_crc: The store compares CRC64NVME; without it there is none.
    """

    def __init__(self, *, with_crc: bool) -> None:
        self._with_crc = with_crc
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc = 0
        self._waiting: deque[Future[None]] = deque()
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="md5")

    def update(self, piece: memoryview) -> None:
        """The next bytes; they are looked at until four more pieces have come."""
        while len(self._waiting) >= _AHEAD:
            self._waiting.popleft().result()
        self._waiting.append(self._beside.submit(self._md5.update, piece))
        self._sha256.update(piece)
        if self._with_crc:
            self._crc = crc64nvme(piece, self._crc)

    def results(self) -> tuple[str, dict[str, str]]:
        """The SHA-256, and what sweep 2 compares with: `md5`, and `crc64nvme` if there is one."""
        while self._waiting:
            self._waiting.popleft().result()
        told = {"md5": self._md5.hexdigest()}
        if self._with_crc:
            told["crc64nvme"] = encode_crc64nvme(self._crc)
        return self._sha256.hexdigest(), told

    def __enter__(self) -> PlainDigests:
        return self

    def __exit__(self, *exc: object) -> None:
        while self._waiting:
            self._waiting.popleft().exception()
        self._beside.shutdown()
