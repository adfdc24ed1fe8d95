"""What steps check of a machine's packets, and that each check finds what it is there for."""

import time
from types import SimpleNamespace

import packet_kit as kit
import pytest
from traffic_tools import NEAR, Traffic

from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.core.events import Events, ScenarioStarted, StepStarted
from tailstest.lab.network.addressing import LEASE_TIME, given_out, leases_file
from tailstest.lab.network.tor import OR_PORT
from tailstest.media.image_file import Digests
from tailstest.suite.scenario_network import ScenarioNetwork
from tailstest.suite.suite_files import SuiteFiles

REAL_MAC = kit.GUEST


@pytest.fixture
def scenario(tmp_path):
    """Return a network of a scenario, its events, and what records a packet in its capture."""
    found = Traffic(tmp_path)
    yield found
    found.close()


def began(scenario, *steps):
    scenario.events.publish(
        ScenarioStarted(
            scenario_id="s",
            name="",
            feature="",
            feature_file="",
            location="",
            tags=[],
            steps=list(steps),
        )
    )


def step(scenario, text):
    scenario.events.publish(
        StepStarted(scenario_id="s", index=0, keyword="When", text=text, location="")
    )


def tcp(target=kit.RELAY, port=9001, **more):
    return kit.tcp4(port=port, target=target, **more)


def dns(name="secret.org"):
    return kit.udp4(kit.question(name), 53, target="8.8.8.8")


def test_only_tor_is_clean_and_one_name_in_a_hundred_thousand_packets_is_found(scenario):
    step(scenario, "I browse")
    for _ in range(100_000):
        scenario.record(tcp())
    scenario.network.traffic.check_only_tor()
    step(scenario, "I look at the clock")
    scenario.record(dns())
    scenario.record(tcp())
    with pytest.raises(CheckFailed) as error:
        scenario.network.traffic.check_only_tor()
    text = str(error.value)
    assert "1 leaked, in 1 conversation" in text
    assert "secret.org" in text
    assert "packet 100001" in text
    assert "step      When I look at the clock" in text


def test_without_a_packet_nothing_is_proven(scenario):
    with pytest.raises(UsageError, match="proves nothing"):
        scenario.network.traffic.check_only_tor()
    with pytest.raises(UsageError, match="nothing is proven"):
        scenario.network.traffic.check_real_mac()
    scenario.record(kit.ethernet(b"", source=kit.LAB, target=kit.GUEST))
    with pytest.raises(UsageError, match="nothing is proven"):
        scenario.network.traffic.check_real_mac()


def test_only_the_hosts_in_the_table_may_be_contacted(scenario):
    scenario.record(tcp(port=443))
    scenario.network.traffic.check_only_hosts([(kit.RELAY, "TCP", "443")])
    for wrong in ((kit.RELAY, "TCP", "80"), (kit.RELAY, "UDP", "443"), ("10.9.9.9", "TCP", "443")):
        with pytest.raises(CheckFailed, match="others than these hosts"):
            scenario.network.traffic.check_only_hosts([wrong])


def test_a_neighbour_is_told_the_mac_address_and_nothing_else(scenario):
    def sent(target, following, body):
        packet = kit.ipv6(body, following, "2001:db8:76:1::7", target)
        scenario.record(kit.ethernet(packet, 0x86DD))

    advertisement = bytes([136]) + bytes(7) + kit.ip("2001:db8:76:1::7")
    sent(NEAR, 58, kit.icmp6(advertisement, "2001:db8:76:1::7", NEAR))
    scenario.network.traffic.check_only_hosts([])
    sent(NEAR, 17, kit.udp(b"here", 5353, 40000))
    with pytest.raises(CheckFailed, match="1 leaked, in 1 conversation"):
        scenario.network.traffic.check_only_hosts([])


def test_a_wrong_row_is_a_mistake_of_the_scenario(scenario):
    scenario.record(tcp())
    for row in (("no address", "TCP", "1"), (kit.RELAY, "SCTP", "1"), (kit.RELAY, "TCP", "many")):
        with pytest.raises(UsageError):
            scenario.network.traffic.check_only_hosts([row])


def test_a_relay_is_reached_on_its_ports_only(scenario):
    scenario.record(tcp(port=22))
    with pytest.raises(CheckFailed, match="not all Internet traffic"):
        scenario.network.traffic.check_only_tor()


def test_a_leak_says_which_program_has_its_socket_open(scenario):
    scenario.record(tcp(port=80))
    for port, said in ((40001, False), (40000, True)):
        scenario.owners["tcp", port] = f"chatty{port} (process 7)"
        with pytest.raises(CheckFailed) as error:
            scenario.network.traffic.check_only_tor()
        assert ("   sent by   chatty40000 (process 7)" in str(error.value)) is said
        assert "chatty40001" not in str(error.value)


