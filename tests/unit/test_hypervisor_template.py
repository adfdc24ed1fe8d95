from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tailstest.core.errors import UsageError
from tailstest.core.paths import bundled
from tailstest.hypervisor.domain_template import (
    DEFAULT_TEMPLATE,
    DiskValues,
    DomainValues,
    render_domain,
)
from tailstest.hypervisor.marker import NAMESPACE, run_of_metadata


def values(**changes: Any) -> DomainValues:
    basic = DomainValues(
        name="machine",
        uuid="6b5ba5ba-7a52-4f6a-a1bd-6ac0a3aa8a3c",
        run_id="the-run",
        emulator=Path("/usr/bin/qemu-system-x86_64"),
        loader=Path("/code.fd"),
        nvram=Path("/own.fd"),
        disks=(DiskValues(source=Path("/image.iso"), device="cdrom", boot_order=1),),
        serial_log=Path("/serial.log"),
    )
    return dataclasses.replace(basic, **changes)


def rendered(**changes: Any) -> ElementTree.Element:
    return ElementTree.fromstring(values(**changes).render())


def test_the_run_marks_its_domains() -> None:
    metadata = rendered().find("metadata")
    assert metadata is not None
    mark = ElementTree.tostring(metadata[0], encoding="unicode")
    assert NAMESPACE in mark
    assert run_of_metadata(mark) == "the-run"


@pytest.mark.parametrize("text", ["", "<run", "<other id='the-run'/>", "<run/>"])
def test_anything_else_is_no_mark(text: str) -> None:
    assert run_of_metadata(text) is None


@pytest.mark.parametrize(
    ("ahead", "clock"),
    [
        (0, {"offset": "utc"}),
        (-86_400, {"offset": "variable", "adjustment": "-86400", "basis": "utc"}),
    ],
)
def test_a_clock_may_be_wrong(ahead: int, clock: dict[str, str]) -> None:
    element = rendered(clock_ahead=ahead).find("clock")
    assert element is not None
    assert dict(element.attrib) == clock


def test_strings_cannot_become_markup() -> None:
    nasty = """a"b'<c>&{{ 7 * 7 }}"""
    domain = rendered(title=nasty, cmdline=nasty, kernel=Path(f"/{nasty}"))
    assert domain.findtext("title") == nasty
    assert domain.findtext("os/cmdline") == nasty
    assert domain.findtext("os/kernel") == f"/{nasty}"
    assert domain.find("c") is None


def test_a_cd_is_read_only_and_an_empty_drive_has_no_source() -> None:
    disk = rendered(disks=(DiskValues(source=None, device="cdrom"),)).find("devices/disk")
    assert disk is not None
    assert disk.find("readonly") is not None
    assert disk.find("source") is None


@pytest.mark.parametrize(("machine", "bus"), [("pc", "ide"), ("q35", "sata")])
def test_a_drive_sits_on_a_bus_that_the_chipset_has(machine: str, bus: str) -> None:
    target = rendered(machine=machine).find("devices/disk/target")
    assert target is not None
    assert target.get("bus") == bus


def test_cpu_features_are_told_apart_from_the_model() -> None:
    cpu = rendered(cpu_model="qemu64,+rdrand,-svm").find("cpu")
    assert cpu is not None
    assert cpu.findtext("model") == "qemu64"
    features = {each.get("name"): each.get("policy") for each in cpu.findall("feature")}
    assert features == {"rdrand": "require", "svm": "disable"}


def test_emulation_settings_are_left_out_with_kvm() -> None:
    assert rendered(accelerator="tcg").find("features/tcg") is not None
    domain = rendered(accelerator="kvm", cpu_model="host")
    assert domain.find("features/tcg") is None
    assert domain.get("type") == "kvm"
    cpu = domain.find("cpu")
    assert cpu is not None
    assert cpu.get("mode") == "host-passthrough"


def test_a_restricted_network_never_becomes_an_open_one() -> None:
    restricted = values(network="user", network_restricted=True).render()
    assert "restrict=on" in restricted
    assert "<interface" not in restricted
    assert "<interface" in values(network="user", network_restricted=False).render()
    assert "netdev" not in values(network="none").render()


def test_the_port_of_qemu_s_agent_is_kept_from_libvirt_which_would_take_its_socket() -> None:
    ports = {"org.example.agent": Path("/a"), "org.qemu.guest_agent.0": Path("/b,c")}
    domain = rendered(channels=ports)
    assert [each.get("name") for each in domain.iterfind("./devices/channel/target")] == [
        "org.example.agent"
    ]
    # `machine.open_ports` finds both by these names.
    aliases = [each.get("name") for each in domain.iterfind("./devices/channel/alias")]
    assert aliases == ["ua-org-example-agent"]
    space = "{http://libvirt.org/schemas/domain/qemu/1.0}"
    given = [each.get("value") or "" for each in domain.iter(f"{space}arg")]
    assert "socket,id=charua-org-qemu-guest_agent-0,path=/b,,c,server=on,wait=off" in given
    (device,) = [json.loads(each) for each in given if each.startswith("{")]
    assert device["name"] == "org.qemu.guest_agent.0"
    assert "commandline" not in values(channels={"org.example.agent": Path("/a")}).render()


