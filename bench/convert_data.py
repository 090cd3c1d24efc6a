"""Test files for `bench convert`, the same on every machine: no clock, no random seed but the row.

`table`: 7 columns (row number, code with leading zeros, amount with two decimals, timestamp, text,
truth value, quoted text of which 30 % are empty). `wide`: 5,000 columns. `bomb`: one value over and
over.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

ROWS_AT_ONCE = 100_000
ROWS = 2_790_000
"""Of the 210 MB file that the figures are about."""
HEADER = b"id,code,amount,created_at,city,active,remark\n"
CITIES = ["Lisbon", "Osaka", "Nairobi", "Quito", "Tallinn", "Hobart", "Winnipeg", "Ljubljana"]
WORDS = ["blue", "heavy", "fragile, tall", "returned", "urgent", "spare part", "sample", "present"]


def _mix(numbers: np.ndarray, salt: int) -> np.ndarray:
    """Evenly spread numbers that depend on the row only (splitmix64)."""
    step = np.uint64((0x9E3779B97F4A7C15 * salt) % 2**64)
    mixed = numbers.astype(np.uint64) * np.uint64(0xBF58476D1CE4E5B9) + step
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _padded(numbers: np.ndarray, width: int) -> pa.Array:
    return pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width, "0")


def table_rows(first: int, count: int) -> bytes:
    """Rows of the 7-column table."""
    rows = np.arange(first, first + count, dtype=np.int64)
    cents = (_mix(rows, 1) % 1_000_000).astype(np.int64)
    amount = pc.binary_join_element_wise(
        pc.cast(pa.array(cents // 100), pa.string()), _padded(cents % 100, 2), "."
    )
    seconds = 1_700_000_000 + rows * 7 + (_mix(rows, 2) % 5).astype(np.int64)
    created = pc.strftime(pc.cast(pa.array(seconds), pa.timestamp("s")), "%Y-%m-%d %H:%M:%S")
    cities = pa.array(CITIES).take(pa.array((_mix(rows, 3) % 8).astype(np.int64)))
    active = pc.if_else(pa.array(_mix(rows, 4) % 3 > 0), "true", "false")
    pick = [
        pa.array(WORDS).take(pa.array((_mix(rows, 5 + i) % 8).astype(np.int64))) for i in (0, 1)
    ]
    remark = pc.binary_join_element_wise(*pick, "lot no", _padded(_mix(rows, 8) % 1000, 3), " ")
    remark = pc.binary_join_element_wise('"', remark, '"', "")
    remark = pc.if_else(pa.array(_mix(rows, 7) % 10 < 3), "", remark)
    code = _padded(_mix(rows, 9) % 100_000, 5)
    ids = pc.cast(pa.array(rows), pa.string())
    lines = pc.binary_join_element_wise(ids, code, amount, created, cities, active, remark, ",")
    return "\n".join(lines.to_pylist()).encode() + b"\n"


def write_table(path: Path, rows: int) -> None:
    """The 7-column table."""
    with path.open("wb") as out:
        out.write(HEADER)
        for first in range(1, rows + 1, ROWS_AT_ONCE):
            out.write(table_rows(first, min(ROWS_AT_ONCE, rows + 1 - first)))


def write_wide(path: Path, columns: int, rows: int) -> None:
    """Many columns: a third numbers, a third decimals, a third text."""
    with path.open("wb") as out:
        out.write(b",".join(b"column_%d" % number for number in range(columns)) + b"\n")
        places = np.arange(columns, dtype=np.int64)
        for row in range(rows):
            values = (_mix(places + row * columns, 1) % 10_000).tolist()
            cells = [
                (b"%d", b"%d.5", b"v%d")[place % 3] % value for place, value in enumerate(values)
            ]
            out.write(b",".join(cells) + b"\n")


def write_bomb(path: Path, size_bytes: int) -> None:
    """One short value, over and over."""
    block = b"a\n" * (1 << 19)
    with path.open("wb") as out:
        out.write(b"value\n")
        while out.tell() < size_bytes:
            out.write(block)
