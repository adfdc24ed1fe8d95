"""When the accessibility helper may use what it was told before, and when it must ask anew."""

import pytest

from tailstest.guest.accessibility.tree_helper import ENOUGH, ROLES, ROOT, SHOWING, Node, Tree, Wire

APP = (":1.7", ROOT)
BUTTON = ROLES.index("push button")


def node(name, place=1, states=SHOWING):
    return Node((APP[0], f"/node/{place}"), place - 1, 0, name, BUTTON, "", states)


class Bus:
    """A session with one application: how it was when it last told all, and how it is now."""

    def __init__(self, before, now, age=0.0):
        self.before, self.now, self.age = before, now, age
        self.bulks = 0

    def call(self, *_what):
        return [APP]

    def gather(self, calls):
        return [("app",) if call[-1] == "Name" else ([],) for call in calls]

    def unchanged(self, _application):
        return None if self.before is None else (self._told(self.before), self.age)

    def bulk(self, _application):
        self.bulks += 1
        return self._told(self.now)

    def one_by_one(self, refs):
        return [each for each in self.now if each.ref in refs]

    @staticmethod
    def _told(nodes):
        application = Node(APP, 0, len(nodes), "app", 0, "", 0)
        return {APP: list(nodes), (":1.0", ROOT): [application]}


def asked(bus, name, *, waiting=False, limit=1, skip=0):
    query = dict.fromkeys(("name_regex", "roles", "description", "label", "app"))
    query |= {"names": [name], "showing_only": True}
    request = {"query": query, "limit": limit, "skip": skip, "waiting": waiting}
    return [each["name"] for each in Tree(bus).op_find(request)["nodes"]]


def test_what_is_still_the_same_is_not_asked_for_in_bulk():
    bus = Bus([node("Start")], [node("Start")])
    assert asked(bus, "Start") == ["Start"]
    assert bus.bulks == 0


@pytest.mark.parametrize(
    "now",
    [[], [node("Stop")], [node("Start", states=0)], [node("Other"), node("Start", 2)]],
    ids=["gone", "renamed", "hidden", "moved"],
)
def test_what_has_changed_without_a_word_is_asked_for_anew(now):
    bus = Bus([node("Start")], now)
    expected = ["Start"] if len(now) == 2 else []
    assert asked(bus, "Start") == expected
    assert bus.bulks == 1


def test_that_something_is_missing_is_not_said_from_memory():
    bus = Bus([], [node("Start")])
    assert asked(bus, "Start") == ["Start"]
    assert bus.bulks == 1


@pytest.mark.parametrize(("age", "bulks"), [(ENOUGH / 2, 0), (ENOUGH * 2, 1)])
def test_who_waits_is_told_from_a_young_memory_that_it_is_not_there_yet(age, bulks):
    bus = Bus([], [], age)
    assert asked(bus, "Start", waiting=True) == []
    assert bus.bulks == bulks


@pytest.mark.parametrize("which", [{"limit": 2}, {"skip": 1}])
def test_who_wants_more_than_the_first_gets_it_anew(which):
    bus = Bus([node("Start")], [node("Start"), node("Start", 2)])
    assert asked(bus, "Start", **which) == ["Start", "Start"][which.get("skip", 0) :]
    assert bus.bulks == 1


def test_whoever_told_of_a_change_is_remembered_and_the_number_is_bounded(monkeypatch):
    monkeypatch.setattr("tailstest.guest.accessibility.tree_helper.MAX_HEARD", 2)
    wire = object.__new__(Wire)
    wire.heard, wire.buffer = set(), bytearray()
    for number in range(3):
        name = f":1.{number}".encode()
        fields = b"\x07\x01s\0" + len(name).to_bytes(4, "little") + name + b"\0"
        head = b"l\x04\0\x01" + bytes(8) + len(fields).to_bytes(4, "little") + fields
        wire.buffer += head + bytes(-len(head) % 8)
        assert wire._next()[0] == 0
    assert wire.heard == {":1.0", ":1.1"}
