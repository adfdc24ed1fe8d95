"""Progress of a run: a live line on a terminal, plain lines where there is none."""

from __future__ import annotations

import io
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.live import Live
from rich.text import Text

from tailstest.core.events import (
    Event,
    FrameKept,
    HeldUp,
    Looked,
    Noted,
    PlanMade,
    ScenarioFinished,
    ScenarioStarted,
    StepFinished,
    StepStarted,
)
from tailstest.core.verdict import Verdict
from tailstest.results.console import QuietConsole
from tailstest.results.excuses import excuse_of
from tailstest.results.progress import OneAtATime, SeveralAtOnce
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import Run, ScenarioRecord
from tailstest.results.shown import one_line, shown
from tailstest.results.suspect_rules import suspicion_about
from tailstest.results.wording import VERDICTS, attempts_failed, duration, exit_meaning, plural

STYLES = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "bold red",
    Verdict.ERRORED: "bold magenta",
    Verdict.FLAKY: "bold yellow",
    Verdict.INCOMPLETE: "bold yellow",
    Verdict.SKIPPED: "dim",
    Verdict.NOT_RUN: "dim",
    Verdict.MANUAL: "cyan",
}
#: Problems of a plan, and scenarios in the final list, printed at most; the report has them all.
MAX_LISTED = 20
#: Characters of one error; an OCR transcript can be long.
MAX_ERROR = 4_000
_EXCUSE_STYLE = "cyan"
_BAD = (Verdict.FAILED, Verdict.ERRORED, Verdict.INCOMPLETE)
#: Redraws per second: enough for seconds that count, cheap on a machine that emulates another.
_REDRAWS = 4


