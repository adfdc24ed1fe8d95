"""Plugging and pulling: which drive that is, and what is believed of what libvirt says (C42)."""

import dataclasses
import json
import time
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.machine import media_bay
from tailstest.machine.media_bay import MediaBay
from tailstest.machine.qemu_monitor import QemuMonitor
from tailstest.machine.served_media import ServedMedia
from tailstest.media.faults import Faults
from tailstest.media.usb_stick import UsbStick

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
        self.ejected_at = float("inf")

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

    def qemuMonitorCommand(self, _domain, command, _flags):  # noqa: N802
        assert json.loads(command)["execute"] == "query-block"
        if self.ejected_at is None:
            raise LibvirtError("monitor is gone")
        path = "/machine/peripheral/usb-disk1/usb-disk1.0/legacy[0]"
        is_open = time.monotonic() >= self.ejected_at
        drives = [{"qdev": "sata0-0-0", "tray_open": True}, {"qdev": path, "tray_open": is_open}]
        return json.dumps({"return": drives})

    def defineXML(self, xml):  # noqa: N802
        self.next = xml


def bay(domain):
    served = ServedMedia(Path("/nowhere"), deadline_scale=1)
    monitor = QemuMonitor(Libvirt, domain, domain)
    return MediaBay(Libvirt, domain, served, monitor=monitor, chipset="q35", deadline_scale=1)


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


def test_who_does_not_let_go_is_named(monkeypatch):
    monkeypatch.setattr(media_bay, "GONE_LIMIT", 0.5)
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


NAMED = STICK.replace("</disk>", '<alias name="usb-disk1"/></disk>')


def test_a_stick_is_removed_when_the_system_has_ejected_it():
    domain = Domain(NAMED)
    began = time.monotonic()
    domain.ejected_at = began + 0.3
    bay(domain).remove(S, "mine", within=60)
    assert time.monotonic() - began >= 0.3
    assert bay(domain).sticks() == []


def test_a_stick_that_is_not_ejected_stays():
    domain = Domain(NAMED)
    with pytest.raises(CheckFailed, match=r'"mine" cannot be removed safely: .* not ejected it'):
        bay(domain).remove(S, "mine", within=0.1)
    assert domain.asked == []
    assert bay(domain).sticks() == [S]
    domain.ejected_at = None
    with pytest.raises(InfrastructureError, match="monitor is gone"):
        bay(domain).remove(S, "mine", within=0.1)


def test_removing_what_is_not_there_or_from_a_machine_that_is_off():
    with pytest.raises(UsageError, match='"mine" is not plugged in'):
        bay(Domain(DVD)).remove(S, "mine", within=0.1)
    domain = Domain(NAMED, is_on=False)
    bay(domain).remove(S, "mine", within=0.1)
    assert "/s.qcow2" not in domain.next


def test_a_disk_on_the_pci_bus_is_asked_back_from_the_system():
    by_pci = STICK.replace('bus="usb"', 'bus="virtio"')
    domain = Domain(by_pci, seconds=0.2)
    bay(domain).remove(S, "mine", within=60)
    assert len(domain.asked) == 1
    with pytest.raises(CheckFailed, match="does not let go"):
        bay(Domain(by_pci, seconds=60)).remove(S, "mine", within=0.1)


@pytest.mark.parametrize("bus", ["nvme", "sd"])
@pytest.mark.parametrize("is_on", [True, False])
def test_what_is_built_in_neither_comes_nor_goes(bus, is_on):
    built_in = STICK.replace('bus="usb"', 'bus="virtio"')
    domain = Domain(
        built_in.replace("</disk>", f'<alias name="ua-{bus}-sdb"/></disk>'), is_on=is_on
    )
    with pytest.raises(UsageError, match='"mine" is built into the machine'):
        bay(domain).pull_out(S, "mine")
    with pytest.raises(UsageError, match='"mine" is built into the machine'):
        bay(domain).remove(S, "mine", within=0.1)
    with pytest.raises(UsageError, match=r"cannot be built into a machine that (runs|has run)"):
        bay(domain).plug_in(dataclasses.replace(NEW, bus=bus))
    assert domain.asked == []
    assert "/new.qcow2" not in domain.next


def test_a_sata_disk_comes_and_goes_only_while_the_machine_is_off():
    by_sata = STICK.replace('bus="usb"', 'bus="sata"')
    disk = dataclasses.replace(NEW, bus="sata")
    with pytest.raises(UsageError, match="a SATA disk cannot be built into a machine that runs"):
        bay(Domain(DVD)).plug_in(disk)
    with pytest.raises(UsageError, match="cannot be taken out of it while it runs"):
        bay(Domain(by_sata)).pull_out(S, "mine")
    domain = Domain(by_sata, is_on=False)
    bay(domain).pull_out(S, "mine")
    bay(domain).plug_in(disk)
    assert "/s.qcow2" not in domain.next
    assert "/new.qcow2" in domain.next


def test_a_medium_with_faults_has_a_server_while_it_is_plugged_in(tmp_path):
    file = tmp_path / "bad.raw"
    file.write_bytes(bytes(2 << 20))
    served = ServedMedia(tmp_path, deadline_scale=10)
    domain = Domain(DVD)
    monitor = QemuMonitor(Libvirt, domain, domain)
    one = MediaBay(Libvirt, domain, served, monitor=monitor, chipset="q35", deadline_scale=1)
    bad = UsbStick(file, format="raw", faults=Faults(kept=1 << 20)).disk()
    try:
        one.plug_in(bad)
        source = ElementTree.fromstring(domain.asked[-1][0]).find("source")
        assert (source.get("protocol"), source.get("name")) == ("nbd", str(file))
        assert (tmp_path / "medium-1").is_socket()
        assert served.faults == {str(file): Faults(kept=1 << 20)}
        assert served.is_bad(str(file))
        domain.is_on = False
        assert one.holds(file)
        one.pull_out(file, "bad")
        assert served.faults == {}
        assert not (tmp_path / "medium-1").exists()
        domain.is_on, domain.errors = True, ["no more ports"]
        with pytest.raises(InfrastructureError, match="no more ports"):
            one.plug_in(bad)
        assert served.faults == {}
        children = psutil.Process().children()  # other tests may have left a helper
        assert not [each for each in children if each.name() == "nbdkit"]
    finally:
        served.close()
