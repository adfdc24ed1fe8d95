"""A lab that lost a server, a full capture: the scenario is incomplete, whenever that was."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from suite_tools import Keeper, Ran, feature, make_suite, scenario

from tailstest.core.errors import InfrastructureError
from tailstest.core.events import Events
from tailstest.core.evidence import EvidenceFolder
from tailstest.core.settings import Settings
from tailstest.core.verdict import Verdict
from tailstest.lab.network.keeper import LabKeeper
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.network_card import NetworkCard
from tailstest.suite.session import Session

DEAD = "the lab's server web died (signal 9): it said nothing"


class LosingKeeper(Keeper):
    """Loses a server of the lab after so many looks at it, or while the scenario is put away."""

    def __init__(self, looks, *, at_end=True):
        super().__init__()
        self.looks, self._at_end = looks, at_end
        self.saw = []

    def check(self):
        self.looks -= 1
        if self.looks < 0:
            raise InfrastructureError(DEAD, hint="see its log")

    def after_step(self, verdict, *, hurry=False):
        self.saw.append(verdict)

    def end_scenario(self, verdict):
        super().end_scenario(verdict)
        if self._at_end:
            raise InfrastructureError(DEAD, hint="see its log")


def ran(tmp_path, keeper, *steps):
    text = feature(scenario("s", *steps))
    return Ran([make_suite(tmp_path, x=text)], keeper=keeper)


def verdicts(ran):
    return [each.verdict for each in ran.of("StepFinished")]


def warnings(ran):
    return [each.text for each in ran.of("Noted") if each.level == "warning"]


def test_the_step_in_which_it_was_lost_is_incomplete_and_none_comes_after_it(tmp_path):
    found = ran(tmp_path, LosingKeeper(1), "Given I pass", "And I pass", "Then I fail")
    assert found.verdicts == {"s": Verdict.INCOMPLETE}
    assert verdicts(found) == ["passed", "incomplete", "skipped"]
    assert found.keeper.saw == [Verdict.PASSED, Verdict.INCOMPLETE]
    step, finished = found.of("StepFinished")[1], found.of("ScenarioFinished")[0]
    assert (step.error, step.hint, step.details) == (DEAD, "see its log", "")
    assert (finished.error, finished.kind) == (DEAD, "InfrastructureError")
    assert warnings(found) == []  # the same is not told twice
    assert found.result.exit_status == 3


def test_what_is_lost_behind_the_last_step_counts_and_says_what_to_do(tmp_path):
    found = ran(tmp_path, LosingKeeper(9), "Given I pass")
    assert found.verdicts == {"s": Verdict.INCOMPLETE}
    assert verdicts(found) == ["passed"]
    assert found.of("ScenarioFinished")[0].error == DEAD
    assert warnings(found) == [f"{DEAD}; see its log"]


@pytest.mark.parametrize("looks", [1, 9])
def test_a_failure_that_was_found_stays_one(tmp_path, looks):
    found = ran(tmp_path, LosingKeeper(looks), "Given I pass", "Then I fail", "And I pass")
    assert found.verdicts == {"s": Verdict.FAILED}
    assert verdicts(found) == ["passed", "failed", "skipped"]
    assert found.of("ScenarioFinished")[0].error == "expected a, seen b"
    assert warnings(found) == [f"{DEAD}; see its log"]


@pytest.fixture
def session(tmp_path):
    made = Session(
        settings=Settings(video="never"),
        events=Events(),
        evidence=EvidenceFolder(tmp_path),
        suite=tmp_path,
        images=[],
    )
    made.begin_scenario("1", "one")
    return made


def with_lab(session, tmp_path):
    """Give the scenario a lab that nobody started; return what stands for it."""
    keeper = session._host._labs = LabKeeper(tmp_path, deadline_scale=1)
    keeper._lab = MagicMock(folder=tmp_path / "lab")
    return keeper._lab


def with_machine(session, card):
    machine = session.station.machine = MagicMock(has_card=card is not None, card=card)
    machine.name = "one"
    return machine


def test_a_session_asks_the_lab_after_each_step_and_when_its_machines_are_off(session, tmp_path):
    session.check()  # there is neither lab nor machine
    lab, machine = with_lab(session, tmp_path), with_machine(session, None)
    session.check()
    order = MagicMock()
    order.attach_mock(machine.close, "machine_is_closed")
    order.attach_mock(lab.check, "lab_is_asked")
    order.attach_mock(lab.close, "lab_is_closed")
    session.end_scenario(Verdict.PASSED)
    assert [call[0] for call in order.mock_calls] == [
        "machine_is_closed",
        "lab_is_asked",
        "lab_is_closed",
    ]


def test_a_lab_that_lost_a_server_is_found_and_goes_all_the_same(session, tmp_path):
    lab = with_lab(session, tmp_path)
    lab.check.side_effect = InfrastructureError(DEAD)
    with pytest.raises(InfrastructureError, match="server web died"):
        session.check()
    with pytest.raises(InfrastructureError, match="server web died"):
        session.end_scenario(Verdict.PASSED)
    lab.close.assert_called_once_with()
    session.check()  # the next scenario has none


def test_a_run_that_ends_has_no_use_for_it(session, tmp_path):
    lab = with_lab(session, tmp_path)
    lab.check.side_effect = InfrastructureError(DEAD)
    session.close()
    lab.close.assert_called_once_with()


def card_of(tmp_path, limit):
    return NetworkCard(
        "one",
        MachineDefinition(network="user"),
        tmp_path,
        tmp_path / "one.pcap",
        SimpleNamespace(),
        limit=limit,
        warn=pytest.fail,
    )


def test_a_capture_of_qemu_that_is_full_is_found_until_the_end(session, tmp_path):
    card = card_of(tmp_path, 4)
    machine = with_machine(session, card)
    session.check()
    machine.close.side_effect = lambda: card.capture.write_text("12345")
    with pytest.raises(InfrastructureError, match=r"capture of one is full \(4 bytes\)"):
        session.end_scenario(Verdict.PASSED)


def test_a_capture_of_an_earlier_start_counts(tmp_path):
    card = card_of(tmp_path, 4)
    card.capture.write_text("12345")
    card.get_ready()
    card.capture.write_text("1")
    with pytest.raises(InfrastructureError, match="is full"):
        card.check()
