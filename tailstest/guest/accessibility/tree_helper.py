#!/usr/bin/python3
"""Looks into the accessibility tree of the session that it runs in, for a host that asks.

A single file that imports nothing of tailstest; needs Python 3.9 and python3-gi in the guest.

One JSON object a line, requests on standard input, answers on standard output. The first line is
`{"hello": "tailstest-tree", "version": 1, ...}`, or an error. A request holds "id", "op" and
"within" (seconds); its answer holds the same "id", and "result" or "error" (a code, a message).

It speaks AT-SPI's D-Bus interfaces itself. A bulk request (org.a11y.atspi.Cache.GetItems) returns
a whole application as it is at this moment, in one round trip; asking for each property of each
node, as libatspi does outside of its own main loop, takes ten times as long. What an application
leaves out of its bulk answer (Qt: everything; GTK 3: the cells of tables) is asked for one by one.

An answer is never about an older tree. Who looks for one node may find it in the last bulk answer
of an application that has told of no change since; then this node alone is asked for anew, and if
it is not what it was, everything is. That nothing fits is said after asking anew only; whoever
waits, and will look again, is content with a bulk answer of less than a second ago.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import select
import socket
import struct
import sys
import time
from typing import Any

VERSION = 2

#: Limits of what is sent to the host, in characters and nodes.
MAX_NAME = 1000
MAX_TEXT = 10_000
MAX_VISITED = 20_000
MAX_ACTIONS = 20

#: Seconds for which a bulk answer is new enough for saying, to somebody who waits, that there is no
#: such node. Not every program tells of every change.
ENOUGH = 1.0

#: What programs shall tell of, and how many of them we listen to.
CHANGES = (
    "object:children-changed",
    "object:property-change:accessible-name",
    "object:property-change:accessible-description",
    "object:state-changed",
)
MAX_HEARD = 10_000

#: Bulk answers above this many bytes, and of more programs than this, are not kept.
MAX_KEPT_BYTES = 1 << 20
MAX_KEPT = 50
#: Nodes of which it is remembered how many actions they have.
MAX_COUNTED = 1000

#: Names of roles and states by their AT-SPI number, from at-spi2-core 2.46. In use are these and
#: not what GetRoleName says, because that has changed between versions ("push button").
ROLES = tuple(
    """invalid,accelerator label,alert,animation,arrow,calendar,canvas,check box,check menu item,
color chooser,column header,combo box,date editor,desktop icon,desktop frame,dial,dialog,
directory pane,drawing area,file chooser,filler,focus traversable,font chooser,frame,glass pane,
html container,icon,image,internal frame,label,layered pane,list,list item,menu,menu bar,menu item,
option pane,page tab,page tab list,panel,password text,popup menu,progress bar,push button,
radio button,radio menu item,root pane,row header,scroll bar,scroll pane,separator,slider,
spin button,split pane,status bar,table,table cell,table column header,table row header,
tearoff menu item,terminal,text,toggle button,tool bar,tool tip,tree,tree table,unknown,viewport,
window,extended,header,footer,paragraph,ruler,application,autocomplete,editbar,embedded,entry,
chart,caption,document frame,heading,page,section,redundant object,form,link,input method window,
table row,tree item,document spreadsheet,document presentation,document text,document web,
document email,comment,list box,grouping,image map,notification,info bar,level bar,title bar,
block quote,audio,video,definition,article,landmark,log,marquee,math,rating,timer,static,
math fraction,math root,subscript,superscript,description list,description term,description value,
footnote,content deletion,content insertion,mark,suggestion,push button menu""".replace(
        "\n", ""
    ).split(",")
)
STATES = tuple(
    """invalid,active,armed,busy,checked,collapsed,defunct,editable,enabled,expandable,expanded,
focusable,focused,has tooltip,horizontal,iconified,modal,multi line,multiselectable,opaque,pressed,
resizable,selectable,selected,sensitive,showing,single line,stale,transient,vertical,visible,
manages descendants,indeterminate,required,truncated,animated,invalid entry,
supports autocompletion,selectable text,is default,visited,checkable,has popup,
read only""".replace("\n", "").split(",")
)
SHOWING = 1 << STATES.index("showing")
APPLICATION = ROLES.index("application")
LABEL_FOR, LABELLED_BY = 1, 2
METHOD_RETURN, ERROR, SIGNAL = 2, 3, 4

ATSPI = "org.a11y.atspi."
ACCESSIBLE = f"{ATSPI}Accessible"
PROPERTIES = "org.freedesktop.DBus.Properties"
#: How any node is asked for its name.
_NAME = (PROPERTIES, "Get", "ss", ACCESSIBLE, "Name")
ROOT = "/org/a11y/atspi/accessible/root"
NOTHING = "/org/a11y/atspi/null"

_TEXT = r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
#: One node of a bulk answer as GVariant prints it; unpacking it by PyGObject takes twice as long.
_ITEM = re.compile(
    r"\(\('([^']*)', '([^']*)'\), \('[^']*', '[^']*'\), \('([^']*)', '([^']*)'\), "
    rf"(-?\d+), (-?\d+), \[([^\]]*)\], {_TEXT}, (\d+), {_TEXT}, \[(\d+), (\d+)\]\)",
    re.DOTALL,
)

#: The fields of a message's head that say which call it answers, and who sent it.
_SERIAL = re.compile(rb"\x05\x01u\0(.{4})", re.DOTALL)
_SENDER = re.compile(rb"\x07\x01s\0.{4}([^\0]*)\0", re.DOTALL)

#: The bus itself: name on it, object path. It answers for a program that has ended, with one of
#: these errors; its other errors (a full queue) come from a program that takes nothing any more.
DAEMON = ("org.freedesktop.DBus", "/org/freedesktop/DBus")
ENDED = ("NoReply", "ServiceUnknown", "NameHasNoOwner", "Disconnected")

Ref = tuple[str, str]  # name on the bus, object path
Items = list[Any]
Map = dict[Any, Any]


class Trouble(Exception):
    """Something to tell the host: a code and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Node:
    """What one look saw of a node."""

    __slots__ = ("count", "description", "index", "interfaces", "name", "ref", "role", "states")

    def __init__(
        self,
        ref: Ref,
        index: int,
        count: int,
        name: str,
        role: int,
        description: str,
        states: int,
        interfaces: str = "",
    ) -> None:
        self.ref, self.index, self.count = ref, index, count
        self.name, self.role, self.description, self.states = name, role, description, states
        self.interfaces = interfaces

    @property
    def looks(self) -> tuple[str, int, str, int]:
        """What can be said of it: name, role, description, states."""
        return self.name, self.role, self.description, self.states

    def has(self, state: str) -> bool:
        """Whether it is in a state."""
        return bool(self.states >> STATES.index(state) & 1)


