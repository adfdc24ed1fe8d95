"""The network card of a machine: its arguments, its captures, and what it does without a lab."""

import json
from types import SimpleNamespace

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.lab.network.quality import Quality
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.network_card import NetworkCard


@pytest.fixture
def make(tmp_path):
    """Return a function that makes a card, and the list of warnings that it gave."""
    warnings = []

    def card(network, *, why_not="", limit=10_000, **parts):
        return NetworkCard(
            "one",
            MachineDefinition(network=network, **parts),
            tmp_path,
            tmp_path / "one.pcap",
            SimpleNamespace(why_not=why_not),
            limit=limit,
            warn=warnings.append,
        )

    card.warnings = warnings
    return card


def values_of(card):
    words = card.arguments
    return {
        option: json.loads(value) for option, value in zip(words[::2], words[1::2], strict=True)
    }


@pytest.mark.parametrize("kind", ["isolated", "lab"])
def test_a_card_of_the_lab_connects_to_its_wire_and_cannot_start_from_the_network(make, kind):
    card = make(kind, mac="52:54:00:00:00:07")
    values = values_of(card)
    assert values["-netdev"]["addr"]["path"].endswith("/network")
    assert values["-device"]["romfile"] == ""
    assert values["-device"]["mac"] == "52:54:00:00:00:07"
    assert "-object" not in values
    assert make.warnings == []


def test_without_a_lab_it_is_restricted_recorded_and_says_so(make):
    for card in (make("user"), make("lab", why_not="namespaces are forbidden")):
        values = values_of(card)
        assert values["-netdev"]["restrict"] is True
        assert values["-object"]["file"].endswith("one.pcap")
        assert values["-object"]["maxlen"] >= 65_536
    (warning,) = make.warnings
    assert "namespaces are forbidden" in warning
    with pytest.raises(UsageError, match="no network of the lab"):
        card.shape(Quality(loss=0.5))


def test_each_start_of_qemu_gets_a_capture_and_keeps_those_before(make):
    card = make("user")
    for text in ("first", "second"):
        card.get_ready()
        card.capture.write_text(text)
    card.get_ready()
    assert [path.read_text() for path in card.captures] == ["first", "second"]


def test_a_capture_of_qemu_that_is_full_is_an_error(make):
    card = make("user", limit=4)
    card.check()
    card.capture.write_text("12345")
    with pytest.raises(InfrastructureError, match="is full"):
        card.check()


@pytest.mark.parametrize("mac", ["52:54:00:12:34", "53:54:00:12:34:56", "5254.0012.3456", ""])
def test_a_wrong_mac_address_is_refused(mac):
    with pytest.raises(ValueError, match="mac"):
        MachineDefinition(mac=mac)
