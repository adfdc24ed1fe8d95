"""Policies at work: what each of their parts allows, and that it allows nothing else."""

import tomllib

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rrset
from leak_samples import CLEAN, LEAKS, check, duid, policy
from packet_kit import (
    GUEST,
    GUEST_IP,
    LAB_IP,
    REAL,
    RELAY,
    RESOLVER,
    arp,
    dhcp,
    dhcp_client_id,
    ethernet,
    icmp6,
    ipv6,
    mac,
    option,
    question,
    rarp,
    solicitation,
    tcp,
    tcp4,
    udp,
    udp4,
)

from tailstest.lab.leak_finder import LeakFinder
from tailstest.lab.leak_view import report_text
from tailstest.lab.packet import ETHERNET, Packet
from tailstest.lab.policy import TEMPLATE, Policy


def test_exceptions_are_exact_and_those_without_use_are_named():
    """Case C48."""
    exception = {"title": "printer", "to": ["192.168.1.5"], "protocol": "tcp", "ports": [443]}
    frame = tcp4(b"x", target="192.168.1.5")
    assert not check([frame]).clean
    report = check([frame], rules=policy(allow=[exception]))
    assert report.clean
    assert "Allowed: printer (1): TCP to 192.168.1.5, port 443" in report_text(report, "x")
    for other in (tcp4(b"x", target="192.168.1.6"), tcp4(b"x", 444, "192.168.1.5")):
        assert not check([other], rules=policy(allow=[exception])).clean
    report = check([arp()], rules=policy(allow=[exception]))
    assert "Warning: no packet needed the rule printer: TCP to 192.168.1.5" in report_text(
        report, "x"
    )


def test_known_harmless_frames_can_be_ignored_and_are_counted():
    """Case C48."""
    frame, _expected = LEAKS["LLDP"]
    entry = {"title": "LLDP", "ether_type": 0x88CC, "to": "01:80:c2:00:00:0e"}
    lldp = mac("01:80:c2:00:00:0e") + frame[6:]
    report = check([lldp, lldp, rarp(), arp()], rules=policy(ignore=[entry]))
    assert report.clean
    assert "Ignored: LLDP (2), RARP (1)" in report_text(report, "x")
    assert not check([frame], rules=policy(ignore=[entry])).clean


def test_dhcp_servers_names_and_client_ids_can_be_allowed():
    usual = {
        "dhcp_servers": [LAB_IP],
        "dhcp_host_names": ["Amnesia"],
        "dhcp_client_id": "any",
    }
    told = dhcp(duid(2, b"anything"), option(12, b"amnesia"), target=LAB_IP, address=GUEST_IP)
    assert check([told], rules=policy(usual=usual)).clean
    for key in usual:
        fewer = {name: value for name, value in usual.items() if name != key}
        assert not check([told], rules=policy(usual=fewer)).clean, key


def test_an_allowed_host_name_hides_nothing_behind_it():
    rules = policy(usual={"dhcp_host_names": ["amnesia"]})
    assert check([dhcp(option(81, b"\4\0\0\x07amnesia\0"))], rules=rules).clean
    assert check([dhcp(option(12, b"amnesia\0"))], rules=rules).clean
    for value in (
        option(81, b"\4\0\0\x07amnesia\0secret"),
        option(81, b"\4\0\0\x07amnesia\xc0\x0c"),
        option(81, b"\4\0\0\x07amnesi"),
        option(81, b"\4\0\0\x07amnesia\7secretx\0"),
        option(12, b"amnesia\0secret"),
    ):
        assert not check([dhcp(value)], rules=rules).clean, value


def test_what_is_usual_can_be_forbidden():
    for frame, key in (
        (arp(), "arp"),
        (rarp(), "rarp"),
        (dhcp(), "dhcp"),
        (solicitation(), "neighbour_discovery"),
    ):
        assert check([frame]).clean
        assert not check([frame], rules=policy(usual={key: False})).clean


