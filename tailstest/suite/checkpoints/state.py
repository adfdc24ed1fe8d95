"""What the framework itself must know to go on from a checkpoint."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tailstest.core.errors import InfrastructureError
from tailstest.core.settings import Strict
from tailstest.machine.inside_state import InsideState
from tailstest.media.faults import NO_FAULTS, Faults


class CheckpointStale(InfrastructureError):
    """A checkpoint no longer fits: it is made anew."""


class StickState(Strict):
    """A USB stick of a scenario.

    Attributes:
        file: of the stick, then.
        image: what was written to it when it was made, as `SuiteFiles` call it; None if it was
            blank.
        copy_name: of its copy in the checkpoint if it lay on the shelf; empty if it was plugged in,
            and is saved with the machine.
        traits: what else is particular about it, see `UsbStick`.
        faults: what is wrong with it.
    """

    file: str
    image: str | None
    copy_name: str
    traits: dict[str, Any] = Field(default_factory=dict)
    faults: Faults = NO_FAULTS


class ShelfState(Strict):
    """The media of a scenario.

    Attributes:
        sticks: by name.
        images: image that a medium was made of, as `SuiteFiles` call it, to its SHA-256.
        boot_stick: the one without a name that the machine was started from; None if there is none.
    """

    sticks: dict[str, StickState] = Field(default_factory=dict)
    images: dict[str, str] = Field(default_factory=dict)
    boot_stick: StickState | None = None


class NetworkState(Strict):
    """The network of a scenario.

    Attributes:
        moments: that steps named, to nanoseconds since 1970.
        changes: what steps did to the lab, in their order: name of the method and its arguments.
    """

    moments: dict[str, int] = Field(default_factory=dict)
    changes: list[tuple[str, list[Any]]] = Field(default_factory=list)


class SecretState(Strict):
    """A secret of a scenario.

    Attributes:
        text: what is searched for.
        process: number of the program inside that holds it; None if none does.
        seen: whether a search has found it anywhere.
    """

    text: str
    process: int | None = None
    seen: bool = False


class SecretsState(Strict):
    """The secrets of a scenario.

    Attributes:
        known: by name; a text that a step gives has itself as name.
        saw_linux: whether the last search of the memory has found the kernel.
    """

    known: dict[str, SecretState] = Field(default_factory=dict)
    saw_linux: bool = False


class CutCopy(Strict):
    """What a medium would hold if the power had failed at a moment.

    Attributes:
        name: of the copy on the shelf.
        written: bytes that the machine had written to the medium since it was plugged in.
        confirmed: number of the last note that had been confirmed by then; 0: none.
    """

    name: str
    written: int
    confirmed: int


class SessionState(Strict):
    """What steps have set up in a scenario, besides the machine.

    Attributes:
        wanted: the image as the step named it; None is the image under test.
        image: its file, as `SuiteFiles` call it.
        image_digest: SHA-256 of that.
        changes: parts of the machine that steps described.
        layout: of the keyboard that is typed on.
        inside: what steps know of the inside; None if none has used it.
        shelf: the media that steps made.
        network: what steps did to the network.
        secrets: that were planted, and looked for.
        cuts: name of a stick to its copies of moments in which the power might have failed.
        places: where images that are files of the suite lay then: path to what `SuiteFiles` call
            it.
        files: what steps took from the suite, see `SuiteFiles`: name to digest.
    """

    wanted: str | None
    image: str
    image_digest: str
    changes: dict[str, Any]
    layout: str
    inside: InsideState | None
    shelf: ShelfState = Field(default_factory=ShelfState)
    network: NetworkState = Field(default_factory=NetworkState)
    secrets: SecretsState = Field(default_factory=SecretsState)
    cuts: dict[str, list[CutCopy]] = Field(default_factory=dict)
    places: dict[str, str] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
