"""How good a wire is: delay, rate, loss and disorder, the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

#: Seconds that a frame may wait on a slow wire before it is lost, as in a full buffer of a modem.
LONGEST_QUEUE = 2.0
#: Seconds that a frame which lost its place arrives later than it should.
DISORDER = 0.05


@dataclass(frozen=True)
class Quality:
    """What a wire does to frames, each direction for itself.

    Attributes:
        delay: seconds that each frame takes.
        jitter: seconds that it may take more or less; frames keep their order.
        loss: share of frames that are lost, 0 to 1.
        reorder: share of frames that arrive behind later ones, 0 to 1.
        rate: bits per second; 0 for no bound.
        seed: of the random numbers.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0
    rate: float = 0.0
    seed: int = 1

    @property
    def is_perfect(self) -> bool:
        """Whether frames simply pass."""
        return not (self.delay or self.jitter or self.loss or self.reorder or self.rate)

    def to_json(self) -> dict[str, Any]:
        """Return the values for `Quality(**values)`."""
        return dict(vars(self))


class Direction:
    """One direction of a wire: says of each frame when it arrives, if it does.

    Args:
        quality: of the wire.
        salt: tells the directions apart.
    """

    def __init__(self, quality: Quality, salt: int) -> None:
        self._quality = quality
        self._random = random.Random(quality.seed * 2 + salt)
        self._free = 0.0
        self._last = 0.0
        self.lost = 0

    def arrival(self, size: int, now: float) -> float | None:
        """Return when a frame arrives that is sent now; None if it is lost.

        Args:
            size: bytes of the frame.
            now: seconds of a monotonic clock.
        """
        quality = self._quality
        # Three draws for each frame, so that one property does not change what another one does.
        lost, late, more = (self._random.random() for _ in range(3))
        if lost < quality.loss:
            self.lost += 1
            return None
        sent = now
        if quality.rate:
            begin = max(now, self._free)
            if begin - now > LONGEST_QUEUE:
                self.lost += 1
                return None
            sent = self._free = begin + size * 8 / quality.rate
        arrives = max(now, sent + quality.delay + quality.jitter * (2 * more - 1))
        if late < quality.reorder:
            return arrives + DISORDER
        self._last = max(self._last, arrives)
        return self._last
