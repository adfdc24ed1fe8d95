"""Which virtio-serial ports somebody in the guest has opened, as QEMU knows it."""

from __future__ import annotations

from collections.abc import Iterable

from tailstest.machine.qemu_monitor import NotAnswered, QemuMonitor


def open_ports(monitor: QemuMonitor, names: Iterable[str]) -> set[str]:
    """Return those of some ports that are open inside.

    QEMU tells it as "frontend-open" of each character device.

    Args:
        monitor: of the machine; of one that does not run no port is open.
        names: of the ports; the domain template names their character devices after them.

    Raises:
        InfrastructureError: QEMU refuses to tell.
    """
    try:
        devices = monitor.ask("query-chardev")
    except NotAnswered:
        return set()  # it is off, or QEMU hangs: the watches of who waits say so
    opened = {each["label"] for each in devices if each["frontend-open"]}
    return {name for name in names if f"charua-{name.replace('.', '-')}" in opened}
