"""The way from the host into one machine: a virtio-serial port with a socket on the host."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

from tailstest.core.deadline import Deadline
from tailstest.core.errors import SetupError, UsageError
from tailstest.guest.agent import AGENT_FILE
from tailstest.guest.agent_client import AgentClient
from tailstest.guest.channel import GuestChannel
from tailstest.guest.qemu_agent import QemuAgent
from tailstest.guest.qemu_install import install_through_qemu_agent
from tailstest.guest.qemu_line import QEMU_AGENT_PORT
from tailstest.guest.serial_install import install_agent
from tailstest.guest.serial_login import log_in
from tailstest.guest.serial_shell import SerialShell
from tailstest.machine.definition import MachineDefinition

#: Name of the port inside the guest: /dev/virtio-ports/NAME.
PORT = "org.tailstest.agent.0"

#: Seconds, before scaling, until a machine that was just switched on shows a shell, or lets
#: QEMU's guest agent answer.
SHELL_LIMIT = 180.0

#: Channels for which the first serial port has a socket.
_SERIAL = ("debug-shell", "serial-login")


class GuestPort:
    """The port of one machine, and the channel that goes through it.

    Args:
        definition: of the machine; says which channel its image offers.
        folder: private to the machine; the socket is in it.
        deadline_scale: factor of the host's slowness on every deadline.
        check: a watch that raises when waiting has become pointless.
    """

    def __init__(
        self,
        definition: MachineDefinition,
        folder: Path,
        *,
        deadline_scale: float,
        check: Callable[[], None],
    ) -> None:
        self._kind = definition.channel
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
        ports = {PORT: self._folder / "agent"}
        if self._kind == "qemu-agent":
            ports[QEMU_AGENT_PORT] = self._folder / "qemu-agent"
        return ports

    @property
    def channel(self) -> GuestChannel:
        """The channel; where our agent is not in the image, it is installed first.

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
        if self._kind != "agent" and not self._installed.is_set():
            self._installed.set()
            try:
                self._install()
            except SetupError as error:
                self._installed.clear()
                self._lacks = error
                raise
            except BaseException:
                self._installed.clear()
                raise
        if self._channel is None:
            self._channel = AgentClient(
                self._connect, deadline_scale=self._scale, watches=[self._check]
            )
        return self._channel

    @property
    def is_open(self) -> bool:
        """Whether somebody has used the channel since the last start."""
        return self._channel is not None

    @property
    def is_installed(self) -> bool:
        """Whether our agent was installed since the system started."""
        return self._installed.is_set()

    def resume(self, *, is_installed: bool) -> None:
        """Take up what was known of a saved machine."""
        if is_installed:
            self._installed.set()
            self._is_logged_in = True

    def forget(self) -> None:
        """Note that the system starts anew: what was installed in it is gone."""
        self._installed.clear()
        self._lacks = None
        self._is_logged_in = False

    def _install(self) -> None:
        deadline = Deadline.after(self.boot_limit, scale=self._scale)
        if self._kind == "qemu-agent":
            self._install_through_qemu_agent(deadline)
        else:
            self._install_through_shell(deadline)

    def _install_through_shell(self, deadline: Deadline) -> None:
        shell = SerialShell(
            lambda: self._connect("serial"), deadline_scale=self._scale, watches=[self._check]
        )
        try:
            if self._kind == "serial-login" and not self._is_logged_in:
                log_in(shell, *self._login, deadline=deadline)
                self._is_logged_in = True  # a second attempt finds the shell, not the prompt
            else:
                shell.wait_ready(deadline)
            install_agent(shell, AGENT_FILE, port=PORT)
        finally:
            shell.close()

    def _install_through_qemu_agent(self, deadline: Deadline) -> None:
        agent = QemuAgent(
            lambda: self._connect("qemu-agent"), deadline_scale=self._scale, watches=[self._check]
        )
        try:
            agent.wait_ready(deadline)
            install_through_qemu_agent(agent, AGENT_FILE, port=PORT)
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
