"""Writes a run into the store as it happens, and never spoils the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL

from tailstest.core.errors import InfrastructureError, TailstestError
from tailstest.core.events import (
    Event,
    Events,
    Noted,
    PlanMade,
    RunStarted,
    ScenarioFinished,
    ScenarioStarted,
)
from tailstest.core.text import printable
from tailstest.results.environment_view import image_digest
from tailstest.results.run_record import AttemptRecord, Run, ScenarioRecord
from tailstest.results.store.attempt_rows import AttemptRows
from tailstest.results.store.contents_file import kept_contents, store_contents
from tailstest.results.store.engine import PATIENCE_OF_A_RUN, Store
from tailstest.results.store.kept_texts import KeptTexts
from tailstest.results.store.run_rows import begin_run, end_run, plan_run


class LiveStore:
    """Follows a run; called by the recorder with every event and what is known of the run.

    Each scenario is in the store, on disk, when its end has been told; one that has begun is
    there as incomplete. When the store fails, one warning says so, nothing more is written, and
    the run goes on: `tailstest store add` takes it from its folder later.

    Args:
        url: from `store_address`.
        folder: of the run.
        events: told the warning.
    """

    def __init__(self, url: URL, folder: Path, events: Events) -> None:
        self._url = url
        self._folder = folder
        self._events = events
        self._store: Store | None = None
        self._texts = KeptTexts()
        self._number = 0
        self._numbers: dict[str, int] = {}
        self._is_given_up = False

    def __call__(self, event: Event, run: Run) -> None:
        """Take an event; `run` has it already."""
        if isinstance(event, (RunStarted, PlanMade, ScenarioStarted, ScenarioFinished)):
            self._try(lambda: self._take(event, run))

    def close(self, run: Run) -> None:
        """Write how the run ended, and let go of the store; harmless when done before."""
        if self._store is not None:
            self._try(lambda: self._end(run))
            if self._store is not None:
                self._store.close()
                self._store = None
        self._is_given_up = True

    def _take(self, event: Event, run: Run) -> None:
        if isinstance(event, RunStarted):
            self._begin(run)
        elif self._store is None:
            return
        elif isinstance(event, PlanMade):
            with self._store.writing() as connection:
                self._numbers = plan_run(connection, self._texts, self._number, run)
        elif isinstance(event, (ScenarioStarted, ScenarioFinished)):
            scenario = run.scenario(event.scenario_id)
            if scenario is not None and scenario.last is not None:
                self._write(self._store, scenario, scenario.last)

    def _begin(self, run: Run) -> None:
        self._store = Store(self._url, patience=PATIENCE_OF_A_RUN)
        with self._store.writing() as connection:
            self._number = begin_run(
                connection, self._texts, run, self._folder, source="tailstest", is_live=True
            )
        try:
            self._take_contents(self._store, run)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run itself is kept
            said = error.message if isinstance(error, TailstestError) else _of_ours(error)
            text = f"the store cannot tell what the image is made of: {said}"
            self._events.publish(Noted(text=printable(text)))

    def _take_contents(self, store: Store, run: Run) -> None:
        contents = kept_contents(self._folder, image_digest(run.environment))
        if contents is not None:
            with store.writing() as connection:
                store_contents(connection, self._number, contents)

    def _write(self, store: Store, scenario: ScenarioRecord, attempt: AttemptRecord) -> None:
        with store.writing() as connection:
            if scenario.id not in self._numbers:
                planned = {
                    "key": scenario.id,
                    "name": scenario.name,
                    "feature": scenario.feature,
                    "location": scenario.location,
                }
                self._numbers |= self._texts.scenarios(connection, [planned])
            rows = AttemptRows(self._number)
            rows.add(self._numbers[scenario.id], scenario, attempt)
            rows.write(connection, self._texts)

    def _end(self, run: Run) -> None:
        if self._store is not None:
            with self._store.writing() as connection:
                end_run(connection, self._number, run)

    def _try(self, action: Callable[[], None]) -> None:
        if self._is_given_up:
            return
        try:
            action()
        except TailstestError as error:
            self._give_up(error)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not end a run either
            self._give_up(InfrastructureError(f"the store: {_of_ours(error)}"))

    def _give_up(self, error: TailstestError) -> None:
        self._is_given_up = True
        store, self._store = self._store, None
        if store is not None:
            store.close()
        later = f"the run goes on; add it later: tailstest store add {self._folder}"
        what = f"{error.message} ({error.hint})" if error.hint else error.message
        self._tell(f"the store does not have this run: {what}; {later}")

    def _tell(self, text: str) -> None:
        self._events.publish(Noted(text=printable(text), level="warning"))


def _of_ours(error: Exception) -> str:
    """Return what is known of an error that is not meant for people."""
    return f"{type(error).__name__}: {error}"
