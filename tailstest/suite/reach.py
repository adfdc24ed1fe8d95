"""How steps reach the system that runs on the machine of a scenario: commands, units, windows."""

from __future__ import annotations

import time
from collections.abc import Callable

from tailstest.core.errors import CheckFailed, InfrastructureError
from tailstest.core.events import Events, Noted
from tailstest.core.text import printable
from tailstest.guest.accessibility.tree import AccessibilityTree
from tailstest.guest.answers import AgentInfo
from tailstest.guest.channel import GuestChannel
from tailstest.machine.desktop import Desktop
from tailstest.machine.inside import Inside
from tailstest.machine.inside_state import InsideState
from tailstest.machine.machine import Machine
from tailstest.machine.profile import DesktopFacts
from tailstest.machine.socket_owners import socket_owners
from tailstest.machine.system_state import SystemState
from tailstest.suite.image_choice import ImageChoice
from tailstest.suite.inside_evidence import InsideEvidence
from tailstest.suite.late_patch import LatePatch
from tailstest.suite.suite_files import SuiteFiles


class Reach:
    """Made when a step wants it, forgotten with the machine.

    Args:
        machine: returns the machine of the scenario; raises a UsageError if there is none.
        choice: knows the profile of its image.
        events: told about what is done.
        late_patch: applied whenever the system has started.
        files: told which files of the suite were put inside.
    """

    def __init__(
        self,
        machine: Callable[[], Machine],
        choice: ImageChoice,
        events: Events,
        late_patch: LatePatch,
        files: SuiteFiles,
    ) -> None:
        self._machine = machine
        self._choice = choice
        self._events = events
        self._late_patch = late_patch
        self._files = files
        self._inside: Inside | None = None
        self._is_first_after_rest = False
        self._tree: AccessibilityTree | None = None

    @property
    def inside(self) -> Inside:
        """Commands and files."""
        machine = self._machine()
        if self._inside is None:
            self._inside = Inside(
                lambda: machine.guest,
                deadline_scale=machine.deadline_scale,
                default_deadline=machine.default_deadline,
                events=self._events,
                boot_limit=self._choice.times.boot,
                on_ready=self._prepare,
                keeps_clock=machine.definition.clock_ahead != 0,
                on_file=self._files.use,
                open_channel=lambda: machine.guest_now,
            )
        return self._inside

    @property
    def system(self) -> SystemState:
        """Units, journal, processes, memory."""
        return SystemState(self.inside)

    @property
    def desktop(self) -> Desktop:
        """Windows, buttons and fields by their names."""
        machine = self._machine()
        profile = self._choice.profile
        facts = profile.desktop if profile else DesktopFacts()
        if facts.users and self._tree is None:
            self._tree = AccessibilityTree(
                self.inside.channel,
                user=facts.users,
                deadline_scale=machine.deadline_scale,
                default_deadline=machine.default_deadline,
                watches=machine.screen.watches,
            )
        elif facts.users:
            self.inside.wait_ready()  # after a restart the tree alone would not wait for a start
        ways = facts.find if facts.users else ("text",)
        limit = self._choice.times.desktop
        return Desktop(self._tree, ways, machine=machine, events=self._events, start_limit=limit)

    def socket_owners(self) -> dict[tuple[str, int], str]:
        """Return whose each open socket is, if steps have been inside."""
        inside = self._inside
        return socket_owners(lambda: inside.last_channel) if inside is not None else {}

    def keep_evidence(self, keeper: InsideEvidence) -> None:
        """Let somebody keep what the system says of itself, as far as steps have used it."""
        keeper.keep(self._inside, self._tree)

    # With the machine

    @property
    def state(self) -> InsideState | None:
        """What steps remember of commands, for a checkpoint; None if they never ran one."""
        return self._inside.state if self._inside is not None else None

    def resume(self, state: InsideState | None) -> None:
        """Reach into a machine that runs on from a checkpoint.

        Where no step had been inside there may be no system yet: it is left alone until one goes
        in, and its clock is set then.

        Raises:
            InfrastructureError: the system does not answer.
        """
        self._is_first_after_rest = state is None
        if state is not None:
            self.inside.resume(state, self._after_rest)

    @property
    def _after_rest(self) -> str:
        """The command that the image needs when its machine runs on; "" for none."""
        profile = self._choice.profile
        return profile.checkpoints.after if profile else ""

    def _prepare(self, channel: GuestChannel, info: AgentInfo) -> None:
        """Do what has to be done inside before a step does anything there."""
        machine = self._machine()
        self._late_patch.apply(channel, info, machine.name)
        is_first, self._is_first_after_rest = self._is_first_after_rest, False
        if not is_first or not machine.runs_on:
            return
        # Both are our wish, not the scenario's, and the system may have just begun to start.
        try:
            channel.set_clock(time.time())
        except CheckFailed as error:
            self._warn(f"the clock inside, late since a checkpoint, cannot be set: {error.message}")
        try:
            self.inside.renew(channel, self._after_rest)
        except InfrastructureError as error:
            self._warn(error.message)

    def _warn(self, text: str) -> None:
        self._events.publish(Noted(text=printable(text), level="warning"))

    def read_profile_again(self) -> None:
        """Go by what the profile says now; the machine runs on."""
        if self._inside is not None:
            self._inside.boot_limit = self._choice.times.boot
        self._close_tree()  # it looks into the sessions of the users that it was given

    def withdraw(self) -> None:
        """Leave nothing of ours running in a machine that is about to be saved."""
        self._close_tree()

    def forget(self) -> None:
        """The machine is gone."""
        self._inside = self._tree = None
        self._is_first_after_rest = False

    def _close_tree(self) -> None:
        tree, self._tree = self._tree, None
        if tree is not None:
            tree.close()
