"""Which programs of a session hang, and which have only ended: their windows are gone."""

import socket
import struct
from types import SimpleNamespace

import pytest

from tailstest.guest.accessibility.tree_helper import (
    ATSPI,
    DAEMON,
    ERROR,
    METHOD_RETURN,
    ROOT,
    Bus,
    Tree,
    Trouble,
    Wire,
)

LIVELY, OTHER = ":1.7", ":1.8"


class GError(Exception):
    """Stands for GLib.Error."""

    def __init__(self, code, message=""):
        super().__init__(message)
        self.code, self.message = code, message

    @staticmethod
    def new_literal(_domain, message, code):
        return GError(code, message)

    def matches(self, _domain, code):
        return self.code == code


GIO = SimpleNamespace(
    io_error_quark=lambda: "io",
    IOErrorEnum=SimpleNamespace(TIMED_OUT="timed out"),
    dbus_is_name=lambda name: name.startswith((":", "org.")),
)


class Body(tuple):
    """Stands for the body of an answer, as bytes and as a GLib.Variant."""

    __slots__ = ()

    def unpack(self):
        return tuple(self)

    def print_(self, _types):
        return ""


class Wires:
    """Answers calls from functions by name on the bus; None is silence."""

    def __init__(self, programs):
        self.programs, self.heard = programs, set()

    def exchange(self, calls, _seconds):
        return [self._answer(ref, method) for ref, _, method, _ in calls]

    def _answer(self, ref, method):
        if ref[0] == f"{ATSPI}Registry":
            told = ([(name, ROOT) for name in self.programs],)
        elif ref == DAEMON:
            told = (0,)  # no process has this number
        else:
            told = self.programs[ref[0]](method)
        if told is None:
            return None
        if isinstance(told, Exception):
            return bytes([0, ERROR]), told
        return bytes([0, METHOD_RETURN]), Body(told)

    @staticmethod
    def values(received):
        if isinstance(received[1], Exception):
            raise received[1]
        return received[1]


def answering(name):
    """Return an application without a window."""
    said = {"Get": (name,), "GetChildren": ([],), "GetItems": ([],)}
    return lambda method: said.get(method, GError("no such method"))


def bus_of(**programs):
    bus = object.__new__(Bus)
    names = dict(zip((LIVELY, OTHER), programs.values(), strict=False))
    bus.gio, bus.glib, bus.wire = GIO, SimpleNamespace(Error=GError, Variant=_variant), Wires(names)
    bus.kept, bus.silent, bus.programs, bus.action_counts = {}, set(), [], {}
    bus.greeted, bus.listens, bus.unanswered, bus.titles = set(), False, {}, {}
    bus.give(4.0)
    return bus


def _variant(kinds, values):
    return kinds, values


def problems(bus, app=None):
    query = dict.fromkeys(("name_regex", "roles", "description", "label", "window"))
    query |= {"names": ["Start"], "showing_only": True, "window_roles": [], "app": app}
    bus.give(4.0)
    found = Tree(bus).op_find({"query": query, "limit": 1, "skip": 0, "waiting": False})
    assert found["nodes"] == []
    return found["problems"]


def test_a_program_that_does_not_even_tell_its_name_is_told():
    bus = bus_of(lively=answering("panel"), hung=lambda _method: None)
    assert problems(bus) == [OTHER]  # nobody knows more of it
    assert OTHER in bus.silent


def test_a_program_that_begins_to_hang_is_told_by_the_name_it_had():
    bus = bus_of(lively=answering("panel"), other=answering("Files"))
    assert problems(bus) == []
    bus.wire.programs[OTHER] = lambda _method: None
    assert problems(bus) == ["Files"]
    bus.wire.programs[OTHER] = answering("Files")
    assert problems(bus) == []


@pytest.mark.parametrize("method", ["GetItems", "GetChildren"])
def test_a_program_that_hangs_in_the_middle_is_told(method):
    whole = answering("Files")
    bus = bus_of(hung=lambda asked: None if asked == method else whole(asked))
    assert problems(bus) == ["Files"]


def test_a_program_that_has_ended_is_not_one_that_hangs():
    bus = bus_of(lively=answering("panel"), ended=lambda _method: GError("NoReply"))
    assert problems(bus) == []
    whole = answering("Files")
    bus = bus_of(ended=lambda asked: whole(asked) if asked == "Get" else GError("ServiceUnknown"))
    assert problems(bus) == []


def test_who_asks_for_one_application_is_not_told_of_others_that_hang():
    bus = bus_of(lively=answering("panel"), other=answering("Files"))
    problems(bus)
    bus.wire.programs[OTHER] = lambda _method: None
    assert problems(bus, "panel") == []
    assert problems(bus, "Files") == ["Files"]
    bus.titles.clear()
    assert problems(bus, "panel") == [OTHER]  # it may be a second panel


def test_the_process_of_a_program_without_a_name_is_named(tmp_path):
    bus = bus_of(hung=lambda _method: None)
    bus.call = lambda *_call: "self"
    with open("/proc/self/comm") as file:  # noqa: PTH123
        assert problems(bus) == [file.read().strip()]

    def slow(*_call):
        raise Trouble("slow", "")

    bus.call = slow
    assert problems(bus) == [LIVELY]


class Message:
    """A call as Gio writes it; nobody reads it here."""

    def __init__(self, *_address):
        self.new_method_call = Message

    def set_serial(self, serial):
        pass

    def to_blob(self, _flags):
        return b""


def message(kind, *fields):
    """Return a message without a body that answers call number 1."""
    serial = b"\x05\x01u\0" + struct.pack("=I", 1)
    strings = b"".join(
        b"".join(
            (
                bytes([code]) + b"\x01s\0" + struct.pack("=I", len(text)) + text.encode() + b"\0",
                bytes(-(9 + len(text)) % 8),
            )
        )
        for code, text in fields
    )
    whole = serial + strings
    head = b"l" + bytes([kind, 0, 1]) + struct.pack("=III", 0, 9, len(whole)) + whole
    return head + bytes(-len(head) % 8)


@pytest.mark.parametrize(
    ("kind", "sender", "error", "counts"),
    [
        (METHOD_RETURN, LIVELY, "", True),
        (ERROR, LIVELY, "org.freedesktop.DBus.Error.UnknownMethod", True),
        (ERROR, DAEMON[0], "org.freedesktop.DBus.Error.NoReply", True),
        (ERROR, DAEMON[0], "org.freedesktop.DBus.Error.ServiceUnknown", True),
        (ERROR, DAEMON[0], "org.freedesktop.DBus.Error.LimitsExceeded", False),
        (ERROR, OTHER, "org.freedesktop.DBus.Error.NoReply", False),
        (METHOD_RETURN, OTHER, "", False),
        (METHOD_RETURN, DAEMON[0], "", False),
    ],
)
def test_the_bus_answers_for_a_program_that_has_ended_and_nobody_else_does(
    kind, sender, error, counts
):
    ours, its = socket.socketpair()
    wire = object.__new__(Wire)
    wire.serial, wire.buffer, wire.closed, wire.heard = 0, bytearray(), False, set()
    wire.gio, wire.plain, wire.socket = SimpleNamespace(**vars(GIO), DBusMessage=Message()), 0, ours
    with ours, its:
        its.sendall(message(kind, *([(4, error)] if error else []), (7, sender)))
        (answer,) = wire.exchange([((LIVELY, ROOT), "x.y", "Z", None)], [0.1])
    assert (answer is not None) is counts
