"""Pulling out the stick: which drive that is, and what is said when there is none."""

from types import SimpleNamespace

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.machine.media_bay import MediaBay

DVD = '<disk type="file" device="cdrom"><target dev="sda" bus="sata"/></disk>'
STICK = '<disk type="file" device="disk"><target dev="sdb" bus="usb"/></disk>'


def bay(disks, refuse=False):
    pulled = []

    class LibvirtError(Exception):
        def get_error_message(self):
            return "device is busy"

    def detach(xml, flags):
        if refuse:
            raise LibvirtError
        pulled.append((xml, flags))

    libvirt = SimpleNamespace(libvirtError=LibvirtError, VIR_DOMAIN_AFFECT_LIVE=1)
    domain = SimpleNamespace(
        XMLDesc=lambda _flags: f"<domain><devices>{disks}</devices></domain>",
        detachDeviceFlags=detach,
    )
    return MediaBay(libvirt, domain), pulled


def test_the_stick_is_pulled_and_nothing_else():
    one, pulled = bay(DVD + STICK)
    one.pull_stick()
    ((xml, flags),) = pulled
    assert 'dev="sdb"' in xml
    assert 'dev="sda"' not in xml
    assert flags == 1


def test_a_machine_without_a_stick_and_a_refusal_are_told_apart():
    with pytest.raises(UsageError, match="no USB stick"):
        bay(DVD)[0].pull_stick()
    with pytest.raises(InfrastructureError, match="device is busy"):
        bay(STICK, refuse=True)[0].pull_stick()
