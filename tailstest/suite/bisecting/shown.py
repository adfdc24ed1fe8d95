"""What a bisection prints, and its answer as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from tailstest.core.errors import TailstestError
from tailstest.results.answers.change_point import Answer
from tailstest.results.answers.compare import ImageDifference, image_difference
from tailstest.results.answers.shown import show_images
from tailstest.results.console import safe
from tailstest.results.store.image_contents import ImageContents
from tailstest.results.store.image_reading import read_contents
from tailstest.results.wording import duration, plural
from tailstest.suite.bisecting.question import State, Try
from tailstest.suite.bisecting.search import Ending, Result
from tailstest.suite.trials.outcome import Outcome

_STYLES = {Outcome.PASSED: "green", Outcome.FAILED: "bold red", Outcome.UNCLEAR: "yellow"}


def show_beginning(console: Console, state: State, folder: Path, notes: tuple[str, ...]) -> None:
    """Print what is asked and where it is kept."""
    question = state.question
    scenarios = plural(len(question.scenarios), "scenario")
    console.print(
        f"{plural(len(question.images), 'image')}, {scenarios}, until it is "
        f"{question.confidence:.0%} sure; kept in {folder}",
        soft_wrap=True,
    )
    for note in notes:
        console.print(Text(f"note: {safe(note)}", "yellow"), soft_wrap=True)


class Steps:
    """Prints each trial in one line."""

    def __init__(self, console: Console, state: State) -> None:
        self._console = console
        self._state = state
        self._wide = max(len(_name(each)) for each in state.question.images)

    def __call__(self, each: Try, answer: Answer) -> None:
        """Print a trial and what is probable after it."""
        images = self._state.question.images
        number = sum(one.source == "run" for one in self._state.tries)
        known = each.source == "store"
        line = Text("  known " if known else f"{number:>5}.  ", "dim")
        line.append(_name(images[each.place]).ljust(self._wide))
        line.append(f"  {each.outcome.value:<8}", _STYLES[each.outcome])
        took = f"run {each.run}" if known else duration(each.seconds)
        line.append(f"{took:>9}", "dim")
        line.append(f"  {_where(answer, images)}: {answer.confidence:.0%}")
        if each.reason and each.outcome is not Outcome.PASSED:
            line.append(f"  {safe(each.reason, 120)}", "dim")
        self._console.print(line, soft_wrap=True)


def show_result(console: Console, state: State, result: Result) -> None:
    """Print the answer."""
    console.print()
    style = "bold green" if result.ending is Ending.FOUND else "bold yellow"
    console.print(Text(sentence(state, result), style), soft_wrap=True)
    for place, reason in sorted(state.skipped.items()):
        label = _name(state.question.images[place])
        console.print(f"left out: {label}: {safe(reason, 200)}", soft_wrap=True)
    known = sum(each.source == "store" for each in state.tries)
    text = f"{plural(result.trials, 'trial')}, {known} more known from the store"
    console.print(text)
    difference = difference_of(state, result)
    if difference is not None:
        show_images(console, difference)


def sentence(state: State, result: Result) -> str:
    """Return the answer in a sentence."""
    images, answer = state.question.images, result.answer
    sure = f"{answer.confidence:.1%} sure"
    match result.ending:
        case Ending.NONE_BAD:
            return f"Nothing to find: the newest image, {_name(images[-1])}, is good ({sure})"
        case Ending.ALL_BAD:
            return (
                f"Nothing to find: the oldest image, {_name(images[0])}, is bad already ({sure}); "
                "give an older one"
            )
        case Ending.UNSURE:
            return (
                f"Not decided after {plural(result.trials, 'trial')}: most probable is "
                f"{_where(answer, images)} ({sure}); go on with --resume and more --max-runs"
            )
    good = f"; last good image: {_name(images[answer.first - 1])}" if answer.first else ""
    if answer.first == answer.last:
        return f"First bad image: {_name(images[answer.first])} ({sure}){good}"
    among = ", ".join(_name(each) for each in images[answer.first : answer.last + 1])
    return (
        f"First bad image is one of: {among} ({sure}); those before the last cannot be judged{good}"
    )


def difference_of(state: State, result: Result) -> ImageDifference | None:
    """Return what differs between the last good and the first bad image, None when unknown."""
    if result.last_good is None:
        return None
    contents = [_contents(state, place) for place in (result.last_good, result.answer.last)]
    if contents[0] is None or contents[1] is None:
        return None
    return image_difference(contents[0], contents[1])


def result_json(state: State, result: Result) -> dict[str, Any]:
    """Return the answer as JSON values."""
    images, answer = state.question.images, result.answer
    difference = difference_of(state, result)
    found = result.ending is Ending.FOUND
    return {
        "ending": result.ending.value,
        "sentence": sentence(state, result),
        "first_bad": list(images[answer.first : answer.last + 1]) if found else [],
        "last_good": images[result.last_good] if result.last_good is not None else None,
        "confidence": round(answer.confidence, 4),
        "trials": [
            {**each.model_dump(mode="json"), "image": images[each.place]} for each in state.tries
        ],
        "left_out": {images[place]: reason for place, reason in state.skipped.items()},
        "images": difference.to_json() if difference else None,
    }


def _contents(state: State, place: int) -> ImageContents | None:
    file = state.files.get(place)
    try:
        return read_contents(Path(file)) if file else None
    except (TailstestError, OSError):
        return None  # no ISO image, or gone: the answer stands without it


def _where(answer: Answer, images: tuple[str, ...]) -> str:
    if answer.last >= len(images):
        return "none is bad"
    if answer.first == answer.last:
        return f"first bad {_name(images[answer.first])}"
    return f"first bad {_name(images[answer.first])} to {_name(images[answer.last])}"


def _name(label: str) -> str:
    """Return a short name of an image for one line: that of its file."""
    return str(safe(Path(label).name if "/" in label else label, 60))
