"""The table of paths: exact, and small."""

from __future__ import annotations

import random

from stocktake.unpack._twins import UNREAD, Twins


def test_table_says_what_a_dict_says() -> None:
    twins, model = Twins(), {}
    draw = random.Random(7)
    for _ in range(20_000):
        path = f"folder/{draw.randrange(9_000)}"
        hashed, before = twins.add(path)
        assert before == model.get(path, (None,))[-1]
        if before is None:
            model[path] = (UNREAD,)
            if draw.random() < 0.5:
                digest = draw.randbytes(8)
                twins.note(hashed, digest)
                model[path] = (digest,)


def test_a_million_paths_take_16_bytes_and_some() -> None:
    twins = Twins()
    for number in range(100_000):
        twins.add(str(number))
    assert len(twins._table) <= 100_000 * 42


def test_content_hash_differs_by_path_and_by_walk() -> None:
    first, second = Twins(), Twins()
    digests = {
        twins.content_hash(path).digest() for twins in (first, second) for path in ("a", "b")
    }
    assert len(digests) == 4