def test_a_machine_that_takes_the_mac_address_of_the_router_hides_nothing(scenario):
    scenario.record(tcp())
    scenario.record(tcp(port=80, source=kit.LAB), sent=True)
    traffic = scenario.network.traffic
    with pytest.raises(CheckFailed, match="which is somebody else"):
        traffic.check_only_hosts([(kit.RELAY, "TCP", "9001"), (kit.RELAY, "TCP", "80")])
    with pytest.raises(CheckFailed, match="2 leaked"):
        traffic.check_silent()


def test_what_another_machine_of_the_network_sent_is_not_of_this_one(scenario):
    scenario.record(tcp())
    scenario.record(kit.arp(sender="02:00:00:00:00:77"), sent=False)
    scenario.record(tcp("203.0.113.9", 53, source="02:00:00:00:00:77"), sent=False)
    scenario.network.traffic.check_real_mac_is_told()
    with pytest.raises(CheckFailed) as caught:
        scenario.network.traffic.check_silent()
    assert "203.0.113.9" not in caught.value.message


def test_the_real_mac_address_is_told_where_it_shall_be(scenario):
    scenario.record(tcp(source="02:00:00:00:00:01"))
    with pytest.raises(CheckFailed, match="none of the 1 packets"):
        scenario.network.traffic.check_real_mac_is_told()
    scenario.record(tcp())
    scenario.network.traffic.check_real_mac_is_told()


def test_a_bridge_is_a_way_into_tor_on_the_port_of_its_transport_once_it_was_started(scenario):
    scenario.record(tcp("198.51.100.31", 4443))
    with pytest.raises(CheckFailed, match="not all Internet traffic"):
        scenario.network.traffic.check_only_tor()
    scenario.tor.has_bridge = True
    scenario.tor.bridge = SimpleNamespace(address="198.51.100.31", port=4443)
    scenario.network.traffic.check_only_tor()
    scenario.record(tcp("198.51.100.31", 9001))
    with pytest.raises(CheckFailed, match=r"1 leaked, in 1 conversation"):
        scenario.network.traffic.check_only_tor()


def test_the_table_of_hosts_knows_the_bridge_by_its_name(scenario):
    row = ("bridge", "TCP", "4443")
    scenario.tor.bridge = SimpleNamespace(address="198.51.100.31", port=4443)
    scenario.record(tcp("198.51.100.31", 4443))
    scenario.network.traffic.check_only_hosts([row])
    scenario.record(tcp())
    with pytest.raises(CheckFailed, match="others than these hosts") as error:
        scenario.network.traffic.check_only_hosts([row])
    assert kit.RELAY in str(error.value)


def test_the_real_mac_address_is_found_and_another_one_is_not(scenario):
    scenario.record(tcp(source="02:00:00:00:00:01"))
    scenario.network.traffic.check_real_mac()
    step(scenario, "the network is enabled")
    scenario.record(tcp())
    with pytest.raises(CheckFailed, match="real MAC address") as error:
        scenario.network.traffic.check_real_mac()
    assert "step      When the network is enabled" in str(error.value)


def test_a_table_may_name_the_relays_of_tor(scenario):
    scenario.record(tcp(port=OR_PORT))
    with pytest.raises(CheckFailed, match="contacted others"):
        scenario.network.traffic.check_only_hosts([("router", "TCP", str(OR_PORT))])
    scenario.network.traffic.check_only_hosts([("Tor relays", "TCP", str(OR_PORT))])


LEASES = """\
1795800000 52:54:00:12:34:56 10.76.1.23 demo ff:12:34:56
duid 00:01:00:01:32:4e:5f:8b:52:54:00:76:00:01
1795800000 1193046 2001:db8:76:1::e7 * 00:01:00:01
"""


def test_only_lines_about_ipv4_addresses_are_leases(tmp_path):
    network = SimpleNamespace(number=1)
    assert given_out(network, tmp_path) == []
    file = leases_file(network, tmp_path)
    file.write_text(LEASES.partition("\n")[2])
    assert given_out(network, tmp_path) == []
    file.write_text(LEASES)
    assert given_out(network, tmp_path) == ["10.76.1.23"]


def lease(network, folder, given, mac=REAL_MAC):
    line = f"{given + LEASE_TIME} {mac} 10.76.1.23 demo ff:12:34:56\n"
    leases_file(network, folder).write_text(line)


def test_a_lease_counts_from_a_moment_on_and_those_of_others_never(tmp_path):
    network = SimpleNamespace(number=1)
    lease(network, tmp_path, 5000)
    for since, counts in ((0.0, True), (4999.9, True), (5000.0, True), (5000.1, False)):
        assert bool(given_out(network, tmp_path, since=since)) is counts
    assert given_out(network, tmp_path, others=[kit.LAB]) == ["10.76.1.23"]
    assert given_out(network, tmp_path, others=[REAL_MAC.upper()]) == []
    for end in ("0", "-1", "soon"):  # no end, or a line that is being written
        leases_file(network, tmp_path).write_text(f"{end} {REAL_MAC} 10.76.1.23 demo *\n")
        assert given_out(network, tmp_path) == ["10.76.1.23"]
        assert given_out(network, tmp_path, since=1.0) == []


