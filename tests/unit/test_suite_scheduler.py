"""Which schedulers and workers are trusted and understood, and who can run what."""

import json
from dataclasses import replace

import pytest

from tailstest.core.errors import InfrastructureError, SetupError, UsageError
from tailstest.core.settings import Settings
from tailstest.machine.profile import Profile
from tailstest.suite.needs import Needs, check_memory, needs_of
from tailstest.suite.plan import make_plan
from tailstest.suite.spread.abilities import (
    KVM,
    LAB,
    MACHINE,
    MEMORY,
    SCENARIO,
    Worker,
    as_announced,
    resources_for,
)
from tailstest.suite.spread.host_card import Abilities
from tailstest.suite.spread.scheduler import check_trust, check_versions, scheduler_address

EMULATED = Abilities(4096, "tcg", "")
FAST = Abilities(16_000, "kvm", "")
NO_LAB = Abilities(4096, "tcg", "unprivileged user namespaces are off")
NOTHING = Abilities(4096, "", "", trouble="no QEMU is installed")


def worker(abilities, name="w", threads=1):
    return Worker(name, threads, abilities)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tls://host:8786", "tls://host:8786"),
        ("tcp://127.0.0.1:8786", "tcp://127.0.0.1:8786"),
        ("host:8786", "tcp://host:8786"),
        (" tls://[::1]:8786 ", "tls://[::1]:8786"),
    ],
)
def test_an_address_has_a_protocol(text, address):
    assert scheduler_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "host", "http://host:1", "tls://host", "tls://:1", "tls://host:99999", "inproc://x"],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError, match="no address of a Dask scheduler"):
        scheduler_address(text)


def test_a_scheduler_file_names_the_address(tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": "tls://10.0.0.1:8786", "workers": {}}))
    assert scheduler_address(str(file)) == "tls://10.0.0.1:8786"
    for wrong in ("", "[]", "{}", "x"):
        file.write_text(wrong)
        with pytest.raises(UsageError, match="not a scheduler file"):
            scheduler_address(str(file))


def test_encrypted_connections_are_trusted_and_plain_ones_only_on_this_host():
    assert check_trust({"tls://198.51.100.1:1": "the scheduler"}, trust_network=False) == ""
    here = {"tcp://127.0.0.1:1": "the scheduler", "tcp://[::1]:2": "the worker"}
    assert "other users of this host" in check_trust(here, trust_network=False)
    far = {"tcp://127.0.0.1:1": "the scheduler", "tcp://198.51.100.1:2": "the worker"}
    with pytest.raises(UsageError, match=r"the worker tcp://198\.51\.100\.1:2 is not encrypted"):
        check_trust(far, trust_network=False)
    assert "not encrypted" in check_trust(far, trust_network=True)
    unknown = {"tcp://no-such-host.invalid:1": "the scheduler"}
    with pytest.raises(UsageError, match="is not encrypted"):
        check_trust(unknown, trust_network=False)


class Told:
    """A client of a scheduler that tells some versions."""

    def __init__(self, scheduler, workers):
        own = self.versions()
        self.told = {"client": own, "scheduler": scheduler, "workers": workers}
        self.scheduler = type("Rpc", (), {"address": "tls://s:1"})

    @staticmethod
    def versions(python="3.11.2.final.0", dask="2026.8.0", distributed="2026.8.0"):
        return {"packages": {"python": python, "dask": dask, "distributed": distributed}}

    def wait_for_workers(self, count, timeout):
        if not self.told["workers"]:
            raise TimeoutError

    def get_versions(self):
        return self.told


def test_the_same_versions_are_understood():
    other = Told.versions(python="3.11.9.final.0")  # only the minor version matters
    check_versions(Told(Told.versions(), {"tls://w:1": other}))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"python": "3.12.1.final.0"}, r"the worker tls://w:2 has Python 3\.12, .* Python 3\.11"),
        ({"dask": "2024.1.0"}, r"the worker tls://w:2 has Dask 2024\.1\.0"),
        ({"distributed": "2024.1.0"}, r"the worker tls://w:2 has distributed 2024\.1\.0"),
    ],
)
def test_another_version_is_named(changed, said):
    workers = {"tls://w:1": Told.versions(), "tls://w:2": Told.versions(**changed)}
    with pytest.raises(SetupError, match=said):
        check_versions(Told(Told.versions(), workers))
    with pytest.raises(SetupError, match="the scheduler has"):
        check_versions(Told(Told.versions(**changed), {"tls://w:1": Told.versions()}))


