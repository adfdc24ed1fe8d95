"""Verdicts on scenarios, and the answers that the store gives."""

from __future__ import annotations

import datetime
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from store_tools import START, made_run, open_store
from suite_tools import feature, make_suite, scenario

from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.results.answers.compare import Comparison, compare_runs
from tailstest.results.answers.flaky import flaky_scenarios
from tailstest.results.answers.forecast import forecast
from tailstest.results.answers.history import history_of
from tailstest.results.answers.proportion import proportion
from tailstest.results.answers.slow import slow_ones
from tailstest.results.standing import AttemptInfo, Standing, judge
from tailstest.results.store.adding import add_run
from tailstest.results.store.engine import Store
from tailstest.results.store.image_contents import ImageContents, write_contents
from tailstest.results.store.image_reading import kernel_version, package_list
from tailstest.results.store.reading import find_run, find_scenario
from tailstest.results.suspect import Suspect
from tailstest.suite.expectation import expected_time
from tailstest.suite.plan import make_plan
from tailstest.suite.run_options import RunOptions

TODAY = datetime.date(2026, 11, 26)


def standing(*verdicts: str, tags: tuple[str, ...] = (), machines: tuple[str, ...] = ()) -> str:
    attempts = [
        AttemptInfo(
            1, n + 1, Verdict(verdict), 1.0, "why", tags, (machines[n],) if machines else ()
        )
        for n, verdict in enumerate(verdicts)
    ]
    return judge(attempts, TODAY).standing.value


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["passed"], "passed"),
        (["failed"], "failed"),
        (["failed", "passed"], "flaky"),
        (["passed", "failed"], "flaky"),
        (["errored", "passed"], "flaky"),
        (["failed", "errored"], "errored"),
        (["incomplete", "passed"], "passed"),
        (["incomplete", "failed"], "failed"),
        (["incomplete"], "incomplete"),
        (["not run"], "not run"),
        (["manual"], "manual"),
        (["skipped"], "skipped"),
    ],
)
def test_what_attempts_mean_together(verdicts: list[str], expected: str) -> None:
    assert standing(*verdicts) == expected


def test_a_failure_under_uefi_is_none_that_bios_forgives() -> None:
    assert standing("passed", "failed", machines=("bios dvd", "uefi dvd")) == "failed"
    assert standing("failed", "passed", machines=("uefi dvd", "uefi dvd")) == "flaky"


def told(*attempts: tuple[str, Suspect | None, str]) -> list[AttemptInfo]:
    """Return attempts of verdict, suspect and machine; the cause is the name of the machine."""
    return [
        AttemptInfo(1, n + 1, Verdict(verdict), 1.0, machine, machines=(machine,), suspect=suspect)
        for n, (verdict, suspect, machine) in enumerate(attempts)
    ]


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        ([("failed", Suspect.TEST, "bios")], ("bios", Suspect.TEST)),
        ([("passed", None, "bios")], ("", None)),
        ([("incomplete", Suspect.AGENT, "bios")], ("bios", Suspect.AGENT)),
        ([("incomplete", Suspect.AGENT, "bios"), ("passed", None, "bios")], ("", None)),
        (
            [("failed", Suspect.PRODUCT, "uefi"), ("incomplete", Suspect.AGENT, "bios")],
            ("uefi", Suspect.PRODUCT),
        ),
        (
            [("failed", Suspect.TEST, "a"), ("passed", None, "a"), ("incomplete", None, "a")],
            ("a", Suspect.TEST),
        ),
    ],
)
def test_the_suspect_is_that_of_the_attempt_that_gives_the_reason(
    attempts: list[tuple[str, Suspect | None, str]], expected: tuple[str, Suspect | None]
) -> None:
    judged = judge(told(*attempts), TODAY)
    assert (judged.reason, judged.suspect) == expected


def test_an_excuse_takes_no_suspect_away_and_a_person_does() -> None:
    (failed,) = told(("failed", Suspect.HOST, "bios"))
    known = judge([replace(failed, tags=("known:BUG-1:2026-12-01",))], TODAY)
    assert (known.standing, known.suspect) == (Standing.KNOWN, Suspect.HOST)
    by_hand = replace(failed, number=2, suspect=None, person="Ana")
    assert judge([failed, by_hand], TODAY).suspect is None


