"""Taking the boot medium out of a machine that runs, as a hand would."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from tailstest.core.errors import InfrastructureError, UsageError


class MediaBay:
    """The drives and sockets of one domain.

    Args:
        libvirt: the module.
        domain: the `virDomain`.
    """

    def __init__(self, libvirt: Any, domain: Any) -> None:
        self._libvirt = libvirt
        self._domain = domain

    def pull_stick(self) -> None:
        """Pull out the USB stick that the machine booted from, without a word to the system.

        Raises:
            UsageError: no USB stick is plugged in.
            InfrastructureError: QEMU refuses.
        """
        described = ET.fromstring(self._domain.XMLDesc(0))
        sticks = [
            disk
            for disk in described.iterfind("./devices/disk")
            if (target := disk.find("target")) is not None and target.get("bus") == "usb"
        ]
        if not sticks:
            raise UsageError(
                "there is no USB stick to pull out of this machine",
                hint="start it with: When I start the machine from a USB stick",
            )
        try:
            for stick in sticks:
                text = ET.tostring(stick, encoding="unicode")
                self._domain.detachDeviceFlags(text, self._libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except self._libvirt.libvirtError as error:
            raise InfrastructureError(
                f"the USB stick cannot be pulled out: {error.get_error_message()}"
            ) from error
