"""When the accessibility helper may use what it was told before, and when it must ask anew."""

import pytest

from tailstest.guest.accessibility.tree_helper import (
    ATSPI,
    ENOUGH,
    ROLES,
    ROOT,
    SHOWING,
    Node,
    Tree,
    Wire,
    nodes_of,
    property_calls,
)

APP = (":1.7", ROOT)
BUTTON = ROLES.index("push button")


def node(name, place=1, states=SHOWING, interfaces=""):
    return Node((APP[0], f"/node/{place}"), place - 1, 0, name, BUTTON, "", states, interfaces)


class Bus:
    """A session with one application: how it was when it last told all, and how it is now."""

    def __init__(self, before, now, age=0.0, actions=()):
        self.before, self.now, self.age = before, now, age
        self.actions = list(actions)
        self.bulks, self.exchanges = 0, []
        self.programs, self.action_counts, self.titles = [], {}, {}

    def gather(self, calls):
        if calls:
            self.exchanges.append(len(calls))
        return [self._answer(*call) for call in calls]

    def _answer(self, ref, _interface, method, *values):
        if method == "GetChildren":
            return ([APP],)
        if ref == APP:
            return ("app",)
        here = {each.ref: each for each in self.now}
        if ref not in here:
            return ValueError("it is gone")
        return self._property(here[ref], method, *values)

    def _property(self, node, method, *values):
        if method == "GetName":
            there = self.actions[values[-1] : values[-1] + 1]
            return tuple(there) or ValueError("no such action")
        said = {
            "Name": node.name,
            "Description": node.description,
            "ChildCount": node.count,
            "GetRole": node.role,
            "GetState": [node.states & 0xFFFFFFFF, node.states >> 32],
            "GetInterfaces": [node.interfaces],
            "GetActions": [(f"translated {name}", "", "") for name in self.actions],
        }
        return (said[values[-1] if method == "Get" else method],)

    def one_by_one(self, refs):
        return nodes_of(refs, self.gather(property_calls(refs)))

    def hung_programs(self, _application):
        return []

    def unchanged(self, _application):
        return None if self.before is None else (self._told(self.before), self.age)

    def bulk(self, _application):
        self.bulks += 1
        return self._told(self.now)

    @staticmethod
    def _told(nodes):
        application = Node(APP, 0, len(nodes), "app", 0, "", 0)
        return {APP: list(nodes), (":1.0", ROOT): [application]}


def asked(bus, name, *, waiting=False, limit=1, skip=0):
    query = dict.fromkeys(("name_regex", "roles", "description", "label", "app", "window"))
    query |= {"names": [name], "showing_only": True, "window_roles": []}
    request = {"query": query, "limit": limit, "skip": skip, "waiting": waiting}
    return [each["name"] for each in found(bus, request)]


def found(bus, request):
    return Tree(bus).op_find(request)["nodes"]


def test_a_known_node_costs_two_waits_and_its_actions_are_those_of_now():
    able = node("Start", interfaces=f"'{ATSPI}Action'")
    bus = Bus([able], [able], actions=["click", "press"])
    query = dict.fromkeys(("name_regex", "roles", "description", "label", "app", "window"))
    query |= {"names": ["Start"], "showing_only": True, "window_roles": []}
    request = {"query": query, "limit": 1, "skip": 0, "waiting": False}
    waits = []
    for actions in (["click", "press"], ["click", "press"], ["activate", "press"], ["click"], []):
        bus.actions, bus.exchanges = actions, []
        (told,) = found(bus, request)
        assert told["actions"] == actions
        waits.append(len(bus.exchanges))
    # The first look asks for the name of the application; a new number of actions, for theirs.
    assert waits == [4, 2, 2, 3, 2]


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
