"""The way from the host into one machine: a virtio-serial port with a socket on the host."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

from tailstest.core.deadline import Deadline
from tailstest.core.errors import UsageError
from tailstest.guest.agent import AGENT_FILE
from tailstest.guest.agent_client import AgentClient
from tailstest.guest.channel import GuestChannel
from tailstest.guest.serial_install import install_agent
from tailstest.guest.serial_shell import SerialShell
from tailstest.machine.definition import MachineDefinition

#: Name of the port inside the guest: /dev/virtio-ports/NAME.
PORT = "org.tailstest.agent.0"

#: Seconds, before scaling, until a machine that was just switched on shows a shell.
SHELL_LIMIT = 180.0


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
        self._folder = folder
        self._scale = deadline_scale
        self._check = check
        self._channel: AgentClient | None = None
        self._installed = threading.Event()

    @property
    def serial_socket(self) -> Path | None:
        """Socket of the first serial port, if there may be a shell on it."""
        return self._folder / "serial" if self._kind == "debug-shell" else None

    @property
    def sockets(self) -> dict[str, Path]:
        """Ports that the domain gets: name to socket."""
        return {} if self._kind == "none" else {PORT: self._folder / "agent"}

    @property
    def channel(self) -> GuestChannel:
        """The channel; where there is only a serial shell, our agent is installed through it first.

        Raises:
            UsageError: the image offers none.
            InfrastructureError, SetupError: no shell answers, or the image lacks what the agent
                needs.
        """
        if self._kind == "none":
            raise UsageError(
                "nobody knows a way into this image",
                hint="say in its profile which channel it has: [machine] channel = ...",
            )
        if self._kind == "debug-shell" and not self._installed.is_set():
            self._installed.set()
            try:
                self._install()
            except BaseException:
                self._installed.clear()
                raise
        if self._channel is None:
            self._channel = AgentClient(
                self._connect, deadline_scale=self._scale, watches=[self._check]
            )
        return self._channel

    def forget(self) -> None:
        """Note that the system starts anew: what was installed in it is gone."""
        self._installed.clear()

    def _install(self) -> None:
        shell = SerialShell(
            lambda: self._connect("serial"), deadline_scale=self._scale, watches=[self._check]
        )
        try:
            shell.wait_ready(Deadline.after(SHELL_LIMIT, scale=self._scale))
            install_agent(shell, AGENT_FILE, port=PORT)
        finally:
            shell.close()

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
