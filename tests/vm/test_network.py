"""Machines on networks of a lab: addresses, names, wires, captures, and what ends with the run."""

import subprocess
from pathlib import Path

import pytest

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.events import Events
from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.conversations import Conversations
from tailstest.lab.seen import address_text
from tailstest.machine.machine import Machine
from tailstest.machine.saved_machine import CAPTURE, MEMORY, MachineAtRest
from tailstest.media.dvd import Dvd
from tailstest.media.image_file import Digests
from tailstest.suite.scenario_network import ScenarioNetwork
from tailstest.suite.suite_files import SuiteFiles

pytestmark = pytest.mark.vm

IPXE = Path("/usr/lib/ipxe/ipxe.iso")


@pytest.fixture(scope="module")
def prompt(tmp_path_factory):
    """Return iPXE's ISO, changed so that it shows its command line without being asked to."""
    folder = tmp_path_factory.mktemp("ipxe")
    (folder / "script").write_text("#!ipxe\nshell\n")
    (folder / "menu").write_text("default ipxe\nlabel ipxe\nkernel ipxe.krn\ninitrd script.ipx\n")
    iso = folder / "prompt.iso"
    command = ["xorriso", "-indev", str(IPXE), "-outdev", str(iso), "-boot_image", "any", "replay"]
    for name, target in (("script", "script.ipx"), ("menu", "isolinux.cfg")):
        command += ["-map", str(folder / name), f"/{target}"]
    subprocess.run(command, check=True, capture_output=True)
    return iso


@pytest.fixture
def ipxe(make, bench, prompt):
    """Return a function that makes a machine at iPXE's command line, which starts quickly."""

    def started(network, **parts):
        machine = make(Dvd(prompt).disk(), memory_mib=256, network=network, **parts)
        machine.screen.wait_text("iPXE>", within=20)
        return machine

    yield started
    bench.labs.end()


def talk_of(machine):
    talk = Conversations()
    talk.add(CaptureFile(machine.card.capture))
    return {(each.protocol, address_text(each.destination), each.port): each for each in talk.found}


def enter(machine, command, shows, within=10):
    """Type a command, wait until a text is shown behind it."""
    machine.keyboard.type(f"{command}\n")
    machine.screen.wait_text(shows, within=within)


def test_a_machine_in_the_lab_gets_an_address_and_asks_for_names(ipxe, bench, tmp_path):
    machine = ipxe("lab")
    enter(machine, "dhcp && show net0/ip && show net0/gateway", "10.76.1.1")
    enter(
        machine, "imgfetch http://www.lab.test/nothing && echo done-${net0/ip}", "done-10.76.1.158"
    )
    talk = talk_of(machine)
    assert talk["UDP plain DNS", "2001:db8:76:1::1", 53].names == ["www.lab.test"]
    assert talk["TCP HTTP", "2001:db8:ffff::80", 80].there > 0
    state = machine.card.state()
    assert state.recorded == state.sent + state.received > 10
    assert not state.lost
    files = SuiteFiles(tmp_path, Digests())
    network = ScenarioNetwork(lambda: machine, lambda: bench.labs, Events(), files=files)
    checks = network.traffic
    checks.check_only_hosts([("router", "UDP", "53"), ("www.lab.test", "TCP", "80")])
    for forbidden in (
        lambda: checks.check_only_hosts([("router", "UDP", "53")]),
        checks.check_real_mac,
        checks.check_silent,
    ):
        with pytest.raises(CheckFailed, match=r"52:54:00:12:34:56"):
            forbidden()
    with pytest.raises(UsageError, match="no Tor network"):
        checks.check_only_tor()


def test_what_a_pulled_cable_keeps_back_is_not_sent(ipxe):
    machine = ipxe("isolated", cable=False)
    enter(machine, "dhcp && show net0/gateway", "Configuring")
    assert machine.card.state().connected
    assert machine.card.state().sent == 0
    machine.plug_cable(plugged=True)
    machine.screen.wait_text("10.76.1.1", within=20)
    assert machine.card.state().sent > 0
    machine.plug_cable(plugged=False)
    machine.power_off()
    machine.power_on()
    assert not machine.card.is_plugged


def test_a_saved_machine_runs_on_in_a_lab_of_its_own(ipxe, bench, tmp_path):
    machine = ipxe("lab")
    enter(machine, "dhcp && show net0/ip", "10.76.1.158")
    folder = tmp_path / "rest"
    folder.mkdir()
    facts = machine.save(folder)
    machine.close(keep_serial=False)
    bench.labs.end()
    rest = MachineAtRest(facts, folder)
    again = Machine("woken", facts.definition, [], bench, rest=rest)
    try:
        again.wake(folder / MEMORY)
        enter(again, "imgfetch http://www.lab.test/ && imgstat", "82 bytes")
        (saved,) = folder.glob(f"{CAPTURE}-*")
        earlier, recorded = list(CaptureFile(saved)), again.card.state().recorded
        packets = list(CaptureFile(again.card.capture))
        assert earlier
        assert packets[: len(earlier)] == earlier
        assert len(packets) >= len(earlier) + recorded
        assert packets[0].time < packets[-1].time
        assert again.card.state().sent > 5
    finally:
        again.close()


def test_without_a_lab_qemu_records(ipxe, bench, monkeypatch):
    monkeypatch.setattr(bench.labs, "why_not", "this test forbids it")
    machine = ipxe("lab")
    enter(machine, "dhcp && show net0/ip", "10.0.2.15")
    assert not bench.labs.is_up
    first = list(CaptureFile(machine.card.capture))
    assert any(packet.data[6:12].hex(":") == machine.card.mac for packet in first)
    machine.power_off()
    machine.power_on()
    assert list(CaptureFile(machine.card.captures[0])) == first
