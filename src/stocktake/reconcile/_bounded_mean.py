"""A mean of numbers between 0 and 1, from some of them drawn at random: an interval that holds.

Method: betting (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
2024, with the rules for draws without replacement). For every possible mean a gambler bets against
it with each draw; where a fair game would hardly ever have made the gambler so rich, that mean is
ruled out. The interval holds with the confidence asked for whatever the numbers are: all alike, or
zeros but for a few ones, which t intervals get wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

_GRID = 1_000
_STAKES = np.array([0.99, 0.8, 0.6, 0.4, 0.25, 0.12, 0.06, 0.03, 0.015])
_WEIGHTS = np.array([0.5, *[0.5 / 8] * 8])


def bounded_mean(draws: Sequence[float], population: int, confidence: float) -> tuple[float, float]:
    """The interval of the mean of `population` numbers in [0, 1], of which these were drawn.

    Args:
        draws: Drawn without replacement, in the (random) order they were drawn.
        population: How many there are.
        confidence: At least so often the interval holds the mean.

    Returns:
        Low and high; equal if all were drawn.
    """
    count = len(draws)
    if population == 0:
        return 0.0, 0.0
    total = float(sum(draws))
    if count >= population:
        return total / population, total / population
    values = np.asarray(draws, dtype=np.float64)
    # what was drawn is known: the others are somewhere between all 0 and all 1
    least, most = total / population, (total + population - count) / population
    means = np.linspace(least, most, _GRID)
    threshold = log(2.0 / (1.0 - confidence))
    low_out = _too_small(values, means, population, threshold)
    high_out = _too_small(1.0 - values, 1.0 - means, population, threshold)
    step = means[1] - means[0]
    left = means[~(low_out | high_out)]
    if not len(left):
        # too certain for the grid
        middle = total / max(1, count)
        return float(max(least, middle - step)), float(min(most, middle + step))
    return float(max(least, left[0] - step)), float(min(most, left[-1] + step))


def _too_small(
    values: np.ndarray, means: np.ndarray, population: int, threshold: float
) -> np.ndarray:
    """Which means are too small for these draws: bets that the draws are above them won too much.

    A stake is a share of what can be staked without ever losing all. The wealth is that of several
    gamblers with a fixed stake each, so that no stake has to be guessed.
    """
    wealth = np.log(_WEIGHTS)[:, None] + np.zeros((1, len(means)))
    richest = np.full(len(means), -np.inf)
    seen = 0.0
    for number, value in enumerate(values):
        # the mean of what is left, if this mean of all is right
        rest = (population * means - seen) / (population - number)
        rest = np.maximum(rest, 1e-12)
        wealth = wealth + np.log1p(_STAKES[:, None] * (value / rest - 1.0)[None, :])
        top = wealth.max(axis=0)
        richest = np.maximum(richest, top + np.log(np.exp(wealth - top).sum(axis=0)))
        seen += float(value)
    return np.asarray(richest >= threshold)
