"""A neighbour on a network of a real lab, and real computers that answer him, or not."""

import contextlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.core.events import Events
from tailstest.lab.network.addressing import leases_file
from tailstest.lab.network.keeper import LabKeeper
from tailstest.lab.network.knocking import Answer
from tailstest.lab.network.neighbour import QUIET
from tailstest.lab.network.quality import Quality
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.network_card import NetworkCard
from tailstest.media.image_file import Digests
from tailstest.suite.scenario_network import ScenarioNetwork
from tailstest.suite.suite_files import SuiteFiles

pytestmark = pytest.mark.vm

GUEST = Path(__file__).with_name("neighbour_guest.py")
UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"]


class Computer:
    """A computer with a kernel of its own behind a machine's network card."""

    def __init__(self, keeper, folder, stack):
        definition = MachineDefinition(network="lab", mac="52:54:00:aa:00:09")
        self.card = NetworkCard(
            "one",
            definition,
            folder,
            folder / "one.pcap",
            keeper,
            limit=100_000_000,
            warn=pytest.fail,
        )
        self.card.get_ready()
        self.address = self.card.network.gateway.rsplit(".", 1)[0] + ".150"
        self.link_local = ""
        self._wire = folder / "network"
        self._keeper = keeper
        self._stack = stack
        machine = SimpleNamespace(
            name="one", card=self.card, deadline_scale=1, check=self.card.check
        )
        files = SuiteFiles(folder, Digests())
        self.network = ScenarioNetwork(lambda: machine, lambda: keeper, Events(), files=files)

    def start(self, *how):
        """Switch it on."""
        command = [*UNSHARE, "--mount-proc", sys.executable, str(GUEST), str(self._wire)]
        run = subprocess.Popen(
            [*command, self.card.network.gateway, *how], stdout=subprocess.PIPE, text=True
        )
        self._stack.callback(run.wait)
        self._stack.callback(run.kill)
        word, self.link_local = run.stdout.readline().split()
        assert word == "ready"

    def be_given_an_address(self):
        """Let the lab believe that it gave this computer its address."""
        file = leases_file(self.card.network, self._keeper.lab.folder)
        with file.open("a") as leases:
            leases.write(f"1795800000 {self.card.mac} {self.address} one *\n")


@pytest.fixture
def computer(tmp_path):
    keeper = LabKeeper(tmp_path, deadline_scale=1)
    with contextlib.ExitStack() as stack:
        stack.callback(keeper.end)
        one = Computer(keeper, tmp_path, stack)
        one.keeper = keeper
        yield one


def test_who_listens_refuses_and_answers_ping_is_found(computer):
    computer.start("open", "2222")
    computer.be_given_an_address()
    network = computer.network
    with pytest.raises(CheckFailed) as error:
        network.neighbours.check_no_answer()
    lines = {line.split(": ")[0].strip(): line for line in str(error.value).splitlines()}
    for address in (computer.address, computer.link_local):
        assert "TCP open: 2222;" in lines[address]
        assert "TCP refuses: 1-1024, " in lines[address]
        assert "UDP refuses: 53, 67, 123, 137, 161, 1900, 5353, 5355;" in lines[address]
        assert lines[address].endswith("answers ping")
    network.neighbours.check_open(["2222"])
    with pytest.raises(CheckFailed, match=r"more than these ports.*\n.*TCP open: 2222\n"):
        network.neighbours.check_open([])
    with pytest.raises(CheckFailed, match=r"not open to a neighbour: TCP port 22;"):
        network.neighbours.check_open(["2222", "22"])
    assert len(computer.keeper.lab.neighbours) == 1


def test_who_answers_nothing_but_arp_is_silent_and_has_contacted_nobody(computer):
    computer.start("silent")
    computer.be_given_an_address()
    network = computer.network
    network.neighbours.check_no_answer()
    network.neighbours.check_open([])
    network.traffic.check_only_hosts([])
    # It was tried, by somebody whose packets are not the machine's.
    sent = computer.card.state()
    assert sent.received > 4000
    assert 0 < sent.sent < 100


