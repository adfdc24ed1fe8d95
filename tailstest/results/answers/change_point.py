"""Which one of several things in order was the first bad one, when each answer may be wrong.

Each thing (an image) is tried, and a try fails or passes. Before the first bad one tries fail with
one rate (flakes), from it on with another (a fault that may show only sometimes). Both rates and
the first bad one are unknown; Bayes' rule gives how probable each first bad one is, from all tries
together. The next try is where it is expected to tell most about the first bad one: D. V. Lindley,
On a measure of the information provided by an experiment, Annals of Mathematical Statistics 27
(1956) 986-1005. Where nothing is flaky that is plain bisection; with flakes it is what R. Waeber,
P. I. Frazier and S. G. Henderson, Bisection search with noisy responses, SIAM Journal on Control
and Optimization 51 (2013) 2261-2279, analyse, but with rates that are learned on the way.

Error bound: of answers whose probability is p the share 1 - p is wrong, on the average over all
rates below. Single rates err more often (those 0.2 and 0.6 that differ little: 6 % instead of
2.5 %), so `is_sure` asks for half the error that is allowed. Tests try that with many rates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: Rates with which tries fail before the first bad one, and from it on; each is as probable as the
#: others beforehand. A test that fails more often than 0.4 for nothing must be mended, not used.
GOOD_RATES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4)
BAD_RATES = (0.4, 0.6, 0.8, 0.95, 0.99)
#: A fault raises the rate at least by this much; what raises it less cannot be told from chance
#: with tens of tries.
LEAST_RISE = 0.3
#: Probability beforehand that the oldest is bad already, and that the newest is good still.
AT_THE_ENDS = 0.05
#: Part of the allowed error that is used, since some rates err more often than the average.
ERROR_SHARE = 0.5
#: Earlier tries of the same test count for no more than this many, since a host changes.
MAX_HISTORY = 100


@dataclass
class Tally:
    """How often tries failed and passed."""

    failed: int = 0
    passed: int = 0

    @property
    def tries(self) -> int:
        """All of them."""
        return self.failed + self.passed

    def add(self, failed: bool) -> None:
        """Count one."""
        if failed:
            self.failed += 1
        else:
            self.passed += 1


@dataclass(frozen=True)
class Answer:
    """What was found.

    Attributes:
        first, last: places among which the first bad one is; the same where it is one alone. A
            place behind the newest means that none is bad.
        confidence: probability of that.
    """

    first: int
    last: int
    confidence: float

    def is_sure(self, wanted: float) -> bool:
        """Tell whether it may be given as the answer with a confidence that was asked for."""
        return self.confidence >= 1 - (1 - wanted) * ERROR_SHARE


class ChangePoint:
    """Gathers tries and says where to try next, until it is sure.

    Args:
        places: how many things there are, at least 2; the oldest has the place 0.
        history: tries of the same test on other things that are good, if there were any.
    """

    def __init__(self, places: int, history: Tally | None = None) -> None:
        if places < 2:
            raise ValueError("there is nothing between fewer than two")
        self.tallies = [Tally() for _ in range(places)]
        self.skipped: set[int] = set()
        self._rates = _rates(history or Tally())

    @property
    def tries(self) -> int:
        """Tries at all places."""
        return sum(tally.tries for tally in self.tallies)

    def add(self, place: int, failed: bool) -> None:
        """Take a try."""
        self.tallies[place].add(failed)

    def skip(self, place: int) -> None:
        """Leave a place out that cannot be tried."""
        self.skipped.add(place)

    def probabilities(self) -> list[float]:
        """Return for each place the probability that it is the first bad one; the last is none."""
        return [sum(row) for row in self._joint()]

    def _joint(self) -> list[list[float]]:
        """Return the probability of each first bad place together with each pair of rates."""
        places = len(self.tallies)
        logs: list[list[float]] = []
        failed_before = passed_before = 0
        failed = sum(tally.failed for tally in self.tallies)
        passed = sum(tally.passed for tally in self.tallies)
        for place in range(places + 1):
            at_end = place in (0, places)
            prior = AT_THE_ENDS if at_end else (1 - 2 * AT_THE_ENDS) / (places - 1)
            logs.append(
                [
                    math.log(prior * weight)
                    + failed_before * math.log(good)
                    + passed_before * math.log1p(-good)
                    + (failed - failed_before) * math.log(bad)
                    + (passed - passed_before) * math.log1p(-bad)
                    for good, bad, weight in self._rates
                ]
            )
            if place < places:
                failed_before += self.tallies[place].failed
                passed_before += self.tallies[place].passed
        largest = max(max(row) for row in logs)
        weights = [[math.exp(value - largest) for value in row] for row in logs]
        whole = sum(sum(row) for row in weights)
        return [[value / whole for value in row] for row in weights]

    def answer(self) -> Answer:
        """Return what is most probable now; places that nothing can tell apart are one answer."""
        probabilities = self.probabilities()
        groups: list[tuple[int, int, float]] = []
        first = 0
        for place in range(len(probabilities)):
            # `place` and the one behind it are told apart by trying `place`.
            if place in self.skipped:
                continue
            groups.append((first, place, sum(probabilities[first : place + 1])))
            first = place + 1
        return Answer(*max(groups, key=lambda group: group[2]))

    def next_place(self) -> int | None:
        """Return where to try next: the ends first, then where most is learned; None if nowhere."""
        newest = len(self.tallies) - 1
        for end in (0, newest):
            if end not in self.skipped and not self.tallies[end].tries:
                return end
        gains = self._gains()
        choices = [
            (-round(gain, 9), self.tallies[place].tries, place)
            for place, gain in enumerate(gains)
            if place not in self.skipped
        ]
        return min(choices)[2] if choices else None

    def _gains(self) -> list[float]:
        """Return for each place how many bits a try there is expected to tell."""
        joint = self._joint()
        weights = [sum(row) for row in joint]
        # Rates with which a try fails before and behind each first bad place, with its weight.
        before = [sum(p * good for p, (good, _b, _w) in self._with_rates(row)) for row in joint]
        behind = [sum(p * bad for p, (_g, bad, _w) in self._with_rates(row)) for row in joint]
        doubt_before = [
            w * _doubt(f / w) if w else 0.0 for f, w in zip(before, weights, strict=True)
        ]
        doubt_behind = [
            w * _doubt(f / w) if w else 0.0 for f, w in zip(behind, weights, strict=True)
        ]
        failing, doubt = sum(before), sum(doubt_before)
        gains = []
        for place in range(len(self.tallies)):
            # From here on this place is behind the first bad one if that is `place`.
            failing += behind[place] - before[place]
            doubt += doubt_behind[place] - doubt_before[place]
            gains.append(_doubt(failing) - doubt)
        return gains

    def _with_rates(
        self, row: Sequence[float]
    ) -> Iterator[tuple[float, tuple[float, float, float]]]:
        return zip(row, self._rates, strict=True)


def _doubt(probability: float) -> float:
    """Return the entropy of yes and no, in bits."""
    parts = (probability, 1 - probability)
    return -sum(part * math.log2(part) for part in parts if part > 0)


def _rates(history: Tally) -> Sequence[tuple[float, float, float]]:
    """Return pairs of rates, each with its probability before any try."""
    share = min(1.0, MAX_HISTORY / history.tries) if history.tries else 0.0
    found = [
        (good, bad, good ** (share * history.failed) * (1 - good) ** (share * history.passed))
        for good in GOOD_RATES
        for bad in BAD_RATES
        if bad - good >= LEAST_RISE - 1e-9
    ]
    whole = sum(weight for *_rates, weight in found)
    return [(good, bad, weight / whole) for good, bad, weight in found]
