"""The search itself: which image next, until the answer is sure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from tailstest.core.errors import InfrastructureError
from tailstest.results.answers.change_point import Answer, ChangePoint, Tally
from tailstest.suite.bisecting.images import CannotJudge
from tailstest.suite.bisecting.question import State, Try
from tailstest.suite.trials.outcome import Outcome

#: Trials of one image that say nothing before it is left out.
PATIENCE = 2


class Judge(Protocol):
    """Who tries images."""

    def foreseen(self) -> Iterable[int]:
        """Return places for which looking up what is known costs little and may help."""
        ...

    def known(self, place: int) -> list[Try]:
        """Return trials that were made before and need not be made again.

        Raises:
            CannotJudge: the image cannot be had.
        """
        ...

    def judge(self, place: int, number: int) -> Try:
        """Try an image once; `number` counts all trials.

        Raises:
            CannotJudge: the image cannot be had.
        """
        ...


class Ending(StrEnum):
    """How a bisection ended."""

    FOUND = "found"
    NONE_BAD = "none is bad"
    ALL_BAD = "the oldest is bad already"
    UNSURE = "not sure"


#: Exit status of each ending.
STATUS = {Ending.FOUND: 0, Ending.NONE_BAD: 1, Ending.ALL_BAD: 1, Ending.UNSURE: 3}


@dataclass(frozen=True)
class Result:
    """The answer.

    Attributes:
        answer: places, and how sure it is.
        last_good: place before the first bad one that could be judged; None without one.
        trials: that were made, without those that were known.
    """

    ending: Ending
    answer: Answer
    last_good: int | None
    trials: int


class Bisection:
    """Looks for the first bad image.

    Args:
        state: where it begins, and what it adds to.
        folder: where the state is saved after each trial.
        judge: who tries.
        tell: called with each trial, with what is probable after it; a skipped image has a trial
            that is unclear.
    """

    def __init__(
        self,
        state: State,
        folder: Path,
        judge: Judge,
        tell: Callable[[Try, Answer], None] = lambda _try, _answer: None,
    ) -> None:
        question = state.question
        self._state = state
        self._folder = folder
        self._judge = judge
        self._tell = tell
        self._ends = (0, len(question.images) - 1)
        self._point = ChangePoint(len(question.images), Tally(*question.history))
        for each in state.tries:
            self._count(each)
        for place in state.skipped:
            self._point.skip(place)

    def run(self) -> Result:
        """Try images until one is sure enough, or nothing more can be tried.

        Raises:
            InfrastructureError: the oldest or the newest image cannot be judged.
        """
        question = self._state.question
        for known in self._judge.foreseen():
            with contextlib.suppress(CannotJudge):  # it may never be needed
                self._look_up(known)
        while True:
            tried = all(self._point.tallies[end].tries for end in self._ends)
            answer = self._point.answer()
            if tried and answer.is_sure(question.confidence):
                return self._result(answer)
            place = self._point.next_place()
            if place is None or self._made >= question.max_runs:
                return self._result(answer, is_sure=False)
            self._try(place)

    @property
    def _made(self) -> int:
        return sum(each.source == "run" for each in self._state.tries)

    def _try(self, place: int) -> None:
        state = self._state
        try:
            if self._look_up(place):
                return
            self._take(self._judge.judge(place, len(state.tries) + 1))
            state.save(self._folder)
        except CannotJudge as error:
            self._skip(place, error.message)
            return
        unclear = [each for each in state.tries if each.place == place]
        unclear = [each for each in unclear if each.outcome is Outcome.UNCLEAR]
        if len(unclear) >= PATIENCE + self._point.tallies[place].tries:
            self._skip(place, unclear[-1].reason)

    def _look_up(self, place: int) -> bool:
        """Take what is known of an image, once; tell whether that was anything."""
        state = self._state
        if place in state.looked_up or place in state.skipped:
            return False
        known = self._judge.known(place)
        state.looked_up.append(place)
        for each in known:
            self._take(each)
        state.save(self._folder)
        return bool(known)

    def _take(self, each: Try) -> None:
        self._state.tries.append(each)
        self._count(each)
        self._tell(each, self._point.answer())

    def _count(self, each: Try) -> None:
        if each.outcome is not Outcome.UNCLEAR:
            self._point.add(each.place, each.outcome is Outcome.FAILED)

    def _skip(self, place: int, reason: str) -> None:
        label = self._state.question.images[place]
        if place in self._ends:
            end = "oldest" if place == 0 else "newest"
            # Not kept: when the trouble is over, --resume tries it again.
            self._state.tries[:] = [
                each
                for each in self._state.tries
                if each.place != place or each.outcome is not Outcome.UNCLEAR
            ]
            self._state.save(self._folder)
            raise InfrastructureError(
                f"the {end} image {label} cannot be judged: {reason}",
                hint="mend that and go on with --resume, or give another image as that end",
            )
        self._state.skipped[place] = reason
        self._point.skip(place)
        self._state.save(self._folder)
        skipped = Try(place=place, outcome=Outcome.UNCLEAR, reason=f"left out: {reason}")
        self._tell(skipped, self._point.answer())

    def _result(self, answer: Answer, *, is_sure: bool = True) -> Result:
        none = len(self._state.question.images)
        ending = Ending.FOUND
        if not is_sure:
            ending = Ending.UNSURE
        elif answer.last == none:
            ending = Ending.NONE_BAD
        elif answer.last == 0:
            ending = Ending.ALL_BAD
        last_good = answer.first - 1 if ending is Ending.FOUND else None
        return Result(ending, answer, last_good, self._made)
