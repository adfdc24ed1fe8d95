"""A computer with a real tor of its own, on a wire of a lab; and what steps check of it."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from tailstest.core.events import Events
from tailstest.media.image_file import Digests
from tailstest.suite.scenario_network import ScenarioNetwork
from tailstest.suite.suite_files import SuiteFiles

TOR_GUEST = Path(__file__).with_name("tor_guest.py")


class Computer:
    """A computer of a lab with a Tor network, the only one on its network.

    Args:
        keeper: of the lab.
        network: of the lab.
        folder: new, for its data and its capture.
        stack: ends it.
        lines: configuration of its tor.
    """

    def __init__(self, keeper, network, folder, stack, lines):
        folder.mkdir()
        self.keeper = keeper
        self._name = f"guest{network.number}"
        capture, wire, data = folder / "guest.pcapng", folder / "wire", folder / "client"
        keeper.lab.attach(self._name, network, socket=wire, capture=capture, limit=50_000_000)
        data.mkdir(mode=0o700)
        torrc = folder / "torrc"
        torrc.write_text(f"{lines}DataDirectory {data}\nSocksPort 9050\n")
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
            neighbour_addresses=[],
            captures=[capture],
            check=keeper.check,
        )
        machine = SimpleNamespace(name=self._name, card=card)
        files = SuiteFiles(folder, Digests())
        network_of = ScenarioNetwork(lambda: machine, lambda: keeper, Events(), files=files)
        self.checks = network_of.traffic

    def wait_fetched(self):
        """Wait until a page came through Tor, and check that nothing went beside it."""
        assert self._run.stdout.readline() == "fetched\n"
        self.checks.check_only_tor()
        self.checks.check_real_mac()
        assert self.keeper.lab.wires()[self._name].sent > 20

    def leak(self):
        """Look up one name beside Tor."""
        self._run.stdin.write("leak\n")
        self._run.stdin.flush()
        assert int(self._run.stdout.readline()) > 12
