"""Real labs, without a machine: namespaces, servers, wires, and that nothing gets out or stays."""

import itertools
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from lab_guest import BROADCAST, LONG, Guest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

import tailstest
from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.network.addressing import given_out, leases_file
from tailstest.lab.network.keeper import LabKeeper
from tailstest.lab.network.lab import Lab
from tailstest.lab.network.plan import TIME
from tailstest.lab.network.quality import Quality

pytestmark = pytest.mark.vm

NTP_REQUEST = b"\x1b" + bytes(47)
#: Seconds from 1900 to 1970.
EPOCH = 2_208_988_800


@pytest.fixture
def plugged(tmp_path):
    """Return a function that plugs a guest into a network of a lab."""
    guests = []

    def plug(lab, network, name="one", *, limit=1_000_000, **more):
        path = tmp_path / f"{name}-{len(guests)}"
        lab.attach(name, network, socket=path, capture=tmp_path / f"{name}.pcapng", limit=limit)
        guests.append(Guest(path, network, **more))
        return guests[-1]

    yield plug
    for guest in guests:
        guest.close()


def asked_in(path):
    """Return how many questions for a MAC address (ARP) are in a capture."""
    return sum(
        each.data[12:14] == b"\x08\x06" and each.data[20:22] == b"\0\1"
        for each in CaptureFile(path)
    )


def family_of(lab):
    return psutil.Process(lab.pid).children(recursive=True)


def test_a_machine_is_answered_and_every_packet_is_kept(keeper, plugged, tmp_path):
    network = keeper.network("full")
    guest = plugged(keeper.lab, network)
    before = time.time_ns()
    assert guest.arp_answered() == bytes.fromhex(network.mac.replace(":", ""))
    packets = list(CaptureFile(tmp_path / "one.pcapng"))
    arp = [packet for packet in packets if packet.data[12:14] == b"\x08\x06"]
    assert len(arp) == 2
    assert before < arp[0].time < arp[1].time < time.time_ns()
    state = keeper.lab.wires()["one"]
    assert (state.sent, state.connected, state.trouble) == (1, True, "")


def dhcp(guest, kind, *options):
    """Send a question of DHCP; return the first answer to it."""
    question = (
        Ether(src=guest.mac, dst=BROADCAST)
        / IP(src="0.0.0.0", dst="255.255.255.255")
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=guest.mac, xid=7, flags=0x8000)
        / DHCP(options=[("message-type", kind), *options, "end"])
    )
    guest.send(bytes(question))
    return next(
        answer
        for frame in guest.frames(LONG)
        if DHCP in (answer := Ether(frame)) and answer[BOOTP].xid == 7
    )


@pytest.mark.parametrize("kind", ["full", "isolated"])
def test_an_address_is_given_out_when_a_machine_has_asked_and_not_before(keeper, plugged, kind):
    network = keeper.network(kind)
    folder = keeper.lab.folder
    guest = plugged(keeper.lab, network)
    # What dnsmasq writes down at its start is about nobody.
    assert poll(lambda: leases_file(network, folder).exists() or None, Deadline.after(10, scale=3))
    assert given_out(network, folder) == []
    offered = dhcp(guest, "discover")[BOOTP].yiaddr
    assert given_out(network, folder) == []
    router = ("server_id", network.gateway)
    assert dhcp(guest, "request", ("requested_addr", offered), router)[BOOTP].yiaddr == offered
    assert poll(lambda: given_out(network, folder) or None, Deadline.after(10, scale=3)) == [
        offered
    ]


def test_a_machine_that_connects_again_goes_on_in_the_same_capture(keeper, plugged, tmp_path):
    network = keeper.network("isolated")
    guest = plugged(keeper.lab, network)
    assert guest.arp_answered()
    guest.close()
    again = Guest(tmp_path / "one-0", network)
    assert again.arp_answered()
    again.close()
    assert asked_in(tmp_path / "one.pcapng") == 2


def test_two_labs_do_not_notice_each_other(keeper, plugged, tmp_path):
    other = LabKeeper(tmp_path, deadline_scale=3)
    try:
        for lab, name in ((keeper, "here"), (other, "there")):
            assert plugged(lab.lab, lab.network("isolated"), name).arp_answered()
        for name in ("here", "there"):
            assert asked_in(tmp_path / f"{name}.pcapng") == 1
    finally:
        other.end()
    assert plugged(keeper.lab, keeper.network("isolated"), "here").arp_answered()


def test_machines_on_one_network_meet_and_those_on_another_do_not(keeper, plugged):
    lab = keeper.lab
    first, second = lab.add_network("isolated"), lab.add_network("isolated")
    macs = [bytes.fromhex(f"525400aa000{number}") for number in range(3)]
    one = plugged(lab, first, "one", mac=macs[0])
    two = plugged(lab, first, "two", last=101, mac=macs[1])
    three = plugged(lab, second, "three", mac=macs[2])
    one.ask_arp()
    assert any(frame[6:12] == macs[0] for frame in two.frames(LONG))
    assert not any(frame[6:12] == macs[0] for frame in three.frames(1))