def test_who_does_not_hear_pings_is_found_at_the_address_of_its_mac(computer):
    computer.start("deaf")
    neighbour = computer.keeper.lab.add_neighbour(computer.card.network)
    probed = neighbour.probe([computer.address], ignored=computer.card.other_macs)
    assert probed.is_complete
    assert probed.seen == {computer.address, computer.link_local}
    is_open = {each.address for each in probed.answers if each.what == "open"}
    assert is_open == {computer.address, computer.link_local}
    assert not any(each.what == "ping" for each in probed.answers)


def test_what_the_machine_answers_a_neighbour_is_sent_by_the_machine(computer):
    computer.start("open")
    computer.be_given_an_address()
    computer.network.neighbours.check_open(["22"])
    with pytest.raises(CheckFailed, match="others than these hosts") as error:
        computer.network.traffic.check_only_hosts([])
    (neighbour,) = computer.keeper.lab.neighbours
    assert f"{computer.card.mac} to {neighbour.seat.mac}" in str(error.value)
    assert f"{neighbour.seat.mac} to" not in str(error.value)


def test_where_nobody_is_nothing_is_proven(computer):
    with pytest.raises(UsageError, match="has no address yet"):
        computer.network.neighbours.check_no_answer()
    computer.be_given_an_address()
    with pytest.raises(UsageError, match=r"cannot even see the machine at 10\.76\.1\.150"):
        computer.network.neighbours.check_no_answer()


def test_an_answer_that_comes_late_counts(computer):
    computer.start("open")
    computer.be_given_an_address()
    # An answer takes three seconds, and the first of all, for the MAC address, three more.
    computer.card.shape(Quality(delay=1.5))
    computer.network.neighbours.check_open(["22"])


def process_of(lab, word):
    """Return the process of a lab that has this among the words of its command."""
    family = psutil.Process(lab.pid).children(recursive=True)
    return next(each for each in family if word in each.cmdline())


def test_a_host_that_stands_still_for_a_while_makes_nobody_silent(computer):
    computer.start("deaf")
    computer.card.shape(Quality(delay=1))
    lab = computer.keeper.lab
    neighbour = lab.add_neighbour(computer.card.network)
    wire = process_of(lab, "tailstest.lab.network.warden")
    sleepers = (process_of(lab, str(neighbour.socket)), wire)
    with ThreadPoolExecutor(1) as pool:
        try:
            probing = pool.submit(neighbour.probe, [computer.address])
            before = computer.card.state().received
            tried = poll(
                lambda: computer.card.state().received > before + 1000 or None, Deadline.after(20)
            )
            assert tried, "it tried no ports"
            for each in sleepers:
                each.suspend()
            # Answers are on their way, and stay there for longer than it waits for one.
            assert poll(lambda: None, Deadline.after(QUIET + 1)) is None
        finally:
            for each in sleepers:
                each.resume()
        found = probing.result(60)
    assert Answer(computer.address, "open", 22) in found.answers


def test_a_neighbour_that_dies_is_trouble_of_the_lab(computer):
    lab = computer.keeper.lab
    neighbour = lab.add_neighbour(computer.card.network)
    assert neighbour.seat.name in lab.services()
    process_of(lab, str(neighbour.socket)).kill()
    with pytest.raises(InfrastructureError, match="the lab's server neighbour-1-1 died"):
        poll(lab.check, Deadline.after(60))


def test_neighbours_of_one_network_are_two(computer):
    lab = computer.keeper.lab
    first, second = (lab.add_neighbour(computer.card.network) for _ in range(2))
    probed = first.probe([second.seat.address, second.seat.link_local])
    assert probed.seen >= {second.seat.address, second.seat.link_local}
    assert {each.what for each in probed.answers} >= {"ping", "refused", "udp refused"}
    hidden = first.probe([second.seat.address], ignored=[second.seat.mac, lab.networks[0].mac])
    assert not hidden.seen
    assert not hidden.answers
    assert computer.card.other_macs == (lab.networks[0].mac, first.seat.mac, second.seat.mac)
