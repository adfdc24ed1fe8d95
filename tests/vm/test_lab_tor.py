"""The private Tor network of a lab, used by a real tor behind a wire; and its leaks, found."""

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


@pytest.mark.timeout(300)
def test_a_tor_behind_a_wire_uses_the_network_and_one_look_up_beside_it_is_found(tmp_path):
    keeper = LabKeeper(tmp_path, deadline_scale=5)
    run = None
    try:
        network = keeper.network("full")
        tor = keeper.start_tor()
        capture = tmp_path / "guest.pcap"
        wire = tmp_path / "wire"
        keeper.lab.attach("guest", network, socket=wire, capture=capture, limit=50_000_000)
        data = tmp_path / "client"
        data.mkdir(mode=0o700)
        torrc = tmp_path / "torrc"
        torrc.write_text(f"{tor.client_lines}DataDirectory {data}\nSocksPort 9050\n")
        command = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork"]
        command += ["--kill-child", "--mount-proc", sys.executable, str(TOR_GUEST)]
        run = subprocess.Popen(
            [*command, str(wire), network.gateway, str(torrc)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert run.stdout.readline() == "fetched\n"
        card = SimpleNamespace(
            mac="00:1b:63:aa:bb:cc",
            gateway=network.gateway,
            router_addresses=[network.gateway, network.gateway6, network.link_local],
            other_macs=[network.mac],
            captures=[capture],
            check=keeper.check,
        )
        machine = SimpleNamespace(name="guest", card=card)
        checks = ScenarioNetwork(lambda: machine, lambda: keeper, Events())
        checks.check_only_tor()
        checks.check_real_mac()
        assert keeper.lab.wires()["guest"].sent > 20
        run.stdin.write("leak\n")
        run.stdin.flush()
        assert int(run.stdout.readline()) > 12
        with pytest.raises(CheckFailed, match=r"1 leaked, in 1 conversation") as error:
            checks.check_only_tor()
        assert "def.cz" in str(error.value)
    finally:
        if run is not None:
            run.kill()
            run.wait()
        keeper.end()
