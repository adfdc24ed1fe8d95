"""The network card of a machine: its arguments, its captures, and what it does without a lab."""

import json
from types import SimpleNamespace

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.lab.network.quality import Quality
from tailstest.machine import network_card
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.machine import Machine
from tailstest.machine.network_card import NetworkCard


@pytest.fixture
def make(tmp_path):
    """Return a function that makes a card, and the list of warnings that it gave."""
    warnings = []

    def card(network, *, why_not="", limit=10_000, clock=lambda: 0.0, **parts):
        return NetworkCard(
            "one",
            MachineDefinition(network=network, **parts),
            tmp_path,
            tmp_path / "one.pcap",
            SimpleNamespace(why_not=why_not),
            limit=limit,
            warn=warnings.append,
            clock=clock,
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


def test_a_machine_that_runs_on_has_sent_all_that_it_had_sent_before(make, tmp_path):
    def started(card, text):
        card.get_ready()
        card.capture.write_text(text)

    def saved_and_woken(card, name):
        rest = tmp_path / name
        rest.mkdir()
        card.rest(rest)
        again = make("user")
        again.capture = tmp_path / f"{name}.pcap"
        again.resume(rest, plugged=False)
        assert not again.is_plugged
        return again

    card = make("user")
    texts = [f"start {number}" for number in range(12)]
    for text in texts:
        started(card, text)
    card = saved_and_woken(card, "once")
    assert [path.read_text() for path in card.captures] == texts
    started(card, "woken")
    card = saved_and_woken(card, "twice")
    started(card, "woken twice")
    assert [path.read_text() for path in card.captures] == [*texts, "woken", "woken twice"]


def test_a_machine_that_has_sent_nothing_runs_on_without_a_capture(make, tmp_path):
    card, rest = make("lab"), tmp_path / "rest"
    rest.mkdir()
    card.rest(rest)
    card.resume(rest, plugged=True)
    assert card.captures == list(rest.iterdir()) == []


def test_a_capture_of_the_lab_goes_on_where_it_ended(make, tmp_path):
    card, rest = make("lab"), tmp_path / "rest"
    card.capture.write_text("before")
    rest.mkdir()
    card.rest(rest)
    card.capture.unlink()
    card.resume(rest, plugged=True)
    assert card.captures == [card.capture]
    assert card.capture.read_text() == "before"


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


class Time:
    """A clock that goes on when somebody waits."""

    def __init__(self, now):
        self.now = now
        self.waited = []

    def __call__(self):
        return self.now

    def pause(self, seconds):
        self.waited.append(seconds)
        self.now += seconds


@pytest.fixture
def time(monkeypatch):
    clock = Time(1000.2)
    links = []
    monkeypatch.setattr(network_card, "pause", clock.pause)
    clock.links = links
    clock.monitor = SimpleNamespace(ask=lambda _command, name, up: links.append(up))
    return clock


def machine_with(card, monitor=None):
    """Return a machine that is nothing but its switches."""
    nothing = SimpleNamespace(
        forget=lambda: None,
        on=lambda **_: None,
        reset=lambda: None,
        wake=lambda *_: None,
        hold=lambda: None,
        note_restart=lambda: None,
    )
    machine = object.__new__(Machine)
    machine._card, machine._monitor, machine.xml = card, monitor, ""
    machine._port = machine._power = machine._memory = machine.serial = nothing
    return machine


def test_a_machine_that_starts_anew_has_no_address_of_before(make, time):
    card = make("user", clock=time)
    machine = machine_with(card)
    assert card.no_address_before == 0
    for begin in (machine.power_on, machine.reset, machine._restarted):
        time.now += 60
        begin()
        assert card.no_address_before == time.now
    machine_with(None)._restarted()


def test_a_machine_runs_on_until_its_system_is_started_anew(make, time):
    machine = machine_with(make("user", clock=time), time.monitor)
    for begin in (machine.power_on, machine.reset, machine._restarted):
        machine.wake("memory")
        assert machine.runs_on
        begin()
        assert not machine.runs_on


def test_a_machine_that_runs_on_is_in_a_new_lab_where_every_address_is_new(make, time):
    card = make("user", clock=time)
    machine_with(card, time.monitor).wake("memory")
    assert card.no_address_before == 0
    assert time.links == [False, True]
    assert card.is_plugged


def test_without_its_cable_a_machine_has_no_address(make, time):
    card = make("user", clock=time)
    card.plug(time.monitor, plugged=True)
    assert card.no_address_before == 0
    card.plug(time.monitor, plugged=False)
    time.now += 60
    card.plug(time.monitor, plugged=False)
    card.plug(time.monitor, plugged=True)
    assert card.no_address_before == 1000.2
    assert time.waited == []


def test_an_address_that_is_given_at_once_is_of_a_later_second_than_one_of_before(make, time):
    """The lab's server writes down whole seconds."""
    card = make("user", clock=time)
    card.plug(time.monitor, plugged=False)
    card.plug(time.monitor, plugged=True)
    assert len(time.waited) == 1
    assert 1001 < time.now < 1001.2
    assert time.links == [False, True]
    card.plug(time.monitor, plugged=False)
    time.now = 5.0  # the host's clock was set back
    card.plug(time.monitor, plugged=True)
    assert time.waited[1:] == [pytest.approx(1, abs=0.2)]


class Wired:
    """A lab with wires to machines, and what these have sent from."""

    why_not = ""

    def __init__(self, **senders):
        self.cards = {}
        wires = {name: SimpleNamespace(senders=each) for name, each in senders.items()}
        self.lab = SimpleNamespace(neighbours=[], wires=lambda: wires, attach=lambda *_, **__: None)

    def network(self, kind):
        return SimpleNamespace(mac="02:00:00:00:00:01", kind=kind)


ONE, TWO, SPOOFED = "52:54:00:00:00:01", "52:54:00:00:00:02", "02:11:11:11:11:11"


def two_cards(tmp_path, **senders):
    labs, cards = Wired(**senders), []
    for name, mac in (("one", ONE), ("two", TWO)):
        card = NetworkCard(
            name,
            MachineDefinition(network="isolated", mac=mac),
            tmp_path,
            tmp_path / f"{name}.pcap",
            labs,
            limit=10_000,
            warn=pytest.fail,
        )
        card.get_ready()
        cards.append(card)
    return cards


def test_the_others_of_a_network_are_its_router_and_what_machines_sent_from(tmp_path):
    one, two = two_cards(tmp_path, one=(ONE,), two=(TWO, SPOOFED))
    assert one.other_macs == ("02:00:00:00:00:01", TWO, SPOOFED)
    assert two.other_macs == ("02:00:00:00:00:01", ONE)


def test_who_sends_from_the_address_of_another_machine_does_not_make_it_his_own(tmp_path):
    one, two = two_cards(tmp_path, one=(ONE, TWO), two=(TWO, ONE))
    assert TWO in one.other_macs
    assert ONE in two.other_macs
    assert ONE not in one.other_macs
    assert TWO not in two.other_macs
