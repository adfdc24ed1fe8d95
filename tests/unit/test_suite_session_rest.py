"""The state of a session: saved, and taken up in the same copy of the suite or in another one."""

import json
import subprocess
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.guest.answers import AgentInfo
from tailstest.guest.results import Completed
from tailstest.machine import tester
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.lifecycle import MachineState
from tailstest.machine.saved_machine import MachineAtRest, MachineLost
from tailstest.media.usb_stick import UsbStick, follow_image
from tailstest.suite.checkpoints.state import CheckpointStale, SessionState
from tailstest.suite.run_host import RunHost
from tailstest.suite.session import Session

MIB = 1 << 20


@pytest.fixture(autouse=True)
def without_libvirt(monkeypatch):
    """Let nobody look after the files of media: that would need a connection to libvirt."""
    monkeypatch.setattr(RunHost, "own", lambda *_: None)


class Guest:
    """Takes files, and ends every command well."""

    def __init__(self):
        self.files = {}

    def wait_ready(self, _deadline=None):
        return AgentInfo(1, "", 1, 0, "boot", 0.0)

    def put(self, data, target, **_more):
        self.files[target] = data.read_bytes()

    def run(self, command, **_more):
        return Completed((command,), 0, b"what it wrote\n", b"", 0.1)

    def set_clock(self, _seconds):
        pass


def machine(guest):
    found = MagicMock()
    found.state = MachineState.RUNNING
    found.guest, found.definition = guest, MachineDefinition()
    found.deadline_scale = found.default_deadline = 1.0
    found.bay.holds.return_value = False
    found.moved_disks = {}
    found.tester.remembers = False
    return found


def copy_of_suite(folder):
    folder.mkdir()
    (folder / "an.img").write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 512)
    (folder / "setup.sh").write_text("echo 1")
    (folder / "site").mkdir()
    (folder / "site" / "index.html").write_text("hello")
    (folder / "new.img").write_text("upgrade")
    return folder


@pytest.fixture
def woken(monkeypatch):
    """Return the machines that sessions made of saved ones: with what they were given."""
    made = []

    def make(_name, _definition, _disks, _bench, *, rest, **_more):
        made.append(machine(Guest()))
        made[-1].rest = rest
        return made[-1]

    monkeypatch.setattr("tailstest.suite.station.Machine", make)
    monkeypatch.setattr("tailstest.suite.station.Film", MagicMock())
    return made


def session_of(suite, run):
    run.mkdir(exist_ok=True)
    session = Session(
        settings=Settings(),
        events=Events(),
        evidence=EvidenceFolder(run),
        suite=suite,
        images=[],
    )
    session._around.host = session._host = session.resting._host = MagicMock()
    return session


def begun(suite, run):
    """Return a session in which steps have used files of the suite, and its state."""
    session = session_of(suite, run)
    session.use_image("an.img")
    session.station.machine = machine(Guest())
    session.inside.put_file(suite / "setup.sh", "/root/setup.sh")
    session.network.services.show_folder("www.lab.test", str(suite / "site"))
    session.network.services.offer_file_as_upgrade("demo", "1", "2", str(suite / "new.img"))
    session.shelf.add_with_image("a", MIB, suite / "an.img")
    return session, SessionState.model_validate_json(session.resting.state.model_dump_json())


def at_rest(session, folder):
    folder.mkdir()
    session.shelf.rest(folder)
    return MachineAtRest(SimpleNamespace(definition=MachineDefinition()), folder)


def test_what_steps_used_is_the_same_in_another_copy_of_the_suite(tmp_path, woken):
    one, two = copy_of_suite(tmp_path / "one"), copy_of_suite(tmp_path / "two")
    session, state = begun(one, tmp_path / "run")
    again = session_of(two, tmp_path / "run-2")
    again.resting.wake(state, at_rest(session, tmp_path / "rest"))
    internet = again._host.labs.internet
    internet.show.assert_called_once_with("www.lab.test", two / "site")
    internet.upgrades.offer_file.assert_called_once_with("demo", "1", "2", two / "new.img")
    assert again.files.used == session.files.used
    assert again.image == two / "an.img"
    stick = again.shelf.stick("a")
    assert stick.image == two / "an.img"
    assert backing_of(stick) == str(two / "an.img")
    assert woken[0].rest.images == {str(one / "an.img"): two / "an.img"}
    # Nothing of the first copy is left: what is saved from here on is the same again.
    assert str(one) not in again.resting.state.model_dump_json()


@pytest.mark.parametrize("medium", ["dvd", "usb"])
def test_the_image_that_a_machine_runs_from_counts_when_another_one_was_chosen_later(
    tmp_path, woken, monkeypatch, medium
):
    monkeypatch.setattr("tailstest.suite.sockets._check_bootable", lambda *_: None)
    suite = copy_of_suite(tmp_path / "one")
    (suite / "other.img").write_bytes((suite / "an.img").read_bytes() + b"\1" * 512)
    session = session_of(suite, tmp_path / "run")
    session.use_image("an.img")
    definition = MachineDefinition(medium=medium)
    session.sockets.disks_to_start(definition, session.choice.chosen(), None, "m")
    session.station.machine = machine(Guest())
    session.use_image("other.img")  # to make a stick of it
    state, rest = session.resting.state, at_rest(session, tmp_path / "rest")
    session_of(suite, tmp_path / "run-2").resting.wake(state, rest)
    with (suite / "an.img").open("ab") as image:
        image.write(bytes(512))
    with pytest.raises(CheckpointStale, match=r"^an\.img is not the image"):
        session_of(suite, tmp_path / "run-3").resting.wake(state, rest)


