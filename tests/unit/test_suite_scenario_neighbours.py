"""What steps check of the answers that a neighbour gets, and when such a check proves nothing."""

from types import SimpleNamespace

import packet_kit as kit
import pytest

from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.core.events import Events
from tailstest.lab.network.addressing import leases_file
from tailstest.lab.network.knocking import Answer
from tailstest.lab.network.neighbour import Probed
from tailstest.lab.network.plan import Network, Seat
from tailstest.media.image_file import Digests
from tailstest.suite.scenario_neighbours import MOST_ADDRESSES6, MOST_PROBES
from tailstest.suite.scenario_network import ScenarioNetwork
from tailstest.suite.suite_files import SuiteFiles

NETWORK = Network(1, "isolated")
ADDRESS = "10.76.1.150"


class FakeNeighbour:
    """Finds what it is told to find, and remembers what it was asked."""

    def __init__(self):
        self.seat = Seat(NETWORK, 1)
        self.found = Probed(frozenset({ADDRESS}), ())
        #: What he finds instead the next times.
        self.found_next = []
        self.addresses = []
        self.more = {}
        self.probes = []
        #: Called while he tries.
        self.meanwhile = lambda: None

    def probe(self, addresses, **more):
        self.addresses, self.more = addresses, more
        self.probes.append(addresses)
        self.meanwhile()
        return self.found_next.pop(0) if self.found_next else self.found


class FakeLab:
    """Has one network."""

    def __init__(self, folder):
        self.folder = folder
        self.neighbours = []
        self.one = FakeNeighbour()

    def add_neighbour(self, network):
        assert network == NETWORK
        self.neighbours.append(self.one)
        return self.one


@pytest.fixture
def scenario(tmp_path):
    lab = FakeLab(tmp_path)
    capture = tmp_path / "one.pcap"
    kit.pcap(capture, [kit.solicitation("fe80::7"), kit.solicitation("2001:db8:76:1::9")])
    wire = SimpleNamespace(lost=7)
    card = SimpleNamespace(
        network=NETWORK,
        other_macs=(kit.LAB,),
        captures=[capture],
        check=lambda: None,
        state=lambda: SimpleNamespace(lost=wire.lost),
        shape=lambda quality: None,
    )
    machine = SimpleNamespace(name="one", card=card, check=lambda: None, is_on=True)
    labs = SimpleNamespace(lab=lab, network=lambda kind: Network(1, kind))
    leases_file(NETWORK, tmp_path).write_text(f"1795800000 {kit.GUEST} {ADDRESS} one *\n")
    files = SuiteFiles(tmp_path, Digests())
    network = ScenarioNetwork(lambda: machine, lambda: labs, Events(), files=files)
    return SimpleNamespace(
        network=network, check=network.neighbours, lab=lab, card=card, wire=wire, capture=capture
    )


def answers(scenario, *found):
    scenario.lab.one.found = Probed(
        frozenset({ADDRESS}), tuple(Answer(ADDRESS, what, port) for what, port in found)
    )


def test_a_silent_machine_is_silent_at_all_of_its_addresses(scenario):
    scenario.check.check_no_answer()
    assert scenario.lab.one.addresses == [ADDRESS, "fe80::7", "2001:db8:76:1::9"]
    assert scenario.lab.one.more["ignored"] == (kit.LAB,)
    scenario.check.check_open([])


@pytest.mark.parametrize("what", ["ping", "open", "refused", "udp", "udp refused", "other"])
def test_any_answer_breaks_the_silence(scenario, what):
    answers(scenario, (what, 22))
    with pytest.raises(CheckFailed, match=rf"(?s)should answer a neighbour.*{ADDRESS}: "):
        scenario.check.check_no_answer()


def test_only_what_is_open_must_be_in_the_table(scenario):
    answers(scenario, ("ping", 0), ("refused", 23), ("udp refused", 53), ("open", 22), ("udp", 53))
    scenario.check.check_open(["22", "UDP 53"])
    scenario.check.check_open(["TCP 22", "udp 53"])
    assert scenario.lab.one.more["more_tcp"] == [22]
    for rows, said in (
        ([], "TCP open: 22; UDP answers: 53"),
        (["22"], "UDP answers: 53"),
        (["UDP 53"], "TCP open: 22"),
        (["22", "53"], "UDP answers: 53"),
        (["22", "UDP 53", "2222"], "not open to a neighbour: TCP port 2222;"),
    ):
        with pytest.raises(CheckFailed, match=said):
            scenario.check.check_open(rows)


def test_another_answer_is_never_in_the_table(scenario):
    answers(scenario, ("other", 22))
    with pytest.raises(CheckFailed, match="other answers"):
        scenario.check.check_open(["22"])


@pytest.mark.parametrize("row", ["", "0", "65536", "22-25", "ssh", "SCTP 7", "-1"])
def test_a_row_that_is_no_port_is_a_mistake_of_the_scenario(scenario, row):
    with pytest.raises(UsageError, match="is no port"):
        scenario.check.check_open([row])


def test_without_an_address_nothing_is_proven(scenario):
    leases_file(NETWORK, scenario.lab.folder).write_text("")
    for check in (scenario.check.check_no_answer, lambda: scenario.check.check_open([])):
        with pytest.raises(UsageError, match="has no address yet"):
            check()
    assert not scenario.lab.neighbours