@pytest.mark.parametrize(
    ("verdict", "tag", "expected", "words"),
    [
        ("failed", "known:BUG-1:2026-11-26", "known", "BUG-1 until 2026-11-26: why"),
        ("failed", "known:a:b#1:2026-12-01", "known", "a:b#1 until"),
        ("failed", "known:BUG-1:2026-11-25", "failed", "until 2026-11-25 only"),
        ("failed", "known:BUG-1", "failed", "excuses nothing"),
        ("failed", "known", "failed", "excuses nothing"),
        ("failed", "knowns:BUG-1:2026-12-31", "failed", "why"),
        ("passed", "known:BUG-1:2026-12-31", "failed", "it passes, although"),
        ("errored", "known:BUG-1:2026-12-31", "errored", "why"),
        ("incomplete", "known:BUG-1:2026-12-31", "incomplete", "why"),
    ],
)
def test_a_known_bug_excuses_failures_until_its_day_and_turns_red_after(
    verdict: str, tag: str, expected: str, words: str
) -> None:
    found = judge([AttemptInfo(1, 1, Verdict(verdict), 1.0, "why", (tag,))], TODAY)
    assert found.standing.value == expected
    assert words in found.reason


@pytest.mark.parametrize("same_machine", [True, False])
@pytest.mark.parametrize("known_first", [True, False])
def test_the_excuse_of_one_failure_excuses_no_other(same_machine: bool, known_first: bool) -> None:
    picture, panic = told(
        ("failed", None, "bios"), ("failed", None, "bios" if same_machine else "uefi")
    )
    picture = replace(picture, cause="no picture", tags=("known:BUG-1:2026-12-01",))
    panic = replace(panic, cause="kernel panic")
    judged = judge([picture, panic] if known_first else [panic, picture], TODAY)
    assert (judged.standing, judged.reason) == (Standing.FAILED, "kernel panic")
    assert judge([picture, replace(picture, number=2)], TODAY).standing is Standing.KNOWN


def test_what_a_person_said_of_one_run_does_not_speak_for_another() -> None:
    (automatic,) = told(("failed", None, "uefi"))
    by_hand = replace(automatic, number=2, verdict=Verdict.PASSED, person="Ana", machines=())
    assert judge([automatic, by_hand], TODAY).standing is Standing.PASSED
    assert judge([by_hand, replace(automatic, run=2)], TODAY).standing is Standing.FLAKY
    still_to_do = replace(automatic, run=2, verdict=Verdict.MANUAL)
    assert judge([by_hand, still_to_do], TODAY).standing is Standing.PASSED
    changed_mind = replace(by_hand, number=3, verdict=Verdict.FAILED)
    assert judge([automatic, by_hand, changed_mind], TODAY).standing is Standing.FAILED


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (1, 10), (5, 10), (10, 10), (3, 1000)])
def test_wilsons_interval_is_where_the_rate_is_just_as_far_as_sure(hits: int, trials: int) -> None:
    """A bound is a true rate from which the one that was seen differs by 1.96 of its deviations."""
    found = proportion(hits, trials)
    for bound in (found.low, found.high):
        if bound not in (0.0, 1.0):
            deviation = (bound * (1 - bound) / trials) ** 0.5
            assert abs(found.rate - bound) / deviation == pytest.approx(1.959964, abs=1e-6)
    assert found.low <= found.rate <= found.high


def test_nothing_seen_is_nothing_known() -> None:
    assert proportion(0, 0) == (0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="no proportion"):
        proportion(2, 1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path)


def test_the_history_names_the_last_good_and_the_first_bad_run(store: Store) -> None:
    for number, verdict in enumerate(
        ["passed", "failed", "passed", "failed", "incomplete", "failed"]
    ):
        add_run(store, made_run(number, {"a": verdict, "other": "passed"}))
    found = history_of(store, "a", limit=4, today=TODAY)
    assert [entry.run.run_id for entry in found.entries] == ["run-5", "run-4", "run-3", "run-2"]
    assert found.last_good is not None and found.first_bad is not None
    assert (found.last_good.run_id, found.first_bad.run_id) == ("run-2", "run-3")
    assert (found.runs, found.failing.rate) == (6, 3 / 5)
    assert found.to_json()["entries"][0]["verdict"] == "failed"


def test_the_history_of_a_row_is_its_own(store: Store) -> None:
    add_run(store, made_run(1, {'o{"n": "1"}': "failed", 'o{"n": "2"}': "passed"}))
    found = history_of(store, 'features/o.feature#o{"n": "2"}', limit=9, today=TODAY)
    assert [entry.judged.standing for entry in found.entries] == [Standing.PASSED]