def field(code: int, text: str) -> bytes:
    """Return a field of the head of a message: 4 is the name of an error, 7 who sent it."""
    return struct.pack("=BBsxI", code, 1, b"s", len(text)) + text.encode() + b"\0"


#: What is in the head of a message from the bus, and in that of an error when somebody has ended.
_FROM_DAEMON = field(7, DAEMON[0])
_ENDED = tuple(field(4, f"{DAEMON[0]}.Error.{name}") for name in ENDED)


class Wire:
    """A connection to a bus that hands out answers as they came, in bytes.

    GLib's own takes every answer apart into values, in a thread: for a bulk answer that is as much
    work as the program has with building it, and most bulk answers are the same as the last one.
    """

    def __init__(self, gio: Any, address: str) -> None:
        self.serial, self.buffer, self.closed = 0, bytearray(), False
        #: Who has told of a change.
        self.heard: set[str] = set()
        self.gio, self.plain = gio, gio.DBusCapabilityFlags.NONE
        stream = gio.dbus_address_get_stream_sync(address, None)[0]
        self.socket = socket.socket(fileno=os.dup(stream.get_socket().get_fd()))
        self.socket.settimeout(25)
        user = str(os.getuid()).encode().hex()
        self.socket.sendall(f"\0AUTH EXTERNAL {user}\r\n".encode())
        while not self.buffer.endswith(b"\r\n"):
            self._receive()
        if not self.buffer.startswith(b"OK "):
            raise Trouble("bus", "the bus refuses this user")
        self.buffer.clear()
        self.socket.sendall(b"BEGIN\r\n")
        hello = self.exchange([(DAEMON, DAEMON[0], "Hello", None)], [25.0])[0]
        if hello is None:
            raise Trouble("bus", "the bus is silent")
        self.values(hello)

    def exchange(self, calls: Items, seconds: list[float]) -> Items:
        """Make calls at once; return head and body of each answer, None where none came in time."""
        answers: Items = [None] * len(calls)
        waiting, data, now = {}, b"", time.monotonic()
        for number, (ref, interface, method, value) in enumerate(calls):
            if not self.gio.dbus_is_name(ref[0]):
                continue  # programs may tell anything as the name of another
            self.serial += 1
            message = self.gio.DBusMessage.new_method_call(*ref, interface, method)
            message.set_serial(self.serial)
            if value is not None:
                message.set_body(value)
            data += message.to_blob(self.plain)
            # The registry is asked by another name than it answers by.
            sender = field(7, ref[0]) if ref[0].startswith(":") else b""
            waiting[self.serial] = number, sender, now + seconds[number]
        try:
            last = now + max(seconds, default=0)
            self.socket.settimeout(25)
            self.socket.sendall(data)
            while waiting and time.monotonic() < last:  # whoever floods us must not hold us up
                received = self._next()
                if received is None:
                    self._wait(min(until for _, _, until in waiting.values()))
                    now = time.monotonic()
                    waiting = {key: call for key, call in waiting.items() if call[2] > now}
                    continue
                serial, head, body = received
                if serial in waiting and self._answers(head, waiting[serial][1]):
                    answers[waiting.pop(serial)[0]] = head, body
        except OSError as error:
            self.closed = True
            raise Trouble("bus", f"{error}") from None
        return answers

    @staticmethod
    def _answers(head: bytes, sender: bytes) -> bool:
        """Whether a message is from whoever was asked, or from the bus because he has ended."""
        if sender in head:
            return True
        return head[1] == ERROR and _FROM_DAEMON in head and any(each in head for each in _ENDED)

    def _next(self) -> tuple[int, bytes, bytes] | None:
        """Take the next message that has come; its serial is 0 unless it is an answer."""
        if len(self.buffer) < 16:
            return None
        order = "<" if self.buffer[0] == ord("l") else ">"
        length, fields = struct.unpack_from(f"{order}4xI4xI", self.buffer)
        body = 16 + (fields + 7) // 8 * 8
        if len(self.buffer) < body + length:
            return None
        head, rest = bytes(self.buffer[:body]), bytes(self.buffer[body : body + length])
        del self.buffer[: body + length]
        # A string of a head cannot look like these fields: it has no such characters.
        found = _SERIAL.search(head, 16) if head[1] in (METHOD_RETURN, ERROR) else None
        if head[1] == SIGNAL:
            self._hear(head)
        return struct.unpack(f"{order}I", found[1])[0] if found else 0, head, rest

    def _hear(self, head: bytes) -> None:
        sender = _SENDER.search(head, 16)
        if sender and len(self.heard) < MAX_HEARD:
            self.heard.add(sender[1].decode("ascii", "replace"))

    def drain(self) -> None:
        """Take in what has come; raises OSError when the bus is gone."""
        while select.select([self.socket], [], [], 0)[0]:
            self._receive()
            while self._next():
                pass

    def _wait(self, until: float) -> None:
        """Receive what comes until then, if anything does."""
        left = until - time.monotonic()
        if left > 0 and select.select([self.socket], [], [], left)[0]:
            self._receive()

    def _receive(self) -> None:
        new = self.socket.recv(1 << 20)
        if not new:
            raise ConnectionResetError("the bus closed the connection")
        self.buffer += new

    def values(self, received: tuple[bytes, bytes]) -> Any:
        """Return the body of an answer as a GLib.Variant, or None; raises the error that it is."""
        message = self.gio.DBusMessage.new_from_blob(b"".join(received), self.plain)
        message.to_gerror()
        return message.get_body()


