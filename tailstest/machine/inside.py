"""What a tester does inside the machine: run commands, look at files, compare."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.core.events import Events, Noted
from tailstest.core.text import printable, shortened
from tailstest.guest.answers import AgentInfo
from tailstest.guest.channel import GuestChannel
from tailstest.guest.errors import GuestPathMissing
from tailstest.guest.results import Completed
from tailstest.machine.inside_state import CommandState, InsideState

#: Seconds, before scaling, until a machine that was just switched on lets somebody in.
BOOT_LIMIT = 180.0

#: Seconds, before scaling, between two commands of a wait: each one costs the guest a fork.
_INTERVAL = 0.3

#: Seconds that a clock may be off and is right: time servers, a slow host and the way in cost some.
_CLOCK_TOLERANCE = 60

#: Statuses of the shell for a command that cannot be executed, and for one that was not found.
_NOT_RUN = (126, 127)

#: Most bytes of a file that are read for a check, and characters of it that are quoted.
_LARGEST, _QUOTED = 1 << 20, 1000


class Inside:
    """Commands, files and states of the system in one machine.

    Args:
        channel: gives the way in; raises when there is none.
        open_channel: gives it as it is, for evidence; None: as `channel` does.
        deadline_scale: factor of the host's slowness on every deadline.
        default_deadline: seconds a wait may take when the caller does not say, before scaling.
        events: told what commands wrote.
        boot_limit: seconds until somebody answers after a start, before scaling.
        on_ready: called with the channel and who answers, before anybody uses it.
        keeps_clock: whether a wrong clock inside is wanted and stays as it is over a checkpoint.
        on_file: called with each file of the host before it is copied in.
    """

    def __init__(
        self,
        channel: Callable[[], GuestChannel],
        *,
        deadline_scale: float,
        default_deadline: float,
        events: Events,
        boot_limit: float = BOOT_LIMIT,
        on_ready: Callable[[GuestChannel, AgentInfo], None] = lambda _channel, _info: None,
        keeps_clock: bool = False,
        on_file: Callable[[Path], None] = lambda _file: None,
        open_channel: Callable[[], GuestChannel] | None = None,
    ) -> None:
        self._channel = channel
        self._open_channel = open_channel or channel
        self.boot_limit = boot_limit
        self._on_ready = on_ready
        self._keeps_clock = keeps_clock
        self._on_file = on_file
        self._scale = deadline_scale
        self._default = default_deadline
        self._events = events
        self._last: Completed | None = None
        self._remembered: dict[str, str] = {}

    @property
    def channel(self) -> GuestChannel:
        """The channel to a system that answers; waits for it as long as a start may take.

        Raises:
            UsageError: the image offers no way in.
            InfrastructureError: nobody answered.
        """
        channel = self._channel()
        info = channel.wait_ready(Deadline.after(self.boot_limit, scale=self._scale))
        self._on_ready(channel, info)
        return channel

    @property
    def state(self) -> InsideState:
        """What later steps may ask for.

        Raises:
            InfrastructureError: its clock matters, and it does not tell it.
        """
        last = CommandState.of(self._last) if self._last is not None else None
        ahead = self._clock_ahead() if self._keeps_clock else 0.0
        return InsideState(remembered=dict(self._remembered), last=last, clock_ahead=ahead)

    def check_clock(self, ahead: int = 0) -> None:
        """Wait until the clock inside is right, or wrong by so much.

        Args:
            ahead: seconds by which it is ahead of the right time; below 0 it is behind.

        Raises:
            CheckFailed: it is more than a minute away from that.
            InfrastructureError: it cannot be read.
        """
        seen: list[float] = []

        def looks_right() -> bool:
            seen.append(self._clock_ahead() - ahead)
            return abs(seen[-1]) <= _CLOCK_TOLERANCE

        if not self._wait(looks_right):
            side = "ahead of" if seen[-1] > 0 else "behind"
            wrong = timedelta(seconds=round(abs(seen[-1])))
            raise CheckFailed(f"the clock inside is {wrong} {side} what it should be")

    def _clock_ahead(self) -> float:
        done = self.channel.run("date +%s", within=self._default)
        if not re.fullmatch(rb"-?\d{1,12}\n", done.stdout):
            raise InfrastructureError(f"the clock inside cannot be read. {done.explain()}")
        return int(done.stdout) - time.time()

    def resume(self, state: InsideState, after: str = "") -> None:
        """Take up what was known before the machine was saved; set its clock.

        Args:
            after: command that the image needs then; "" for none.

        Raises:
            InfrastructureError: nobody answers, or that command failed.
        """
        self._remembered = dict(state.remembered)
        self._last = state.last.completed() if state.last is not None else None
        channel = self.channel
        channel.set_clock(time.time() + state.clock_ahead)
        self.renew(channel, after)

    def renew(self, channel: GuestChannel, command: str) -> None:
        """Do what an image needs when its machine has run on from a checkpoint.

        Args:
            command: what the profile says; "" for nothing.

        Raises:
            InfrastructureError: it failed.
        """
        if not command:
            return
        done = channel.run(command, within=self._default)
        if not done.ok:
            raise InfrastructureError(
                f"what the profile does after a checkpoint failed. {done.explain()}",
                hint="correct checkpoints.after in the profile, or take it out",
            )

    @property
    def last_channel(self) -> GuestChannel:
        """The channel as it is: nothing is installed, and nobody is waited for.

        Raises:
            GuestUnreachable: nobody has got inside since the system started.
        """
        return self._open_channel()

    def wait_ready(self) -> None:
        """Wait until the system answers; see `channel`."""
        self.channel.ping()

    # Commands

    def run(
        self,
        command: str,
        *,
        user: str | None = None,
        session: bool = False,
        within: float | None = None,
    ) -> Completed:
        """Run a command of the guest's shell; keep what it did for the checks below.

        Args:
            user: whose command it is; None is root.
            session: give it the environment of that user's desktop.
            within: seconds before scaling, after which it is killed; the default deadline if None.
        """
        seconds = self._default if within is None else within
        self._last = self.channel.run(command, user=user, session=session, within=seconds)
        written = _quoted(self._last.out + self._last.err) or "nothing"
        self._events.publish(Noted(text=f"it ended with {self._last.status} and wrote: {written}"))
        return self._last

    def start(self, command: str, *, user: str | None = None, session: bool = False) -> None:
        """Start a program that stays, and do not wait for it; nothing is kept of what it writes.

        Args:
            user: whose program it is; None is root.
            session: give it the environment of that user's desktop.

        Raises:
            CheckFailed: the shell could not even begin.
        """
        # In a session of its own, and with nothing of ours open, so that it outlives the command.
        apart = f"setsid sh -c {shlex.quote(command)} </dev/null >/dev/null 2>&1 &"
        done = self.channel.run(apart, user=user, session=session, within=self._default)
        if not done.ok:
            raise CheckFailed(f"the program could not be started. {done.explain()}")

    def check_succeeded(self) -> None:
        """Raise unless the last command ended with status 0."""
        done = self.last
        if not done.ok:
            raise CheckFailed(f"expected the command to succeed. {done.explain()}")

    def check_failed(self) -> None:
        """Raise unless the last command ended by itself, with another status than 0.

        A command that was not found or cannot be executed has not failed: it was not tried.
        """
        done = self.last
        _check_was_tried(done)
        if done.status <= 0 or done.timed_out or done.truncated:
            raise CheckFailed(f"expected the command to fail by itself. {done.explain()}")

    def check_output(self, text: str, *, whole: bool = False, absent: bool = False) -> None:
        """Raise unless the last command wrote `text`.

        Args:
            whole: it wrote nothing else, but for space around.
            absent: it did not write it, neither to standard output nor to standard error, and was
                able to: it ended by itself.

        Raises:
            CheckFailed: it is not so; quotes what was written.
            UsageError: `text` is empty, which would always be written; unless `whole`.
        """
        done = self.last
        if not whole:
            _check_is_text(text)
        if absent:
            self._check_not_written(done, text)
            return
        found = done.out.strip() == text if whole else text in done.out
        if not found:
            wish = "to write nothing but" if whole else "to write"
            raise CheckFailed(f'expected the command {wish} "{text}". {done.explain()}')

    @staticmethod
    def _check_not_written(done: Completed, text: str) -> None:
        _check_was_tried(done)
        if text in done.out or text in done.err:
            raise CheckFailed(f'expected the command not to write "{text}". {done.explain()}')
        if done.status < 0 or done.timed_out or done.truncated:
            raise CheckFailed(
                f'expected the command to end by itself without writing "{text}"; nobody knows '
                f"what it would have written. {done.explain()}"
            )

    @property
    def last(self) -> Completed:
        """What the last command did.

        Raises:
            UsageError: none was run in this scenario.
        """
        if self._last is None:
            raise UsageError(
                "no command was run inside the machine yet",
                hint='put a step before this one, such as: When I run "uname -r" inside',
            )
        return self._last

    def remember_output(self, name: str) -> None:
        """Keep what the last command wrote, under a name.

        Raises:
            CheckFailed: it failed or wrote nothing, so there is nothing to compare with.
        """
        self.check_succeeded()
        if not self.last.out.strip():
            raise CheckFailed(f"there is nothing to remember. {self.last.explain()}")
        self._remembered[name] = self.last.out.strip()

    def check_against(self, name: str, *, same: bool) -> None:
        """Raise unless the last command wrote the same as, or something else than, remembered.

        Raises:
            UsageError: nothing was remembered under this name.
        """
        if name not in self._remembered:
            known = ", ".join(self._remembered) or "nothing"
            raise UsageError(f'nothing was remembered as "{name}"; remembered: {known}')
        self.check_succeeded()
        before, now = self._remembered[name], self.last.out.strip()
        if (before == now) is not same:
            wish = "the same as before" if same else "something else than before"
            raise CheckFailed(
                f"expected {wish}: before “{_quoted(before)}”, now “{_quoted(now)}”. "
                f"{self.last.explain()}"
            )

    # Files

    def check_file_contains(self, path: str, text: str) -> None:
        """Raise unless a file is there and has `text` in it.

        Raises:
            CheckFailed: it has not; quotes what it has.
            UsageError: `text` is empty, which every file has in it.
        """
        _check_is_text(text)
        content = self.channel.read(path, limit=_LARGEST).decode("utf-8", "replace")
        if text not in content:
            raise CheckFailed(
                f'expected "{text}" in {path}; it reads:\n{_quoted(content) or "(nothing)"}'
            )

    def wait_file(self, path: str) -> None:
        """Wait until a file or folder is there."""
        channel = self.channel
        if not self._wait(lambda: _exists(channel, path)):
            raise CheckFailed(f"expected {path} inside the machine, but it did not appear")

    def check_no_file(self, path: str) -> None:
        """Raise if a file or folder is there."""
        if _exists(self.channel, path):
            raise CheckFailed(f"expected no {path} inside the machine, but it is there")

    def put_file(self, source: Path, target: str) -> None:
        """Copy a file of the suite into the machine; it belongs to root there.

        Raises:
            UsageError: the suite has no such file.
        """
        if not source.is_file():
            raise UsageError(
                f"there is no file {source}", hint="is its path relative to the suite?"
            )
        self._on_file(source)
        self.channel.put(source, target, parents=True)

    def put_text(self, text: str, target: str) -> None:
        """Write a text into a file inside; it belongs to root there."""
        self.channel.put(text.encode(), target, parents=True)

    # Waiting

    def wait_until_succeeds(
        self, command: str, expected: str, *, within: float | None = None
    ) -> Completed:
        """Run a command again and again until it ends with status 0.

        Args:
            expected: what that means, for the message.
            within: seconds before scaling; the default deadline if None.

        Raises:
            CheckFailed: it did not by the deadline; quotes the last one.
        """
        done = self.run_until(command, lambda done: done.ok, within=within)
        if not done.ok:
            raise CheckFailed(f"waited in vain for {expected}. {done.explain()}")
        return done

    def run_until(
        self, command: str, holds: Callable[[Completed], bool], *, within: float | None = None
    ) -> Completed:
        """Run a command again and again until what it did is wanted, or until the deadline.

        Args:
            holds: whether it is; what it raises ends the wait.
            within: seconds before scaling; the default deadline if None.

        Returns:
            What the last one did, wanted or not.
        """
        channel = self.channel
        done: list[Completed] = []

        def look() -> bool:
            done[:] = [channel.run(command, within=self._default)]
            return holds(done[0])

        self._wait(look, within)
        return done[0]

    def _wait(self, look: Callable[[], bool], within: float | None = None) -> bool:
        seconds = self._default if within is None else within
        deadline = Deadline.after(seconds, scale=self._scale)
        return poll(lambda: look() or None, deadline, interval=_INTERVAL) is not None


def _check_is_text(text: str) -> None:
    if not text:
        raise UsageError(
            "the text to look for is empty, so nothing would be looked for",
            hint="is a cell of the examples empty? For a command without output there is: "
            'the command writes only ""',
        )


def _check_was_tried(done: Completed) -> None:
    if done.status in _NOT_RUN:
        raise CheckFailed(
            "the command was not found or cannot be executed, so nothing was tried. "
            f"{done.explain()}",
            hint="correct its name, or see whether the image has it; of a command that ends with "
            f"{_NOT_RUN[0]} or {_NOT_RUN[1]} itself, write another status: COMMAND || exit 1",
        )


def _exists(channel: GuestChannel, path: str) -> bool:
    try:
        channel.stat(path)
    except GuestPathMissing:
        return False
    return True


def _quoted(text: str) -> str:
    return shortened(printable(text.strip()), _QUOTED)
