"""Which virtio-serial ports somebody in the guest has opened, as QEMU knows it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def open_ports(libvirt: Any, monitor: Any, domain: Any, names: Iterable[str]) -> set[str]:
    """Return those of some ports that are open inside.

    QEMU tells it as "frontend-open" of each character device (query-chardev of
    https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html).

    Args:
        libvirt, monitor: the modules libvirt and libvirt_qemu.
        domain: the `virDomain`; of one that does not run no port is open.
        names: of the ports; the domain template names their character devices after them.
    """
    try:
        said = monitor.qemuMonitorCommand(domain, '{"execute": "query-chardev"}', 0)
    except libvirt.libvirtError:
        return set()  # it is off, or QEMU hangs: the watches of who waits say so
    opened = {each["label"] for each in json.loads(said)["return"] if each["frontend-open"]}
    return {name for name in names if f"charua-{name.replace('.', '-')}" in opened}
