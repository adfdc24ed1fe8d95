"""The desktop as a tester uses it: windows, buttons and fields by their names.

Names are looked for in the accessibility tree first: it knows what a thing is, whether it can be
pressed and where it stands, in any theme and font. Where it does not help, the screen is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.events import Events, Noted
from tailstest.core.geometry import Point
from tailstest.core.text import printable, shortened
from tailstest.guest.accessibility.errors import NodeGone, NodeMissing, TreeUnavailable
from tailstest.guest.accessibility.node import Node
from tailstest.guest.accessibility.query import Query
from tailstest.guest.accessibility.tree import REST, AccessibilityTree, ambiguous
from tailstest.guest.errors import GuestRefused
from tailstest.machine.inside import BOOT_LIMIT
from tailstest.machine.machine import Machine

#: Ways of finding what a step names.
Way = Literal["tree", "picture", "text"]

#: Kinds of nodes that a person clicks, the likeliest first; anything else comes after them.
_CLICKED = (
    *("push button", "toggle button", "menu item", "check menu item", "radio menu item", "menu"),
    *("check box", "radio button", "page tab", "link", "combo box", "list item", "table cell"),
    *("icon", "entry", "text", "password text"),
)

#: Seconds for which a field may take what was typed into it, before scaling.
_ARRIVAL = 10.0


#: What can be checked, as steps call it.
_CHECKABLE = ("check box", "toggle button", "radio button", "menu item")


class Desktop:
    """Finds and uses what stands on the desktop of one machine.

    Args:
        tree: of whoever has a session; None if the image has no desktop that is known.
        ways: how to find a name, in this order.
        machine: whose desktop it is.
        events: told which way found what.
        start_limit: seconds until somebody has a session, before scaling.
    """

    def __init__(
        self,
        tree: AccessibilityTree | None,
        ways: Sequence[Way],
        *,
        machine: Machine,
        events: Events,
        start_limit: float = BOOT_LIMIT,
    ) -> None:
        self._the_tree = tree
        self._start_limit = start_limit
        self._ways = ways
        self._screen = machine.screen
        self._keyboard = machine.keyboard
        self._pointer = machine.pointer
        self._tester = machine.tester
        self._events = events
        self._scale = machine.deadline_scale
        self._default = machine.default_deadline

    def click(self, name: str, *, button: str = "left", count: int = 1) -> None:
        """Wait for a name, click what bears it, park the pointer.

        It is looked for in each way of the profile in turn; the report says which one found it.

        Raises:
            CheckFailed: no way found it; lists what each one saw instead.
            UsageError: several things of this name are there; lists them.
        """
        if list(self._ways) == ["text"]:
            self._tester.click_text(name, button=button, count=count)
            return
        deadline = Deadline.after(self._default, scale=self._scale)
        found = poll(lambda: self._find(name), deadline, rest=REST, watches=self._screen.watches)
        if found is None:
            raise CheckFailed(self._explain(name, deadline))
        way, point = found
        self._events.publish(Noted(text=f"found “{shortened(name, 80)}” by {way}"))
        self._pointer.click(point, button=button, count=count)
        self._pointer.park()

    def wait_window(self, title: str) -> None:
        """Wait until a window with this title, or a part of it, is open.

        Raises:
            CheckFailed: it is not; lists the windows that are.
        """
        self._wait(self._window(title), "showing")

    def wait_window_active(self, title: str) -> None:
        """Wait until a window with this title, or a part of it, gets what is typed.

        A window is on the screen before the window manager gives it the keyboard; what is typed
        in between goes to another window.

        Raises:
            CheckFailed: there is no such window, or another one has the keyboard; says which.
        """
        self._wait(self._window(title), "active")

    def wait_window_gone(self, title: str) -> None:
        """Wait until no window has this title, or a part of it.

        Raises:
            CheckFailed: there is one, or a program that does not answer may have it; names it.
        """
        self._wait(self._window(title), "gone")

    def wait_node(
        self, role: str, name: str, *, window: str | None = None, within: float | None = None
    ) -> Node:
        """Wait until something of a kind and name is on the desktop.

        Args:
            role: "button", "entry", "menu item", ..., or AT-SPI's own names.
            window: title of the window that it is in, or a part of the title.
            within: seconds on a host of normal speed; None is the default of the run.

        Raises:
            UsageError: there is no such kind.
            CheckFailed: it is not there; lists what is.
        """
        return self._wait(_query(role, name, window), "showing", within)

    def wait_node_gone(self, role: str, name: str) -> None:
        """Wait until nothing of a kind and name is on the desktop.

        Raises:
            CheckFailed: it is there, or a program that does not answer may have it; names it.
        """
        self._wait(_query(role, name), "gone")

    def wait_sensitive(self, role: str, name: str, *, wanted: bool) -> None:
        """Wait until something can be used, or is greyed out.

        Raises:
            CheckFailed: it is not so; says how it is.
        """
        self._wait(_query(role, name), "sensitive" if wanted else "insensitive")

    def wait_checked(self, role: str, name: str, *, wanted: bool) -> None:
        """Wait until a check box, a toggle or radio button, or a menu item is checked, or not.

        Raises:
            CheckFailed: it is not so; says how it is.
            UsageError: such a thing is never checked.
        """
        if role not in _CHECKABLE:
            raise UsageError(
                f"a {role} is never checked",
                hint=f"this can be said of: {', '.join(_CHECKABLE)}",
            )
        query = _query(role, name)

        def look() -> bool | None:
            node = self._tree.find(query)
            # A toggle button is pressed for one toolkit (GTK 4) and checked for another.
            states = node.states & {"checked", "pressed"}
            is_sure = "indeterminate" not in node.states
            return True if is_sure and bool(states) is wanted else None

        self._await(look, lambda: f"{query} {'to be' if wanted else 'not to be'} checked")

    def wait_number(self, role: str, name: str, number: float) -> None:
        """Wait until a slider, a progress bar or a spin button shows a number.

        Raises:
            CheckFailed: it is not there, or shows another one; says which.
        """
        query, seen = _query(role, name), math.nan

        def look() -> bool | None:
            nonlocal seen
            seen = self._tree.value(self._tree.find(query))
            return True if math.isclose(seen, number, rel_tol=1e-6, abs_tol=1e-9) else None

        self._await(look, lambda: f"{query} to show {number:g}, seen: {seen:g}")

    def _await(self, look: Callable[[], bool | None], wanted: Callable[[], str]) -> None:
        """Look until it is so; what is not there, or does not answer, may be another time."""
        self._await_session()
        trouble = ""

        def try_it() -> bool | None:
            nonlocal trouble
            try:
                return look()
            except (NodeMissing, NodeGone, TreeUnavailable, GuestRefused) as error:
                trouble = f"\n{error.message}"
                return None

        deadline = Deadline.after(self._default, scale=self._scale)
        if poll(try_it, deadline, rest=REST, watches=self._screen.watches) is None:
            raise CheckFailed(f"waited {deadline.elapsed:.0f} s for {wanted()}{trouble}")

    def click_node(self, role: str, name: str, window: str | None = None) -> None:
        """Wait until something of a kind and name can be used, click it, park the pointer.

        Where programs do not know the place of what they show (Wayland), the action of the node is
        used instead, as a screen reader does it; the report says so.

        Args:
            window: title of the window that it is in, or a part of the title.

        Raises:
            CheckFailed: it is not there or greyed out; lists what is there.
            UsageError: there are several that can be used; lists them.
        """
        node = self._wait_one(_query(role, name, window))
        if node.place is None:
            self._tree.act(node)
            self._events.publish(Noted(text=f"clicked {node} by its action: {_PLACELESS}"))
            return
        self._pointer.click(node.place.centre)
        self._pointer.park()

    def choose(self, item: str, where: str, window: str | None = None) -> None:
        """Choose an item of a drop-down list or a list, by name.

        Args:
            window: title of the window that the list is in, or a part of the title.

        Raises:
            CheckFailed: there is no such list or item; lists what is there.
            UsageError: there are several such lists; lists them.
        """
        node = self._wait_one(_query("combo box", where, window))
        self._tree.select(node, item)

    def write(
        self, text: str, field: str, *, window: str | None = None, secret: bool = False
    ) -> None:
        """Click into a field, type, and see that all of it arrived.

        Args:
            field: name of the field, or the label beside it.
            window: title of the window that it is in, or a part of the title.
            secret: what is typed appears in no report, and is not read back.

        Raises:
            CheckFailed: there is no such field, or it holds something else afterwards.
            UsageError: there are several such fields; lists them.
        """
        query = _query("field", field, window)
        node = self._wait_one(query)
        tree = self._tree
        if node.place is None:
            tree.focus(node)
            self._events.publish(Noted(text=f"gave {node} the keyboard: {_PLACELESS}"))
        else:
            self._pointer.click(node.place.centre)
            self._pointer.park()
        taken = tree.wait_for_one(query, "focused", _ARRIVAL)
        self._keyboard.type(text, secret=secret)
        if not secret and node.role != "password text":
            self._await_text(query, lambda: tree.text(taken), text)

    def check_text(self, field: str, text: str) -> None:
        """Wait until a field holds exactly this text.

        Raises:
            CheckFailed: it holds something else; quotes it.
        """
        self._check_text(_query("text", field), text)

    def check_text_of(self, application: str, text: str) -> None:
        """Wait until the first text area of an application holds exactly this text.

        Raises:
            CheckFailed: it holds something else; quotes it.
        """
        self._check_text(Query(role="entry", app=application), text)

    def _check_text(self, query: Query, text: str) -> None:
        tree = self._tree
        self._await_text(query, lambda: tree.text(tree.find(query)), text)

    def _await_text(self, query: Query, read: Callable[[], str], text: str) -> None:
        seen: list[str] = []

        def look() -> bool | None:
            with suppress(NodeMissing, NodeGone):
                seen[:] = [read()]
                return True if seen[0] == text else None
            return None

        deadline = Deadline.after(_ARRIVAL, scale=self._scale)
        if poll(look, deadline, rest=REST, watches=self._screen.watches) is None:
            shown = f"“{shortened(printable(seen[0]), 500)}”" if seen else "no such field"
            raise CheckFailed(f"expected “{text}” in {query}, seen: {shown}")

    def dump(self, app: str | None = None) -> str:
        """Return the tree of the present session as text, for people.

        Args:
            app: only this application.
        """
        return self._tree.dump(app)

    def _wait(self, query: Query, state: str, within: float | None = None) -> Node:
        self._await_session()
        seconds = self._default if within is None else within
        node = self._tree.wait_for(query, state, seconds)
        return node if node is not None else _NOTHING

    def _wait_one(self, query: Query) -> Node:
        self._await_session()
        return self._tree.wait_for_one(query, "sensitive", self._default)

    def _await_session(self) -> None:
        # The system may still be starting; afterwards there is a session to look into.
        tree = self._tree
        deadline = Deadline.after(self._start_limit, scale=self._scale)
        poll(
            lambda: _has_session(tree),
            deadline,
            interval=0.3,
            rest=REST,
            watches=self._screen.watches,
        )

    @property
    def _tree(self) -> AccessibilityTree:
        if self._the_tree is None:
            raise UsageError(
                "nobody knows who has a desktop in this image",
                hint='name the users in its profile: [desktop] users = ["..."]',
            )
        return self._the_tree

    @staticmethod
    def _window(title: str) -> Query:
        if not title:
            raise UsageError(
                "a window without a title could be any window",
                hint="is a cell of the examples empty? Write a part of the title",
            )
        return Query(role="window", name_regex=re.escape(title))

    def _find(self, name: str) -> tuple[str, Point] | None:
        for way in self._ways:
            point = self._seekers[way](name)
            if point is not None:
                return _WAY_NAMES[way], point
        return None

    @property
    def _seekers(self) -> dict[Way, Callable[[str], Point | None]]:
        return {"tree": self._in_tree, "picture": self._in_pictures, "text": self._in_text}

    def _in_tree(self, name: str) -> Point | None:
        with suppress(GuestRefused, TreeUnavailable):
            nodes = self._tree.find_all(Query(name=name))
            usable = [node for node in nodes if node.sensitive and node.place]
            place = _likeliest(name, usable).place if usable else None
            if place is not None:
                return place.centre
        return None

    def _in_pictures(self, name: str) -> Point | None:
        if name not in self._screen.library.names:
            return None
        look = self._screen.look(name)
        return look.click_points.get("") if look.found else None

    def _in_text(self, name: str) -> Point | None:
        look = self._screen.look_text(name, patient=False)
        return look.place.centre if look.found and look.place else None

    def _explain(self, name: str, deadline: Deadline) -> str:
        lines = [f"waited {deadline.elapsed:.0f} s for “{name}”, to click it:"]
        if "tree" in self._ways:
            try:
                node = self._tree.find(Query(name=name))
                lack = _PLACELESS if node.sensitive else "it is greyed out"
                lines.append(f"  in the accessibility tree {node} is there, but {lack}")
            except CheckFailed as error:
                lines.append(f"  by the accessibility tree: {error.message}")
        if "picture" in self._ways and name in self._screen.library.names:
            lines.append(f"  by its reference image: {self._screen.look(name).explain()}")
        if "text" in self._ways:
            look = self._screen.look_text(name)
            lines.append(f"  by reading the screen: {look.explain()}")
        return "\n".join(lines)


_WAY_NAMES: dict[Way, str] = {
    "tree": "the accessibility tree",
    "picture": "its reference image",
    "text": "reading the screen",
}

#: Why something was not clicked with the pointer.
_PLACELESS = "its program does not know where on the screen it is"

#: What a wait for something to be gone returns; nobody looks at it.
_NOTHING = Node("", "nothing", "", "", None, frozenset(), None, ())


def _has_session(tree: AccessibilityTree) -> bool | None:
    try:
        tree.applications()
    except (GuestRefused, TreeUnavailable):
        return None
    return True


def _query(role: str, name: str, window: str | None = None) -> Query:
    return Query(role=role, name=name, window=window)


def _likeliest(name: str, nodes: Sequence[Node]) -> Node:
    """Return the node that a person would click.

    Raises:
        UsageError: several are just as likely, at different places; lists them.
    """
    best = min(map(_rank, nodes))
    likely = {node.place: node for node in nodes if _rank(node) == best}
    if len(likely) > 1:
        raise ambiguous(f"“{name}”", list(likely.values()))
    return next(iter(likely.values()))


def _rank(node: Node) -> int:
    return _CLICKED.index(node.role) if node.role in _CLICKED else len(_CLICKED)
