"""Finding things on a desktop: which way is asked first, and what is said when none helps."""

from types import SimpleNamespace

import pytest

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.events import Events, Noted
from tailstest.core.geometry import Point, Region
from tailstest.guest.accessibility.errors import NodeGone, NodeMissing, TreeUnavailable
from tailstest.guest.accessibility.node import Node
from tailstest.machine.desktop import Desktop


def node(role, name, place=(10, 20, 30, 40), *, sensitive=True):
    states = frozenset({"showing", "sensitive"} if sensitive else {"showing"})
    return Node("1", role, name, "", "", states, Region(*place) if place else None, ())


class Tree:
    """A tree with some nodes; `trouble` is raised instead."""

    def __init__(self, *nodes, trouble=None):
        self.nodes, self.trouble = nodes, trouble
        self.done = []

    def applications(self):
        if self.trouble:
            raise self.trouble
        return []

    def find_all(self, query):
        self.applications()
        return [each for each in self.nodes if each.name == query.name]

    def find(self, query):
        found = self.find_all(query)
        if not found:
            raise NodeMissing(f"no node {query.name}; there is: Stop")
        return found[0]

    def wait_for_one(self, query, state, _within):
        self.done.append(("wait", str(query), state))
        return self.nodes[0]

    def act(self, each):
        self.done.append(("act", each.name))

    def focus(self, each):
        self.done.append(("focus", each.name))

    def text(self, each):
        return each.text

    def wait_for(self, _query, state, _within):
        self.applications()
        self.waited_for = state
        return None if state == "gone" else self.nodes[0]


class Screen:
    """A screen that shows texts and pictures at places."""

    watches = ()

    def __init__(self, texts=None, pictures=None):
        self.texts, self.pictures = texts or {}, pictures or {}
        self.library = SimpleNamespace(names=list(self.pictures))

    def look_text(self, text, *, patient=True):
        place = self.texts.get(text)
        return SimpleNamespace(found=bool(place), place=place, explain=lambda: "“Halt” was read")

    def look(self, name):
        place = self.pictures[name]
        return SimpleNamespace(
            found=place is not None, click_points={"": place}, explain=lambda: "it is green now"
        )


def desktop(tree, screen=None, ways=("tree", "picture", "text"), patience=0.2):
    clicked, notes = [], []
    events = Events()
    events.subscribe(lambda event: notes.append(event.text) if isinstance(event, Noted) else None)
    machine = SimpleNamespace(
        screen=screen or Screen(),
        keyboard=SimpleNamespace(type=lambda text, **_how: None),
        pointer=SimpleNamespace(
            click=lambda point, **_how: clicked.append(point), park=lambda: None
        ),
        tester=SimpleNamespace(click_text=lambda text, **_how: clicked.append(text)),
        deadline_scale=1.0,
        default_deadline=patience,
    )
    return Desktop(tree, ways, machine=machine, events=events), clicked, notes


def test_the_tree_is_asked_first_and_the_report_says_so():
    screen = Screen(texts={"Start": Region(0, 0, 10, 10)}, pictures={"Start": Point(1, 1)})
    one, clicked, notes = desktop(Tree(node("push button", "Start")), screen)
    one.click("Start")
    assert clicked == [Point(25, 40)]
    assert notes == ["found “Start” by the accessibility tree"]
    one, clicked, notes = desktop(Tree(), screen)
    one.click("Start")
    assert clicked == [Point(1, 1)]
    one, clicked, notes = desktop(Tree(), screen, ways=("text", "tree"))
    one.click("Start")
    assert clicked == [Point(5, 5)]
    assert notes == ["found “Start” by reading the screen"]


def test_a_button_is_clicked_rather_than_a_label_of_the_same_name():
    label, button = node("label", "Save", (0, 0, 2, 2)), node("push button", "Save", (8, 8, 2, 2))
    one, clicked, _notes = desktop(Tree(label, button))
    one.click("Save")
    assert clicked == [Point(9, 9)]


def test_c45_two_of_the_same_name_are_told_apart_by_the_author_not_by_chance():
    twins = node("push button", "Close", (0, 0, 4, 4)), node("push button", "Close", (90, 0, 4, 4))
    one, clicked, _notes = desktop(Tree(*twins))
    with pytest.raises(UsageError, match=r"2 times: push button “Close” at .*\(90, 0\)"):
        one.click("Close")
    assert clicked == []
    one, clicked, _notes = desktop(Tree(twins[0], node("push button", "Close", sensitive=False)))
    one.click("Close")
    assert clicked == [Point(2, 2)]


def test_what_is_greyed_out_or_nowhere_is_not_clicked():
    for tree in (
        Tree(node("push button", "Start", sensitive=False)),
        Tree(node("push button", "Start", place=None)),
    ):
        one, clicked, _notes = desktop(tree, ways=("tree",))
        with pytest.raises(CheckFailed):
            one.click("Start")
        assert clicked == []


