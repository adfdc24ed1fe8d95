"""Whether the system in a machine has ejected a medium, as QEMU knows it."""

from __future__ import annotations

import json
from typing import Any

from tailstest.core.errors import InfrastructureError
from tailstest.core.text import printable


def is_ejected(libvirt: Any, monitor: Any, domain: Any, alias: str) -> bool:
    """Tell whether the tray of a drive is open; that of a USB stick is none, but is opened, too.

    Args:
        libvirt, monitor: the modules libvirt and libvirt_qemu.
        domain: the `virDomain`, which runs.
        alias: libvirt's name of the drive.

    Raises:
        InfrastructureError: QEMU does not answer.
    """
    try:
        said = monitor.qemuMonitorCommand(domain, '{"execute": "query-block"}', 0)
    except libvirt.libvirtError as error:
        text = printable(error.get_error_message())
        raise InfrastructureError(f"QEMU does not describe its media: {text}") from error
    for drive in json.loads(said)["return"]:
        # The part of a stick behind its connector has a path: .../usb-disk1/usb-disk1.0/legacy[0]
        if alias in str(drive.get("qdev", "")).split("/"):
            return bool(drive.get("tray_open"))
    return False
