"""Sorted key sets of the shapes that break listers: for simulations, page servers and benchmarks.

Each shape defeats one way of cutting a bucket into ranges: names without folders, names that grow
at the end, one folder that holds nearly everything, characters that are not ASCII.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

_START = datetime(2025, 11, 1, tzinfo=UTC)
_DAYS = 365
_YEAR_S = _DAYS * 86_400
_ACCOUNTS = 24
_REGIONS = ("eu-central-1", "us-east-1", "ap-southeast-2", "eu-west-1", "us-west-2", "sa-east-1")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# scripts of one to four bytes per character; emoji sort behind private use, unlike in UTF-16
_ALPHABETS = (
    "abcdefghijklmnopqrstuvwxyz",
    "äöüßéèñçøå",
    "αβγδεζηθικλμνξοπρστυφχψω",
    "абвгдежзийклмнопрстуфхцчшщэюя",
    "अआइईउऊएऐओऔकखगघचछजझटठडढ",
    "日本語写真旅行東京大阪山川海空花鳥風月春夏秋冬",
    "가나다라마바사아자차카타파하",
    "\uff21\uff22\uff5a",
    "😀😎🚀🌍🎉🐍📷🏔",
)


def key_shape(name: str, count: int, seed: int = 0) -> list[str]:
    """That many distinct keys of a shape, in UTF-8 byte order; the same for the same arguments.

    Args:
        name: One of `KEY_SHAPES`.
        count: How many keys. They are all in memory: about 100 MB for each million.
        seed: Chooses among sets of the same shape.

    Raises:
        KeyError: There is no such shape.
    """
    make = _MAKERS[name]
    random = Random(f"{name} {seed}")
    keys: set[str] = set()
    while len(keys) < count:  # few rounds: what is missing are chance doubles
        keys.update(make(random, count - len(keys), len(keys)))
    return sorted(keys)  # code-point order is UTF-8 byte order


def _flat_hex(random: Random, count: int, start: int) -> list[str]:
    return [f"{random.getrandbits(128):032x}" for _ in range(count)]


def _flat_sequential(random: Random, count: int, start: int) -> list[str]:
    return [f"scan-{number:010d}.tif" for number in range(start, start + count)]


def _flat_timestamps(random: Random, count: int, start: int) -> list[str]:
    instants = (_START + timedelta(seconds=random.random() * _YEAR_S) for _ in range(count))
    return [f"{when:%Y-%m-%dT%H-%M-%S.%f}Z.json" for when in instants]


def _cloudtrail(random: Random, count: int, start: int) -> list[str]:
    """60 % in one account, each account in a few regions, a folder for each day."""
    accounts = [f"{100_000_000_000 + 37_000_000_019 * n}" for n in range(_ACCOUNTS)]
    hot = accounts[_ACCOUNTS // 3]
    days = [f"{_START + timedelta(days=day):%Y/%m/%d}" for day in range(_DAYS)]
    keys = []
    for _ in range(count):
        account = hot if random.random() < 0.6 else accounts[int(random.random() * _ACCOUNTS)]
        region = _REGIONS[int(random.random() ** 2 * len(_REGIONS))]
        day = days[int(random.random() * _DAYS)]
        minute = int(random.random() * 288) * 5
        stamp = f"{day.replace('/', '')}T{minute // 60:02d}{minute % 60:02d}Z"
        tail = "".join(random.choices(_DIGITS, k=16))
        keys.append(
            f"AWSLogs/{account}/CloudTrail/{region}/{day}/"
            f"{account}_CloudTrail_{region}_{stamp}_{tail}.json.gz"
        )
    return keys


def _one_dir_90(random: Random, count: int, start: int) -> list[str]:
    """90 % directly in one folder of three hundred."""
    keys = []
    for _ in range(count):
        folder = 170 if random.random() < 0.9 else int(random.random() * 300)
        keys.append(f"sets/{folder:03d}/{random.getrandbits(48):012x}.bin")
    return keys


def _unicode(random: Random, count: int, start: int) -> list[str]:
    keys = []
    for _ in range(count):
        letters = _ALPHABETS[int(random.random() * len(_ALPHABETS))]
        word = "".join(random.choices(letters, k=4))
        keys.append(f"{word} {int(random.random() * 100_000_000)}.jpg")
    return keys


_MAKERS: dict[str, Callable[[Random, int, int], list[str]]] = {
    "flat-hex": _flat_hex,
    "flat-sequential": _flat_sequential,
    "flat-timestamps": _flat_timestamps,
    "cloudtrail": _cloudtrail,
    "one-dir-90": _one_dir_90,
    "unicode": _unicode,
}

KEY_SHAPES: tuple[str, ...] = tuple(_MAKERS)
"""The names of the shapes."""