def test_a_scheduler_without_workers_is_no_crew():
    with pytest.raises(InfrastructureError, match="tls://s:1 has no workers") as error:
        check_versions(Told(Told.versions(), {}))
    assert "dask worker tls://s:1" in error.value.hint


NAMES = {"a": "f.feature:1 a", "b": "f.feature:9 b"}


def test_a_scenario_takes_all_that_it_needs_since_others_may_come_late():
    needs = {"a": Needs(512, lab=True, kvm=True)}
    found = resources_for(needs, [worker(FAST)], NAMES)
    assert set(found["a"]) == {SCENARIO, MACHINE, KVM, LAB, MEMORY}
    assert found["b"] == {SCENARIO: 1}  # nothing is known of its needs
    for late in (EMULATED, NO_LAB, NOTHING, replace(FAST, memory_mib=600)):
        has = worker(late).resources
        assert any(has[name] < value for name, value in found["a"].items())
        assert has[SCENARIO] == 1


def test_scenarios_go_only_to_workers_that_have_what_they_need():
    workers = [worker(EMULATED), worker(FAST), worker(NO_LAB), worker(NOTHING)]
    needs = {"a": Needs(64, lab=True), "b": Needs(64, kvm=True)}
    found = resources_for(needs, workers, NAMES)
    for scenario, wanted in needs.items():
        for each in workers:
            has = each.resources
            fits = all(has[name] >= value for name, value in found[scenario].items())
            assert fits == (not each.lacks(wanted)), (scenario, each)
    assert found["a"][LAB] == found["b"][KVM] == found["a"][MACHINE] == 1


def test_memory_is_that_of_the_machine_on_that_host():
    needs = {"a": Needs(8000)}
    found = resources_for(needs, [worker(EMULATED), worker(FAST)], NAMES)
    assert found["a"][MEMORY] == needs["a"].memory_on("kvm")
    assert worker(EMULATED).resources[MEMORY] < found["a"][MEMORY] <= worker(FAST).resources[MEMORY]
    # A worker that runs several at once has enough for each; claims see to the sum.
    assert worker(FAST, threads=2).resources[MEMORY] == 2 * 16_000


def test_what_nobody_can_run_is_named_with_what_is_missing():
    with pytest.raises(UsageError) as error:
        resources_for(
            {"a": Needs(64, kvm=True), "b": Needs(9000)}, [worker(EMULATED, "north")], NAMES
        )
    assert "f.feature:1 a: north: KVM does not work there" in error.value.message
    assert "f.feature:9 b: north: 9672 MiB of memory are needed, it has 4096" in error.value.message
    with pytest.raises(UsageError, match="no QEMU is installed"):
        resources_for({"a": Needs(64)}, [worker(NOTHING)], NAMES)
    with pytest.raises(UsageError, match="user namespaces are off"):
        resources_for({"a": Needs(64, lab=True)}, [worker(NO_LAB)], NAMES)


def test_a_worker_may_say_that_it_has_less_than_its_host():
    assert as_announced(FAST, {"GPU": 1.0}) == FAST
    less = as_announced(FAST, {"kvm": 0.0, "MEMORY": 2048 * 2**20, "Lab": 0.0})
    assert (less.accelerator, less.memory_mib) == ("tcg", 2048)
    assert "LAB=0" in less.no_lab
    assert as_announced(EMULATED, {"KVM": 1.0, "MEMORY": 1e15}) == EMULATED