def test_in_the_same_suite_nothing_moves(tmp_path, woken):
    one = copy_of_suite(tmp_path / "one")
    session, state = begun(one, tmp_path / "run")
    session_of(one, tmp_path / "run-2").resting.wake(state, at_rest(session, tmp_path / "rest"))
    assert woken[0].rest.images == {}


@pytest.mark.parametrize("name", ["setup.sh", "site/index.html", "new.img", "an.img"])
def test_a_file_of_the_suite_that_changed_makes_a_checkpoint_stale(tmp_path, woken, name):
    suite = copy_of_suite(tmp_path / "one")
    session, state = begun(suite, tmp_path / "run")
    changed = suite / name
    changed.write_bytes(changed.read_bytes() + b"\0" * 512)
    again = session_of(suite, tmp_path / "run-2")
    with pytest.raises(CheckpointStale, match=f"^{name.partition('/')[0]} is not "):
        again.resting.wake(state, at_rest(session, tmp_path / "rest"))
    assert woken == []


def test_a_machine_with_an_old_file_inside_is_not_saved(tmp_path):
    suite = copy_of_suite(tmp_path / "one")
    session, _ = begun(suite, tmp_path / "run")
    (suite / "setup.sh").write_text("echo 2")
    assert session.resting.state is None
    session.begin_scenario("s", "next")
    assert session.files.used == {}


def test_a_clock_that_is_wrong_on_purpose_is_saved_only_where_it_can_be_asked(tmp_path):
    session = session_of(copy_of_suite(tmp_path / "one"), tmp_path / "run")
    session.use_image("an.img")
    session.station.machine = machine(Guest())
    assert session.resting.state is not None
    session.machine.definition = MachineDefinition(clock_ahead=-86_400)
    assert session.resting.state is None
    session.machine.guest.run = lambda *_, **_more: Completed((), 0, b"1000000000\n", b"", 0.1)
    session.inside.run("say")
    assert session.resting.state.inside.clock_ahead < -86_400


def test_a_machine_of_which_a_step_remembers_the_screen_is_not_saved(tmp_path):
    session, _ = begun(copy_of_suite(tmp_path / "one"), tmp_path / "run")
    eyes = MagicMock()
    session.machine.tester = tester.Tester(eyes, eyes, eyes, deadline_scale=1, default_deadline=1)
    assert session.resting.state is not None
    session.tester.remember()
    assert session.resting.state is None
    session.tester.wait_changed()


def test_a_machine_that_restarts_is_not_saved(tmp_path):
    session, _ = begun(copy_of_suite(tmp_path / "one"), tmp_path / "run")
    session.machine.is_settled = False
    assert session.resting.state is None


def test_a_stick_that_a_machine_started_from_finds_its_image(tmp_path):
    one, two = copy_of_suite(tmp_path / "one"), copy_of_suite(tmp_path / "two")
    stick = UsbStick.of_image(one / "an.img", tmp_path / "s.qcow2", MIB)
    follow_image(stick.overlay, {str(two / "an.img"): one / "an.img"})
    assert backing_of(stick) == str(one / "an.img")
    follow_image(stick.overlay, {str(one / "an.img"): two / "an.img"})
    assert backing_of(stick) == str(two / "an.img")


def kept(session):
    """Tell whether a session still knows what the last command wrote, and what was remembered."""
    session.inside.check_output("what it wrote")
    session.inside.check_against("it", same=True)


def said(tmp_path):
    session, _ = begun(copy_of_suite(tmp_path / "one"), tmp_path / "run")
    session.inside.run("say")
    session.inside.remember_output("it")
    return session


def test_where_no_checkpoint_can_be_saved_steps_go_on_with_what_they_knew(tmp_path):
    session = said(tmp_path)
    with pytest.raises(InfrastructureError):  # no such folder: sticks cannot be copied
        session.resting.rest(tmp_path / "none")
    kept(session)
    (tmp_path / "rest").mkdir()
    session.machine.save.side_effect = InfrastructureError("no space")
    with pytest.raises(InfrastructureError, match="no space"):
        session.resting.rest(tmp_path / "rest")
    kept(session)


def test_a_machine_that_is_gone_takes_along_what_was_known_of_it(tmp_path):
    session = said(tmp_path)
    session.machine.save.side_effect = MachineLost("gone")
    (tmp_path / "rest").mkdir()
    with pytest.raises(MachineLost):
        session.resting.rest(tmp_path / "rest")
    with pytest.raises(UsageError, match="no command was run"):
        _ = session.inside.last


def test_a_machine_that_was_saved_is_asked_by_another_inside(tmp_path, woken):
    session = said(tmp_path)
    (tmp_path / "rest").mkdir()
    state, old = session.resting.state, session.inside
    session.resting.rest(tmp_path / "rest")
    facts = SimpleNamespace(definition=MachineDefinition())
    session.resting.wake(state, MachineAtRest(facts, tmp_path / "rest"))
    assert session.inside is not old
    assert session.inside.last_channel is woken[0].guest_now
    kept(session)


def backing_of(stick):
    told = subprocess.check_output(["qemu-img", "info", "--output=json", stick.overlay])
    return json.loads(told)["backing-filename"]
