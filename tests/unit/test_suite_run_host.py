"""How patient a run is on a host that others use, too."""

import os
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tailstest.core.events import OVERLOADED, Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.hypervisor.host_report import examine_host
from tailstest.hypervisor.host_speed import MAX_LOAD_SCALE, HostSpeed, usable_cores
from tailstest.hypervisor.memory_claims import QEMU_OVERHEAD
from tailstest.machine.definition import MachineDefinition
from tailstest.screen.library import ReferenceLibrary
from tailstest.suite import run_host
from tailstest.suite.run_host import RunHost


@pytest.fixture
def scale(tmp_path, monkeypatch):
    """Return a function that makes a bench under some load, and its factor on every deadline."""
    normal = replace(examine_host(Settings()), speed=HostSpeed(0.42, load_per_core=0.0))
    monkeypatch.setattr(run_host, "examine_host", lambda _settings: normal)
    loads = [0.0]
    monkeypatch.setattr(os, "getloadavg", lambda: (loads[0] * usable_cores(), 0.0, 0.0))
    hosts = {}

    def measured(load, workers=1):
        loads[0] = load
        if workers not in hosts:
            evidence = EvidenceFolder(tmp_path)
            hosts[workers] = RunHost(Settings(), Events(), evidence, workers)
            monkeypatch.setattr(hosts[workers], "_opened", lambda: SimpleNamespace(root=tmp_path))
        return hosts[workers].bench(ReferenceLibrary([])).host.deadline_scale

    return measured


def test_each_machine_is_as_patient_as_the_present_load_asks(scale):
    assert scale(0.0) == 1.0
    assert scale(3.0) == 3.0
    assert scale(0.5) == 1.0


def test_machines_beside_one_another_need_patience_from_the_beginning(scale):
    crowding = min(MAX_LOAD_SCALE, max(1.0, 4 * 2 / usable_cores()))
    assert scale(0.0, workers=4) == pytest.approx(crowding, abs=0.01)


