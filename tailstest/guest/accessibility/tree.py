"""The programs of one user's session in the guest, as assistive technology sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Literal, Self, TypeVar, overload

from tailstest.core.deadline import Deadline, Watch, poll
from tailstest.core.errors import UsageError
from tailstest.core.text import printable
from tailstest.guest.accessibility.dump import dump_text
from tailstest.guest.accessibility.errors import (
    NodeGone,
    NodeMissing,
    NodeRefused,
    TreeUnavailable,
)
from tailstest.guest.accessibility.found import Found
from tailstest.guest.accessibility.helper import Helper
from tailstest.guest.accessibility.keeper import HelperKeeper
from tailstest.guest.accessibility.near import explain_missing
from tailstest.guest.accessibility.node import Node
from tailstest.guest.accessibility.node_state import NodeState
from tailstest.guest.accessibility.query import Query, quoted
from tailstest.guest.accessibility.told import Told
from tailstest.guest.accessibility.tree_helper import MAX_NAME, MAX_TEXT, MAX_VISITED
from tailstest.guest.channel import GuestChannel
from tailstest.guest.errors import GuestRefused

T = TypeVar("T")

#: Nodes that one look returns at most.
MAX_FOUND = 1000
#: Nodes of which one is to be chosen that a look returns at most.
_MAX_TWINS = 20
#: Seconds for which several must fit to be an ambiguity: while one window closes and the next one
#: opens, both have their button for a moment.
_TWINS_LAST = 3.0

#: Seconds between two looks of a wait; and a look keeps the guest's processor busy, so that what
#: it waits for comes later the more often it is looked for.
_INTERVAL, REST = 0.1, 1.0

_NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})


class AccessibilityTree:
    """Finds and operates buttons, fields and windows by their names; never by pictures.

    A helper is started in the session when something is asked for the first time, and again when
    it is gone: the guest was rebooted, or the user logged out and in. Safe for several threads.

    Args:
        user: whose session, or several users of whom one has a session at a time: the one of the
            welcome screen, then the one of the desktop. Who stands first is asked for first.
        deadline_scale: how much slower than usual this host is (>= 1); stretches every limit.
        default_deadline: seconds that a wait lasts unless said otherwise.
        watches: called while waiting; one that raises ends the wait (the machine has stopped).
        environment: added to the helper's environment.

    Raises (every method that asks the guest):
        TreeUnavailable: a CheckFailed; the session has no accessibility bus.
        ImageLacksTree: a SetupError; the image has no python3-gi.
        TreeHelperFailed: an InfrastructureError; the helper does not answer, or nonsense.
        GuestRefused: a CheckFailed; there is no such user, or no session.
        GuestUnreachable: an InfrastructureError; the guest's agent does not answer.
    """

    def __init__(
        self,
        channel: GuestChannel,
        *,
        user: str | Sequence[str],
        deadline_scale: float = 1.0,
        default_deadline: float = 30.0,
        watches: Sequence[Watch] = (),
        environment: Mapping[str, str] = _NO_ENVIRONMENT,
    ) -> None:
        self._scale = deadline_scale
        self._default = default_deadline
        self._watches = watches
        self._keeper = HelperKeeper(
            partial(
                Helper.start_for_first,
                channel,
                (user,) if isinstance(user, str) else tuple(user),
                scale=deadline_scale,
                watches=watches,
                environment=environment,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the helper; a later question starts a new one."""
        self._keeper.close()

    # Looking: answers from what is there now, and never waits.

    def applications(self) -> list[str]:
        """Return the names of the applications that offer their trees."""
        return self._look("applications").texts(1000, MAX_NAME)

    def find(self, query: Query) -> Node:
        """Return the node that is meant.

        Raises:
            NodeMissing: a CheckFailed that names what is there instead.
        """
        found = self._found(query, 1, skip=query.index)
        if found.first is None:
            raise NodeMissing(self._explain(query))
        return found.first

    def find_all(self, query: Query, limit: int = 100) -> list[Node]:
        """Return the nodes that fit, in the order of the tree, from number `index` on."""
        return list(self._found(query, min(limit, MAX_FOUND), skip=query.index).nodes)

    def exists(self, query: Query) -> bool:
        """Return whether a node fits.

        Raises:
            TreeUnavailable: nobody knows, because a program does not answer; names it.
        """
        found = self._found(query, 1, skip=query.index)
        if found.first is None and found.gap:
            raise _unknown(query, found, "now")
        return found.first is not None

    def refresh(self, node: Node) -> Node:
        """Return a node as it is now.

        Raises:
            NodeGone: it is not there any more.
        """
        return Node.read(self._on(node, "node", again=True))

    def dump(self, app: str | None = None, limit: int = 2000) -> str:
        """Return the tree for people: a line for each node, at most `limit` of them."""
        if not 0 < limit <= MAX_VISITED:
            raise UsageError(f"a dump has from 1 to {MAX_VISITED} lines, not {limit}")
        told = self._look("dump", {"app": app, "limit": limit})
        return dump_text(told, limit)

    # Waiting: one look, again and again.

    @overload
    def wait_for(
        self, query: Query, state: Literal["gone"], within: float | None = None
    ) -> None: ...
    @overload
    def wait_for(
        self,
        query: Query,
        state: Literal["present", "showing", "sensitive", "insensitive", "focused"] = "showing",
        within: float | None = None,
    ) -> Node: ...
    @overload
    def wait_for(
        self, query: Query, state: str = "showing", within: float | None = None
    ) -> Node | None: ...
    def wait_for(
        self, query: Query, state: str = "showing", within: float | None = None
    ) -> Node | None:
        """Wait until a node is in a state, and return it.

        A session that has not begun yet is waited for, too.

        Args:
            state: "present" (showing or not), "showing", "sensitive", "insensitive", "checked",
                "unchecked", any other state of AT-SPI, one with "not " before it, or "gone": no
                node fits, and every program has answered; then None is returned.
            within: seconds, before stretching.

        Raises:
            NodeMissing: it did not come to that in time; says what is there instead.
            TreeUnavailable: nobody knows whether it is gone, because a program does not answer;
                names it.
            UsageError: there is no such state.
        """
        wanted = NodeState.parse(state)
        if wanted.hidden_too:
            query = replace(query, showing_only=False)

        def judge(found: Found, seconds: float) -> tuple[Node | None] | None:
            if not wanted.holds(found.first):
                return None
            if found.first is None and found.gap:
                # A program that hangs may still have it on the screen.
                raise _unknown(query, found, f"after {seconds:.0f} seconds")
            return (found.first,)

        return self._wait(query, wanted, within, 1, judge)[0]

    def wait_for_one(self, query: Query, state: str, within: float | None = None) -> Node:
        """Wait until one node is in a state, and return it; one that is not does not count.

        Args:
            state: as in `wait_for`, but not "gone".
            within: seconds, before stretching.

        Raises:
            UsageError: several fit and are in that state, at different places; lists them.
            NodeMissing, TreeUnavailable, GuestRefused: as in `wait_for`.
        """
        wanted = NodeState.parse(state)
        patience: Deadline | None = None

        def judge(found: Found, _seconds: float) -> Node | None:
            nonlocal patience
            fit = {node.place or node.handle: node for node in found.nodes if wanted.holds(node)}
            if len(fit) < 2:
                patience = None
                return next(iter(fit.values()), None)
            patience = patience or Deadline.after(_TWINS_LAST, scale=self._scale)
            if patience.expired:
                raise ambiguous(str(query), list(fit.values()))
            return None

        return self._wait(query, wanted, within, _MAX_TWINS, judge)

    def _wait(
        self,
        query: Query,
        wanted: NodeState,
        within: float | None,
        most: int,
        judge: Callable[[Found, float], T | None],
    ) -> T:
        """Look until what was found will do.

        Args:
            most: how many nodes each look returns.
            judge: returns what the wait returns, or None to look again; also told how many seconds
                the wait lasts. TreeUnavailable is raised if it is still so in the end.
        """
        deadline = Deadline.after(self._default if within is None else within, scale=self._scale)
        last: Node | None = None
        trouble: GuestRefused | TreeUnavailable | None = None
        # Who waits for something will look again; "it is gone" is the last look.
        looks_again = wanted.name != "gone"

        def look() -> T | None:
            nonlocal last, trouble
            last, trouble = None, None
            try:
                found = self._found(query, most, skip=query.index, waiting=looks_again)
                last = found.first
                return judge(found, deadline.seconds)
            except (GuestRefused, TreeUnavailable) as error:
                trouble = error
                return None

        result = poll(look, deadline, interval=_INTERVAL, rest=REST, watches=self._watches)
        if result is not None:
            return result
        if trouble is not None:
            raise trouble
        raise NodeMissing(self._explain_wait(query, wanted, last, deadline.seconds))

    # Operating. What is greyed out or not showing is refused, as it would be to a person.

    def act(self, node: Node, action: str = "click") -> None:
        """Do an action of a node; "click" also stands for press, activate, jump and toggle.

        Raises:
            NodeGone: it is not there any more.
            NodeRefused: it is not showing or not sensitive, or has no such action.
        """
        self._done(node, f"do {action!r}", self._on(node, "act", action=action))

    def text(self, node: Node) -> str:
        """Return the text that a node holds now, at most 10,000 characters.

        Raises:
            NodeGone, NodeRefused: as in `act`; refused if it holds no text.
        """
        return self._on(node, "text", again=True).text(MAX_TEXT)

    def set_text(self, node: Node, text: str) -> None:
        """Replace the text of an entry.

        Raises:
            NodeGone, NodeRefused: as in `act`; refused if it cannot be edited.
        """
        self._done(node, "take the text", self._on(node, "set_text", text=text))

    def select(self, node: Node, child: str) -> None:
        """Select a child by its name, for example an item of a list or a drop-down list.

        Raises:
            NodeGone, NodeRefused: as in `act`; refused if it has no such child.
        """
        self._done(node, f"select {quoted(child)}", self._on(node, "select", child=child))

    def focus(self, node: Node) -> None:
        """Give a node the keyboard focus.

        Raises:
            NodeGone, NodeRefused: as in `act`.
        """
        self._done(node, "take the focus", self._on(node, "focus"))

    def value(self, node: Node) -> float:
        """Return the number that a slider, a progress bar or a spin button shows.

        Raises:
            NodeGone, NodeRefused: as in `act`; refused if it has none.
        """
        return self._on(node, "value", again=True).row(3)[0].number()

    # How.

    def _found(self, query: Query, limit: int, *, skip: int, waiting: bool = False) -> Found:
        asked = {"limit": limit, "skip": skip, "waiting": waiting}
        values = {"query": query.to_request(), **asked}
        return Found.read(self._look("find", values), limit)

    def _look(self, op: str, values: Mapping[str, object] = MappingProxyType({})) -> Told:
        return self._keeper.ask(op, values, again=True)

    def _on(self, node: Node, op: str, *, again: bool = False, **values: object) -> Told:
        """Ask something about a node; the error of the answer names it."""
        try:
            return self._keeper.ask(op, {"handle": node.handle, **values}, again=again)
        except NodeGone:
            raise NodeGone(
                f"{node} is not there any more",
                hint="Look for it again after what changed the window.",
            ) from None
        except NodeRefused as error:
            raise NodeRefused(f"{node}: {error.message}") from None

    @staticmethod
    def _done(node: Node, what: str, told: Told) -> None:
        if not told.flag():
            raise NodeRefused(f"{node} would not {printable(what)}")

    def _explain(self, query: Query) -> str:
        return explain_missing(query, self._look("near", {"query": query.to_request()}))

    def _explain_wait(
        self, query: Query, wanted: NodeState, last: Node | None, seconds: float
    ) -> str:
        after = f"after {seconds:.0f} seconds"
        if last is not None:
            return f"{last} is {wanted.lack} {after} (looked for: {query})"
        return f"{after}: {self._explain(query)}"


def ambiguous(what: str, nodes: Sequence[Node]) -> UsageError:
    """Return the error of a step that could mean each of several nodes.

    Args:
        what: what it names.
    """
    places = ", ".join(
        f"{node} at ({node.place.x}, {node.place.y})" if node.place else f"{node} somewhere"
        for node in nodes
    )
    return UsageError(
        f"{what} is on the desktop {len(nodes)} times: {places}",
        hint='name the window that it is in: When in the window "TITLE" I click ...; '
        "or close what is not meant",
    )


def _unknown(query: Query, found: Found, when: str) -> TreeUnavailable:
    return TreeUnavailable(
        f"no {query} was found {when}, but {found.gap}",
        hint="Look at the screen in the report: what hangs keeps its windows there."
        if found.silent
        else "",
    )
