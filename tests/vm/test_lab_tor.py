"""The private Tor network of a lab, used by a real tor behind a wire; and its leaks, found."""

import contextlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tailstest.core.errors import CheckFailed
from tailstest.core.events import Events
from tailstest.lab.network.keeper import LabKeeper
from tailstest.suite.scenario_network import ScenarioNetwork

pytestmark = pytest.mark.vm

TOR_GUEST = Path(__file__).with_name("tor_guest.py")


class Computer:
    """A computer with a tor of its own in a lab of its own."""

    def __init__(self, folder, stack):
        folder.mkdir()
        self.keeper = LabKeeper(folder, deadline_scale=5)
        stack.callback(self.keeper.end)
        network = self.keeper.network("full")
        tor = self.keeper.start_tor()
        capture, wire, data = folder / "guest.pcap", folder / "wire", folder / "client"
        self.keeper.lab.attach("guest", network, socket=wire, capture=capture, limit=50_000_000)
        data.mkdir(mode=0o700)
        torrc = folder / "torrc"
        torrc.write_text(f"{tor.client_lines}DataDirectory {data}\nSocksPort 9050\n")
        command = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork"]
        command += ["--kill-child", "--mount-proc", sys.executable, str(TOR_GUEST)]
        self._run = subprocess.Popen(
            [*command, str(wire), network.gateway, str(torrc)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(self._run.wait)
        stack.callback(self._run.kill)
        card = SimpleNamespace(
            mac="00:1b:63:aa:bb:cc",
            gateway=network.gateway,
            router_addresses=[network.gateway, network.gateway6, network.link_local],
            other_macs=[network.mac],
            captures=[capture],
            check=self.keeper.check,
        )
        machine = SimpleNamespace(name="guest", card=card)
        self.checks = ScenarioNetwork(lambda: machine, lambda: self.keeper, Events()).traffic

    def wait_fetched(self):
        """Wait until a page came through Tor, and check that nothing went beside it."""
        assert self._run.stdout.readline() == "fetched\n"
        self.checks.check_only_tor()
        self.checks.check_real_mac()
        assert self.keeper.lab.wires()["guest"].sent > 20

    def leak(self):
        """Look up one name beside Tor."""
        self._run.stdin.write("leak\n")
        self._run.stdin.flush()
        assert int(self._run.stdout.readline()) > 12


@pytest.mark.timeout(600)
def test_two_labs_with_tor_do_not_notice_each_other_and_the_one_look_up_is_found(tmp_path):
    with contextlib.ExitStack() as stack:
        first, second = Computer(tmp_path / "1", stack), Computer(tmp_path / "2", stack)
        for each in (first, second):
            each.wait_fetched()
        first.leak()
        with pytest.raises(CheckFailed, match=r"1 leaked, in 1 conversation") as error:
            first.checks.check_only_tor()
        assert "def.cz" in str(error.value)
        second.checks.check_only_tor()
        # What ends in one goes on in the other.
        first.keeper.end()
        second.keeper.check()
        second.leak()
        with pytest.raises(CheckFailed, match=r"1 leaked, in 1 conversation"):
            second.checks.check_only_tor()