@pytest.mark.parametrize(
    ("cores", "workers", "accelerator", "given", "processors", "counted_on"),
    [
        (2, 1, "tcg", {}, 2, 0),
        (2, 2, "tcg", {}, 1, 0),
        (2, 4, "tcg", {}, 1, 0),
        (8, 2, "tcg", {}, 2, 0),
        (2, 2, "kvm", {}, 2, 0),
        (2, 2, "tcg", {"cpus": 2}, 2, 0),
        (2, 1, "tcg", {"cpus": 4}, 4, 0),
        (8, 1, "tcg", {"cpus": 4}, 4, 0),
        (2, 1, "tcg", {}, 1, 1),
        (2, 2, "tcg", {}, 1, 1),
        (8, 2, "tcg", {}, 1, 2),
        (8, 1, "kvm", {}, 2, 1),
        (2, 1, "tcg", {"cpus": 2}, 2, 1),
        (2, 1, "tcg", {}, 2, 16),
    ],
)
def test_emulated_machines_have_no_more_processors_than_there_are_cores_for_them(
    tmp_path, monkeypatch, cores, workers, accelerator, given, processors, counted_on
):
    report = replace(examine_host(Settings()), cores=cores, accelerator=accelerator)
    monkeypatch.setattr(run_host, "examine_host", lambda _settings: report)
    settings = Settings(cores=counted_on)
    host = RunHost(settings, Events(), EvidenceFolder(tmp_path), workers)
    assert host.fitted(MachineDefinition(**given)).cpus == processors
    assert host.describe()["cores_per_worker"] == max(1, min(cores, counted_on or cores) // workers)


def test_load_and_crowding_are_the_same_work_counted_twice():
    speed = HostSpeed(work_seconds=0.42, load_per_core=2.0, crowding=3.0)
    assert speed.deadline_scale == 3.0
    assert HostSpeed(work_seconds=0.42, load_per_core=4.0, crowding=3.0).deadline_scale == 4.0


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Return a host of normal speed with two cores, and a list of its present load per core."""
    loads = [0.0]
    monkeypatch.setattr(os, "getloadavg", lambda: (loads[0] * usable_cores(), 0.0, 0.0))
    normal = replace(examine_host(Settings()), speed=HostSpeed(0.42, load_per_core=0.0), cores=2)
    monkeypatch.setattr(run_host, "examine_host", lambda _settings: normal)
    host = RunHost(Settings(), Events(), EvidenceFolder(tmp_path))
    monkeypatch.setattr(host, "_opened", lambda: SimpleNamespace(root=tmp_path))
    return host, loads


def test_a_load_that_outgrew_the_patience_is_told(loaded):
    host, loads = loaded
    loads[0] = 4.0
    host.bench(ReferenceLibrary([]))
    loads[0] = 5.9
    assert host.overload() == ""
    loads[0] = 6.1
    assert host.overload().startswith(OVERLOADED)
    assert "6.1 processes want each core" in host.overload()


def test_a_machine_that_takes_the_place_of_another_is_judged_by_its_own_patience(loaded):
    host, loads = loaded
    loads[0] = 1.0
    host.bench(ReferenceLibrary([]))
    loads[0] = 3.0
    host.bench(ReferenceLibrary([]))  # it runs on from a checkpoint
    assert host.overload() == ""
    host._taken = {"first": 1, "server": 1}
    loads[0] = 9.0
    host.bench(ReferenceLibrary([]))
    assert "stretched for 3.0" in host.overload()


class Kept:
    """Claims of memory: what was asked for, and what was given back."""

    def __init__(self):
        self.asked = []
        self.given = []

    def claim(self, mib, _marker, _hold, *, has=0):
        self.asked.append((mib, has))
        return SimpleNamespace(mib=mib, release=lambda: self.given.append(mib))


@pytest.fixture
def kept(tmp_path, monkeypatch):
    host = RunHost(Settings(), Events(), EvidenceFolder(tmp_path))
    monkeypatch.setattr(host, "_opened", lambda: SimpleNamespace(root=tmp_path))
    monkeypatch.setattr(host, "_examined", lambda: SimpleNamespace(accelerator="kvm"))
    host._claims = Kept()
    return host, host._claims


def machine(mib):
    return MachineDefinition(memory_mib=mib - QEMU_OVERHEAD)


def test_a_machine_that_takes_the_place_of_another_takes_its_memory(kept):
    host, claims = kept
    host.claim_memory(machine(1000), "first")
    host.claim_memory(machine(1000), "first")
    host.claim_memory(machine(2000), "first")
    assert (claims.asked, claims.given) == ([(1000, 0), (2000, 0)], [1000])
    host.release_memory("first")
    host.release_memory("first")
    assert claims.given == [1000, 2000]


def test_memory_for_all_machines_is_claimed_with_the_first_if_somebody_knows_it(kept):
    host, claims = kept
    host.begin_scenario([1000 - QEMU_OVERHEAD, 2000 - QEMU_OVERHEAD])
    host.claim_memory(machine(1000), "first")
    host.claim_memory(machine(2000), "server")
    host.claim_memory(machine(500), "more")
    assert claims.asked == [(3000, 0), (500, 3000)]
    host.release_memory("server")
    host.release_memory("first")
    assert claims.given == []
    host.release_memory("more")
    assert claims.given == [3000, 500]


def test_a_scenario_begins_with_no_memory_of_the_one_before(kept):
    host, claims = kept
    host.claim_memory(machine(1000), "first")
    host.claim_memory(machine(1000), "server")
    host.begin_scenario([])
    assert claims.given == [1000, 1000]
    host.claim_memory(machine(2000), "first")
    assert claims.asked[-1] == (2000, 0)


def test_several_machines_of_a_scenario_need_patience_as_those_of_several_workers_do(loaded):
    host, _loads = loaded
    scales = []
    for guests in ((), (500, 500), ()):
        host.begin_scenario(guests)
        scales.append(host.bench(ReferenceLibrary([])).host.deadline_scale)
    assert scales == [1.0, 2.0, 1.0]
