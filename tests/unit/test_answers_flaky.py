"""Which attempts are held against each other: same image, same machine, and what people said."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import pytest
from store_tools import made_run, open_store

from tailstest.core.verdict import Verdict
from tailstest.results.answers.change_point import Tally
from tailstest.results.answers.flaky import Flake, flaky_scenarios
from tailstest.results.answers.forecast import forecast
from tailstest.results.answers.history import history_of
from tailstest.results.answers.known_outcomes import past_flakes
from tailstest.results.answers.slow import slow_ones
from tailstest.results.environment_view import CHANGED
from tailstest.results.run_record import Run
from tailstest.results.standing import Standing
from tailstest.results.store.adding import add_run
from tailstest.results.store.by_hand import record_by_hand
from tailstest.results.store.engine import Store
from tailstest.results.store.reading import find_run, find_scenario

BIOS, UEFI = "bios dvd", "uefi usb"
TODAY = datetime.date(2026, 11, 26)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def flakes(store: Store) -> dict[str, Flake]:
    return {flake.scenario.name: flake for flake in flaky_scenarios(store, last=10)[0]}


def say(store: Store, run: str, scenario: str, verdict: Verdict) -> None:
    """Record what a person says about a scenario."""
    with store.reading() as connection:
        numbers = find_run(connection, run).id, find_scenario(connection, scenario).id
    record_by_hand(store, *numbers, verdict, person="Ana", note="seen")


def changed(run: Run, *paths: str) -> Run:
    """Return a run whose guests were changed with --late-patch."""
    run.environment = {**run.environment, CHANGED: list(paths)}
    return run


def on(run: Run, *kinds: Sequence[str]) -> Run:
    """Return a run whose attempts had several kinds of machines each."""
    for attempt, machines in zip(run.scenarios[0].attempts, kinds, strict=True):
        attempt.machines = list(machines)
    return run


def test_what_a_person_corrected_is_no_flake(store: Store) -> None:
    verdicts = {"a": "failed", "b": ["failed", "passed"], "c": "failed"}
    add_run(store, made_run(1, verdicts, image="a"))
    add_run(store, made_run(2, dict.fromkeys("abc", "passed"), image="a"))
    assert set(flakes(store)) == {"a", "b", "c"}
    say(store, "run-1", "a", Verdict.PASSED)
    say(store, "run-1", "b", Verdict.FAILED)
    say(store, "run-1", "b", Verdict.PASSED)
    assert set(flakes(store)) == {"c"}


def test_what_a_person_said_is_an_attempt_like_others(store: Store) -> None:
    add_run(store, made_run(1, {"a": ["failed", "failed"]}, image="a", machines={"a": [UEFI] * 2}))
    add_run(store, made_run(2, {"a": "passed"}, image="a", machines={"a": [BIOS]}))
    assert flakes(store) == {}
    say(store, "run-2", "a", Verdict.FAILED)
    assert flakes(store) == {}
    say(store, "run-2", "a", Verdict.PASSED)
    found = flakes(store)["a"]
    assert (found.failed, found.passed, found.last_run) == (2, 1, "run-1")


def test_what_fails_on_another_kind_of_machine_is_no_flake(store: Store) -> None:
    both = {"machines": {"a": [UEFI, BIOS], "b": [UEFI, BIOS, BIOS]}, "image": "a"}
    verdicts = {"a": ["failed", "passed"], "b": ["failed", "passed", "failed"]}
    for number in range(2):
        add_run(store, made_run(number, verdicts, **both))  # type: ignore[arg-type]
    add_run(store, made_run(3, {"c": "failed"}, image="a", machines={"c": [UEFI]}))
    add_run(store, made_run(4, {"c": "passed"}, image="a", machines={"c": [BIOS]}))
    found = flakes(store)
    assert set(found) == {"b"}
    # Those under UEFI count neither for nor against it.
    assert (found["b"].failed, found["b"].passed, found["b"].cost) == (2, 2, 10.0)


def test_what_had_no_machine_yet_may_have_been_about_any(store: Store) -> None:
    add_run(store, made_run(1, {"a": "failed", "b": "failed"}, image="a", machines={"a": [UEFI]}))
    add_run(store, made_run(2, {"a": "passed", "b": "passed"}, image="a", machines={"b": [UEFI]}))
    assert set(flakes(store)) == {"a", "b"}


@pytest.mark.parametrize(("second", "is_flake"), [((UEFI, BIOS), True), ((BIOS,), False)])
def test_all_machines_of_an_attempt_are_its_kind(
    store: Store, second: tuple[str, ...], is_flake: bool
) -> None:
    add_run(store, on(made_run(1, {"a": "failed"}, image="a"), (BIOS, UEFI)))
    add_run(store, on(made_run(2, {"a": "passed"}, image="a"), second))
    assert (set(flakes(store)) == {"a"}) is is_flake


def test_changed_guests_are_alike_within_one_run_only(store: Store) -> None:
    add_run(store, changed(made_run(1, {"a": "failed", "b": "failed"}, image="a"), "/fix"))
    verdicts = {"a": "passed", "b": ["failed", "passed"]}
    add_run(store, changed(made_run(2, verdicts, image="a"), "/fix"))
    found = flakes(store)
    assert set(found) == {"b"}
    assert (found["b"].failed, found["b"].passed) == (1, 1)


def test_changed_guests_tell_nothing_of_past_flakes(store: Store) -> None:
    for number, verdict in enumerate(("failed", "passed", "passed")):
        add_run(store, changed(made_run(number, {"a": verdict}, image="a"), "/fix"))
    with store.reading() as connection:
        told = past_flakes(
            connection,
            ["features/a.feature#a"],
            (),
            lambda told: any(verdict is Verdict.FAILED for verdict, _suspect, _cause in told),
        )
    assert told == Tally(failed=0, passed=2)


def test_the_history_does_not_call_a_failure_under_uefi_a_flake(store: Store) -> None:
    verdicts = {"a": ["failed", "passed"], "b": ["failed", "passed"]}
    machines = {"a": [UEFI, BIOS], "b": [UEFI, UEFI]}
    add_run(store, made_run(1, verdicts, image="a", machines=machines))
    for name, standing in (("a", Standing.FAILED), ("b", Standing.FLAKY)):
        (entry,) = history_of(store, name, limit=1, today=TODAY).entries
        assert entry.judged.standing is standing


def test_what_a_person_did_takes_no_time(store: Store) -> None:
    ids = ["features/a.feature#a", "features/b.feature#b"]
    add_run(store, made_run(1, {"a": "passed", "b": "failed"}, seconds={"a": 40.0}))
    say(store, "run-1", "a", Verdict.PASSED)
    say(store, "run-1", "b", Verdict.PASSED)
    found = forecast(store, ids)
    assert (found.seconds, found.unknown) == ({ids[0]: 40.0}, (ids[1],))
    slow, _runs = slow_ones(store, last=5, count=5, of_steps=False)
    assert [(each.title, each.mean, each.times) for each in slow] == [("a", 40.0, 1)]
    for number in range(2, 13):
        add_run(store, made_run(number, {"c": "passed"}))
    assert forecast(store, ids).seconds == {ids[0]: 40.0}
