"""Interactive mode: a failed step stops with the machine alive, and a person decides."""

from __future__ import annotations

import cmd
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

from tailstest.core.errors import TailstestError
from tailstest.core.text import printable
from tailstest.suite.access import MachineAccess
from tailstest.suite.plan import Plan
from tailstest.suite.session import Session
from tailstest.suite.step_loader import load_steps


class Prompt(cmd.Cmd):
    """Asks what to do after a failed step.

    Args:
        session: whose machine is looked at.
        plan: whose steps are read again.
        suspended: keeps the progress display away while somebody types.
        open_access: lets other terminals reach the machine while the prompt waits.
        stdin, stdout: the terminal by default.
    """

    prompt = "tailstest> "

    def __init__(
        self,
        session: Session,
        plan: Plan,
        suspended: Callable[[], AbstractContextManager[None]],
        *,
        open_access: Callable[[], AbstractContextManager[MachineAccess | None]] = nullcontext,
        stdin: IO[str] | None = None,
        stdout: IO[str] | None = None,
    ) -> None:
        super().__init__(stdin=stdin or sys.__stdin__, stdout=stdout or sys.__stdout__)
        self.use_rawinput = False
        self._session = session
        self._plan = plan
        self._suspended = suspended
        self._open_access = open_access
        self._access: MachineAccess | None = None
        self._context: Any = None
        self._step: Any = None
        self._about = ""  # the machine that the step was about
        self._is_repaired = False

    def after_failed_step(self, context: Any, step: Any) -> bool:
        """Ask until the person retries with success, goes on, or ends the run.

        Returns:
            Whether the step passed in the end.
        """
        self._context, self._step, self._is_repaired = context, step, False
        with self._suspended():
            self._say(f"\nThe step failed: {step.keyword} {step.name}")
            self._say(printable(str(step.exception or step.error_message or "")))
            self._about = self._session.called
            self._session.turn_to_a_machine()
            socket = self._session.machine.viewer_socket if self._session.has_machine else None
            if socket is not None:
                self._say(f"The machine is alive. Watch it: remote-viewer vnc+unix://{socket}")
            self._say("retry, next, quit, look, type TEXT, press KEYS, shot FILE, help")
            with self._open_access() if self._session.has_machine else nullcontext() as access:
                self._access = access
                if access is not None:
                    self._say("In another terminal: tailstest vm exec, cp, shot, tree or console")
                try:
                    self.cmdloop()
                finally:
                    self._access = None
                    self._session.turn_to(self._about)
        return self._is_repaired

    def onecmd(self, line: str) -> bool:
        """Do one command, while no other terminal touches the machine."""
        if self._access is None:
            return super().onecmd(line)
        with self._access.exclusive(lambda: self._say("waiting for another terminal to finish")):
            return super().onecmd(line)

    def do_retry(self, _line: str) -> bool:
        """Read changed steps, reference images and profiles again, then run the step again."""
        try:
            self._session.reload_references()
            self._plan.registry = load_steps(self._plan.suite.step_folders)
            match = self._plan.registry.find_match(self._step)
            if match is None:
                self._say("no step is defined for this text any more")
                return False
            self._context.text, self._context.table = self._step.text, self._step.table
            self._session.turn_to(self._about)
            match.run(self._context)
        except Exception as error:  # noqa: BLE001 - a step may raise anything
            self._say(f"it failed again: {printable(str(error))}")
            self._session.turn_to_a_machine()
            return False
        self._say("it passes now")
        self._is_repaired, self._about = True, self._session.called
        return True

    def do_next(self, _line: str) -> bool:
        """Leave the step failed and go on with the next scenario."""
        return True

    def do_quit(self, _line: str) -> bool:
        """Leave the step failed and end the run."""
        raise KeyboardInterrupt

    def do_look(self, _line: str) -> None:
        """Print all text that can be read on the screen."""
        self._try(lambda: self._say("\n".join(line.text for line in self._session.screen.read())))

    def do_type(self, line: str) -> None:
        """Type TEXT."""
        self._try(lambda: self._session.keyboard.type(line))

    def do_press(self, line: str) -> None:
        """Press KEYS, for example: press Ctrl+Alt+T."""
        self._try(lambda: self._session.keyboard.press(line))

    def do_shot(self, line: str) -> None:
        """Write the screen to FILE as PNG."""
        file = Path(line or "screen.png")
        self._try(lambda: self._session.screen.frame().save(file))
        self._say(f"written: {file}")

    def do_EOF(self, _line: str) -> bool:  # noqa: N802 - the name that cmd.Cmd wants
        """End of input: go on."""
        return True

    def emptyline(self) -> bool:
        """Do nothing for an empty line."""
        return False

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except TailstestError as error:
            self._say(printable(str(error)))

    def _say(self, text: str) -> None:
        self.stdout.write(text + "\n")
        self.stdout.flush()
