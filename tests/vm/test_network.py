"""Machines on networks of a lab: addresses, names, wires, captures, and what ends with the run."""

from pathlib import Path

import pytest

from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.conversations import Conversations
from tailstest.lab.seen import address_text
from tailstest.media.dvd import Dvd

pytestmark = pytest.mark.vm

IPXE = Path("/usr/lib/ipxe/ipxe.iso")


@pytest.fixture
def ipxe(make, bench):
    """Return a function that makes a machine at iPXE's command line, which starts quickly."""

    def started(network, **parts):
        machine = make(Dvd(IPXE).disk(), memory_mib=256, network=network, **parts)
        machine.screen.wait_text("initialising devices")
        machine.tester.press_until_text("Ctrl+B", "iPXE>")
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


def test_a_machine_in_the_lab_gets_an_address_and_asks_for_names(ipxe):
    machine = ipxe("lab")
    enter(machine, "dhcp && show net0/ip && show net0/gateway", "10.76.1.1")
    enter(
        machine, "imgfetch http://www.lab.test/nothing || echo done-${net0/ip}", "done-10.76.1.158"
    )
    talk = talk_of(machine)
    assert talk["UDP plain DNS", "2001:db8:76:1::1", 53].names == ["www.lab.test"]
    assert talk["TCP HTTP", "2001:db8:ffff::80", 80].there > 0
    state = machine.card.state()
    assert state.recorded == state.sent + state.received > 10
    assert not state.lost
