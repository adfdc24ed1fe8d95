"""`tailstest capture` as its user has it: tables, reports, exit statuses."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from packet_kit import (
    GUEST,
    GUEST_IP6,
    LAB,
    arp,
    dhcp,
    ethernet,
    ipv4,
    pcap,
    pcapng,
    probe_request,
    question,
    rarp,
    solicitation,
    tcp,
    tcp4,
    udp4,
)

from tailstest.cli.main import main
from tailstest.lab.conversations import MOST_CONVERSATIONS, Conversations
from tailstest.lab.conversations_view import conversations_text
from tailstest.lab.packet import Packet

POLICY = f"""
others.macs = ["{LAB}"]
[[allow]]
title = "relay"
to = ["203.0.113.7"]
protocol = "tcp"
ports = [443]
"""
ANSWER = ethernet(
    ipv4(tcp(b"x", 443, 40000), 6, "203.0.113.7", "10.0.2.15"), source=LAB, target=GUEST
)
TALK = [rarp(), arp(), dhcp(), solicitation("fe80::1", GUEST_IP6, GUEST), tcp4(), ANSWER, tcp4()]
DNS = udp4(question("secret.org"), 53, "8.8.8.8")


@pytest.fixture
def capture(monkeypatch, tmp_path, capsys):
    """Return a function that calls the command; it returns status, output and messages."""
    (tmp_path / "policy.toml").write_text(POLICY)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tailstest", "capture", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            main()
        out, err = capsys.readouterr()
        return ending.value.code, out, err

    return call


def test_exit_statuses_tell_clean_from_leak_from_bad_input(capture, tmp_path):
    pcap(tmp_path / "clean.pcap", TALK)
    pcapng(tmp_path / "leak.pcapng", [*TALK, DNS])
    broken = pcap(tmp_path / "broken.pcap", [*TALK, DNS, arp()])
    broken.write_bytes(broken.read_bytes()[:-1])
    pcap(tmp_path / "empty.pcap", [])
    check = "check", "--policy", "policy.toml"

    status, out, err = capture(*check, "clean.pcap")
    assert (status, err) == (0, "")
    assert out.startswith("clean.pcap: clean\n  7 packets, 6 of the machine: all allowed\n")

    status, out, err = capture(*check, "leak.pcapng")
    assert (status, err) == (1, "")
    assert "1. UDP plain DNS: not allowed by the policy" in out
    assert "name      secret.org" in out

    status, out, err = capture(*check, "broken.pcap")
    assert status == 2
    assert "broken.pcap: LEAK" in out
    assert "broken.pcap: damaged at byte" in err

    status, out, err = capture(*check, "empty.pcap")
    assert (status, out) == (2, "")
    assert "no packets at all" in err

    for arguments, expected in (
        ((*check, "none.pcap"), "none.pcap: no such file"),
        (("check", "clean.pcap"), "--policy"),
        (("check", "clean.pcap", "--policy", "none.toml"), "none.toml: cannot be read"),
        (("show", "policy.toml"), "policy.toml: neither pcap nor pcapng"),
    ):
        status, out, err = capture(*arguments)
        assert (status, out) == (2, "")
        assert expected in err
        assert "Traceback" not in err


def test_the_printed_policy_is_one_to_begin_with(capture, tmp_path):
    status, out, _err = capture("policy")
    assert status == 0
    (tmp_path / "own.toml").write_text(out)
    pcap(tmp_path / "usual.pcap", [arp(), rarp(), dhcp()])
    assert capture("check", "usual.pcap", "--policy", "own.toml")[0] == 0


def test_both_commands_print_json(capture, tmp_path):
    pcap(tmp_path / "leak.pcap", [*TALK, DNS])
    status, out, _err = capture("check", "leak.pcap", "--policy", "policy.toml", "--json")
    found = json.loads(out)
    assert status == 1
    assert found["clean"] is False
    assert [leak["names"] for leak in found["leaks"]] == [["secret.org"]]
    status, out, _err = capture("show", "leak.pcap", "--json")
    found = json.loads(out)
    assert status == 0
    assert found["senders"][GUEST]["packets"] == 7
    web = next(each for each in found["conversations"] if each["protocol"] == "TCP HTTPS")
    assert (web["to"], web["port"], web["sent"], web["back"]) == ("203.0.113.7", 443, 2, 1)


def test_show_lists_who_is_there_and_what_was_said(capture, tmp_path):
    pcap(tmp_path / "a.pcap", [*TALK, DNS, ethernet(b"?" * 46, 0x88CC)])
    status, out, _err = capture("show", "a.pcap")
    assert status == 0
    assert "a.pcap: 9 packets of Ethernet" in out
    assert f"  {GUEST}     8 packets  10.0.2.15" in out
    assert f"  {LAB}      1 packet  203.0.113.7" in out
    assert "name: secret.org" in out
    assert "not understood: Ethernet type 0x88cc (LLDP)" in out
    (row,) = [line for line in out.splitlines() if "203.0.113.7:443" in line]
    assert " ".join(row.split()) == "0.004 TCP HTTPS 10.0.2.15 203.0.113.7:443 2 1 163 B"


@pytest.mark.parametrize(("columns", "rows"), [(80, 2), (160, 1)])
def test_show_fits_the_terminal(tmp_path, columns, rows):
    pcap(tmp_path / "a.pcap", [*TALK, probe_request()[8:], DNS])
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    code = "from tailstest.cli.main import main; main()"
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    subprocess.run(
        [sys.executable, "-c", code, "capture", "show", tmp_path / "a.pcap"],
        stdout=slave,
        stdin=slave,
        env=environment,
        check=True,
    )
    out = os.read(master, 100_000).decode().replace("\r\n", "\n")
    os.close(master)
    os.close(slave)
    assert max(len(line) for line in out.splitlines()[1:]) <= columns
    assert "10.0.2.15 to 203.0.113.7:443" in out if rows == 2 else "203.0.113.7:443  " in out


def test_very_many_conversations_are_bounded():
    def packets():
        for number in range(MOST_CONVERSATIONS + 30):
            frame = tcp4(target=f"198.{number >> 14 & 63}.{number >> 7 & 127}.{number & 127}")
            yield Packet(number + 1, None, 1, frame, len(frame))

    talk = Conversations()
    talk.add(packets())
    assert (len(talk.found), talk.unlisted) == (MOST_CONVERSATIONS, 30)
    text = conversations_text(talk, "x", 80, 10)
    assert f"{MOST_CONVERSATIONS - 10} more conversations" in text
    assert "30 packets in further conversations" in text