@pytest.mark.parametrize("seen", [(), ("fe80::7",)])
def test_a_machine_that_cannot_be_seen_proves_nothing(scenario, seen):
    scenario.lab.one.found = Probed(frozenset(seen), ())
    for check in (scenario.check.check_no_answer, lambda: scenario.check.check_open([])):
        with pytest.raises(UsageError, match="cannot even see the machine"):
            check()


def test_a_machine_that_does_not_get_through_is_no_success(scenario):
    scenario.lab.one.found = Probed(frozenset({ADDRESS}), (), False)
    for check in (scenario.check.check_no_answer, lambda: scenario.check.check_open([])):
        with pytest.raises(InfrastructureError, match="did not get through"):
            check()
    found = (Answer(ADDRESS, "open", 22),)
    scenario.lab.one.found = Probed(frozenset({ADDRESS}), found, False)
    with pytest.raises(CheckFailed, match="TCP open: 22"):
        scenario.check.check_no_answer()


def loses(scenario, frames):
    def meanwhile():
        scenario.wire.lost += frames

    scenario.lab.one.meanwhile = meanwhile


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_wire_that_lost_frames_meanwhile_proves_nothing(scenario, loss):
    scenario.network.shape(loss=loss)
    loses(scenario, 2)
    error = UsageError if loss else InfrastructureError
    for check in (
        scenario.check.check_no_answer,
        lambda: scenario.check.check_open([]),
        lambda: scenario.check.check_open(["22"]),
    ):
        with pytest.raises(error, match=r"2 frames were lost on the wire.*nothing is proven"):
            check()
    loses(scenario, 0)
    scenario.check.check_no_answer()


def test_what_was_found_on_a_bad_wire_was_found(scenario):
    loses(scenario, 2)
    answers(scenario, ("open", 22))
    with pytest.raises(CheckFailed, match="TCP open: 22"):
        scenario.check.check_no_answer()
    with pytest.raises(CheckFailed, match="more than these ports"):
        scenario.check.check_open(["23"])


def takes(scenario, addresses):
    """Let the machine take one more IPv6 address during each probe."""
    taken = ["fe80::7", "2001:db8:76:1::9"]
    more = iter(addresses)

    def meanwhile():
        taken.extend([address] if (address := next(more, "")) else [])
        kit.pcap(scenario.capture, [kit.solicitation(each) for each in taken])

    scenario.lab.one.meanwhile = meanwhile


def test_an_address_that_it_takes_meanwhile_is_tried_too(scenario):
    takes(scenario, ["2001:db8:76:1::a"])
    scenario.check.check_no_answer()
    assert scenario.lab.one.probes == [
        [ADDRESS, "fe80::7", "2001:db8:76:1::9"],
        [ADDRESS, "2001:db8:76:1::a"],
    ]


@pytest.mark.parametrize("number", [0, 1])
def test_what_one_of_several_probes_found_is_not_forgotten(scenario, number):
    silent, opened = Probed(frozenset({ADDRESS}), ()), (Answer(ADDRESS, "open", 22),)
    for wrong, error, said in (
        (Probed(silent.seen, opened), CheckFailed, "TCP open: 22"),
        (Probed(silent.seen, (), False), InfrastructureError, "did not get through"),
        (Probed(frozenset(), ()), UsageError, "cannot even see the machine"),
    ):
        takes(scenario, ["2001:db8:76:1::a"])
        kit.pcap(scenario.capture, [kit.solicitation("fe80::7")])
        found = [silent, silent]
        found[number] = wrong
        scenario.lab.one.found_next = found
        with pytest.raises(error, match=said):
            scenario.check.check_no_answer()


def test_a_machine_that_always_takes_new_addresses_is_no_success(scenario):
    takes(scenario, [f"2001:db8:76:1::{number:x}" for number in range(16, 32)])
    with pytest.raises(UsageError, match=r"always new addresses.*2001:db8:76:1::12"):
        scenario.check.check_no_answer()
    assert len(scenario.lab.one.probes) == MOST_PROBES


def test_a_wire_that_died_meanwhile_proves_nothing(scenario):
    troubles = iter(["", "the capture is full"])

    def check():
        if trouble := next(troubles):
            raise InfrastructureError(trouble)

    scenario.card.check = check
    with pytest.raises(InfrastructureError, match="is full"):
        scenario.check.check_no_answer()


def test_more_addresses_than_are_tried_are_no_success(scenario, tmp_path):
    kit.pcap(
        scenario.card.captures[0],
        [kit.solicitation(f"fe80::{number:x}") for number in range(MOST_ADDRESSES6 + 1)],
    )
    with pytest.raises(UsageError, match="has used 33 IPv6 addresses"):
        scenario.check.check_no_answer()


def test_there_is_one_neighbour_and_a_checkpoint_knows_him(scenario):
    scenario.check.check_no_answer()
    scenario.check.check_open([])
    assert len(scenario.lab.neighbours) == 1
    state = scenario.network.state
    assert state.changes == [("add_neighbour", ["isolated"])]
    scenario.lab.neighbours.clear()
    scenario.network.take_up(state)
    assert len(scenario.lab.neighbours) == 1
    assert scenario.network.state == state
