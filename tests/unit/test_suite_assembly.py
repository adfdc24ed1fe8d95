"""What the keys of a run's checkpoints depend on, and what they do not."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from suite_tools import feature, make_suite, scenario

from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.hypervisor.host_report import examine_host
from tailstest.machine.definition import MachineDefinition
from tailstest.suite import assembly
from tailstest.suite.assembly import RunOrder
from tailstest.suite.needs import Needs
from tailstest.suite.plan import make_plan
from tailstest.suite.run_options import RunOptions


@pytest.fixture(scope="module")
def report():
    """Return what this host can do, once: it is remembered in the cache of its user."""
    return examine_host(Settings())


@pytest.fixture
def keys(tmp_path, monkeypatch, report):
    """Return a function that returns the keys of a run with some settings on some host."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(assembly, "_code", lambda _plan: [])
    monkeypatch.setattr(assembly, "why_no_lab", str)
    suite = make_suite(tmp_path / "suite", f=feature(scenario("a", "Given I pass", "When I pass")))
    plan = make_plan([str(suite)])

    def keys_with(accelerator="tcg", share=2, **settings):
        host = replace(report, accelerator=accelerator).to_json()
        order = RunOrder(RunOptions([str(suite)]), Settings(**settings), None, (), tmp_path)
        checkpoints = order.checkpoints(
            plan,
            SimpleNamespace(slowness=1.0, resting=SimpleNamespace(own=None)),
            Events(),
            {"host": host, "cores_per_worker": share},
            tmp_path,
        )
        return checkpoints.chains

    return keys_with


@pytest.mark.parametrize(
    ("one", "other", "is_shared"),
    [
        ({"share": 2}, {"share": 8}, True),
        ({"share": 1}, {"share": 2}, False),
        ({"accelerator": "kvm", "share": 1}, {"accelerator": "kvm", "share": 8}, True),
        ({"accelerator": "kvm"}, {"accelerator": "tcg"}, False),
    ],
)
def test_cores_count_as_far_as_they_decide_on_processors(keys, one, other, is_shared):
    assert (keys(**one) == keys(**other)) is is_shared


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("store", "none"),
        ("memory_limit", 9999),
        ("scenario_limit", 9999),
        ("trust_network", True),
        ("checkpoints_limit", 9999),
        ("free_space_needed", 9999),
        ("junit_output_limit", 9999),
        ("video", "always"),
        ("video_fps", 9.0),
    ],
)
def test_what_changes_nothing_in_a_machine_changes_no_key(keys, name, value):
    assert keys(**{name: value}) == keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hypervisor", "session"),
        ("deadline_scale", 9.0),
        ("default_deadline", 9.0),
        ("keyboard_layout", "de"),
        ("key_hold_ms", 99),
        ("key_gap_ms", 99),
        ("serial_limit", 9999),
        ("capture_limit", 9999),
    ],
)
def test_what_may_change_how_a_machine_got_there_changes_every_key(keys, name, value):
    assert keys(**{name: value}) != keys()


def test_a_host_without_a_lab_has_other_machines(keys, monkeypatch):
    with_lab = keys()
    monkeypatch.setattr(assembly, "why_no_lab", lambda: "not allowed")
    assert keys() != with_lab


def test_the_firmware_of_machines_counts(keys, monkeypatch, report, tmp_path):
    code = tmp_path / "CODE.fd"
    code.touch()
    asked = []

    def files(emulator, more):
        asked.append((emulator, set(more)))
        return [(str(code), code.stat().st_size, 0)]

    monkeypatch.setattr(assembly, "rom_files", files)
    before = keys()
    assert keys() == before
    code.write_bytes(b"new")
    assert keys() != before
    pairs = {file for pair in report.firmware for file in (pair.code, pair.variables)}
    assert asked[0] == (report.emulator, pairs)


def test_a_session_knows_the_machines_of_a_scenario_that_has_several(tmp_path):
    several = ("Given a BIOS machine with 300 MiB of memory", 'And the image "a"')
    other = ('And another machine called "b"', 'And the image "b"')
    suite = make_suite(
        tmp_path / "suite", f=feature(scenario("one", *several), scenario("two", *several, *other))
    )
    plan = make_plan([str(suite)])
    order = RunOrder(RunOptions([str(suite)]), Settings(), None, (), tmp_path)
    session = order.session(plan, Events(), EvidenceFolder(tmp_path))
    usual = MachineDefinition().memory_mib
    assert [session._needs(each.id).guests for each in plan.scenarios] == [(), (300, usual)]
    assert session._needs("gone") == Needs()
