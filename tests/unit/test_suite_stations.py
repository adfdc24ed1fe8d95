"""Several machines in one scenario: which one steps are about, and what each has of its own."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import Events, MachineUsed
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.lifecycle import MachineState
from tailstest.media.media_folder import MediaFolder
from tailstest.suite.needs import Needs
from tailstest.suite.run_host import RunHost
from tailstest.suite.session import Session
from tailstest.suite.stations import NAME_LIMIT

MIB = 1 << 20


@pytest.fixture(autouse=True)
def without_libvirt(monkeypatch):
    """Let nobody look after the files of media: that would need a connection to libvirt."""
    monkeypatch.setattr(RunHost, "own", lambda *_: None)


class FakeMachine:
    """A machine that runs as soon as it is made."""

    def __init__(self, name, definition, disks, _bench, **_more):
        self.name, self.definition, self.disks = name, definition, list(disks)
        self.state, self.is_on, self.is_settled = MachineState.RUNNING, True, True
        self.keyboard = SimpleNamespace(layout=None)
        self.screen = SimpleNamespace(library=None)
        self.tester = SimpleNamespace(remembers=False)
        self.card, self.has_card = MagicMock(), True
        self.is_closed = False
        self.bay = SimpleNamespace(
            holds=lambda overlay: any(each.source == overlay for each in self.disks),
            plug_in=self.disks.append,
        )

    def allow_boot(self, _seconds):
        pass

    def power_on(self):
        pass

    def close(self, **_more):
        self.is_closed = True


@pytest.fixture
def told():
    return []


@pytest.fixture
def session(tmp_path, monkeypatch, told):
    (tmp_path / "x.iso").write_bytes(b"\xfa" + bytes(509) + b"\x55\xaa" + bytes(65024))
    monkeypatch.setattr("tailstest.suite.station.Machine", FakeMachine)
    monkeypatch.setattr("tailstest.suite.station.Film", MagicMock())
    events = Events()
    events.subscribe(told.append)
    made = Session(
        settings=Settings(video="never"),
        events=events,
        evidence=EvidenceFolder(tmp_path),
        suite=tmp_path,
        images=[],
        needs={
            "1": Needs(),
            "2": Needs(1000, more_memory=(2000,)),
            "searched": Needs(memory_search=True),
        }.__getitem__,
    )
    made._around.host = made._host = MagicMock()
    made._host.media = MediaFolder(EvidenceFolder(tmp_path), lambda _folder: None)
    made._host.fitted = lambda definition: definition
    made._host.overload = lambda: ""
    made.begin_scenario("1", "one")
    return made


def start(session, **parts):
    session.use_image("x.iso")
    session.define(**parts)
    session.start("usb")
    return session.machine


def test_each_machine_has_what_steps_said_about_it(session):
    first = start(session, memory_mib=256)
    session.use_layout("de")
    session.add_machine("server")
    assert not session.has_machine
    assert session.image is None
    server = start(session, memory_mib=512)
    assert [first.definition.memory_mib, server.definition.memory_mib] == [256, 512]
    assert first.keyboard.layout != server.keyboard.layout
    assert session.machine is server
    session.turn_to("first")
    assert session.machine is first
    with pytest.raises(UsageError, match="running already"):
        session.define(memory_mib=64)


def test_machines_have_different_cards_unless_a_step_says_so(session):
    macs = [start(session).definition.mac]
    for name in ("second", "third"):
        session.add_machine(name)
        macs.append(start(session).definition.mac)
    assert macs[0] == MachineDefinition().mac
    assert len(set(macs)) == 3
    session.add_machine("twin")
    assert start(session, mac=macs[0]).definition.mac == macs[0]


def test_a_machine_whose_memory_steps_search_is_made_for_that(session):
    assert not start(session).definition.searchable_memory
    session.begin_scenario("searched", "three")
    assert start(session).definition.searchable_memory


def test_a_step_that_is_changed_at_the_prompt_may_search_the_memory(session):
    session._around.is_interactive = True
    assert start(session).definition.searchable_memory


def test_a_name_that_nobody_has_or_somebody_has_is_a_mistake(session):
    session.add_machine("server")
    with pytest.raises(UsageError, match='there are: "first", "server"'):
        session.turn_to("client")
    for name in ("server", "first"):
        with pytest.raises(UsageError, match="already"):
            session.add_machine(name)
    for name in ("", " ", "a\nb", "x" * (NAME_LIMIT + 1)):
        with pytest.raises(UsageError, match="needs a name"):
            session.add_machine(name)


def test_all_of_them_end_with_the_scenario_and_the_next_one_has_none(session):
    machines = [start(session)]
    session.add_machine("server")
    machines.append(start(session))
    session.turn_to("first")
    session.end_scenario(Verdict.PASSED)
    assert all(each.is_closed for each in machines)
    assert {call.args for call in session._host.release_memory.call_args_list} == {
        ("first",),
        ("server",),
    }
    session.begin_scenario("2", "two")
    assert session.resting.is_bare
    assert not session.has_machine
    session._host.begin_scenario.assert_called_with((1000, 2000))


def test_memory_is_given_back_even_if_a_machine_does_not_close(session):
    start(session)
    session.add_machine("server")
    broken = start(session)
    broken.close = MagicMock(side_effect=InfrastructureError("the lab is gone"))
    with pytest.raises(InfrastructureError, match="the lab is gone"):
        session.end_scenario(Verdict.PASSED)
    assert session._host.release_memory.call_count == 2


def test_who_looks_at_what_waits_sees_a_machine_that_was_started(session):
    session.turn_to_a_machine()
    assert not session.has_machine
    first = start(session)
    session.add_machine("server")
    session.turn_to_a_machine()
    assert session.machine is first
    session.turn_to("server")
    server = start(session)
    session.turn_to_a_machine()
    assert session.machine is server


def test_several_machines_are_no_checkpoint(session):
    start(session)
    assert session.resting.state is not None
    session.add_machine("server")
    assert session.resting.state is None
    session.turn_to("first")
    assert session.resting.state is None
    assert not session.resting.is_bare


def test_a_stick_is_in_one_machine_at_a_time(session):
    session.shelf.add_blank("data", MIB)
    session.sockets.plug_in("data")
    start(session)
    session.add_machine("server")
    with pytest.raises(UsageError, match="plugged into another machine"):
        session.sockets.plug_in("data")
    with pytest.raises(UsageError, match="cannot be copied while it is plugged"):
        session.shelf.add_copy("more", "data")
    session.use_image("x.iso")
    with pytest.raises(UsageError, match="plugged into another machine"):
        session.start("usb", stick="data")


def test_each_has_its_own_stick_without_a_name(session):
    start(session)
    session.station.machine.is_on = False
    mine = session.shelf.look_at_boot_stick()
    session.add_machine("server")
    assert session.shelf.look_at_boot_stick() is None
    start(session)
    session.station.machine.is_on = False
    assert session.shelf.look_at_boot_stick() is not None
    session.turn_to("first")
    assert session.shelf.look_at_boot_stick()._stick.overlay == mine._stick.overlay


def test_a_bad_wire_is_that_of_one_machine(session):
    session.network.shape(loss=0.5)
    first = start(session)
    session.add_machine("server")
    server = start(session)
    assert first.card.shape.called
    assert not server.card.shape.called


def test_after_a_failure_all_of_them_are_kept_and_after_a_step_the_one_it_was_about(session):
    kept = []
    session._frames = SimpleNamespace(keep=lambda machine, why: kept.append((machine.name, why)))
    start(session)
    session.add_machine("server")
    start(session)
    session.turn_to("first")
    session.after_step(Verdict.PASSED)
    assert kept == [("machine-1", "step")]
    session.after_step(Verdict.FAILED)
    assert kept[1:] == [("machine-2", "failure"), ("machine-1", "failure")]


def test_who_ends_the_run_does_not_wait_for_what_the_guest_would_say(session):
    asked = []
    session._frames = SimpleNamespace(keep=lambda machine, why: asked.append(why))
    session._inside_evidence = SimpleNamespace(keep=lambda *_what: asked.append("inside"))
    start(session).state = MachineState.RUNNING
    session.after_step(Verdict.INCOMPLETE, hurry=True)
    assert asked == ["failure"]
    session.after_step(Verdict.INCOMPLETE)
    assert asked == ["failure", "failure", "inside"]


def test_the_report_knows_all_of_them(session, told):
    start(session)
    session.add_machine("server")
    start(session)
    used = [each.machine for each in told if isinstance(each, MachineUsed)]
    assert used == ["machine-1", "machine-2"]
    assert any('another machine: "server"' in getattr(each, "text", "") for each in told)