@pytest.fixture
def waiting(tmp_path):
    """Return what a wait for an address looks at."""
    found = SimpleNamespace(network=SimpleNamespace(number=1), folder=tmp_path, watched=0)
    found.card = SimpleNamespace(
        network=found.network,
        other_macs=(kit.LAB,),
        no_address_before=0.0,
        state=lambda: SimpleNamespace(sent=7),
    )

    def check():
        found.watched += 1
        if not found.machine.is_on:
            raise UsageError("the machine is switched off")

    found.machine = SimpleNamespace(card=found.card, check=check, is_on=True, deadline_scale=1.0)
    labs = SimpleNamespace(lab=SimpleNamespace(folder=tmp_path))
    files = SuiteFiles(tmp_path, Digests())
    network = ScenarioNetwork(lambda: found.machine, lambda: labs, Events(), files=files)
    found.wait = lambda: network.wait_address(within=0.0)
    return found


def test_an_address_of_an_earlier_start_is_none(waiting):
    with pytest.raises(CheckFailed, match=r"ask for an address; it sent 7 packets\n"):
        waiting.wait()
    lease(waiting.network, waiting.folder, 5000)
    waiting.wait()
    waiting.card.no_address_before = 5000.4
    with pytest.raises(
        CheckFailed, match=r"10\.76\.1\.23 was given out before .* started"
    ) as error:
        waiting.wait()
    assert "renew" in str(error.value)
    lease(waiting.network, waiting.folder, 5002)
    waiting.wait()
    lease(waiting.network, waiting.folder, 5002, mac=kit.LAB)
    with pytest.raises(CheckFailed, match="ask for an address"):
        waiting.wait()


def test_a_machine_that_is_off_has_no_address(waiting):
    lease(waiting.network, waiting.folder, 5000)
    waiting.machine.is_on = False
    with pytest.raises(UsageError, match="is switched off"):
        waiting.wait()


def test_silence_is_broken_by_any_packet_of_the_machine(scenario):
    scenario.record(kit.ethernet(b"", source=kit.LAB, target=kit.GUEST))
    scenario.network.traffic.check_silent()
    scenario.network.traffic.remember("the network was enabled")
    scenario.record(kit.arp())
    scenario.network.traffic.check_silent("the network was enabled")
    with pytest.raises(CheckFailed, match="should have sent nothing by now"):
        scenario.network.traffic.check_silent()
    scenario.network.traffic.remember("later")
    with pytest.raises(CheckFailed, match='nothing before "later"'):
        scenario.network.traffic.check_silent("later")


def test_what_qemu_says_for_a_restored_machine_is_not_the_machines(scenario):
    scenario.record(kit.rarp())
    scenario.network.traffic.check_silent()
    scenario.record(tcp(source="02:00:00:00:00:01"))
    scenario.network.traffic.check_real_mac()


def test_what_qemu_says_for_a_restored_machine_proves_nothing(scenario):
    scenario.record(kit.rarp())
    for check in (
        scenario.network.traffic.check_only_tor,
        lambda: scenario.network.traffic.check_only_hosts([]),
    ):
        with pytest.raises(UsageError, match=r"(?s)one\.pcapng: none.*ignored.*proves nothing"):
            check()
    scenario.record(kit.arp())
    scenario.network.traffic.check_only_tor()
    scenario.network.traffic.check_only_hosts([])


def test_a_wire_that_keeps_nothing_any_more_proves_nothing(scenario):
    scenario.record(tcp())
    scenario.network.traffic.check_only_tor()
    scenario.card.trouble = "the capture is full"
    for check in (scenario.network.traffic.check_only_tor, scenario.network.traffic.check_real_mac):
        with pytest.raises(InfrastructureError, match="is full"):
            check()


def test_a_moment_that_nobody_named_is_a_mistake(scenario):
    scenario.network.traffic.remember("one")
    with pytest.raises(UsageError, match='no moment is called "two"; known: "one"'):
        scenario.network.traffic.check_silent("two")


def test_a_new_scenario_forgets_steps_and_moments(scenario):
    step(scenario, "old")
    began(scenario)
    scenario.network.traffic.remember("one")
    assert scenario.network.state.moments["one"] <= time.time_ns()
    scenario.network.clear()
    assert scenario.network.state.moments == {}
    scenario.record(dns())
    with pytest.raises(CheckFailed, match="before the first step"):
        scenario.network.traffic.check_only_tor()
