"""The bridge of a lab's Tor network: what is written for it, its keys, and a host without it."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tailstest.core.errors import InfrastructureError, SetupError, UsageError
from tailstest.lab.network import programs
from tailstest.lab.network.tor import TorNetwork
from tailstest.lab.network.tor_bridge import TorBridge
from tailstest.lab.network.tor_keys import BridgeKeys, bridge_keys

OBFS4 = shutil.which("obfs4proxy")
needs_obfs4 = pytest.mark.skipif(OBFS4 is None, reason="obfs4proxy is not installed")
FINGERPRINT = "0123456789" * 4


@pytest.fixture
def bridge():
    return TorBridge(BridgeKeys(Path("/keys"), FINGERPRINT, "cert=abc+/0 iat-mode=0"))


@pytest.fixture
def network(tmp_path):
    return TorNetwork(SimpleNamespace(folder=tmp_path), deadline_scale=1)


def keys_in(cache):
    return bridge_keys(cache, "198.51.100.31", OBFS4, deadline_scale=5)


def test_a_client_is_told_of_the_bridge_and_of_no_other_way(bridge):
    assert bridge.client_lines == (
        "UseBridges 1\n"
        "ClientTransportPlugin obfs4 exec /usr/bin/obfs4proxy\n"
        f"Bridge obfs4 198.51.100.31:4443 {FINGERPRINT} cert=abc+/0 iat-mode=0\n"
    )


def test_the_bridge_tells_no_authority_of_itself_and_listens_where_clients_are_sent(bridge):
    lines = bridge.server_lines("/opt/obfs4proxy").splitlines()
    assert "BridgeRelay 1" in lines
    assert "PublishServerDescriptor 0" in lines
    assert "ServerTransportPlugin obfs4 exec /opt/obfs4proxy" in lines
    assert "ServerTransportListenAddr obfs4 198.51.100.31:4443" in lines


def test_without_obfs4proxy_the_bridge_says_what_to_install_and_the_rest_stays(
    network, tmp_path, monkeypatch
):
    monkeypatch.setattr(programs, "PROGRAM_FOLDERS", str(tmp_path / "empty"))
    with pytest.raises(SetupError, match="needs obfs4proxy, which is not installed") as error:
        network.start_bridge()
    assert error.value.hint == "install Debian's package obfs4proxy"
    assert not network.has_bridge
    assert network.client_lines == "TestingTorNetwork 1\n"


def test_a_bridge_that_was_not_asked_for_is_a_mistake_of_the_scenario(network):
    for wanted in ("bridge", "client_lines_by_bridge"):
        with pytest.raises(UsageError, match="has no bridge") as error:
            getattr(network, wanted)
        assert "an obfs4 bridge" in error.value.hint


@needs_obfs4
def test_the_bridge_of_all_labs_is_the_same_until_its_keys_are_damaged(tmp_path):
    first = keys_in(tmp_path)
    assert keys_in(tmp_path) == first
    assert first.arguments.startswith("cert=")
    assert first.arguments.endswith(" iat-mode=0")
    (first.folder / "pt_state" / "obfs4_bridgeline.txt").write_text("Bridge obfs4 nonsense\n")
    with pytest.raises(InfrastructureError, match="were damaged"):
        keys_in(tmp_path)
    second = keys_in(tmp_path)
    assert second.arguments != first.arguments
    assert second.fingerprint != first.fingerprint


def test_an_obfs4proxy_that_makes_no_keys_is_told_and_leaves_nothing(tmp_path):
    with pytest.raises(InfrastructureError, match="/bin/false makes no keys"):
        bridge_keys(tmp_path, "198.51.100.31", "/bin/false", deadline_scale=5)
    assert list(tmp_path.iterdir()) == []
