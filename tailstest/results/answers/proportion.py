"""How sure one can be of a rate that was seen a few times."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95


class Proportion(NamedTuple):
    """A rate with the bounds between which the true one lies with the given confidence."""

    rate: float
    low: float
    high: float


def proportion(hits: int, trials: int, *, confidence: float = CONFIDENCE) -> Proportion:
    """Return the rate of hits with Wilson's score interval.

    The interval is that of E. B. Wilson, Probable inference, the law of succession, and
    statistical inference, JASA 22 (1927), 209-212; NIST's handbook gives the same formula
    (https://www.itl.nist.gov/div898/handbook/prc/section2/prc241.htm). It holds for few trials and
    for rates near 0 and 1, where the usual one does not.

    Args:
        hits, trials: counts, 0 <= hits <= trials.
        confidence: between 0 and 1.
    """
    if not 0 <= hits <= trials:
        raise ValueError(f"{hits} of {trials} is no proportion")
    if trials == 0:
        return Proportion(0.0, 0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, square = hits / trials, z * z / trials
    middle = (rate + square / 2) / (1 + square)
    half = z / (1 + square) * sqrt(rate * (1 - rate) / trials + square / (4 * trials))
    # At the ends the two cancel exactly, but for the last digit of a float.
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    high = 1.0 if hits == trials else min(1.0, middle + half)
    return Proportion(rate, low, high)
