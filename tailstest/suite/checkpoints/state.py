"""What the framework itself must know to go on from a checkpoint."""

from __future__ import annotations

from typing import Any

from tailstest.core.errors import InfrastructureError
from tailstest.core.settings import Strict


class CheckpointStale(InfrastructureError):
    """A checkpoint no longer fits: it is made anew."""


class SessionState(Strict):
    """What steps have set up in a scenario, besides the machine.

    Attributes:
        wanted: the image as the step named it; None is the image under test.
        image: its file.
        image_digest: SHA-256 of that.
        changes: parts of the machine that steps described.
        layout: of the keyboard that is typed on.
        remembered: texts that steps inside remembered for later ones.
        steps_inside: whether a step has used the inside.
    """

    wanted: str | None
    image: str
    image_digest: str
    changes: dict[str, Any]
    layout: str
    remembered: dict[str, str]
    steps_inside: bool