def test_dhcp6_can_be_allowed_and_is_read():
    def dhcp6(options):
        message = udp(b"\1\0\0\7" + options, 546, 547)
        return ethernet(ipv6(message, 17, target="ff02::1:2"), 0x86DD)

    rules = policy(usual={"dhcp6": True})
    own = b"\0\1\0\x0a\0\3\0\1" + mac(GUEST) + b"\0\6\0\2\0\x17"
    assert check([dhcp6(own)], rules=rules).clean
    wanted = b"\0\5\0\x18" + bytes(24)
    whole = own + b"\0\3\0\x28" + bytes(12) + wanted + b"\0\x08\0\2\0\0" + b"\0\x0e\0\0"
    assert check([dhcp6(whole)], rules=rules).clean
    for options, expected in (
        (own.replace(b"\0\3\0\1", b"\0\2\0\1"), "client id that is not made of"),
        (own + b"\0\x27\0\5\0\3abc", "DHCP that tells a host name"),
        (own + b"\0\x27\0\4\0\2pc", "the real host name pc"),
        (own + b"\0\x63\0\1x", "DHCPv6 with option 99"),
        (own + b"\0\x08\0\5\0\0abc", "DHCPv6 with option 8 of 5 bytes"),
        (own + b"\0\3\0\x11" + bytes(12) + b"\0\x63\0\1x", "DHCPv6 with option 99"),
        (own + b"\0\3\0\5" + bytes(5), "DHCPv6 with option 3 of 5 bytes"),
        (own + b"\0\6\0\x20x", "an option that is cut off"),
        (own.replace(mac(GUEST), mac(REAL)), "the real MAC address"),
    ):
        assert expected in report_text(check([dhcp6(options)], rules=rules), "x")


def test_only_named_senders_are_allowed():
    stranger = "02:00:00:00:00:99"
    rules = policy(machine={"macs": [GUEST]})
    assert check(CLEAN, rules=rules).clean
    (leak,) = check([*CLEAN, tcp4(source=stranger)], rules=rules).leaks
    assert leak.reason == f"its sender is {stranger}, which the policy does not know"
    relay = {"title": "r", "to": [RELAY], "protocol": "tcp", "ports": [443], "macs": [GUEST]}
    assert check([tcp4()], rules=policy(allow=[relay])).clean
    assert not check([tcp4(), tcp4(source=stranger)], rules=policy(allow=[relay])).clean


def test_the_template_is_a_policy_and_strict():
    template = Policy.model_validate(tomllib.loads(TEMPLATE.read_text()))
    assert template == Policy()
    assert check([arp(), dhcp(dhcp_client_id())], rules=template).clean
    assert not check([tcp4()], rules=template).clean
    whole = "\n".join(
        line.removeprefix("# ") if line.startswith("# ") and ("=" in line or "[[" in line) else line
        for line in TEMPLATE.read_text().splitlines()
    )
    assert len(Policy.model_validate(tomllib.loads(whole)).allow) == 2


def asked(**changes):
    """Return a question for an allowed name, changed in one way."""
    message = dns.message.make_query("example.org", "A", use_edns=0)
    for name, value in changes.items():
        if name == "options":
            message.use_edns(0, options=value)
        elif name == "copy":
            message.question.append(message.question[0].copy())
        elif name == "answer":
            message.answer.append(dns.rrset.from_text("example.org.", 1, "IN", "TXT", "data"))
        else:
            setattr(message, name, value)
    return udp4(message.to_wire(), 53, RESOLVER)


def test_a_question_may_carry_nothing_but_what_a_resolver_needs():
    cookie, padding = dns.edns.CookieOption(b"12345678", b""), dns.edns.GenericOption(12, bytes(9))
    for frame in (asked(), asked(options=[cookie, padding]), asked(ednsflags=0x8000)):
        assert check([frame]).clean
    for frame, expected in (
        (asked(options=[dns.edns.GenericOption(12, b"secret")]), "the option 12"),
        (asked(options=[dns.edns.ECSOption("198.51.100.0")]), "the option 8"),
        (asked(flags=dns.flags.QR), "no plain question"),
        (asked(flags=dns.flags.TC), "no plain question"),
        (asked(flags=0x0003), "no plain question"),
        (asked(flags=dns.opcode.to_flags(dns.opcode.NOTIFY)), "no plain question"),
        (asked(ednsflags=0x10000), "no plain question"),
        (asked(ednsflags=0x0001), "no plain question"),
        (asked(answer=True), "more than one name"),
        (asked(copy=True), "more than one name"),
        (udp4(dns.message.make_query("example.org", "A", "CH").to_wire(), 53, RESOLVER), "class"),
    ):
        (leak,) = check([frame]).leaks
        assert expected in leak.reason


