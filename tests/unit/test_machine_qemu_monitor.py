"""What QEMU's monitor may answer."""

import json
from types import SimpleNamespace

import pytest

from tailstest.core.errors import InfrastructureError
from tailstest.machine.monitor_input import MonitorInput
from tailstest.machine.network_card import NetworkCard
from tailstest.machine.open_ports import open_ports
from tailstest.machine.qemu_monitor import NotAnswered, QemuMonitor, Refused
from tailstest.machine.trays import is_ejected


class LibvirtError(Exception):
    def get_error_message(self):
        return str(self)


LIBVIRT = SimpleNamespace(libvirtError=LibvirtError)
NO = {"error": {"class": "GenericError", "desc": "Device 'x' not found\x1b[2J"}}


def monitor(answer, asked=None):
    """Return a monitor whose QEMU gives one answer, or whose libvirt raises it."""

    def command(_domain, text, flags):
        assert flags == 0
        if asked is not None:
            asked.append(json.loads(text))
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer)

    return QemuMonitor(LIBVIRT, SimpleNamespace(qemuMonitorCommand=command), None)


def test_a_command_goes_out_with_its_arguments_and_its_return_comes_back():
    asked = []
    assert monitor({"return": [{"a": 1}]}, asked).ask("query-x", name="y", up=False) == [{"a": 1}]
    assert asked == [{"execute": "query-x", "arguments": {"name": "y", "up": False}}]


def test_silence_and_refusal_are_told_apart_in_the_words_of_who_said_so():
    with pytest.raises(NotAnswered, match="domain is not running"):
        monitor(LibvirtError("domain is not running")).ask("query-x")
    with pytest.raises(Refused, match="Device 'x' not found") as refusal:
        monitor(NO).ask("query-x")
    assert "\x1b" not in refusal.value.message


def test_nobody_takes_a_refusal_for_an_answer():
    qemu = monitor(NO)
    card = object.__new__(NetworkCard)
    card.name, card.is_plugged, card.no_address_before = "laptop", True, 0.0
    card._clock = lambda: 1000.0
    sink = MonitorInput(LIBVIRT, None, qemu, lambda: (640, 480))
    for expected, do in (
        ("network cable of laptop cannot be moved", lambda: card.plug(qemu, plugged=False)),
        ("refused input", lambda: sink.set_button("left", True)),
        ("does not describe its media", lambda: is_ejected(qemu, "usb-disk1")),
        ("not found", lambda: open_ports(qemu, ["org.tailstest.agent.0"])),
    ):
        with pytest.raises(InfrastructureError, match=expected) as refusal:
            do()
        assert "not found" in refusal.value.message
    assert card.is_plugged
