"""Intervals around what a sample says: how far off may it be, and when nobody can say.

The interval is the t interval of the mean of the draws, widened: for skewness (Johnson 1978), by a
fifth for what stratification hides, and to at least two draws' worth of the mean, because cells
rarer than one draw in n are not met. Where the draws contradict what was suspected, cells that were
not drawn may hold anything, and there is no upper end.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf, sqrt
from statistics import NormalDist

_SKEW_MAX = 2.5
_WIDER, _UNMET = 1.2, 2.0
_MISJUDGED_MAX = 1.25


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with the interval that holds the truth with the chosen confidence.

    Attributes:
        value: The estimate.
        low: Lower end; never below what was counted.
        high: Upper end; infinite if the requests were too few to say.
    """

    value: float
    low: float
    high: float

    @property
    def is_exact(self) -> bool:
        """Everything was counted."""
        return self.low == self.high

    @property
    def is_bounded(self) -> bool:
        """There is an upper end."""
        return not isinf(self.high)


def misjudged(draws: list[float], guess: float) -> bool:
    """The draws contradict what was suspected, so cells that were not drawn may hold anything.

    Some draws make up most of the sum, or their mean is far from the guess.
    """
    mean = sum(draws) / len(draws)
    if guess > 0 and not 1 / _MISJUDGED_MAX < mean / guess < _MISJUDGED_MAX:
        return True
    return mean <= 0 or max(draws) > _SKEW_MAX * mean


def interval_of(known: float, draws: list[float], confidence: float) -> Estimate:
    """The mean of the draws on top of what is known, with a t interval widened for skewness."""
    if not draws:
        return Estimate(known, known, known)
    count = len(draws)
    mean = sum(draws) / count
    spread = sqrt(sum((one - mean) ** 2 for one in draws) / max(1, count - 1))
    error = spread / sqrt(count)
    quantile = _t_quantile(confidence, count - 1)
    skew = 0.0
    if spread > 0:
        skew = sum((one - mean) ** 3 for one in draws) / count / spread**3
    # Johnson 1978: a right-skewed mean is more often too low than too high
    shift = skew * (1 + 2 * quantile**2) / (6 * sqrt(count)) * error if skew > 0 else 0.0
    # cells that are rarer than one draw in `count` were not met, and may differ
    half = max(_WIDER * quantile * error, _UNMET * mean / count)
    value = known + mean
    return Estimate(value, max(known, value - half), value + half + shift)


def _t_quantile(confidence: float, freedom: int) -> float:
    """Student's t, two-sided, by Cornish and Fisher's expansion: within 1 % from 3 degrees on."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    v = max(freedom, 1)
    first = (z**3 + z) / (4 * v)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    return z + first + second + third