def test_a_rule_without_names_still_allows_what_one_with_names_does_not():
    rules = policy(
        allow=[
            {"title": "a", "to": [RESOLVER], "protocol": "udp", "ports": [53], "names": ["a.org"]},
            {"title": "b", "to": ["10.0.2.0/24"], "protocol": "udp", "ports": ["50-60"]},
        ],
        forbidden={},
    )
    frames = [udp4(b"no DNS", 53, RESOLVER), *[udp4(question("a.org"), 53, RESOLVER)] * 2]
    report = check(frames, rules=rules)
    assert [rule.packets for rule in report.rules] == [2, 1]
    assert report == check(frames, rules=rules, hurry=False)


def test_each_form_of_a_forbidden_name_is_found_in_allowed_packets():
    rules = policy(forbidden={"host_names": ["Secret-PC.example"], "macs": ["00:1b:63:00:00:05"]})
    for body in (
        b"x secret-pc.EXAMPLE y",
        b"\x09secret-PC\x07example\0",
        "SECRET-pc.example".encode("utf-16-le"),
        b"00:1B:63:00:00:05",
        b"00-1b-63-00-00-05",
        b"001b63000005",
        b"001b.6300.0005",
        b"fe80::21b:63ff:fe00:5",
        bytes.fromhex("001b63000005"),
        bytes.fromhex("021b63fffe000005"),
        bytes.fromhex("001b63fffe000005"),
    ):
        assert check([tcp4(b"--" + body + b"--")], rules=policy()).clean
        (leak,) = check([tcp4(b"--" + body + b"--")], rules=rules).leaks
        assert leak.reason.startswith("it tells the real ")
        quick = check([tcp4(), tcp4(b"--" + body + b"--")], rules=rules)
        assert [leak.number for leak in quick.leaks] == [2]


def test_a_short_forbidden_name_is_found_in_each_message_with_names():
    rules = policy(
        allow=[{"title": "a", "to": ["0.0.0.0/0"], "protocol": "udp", "ports": ["1-65535"]}]
    )
    for port in (53, 5353, 5355):
        assert check([udp4(question("other.lan"), port)], rules=rules).clean
        frames = [udp4(question("other.lan"), port), udp4(question("PC.lan"), port)]
        (leak,) = check(frames, rules=rules).leaks
        assert (leak.number, leak.reason) == (2, "it tells the real host name pc")


def test_an_allowed_ping_does_not_allow_what_surrounds_it():
    rules = policy(allow=[{"title": "a", "to": ["::/0"], "protocol": "icmp6"}])
    ping = icmp6(b"\x80" + bytes(7), target="2001:db8::7")
    assert check([ethernet(ipv6(ping, 58, target="2001:db8::7"), 0x86DD)], rules=rules).clean
    alert = bytes.fromhex("3a00050200000100")
    (leak,) = check(
        [ethernet(ipv6(alert + ping, 0, target="2001:db8::7"), 0x86DD)], rules=rules
    ).leaks
    assert "something else than MLD" in leak.reason


def test_networks_of_one_family_hold_no_addresses_of_the_other():
    rules = policy(allow=[{"title": "a", "to": ["::/0"], "protocol": "tcp", "ports": [443]}])
    assert not check([tcp4()], rules=rules).clean
    rules = policy(allow=[{"title": "a", "to": ["0.0.0.0/0"], "protocol": "tcp", "ports": [443]}])
    assert check([tcp4()], rules=rules).clean
    frame = ethernet(ipv6(tcp(), 6, target="2001:db8::7"), 0x86DD)
    assert not check([frame], rules=rules).clean


def test_a_frame_to_ignore_that_was_cut_off_is_a_leak():
    entry = {"title": "LLDP", "ether_type": 0x88CC, "to": "01:80:c2:00:00:0e"}
    frame = ethernet(b"\2\7\4" + mac(GUEST), 0x88CC, target="01:80:c2:00:00:0e")
    finder = LeakFinder(policy(ignore=[entry]))
    finder.feed(Packet(1, 0, ETHERNET, frame, len(frame)))
    assert finder.report().clean
    finder.feed(Packet(2, 0, ETHERNET, frame, len(frame) + 1))
    assert not finder.report().clean
