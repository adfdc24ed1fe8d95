"""The live part of a terminal's output: what is going on right now, and for how long."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from tailstest.core.events import Event, HeldUp, ScenarioFinished, ScenarioStarted, StepStarted
from tailstest.results.shown import one_line
from tailstest.results.wording import duration


class OneAtATime:
    """The live line; rich asks it for its current state at every redraw."""

    def __init__(self) -> None:
        self.total = 0
        self.name = ""
        self.step = ""
        #: What is waited for instead of doing the step.
        self.held = ""
        self.location = ""
        self._number = 0
        self._step_number = 0
        self._steps = 0
        self._scenario_began = 0.0
        self._step_began = 0.0

    def begin_scenario(self, event: ScenarioStarted) -> None:
        """Show a scenario."""
        self._number += 1
        self.name = event.name
        self.step, self.location = "", event.location
        self._steps, self._step_number = len(event.steps), 0
        self._scenario_began = self._step_began = time.monotonic()

    def begin_step(self, event: StepStarted) -> None:
        """Show a step of it."""
        self.step = f"{event.keyword.strip()} {event.text}".strip()
        self.held = ""
        self.location = event.location
        self._step_number = event.index + 1
        self._step_began = time.monotonic()

    def __rich__(self) -> RenderableType:
        now = time.monotonic()
        # "of" is left out when retries make more attempts than were planned.
        count = f"{self._number} of {self.total}" if self._number <= self.total else "again"
        head = Text(no_wrap=True, overflow="ellipsis").append("▶ ", "bold blue")
        head.append(f"{count}  {duration(now - self._scenario_began):>6}  ", "dim")
        head.append(one_line(self.name) or "(unnamed scenario)", "bold")
        step = Text("  ", no_wrap=True, overflow="ellipsis")
        if self.step:
            step.append(
                f"step {self._step_number}/{max(self._steps, self._step_number)}"
                f"  {duration(now - self._step_began):>6}  ",
                "dim",
            )
            step.append(one_line(self.held or self.step), "yellow" if self.held else "")
        return Group(head, step)


@dataclass
class _Going:
    """A scenario that runs in a worker."""

    name: str
    began: float
    steps: int
    step_number: int = 0
    step: str = ""
    held: str = ""


class SeveralAtOnce:
    """One line for each scenario that runs in a worker; told by other threads."""

    def __init__(self) -> None:
        self.total = 0
        self.ended = 0
        self._lock = threading.Lock()
        self._going: dict[str, _Going] = {}

    def take(self, execution: str, event: Event) -> None:
        """Take what a worker tells.

        Args:
            execution: names one run of a scenario; its end takes the line away.
        """
        with self._lock:
            if isinstance(event, ScenarioStarted):
                self._going[execution] = _Going(event.name, time.monotonic(), len(event.steps))
            elif isinstance(event, ScenarioFinished):
                self._going.pop(execution, None)
            elif isinstance(event, StepStarted) and execution in self._going:
                going = self._going[execution]
                going.step = f"{event.keyword.strip()} {event.text}".strip()
                going.step_number = event.index + 1
                going.held = ""
            elif isinstance(event, HeldUp) and execution in self._going:
                self._going[execution].held = event.text

    def end(self, execution: str) -> None:
        """Take the line of an execution away; harmless when done before."""
        with self._lock:
            self._going.pop(execution, None)

    def __rich__(self) -> RenderableType:
        now = time.monotonic()
        with self._lock:
            going = list(self._going.values())
        head = Text(f"{self.ended} of {self.total} ended", "dim", no_wrap=True)
        lines = [head]
        for each in going:
            line = Text(no_wrap=True, overflow="ellipsis").append("▶ ", "bold blue")
            line.append(f"{duration(now - each.began):>6}  ", "dim")
            line.append(one_line(each.name) or "(unnamed scenario)", "bold")
            if each.held:
                line.append(f"  {one_line(each.held)}", "yellow")
            elif each.step:
                line.append(
                    f"  {each.step_number}/{max(each.steps, each.step_number)}  "
                    f"{one_line(each.step)}",
                    "dim",
                )
            lines.append(line)
        return Group(*lines)
