"""Real machines for tests: one connection for a module, machines closed after each test."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.hypervisor.connection import Hypervisor
from tailstest.hypervisor.host_report import examine_host
from tailstest.hypervisor.host_speed import load_per_core, usable_cores
from tailstest.lab.network.keeper import LabKeeper
from tailstest.machine.bench import Bench
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.machine import Machine
from tailstest.media.dvd import Dvd
from tailstest.media.media_folder import MediaFolder
from tailstest.screen.library import ReferenceLibrary

#: How many processes run tests on this host.
BESIDE = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
#: More emulated processors than cores hold one another up.
PROCESSORS = {"cpus": min(2, max(1, usable_cores() // BESIDE))}
RESCUE = Path("/usr/lib/grub-rescue/grub-rescue-cdrom.iso")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    settings = Settings(default_deadline=60)
    with Hypervisor.open(settings, folder) as hypervisor:
        found = examine_host(settings)
        crowding = max(1.0, BESIDE * 2 / usable_cores()) if BESIDE > 1 else 1.0
        host = replace(found, speed=replace(found.speed, crowding=crowding))
        labs = LabKeeper(hypervisor.root, deadline_scale=host.deadline_scale)
        evidence = EvidenceFolder(folder)
        media = MediaFolder(evidence, hypervisor.lease.own)
        yield Bench(
            hypervisor=hypervisor,
            host=host,
            settings=settings,
            events=Events(),
            evidence=evidence,
            media=media,
            library=ReferenceLibrary([]),
            labs=labs,
        )
        labs.end()
        media.clear()


@pytest.fixture
def make(bench):
    """Return a function that makes a machine with some disks, or with the rescue DVD."""
    made = []

    def machine(*disks, **parts):
        media = disks or (Dvd(RESCUE).disk(),)
        # What else the host does changes during a module.
        speed = replace(bench.host.speed, load_per_core=load_per_core())
        now = replace(bench, host=replace(bench.host, speed=speed))
        definition = MachineDefinition(**{**PROCESSORS, **parts})
        one = Machine(f"test-{len(made)}", definition, media, now)
        made.append(one)
        one.power_on()
        return one

    yield machine
    for one in made:
        one.close()


@pytest.fixture
def keeper(tmp_path):
    """A keeper of labs that belongs to no machine."""
    one = LabKeeper(tmp_path, deadline_scale=3)
    yield one
    one.end()


@pytest.fixture
def rescue_shell(make):
    """Return a machine at GRUB's command line, which also talks on the serial port."""
    return at_shell(make(memory_mib=256))


def at_shell(machine):
    """Lead a machine with the rescue DVD to GRUB's command line on screen and serial port."""
    machine.screen.wait_text("GNU/Linux")
    machine.keyboard.press("c")
    machine.screen.wait_text("grub>")
    machine.keyboard.type("serial --unit=0 --speed=115200\n")
    machine.keyboard.type("terminal_output console serial\n")
    machine.wait_serial("grub>")
    return machine
