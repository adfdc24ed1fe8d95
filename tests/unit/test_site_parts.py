"""The parts that a site is made of: figures, plots, histories, comparisons, states of runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from statistics import median

import pytest
from lxml import etree
from site_tools import DAY

from tailstest.core.verdict import Verdict
from tailstest.results.site.history import ALWAYS, MAX_ROWS, Gap, Row, history_rows
from tailstest.results.site.lines import Cell, Line, standings_by_image
from tailstest.results.site.plots import clock_tick, line_plot
from tailstest.results.site.series import Curve, Series, durations, flake_rates, grouped
from tailstest.results.site.sides import StepSide, align, pair_of
from tailstest.results.site.tally import Tally
from tailstest.results.site.window import SiteRun, Window, windows
from tailstest.results.standing import AttemptInfo, Standing, judge
from tailstest.results.store.reading import RunInfo, ScenarioInfo

SCENARIO = ScenarioInfo(1, "f.feature#x", "x", "F", "f.feature:3")


def run_info(number: int, image: int | None = 1, **more: object) -> RunInfo:
    values: dict[str, object] = {
        "id": number,
        "run_id": f"run-{number}",
        "source": "tailstest",
        "started": 1_790_000_000.0 + 3600 * number,
        "ended": 1_790_000_060.0 + 3600 * number,
        "is_finished": True,
        "interrupted": False,
        "exit_status": 0,
        "hostname": "",
        "suite_commit": "",
        "product_commit": "",
        "image_id": image,
        "image": "demo",
        "image_digest": "a" * 64,
        "folder": "",
        "release": "",
        "is_kept": False,
        "problems": (),
    }
    return RunInfo(**(values | more))  # type: ignore[arg-type]


def window(images: list[int | None]) -> Window:
    """Return as many runs as there are images, the newest first."""
    count = len(images)
    runs = [SiteRun(run_info(count - n, image), n) for n, image in enumerate(images)]
    return Window(runs, {run.info.id: run.place for run in runs}, (1, count), count)


def line(told: str, *, seconds: float = 5.0) -> Line:
    """Return a scenario: a letter for each run, the newest first; "-" for one without it."""
    verdicts = {"p": [Verdict.PASSED], "f": [Verdict.FAILED], "i": [Verdict.INCOMPLETE]}
    verdicts["~"] = [Verdict.FAILED, Verdict.PASSED]
    cells = []
    for place, letter in enumerate(told):
        if letter == "p":
            cells.append(Cell(place, Standing.PASSED, seconds + place))
        elif letter != "-":
            attempts = tuple(
                AttemptInfo(place, number, verdict, seconds, "not seen")
                for number, verdict in enumerate(verdicts[letter], 1)
            )
            judged = judge(attempts, DAY)
            cells.append(Cell(place, judged.standing, seconds, attempts, judged.reason))
    return Line(SCENARIO, (), cells)


@pytest.mark.parametrize(
    ("told", "since", "last_good", "runs"),
    [("ffp", 1, 2, 2), ("fif-p", 2, 4, 2), ("fff", 2, None, 3), ("if~f", 1, 2, 1)],
)
def test_red_since(told: str, since: int, last_good: int | None, runs: int) -> None:
    tally = Tally(window([1] * len(told)))
    tally.add(line(told), is_flaky=False)
    (red,) = tally.red
    assert red.since.place == since
    assert (red.last_good.place if red.last_good else None) == last_good
    assert red.runs == runs


@pytest.mark.parametrize("told", ["pff", "~ff", "ipf", "--pf", "i"])
def test_what_passed_again_is_not_red(told: str) -> None:
    tally = Tally(window([1] * len(told)))
    tally.add(line(told), is_flaky=False)
    assert tally.red == []


def test_new_failures_are_counted_where_they_began() -> None:
    whole = window([1] * 6)
    tally = Tally(whole)
    tally.add(line("ffipfp"), is_flaky=False)
    assert [run.newly_failing for run in whole.runs] == [0, 1, 0, 0, 1, 0]
    assert [run.newly_passing for run in whole.runs] == [0, 0, 0, 1, 0, 0]
    tally.add(line("----ff"), is_flaky=False)  # nobody knows what was before the oldest run
    assert [run.newly_failing for run in whole.runs] == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("counts", "more", "standing", "words"),
    [
        ({Standing.PASSED: 3}, {}, Standing.PASSED, "green"),
        ({Standing.PASSED: 3, Standing.KNOWN: 1}, {}, Standing.PASSED, "green"),
        ({Standing.FAILED: 1, Standing.ERRORED: 1}, {}, Standing.FAILED, "2 red, none new"),
        ({Standing.FLAKY: 1, Standing.PASSED: 1}, {}, Standing.FLAKY, "1 flaky"),
        ({Standing.PASSED: 1, Standing.NOT_RUN: 2}, {}, Standing.INCOMPLETE, "2 without a result"),
        ({Standing.PASSED: 1}, {"is_finished": False}, Standing.INCOMPLETE, "did not end"),
        ({Standing.PASSED: 1}, {"interrupted": True}, Standing.INCOMPLETE, "interrupted"),
        ({Standing.PASSED: 1}, {"problems": ("x",)}, Standing.INCOMPLETE, "problems outside"),
        ({Standing.PASSED: 1, Standing.MANUAL: 2}, {}, Standing.MANUAL, "green, 2 to do by hand"),
        ({Standing.SKIPPED: 2}, {}, Standing.INCOMPLETE, "nothing ran"),
        ({}, {}, Standing.INCOMPLETE, "nothing ran"),
    ],
)
def test_the_state_of_a_run_is_never_better_than_it_is(
    counts: dict[Standing, int], more: dict[str, object], standing: Standing, words: str
) -> None:
    run = SiteRun(run_info(1, **more), 0, counts=Counter(counts))
    assert run.state.standing is standing
    assert run.state.words.startswith(words)


def test_a_history_is_short_where_nothing_happened() -> None:
    history = history_rows(line("p" * 30 + "f" + "p" * 30))
    kinds = [type(row).__name__ for row in history.rows]
    assert kinds == ["Row"] * ALWAYS + ["Gap", "Row", "Row", "Row", "Gap"]
    gap = history.rows[ALWAYS]
    assert isinstance(gap, Gap)
    assert (gap.newest, gap.oldest, gap.runs, gap.passed) == (10, 28, 19, 19)
    assert gap.seconds == (15.0, 33.0)
    assert {29, 30, 31} <= history.anchored


def test_a_history_of_nothing_but_failures_is_bounded() -> None:
    history = history_rows(line("f" * 1000))
    assert len(history.rows) == MAX_ROWS + 1
    last = history.rows[-1]
    assert isinstance(last, Gap)
    assert (last.runs, last.passed) == (1000 - MAX_ROWS, 0)
    assert isinstance(history.rows[0], Row)


def test_flake_rates_leave_out_images_on_which_it_only_failed() -> None:
    broken = window([2, 2, 2, 1, 1])
    assert flake_rates(line("fffpp"), broken) is None
    series = flake_rates(line("ffpfp"), window([2, 2, 1, 1, 1]))
    assert series is not None
    # The oldest first: 0 of 1, 1 of 2, 1 of 3, and no more of the image that only fails.
    assert series.curves[0].values == (0.0, 0.5, pytest.approx(1 / 3), *[pytest.approx(1 / 3)] * 2)


def test_flake_rates_look_back_over_some_runs_only() -> None:
    series = flake_rates(line("p" * 25 + "fp"), window([1] * 27))
    assert series is not None
    assert series.curves[0].values[-1] == 0.0
    assert max(value or 0 for value in series.curves[0].values) == 0.5


def test_without_an_image_only_attempts_of_one_run_make_a_flake() -> None:
    assert flake_rates(line("fp"), window([None, None])) is None
    assert flake_rates(line("~"), window([None])) is not None


def test_durations_are_those_of_passes_with_failures_marked() -> None:
    series = durations(line("pfp"), window([1] * 3))
    assert series is not None
    passed, failed = series.curves
    assert passed.values == (7.0, None, 5.0)
    assert failed.values == (None, 5.0, None)
    assert durations(line("ff"), window([1, 1])) is None


def test_many_runs_become_few_points() -> None:
    labels = [f"{n}" for n in range(101)]
    curve = Curve("x", "plain", tuple(float(n) if n != 3 else None for n in range(101)))
    series = grouped(labels, [curve], median, most=10)
    assert series.together == 11
    assert len(series.labels) == len(series.curves[0].values) == 10
    assert series.labels[0] == "0 to 10"
    assert series.curves[0].values[0] == 5.5  # without the one that is missing


def plot(values: tuple[float | None, ...], **more: object) -> etree._Element:
    series = Series(tuple(f"run {n}" for n in range(len(values))), (Curve("c", "passed", values),))
    options: dict[str, object] = {"id": "p", "y_title": "seconds", "form": str} | more
    return etree.fromstring(line_plot(series, "<b>&\x1b[31m", **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [(), (None,), (0.0,), (5.0,), (1e9, 0.001), (0.2, 0.4, None, 0.1), (float("inf"), 1.0)],
)
def test_a_plot_is_well_formed_and_stays_inside(values: tuple[float | None, ...]) -> None:
    drawn = plot(values)
    assert drawn.find("title").text == "<b>&"
    marks = drawn.findall(".//path[@class='mark m-passed']")
    points = re.findall(r"M([\d.]+) ([\d.]+)m", marks[0].get("d")) if marks else []
    assert len(points) == sum(value is not None for value in values)
    assert all(0 <= float(x) <= 640 and 0 <= float(y) <= 220 for x, y in points)


@pytest.mark.parametrize(
    ("top", "is_time", "last"),
    [
        (47.0, True, "1 min"),
        (3700.0, True, "1 h 30 min"),
        (0.3, True, "0.3 s"),
        (7.0, False, "8 s"),
    ],
)
def test_ticks_are_where_people_count(top: float, is_time: bool, last: str) -> None:
    drawn = plot((top,), form=clock_tick, is_time=is_time)
    ticks = [text.text for text in drawn.findall("text[@class='tick']")]
    assert ticks[0] == "0"
    assert last in ticks


def step(text: str, verdict: Verdict = Verdict.PASSED) -> StepSide:
    return StepSide(f"Given {text}", text, verdict, 1.0)


def test_steps_are_aligned_by_what_they_say() -> None:
    passed = [step(text) for text in ("a", "b", "c", "d")]
    failed = [step("a"), step("new"), step("c", Verdict.FAILED)]
    rows = [(p.key if p else "", f.key if f else "") for p, f in align(passed, failed)]
    assert rows == [("a", "a"), ("b", ""), ("", "new"), ("c", "c"), ("d", "")]


def test_steps_that_were_only_announced_are_aligned_too() -> None:
    announced = StepSide("And it works", "And it works", Verdict.NOT_RUN, 0.0)
    ran = StepSide("And it works", "it works", Verdict.PASSED, 1.0)
    stored = StepSide("Dann es geht", "es geht", Verdict.PASSED, 1.0)
    bare = StepSide("es geht", "es geht", Verdict.NOT_RUN, 0.0)
    assert align([ran, stored], [announced, bare]) == [(ran, announced), (stored, bare)]


@pytest.mark.parametrize(
    ("told", "failed", "passed", "is_after"),
    [
        ("pfp", (1, 1), (2, 1), False),
        ("pff", (1, 1), (0, 1), True),
        ("p~p", (1, 1), (2, 1), False),
        ("~", (0, 1), (0, 2), True),
        ("if-ip", (1, 1), (4, 1), False),
    ],
)
def test_the_newest_failure_is_held_against_the_pass_before_it(
    told: str, failed: tuple[int, int], passed: tuple[int, int], is_after: bool
) -> None:
    assert pair_of(line(told)) == (failed, passed, is_after)


@pytest.mark.parametrize("told", ["ppp", "fff", "i", ""])
def test_there_is_nothing_to_hold_against_each_other(told: str) -> None:
    assert pair_of(line(told)) is None


def test_an_image_is_judged_by_all_its_runs() -> None:
    images: list[int | None] = [2, 2, 1, None]
    found = standings_by_image(line("pfpf"), images, DAY)
    assert found == {2: Standing.FLAKY, 1: Standing.PASSED}


def test_windows_cover_everything_once() -> None:
    assert [list(part) for part in windows(5, 2)] == [[0, 1], [2, 3], [4]]
    assert [list(part) for part in windows(0, 2)] == [[]]


def tried(*runs: Sequence[tuple[str, str, str]]) -> Line:
    """Return a scenario: for each run, the newest first, its attempts: letter, machine, person."""
    verdicts = {"p": Verdict.PASSED, "f": Verdict.FAILED}
    cells = []
    for place, attempts in enumerate(runs):
        told = tuple(
            AttemptInfo(
                run=place,
                number=n,
                verdict=verdicts[letter],
                seconds=0.0 if person else 5.0,
                machines=(machine,) if machine else (),
                person=person,
            )
            for n, (letter, machine, person) in enumerate(attempts, 1)
        )
        cells.append(Cell(place, judge(told, DAY).standing, 5.0 * len(told), told))
    return Line(SCENARIO, (), cells)


@pytest.mark.parametrize(
    ("runs", "rates"),
    [
        ([[("p", "bios", "")], [("f", "uefi", "")]], None),
        ([[("p", "bios", "")], [("f", "bios", "")]], (None, 0.5)),
        ([[("p", "bios", "")], [("f", "", "")]], (None, 0.5)),
        ([[("p", "", "")], [("f", "uefi", "")]], (None, 0.5)),
        ([[("p", "bios", ""), ("f", "uefi", "")], [("f", "bios", "")]], (None, 0.5)),
        ([[("p", "bios", "")], [("f", "bios", ""), ("p", "", "Ana")]], None),
        ([[("p", "bios", "")], [("p", "bios", ""), ("f", "", "Ana")]], (None, 0.5)),
    ],
)
def test_flakes_are_on_the_same_kind_of_machine_and_people_have_the_last_word(
    runs: list[list[tuple[str, str, str]]], rates: tuple[float | None, ...] | None
) -> None:
    series = flake_rates(tried(*runs), window([1] * len(runs)))
    assert (series.curves[0].values if series else None) == rates


def test_changed_guests_make_no_flake_over_runs() -> None:
    changed = window([1, 1])
    changed.runs[:] = [
        SiteRun(run_info(2 - place, 1, image_digest="a" * 64 + "+changes"), place)
        for place in range(2)
    ]
    assert flake_rates(line("fp"), changed) is None
    assert flake_rates(line("~p"), changed) is not None


def test_the_time_of_a_pass_is_not_that_of_a_person() -> None:
    series = durations(tried([("p", "", "")], [("p", "", ""), ("p", "", "Ana")]), window([1, 1]))
    assert series is not None
    assert series.curves[0].values == (5.0, 5.0)