class Bus:
    """The accessibility bus of this session."""

    def __init__(self, gio: Any, glib: Any) -> None:
        self.gio, self.glib = gio, glib
        self.wire = Wire(gio, self._address())
        #: Of each program, by its name on the bus: its last bulk answer, what it means, and when it
        #: came.
        self.kept: dict[str, tuple[bytes, Map, float]] = {}
        self.until = time.monotonic()
        #: Seconds that one call may take; less for an application that was silent before.
        self.patience = 1.0
        self.silent: set[str] = set()
        #: Who let a call of this request go unanswered, by their names on the bus, as keys.
        self.unanswered: Map = {}
        #: What applications were called when they said so last, by their names on the bus.
        self.titles: Map = {}
        #: Applications of the session when somebody asked for them last.
        self.programs: Items = []
        #: How many actions a node had when somebody asked for them last.
        self.action_counts: Map = {}
        self.greeted: set[str] = set()
        self._listen()

    def _listen(self) -> None:
        """Ask all programs to tell of changes; one that does not is asked as often as ever."""
        self.give(25.0)
        rule = f"type='signal',interface='{ATSPI}Event.Object'"
        calls: Items = [(DAEMON, DAEMON[0], "AddMatch", "s", rule)]
        registry = (f"{ATSPI}Registry", "/org/a11y/atspi/registry")
        calls += [(registry, f"{ATSPI}Registry", "RegisterEvent", "s", kind) for kind in CHANGES]
        self.listens = all(map(ok, self.gather(calls)))

    def unchanged(self, application: Ref) -> tuple[Map, float] | None:
        """Return the last bulk answer of an application if it has told of no change, and its age.

        What it told before it answered a call is in by then; so make one first.
        """
        name = application[0]
        heard = self.wire.heard
        if not self.listens or len(heard) >= MAX_HEARD or name in heard or name not in self.kept:
            return None
        _body, by_parent, came = self.kept[name]
        return by_parent, time.monotonic() - came

    def give(self, seconds: float) -> None:
        """Set the time for one request of the host; one silent program must not use up all."""
        self.until = time.monotonic() + seconds
        self.patience = seconds / 4
        self.unanswered.clear()

    def is_silence(self, error: Any, name: str) -> bool:
        """Whether an error means that a program did not answer in time; remember that."""
        if not error.matches(self.gio.io_error_quark(), self.gio.IOErrorEnum.TIMED_OUT):
            return False
        self.silent.add(name)
        return True

    def hung_programs(self, application: str | None) -> Items:
        """Return what those are called who let a call of this request go unanswered.

        A program that has ended is none of them: the bus answers for it.

        Args:
            application: leave out programs that are known to be others; None for all.
        """
        told = []
        for name in list(self.unanswered):
            title = self.titles.get(name)
            if application is None or title is None or title == application:
                told.append((title or self._process_of(name))[:MAX_NAME])
        return told

    def _process_of(self, name: str) -> str:
        """Return what the process of a program is called that has not told its name."""
        try:
            number = self.call(DAEMON, DAEMON[0], "GetConnectionUnixProcessID", "s", name)
            with open(f"/proc/{number}/comm", "rb") as file:  # noqa: PTH123
                return file.read().decode("utf-8", "replace").strip() or name
        except (OSError, Trouble, self.glib.Error):
            return name

    def _address(self) -> str:
        session = self.gio.bus_get_sync(self.gio.BusType.SESSION, None)
        self._switch_on(session)
        given = os.environ.get("AT_SPI_BUS_ADDRESS")
        if given:
            return given
        where = ("org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus", "GetAddress")
        answer = session.call_sync(*where, None, None, self.gio.DBusCallFlags.NONE, 25_000, None)
        return str(answer.unpack()[0])

    def _switch_on(self, session: Any) -> None:
        """Tell the session's programs to offer their trees, by every way that this one has."""
        source = self.gio.SettingsSchemaSource.get_default()
        schema = source and source.lookup("org.gnome.desktop.interface", True)
        if schema and schema.has_key("toolkit-accessibility"):
            settings = self.gio.Settings.new_full(schema, None, None)
            if not settings.get_boolean("toolkit-accessibility"):
                settings.set_boolean("toolkit-accessibility", True)
                self.gio.Settings.sync()
        value = self.glib.Variant(
            "(ssv)", ("org.a11y.Status", "IsEnabled", self.glib.Variant("b", True))
        )
        where = ("org.a11y.Bus", "/org/a11y/bus", PROPERTIES, "Set")
        try:
            session.call_sync(*where, value, None, self.gio.DBusCallFlags.NONE, 25_000, None)
        except self.glib.Error as error:
            if "ServiceUnknown" in error.message:
                raise
            # Others: an old launcher that has no such property; its bus is always on.

    def gather(self, calls: Items) -> Items:
        """Make many calls at once; return what each returned, or its GLib.Error."""
        results: Items = []
        for first in range(0, len(calls), 500):
            part = calls[first : first + 500]
            for call, received in zip(part, self._exchange(part)):  # noqa: B905
                try:
                    if received is None:
                        self._remember_silence(call[0][0])
                        raise self.glib.Error.new_literal(
                            self.gio.io_error_quark(),
                            "it is silent",
                            self.gio.IOErrorEnum.TIMED_OUT,
                        )
                    values = self.wire.values(received)
                    results.append(() if values is None else values.unpack())
                except self.glib.Error as error:
                    results.append(error)
        return results

    def _exchange(self, calls: Items) -> Items:
        """Make calls; what follows the method in one is the signature and values."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise Trouble("slow", "the programs of the session answer too slowly")
        whole, seconds = [], []
        for ref, interface, method, *arguments in calls:
            value = arguments and self.glib.Variant(f"({arguments[0]})", tuple(arguments[1:]))
            whole.append((ref, interface, method, value or None))
            seconds.append(min(left, self.patience / (10 if ref[0] in self.silent else 1)))
        return self.wire.exchange(whole, seconds)

    def _remember_silence(self, name: str) -> None:
        if self.gio.dbus_is_name(name):  # else nobody was asked
            self.unanswered[name] = None

    def call(self, ref: Ref, interface: str, method: str, *arguments: Any) -> Any:
        """Make one call and return its first value; raises GLib.Error."""
        answer = self.gather([(ref, interface, method, *arguments)])[0]
        if not ok(answer):
            raise answer
        return (answer or (None,))[0]

    def bulk(self, application: Ref) -> Map:
        """Return the nodes that an application tells at once, by their parent."""
        name = application[0]
        if name not in self.greeted:
            # GTK 3 keeps its list of nodes only once somebody has asked for this address.
            self.gather([(application, f"{ATSPI}Application", "GetApplicationBusAddress")])
            self.greeted.add(name)
        place = (name, "/org/a11y/atspi/cache")
        received = self._exchange([(place, f"{ATSPI}Cache", "GetItems")])[0]
        if received is None:
            self.silent.add(name)
            self._remember_silence(name)
            raise Trouble("silent", "")
        self.silent.discard(name)
        # What it told of before this answer is in the answer.
        self.wire.heard.discard(name)
        head, body = received
        kept = self.kept.pop(name, None)
        if head[1] == ERROR:
            return {}  # it does not know the bulk request
        is_same = kept is not None and kept[0] == body
        by_parent = kept[1] if kept and is_same else understood(self.wire.values(received))
        if len(body) <= MAX_KEPT_BYTES:
            self.kept[name] = body, by_parent, time.monotonic()
            if len(self.kept) > MAX_KEPT:
                del self.kept[next(iter(self.kept))]  # the one not asked for the longest time
        return by_parent

    def one_by_one(self, refs: Items) -> Items:
        """Return nodes by asking for each property; what is gone meanwhile is left out."""
        return nodes_of(refs, self.gather(property_calls(refs)))


def property_calls(refs: Items) -> Items:
    """Return the calls that ask for what every node tells."""
    calls: Items = []
    for ref in refs:
        calls += [
            (ref, *_NAME),
            (ref, PROPERTIES, "Get", "ss", ACCESSIBLE, "Description"),
            (ref, PROPERTIES, "Get", "ss", ACCESSIBLE, "ChildCount"),
            (ref, ACCESSIBLE, "GetRole"),
            (ref, ACCESSIBLE, "GetState"),
            (ref, ACCESSIBLE, "GetInterfaces"),
        ]
    return calls


def nodes_of(refs: Items, answers: Items) -> Items:
    """Return the nodes that answered `property_calls`."""
    nodes = []
    for number, ref in enumerate(refs):
        values = answers[number * 6 : number * 6 + 6]
        if not ok(values[4]) or not ok(values[3]):
            continue
        name, description = (v[0] if isinstance(v, tuple) else "" for v in values[:2])
        count = values[2][0] if ok(values[2]) else -1
        states = sum(part << 32 * place for place, part in enumerate(values[4][0]))
        kinds = repr(values[5][0]) if ok(values[5]) else ""
        nodes.append(Node(ref, number, count, name, values[3][0], description, states, kinds))
    return nodes


def understood(answer: Any) -> Map:
    """Return the nodes of a bulk answer by their parent, in their order."""
    by_parent: Map = {}
    for found in _ITEM.findall(answer.print_(False) if answer else ""):
        bus, path, above_bus, above, index, count, kinds, name, role, about, low, high = found
        node = Node(
            (bus, path),
            int(index),
            int(count),
            unquoted(name),
            int(role),
            unquoted(about),
            int(low) | int(high) << 32,
            kinds,
        )
        by_parent.setdefault((above_bus, above), []).append(node)
    for children in by_parent.values():
        children.sort(key=lambda child: child.index)
    return by_parent


def unquoted(text: str) -> str:
    """Return the string that GVariant printed in quotes."""
    return str(ast.literal_eval(text)) if "\\" in text else text[1:-1]


class Look:
    """One walk through the trees of some applications, as they are now.

    Args:
        kept: whether the last bulk answer of an application will do if it told of no change.

    Attributes:
        nodes: (depth, node) in the order of the tree.
        age: seconds since the oldest of the bulk answers that were used again; None without one.
        cut: whether there was more than the limit.
    """

    def __init__(
        self, bus: Bus, application: str | None, *, hidden: bool, kept: bool = False
    ) -> None:
        self.bus, self.hidden, self.kept = bus, hidden, kept
        self.application = application
        self.age: float | None = None
        self.nodes: Items = []
        self.cut = False
        self._visited = 0
        for node in applications(bus):
            if application is None or node.name == application:
                try:
                    self._add(node)
                except Trouble as trouble:
                    if trouble.code != "silent":
                        raise

    @property
    def problems(self) -> Items:
        """Which programs did not answer, be it for a part of what they were asked."""
        return self.bus.hung_programs(self.application)[:20]

    def _add(self, application: Node) -> None:
        by_parent, children, seen = self._bulk(application.ref), {}, {application.ref}
        for (name, _), told in by_parent.items():
            if name != application.ref[0]:  # the parent of an application is the registry
                counts = [node.count for node in told if node.ref == application.ref]
                application.count = counts[0] if counts else application.count
        level = [application]
        while level:
            missing, refs = [], []
            for node in level:
                told = by_parent.get(node.ref, ())
                complete = len(told) == node.count and (not told or told[-1].index < len(told))
                if complete:
                    children[node.ref] = told
                elif node.count != 0 or told:
                    missing.append(node)
            asked = self.bus.gather([(node.ref, ACCESSIBLE, "GetChildren") for node in missing])
            known = {}
            if missing:
                known = {child.ref: child for told in by_parent.values() for child in told}
            order = []
            for node, answer in zip(missing, asked):  # noqa: B905
                listed = answer[0] if ok(answer) else []
                listed = [ref for ref in listed if ref[1] != NOTHING]
                order.append((node, listed))
                refs += [ref for ref in listed if ref not in known and ref not in seen]
            self.cut = self.cut or self._visited + len(refs) > MAX_VISITED
            refs = refs[: max(0, MAX_VISITED - self._visited)]
            fresh = {child.ref: child for child in self.bus.one_by_one(refs)}
            for node, listed in order:
                both = (known.get(ref) or fresh.get(ref) for ref in listed)
                children[node.ref] = [child for child in both if child is not None]
            level = self._next_level(level, children, seen)
        self._flatten(application, children)

    def _bulk(self, application: Ref) -> Map:
        unchanged = self.bus.unchanged(application) if self.kept else None
        if unchanged is None:
            return self.bus.bulk(application)
        by_parent, age = unchanged
        self.age = max(age, self.age or 0.0)
        return by_parent

    def _next_level(self, level: Items, children: Map, seen: set[Ref]) -> Items:
        """Return the children to go into; drops what was seen already (a tree without end)."""
        below = []
        for node in level:
            kept = []
            for child in children.get(node.ref, ()):
                if child.ref in seen or not (self.hidden or child.states & SHOWING):
                    continue
                if self._visited >= MAX_VISITED:
                    self.cut = True
                    break
                seen.add(child.ref)
                self._visited += 1
                kept.append(child)
            children[node.ref] = kept
            below += kept
        return below

    def _flatten(self, application: Node, children: Map) -> None:
        stack = [(0, application)]
        while stack:
            depth, node = stack.pop()
            self.nodes.append((depth, node))
            stack += [(depth + 1, child) for child in reversed(children.get(node.ref, ()))]


def applications(bus: Bus) -> Items:
    """Return the applications of the session that answer.

    Those of the last time are asked for their names along with the registry, which saves waiting
    for one answer after the other.
    """
    registry = ("org.a11y.atspi.Registry", ROOT)
    known = bus.programs
    asked = [(registry, ACCESSIBLE, "GetChildren"), *((ref, *_NAME) for ref in known)]
    listed, *told = bus.gather(asked)
    if not ok(listed):
        raise listed
    refs = [tuple(ref) for ref in listed[0]]
    names = dict(zip(known, told))  # noqa: B905
    new = [ref for ref in dict.fromkeys(refs) if ref not in names]
    names.update(zip(new, bus.gather([(ref, *_NAME) for ref in new])))  # noqa: B905
    bus.programs = list(dict.fromkeys(refs))
    told_before = bus.titles
    bus.titles = {name: told_before[name] for name, _ in refs if name in told_before}
    nodes = []
    for ref in refs:
        if ok(names[ref]):
            bus.titles[ref[0]] = names[ref][0]
            nodes.append(Node(ref, 0, -1, names[ref][0], APPLICATION, "", 0))
        else:
            bus.is_silence(names[ref], ref[0])
    return nodes


class Wanted:
    """The description of the nodes to look for; see `Query` on the host."""

    def __init__(self, asked: Map) -> None:
        self.names = asked["names"] and frozenset(asked["names"])
        self.regex = re.compile(asked["name_regex"]) if asked["name_regex"] is not None else None
        self.roles = asked["roles"] and frozenset(asked["roles"])
        self.description = asked["description"]
        self.label = asked["label"]
        self.application = asked["app"]
        self.window = asked["window"]
        self.window_roles = frozenset(asked["window_roles"])
        self.showing_only = asked["showing_only"]

    def role_fits(self, node: Node) -> bool:
        """Whether a node has one of the roles."""
        return not self.roles or role_name(node.role) in self.roles

    def find(self, bus: Bus, tree: Items) -> Items:
        """Return the nodes that fit, in the order of the tree.

        Args:
            tree: (depth, node) in that order.
        """
        nodes = self.scope(tree)
        found = [node for node in nodes if self._fits(node)]
        if self.label is None or not found:
            return found
        wanted = bare(self.label)
        labels = [node.ref for node in nodes if bare(node.name) == wanted]
        targets = {ref for ref in labels for ref in related(bus, [ref], LABEL_FOR)[0]}
        labelled = [node for node in found if node.ref in targets]
        if labelled or not labels:
            return labelled
        # Toolkits that know only the way from the field to its label.
        ways = related(bus, [node.ref for node in found[:500]], LABELLED_BY)
        return [node for node, way in zip(found, ways) if way & set(labels)]  # noqa: B905

    def is_window(self, node: Node) -> bool:
        """Whether a node is a window, of whatever title."""
        return role_name(node.role) in self.window_roles

    def scope(self, tree: Items) -> Items:
        """Return the nodes that count: all, or what is below the windows that are meant."""
        if self.window is None:
            return [node for _, node in tree]
        inside: Items = []
        top = None  # depth of the window that we are in
        for depth, node in tree:
            if top is not None and depth <= top:
                top = None
            if top is not None:
                inside.append(node)
            elif self.window in node.name and self.is_window(node):
                top = depth
        return inside

    def _fits(self, node: Node) -> bool:
        return (
            (not self.names or node.name in self.names)
            and self.role_fits(node)
            and (self.regex is None or bool(self.regex.search(node.name)))
            and (self.description is None or node.description == self.description)
        )


def bare(label: str) -> str:
    """Return the text of a label as people name it."""
    return label.strip().rstrip(":：").rstrip()


def related(bus: Bus, refs: Items, kind: int) -> Items:
    """Return the set of targets of one kind of relation, for each node."""
    answers = bus.gather([(ref, ACCESSIBLE, "GetRelationSet") for ref in refs])
    sets = []
    for answer in answers:
        relations = answer[0] if ok(answer) else ()
        sets.append({tuple(ref) for number, refs in relations if number == kind for ref in refs})
    return sets


def role_name(number: int) -> str:
    """Return the name of a role."""
    return ROLES[number] if 0 <= number < len(ROLES) else f"role {number}"


def state_names(states: int) -> Items:
    """Return the names of the states that are set."""
    return [name for number, name in enumerate(STATES) if states >> number & 1]


class Tree:
    """What the host may ask for; each method is one "op" and takes the request."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    def op_ping(self, request: Map) -> Any:
        """Answer."""
        return True

    def op_applications(self, request: Map) -> Any:
        """Return the names of the applications."""
        return [node.name[:MAX_NAME] for node in applications(self.bus)[:1000]]

    def op_find(self, request: Map) -> Any:
        """Return the nodes that a query is about, with their details."""
        wanted = Wanted(request["query"])
        # Who wants several, or a later one, must not miss one that nobody told of.
        is_first = (request["skip"], request["limit"], wanted.window) == (0, 1, None)
        look, nodes = self._find(request, wanted, kept=is_first)
        told: Items = []
        if look.age is not None:
            told = self._still(nodes)
            if not told and (nodes or not request["waiting"] or look.age >= ENOUGH):
                look, nodes = self._find(request, wanted, kept=False)
        return {
            "nodes": told or self._details(nodes),
            "cut": look.cut,
            "problems": look.problems,
        }

    def _find(self, request: Map, wanted: Wanted, *, kept: bool) -> tuple[Look, Items]:
        look = Look(self.bus, wanted.application, hidden=not wanted.showing_only, kept=kept)
        found = wanted.find(self.bus, look.nodes)
        return look, found[request["skip"] : request["skip"] + request["limit"]]

    def _still(self, nodes: Items) -> Items:
        """Return the details of nodes as they are now if all are what they were, else nothing."""
        refs, details = [node.ref for node in nodes], Details(self.bus, nodes)
        calls = property_calls(refs)
        answers = self.bus.gather([*calls, *details.calls])
        now = nodes_of(refs, answers[: len(calls)])
        same = [(node.ref, *node.looks) for node in nodes] == [(n.ref, *n.looks) for n in now]
        return details.told(now, answers[len(calls) :]) if same else []

    def op_near(self, request: Map) -> Any:
        """Return what a query that found nothing could have meant."""
        wanted = Wanted(request["query"])
        look = Look(self.bus, wanted.application, hidden=True)
        hidden = wanted.find(self.bus, look.nodes)
        of_role = [
            node
            for node in wanted.scope(look.nodes)
            if wanted.role_fits(node) and node.name and node.has("showing")
        ]
        windows = [
            node.name[:MAX_NAME]
            for _, node in look.nodes
            if wanted.is_window(node) and node.has("showing")
        ]
        return {
            "hidden": self._details(hidden[:1]),
            "names": [[role_name(node.role), node.name[:MAX_NAME]] for node in of_role[:1000]],
            "windows": windows[:1000],
            "applications": [node.name[:MAX_NAME] for node in applications(self.bus)[:1000]],
        }

    def op_dump(self, request: Map) -> Any:
        """Return depth, role, name, description and states of many nodes."""
        look = Look(self.bus, request["app"], hidden=True)
        limit = request["limit"]
        lines = [
            [
                depth,
                role_name(node.role),
                node.name[:MAX_NAME],
                node.description[:MAX_NAME],
                state_names(node.states),
            ]
            for depth, node in look.nodes[:limit]
        ]
        return {
            "lines": lines,
            "cut": look.cut or len(look.nodes) > limit,
            "problems": look.problems,
        }

    def op_node(self, request: Map) -> Any:
        """Return the details of a node as it is now."""
        return self._details([self._node(request)])[0]

    def op_act(self, request: Map) -> Any:
        """Do an action of a node, by its name."""
        node = self._usable(request)
        wanted = request["action"]
        names = self._details([node])[0]["actions"]
        usual = ("click", "press", "activate", "jump", "toggle", "") if wanted == "click" else ()
        name = next((name for name in (wanted, *usual) if name in names), None)
        if name is None and wanted == "click" and len(names) == 1:
            name = names[0]
        if name is None:
            raise Trouble("no_action", f"it has these actions: {', '.join(names)[:MAX_NAME]}")
        return self._do(node, "Action", "DoAction", "i", names.index(name))

    def op_text(self, request: Map) -> Any:
        """Return the text of a node."""
        return self._do(self._node(request), "Text", "GetText", "ii", 0, MAX_TEXT)[:MAX_TEXT]

    def op_set_text(self, request: Map) -> Any:
        """Replace the text of a node."""
        node = self._usable(request)
        return self._do(node, "EditableText", "SetTextContents", "s", request["text"])

    def op_focus(self, request: Map) -> Any:
        """Give a node the keyboard focus."""
        return self._do(self._usable(request), "Component", "GrabFocus")

    def op_value(self, request: Map) -> Any:
        """Return value, minimum and maximum of a slider, a bar or a number."""
        node = self._node(request)
        if not offers(node, "Value"):
            raise Trouble("unable", "it offers no Value interface")
        names = ("CurrentValue", "MinimumValue", "MaximumValue")
        return [self._get(node, PROPERTIES, "Get", "ss", f"{ATSPI}Value", name) for name in names]

    def op_select(self, request: Map) -> Any:
        """Select a child of a node by its name."""
        node = self._usable(request)
        level, depth = [node], 0
        while level and depth < 6:
            below = []
            for parent in level:
                asked = self._get(parent, ACCESSIBLE, "GetChildren")[:MAX_VISITED]
                children = self.bus.one_by_one([tuple(ref) for ref in asked])
                for child in children:
                    if child.name == request["child"]:
                        return self._select(node, parent, child)
                below += children
            level, depth = below[:MAX_VISITED], depth + 1
        raise Trouble("no_child", "")

    def _select(self, node: Node, parent: Node, child: Node) -> Any:
        combined = role_name(node.role) == "combo box"
        for holder in (node, parent) if combined else (parent,):
            if offers(holder, "Selection"):
                done = self._do(holder, "Selection", "SelectChild", "i", child.index)
                return bool(done)
        return self._do(child, "Action", "DoAction", "i", 0)

    def _node(self, request: Map) -> Node:
        bus, _, path = request["handle"].partition("/")
        found = self.bus.one_by_one([(bus, "/" + path)])
        if not found or found[0].has("defunct"):
            raise Trouble("stale", "it is gone")
        node: Node = found[0]
        return node

    def _usable(self, request: Map) -> Node:
        node = self._node(request)
        if not node.has("showing"):
            raise Trouble("not_showing", "")
        if not node.has("sensitive"):
            raise Trouble("not_sensitive", "")
        return node

    def _do(self, node: Node, interface: str, method: str, *arguments: Any) -> Any:
        if not offers(node, interface):
            raise Trouble("unable", f"it offers no {interface} interface")
        return self._get(node, f"{ATSPI}{interface}", method, *arguments)

    def _get(self, node: Node, interface: str, method: str, *arguments: Any) -> Any:
        try:
            return self.bus.call(node.ref, interface, method, *arguments)
        except self.bus.glib.Error as error:
            if self.bus.one_by_one([node.ref]):
                raise Trouble("unable", error.message[:MAX_NAME]) from None
            raise Trouble("stale", "it is gone") from None

    def _details(self, nodes: Items) -> Items:
        details = Details(self.bus, nodes)
        return details.told(nodes, self.bus.gather(details.calls))


