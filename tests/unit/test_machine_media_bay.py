"""Plugging and pulling: which drive that is, and what is believed of what libvirt says (C42)."""

import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.machine import media_bay
from tailstest.machine.media_bay import MediaBay
from tailstest.machine.served_media import ServedMedia

DVD = (
    '<disk type="file" device="cdrom"><source file="/a.iso"/><target dev="sda" bus="sata"/>'
    '<boot order="1"/></disk>'
)
STICK = (
    '<disk type="file" device="disk"><source file="/s.qcow2"/><target dev="sdb" bus="usb"/>'
    '<boot order="2"/></disk>'
)
S = Path("/s.qcow2")
NEW = DiskValues(
    source=Path("/new.qcow2"), bus="usb", target="sda", format="qcow2", boot_order=1, removable=True
)


class LibvirtError(Exception):
    def get_error_message(self):
        return str(self)


class Libvirt:
    libvirtError = LibvirtError  # noqa: N815
    VIR_DOMAIN_AFFECT_LIVE = 1
    VIR_DOMAIN_XML_INACTIVE = 2
    VIR_DOMAIN_DEVICE_MODIFY_FORCE = 4


class Domain:
    """Stands for a domain whose QEMU lets go of a drive late, never, or with an error."""

    def __init__(self, disks, *, seconds=0.0, errors=(), removed_by_error=False, is_on=True):
        self.live = self.next = f"<domain><devices>{disks}</devices></domain>"
        self.seconds, self.errors = seconds, list(errors)
        self.removed_by_error, self.is_on = removed_by_error, is_on
        self.gone_at, self.asked = float("inf"), []

    def isActive(self):  # noqa: N802
        return self.is_on

    def XMLDesc(self, flags):  # noqa: N802
        if flags == Libvirt.VIR_DOMAIN_XML_INACTIVE or not self.is_on:
            return self.next
        if time.monotonic() >= self.gone_at:
            root = ElementTree.fromstring(self.live)
            devices = root.find("devices")
            for disk in list(devices):
                if disk.find("source").get("file") in self.asked[-1][0]:
                    devices.remove(disk)
            return ElementTree.tostring(root, encoding="unicode")
        return self.live

    def detachDeviceFlags(self, xml, flags):  # noqa: N802
        self.asked.append((xml, flags))
        if self.errors:
            if self.removed_by_error:
                self.gone_at = 0
            raise LibvirtError(self.errors.pop(0))
        self.gone_at = time.monotonic() + self.seconds

    def attachDeviceFlags(self, xml, flags):  # noqa: N802
        if self.errors:
            raise LibvirtError(self.errors.pop(0))
        self.asked.append((xml, flags))

    updateDeviceFlags = attachDeviceFlags  # noqa: N815

    def connect(self):
        return self

    def defineXML(self, xml):  # noqa: N802
        self.next = xml


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(media_bay, "GONE_LIMIT", 0.5)


def bay(domain):
    served = ServedMedia(Path("/nowhere"), deadline_scale=1)
    return MediaBay(Libvirt, domain, served, monitor=domain, chipset="q35", deadline_scale=1)


def test_the_stick_is_pulled_and_nothing_else():
    domain = Domain(DVD + STICK)
    bay(domain).pull_stick()
    ((xml, flags),) = domain.asked
    assert 'dev="sdb"' in xml
    assert 'dev="sda"' not in xml
    assert flags == Libvirt.VIR_DOMAIN_AFFECT_LIVE
    assert "/a.iso" in domain.next
    assert "/s.qcow2" not in domain.next


def test_of_several_sticks_the_one_that_was_booted_from_is_pulled():
    domain = Domain(STICK + STICK.replace("/s.", "/first.").replace('order="2"', 'order="1"'))
    bay(domain).pull_stick()
    assert "/first.qcow2" in domain.asked[0][0]
    assert bay(domain).sticks() == [S]


def test_a_machine_without_a_stick_says_so():
    with pytest.raises(UsageError, match="no USB stick"):
        bay(Domain(DVD)).pull_stick()
    with pytest.raises(UsageError, match='"mine" is not plugged in'):
        bay(Domain(DVD)).pull_out(S, "mine")


def test_pulling_waits_until_the_stick_is_really_gone():
    domain = Domain(DVD + STICK, seconds=0.3)
    began = time.monotonic()
    bay(domain).pull_out(S, "mine")
    assert time.monotonic() - began >= 0.3
    assert len(domain.asked) == 1


def test_a_busy_machine_is_asked_again():
    domain = Domain(STICK, errors=["guest is busy", "guest is busy"])
    bay(domain).pull_out(S)
    assert len(domain.asked) == 3


def test_an_error_although_the_stick_is_gone_is_none():
    domain = Domain(STICK, errors=["device not found"], removed_by_error=True)
    bay(domain).pull_out(S)
    assert bay(domain).sticks() == []


def test_who_does_not_let_go_is_named():
    with pytest.raises(InfrastructureError, match=r'"mine" is still plugged in after \d+ s: QEMU'):
        bay(Domain(STICK, seconds=60)).pull_out(S, "mine")
    with pytest.raises(InfrastructureError, match=r"still plugged in.*busy"):
        bay(Domain(STICK, errors=["busy"] * 100)).pull_out(S)
    by_pci = STICK.replace('bus="usb"', 'bus="virtio"')
    with pytest.raises(CheckFailed, match="the system in the machine does not let go"):
        bay(Domain(by_pci, seconds=60)).pull_out(S)


def test_what_is_plugged_in_gets_a_free_name_and_the_last_place():
    domain = Domain(DVD + STICK)
    bay(domain).plug_in(NEW)
    ((xml, _flags),) = domain.asked
    disk = ElementTree.fromstring(xml)
    assert disk.find("target").get("dev") == "sdc"
    assert disk.find("boot").get("order") == "3"
    assert "/new.qcow2" in domain.next


def test_a_machine_that_is_off_is_only_described_anew():
    domain = Domain(STICK, is_on=False)
    one = bay(domain)
    one.plug_in(NEW)
    one.boot_from(NEW.source)
    assert one.sticks() == [NEW.source, S]
    one.pull_out(S)
    assert one.sticks() == [NEW.source]
    assert domain.asked == []
    with pytest.raises(UsageError, match="not plugged in"):
        one.boot_from(S)


def test_a_medium_that_another_machine_writes_to_is_the_tests_trouble():
    domain = Domain("", errors=['Failed to get "write" lock\nIs another process using the image?'])
    with pytest.raises(UsageError, match="in use by another machine"):
        bay(domain).plug_in(NEW)
    assert "/new.qcow2" not in domain.next
    with pytest.raises(InfrastructureError, match="no more ports"):
        bay(Domain("", errors=["no more ports"])).plug_in(NEW)


def test_a_dvd_is_ejected_by_force_and_changed():
    domain = Domain(DVD)
    one = bay(domain)
    one.eject_dvd()
    xml, flags = domain.asked[-1]
    assert "source" not in xml
    assert flags == Libvirt.VIR_DOMAIN_AFFECT_LIVE | Libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE
    assert "/a.iso" not in domain.next
    one.put_in_dvd(Path("/b.iso"))
    assert "/b.iso" in domain.asked[-1][0]
    assert "/b.iso" in domain.next
    with pytest.raises(UsageError, match="no DVD drive"):
        bay(Domain(STICK)).eject_dvd()
    with pytest.raises(UsageError, match="no DVD in the drive"):
        bay(Domain(DVD.replace('<source file="/a.iso"/>', ""))).eject_dvd()
