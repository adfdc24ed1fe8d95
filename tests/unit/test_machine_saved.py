"""A machine at rest: its paths move, all else stays."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tailstest.core.errors import InfrastructureError
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.saved_machine import QEMU_ARGUMENT, SavedMachine, media_files
from tailstest.media.file_copy import copy_file

XML = """<domain type="qemu" xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">
  <name>tailstest-1</name><uuid>u</uuid>
  <metadata><tailstest:run xmlns:tailstest="urn:tailstest:run:1" id="then"/></metadata>
  <os><loader>/usr/share/OVMF/CODE.fd</loader><nvram>/old/m/uefi-variables</nvram></os>
  <devices>
    <disk device="cdrom"><source file="/iso/a.iso"/><readonly/></disk>
    <disk device="disk"><source file="/run/disks/stick.qcow2"/></disk>
    <disk device="disk"/>
    <serial type="file"><source path="/run/logs/serial.log" append="on"/></serial>
    <channel type="unix"><source mode="bind" path="/old/m/agent"/></channel>
    <channel type="unix"><source mode="bind" path="/old/m2/agent"/></channel>
  </devices>
  <qemu:commandline><qemu:arg value="-device"/></qemu:commandline>
</domain>"""


def saved():
    return SavedMachine(
        definition=MachineDefinition(),
        xml=XML,
        folder="/old/m",
        serial_log="/run/logs/serial.log",
        disks={"/run/disks/stick.qcow2": "disk-0.qcow2"},
        serial_text="",
        serial_begin=0,
        serial_restart=0,
        failure_texts=[],
        has_agent=False,
        is_installed=False,
    )


def moved():
    return saved().xml_at(
        folder=Path("/new/n"),
        serial_log=Path("/now/serial.log"),
        disks={"/run/disks/stick.qcow2": Path("/now/stick.qcow2")},
        run="now",
    )


def test_paths_of_then_become_paths_of_now():
    text = moved()
    for path in ("/new/n/uefi-variables", "/new/n/agent", "/now/serial.log", "/now/stick.qcow2"):
        assert path in text
    for path in ("/old/m/", "/run/"):
        assert path not in text
    mark = ElementTree.fromstring(text).find("metadata/{urn:tailstest:run:1}run")
    assert mark.get("id") == "now"


def test_a_dvd_whose_image_has_moved_is_found():
    text = saved().xml_at(
        folder=Path("/new/n"),
        serial_log=Path("/now/serial.log"),
        disks={"/iso/a.iso": Path("/other/a.iso")},
        run="now",
    )
    assert "/other/a.iso" in text
    assert '"/iso/a.iso"' not in text


def test_everything_else_stays_as_it_was():
    text = moved()
    for kept in ("/iso/a.iso", "/usr/share/OVMF/CODE.fd", "/old/m2/agent", "<name>tailstest-1"):
        assert kept in text
    assert '<qemu:arg value="-device"' in text
    assert text.count('id="now"') == 1


def test_only_what_can_be_written_to_is_a_writable_disk():
    assert media_files(XML) == ["/run/disks/stick.qcow2"]


def test_it_knows_its_domain():
    assert saved().uuid == "u"


def test_what_people_and_qemu_read_keeps_its_form():
    then, now = (ElementTree.fromstring(text) for text in (XML, moved()))
    assert [each.tag for each in then.iter()] == [each.tag for each in now.iter()]
    changed = [
        (before.attrib, after.attrib)
        for before, after in zip(then.iter(), now.iter(), strict=True)
        if before.attrib != after.attrib
    ]
    assert len(changed) == 4  # the run, the stick, the console, the agent
    assert "xmlns:qemu=" in moved()
    assert "<tailstest:run" in moved()
    assert "ns0:" not in moved()


def test_paths_inside_arguments_of_qemu_move_too():
    backend = '{"type": "stream", "addr": {"type": "unix", "path": "/old/m/network"}}'
    dump = '{"qom-type": "filter-dump", "file": "/run/captures/one.pcap"}'
    device = '{"driver": "virtio-net-pci", "netdev": "network"}'
    arguments = "".join(
        f"<qemu:arg value='{each}'/>" for each in ("-device", device, backend, dump)
    )
    facts = saved().model_copy(
        update={
            "xml": XML.replace('<qemu:arg value="-device"/>', arguments),
            "capture": "/run/captures/one.pcap",
        }
    )
    text = facts.xml_at(
        folder=Path("/new/n"),
        serial_log=Path("/now/serial.log"),
        disks={},
        run="now",
        capture=Path("/now/two.pcap"),
    )
    values = [each.get("value") for each in ElementTree.fromstring(text).iter(QEMU_ARGUMENT)]
    assert values == [
        "-device",
        device,
        backend.replace("/old/m/", "/new/n/"),
        dump.replace("/run/captures/one.pcap", "/now/two.pcap"),
    ]


def test_a_copy_goes_where_it_should_or_nowhere(tmp_path):
    source, folder = tmp_path / "stick", tmp_path / "disk-0"
    source.write_bytes(b"x" * 5000)
    folder.mkdir()
    with pytest.raises(InfrastructureError):
        copy_file(source, folder)
    assert list(folder.iterdir()) == []
    copy_file(source, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
