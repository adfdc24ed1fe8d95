"""The way from the host into one machine: a virtio-serial port with a socket on the host."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.guest.agent_client import AgentClient
from tailstest.guest.channel import GuestChannel
from tailstest.machine.definition import MachineDefinition

#: Name of the port inside the guest: /dev/virtio-ports/NAME.
PORT = "org.tailstest.agent.0"


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
        self._socket = folder / "agent"
        self._scale = deadline_scale
        self._check = check
        self._channel: AgentClient | None = None

    @property
    def sockets(self) -> dict[str, Path]:
        """Ports that the domain gets: name to socket."""
        return {} if self._kind == "none" else {PORT: self._socket}

    @property
    def channel(self) -> GuestChannel:
        """The channel; nothing is sent before it is used.

        Raises:
            UsageError: the image offers none.
        """
        if self._kind == "none":
            raise UsageError(
                "nobody knows a way into this image",
                hint="say in its profile which channel it has: [machine] channel = ...",
            )
        if self._channel is None:
            self._channel = AgentClient(
                self._connect, deadline_scale=self._scale, watches=[self._check]
            )
        return self._channel

    def close(self) -> None:
        """Close the line; may be called twice."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _connect(self) -> socket.socket:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(str(self._socket))
        except OSError:
            line.close()
            raise
        return line
