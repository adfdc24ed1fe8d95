"""QEMU's monitor of one domain: what libvirt has no call for.

The commands are those of https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html. An answer
carries "return", or "error" with a "desc" for people; libvirt hands on both without a look.
"""

from __future__ import annotations

import json
from typing import Any

from tailstest.core.errors import InfrastructureError
from tailstest.core.text import printable


class NotAnswered(InfrastructureError):
    """Nobody answers: the machine is off, or QEMU hangs. The message is libvirt's."""


class Refused(InfrastructureError):
    """QEMU does not do it. The message is QEMU's."""


class QemuMonitor:
    """Asks the QEMU of one domain; safe to use from several threads.

    Args:
        libvirt, module: the modules libvirt and libvirt_qemu.
        domain: the `virDomain`.
    """

    def __init__(self, libvirt: Any, module: Any, domain: Any) -> None:
        self._libvirt = libvirt
        self._module = module
        self._domain = domain

    def ask(self, command: str, **arguments: Any) -> Any:
        """Have a command carried out, and return what it returns.

        Args:
            command: its name, "query-block", say.
            arguments: of the command, whatever JSON can say.

        Raises:
            NotAnswered: the machine is off, or its QEMU hangs.
            Refused: QEMU does not do it.
        """
        asked = json.dumps({"execute": command, "arguments": arguments})
        try:
            answer = json.loads(self._module.qemuMonitorCommand(self._domain, asked, 0))
        except self._libvirt.libvirtError as error:
            raise NotAnswered(printable(error.get_error_message())) from error
        if "error" in answer:
            raise Refused(printable(str(answer["error"].get("desc", ""))))
        return answer["return"]
