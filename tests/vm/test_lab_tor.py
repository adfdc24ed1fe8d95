"""The private Tor network of a lab, used by a real tor behind a wire; and its leaks, found."""

import contextlib
import shutil

import pytest
from tor_computer import Computer

from tailstest.core.errors import CheckFailed
from tailstest.core.paths import cache_folder
from tailstest.lab.network.keeper import LabKeeper
from tailstest.lab.network.tor_bridge import ADDRESS, HOST, PORT

pytestmark = pytest.mark.vm


def lab_with_tor(folder, stack):
    folder.mkdir()
    keeper = LabKeeper(folder, deadline_scale=5)
    stack.callback(keeper.end)
    keeper.network("full")
    keeper.start_tor()
    return keeper


def computer_with_lab(folder, stack):
    keeper = lab_with_tor(folder, stack)
    network = keeper.network("full")
    return Computer(keeper, network, folder / "guest", stack, keeper.tor.client_lines)


@pytest.mark.timeout(600)
def test_two_labs_with_tor_do_not_notice_each_other_and_the_one_look_up_is_found(tmp_path):
    with contextlib.ExitStack() as stack:
        first, second = (computer_with_lab(tmp_path / name, stack) for name in ("1", "2"))
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


@pytest.mark.skipif(shutil.which("obfs4proxy") is None, reason="obfs4proxy is not installed")
@pytest.mark.timeout(600)
def test_a_client_by_the_bridge_contacts_nobody_else_and_one_without_it_is_found(tmp_path):
    with contextlib.ExitStack() as stack:
        keeper = lab_with_tor(tmp_path / "lab", stack)
        tor = keeper.tor
        tor.start_bridge()
        networks = keeper.network("full"), keeper.lab.add_network("full")
        lines = tor.client_lines_by_bridge, tor.client_lines
        hidden, open_one = (
            Computer(keeper, network, tmp_path / network.bridge, stack, text)
            for network, text in zip(networks, lines, strict=True)
        )
        for each in (hidden, open_one):
            each.wait_fetched()
        only_bridge = [(HOST, "TCP", str(PORT))]
        hidden.checks.check_only_hosts(only_bridge)
        with pytest.raises(CheckFailed, match="others than these hosts") as error:
            open_one.checks.check_only_hosts(only_bridge)
        assert any(f"{each}:9001" in str(error.value) for each in tor.addresses)
        assert f"{ADDRESS}:" not in str(error.value)
        hidden.leak()
        with pytest.raises(CheckFailed, match=r"1 leaked, in 1 conversation"):
            hidden.checks.check_only_hosts(only_bridge)
        # Nobody can look up the bridge: authorities know the relays, and not it.
        known = descriptors(tor)
        assert all(f" {each} 9001 " in known for each in tor.addresses)
        assert ADDRESS not in known


def descriptors(tor):
    """Return what the authorities were told of relays, as text."""
    folders = [node.folder for node in tor.nodes if node.is_authority]
    files = [file for folder in folders for file in folder.glob("cached-descriptors*")]
    return "".join(file.read_text(errors="replace") for file in files)


@pytest.mark.timeout(600)
def test_relays_know_in_the_next_lab_what_they_knew_unless_that_is_damaged(tmp_path, monkeypatch):
    authorities = cache_folder() / "tor"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for keys in authorities.glob("198.51.100.*-*"):  # which take a minute to be made
        shutil.copytree(keys, cache_folder() / "tor" / keys.name)

    def fingerprint_in_a_new_lab(name):
        folder = tmp_path / name
        folder.mkdir()
        keeper = LabKeeper(folder, deadline_scale=5)
        try:
            keeper.network("full")
            relay = keeper.start_tor().nodes[-1]
            return (relay.folder / "fingerprint").read_text()
        finally:
            keeper.end()

    first = fingerprint_in_a_new_lab("1")
    assert fingerprint_in_a_new_lab("2") == first
    (kept,) = (cache_folder() / "tor").glob("network-*")
    (kept / "auth0" / "keys" / "authority_signing_key").write_text("nothing of the kind")
    third = fingerprint_in_a_new_lab("3")
    assert third != first
    assert fingerprint_in_a_new_lab("4") == third
