"""Policies: what is wrong in one is named with file and key."""

import pytest

from tailstest.core.errors import UsageError
from tailstest.lab.policy import TEMPLATE, load_policy

RULE = '[[allow]]\ntitle = "r"\nto = ["10.0.0.1"]\nprotocol = "tcp"\nports = [443]\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1", "x: unknown key; the known ones here are: allow, expect_packets, forbidden"),
        ("[usual]\nigmp = true", "usual.igmp: unknown key; the known ones here are: arp, dhcp"),
        (RULE + "port = 4", "allow.0.port: unknown key; the known ones here are: macs, names, po"),
        ("x =", "not valid TOML"),
        ('[others]\nmacs = ["52:54"]', "others.macs.0: .*'52:54' is no MAC address"),
        ("[forbidden]\nmacs = [7]", "forbidden.macs.0: .*7 is no MAC address"),
        ('[forbidden]\nhost_names = [""]', "forbidden.host_names.0"),
        (RULE.replace("443", "70000"), "allow.0.ports.0: .*70000 is no port"),
        (RULE.replace("443", '"9-4"'), "allow.0.ports.0: .*'9-4' is no port"),
        (RULE.replace("443", "true"), "allow.0.ports.0: .*True is no port"),
        (RULE.replace("[443]", "[]"), 'allow.0: .*"r": tcp needs ports'),
        (RULE.replace('"tcp"', '"icmp"'), 'allow.0: .*"r": icmp has no ports'),
        (RULE.replace('"tcp"', '"sctp"'), "allow.0.protocol"),
        (RULE + 'names = ["a"]', "names can be read in udp only"),
        (RULE.replace("tcp", "udp") + 'names = ["a*b"]', "allow.0.names.0"),
        (RULE.replace("10.0.0.1", "relay.example"), "allow.0.to.0"),
        (RULE.replace("10.0.0.1", "10.0.0.1/8"), "allow.0.to.0"),
        (RULE.replace('["10.0.0.1"]', "[]"), "allow.0.to"),
        ("nothing_before = 2026-01-31T12:00:00", "nothing_before: .*timezone"),
        ("expect_packets = -1", "expect_packets"),
        (
            '[machine]\nmacs = ["52:54:00:12:34:56"]\n[others]\nmacs = ["52-54-00-12-34-56"]',
            "52:54:00:12:34:56 is in machine.macs and in others.macs",
        ),
        (
            '[forbidden]\nmacs = ["52:54:00:12:34:56"]\n[others]\nmacs = ["52:54:00:12:34:56"]',
            "is in forbidden.macs and in another macs",
        ),
        (
            '[[ignore]]\ntitle = "v6"\nether_type = 0x86dd\nto = "33:33:00:00:00:01"',
            "ignore.0: .*0x86dd is understood, use a rule",
        ),
        (
            '[[ignore]]\ntitle = "v"\nether_type = 0x8100\nto = "33:33:00:00:00:01"',
            "ignore.0: .*0x8100 carries other packets",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, expected):
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=expected) as caught:
        load_policy(file)
    assert str(caught.value).startswith(f"{file}: ")


def test_a_policy_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.toml: cannot be read"):
        load_policy(tmp_path / "none.toml")


def test_a_rule_describes_itself(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(
        '[[allow]]\ntitle = "r"\nto = ["10.0.0.1", "10.1.0.0/16"]\nprotocol = "udp"\n'
        'ports = [53, "60-70"]\nnames = ["A.example"]\nmacs = ["52:54:00:12:34:56"]\n'
    )
    (rule,) = load_policy(file).allow
    assert rule.describe() == (
        "UDP to 10.0.0.1, 10.1.0.0/16, port 53, 60-70, names a.example, from 52:54:00:12:34:56"
    )
    assert load_policy(TEMPLATE).allow == ()
