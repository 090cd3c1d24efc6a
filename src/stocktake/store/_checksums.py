"""CRC64NVME, the checksum that S3 keeps for whole objects, also for those made of parts.

It runs at 7 GB/s where MD5 runs at 0.3, and the sum of a whole follows from those of its parts.
"""

from __future__ import annotations

import functools
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

from stocktake.errors import MissingExtraError

Buffer = bytes | bytearray | memoryview


def crc64nvme(data: Buffer, previous: int = 0) -> int:
    """The checksum of `data`, going on from that of what came before it.

    Raises:
        MissingExtraError: awscrt is not installed.
    """
    return int(_functions()[0](data, previous))


def combine_crc64nvme(first: int, second: int, second_bytes: int) -> int:
    """The checksum of two pieces from theirs; `second_bytes` is how long the second one is.

    Raises:
        MissingExtraError: awscrt is not installed.
    """
    return int(_functions()[1](first, second, second_bytes))


def encode_crc64nvme(value: int) -> str:
    """As headers carry it: Base64 of eight bytes, the highest first.

    >>> encode_crc64nvme(1)
    'AAAAAAAAAAE='
    """
    return b64encode(value.to_bytes(8, "big")).decode()


def decode_crc64nvme(text: str) -> int:
    """The number in a header.

    >>> decode_crc64nvme("AAAAAAAAAAE=")
    1

    Raises:
        ValueError: It is not Base64 of eight bytes.
    """
    data = b64decode(text, validate=True)
    if len(data) != 8:
        raise ValueError(f"`{text}` is not a checksum of 64 bits")
    return int.from_bytes(data, "big")


@functools.cache
def _functions() -> tuple[Callable[..., Any], Callable[..., Any]]:
    try:
        from awscrt.checksums import combine_crc64nvme, crc64nvme
    except ImportError as error:
        raise MissingExtraError(
            "CRC64NVME checksums need a recent awscrt",
            hint="pip install 'stocktake[ship]'",
        ) from error
    return crc64nvme, combine_crc64nvme
