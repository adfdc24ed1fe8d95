"""Puts a bisection together: a new one, or one that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from tailstest.core.errors import InfrastructureError, TailstestError, UsageError
from tailstest.core.settings import load_settings
from tailstest.machine.profile import load_profiles
from tailstest.media.image_file import digest_of
from tailstest.results.answers.change_point import Tally
from tailstest.results.answers.known_outcomes import Told, past_flakes
from tailstest.results.store.address import store_address
from tailstest.results.store.engine import Store
from tailstest.suite.bisecting.images import BuiltImages, GivenImages, Images
from tailstest.suite.bisecting.judging import RunJudge
from tailstest.suite.bisecting.question import STATE_FILE, Question, State
from tailstest.suite.suite_commit import suite_commit
from tailstest.suite.suite_folder import SuiteFolder
from tailstest.suite.trials.outcome import Outcome, outcome_of
from tailstest.suite.trials.wanted import wanted_scenarios


@dataclass(frozen=True)
class Asked:
    """A bisection that can begin or go on.

    Attributes:
        notes: what its user should know.
    """

    state: State
    folder: Path
    judge: RunJudge
    notes: tuple[str, ...]


def new_bisection(
    images: Sequence[str],
    *,
    paths: Sequence[str],
    tags: str,
    name: str,
    build: str,
    build_limit: float,
    confidence: float,
    max_runs: int,
    output: Path,
    store: str | None,
) -> Asked:
    """Check a question and begin with it.

    Args:
        images: the oldest first.
        paths, tags, name: the scenarios, as for a run.
        output: folder for its state and runs.

    Raises:
        UsageError: an image, the scenarios or the folder is wrong.
        InfrastructureError: the folder cannot be written.
    """
    if len(images) < 2:
        raise UsageError(
            "a bisection needs at least two images, the oldest first",
            hint="name them one after the other, for example: image-*.iso",
        )
    twice = sorted({each for each in images if list(images).count(each) > 1})
    if twice:
        raise UsageError(f"an image is named twice: {', '.join(twice)}")
    suite, scenarios = wanted_scenarios(paths, tags=tags, name=name)
    folder = Path.cwd()
    if not build:
        given = GivenImages(load_profiles(SuiteFolder(suite).images_folders), folder)
        for each in images:
            given.check(each)
    commit = suite_commit(suite)
    ids = [each.id for each in scenarios]
    address = store_address(load_settings(suite), store)
    history = _history(address, ids, () if build else [folder / each for each in images])
    question = Question(
        images=tuple(images),
        build=build,
        build_limit=build_limit,
        folder=folder,
        paths=tuple(f"{suite / each.feature_file}:{each.line}" for each in scenarios),
        scenarios=tuple(ids),
        suite=suite,
        suite_commit=commit,
        confidence=confidence,
        max_runs=max_runs,
        store=_lasting(store),
        history=(history.failed, history.passed),
    )
    if (output / STATE_FILE).exists():
        raise UsageError(
            f"a bisection has begun in {output}",
            hint=f"go on with: tailstest bisect --resume {output}, or name another --output",
        )
    try:
        output.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(f"cannot make the folder {output}: {error.strerror}") from error
    state = State(question=question)
    state.save(output)
    notes = []
    if not commit or "+" in commit:
        what = "has changes that no commit has" if commit else "is in no git repository"
        notes.append(f"the suite {what}, so earlier results of these images are not used")
    if history.tries:
        notes.append(
            f"on other images these scenarios failed {history.failed} of {history.tries} times "
            "for nothing, which is taken into account"
        )
    return _asked(state, output, address, notes)


def resumed_bisection(folder: Path, max_runs: int | None = None) -> Asked:
    """Go on where a bisection was.

    Args:
        max_runs: instead of what was asked.

    Raises:
        UsageError: there is none, or the suite is another one now.
    """
    state = State.load(folder)
    if max_runs is not None:
        changed = state.question.model_copy(update={"max_runs": max_runs})
        state = state.model_copy(update={"question": changed})
    question = state.question
    commit = suite_commit(question.suite)
    if commit != question.suite_commit:
        raise UsageError(
            f"the suite {question.suite} is another one than when this bisection began "
            f"({commit[:12] or 'no commit'} instead of {question.suite_commit[:12] or 'none'})",
            hint="check the old commit out, or begin a new bisection",
        )
    address = store_address(load_settings(question.suite), question.store)
    notes = [f"goes on after {len(state.tries)} trials"]
    return _asked(state, folder, address, notes)


def _asked(state: State, folder: Path, address: URL | None, notes: list[str]) -> Asked:
    question = state.question
    runs = folder.absolute() / "runs"
    images: Images
    if question.build:
        logs = folder.absolute() / "builds"
        images = BuiltImages(question.build, question.folder, logs, question.build_limit)
    else:
        profiles = load_profiles(SuiteFolder(question.suite).images_folders)
        images = GivenImages(profiles, question.folder)
    judge = RunJudge(state, images, runs, address)
    return Asked(state, folder, judge, tuple(notes))


def _lasting(store: str | None) -> str | None:
    """Return the address of a store as it can be found from any folder."""
    if store is None or store == "none" or "://" in store:
        return store
    return str(Path(store).absolute())


def _history(address: URL | None, ids: Sequence[str], files: Sequence[Path]) -> Tally:
    """Return how often the scenarios failed for nothing on images that are not in question."""
    if address is None:
        return Tally()
    try:
        with Store(address, must_exist=True) as store, store.reading() as connection:
            found = past_flakes(connection, ids, (), _failed)
            if not found.tries:
                return found  # so that no image needs to be read
            digests = [digest_of(file) for file in files if file.is_file()]
            return past_flakes(connection, ids, digests, _failed)
    except (TailstestError, OSError):
        return Tally()  # it only saves trials


def _failed(told: tuple[Told, ...]) -> bool | None:
    outcome = outcome_of(told).outcome
    return None if outcome is Outcome.UNCLEAR else outcome is Outcome.FAILED
