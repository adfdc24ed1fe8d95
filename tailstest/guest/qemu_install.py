"""Brings our agent into a guest through QEMU's guest agent, and starts it.

What is done in the guest is the same as through a serial port (`serial_install`); only the way
there is another one.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import cast

from tailstest.core.errors import SetupError
from tailstest.core.text import printable, shortened
from tailstest.guest.errors import GuestUnreachable, GuestUsageError
from tailstest.guest.qemu_agent import QemuAgent
from tailstest.guest.serial_install import AgentPlace, install_agent
from tailstest.guest.serial_shell import FOLDERS, UPLOAD_LIMIT, SerialShell

#: Name of a file that is sent, in a folder of its own.
_FILE = "data"


class QemuShell:
    """QEMU's guest agent as a shell: what `install_agent` needs of one; for one thread.

    Args:
        agent: it must be ready.
        folders: folders of the guest; the first one that can be written keeps files for a moment.
    """

    def __init__(self, agent: QemuAgent, folders: Sequence[str] = FOLDERS) -> None:
        self.line = agent.line
        self._agent = agent
        self._folders = tuple(folders)

    def run(self, command: str, within: float = 60.0) -> tuple[int, bytes]:
        """Run a script to its end; see `QemuAgent.execute`."""
        return self._agent.execute(command, within)

    def upload(self, data: bytes) -> str:
        """Send bytes to the guest; return the path of the file there, in a private folder.

        Raises:
            GuestUnreachable: an InfrastructureError; the agent does not answer or cannot do it.
            SetupError: no folder of the guest can be written.
            GuestUsageError: a UsageError; more than 4 MiB.
        """
        if len(data) > UPLOAD_LIMIT:
            raise GuestUsageError(
                f"{len(data)} bytes are too many for the QEMU guest agent (at most {UPLOAD_LIMIT})"
            )
        path = f"{self._make_folder()}/{_FILE}"
        try:
            self._agent.write_file(path, data)
        except BaseException:
            self.remove(path)
            raise
        return path

    def remove(self, path: str) -> None:
        """Remove a file that `upload` made, if the agent answers."""
        with contextlib.suppress(GuestUnreachable):
            self.run(f"rm -rf {shlex.quote(str(PurePosixPath(path).parent))}", within=5.0)

    def _make_folder(self) -> str:
        """Make a folder that only the agent's user can enter; return its path in the guest."""
        tries = " || ".join(f"mktemp -d {shlex.quote(f'{at}/tt-XXXXXX')}" for at in self._folders)
        status, output = self.run(f"umask 077; {{ {tries}; }} 2>/dev/null")
        allowed = "|".join(re.escape(folder) for folder in self._folders)
        found = re.fullmatch(rf"((?:{allowed})/tt-[A-Za-z0-9]{{6}})\n", output.decode("latin-1"))
        if status != 0 or found is None:
            raise SetupError(
                f"the guest has no folder that the QEMU guest agent can write: "
                f"{', '.join(self._folders)}; it says: {_said(output)}",
                hint="QEMU's guest agent must run as root, and not be confined.",
            )
        return found[1]


def install_through_qemu_agent(
    agent: QemuAgent,
    agent_file: Path,
    *,
    port: str = "org.tailstest.agent.0",
    place: AgentPlace | None = None,
    folders: Sequence[str] = FOLDERS,
) -> None:
    """Copy our agent into the guest and start it on a port; it outlives QEMU's agent.

    It is started again when it ends. An agent that was installed before is replaced.

    Args:
        agent: QEMU's guest agent; it must be ready.
        agent_file: a file of Python; see `tailstest.guest.agent.AGENT_FILE`.
        port: name of the virtio-serial port that the host has attached for our agent.
        place: where our agent goes; the usual place if None.
        folders: folders of the guest that may keep a file for a moment.

    Raises:
        SetupError: what the image or the machine lacks.
        GuestUnreachable: an InfrastructureError; QEMU's guest agent does not answer.
    """
    shell = QemuShell(agent, folders)
    place = place or AgentPlace()
    if place.own_system:
        user = shell.run("id -u")[1]
        if user.strip() != b"0":
            raise SetupError(
                f"the agent must be root, but QEMU's guest agent is that of user {_said(user)}",
                hint="Start qemu-ga as root in the image, as its own service does.",
            )
        # Nothing of this goes over the console, so it need not be made quiet.
        place = replace(place, own_system=False)
    # It asks of a shell only what is above.
    install_agent(cast(SerialShell, shell), agent_file, port=port, place=place)


def _said(output: bytes) -> str:
    return shortened(printable(output.decode("utf-8", "replace")).strip(), 500) or "nothing"