class Details:
    """What only some nodes tell: text, place, actions.

    Attributes:
        calls: that ask for it; what they return belongs into `told`.
    """

    def __init__(self, bus: Bus, nodes: Items) -> None:
        self._bus = bus
        self._writers = [node.ref for node in nodes if offers(node, "Text")]
        self._drawn = [node.ref for node in nodes if offers(node, "Component")]
        self._able = [node.ref for node in nodes if offers(node, "Action")]
        #: For each that can act, as many actions as it had before: most have as many now.
        self._counts = [bus.action_counts.get(ref, 0) for ref in self._able]
        self.calls: Items = [
            *((ref, f"{ATSPI}Text", "GetText", "ii", 0, MAX_TEXT) for ref in self._writers),
            *((ref, f"{ATSPI}Component", "GetExtents", "u", 0) for ref in self._drawn),
            *((ref, f"{ATSPI}Action", "GetActions") for ref in self._able),
            *name_calls(self._able, self._counts),
        ]

    def told(self, nodes: Items, answers: Items) -> Items:
        """Return the details of the nodes, which may have been asked for all else meanwhile."""
        taken = iter(answers)
        texts = {ref: next(taken) for ref in self._writers}
        places = {ref: next(taken) for ref in self._drawn}
        actions = self._actions([next(taken) for _ in self._able], list(taken))
        told = []
        for node in nodes:
            text, place = texts.get(node.ref), places.get(node.ref)
            told.append(
                {
                    "handle": "".join(node.ref),
                    "role": role_name(node.role),
                    "name": node.name[:MAX_NAME],
                    "description": node.description[:MAX_NAME],
                    "text": text[0][:MAX_TEXT] if ok(text) and text else None,
                    "states": state_names(node.states),
                    "place": place_of(node, place[0] if ok(place) and place else None),
                    "actions": [name[:100] for name in actions.get(node.ref, ())],
                }
            )
        return told

    def _actions(self, told: Items, names: Items) -> Map:
        """Return the names of each node's actions, not translated."""
        counts = [min(len(each[0]), MAX_ACTIONS) if ok(each) else 0 for each in told]
        if counts != self._counts:
            names = self._bus.gather(name_calls(self._able, counts))
            if len(self._bus.action_counts) > MAX_COUNTED:
                self._bus.action_counts.clear()
            self._bus.action_counts.update(zip(self._able, counts))  # noqa: B905
        left = iter(names)
        of_node: Map = {}
        for ref, each, count in zip(self._able, told, counts):  # noqa: B905
            both = [(next(left), each[0][number][0]) for number in range(count)]
            of_node[ref] = [name[0] if ok(name) else shown for name, shown in both]
        return of_node