def test_scenarios_and_runs_are_found_by_what_people_type(store: Store) -> None:
    add_run(store, made_run(1, {"Über alles": "passed", "Über uns": "passed", "b": "passed"}))
    add_run(store, made_run(12, {"b": "passed"}))
    with store.reading() as connection:
        assert find_scenario(connection, "über a").name == "Über alles"
        assert find_scenario(connection, "features/b.feature:3").name == "b"
        for text, words in (("ÜBER", "any of 2 scenarios"), ("uber alle", "knows no scenario")):
            with pytest.raises(UsageError, match=words):
                find_scenario(connection, text)
        assert find_run(connection, "run-12").run_id == "run-12"
        assert find_run(connection, "run-1").run_id == "run-1"
        assert find_run(connection, "latest~1").run_id == "run-1"
        assert find_run(connection, "some/where/run-1/").run_id == "run-1"
        for text, words in (("run", "any of these runs"), ("nightly", "no run or release")):
            with pytest.raises(UsageError, match=words):
                find_run(connection, text)


def test_flaky_is_who_passed_and_failed_on_the_same_image(store: Store) -> None:
    flips = {
        "flips": "failed",
        "steady": "passed",
        "broken": "failed",
        "within": ["failed", "passed"],
    }
    add_run(store, made_run(1, flips, image="a", seconds={"flips": 7.0}))
    add_run(store, made_run(2, {**flips, "flips": "passed", "within": "passed"}, image="a"))
    add_run(store, made_run(3, {"broken": "passed", "steady": "failed"}, image="b"))
    flakes, runs = flaky_scenarios(store, last=10)
    found = {flake.scenario.name: flake for flake in flakes}
    assert (set(found), runs) == ({"flips", "within"}, 3)
    flips_found = found["flips"]
    assert (flips_found.failed, flips_found.passed, flips_found.cost) == (1, 1, 7.0)
    assert (flips_found.last_cause, flips_found.last_run) == ("not seen", "run-1")
    assert (found["within"].failed, found["within"].passed) == (1, 2)
    assert found["within"].rate.low < 1 / 3 < found["within"].rate.high
    assert flaky_scenarios(store, last=1) == ([], 1)


def test_without_an_image_only_one_run_counts(store: Store) -> None:
    add_run(store, made_run(1, {"a": "failed", "b": ["failed", "passed"]}))
    add_run(store, made_run(2, {"a": "passed", "b": "passed"}))
    assert [flake.scenario.name for flake in flaky_scenarios(store, last=9)[0]] == ["b"]


def test_the_slowest_and_what_became_slower(store: Store) -> None:
    for number in range(4):
        slow = {"fast": 1.0, "slow": 10.0 if number < 2 else 15.0}
        add_run(store, made_run(number, {"fast": "passed", "slow": "passed"}, seconds=slow))
    (first, second), runs = slow_ones(store, last=2, count=5, of_steps=False)
    assert (first.title, first.mean, first.times, first.change) == ("slow", 15.0, 2, 0.5)
    assert (second.title, second.change, runs) == ("fast", 0.0, 2)
    (step,), _runs = slow_ones(store, last=2, count=5, of_steps=True)
    assert (step.title, step.times) == ("Then it works", 4)


def names(found: Comparison, kind: str) -> list[str]:
    return [each.scenario.name for each in getattr(found, kind)]


def test_two_runs_compared(store: Store) -> None:
    before: dict[str, str | list[str]] = {
        "breaks": "passed",
        "heals": "failed",
        "wobbles": "passed",
        "slows": "passed",
        "vanishes": "passed",
        "stays": "failed",
        "unsure": "passed",
    }
    after = before | {"breaks": "failed", "heals": "passed", "wobbles": ["failed", "passed"]}
    after |= {"appears": "passed", "bad from the start": "failed", "unsure": "incomplete"}
    del after["vanishes"]
    add_run(store, made_run(1, before, image="a", seconds={"slows": 10.0}))
    add_run(store, made_run(2, after, image="a", seconds={"slows": 20.0}))
    found = compare_runs(store, "run-1", "latest", today=TODAY)
    assert names(found, "newly_failing") == ["breaks", "bad from the start"]
    assert names(found, "newly_passing") == ["heals"]
    assert names(found, "new_flakes") == ["wobbles"]
    assert names(found, "slower") == ["slows"]
    assert names(found, "unclear") == ["unsure"]
    assert (names(found, "added"), names(found, "removed")) == (["appears"], ["vanishes"])
    assert (found.same, found.images) == (1, None)
    assert found.to_json()["newly_failing"][0]["reason"] == "not seen"


