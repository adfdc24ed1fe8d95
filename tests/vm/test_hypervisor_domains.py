from __future__ import annotations

import itertools
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import SetupError
from tailstest.core.settings import Settings
from tailstest.hypervisor.accelerator import TCG_LIMIT, run_probe
from tailstest.hypervisor.connection import Hypervisor
from tailstest.hypervisor.domain_template import DiskValues, DomainValues
from tailstest.hypervisor.firmware import choose_firmware, find_firmware
from tailstest.hypervisor.host_report import examine_host
from tailstest.hypervisor.library import find_emulator
from tailstest.hypervisor.probe_cache import SPEED_HOLDS

pytestmark = pytest.mark.vm


@pytest.fixture
def hypervisor(tmp_path: Path) -> Iterator[Hypervisor]:
    with Hypervisor.open(Settings(), tmp_path) as opened:
        yield opened


def full_domain(hypervisor: Hypervisor, machine: str, firmware: str) -> DomainValues:
    """Return a domain that uses all that the template can do."""
    folder = hypervisor.run_folder
    pair = choose_firmware(find_firmware(), machine)
    nvram = folder / "variables.fd"
    shutil.copyfile(pair.variables, nvram)
    image = folder / "image.raw"
    image.write_bytes(bytes(1024 * 1024))
    assert hypervisor.root is not None
    return DomainValues(
        name=f"{machine}-{firmware}",
        uuid=str(uuid.uuid4()),
        run_id=hypervisor.run_id,
        title="a <title> & more",
        emulator=hypervisor.emulator,
        machine=machine,
        firmware=firmware,
        loader=pair.code,
        nvram=nvram,
        memory_mib=128,
        disks=(
            DiskValues(source=image, device="cdrom", boot_order=1, alias="ua-dvd"),
            DiskValues(source=None, device="cdrom", target="sdb"),
            DiskValues(source=image, bus="usb", target="sdc", readonly=True, removable=True),
            DiskValues(source=image, bus="virtio", target="vda", readonly=True, serial="SERIAL1"),
        ),
        serial_log=folder / "serial.log",
        network="user",
        channels={"org.example.agent": hypervisor.root / "agent.sock"},
        vnc_socket=hypervisor.root / "vnc.sock",
        watchdog=True,
    )


@pytest.mark.parametrize(
    ("machine", "firmware"), list(itertools.product(("pc", "q35"), ("bios", "uefi")))
)
def test_every_kind_of_domain_is_valid_and_starts(
    hypervisor: Hypervisor, machine: str, firmware: str
) -> None:
    libvirt = hypervisor.libvirt
    values = full_domain(hypervisor, machine, firmware)
    domain = hypervisor.connection.defineXMLFlags(
        values.render(), libvirt.VIR_DOMAIN_DEFINE_VALIDATE
    )
    domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)
    assert domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED
    assert [each.name() for each in hypervisor.own_domains()] == [values.name]


@pytest.mark.parametrize("network", ["none", "user"])
def test_an_open_network_and_a_bare_machine_start_too(hypervisor: Hypervisor, network: str) -> None:
    values = DomainValues(
        name="bare",
        uuid=str(uuid.uuid4()),
        run_id=hypervisor.run_id,
        emulator=hypervisor.emulator,
        network=network,
        network_restricted=False,
        memory_mib=64,
        panic_device=False,
    )
    domain = hypervisor.connection.defineXML(values.render())
    domain.create()
    assert domain.isActive()


def test_closing_ends_qemu_and_removes_the_private_folder(tmp_path: Path) -> None:
    hypervisor = Hypervisor.open(Settings(), tmp_path)
    values = full_domain(hypervisor, "pc", "bios")
    hypervisor.connection.createXML(values.render())
    root = hypervisor.root
    assert root is not None
    (qemu,) = processes_with(str(root))
    hypervisor.close()
    assert poll(lambda: not qemu.is_running() or None, Deadline.after(60))
    assert not root.exists()
    hypervisor.close()


def test_the_driver_can_be_opened_again_and_twice_at_once(tmp_path: Path) -> None:
    with Hypervisor.open(Settings(), tmp_path) as outer:
        with Hypervisor.open(Settings(), tmp_path) as inner:
            inner.connection.createXML(full_domain(inner, "pc", "bios").render())
            assert outer.own_domains() == []
        assert outer.root is not None
        assert outer.root.exists()
        outer.connection.createXML(full_domain(outer, "pc", "bios").render())
    with Hypervisor.open(Settings(), tmp_path) as again:
        again.connection.createXML(full_domain(again, "pc", "bios").render())


def test_a_process_may_open_the_driver_any_number_of_times(tmp_path: Path) -> None:
    for _ in range(25):  # libvirt has room for 20 drivers, and registers one at each opening
        with Hypervisor.open(Settings(), tmp_path, guarded=False) as opened:
            assert opened.own_domains() == []
    with Hypervisor.open(Settings(), tmp_path) as again:
        domain = again.connection.createXML(full_domain(again, "pc", "bios").render())
        assert domain.isActive()


def test_the_boot_program_runs_through_all_modes_under_emulation() -> None:
    probe = run_probe("tcg", find_emulator(), limit=TCG_LIMIT)
    assert probe.ok, probe
    assert probe.work_seconds > 0


def test_a_hanging_guest_is_ended_with_its_qemu() -> None:
    probe = run_probe("tcg", find_emulator(), limit=0.01)
    assert not probe.ok
    # Tests beside this one may try out a QEMU, too.
    own = {each.pid for each in psutil.Process().children(recursive=True)}
    assert not own & {each.pid for each in processes_with("isa-debug-exit")}


def test_the_host_is_examined_once_a_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = Settings(accelerator="tcg")
    first = examine_host(settings)
    assert not first.cached
    assert first.accelerator == "tcg"
    assert first.cpu_model == "qemu64,+rdrand"
    assert first.deadline_scale >= 1
    assert first.screenshot_format.startswith("image/")
    assert {each.firmware for each in first.trials} == {"bios", "uefi"}
    assert "memory file" in first.snapshot_kinds("bios")
    assert "TCG" in first.to_text()
    second = examine_host(settings)
    assert second.cached
    assert second.trials == first.trials
    assert second.speed.work_seconds == first.speed.work_seconds
    (cache,) = tmp_path.glob("tailstest/host-*.json")
    known = json.loads(cache.read_text())
    for measured in (known["measured"] - SPEED_HOLDS, known["measured"] + 3600):
        cache.write_text(json.dumps(known | {"measured": measured}))
        later = examine_host(settings)
        assert later.cached
        assert later.speed.work_seconds != first.speed.work_seconds  # to nine digits: chance
        assert examine_host(settings).speed.work_seconds == later.speed.work_seconds
    cache.write_bytes(cache.read_bytes()[:-20])
    assert not examine_host(settings).cached


@pytest.mark.parametrize("kind", ["session", "system"])
def test_a_daemon_that_does_not_answer_is_a_matter_of_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("LIBVIRTD_PATH", "/nonexistent")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    try:
        Hypervisor.open(Settings(hypervisor=kind), tmp_path).close()
    except SetupError as error:
        assert f"qemu:///{kind}" in error.message
        assert 'hypervisor = "embed"' in error.hint
    else:
        pytest.skip(f"a daemon answers at qemu:///{kind}")


def processes_with(word: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if command and "qemu-system" in command[0] and any(word in each for each in command):
            found.append(process)
    return found
