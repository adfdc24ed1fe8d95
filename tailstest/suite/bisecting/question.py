"""What a bisection is asked, and what it has found out so far: a file that survives it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.settings import Strict, validated
from tailstest.suite.trials.outcome import Outcome

STATE_FILE = "bisect.json"


class Question(Strict):
    """What was asked.

    Attributes:
        images: files, names of profiles, or versions to build, the oldest first.
        build: command that builds the image of a version; "" when the images are there.
        build_limit: seconds that it may take.
        folder: where it was asked; what relative names are relative to.
        paths: the scenarios, as FILE:LINE with whole paths.
        scenarios: their ids, in the same order.
        suite: folder of the suite, and the commit that it was of.
        confidence: how sure the answer must be.
        max_runs: trials after which it ends without an answer.
        store: where earlier results are looked up; "none" for nowhere.
        history: earlier trials on other images that failed, and that passed.
    """

    images: Annotated[tuple[str, ...], Field(min_length=2)]
    build: str = ""
    build_limit: float = 7200.0
    folder: Path
    paths: tuple[str, ...]
    scenarios: tuple[str, ...]
    suite: Path
    suite_commit: str = ""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    max_runs: Annotated[int, Field(ge=2)] = 100
    store: str | None = None
    history: tuple[int, int] = (0, 0)


class Try(Strict):
    """One trial of one image.

    Attributes:
        source: "run" for one that was made, "store" for one that was known.
        run: its folder or id.
    """

    place: Annotated[int, Field(ge=0)]
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0
    source: Literal["run", "store"] = "run"
    run: str = ""


class State(Strict):
    """All that is known.

    Attributes:
        skipped: place to the reason why its image cannot be judged.
        looked_up: places for which the store was asked.
        digests: place to the SHA-256 of its image.
        files: place to the image's file.
    """

    version: Literal[1] = 1
    question: Question
    tries: list[Try] = Field(default_factory=list)
    skipped: dict[int, str] = Field(default_factory=dict)
    looked_up: list[int] = Field(default_factory=list)
    digests: dict[int, str] = Field(default_factory=dict)
    files: dict[int, str] = Field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it; a crash leaves the old or the new one.

        Raises:
            InfrastructureError: it cannot be written.
        """
        fresh = folder / f".{STATE_FILE}"
        try:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(self.model_dump_json(indent=2))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(folder / STATE_FILE)
        except OSError as error:
            raise InfrastructureError(
                f"cannot write {folder / STATE_FILE}: {error.strerror}",
                hint="free some space; then go on with --resume",
            ) from error

    @classmethod
    def load(cls, folder: Path) -> State:
        """Read what was saved.

        Raises:
            UsageError: there is nothing, or it is damaged.
        """
        file = folder / STATE_FILE
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(
                f"{folder} is not the folder of a bisection: {file} cannot be read "
                f"({error.strerror})",
                hint="name the folder that the bisection said it would keep",
            ) from error
        except ValueError as error:
            raise UsageError(f"{file} is damaged: {error}", hint="begin a new bisection") from error
        state = validated(cls, value if isinstance(value, dict) else {}, lambda _key: str(file))
        places = range(len(state.question.images))
        if any(each.place not in places for each in state.tries):
            raise UsageError(f"{file} is damaged: it tells of images that it does not have")
        return state