def test_the_serial_port_writes_its_log_with_and_without_a_socket() -> None:
    for socket, kind in ((None, "file"), (Path("/serial"), "unix")):
        serial = rendered(serial_socket=socket).find("./devices/serial")
        assert serial is not None
        assert serial.get("type") == kind
        assert "/serial.log" in ElementTree.tostring(serial, encoding="unicode")


def test_all_values_that_the_template_documents_exist_and_the_other_way_round() -> None:
    head = (bundled("vm-templates") / DEFAULT_TEMPLATE).read_text().partition("#}")[0]
    words = set(head.replace(",", " ").replace(";", " ").replace(":", " ").split())
    missing = {field.name for field in dataclasses.fields(DomainValues)} - words
    assert missing == set()


def test_a_suite_brings_its_own_template_that_extends_ours(tmp_path: Path) -> None:
    (tmp_path / "own.xml.j2").write_text("<!-- ours -->{% include 'domain.xml.j2' %}")
    text = values().render("own.xml.j2", folder=tmp_path)
    assert text.startswith("<!-- ours -->")
    assert "<name>machine</name>" in text


def test_a_missing_template_is_named_with_the_ones_that_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)nothing\.xml.*domain\.xml\.j2"):
        render_domain("nothing.xml", folder=tmp_path)


def test_a_mistake_in_a_template_names_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_text("<domain>\n{% if %}\n</domain>")
    with pytest.raises(UsageError, match=r"bad\.xml:2: "):
        render_domain("bad.xml", folder=tmp_path)


def test_a_value_that_was_not_given_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_text("<domain>{{ memry }}</domain>")
    with pytest.raises(UsageError, match="memry"):
        values().render("bad.xml", folder=tmp_path)


OVERRIDE = {"qemu": "http://libvirt.org/schemas/domain/qemu/1.0"}


def overridden(domain: ElementTree.Element, alias: str) -> dict[str | None, str | None]:
    """Return what is changed about a device: property to value, None if it is removed."""
    device = domain.find(f"qemu:override/qemu:device[@alias='{alias}']/qemu:frontend", OVERRIDE)
    assert device is not None
    return {each.get("name"): each.get("value") for each in device}


@pytest.mark.parametrize(("machine", "root"), [("pc", "pci.0"), ("q35", "pcie.0")])
def test_nvme_disks_and_sd_cards_take_the_place_of_virtio_disks(machine: str, root: str) -> None:
    buses = {"sda": "nvme", "sdb": "sd", "sdc": "sd", "sdd": "virtio"}
    disks = tuple(
        DiskValues(source=Path(f"/{target}"), target=target, bus=bus, boot_order=number)  # type: ignore[arg-type]
        for number, (target, bus) in enumerate(buses.items(), start=1)
    )
    domain = rendered(disks=disks, machine=machine)
    assert {each.get("bus") for each in domain.iterfind("devices/disk/target")} == {"virtio"}
    assert overridden(domain, "ua-nvme-sda") == {"driver": "nvme", "write-cache": None}
    assert overridden(domain, "ua-sd-sdc")["bus"] == f"{root}/reader-sdc/sd-bus"
    assert overridden(domain, "ua-sd-sdb")["driver"] == "sd-card"
    arguments = [each.get("value") for each in domain.iterfind("qemu:commandline/*", OVERRIDE)]
    assert [word for word in arguments if word and word.startswith("sdhci")] == [
        "sdhci-pci,id=reader-sdb,addr=0x11",
        "sdhci-pci,id=reader-sdc,addr=0x12",
    ]
    assert len(domain.findall("qemu:override/qemu:device", OVERRIDE)) == 3
    # QEMU has no NVMe controller without a serial number.
    serials = [disk.findtext("serial") for disk in domain.iterfind("devices/disk")]
    assert serials == ["1", None, None, None]


def test_an_ordinary_machine_overrides_nothing() -> None:
    assert rendered().find("qemu:override", OVERRIDE) is None
    assert rendered().find("qemu:commandline", OVERRIDE) is None


def test_a_medium_with_a_server_is_asked_for_by_its_name_there() -> None:
    disk = DiskValues(source=Path("/a & b.raw"), socket=Path("/s'1"), bus="usb")
    domain = ElementTree.fromstring(disk.render("q35"))
    source = domain.find("source")
    assert source is not None
    assert source.attrib == {"protocol": "nbd", "name": "/a & b.raw"}
    assert domain.get("type") == "network"
    assert [each.attrib for each in source] == [{"transport": "unix", "socket": "/s'1"}]
