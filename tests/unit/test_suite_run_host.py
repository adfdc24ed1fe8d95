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
    ("cores", "workers", "accelerator", "given", "processors"),
    [
        (2, 1, "tcg", {}, 2),
        (2, 2, "tcg", {}, 1),
        (2, 4, "tcg", {}, 1),
        (8, 2, "tcg", {}, 2),
        (2, 2, "kvm", {}, 2),
        (2, 2, "tcg", {"cpus": 2}, 2),
    ],
)
def test_emulated_machines_have_no_more_processors_than_there_are_cores_for_them(
    tmp_path, monkeypatch, cores, workers, accelerator, given, processors
):
    report = replace(examine_host(Settings()), cores=cores, accelerator=accelerator)
    monkeypatch.setattr(run_host, "examine_host", lambda _settings: report)
    host = RunHost(Settings(), Events(), EvidenceFolder(tmp_path), workers)
    assert host.fitted(MachineDefinition(**given)).cpus == processors
    assert host.describe()["cores_per_worker"] == max(1, cores // workers)


def test_load_and_crowding_are_the_same_work_counted_twice():
    speed = HostSpeed(work_seconds=0.42, load_per_core=2.0, crowding=3.0)
    assert speed.deadline_scale == 3.0
    assert HostSpeed(work_seconds=0.42, load_per_core=4.0, crowding=3.0).deadline_scale == 4.0


def test_a_load_that_outgrew_the_patience_is_told(tmp_path, monkeypatch):
    loads = [1.0]
    monkeypatch.setattr(os, "getloadavg", lambda: (loads[0] * usable_cores(), 0.0, 0.0))
    normal = replace(examine_host(Settings()), speed=HostSpeed(0.42, load_per_core=0.0))
    monkeypatch.setattr(run_host, "examine_host", lambda _settings: normal)
    host = RunHost(Settings(), Events(), EvidenceFolder(tmp_path))
    monkeypatch.setattr(host, "_opened", lambda: SimpleNamespace(root=tmp_path))
    loads[0] = 4.0
    host.bench(ReferenceLibrary([]))
    loads[0] = 5.9
    assert host.overload() == ""
    loads[0] = 6.1
    assert host.overload().startswith(OVERLOADED)
    assert "6.1 processes want each core" in host.overload()
