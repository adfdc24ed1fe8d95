"""Tries the images of a bisection with real runs, and knows what the store knows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import URL

from tailstest.core.errors import TailstestError
from tailstest.media.image_file import Digests
from tailstest.results.answers.known_outcomes import has_trials, known_trials
from tailstest.results.store.engine import Store
from tailstest.suite.bisecting.images import CannotJudge, Images
from tailstest.suite.bisecting.question import State, Try
from tailstest.suite.trials.outcome import Outcome, outcome_of
from tailstest.suite.trials.sub_run import SubRun, run_apart
from tailstest.suite.trials.wanted import trial_of


class RunJudge:
    """A `Judge` that runs scenarios.

    Args:
        state: of the bisection; told digests and files of images.
        images: where they come from.
        folder: for the runs.
        address: of the store; None for none.
    """

    def __init__(self, state: State, images: Images, folder: Path, address: URL | None) -> None:
        self._state = state
        self._images = images
        self._folder = folder
        self._address = address
        self._digests = Digests()
        self._had: dict[int, tuple[Path, str]] = {}

    def foreseen(self) -> Iterable[int]:
        """Return all images that are there, if the store may know any of them; see `Judge`."""
        question = self._state.question
        if question.build or self._address is None:
            return ()
        try:
            with Store(self._address, must_exist=True) as store, store.reading() as connection:
                is_any = has_trials(connection, question.scenarios, question.suite_commit)
        except TailstestError:
            return ()
        return range(len(question.images)) if is_any else ()

    def known(self, place: int) -> list[Try]:
        """Return what the store knows of this very image and commit of the suite; see `Judge`."""
        self._have(place)
        if self._address is None:
            return []
        question = self._state.question
        try:
            with Store(self._address, must_exist=True) as store, store.reading() as connection:
                found = known_trials(
                    connection,
                    question.scenarios,
                    self._state.digests[place],
                    question.suite_commit,
                )
        except TailstestError:
            return []  # trying it takes time, but a store that fails must not end the search
        tries = []
        for each in found:
            said = outcome_of(each.attempts)
            if said.outcome is not Outcome.UNCLEAR:
                tries.append(
                    Try(
                        place=place,
                        outcome=said.outcome,
                        reason=said.reason,
                        source="store",
                        run=each.run_id,
                    )
                )
        return tries

    def judge(self, place: int, number: int) -> Try:
        """Run the scenarios on an image; see `Judge`."""
        question = self._state.question
        image = self._have(place)
        output = self._free_folder(number)
        order = SubRun(question.paths, image, output, question.folder)
        ended = run_apart(order)
        trial = trial_of(ended.run, question.scenarios, ended.said)
        return Try(
            place=place,
            outcome=trial.outcome,
            reason=trial.reason,
            seconds=trial.seconds,
            run=str(output),
        )

    def _have(self, place: int) -> str:
        """Return what a run is given for an image; a file that became another one is had anew.

        Raises:
            CannotJudge: it cannot be had, or is not what it was.
        """
        state = self._state
        try:
            if place in self._had:
                path, name = self._had[place]
                if self._digests.of(path) == state.digests.get(place):
                    return name
            path, name = self._images.get(state.question.images[place], place)
            digest = self._digests.of(path)
        except OSError as error:
            raise CannotJudge(f"its file cannot be read: {error.strerror}") from error
        if not state.question.build and state.digests.get(place, digest) != digest:
            raise CannotJudge(f"{path} is another image than when this bisection first had it")
        self._had[place] = (path, name)
        state.digests[place], state.files[place] = digest, str(path)
        return name

    def _free_folder(self, number: int) -> Path:
        """Return a folder that no run has; an interrupted one has left its own."""
        for again in range(1000):
            folder = self._folder / (f"run-{number:04d}" + (f"-{again}" if again else ""))
            if not folder.exists():
                return folder
        raise CannotJudge(f"too many runs are in {self._folder}")