def test_when_nothing_helps_each_way_says_what_it_saw():
    one, _clicked, _notes = desktop(Tree())
    with pytest.raises(CheckFailed, match=r"(?s)there is: Stop.*“Halt” was read"):
        one.click("Start")


def test_a_picture_that_was_looked_for_in_vain_says_what_it_saw():
    one, _clicked, _notes = desktop(Tree(), Screen(pictures={"Start": None}))
    with pytest.raises(CheckFailed, match=r"(?s)by its reference image: it is green now.*“Halt”"):
        one.click("Start")


def test_a_session_without_accessibility_leaves_the_screen():
    tree = Tree(trouble=TreeUnavailable("no bus"))
    one, clicked, _notes = desktop(tree, Screen(texts={"Start": Region(0, 0, 10, 10)}))
    one.click("Start")
    assert clicked == [Point(5, 5)]


def test_an_image_without_a_known_desktop_is_read_only():
    one, clicked, _notes = desktop(None, ways=("text",))
    one.click("Start")
    assert clicked == ["Start"]
    with pytest.raises(UsageError, match="users"):
        one.wait_window("Welcome")


def test_a_node_whose_place_is_unknown_is_used_as_a_screen_reader_does_it():
    tree = Tree(node("push button", "Start", place=None))
    one, clicked, notes = desktop(tree)
    one.click_node("button", "Start", "Welcome")
    assert clicked == []
    assert tree.done == [
        ("wait", "button “Start” in the window “Welcome”", "sensitive"),
        ("act", "Start"),
    ]
    assert "does not know where" in notes[0]
    one.write("", "Start")
    assert clicked == []
    assert ("focus", "Start") in tree.done
    # By its name alone it is looked for on the screen, too; and if that fails, it is said why.
    one, clicked, _notes = desktop(tree)
    with pytest.raises(CheckFailed, match="does not know where on the screen it is"):
        one.click("Start")


def test_what_is_written_goes_into_the_field_of_the_window_that_is_named():
    tree = Tree(node("entry", "Name"))
    one, clicked, _notes = desktop(tree)
    one.write("", "Name", window="Save")
    assert clicked == [Point(25, 40)]
    asked = "field “Name” in the window “Save”"
    assert tree.done == [("wait", asked, "sensitive"), ("wait", asked, "focused")]


def test_an_empty_title_does_not_stand_for_any_window():
    one, _clicked, _notes = desktop(Tree(node("frame", "Files")))
    for wait in (one.wait_window, one.wait_window_active, one.wait_window_gone):
        with pytest.raises(UsageError, match="any window"):
            wait("")


def test_a_window_that_is_to_get_what_is_typed_must_be_the_active_one():
    tree = Tree(node("dialog", "Save As"))
    one, _clicked, _notes = desktop(tree)
    one.wait_window("Save As")
    assert tree.waited_for == "showing"
    one.wait_window_active("Save As")
    assert tree.waited_for == "active"


def with_states(*states):
    return Node("1", "check box", "Connect", "", "", frozenset(states), None, ())


@pytest.mark.parametrize(
    ("states", "checked"),
    [
        (("showing", "checked"), True),
        (("showing", "pressed"), True),  # a toggle button of GTK 4
        (("showing",), False),
        (("showing", "indeterminate"), None),
    ],
)
def test_whether_something_is_checked_is_waited_for(states, checked):
    one = desktop(Tree(with_states(*states)))[0]
    for wanted in (True, False):
        if checked is wanted:
            one.wait_checked("check box", "Connect", wanted=wanted)
        else:
            with pytest.raises(CheckFailed, match="checked"):
                one.wait_checked("check box", "Connect", wanted=wanted)


def test_only_of_what_can_be_checked_it_can_be_said():
    with pytest.raises(UsageError, match="a label is never checked"):
        desktop(Tree())[0].wait_checked("label", "Connect", wanted=False)


def test_a_number_is_waited_for_and_told_when_it_is_another_one():
    tree = Tree(node("slider", "Volume"))
    told = iter([10.0, NodeGone("built anew"), TreeUnavailable("busy"), 30.0])

    def value(_node):
        seen = next(told, 40.0)
        if isinstance(seen, Exception):
            raise seen
        return seen

    tree.value = value
    desktop(tree, patience=60)[0].wait_number("slider", "Volume", 40)
    with pytest.raises(CheckFailed, match="to show 41, seen: 40"):
        desktop(tree)[0].wait_number("slider", "Volume", 41)


def test_what_has_a_number_and_is_not_there_is_missed():
    tree = Tree()
    tree.value = None  # nobody asks for the number of nothing
    with pytest.raises(CheckFailed, match="there is: Stop"):
        desktop(tree)[0].wait_number("slider", "Volume", 41)