def name_calls(refs: Items, counts: Items) -> Items:
    """Return the calls for the names of nodes' first actions; GetActions translates them."""
    return [
        (ref, f"{ATSPI}Action", "GetName", "i", number)
        for ref, count in zip(refs, counts)  # noqa: B905
        for number in range(count)
    ]


def ok(answer: Any) -> bool:
    """Whether a call of many returned something."""
    return isinstance(answer, tuple)


def offers(node: Node, interface: str) -> bool:
    """Whether a node has an interface; asking for what it has not makes GTK programs complain."""
    return f"'{ATSPI}{interface}'" in node.interfaces


def place_of(node: Node, extents: Any) -> Any:
    """Return left, top, width and height on the screen, or None where nobody knows them."""
    if extents is None or not node.has("showing") or extents[2] <= 0 or extents[3] <= 0:
        return None
    if os.environ.get("WAYLAND_DISPLAY"):
        return None  # programs do not know there where their windows are
    return list(extents)


def say(output: Any, message: Map) -> None:
    """Write one line to the host."""
    output.write(json.dumps(message).encode("ascii") + b"\n")
    output.flush()


def answer(tree: Tree, request: Map) -> Map:
    """Return the answer to one request."""
    try:
        tree.bus.give(request["within"])
        return {"result": getattr(tree, f"op_{request['op']}")(request)}
    except Trouble as trouble:
        return {"error": {"code": trouble.code, "message": str(trouble)}}
    except tree.bus.glib.Error as error:
        return {"error": {"code": "program", "message": error.message[:1000]}}
    except Exception as error:  # noqa: BLE001 - the host must hear of it, whatever it is
        return {"error": {"code": "internal", "message": f"{error!r}"[:1000]}}