def test_the_clock_can_be_wrong_and_a_blocked_port_is_silent(keeper, plugged):
    network = keeper.network("full")
    keeper.internet.set_clock(86_400)
    guest = plugged(keeper.lab, network)
    answer = guest.asked_udp(TIME, 123, NTP_REQUEST)
    told = struct.unpack("!I", answer[40:44])[0] - EPOCH
    assert 86_000 < told - time.time() < 87_000
    keeper.lab.block(network, "udp", 123)
    assert guest.asked_udp(TIME, 123, NTP_REQUEST, seconds=2) is None
    assert guest.arp_answered()


def test_an_isolated_network_reaches_nothing_but_its_router(keeper, plugged):
    keeper.network("full")
    guest = plugged(keeper.lab, keeper.network("isolated"))
    assert guest.asked_udp(TIME, 123, NTP_REQUEST, seconds=2) is None
    question = bytes.fromhex("1234010000010000000000000364656602637a0000010001")
    answer = guest.asked_udp(keeper.network("isolated").gateway, 53, question)
    assert answer[:2] == question[:2]
    assert answer[3] & 15 == 3  # there is no such name
    full = plugged(keeper.lab, keeper.network("full"), "full")
    assert full.asked_udp(TIME, 123, NTP_REQUEST)


def test_a_wire_can_be_slow_and_lossy_and_good_again(keeper, plugged):
    network = keeper.network("isolated")
    guest = plugged(keeper.lab, network)
    keeper.lab.shape("one", Quality(loss=0.5, delay=0.2))
    began = time.monotonic()
    for _ in range(40):
        guest.ask_arp()
    answers = [time.monotonic() for frame in guest.frames(2) if frame[20:22] == b"\0\2"]
    assert 2 <= len(answers) <= 25  # a quarter of them, there and back
    assert answers[0] - began > 0.4
    keeper.lab.shape("one", Quality())
    list(guest.frames(1))  # late answers
    for _ in range(40):
        guest.ask_arp()
    answers = (frame for frame in guest.frames(LONG) if frame[20:22] == b"\0\2")
    assert sum(1 for _ in itertools.islice(answers, 40)) == 40


def test_a_full_capture_stops_the_wire_and_says_so(keeper, plugged, tmp_path):
    guest = plugged(keeper.lab, keeper.network("isolated"), limit=4096)
    for _ in range(200):
        guest.ask_arp()
    with pytest.raises(InfrastructureError, match=r"wire one: the capture is full \(4096 bytes\)"):
        poll(keeper.lab.check, Deadline.after(5))
    assert (tmp_path / "one.pcapng").stat().st_size <= 4096
    assert list(CaptureFile(tmp_path / "one.pcapng"))


def test_a_server_that_dies_is_named_and_is_no_trouble_of_the_image(keeper):
    keeper.network("isolated")
    for process in family_of(keeper.lab):
        if process.name() == "dnsmasq":
            process.kill()
    with pytest.raises(InfrastructureError, match=r"server dnsmasq-1 died \(signal 9\)"):
        poll(keeper.lab.check, Deadline.after(5))


def test_a_server_that_does_not_start_is_named_with_its_last_words(keeper):
    command = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with pytest.raises(InfrastructureError, match=r"server news ended.*no such thing"):
        keeper.lab.start("news", command, "ready", 10)
    keeper.lab.check()


def test_a_killed_run_leaves_nothing(tmp_path):
    script = (
        "import sys, signal; from pathlib import Path\n"
        "from tailstest.lab.network.keeper import LabKeeper\n"
        "keeper = LabKeeper(Path(sys.argv[1]), deadline_scale=3)\n"
        "keeper.network('full'); print(keeper.lab.pid, flush=True); signal.pause()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lab = psutil.Process(int(run.stdout.readline()))
    family = [lab, *lab.children(recursive=True)]
    assert len(family) >= 5
    run.send_signal(signal.SIGKILL)
    run.wait()
    _gone, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []


def test_where_namespaces_are_not_allowed_it_says_so(tmp_path):
    script = (
        "from pathlib import Path; import sys\n"
        "from tailstest.lab.network.lab import Lab\n"
        "try: Lab(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    # A limit for this namespace and all below; nothing else on the host notices.
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh"]
    command += [sys.executable, "-c", script, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.startswith(SetupError.__name__)
    assert "not allowed to this user" in said


def test_closing_twice_is_harmless(tmp_path):
    lab = Lab(tmp_path, deadline_scale=3)
    lab.close()
    lab.close()
    with pytest.raises(InfrastructureError):
        lab.ask("state")


@pytest.mark.skipif(os.geteuid() != 0, reason="everything here is done by an ordinary user anyway")
def test_an_ordinary_user_can_have_one_too():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        code = str(Path(tailstest.__file__).parents[1])
        nobody += ["env", "-i", "PATH=/usr/bin:/bin", f"HOME={folder}", f"PYTHONPATH={code}"]
        if subprocess.run(
            [*nobody, sys.executable, "-c", "import tailstest"], check=False
        ).returncode:
            pytest.skip("nobody else may read this installation")
        script = (
            "import sys; from pathlib import Path\n"
            "from tailstest.lab.network.keeper import LabKeeper\n"
            "keeper = LabKeeper(Path(sys.argv[1]), deadline_scale=3)\n"
            "keeper.network('full'); print(sorted(keeper.lab.services())); keeper.end()"
        )
        command = [*nobody, sys.executable, "-c", script, folder]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said == "['clock', 'dnsmasq-1', 'web']\n"
