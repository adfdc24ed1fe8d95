"""What packets may not tell, and policies of a suite: each check finds what it is there for."""

import packet_kit as kit
import pytest
from traffic_tools import Traffic

from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.core.events import StepStarted

POLICY = f"""
[usual]
dhcp_servers = ["{kit.LAB_IP}"]
[forbidden]
host_names = ["my-laptop"]
[[allow]]
title = "relay"
to = ["{kit.RELAY}"]
protocol = "tcp"
ports = [443]
"""


@pytest.fixture
def scenario(tmp_path):
    """Return a network of a scenario, its events, and what records a packet in its capture."""
    found = Traffic(tmp_path)
    yield found
    found.close()


@pytest.fixture
def traffic(scenario, tmp_path):
    """Return what steps find; the suite has a policy."""
    (tmp_path / "only-relay.toml").write_text(POLICY)
    return scenario.network.traffic


def named(name):
    return kit.dhcp(kit.dhcp_client_id(), kit.option(12, name))


def lose_packets(scenario):
    """Let the capture say that three packets were lost."""
    lost = kit.block(5, bytes(12) + kit.long_option(5, (3).to_bytes(8, "little")))
    with scenario.card.captures[0].open("ab") as file:
        file.write(lost)


CHECKS = {
    "host name": lambda traffic: traffic.check_host_name("my-laptop"),
    "policy": lambda traffic: traffic.check_policy("only-relay.toml"),
}
with_each_check = pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)


@with_each_check
def test_what_is_right_passes_and_a_name_in_dhcp_is_found(scenario, traffic, check):
    scenario.record(kit.dhcp(kit.dhcp_client_id()))
    scenario.record(kit.tcp4())
    scenario.record(named(b"my-laptop"), sent=False)  # what others tell is theirs
    check(traffic)
    scenario.events.publish(
        StepStarted(scenario_id="s", index=0, keyword="When", text="I plug it in", location="")
    )
    scenario.record(named(b"My-Laptop"))
    scenario.record(named(b"My-Laptop"))
    traffic.check_only_hosts([(kit.RELAY, "TCP", "443")])  # which knows nothing of names
    with pytest.raises(CheckFailed, match="2 leaked, in 1 conversation") as caught:
        check(traffic)
    text = str(caught.value)
    assert "UDP DHCP: it tells the real host name my-laptop" in text
    assert "step      When I plug it in" in text
    assert "255.255.255.255:67" in text


@with_each_check
def test_where_nothing_was_sent_nothing_is_proven(scenario, traffic, check):
    for frames in ([], [kit.ethernet(b"", source=kit.LAB)], [kit.rarp()]):
        for frame in frames:
            scenario.record(frame)
        with pytest.raises(UsageError, match=r"proves nothing|nothing is proven"):
            check(traffic)
    scenario.card.captures.clear()
    with pytest.raises(UsageError, match="nothing is proven"):
        check(traffic)


@with_each_check
def test_what_was_lost_proves_nothing_and_takes_no_leak_back(scenario, traffic, check):
    scenario.record(kit.arp())
    lose_packets(scenario)
    with pytest.raises(UsageError, match=r"lost.* so nobody knows what was in them"):
        check(traffic)
    scenario.record(named(b"my-laptop"))
    with pytest.raises(CheckFailed, match="1 leaked"):
        check(traffic)


@with_each_check
def test_a_wire_that_keeps_nothing_any_more_proves_nothing(scenario, traffic, check):
    scenario.record(kit.arp())
    check(traffic)
    scenario.card.trouble = "the capture is full"
    with pytest.raises(InfrastructureError, match="is full"):
        check(traffic)


def test_a_real_mac_address_that_may_have_been_lost_is_not_known_to_be_hidden(scenario, traffic):
    scenario.record(kit.arp(sender="02:00:00:00:00:01"))
    traffic.check_real_mac()
    lose_packets(scenario)
    for check in (traffic.check_real_mac, traffic.check_real_mac_is_told):
        with pytest.raises(UsageError, match="3 packets were lost"):
            check()


@pytest.mark.parametrize(
    ("told", "said"), [(b"pc", True), (b"PC.lan", True), (b"pcs", False), (b"other", False)]
)
def test_a_short_name_is_found_and_another_one_is_not(scenario, traffic, told, said):
    scenario.record(named(told))
    if not said:
        traffic.check_host_name("pc")
        return
    with pytest.raises(CheckFailed, match='packets tell the host name "pc"'):
        traffic.check_host_name("pc")


@pytest.mark.parametrize("name", ["", " ", "my laptop", "a\n"])
def test_what_is_no_host_name_is_a_mistake(scenario, traffic, name):
    scenario.record(kit.arp())
    with pytest.raises(UsageError, match="is no host name"):
        traffic.check_host_name(name)


def test_a_policy_allows_what_it_says_and_nothing_else(scenario, traffic):
    scenario.record(kit.arp())
    scenario.record(kit.tcp4())
    # From the lab and from another machine: who they are need not stand in the policy.
    scenario.record(kit.tcp4(b"x", 80, source=kit.LAB))
    traffic.check_policy("only-relay.toml")
    for leak, expected in (
        (kit.tcp4(b"x", 80), "TCP HTTP: not allowed by the policy"),
        (named(b"amnesia"), "DHCP that tells a host name"),
        (kit.dhcp(kit.option(61, b"\0anna")), "a client id that is not made of the MAC address"),
        (kit.dhcp(kit.option(43, b"odd")), "DHCP with option 43"),
        (kit.udp4(b"odd", 67, kit.LAB_IP), "UDP DHCP: not allowed"),
        (kit.tcp4(source=kit.LAB), "its sender is 52:54:00:00:00:01, which is somebody else"),
    ):
        scenario.record(leak, sent=True)
        with pytest.raises(CheckFailed, match="does not obey the policy") as caught:
            traffic.check_policy("only-relay.toml")
        assert expected in str(caught.value)


def test_others_without_directions_are_known_by_their_addresses(scenario, traffic):
    scenario.card.captures[:] = [
        kit.pcap(
            scenario.card.captures[0].with_name("of-qemu.pcap"),
            [kit.arp(), kit.tcp4(b"x", 80, source=kit.LAB)],
        )
    ]
    traffic.check_policy("only-relay.toml")


def test_a_policy_that_wants_silence_gets_it(scenario, traffic, tmp_path):
    (tmp_path / "silence.toml").write_text("expect_packets = 0\n[usual]\narp = false\n")
    traffic.check_policy("silence.toml")
    scenario.record(kit.arp())
    with pytest.raises(CheckFailed, match="ARP: not allowed"):
        traffic.check_policy("silence.toml")


def test_a_policy_is_a_file_of_the_suite_whose_mistakes_are_named(scenario, traffic, tmp_path):
    scenario.record(kit.arp())
    with pytest.raises(UsageError, match=r"none\.toml"):
        traffic.check_policy("none.toml")
    (tmp_path / "wrong.toml").write_text("[usual]\ndchp = false\n")
    with pytest.raises(UsageError, match=r"wrong\.toml: usual\.dchp: unknown key"):
        traffic.check_policy("wrong.toml")
    assert scenario.files.used == {}
    traffic.check_policy("only-relay.toml")
    assert list(scenario.files.used) == ["only-relay.toml"]  # a checkpoint depends on it