def test_two_images_compared(store: Store) -> None:
    add_run(store, made_run(1, {"a": "passed"}, image="a"))
    add_run(store, made_run(2, {"a": "passed"}, image="b"))
    contents = (
        ImageContents(
            "6.1.0-1", {"tor": "0.4.7", "gone": "1"}, "l", {"/a": (1, "x"), "/b": (2, "")}
        ),
        ImageContents(
            "6.1.0-2", {"tor": "0.4.8", "new": "2"}, "l", {"/a": (1, "y"), "/b": (2, "")}
        ),
    )
    with store.writing() as connection:
        for run, each in zip(("run-1", "run-2"), contents, strict=True):
            image = find_run(connection, run).image_id
            assert image is not None
            write_contents(connection, image, each)
    found = compare_runs(store, "run-1", "run-2", today=TODAY).images
    assert found is not None
    assert found.kernel == ("6.1.0-1", "6.1.0-2")
    assert found.packages.to_json() == {
        "added": {"new": "2"},
        "removed": {"gone": "1"},
        "changed": {"tor": ["0.4.7", "0.4.8"]},
    }
    assert list(found.files.changed) == ["/a"]


def test_an_image_that_was_never_read_is_named(store: Store) -> None:
    add_run(store, made_run(1, {"a": "passed"}, image="a"))
    add_run(store, made_run(2, {"a": "passed"}, image="b"))
    found = compare_runs(store, "run-1", "run-2", today=TODAY)
    assert (found.images, found.images_unknown) == (None, ("a" * 64, "b" * 64))


def test_lists_of_packages_and_kernels() -> None:
    listed = b"adduser 3.134\nlibc6:amd64\t2.36-9\nweird\n# comment 1\n../x 1\nbash 5.2.15-2+b13\n"
    assert package_list(listed) == {"adduser": "3.134", "libc6": "2.36-9", "bash": "5.2.15-2+b13"}
    kernel = bytearray(0x1000)
    kernel[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", kernel, 0x20E, 0x600)
    kernel[0x800:0x820] = b"6.1.0-56-amd64 (x@y) #1\x00".ljust(0x20, b"\0")
    assert kernel_version(bytes(kernel)) == "6.1.0-56-amd64"
    assert kernel_version(b"\x00" * 10) == ""
    struct.pack_into("<H", kernel, 0x20E, 0xFFFF)
    assert kernel_version(bytes(kernel)) == ""


def test_a_forecast_takes_the_newest_runs_else_the_last_time(store: Store) -> None:
    add_run(store, made_run(0, {"rare": "passed"}, seconds={"rare": 40.0}))
    for number in range(1, 14):
        add_run(store, made_run(number, {"a": "passed", "bad": "failed"}, seconds={"a": 4.0}))
    ids = ["features/a.feature#a", "features/r.feature#rare", "features/b.feature#bad", "new"]
    found = forecast(store, ids)
    assert found.seconds == {ids[0]: 4.0, ids[1]: 40.0}
    assert (found.total, found.unknown) == (44.0, (ids[2], ids[3]))


def test_times_that_no_calendar_has_do_not_break_answers(store: Store) -> None:
    add_run(store, made_run(1, {"a": "passed"}, started=9e11))
    add_run(store, made_run(2, {"a": "passed"}, started=START))
    assert history_of(store, "a", limit=5, today=TODAY).runs == 2


def test_a_plan_is_made_without_a_store_that_cannot_be_asked(tmp_path: Path) -> None:
    text = feature(scenario("a", "Given I pass"), "@manual", scenario("hand", "Given a person"))
    plan = make_plan([str(make_suite(tmp_path / "suite", a=text))])
    file = tmp_path / "store.sqlite3"
    options = RunOptions(paths=("features",), store=str(file))
    assert expected_time(plan, options) == ""
    assert not file.exists()
    with open_store(tmp_path) as store:
        add_run(store, made_run(1, {"a": "passed"}, seconds={"a": 90.0}))
    assert expected_time(plan, options) == "before, 1 scenario took 1 min 30 s"
    file.write_bytes(b"no database " * 100)
    assert expected_time(plan, options) == ""
