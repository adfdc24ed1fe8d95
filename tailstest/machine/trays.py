"""Whether the system in a machine has ejected a medium, as QEMU knows it."""

from __future__ import annotations

from tailstest.core.errors import InfrastructureError
from tailstest.machine.qemu_monitor import QemuMonitor


def is_ejected(monitor: QemuMonitor, alias: str) -> bool:
    """Tell whether the tray of a drive is open; that of a USB stick is none, but is opened, too.

    Args:
        monitor: of a machine that runs.
        alias: libvirt's name of the drive.

    Raises:
        InfrastructureError: QEMU does not answer.
    """
    try:
        drives = monitor.ask("query-block")
    except InfrastructureError as error:
        raise InfrastructureError(f"QEMU does not describe its media: {error.message}") from error
    for drive in drives:
        # The part of a stick behind its connector has a path: .../usb-disk1/usb-disk1.0/legacy[0]
        if alias in str(drive.get("qdev", "")).split("/"):
            return bool(drive.get("tray_open"))
    return False