def requests(wire: Wire) -> Any:
    """Yield what the host asks; take in what programs tell meanwhile, before it piles up."""
    buffer = b""
    while True:
        if select.select([0], [], [], 2.0)[0]:
            new = os.read(0, 1 << 16)
            if not new:
                return
            *lines, buffer = (buffer + new).split(b"\n")
            yield from lines
        else:
            wire.drain()


def main() -> int:
    """Serve the host until it closes our input or the session ends."""
    # Libraries may print; only our answers may go to the host.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        gio = importlib.import_module("gi.repository.Gio")
        glib = importlib.import_module("gi.repository.GLib")
    except (ImportError, ValueError) as error:
        say(output, {"error": {"code": "no_gi", "message": f"{error}"[:1000]}})
        return 1
    try:
        tree = Tree(Bus(gio, glib))
    except (glib.Error, OSError, Trouble) as error:
        message = getattr(error, "message", "") or str(error)
        say(output, {"error": {"code": "no_bus", "message": message[:1000]}})
        return 1
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    say(output, {"hello": "tailstest-tree", "version": VERSION, "pid": os.getpid()})
    try:
        for line in requests(tree.bus.wire):
            request = json.loads(line)
            say(output, {"id": request["id"], **answer(tree, request)})
            if tree.bus.wire.closed:
                return 1
    except OSError:
        return 1  # the bus is gone
    return 0


if __name__ == "__main__":
    sys.exit(main())