class Terminal:
    """Prints what happens; a listener for `attach(..., terminal=...)`.

    On a terminal the scenario that is going on has a live line with its step and the time it
    takes; elsewhere (CI) every scenario is one line when it ends. Colours follow NO_COLOR.

    Args:
        folder: the run; paths of pictures are printed relative to the working directory.
        stream: where to print; standard output by default.
        live: force or forbid the live line; by default it is there when `stream` is a terminal.
    """

    def __init__(
        self, folder: RunFolder, *, stream: TextIO | None = None, live: bool | None = None
    ) -> None:
        self._folder = folder
        stream = stream if stream is not None else sys.stdout
        if isinstance(stream, io.TextIOWrapper):
            # A terminal or log in another encoding shows escapes instead of ending the run.
            stream.reconfigure(errors="backslashreplace")
        is_terminal = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._is_live = is_terminal if live is None else live
        self._console = QuietConsole(
            file=stream,
            highlight=False,
            markup=False,
            emoji=False,
            force_terminal=True if live else None,
        )
        self._live: Live | None = None
        self._progress = OneAtATime()
        self._several: SeveralAtOnce | None = None
        self._frame = ""
        self._printed_frame = ""
        self._location = ""
        self._began = 0.0
        self._told: Verdict | None = None
        self._attempts: Counter[str] = Counter()
        self._attempt = 1

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if isinstance(event, PlanMade):
            self._plan(event)
        elif isinstance(event, ScenarioStarted):
            self._scenario_started(event)
        elif isinstance(event, StepStarted):
            self._progress.begin_step(event)
        elif isinstance(event, StepFinished):
            self._step_finished(event)
        elif isinstance(event, HeldUp):
            self._progress.held = event.text
        elif isinstance(event, ScenarioFinished):
            self._scenario_finished(event)
        elif isinstance(event, FrameKept):
            self._frame = event.path
        elif isinstance(event, Looked):
            self._frame = event.files.get("frame", self._frame)
        elif isinstance(event, Noted) and event.level == "warning":
            self._print(Text(f"  warning: {one_line(event.text)}", "yellow"))

    def follow(self, several: SeveralAtOnce) -> None:
        """Show scenarios that run at the same time, from now on until the end of the run."""
        self._several = several
        several.total = self._progress.total
        self._start_live()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Take the live line away while something else uses the terminal (a prompt)."""
        was_live = self._live is not None
        self._stop_live()
        try:
            yield
        finally:
            if was_live:
                self._start_live()

    def end(self, run: Run, report: Path | None) -> None:
        """Print the summary: counts, where the report is, and what the exit status means."""
        self._stop_live()
        if len(run.scenarios) > 1 or run.flaky:
            self._list(run, [each for each in run.bad if not each.is_flaky])
            self._list(run, run.flaky)
        elif run.bad:
            self._print(Text(f"Suspect: {suspicion_about(run.bad[0])}"))
            excuse = excuse_of(run.bad[0], run)
            if excuse:
                self._print(Text(one_line(excuse), _EXCUSE_STYLE))
        # Those that pass although a tag says that they fail.
        passed = [each for each in run.scenarios if each.verdict is Verdict.PASSED]
        self._list(run, [each for each in passed if excuse_of(each, run)])
        parts = Text()
        for verdict, number in run.counts.items():
            if number:
                parts.append(", " if parts else "")
                parts.append(f"{number} {VERDICTS[verdict].label.lower()}", STYLES[verdict])
        self._print(Text())
        took = f" in {duration(run.seconds)}"
        self._print(parts.append(took) if parts else Text("no scenario ran" + took, "bold red"))
        if run.problems:
            self._print(Text(f"{plural(len(run.problems), 'problem')} in the plan", "bold magenta"))
        for place, verdict in list(run.trouble.items())[:MAX_LISTED]:
            text = f"trouble outside of the scenarios: {one_line(place)}: {verdict.value}"
            self._print(Text(text, "bold magenta"))
        if run.flaky:
            words = VERDICTS[Verdict.FLAKY]
            self._print(Text(f"{words.label}: {words.meaning}", STYLES[Verdict.FLAKY]))
        if run.interrupted:
            self._print(Text("the run was interrupted", "bold yellow"))
        if report is not None:
            self._print(Text(f"Report: {self._short(report)}"))
        else:
            self._print(Text("No report could be written.", "bold yellow"))
        self._print(Text(f"Exit status {run.exit_status}: {exit_meaning(run.exit_status)}"))

    def _plan(self, event: PlanMade) -> None:
        self._progress.total = len(event.scenarios)
        line = plural(len(event.scenarios), "scenario")
        if event.excluded:
            line += f", {len(event.excluded)} left out"
        self._print(Text(f"{line}; evidence goes to {self._short(self._folder.path)}"))
        for problem in event.problems[:MAX_LISTED]:
            self._print(Text(f"  problem: {shown(problem, MAX_ERROR)}", "magenta"))
        if len(event.problems) > MAX_LISTED:
            self._print(Text(f"  ... and {len(event.problems) - MAX_LISTED} more problems"))

    def _scenario_started(self, event: ScenarioStarted) -> None:
        self._frame = self._printed_frame = ""
        self._told = None
        self._attempts[event.scenario_id] += 1
        self._attempt = self._attempts[event.scenario_id]
        self._location = event.location
        self._began = event.time
        self._progress.begin_scenario(event)
        self._start_live()

    def _step_finished(self, event: StepFinished) -> None:
        verdict = Verdict(event.verdict)
        if verdict not in _BAD:
            return
        if self._told is None:
            self._headline(verdict, event.time - self._began)
        step, location = self._progress.step, self._progress.location
        self._print(Text(f"    {one_line(step)}").append(f"  {one_line(location)}", "dim"))
        self._trouble(event.error, event.hint, verdict)
        self._picture()

    def _scenario_finished(self, event: ScenarioFinished) -> None:
        verdict = Verdict(event.verdict)
        if self._several is None:
            self._stop_live()
        else:
            self._several.ended = len(self._attempts)
        had_trouble = self._told is not None
        if self._told is not verdict:
            self._headline(verdict, event.seconds)
        if verdict in _BAD:
            if not had_trouble:
                self._trouble(event.error, "", verdict)
            self._picture()
        elif verdict is Verdict.SKIPPED and event.error:
            self._trouble(event.error, "", verdict)

    def _headline(self, verdict: Verdict, seconds: float) -> None:
        """Print the line of a scenario; a failed one gets it when its step fails, not later."""
        self._told = verdict
        words = VERDICTS[verdict]
        line = Text().append(f"{words.sign} {words.label:<10}", STYLES[verdict])
        line.append(f" {duration(max(0.0, seconds)):>9}  ", "dim")
        line.append(one_line(self._progress.name) or "(unnamed scenario)")
        if self._attempt > 1:  # what others said of it still counts
            line.append(f"  attempt {self._attempt}", "dim")
        if verdict in _BAD or not self._is_live:
            line.append(f"  {one_line(self._location)}", "dim")
        self._print(line)

    def _trouble(self, error: str, hint: str, verdict: Verdict) -> None:
        lines = shown(error, MAX_ERROR).splitlines() or ["no reason was given"]
        for line in lines:
            self._print(Text(f"    {line}", STYLES[verdict].removeprefix("bold ")))
        if hint:
            self._print(Text(f"    What to do: {shown(hint, MAX_ERROR)}"))

    def _picture(self) -> None:
        if self._frame and self._frame != self._printed_frame:
            file = self._folder.file(self._frame)
            if file is not None:
                self._print(Text(f"    Screen: {self._short(file)}", "dim"))
            self._printed_frame = self._frame

    def _list(self, run: Run, scenarios: list[ScenarioRecord]) -> None:
        if scenarios:
            self._print(Text())
        for scenario in scenarios[:MAX_LISTED]:
            label, style = VERDICTS[scenario.verdict].label, STYLES[scenario.verdict]
            line = Text().append(f"{label:<10}  ", style)
            line.append(f"{one_line(scenario.location)}  ").append(one_line(scenario.name))
            if scenario.is_flaky:
                how_often = attempts_failed(scenario.failures, len(scenario.attempts))
                line.append(f"  {how_often}", style)
            suspected = suspicion_about(scenario)
            if suspected is not None:
                line.append(f"  suspect: {suspected.suspect}", "dim")
            excuse = excuse_of(scenario, run)
            if excuse:
                line.append(f"  {one_line(excuse)}", _EXCUSE_STYLE)
            self._print(line)
        if len(scenarios) > MAX_LISTED:
            self._print(Text(f"... and {len(scenarios) - MAX_LISTED} more, see the report"))

    def _print(self, text: Text) -> None:
        # Soft wrapping leaves a path in one piece, to be clicked or copied.
        self._console.print(text, soft_wrap=True)

    def _start_live(self) -> None:
        if self._is_live and self._live is None:
            self._live = Live(
                self._several or self._progress,
                console=self._console,
                refresh_per_second=_REDRAWS,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def _stop_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _short(self, path: Path) -> str:
        try:
            return str(path.relative_to(Path.cwd()))
        except (ValueError, OSError):
            return str(path)