FEATURE = """Feature: f
  Scenario: none
    Then nothing

  Scenario: usual
    Given the image "plain"
    When I start the machine from a DVD

  Scenario: larger
    Given the image "plain"
    And a UEFI machine with 3000 MiB of memory
    When I start the machine from a DVD

  Scenario: several
    Given the image "plain"
    And another machine called "second"
    And a UEFI machine with 3000 MiB of memory
    And another machine called "third"
    And the image "plain"
    And I turn to the machine "first"
    When I start the machine from a DVD

  Scenario: only another
    Given another machine called "server"
    And the image "plain"
    And the machine is in the lab
    When I start the machine from a DVD

  Scenario: searched
    Given the image "plain"
    When I start the machine from a DVD
    Then the memory of the machine no longer holds any secret

  Scenario: all in one
    Given a machine of mine that is searched

  @needs-kvm
  Scenario: fast
    Given the machine is in the lab
    When I start the machine from a DVD
"""
STEP = '''
from behave import given, then

from tailstest.suite.needs import asks_for

@then("nothing")
def nothing(context):
    """Check nothing."""

@given("a machine of mine that is searched")
@asks_for("main memory")
@asks_for("lab")
@asks_for("machine")
def all_in_one(context):
    """Start and search a machine."""
'''


def test_needs_are_read_from_steps_tags_and_profiles(tmp_path):
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "own.py").write_text(STEP)
    (tmp_path / "f.feature").write_text(FEATURE)
    plan = make_plan([str(tmp_path / "f.feature")])
    assert not plan.undefined
    profiles = {
        "plain": Profile(name="plain", folder=tmp_path, title="p", machine={"memory_mib": 700}),
        "tested": Profile(name="tested", folder=tmp_path, title="t", machine={"memory_mib": 2000}),
    }
    names = {each.id: each.name for each in plan.scenarios}
    found = {
        names[key]: each for key, each in needs_of(plan, profiles, "tested", Settings()).items()
    }
    assert found == {
        "none": Needs(),
        "usual": Needs(700),
        "larger": Needs(3000),
        "several": Needs(700, more_memory=(700,)),
        "only another": Needs(700, lab=True),
        "searched": Needs(700, memory_search=True),
        "all in one": Needs(2000, lab=True, memory_search=True),
        "fast": Needs(2000, lab=True, kvm=True),
    }
    kvm = needs_of(plan, profiles, None, Settings(accelerator="kvm"))
    assert sorted(each.kvm for each in kvm.values()) == [False, *[True] * 7]


@pytest.mark.parametrize("needs", [Needs(2048), Needs(2048, more_memory=(2048, 512))])
@pytest.mark.parametrize("kind", ["tcg", "kvm"])
@pytest.mark.parametrize("spare", [0, 400, 5000])
def test_who_can_run_a_scenario_is_offered_it(needs, kind, spare):
    able = worker(Abilities(needs.memory_on(kind) + spare, kind, ""), "able")
    small = worker(Abilities(needs.memory_on(kind) - 1, kind, ""), "small")
    assert not able.lacks(needs) and small.lacks(needs)
    taken = resources_for({"a": needs}, [able, small], NAMES)["a"]
    assert all(able.resources[name] >= amount for name, amount in taken.items())
    if kind == "tcg":
        assert any(small.resources[name] < amount for name, amount in taken.items())


def test_all_machines_of_a_scenario_must_fit():
    assert Needs(64, more_memory=(100, 0)).memory_on("kvm") == (
        Needs(64).memory_on("kvm") + Needs(100).memory_on("kvm")
    )
    with pytest.raises(UsageError, match=r"f\.feature:9 b"):
        check_memory({"b": Needs(700, more_memory=(700,))}, NAMES, 1500, lambda: "kvm")


def test_only_what_is_larger_than_the_host_is_refused_before_a_run():
    needs = {"a": Needs(64), "b": Needs(2000)}
    check_memory(needs, NAMES, 5000, lambda: pytest.fail("nobody has to be asked"))
    check_memory(needs, NAMES, 2300, lambda: "kvm")
    with pytest.raises(UsageError, match=r"f\.feature:9 b: 2672 MiB") as error:
        check_memory(needs, NAMES, 2300, lambda: "tcg")
    assert "f.feature:1" not in error.value.message
