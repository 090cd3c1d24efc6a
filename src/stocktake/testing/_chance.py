"""Chance that can be computed for any row alone: hashes, strata and permutations of integers.

Nothing here keeps state, so row 90,000,000 costs what row 0 costs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_HEX_PAIRS = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)


def draw(seed: int, stream: int, ids: Ints | Hashes) -> Hashes:
    """64 random bits for each id, by SplitMix64; another stream gives independent bits."""
    start = _mix_one((seed * 0x632BE59BD9B4E019 + stream * _GOLDEN + 1) & _MASK)
    bits = ids.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(start)
    bits ^= bits >> np.uint64(30)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(27)
    bits *= np.uint64(0x94D049BB133111EB)
    bits ^= bits >> np.uint64(31)
    return bits


def below(bits: Hashes, limit: int) -> Ints:
    """Integers from 0 up to, not including, `limit`."""
    return (bits % np.uint64(limit)).astype(np.int64)


def unit(bits: Hashes) -> Floats:
    """Floats from 0 up to, not including, 1."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def bell(bits: Hashes) -> Floats:
    """About normal, mean 0, deviation 1: the four 16-bit quarters of each hash, added."""
    quarters = np.ascontiguousarray(bits).view(np.uint16).reshape(-1, 4)
    values: Floats = (quarters.sum(axis=1, dtype=np.float64) / 65536.0 - 2.0) * 1.7320508
    return values


def hex_text(high: Hashes, low: Hashes) -> npt.NDArray[np.uint8]:
    """32 lower-case hex digits for each pair, as a byte matrix."""
    words = np.empty((len(high), 2), ">u8")
    words[:, 0] = high
    words[:, 1] = low
    return _HEX_PAIRS[words.view(np.uint8).reshape(len(high), 16)].view(np.uint8)


@dataclass(frozen=True, slots=True)
class Strata:
    """Picks `picks` of `rows` rows in each generation from 2 on, spread evenly, none ever twice.

    The rows are cut into as many strata as there are picks; each generation takes the next row of
    each stratum, from a random start. So the count per generation is exact, and of every row alone
    it can be said in which generation, if any, it is picked.
    """

    rows: int
    picks: int
    seed: int
    stream: int

    @property
    def generations_max(self) -> int:
        """The last generation that still finds rows to pick."""
        return 1 + self._width if self.picks else 1 << 31

    def generation(self, rows: Ints) -> Ints:
        """The generation that picks each row; 0 for never."""
        if not self.picks:
            return np.zeros(len(rows), np.int64)
        stratum = self.stratum(rows)
        within = rows - stratum * self.rows // self.picks
        start = below(draw(self.seed, self.stream, stratum), self._width)
        picked = 2 + (within - start) % self._width
        return np.where(within < self._width, picked, 0)

    def stratum(self, rows: Ints) -> Ints:
        """The stratum that each row is in."""
        return ((rows + 1) * self.picks - 1) // self.rows

    @property
    def _width(self) -> int:
        return self.rows // self.picks


def shuffled(positions: Ints, count: int, seed: int) -> Ints:
    """Where a random permutation of `range(count)`, fixed by the seed, sends these positions."""
    half = max(1, (max(count - 1, 1).bit_length() + 1) // 2)
    spots = _feistel(positions.astype(np.uint64), half, seed)
    while (outside := spots >= np.uint64(count)).any():
        spots[outside] = _feistel(spots[outside], half, seed)
    return spots.astype(np.int64)


def _feistel(spots: Hashes, half: int, seed: int) -> Hashes:
    mask = np.uint64((1 << half) - 1)
    left, right = spots >> np.uint64(half), spots & mask
    for step in range(4):
        left, right = right, left ^ (draw(seed, 900 + step, right) & mask)
    return (left << np.uint64(half)) | right


def _mix_one(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
