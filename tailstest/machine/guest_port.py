"""The way from the host into one machine: a virtio-serial port with a socket on the host."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import cast

from tailstest.core.deadline import Deadline
from tailstest.core.errors import SetupError, UsageError
from tailstest.guest.agent import AGENT_FILE
from tailstest.guest.agent_client import AgentClient
from tailstest.guest.channel import GuestChannel
from tailstest.guest.errors import GuestUnreachable
from tailstest.guest.qemu_agent import QemuAgent
from tailstest.guest.qemu_install import install_through_qemu_agent
from tailstest.guest.qemu_line import QEMU_AGENT_PORT
from tailstest.guest.serial_install import install_agent
from tailstest.guest.serial_login import log_in
from tailstest.guest.serial_shell import SerialShell
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.ways_in import AGENT_PORT, WayIn, WaysIn

#: Seconds, before scaling, until a machine that was just switched on shows a shell, or lets
#: QEMU's guest agent answer.
SHELL_LIMIT = 180.0

#: Seconds, before scaling, in which another way must show itself when one was in vain: the system
#: may still be starting.
LATER = 60.0

#: Channels for which the first serial port has a socket, and those with QEMU's guest agent.
_SERIAL = ("debug-shell", "serial-login", "auto")
_QEMU = ("qemu-agent", "auto")


class GuestPort:
    """The port of one machine, and the channel that goes through it.

    Args:
        definition: of the machine; says which channel its image offers.
        folder: private to the machine; the socket is in it.
        deadline_scale: factor of the host's slowness on every deadline.
        check: a watch that raises when waiting has become pointless.
        opened, console: see `WaysIn`; for an image of which nobody says what it offers.
    """

    def __init__(
        self,
        definition: MachineDefinition,
        folder: Path,
        *,
        deadline_scale: float,
        check: Callable[[], None],
        opened: Callable[[], Collection[str]] = frozenset,
        console: Callable[[], str] = str,
    ) -> None:
        self._kind = definition.channel
        self._ways = WaysIn(opened, console, deadline_scale=deadline_scale, check=check)
        self._has_own = self._kind == "agent"
        self._login = (definition.login_user, definition.login_password)
        self._is_logged_in = False
        self._folder = folder
        self._scale = deadline_scale
        self._check = check
        self._channel: AgentClient | None = None
        self._installed = threading.Event()
        self._lacks: SetupError | None = None
        #: Seconds, before scaling, until somebody answers after a start.
        self.boot_limit = SHELL_LIMIT

    @property
    def serial_socket(self) -> Path | None:
        """Socket of the first serial port, if there may be a shell on it."""
        return self._folder / "serial" if self._kind in _SERIAL else None

    @property
    def sockets(self) -> dict[str, Path]:
        """Ports that the domain gets: name to socket."""
        if self._kind == "none":
            return {}
        ports = {AGENT_PORT: self._folder / "agent"}
        if self._kind in _QEMU:
            ports[QEMU_AGENT_PORT] = self._folder / "qemu-agent"
        return ports

    @property
    def channel(self) -> GuestChannel:
        """The channel to a system that may still be starting; see `get_in`."""
        return self.get_in(Deadline.after(self.boot_limit, scale=self._scale))

    @property
    def open_channel(self) -> GuestChannel:
        """The channel as it is: nothing is installed, and nobody is waited for.

        Raises:
            GuestUnreachable: nobody has got inside since the system started.
        """
        if self._kind == "auto" and not self._installed.is_set() and "agent" in self._ways.seen():
            self._has_own = True
        if not self._has_own and not self._installed.is_set():
            raise GuestUnreachable("nobody has got inside since the system started")
        return self._client()

    def get_in(self, deadline: Deadline) -> GuestChannel:
        """Return the channel; where our agent is not in the image, it is installed first.

        Args:
            deadline: until which that must be done.

        Raises:
            UsageError: the image offers none.
            InfrastructureError, SetupError: nobody answers, or the image lacks what the agent
                needs.
        """
        if self._kind == "none":
            raise UsageError(
                "nobody knows a way into this image",
                hint="say in its profile which channel it has: [machine] channel = ...",
            )
        if self._lacks is not None:  # whoever keeps evidence asks, too, and need not wait again
            raise SetupError(self._lacks.message, hint=self._lacks.hint)
        if not self._has_own and not self._installed.is_set():
            self._installed.set()
            try:
                self._enter(deadline)
            except SetupError as error:
                self._installed.clear()
                self._lacks = error
                raise
            except BaseException:
                self._installed.clear()
                raise
        return self._client()

    def _client(self) -> AgentClient:
        if self._channel is None:
            self._channel = AgentClient(
                self._connect, deadline_scale=self._scale, watches=[self._check]
            )
        return self._channel

    @property
    def is_open(self) -> bool:
        """Whether somebody has used the channel since the last start."""
        return self._channel is not None and (self._has_own or self._installed.is_set())

    @property
    def is_installed(self) -> bool:
        """Whether our agent was installed since the system started."""
        return self._installed.is_set()

    def resume(self, *, has_agent: bool, is_installed: bool) -> None:
        """Take up what was known of a saved machine."""
        if is_installed:
            self._installed.set()
            self._is_logged_in = True
        elif has_agent:
            self._has_own = True

    def forget(self) -> None:
        """Note that the system starts anew: what was installed in it is gone."""
        self._installed.clear()
        self._lacks = None
        self._is_logged_in = False
        self._has_own = self._kind == "agent"

    def _enter(self, deadline: Deadline) -> None:
        """Install our agent by the way of the profile, or by the best that the image offers."""
        if self._kind != "auto":
            self._install(cast("WayIn", self._kind), deadline)
            return
        tried: set[WayIn] = set()
        trouble: SetupError | GuestUnreachable | None = None
        while True:
            try:
                way = self._ways.best(deadline, without=tried)
            except GuestUnreachable:
                if trouble is not None:  # says more than that there is no other way
                    raise trouble from None
                raise
            try:
                # One that does not answer leaves time for the next one.
                share = deadline.remaining * (0.5 if self._ways.seen() - tried - {way} else 1.0)
                self._install(way, Deadline.after(share))
                return
            except (SetupError, GuestUnreachable) as error:
                # Some block QEMU's agent, or lock root's password, and leave another way open.
                tried.add(way)
                trouble = trouble or error
                later = Deadline.after(LATER, scale=self._scale)
                deadline = min(deadline, later, key=lambda each: each.remaining)

    def _install(self, way: WayIn, deadline: Deadline) -> None:
        if way == "agent":
            self._has_own = True
            self._installed.clear()
        elif way == "qemu-agent":
            self._install_through_qemu_agent(deadline)
        else:
            self._install_through_shell(deadline, is_login=way == "serial-login")

    def _install_through_shell(self, deadline: Deadline, *, is_login: bool) -> None:
        shell = SerialShell(
            lambda: self._connect("serial"), deadline_scale=self._scale, watches=[self._check]
        )
        try:
            if is_login and not self._is_logged_in:
                log_in(shell, *self._login, deadline=deadline)
                self._is_logged_in = True  # a second attempt finds the shell, not the prompt
            else:
                shell.wait_ready(deadline)
            install_agent(shell, AGENT_FILE, port=AGENT_PORT)
        finally:
            shell.close()

    def _install_through_qemu_agent(self, deadline: Deadline) -> None:
        agent = QemuAgent(
            lambda: self._connect("qemu-agent"), deadline_scale=self._scale, watches=[self._check]
        )
        try:
            agent.wait_ready(deadline)
            install_through_qemu_agent(agent, AGENT_FILE, port=AGENT_PORT)
        finally:
            agent.close()

    def close(self) -> None:
        """Close the line; may be called twice."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _connect(self, name: str = "agent") -> socket.socket:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(str(self._folder / name))
        except OSError:
            line.close()
            raise
        return line
