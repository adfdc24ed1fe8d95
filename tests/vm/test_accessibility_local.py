"""The accessibility helper against real GTK 3 programs, on an X server without a screen."""

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
from accessibility_tools import LocalChannel

from tailstest.core.errors import UsageError
from tailstest.guest.accessibility import helper
from tailstest.guest.accessibility.errors import (
    NodeGone,
    NodeMissing,
    NodeRefused,
    TreeHelperFailed,
    TreeUnavailable,
)
from tailstest.guest.accessibility.query import Query
from tailstest.guest.accessibility.tree import AccessibilityTree

PYTHON = "/usr/bin/python3"
PROBE = 'import gi; gi.require_version("Gtk", "3.0"); from gi.repository import Gtk'
#: How many times as long as the list of applications a look among 300 nodes may take; 3 or 4 is
#: what was seen.
MOST_AGAINST_TRIVIAL = 15

#: A window like the one that a live system greets with; it does what its standard input says.
PROGRAM = """
import sys
import gi
gi.require_version("Gtk", "3.0")
from gi.repository import Atk, GLib, Gtk
window, grid, notebook = Gtk.Window(title="Welcome"), Gtk.Grid(), Gtk.Notebook()
many = int(sys.argv[1])
GLib.set_prgname(sys.argv[2])
def labelled(text, widget, row):
    label = Gtk.Label(label=text)
    label.set_mnemonic_widget(widget)
    grid.attach(label, 0, row, 1, 1)
    grid.attach(widget, 1, row, 1, 1)
    return widget
language = Gtk.ComboBoxText()
for text in ("English", "Deutsch", "Français"):
    language.append(text, text)
language.set_active(0)
labelled("Language:", language, 0)
user = labelled("User", Gtk.Entry(), 1)
secret = labelled("Password", Gtk.Entry(visibility=False), 2)
volume = labelled("Volume", Gtk.Scale.new_with_range(Gtk.Orientation.HORIZONTAL, 0, 10, 1), 3)
start, check = Gtk.Button(label="Start"), Gtk.CheckButton(label="Remember")
status = Gtk.Label(label="nothing yet")
start.connect("clicked", lambda _: status.set_text("started in " + language.get_active_id()))
for row, widget in enumerate((start, check, status), 4):
    grid.attach(widget, 0, row, 2, 1)
store = Gtk.ListStore(str)
for number in range(20):
    store.append([f"Cell {number}"])
view = Gtk.TreeView(model=store)
view.append_column(Gtk.TreeViewColumn("Cells", Gtk.CellRendererText(), text=0))
def page(name):
    box = Gtk.Grid()
    for number in range(many):
        box.attach(Gtk.Label(label=f"{name} label {number}"), number % 10, number // 10, 1, 1)
    return box
notebook.append_page(grid, Gtk.Label(label="First"))
notebook.append_page(page("Second"), Gtk.Label(label="Second"))
notebook.append_page(view, Gtk.Label(label="Third"))
window.add(notebook)
window.show_all()
def show(widget):
    # GTK says that a widget is showing when it has given it a place, some frames later.
    widget.show()
    while not widget.get_accessible().ref_state_set().contains_state(Atk.StateType.SHOWING):
        Gtk.main_iteration()
def obey(source, condition):
    line = sys.stdin.readline()
    if not line:
        Gtk.main_quit()
        return False
    exec(line, globals())
    print("done", flush=True)
    return True
GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_IN | GLib.IO_HUP, obey)
GLib.idle_add(lambda: print("ready", flush=True))
Gtk.main()
"""


def lacking():
    """Return what this host lacks for these tests, or an empty text."""
    missing = [name for name in ("Xvfb", "dbus-daemon") if not shutil.which(name)]
    probe = subprocess.run([PYTHON, "-c", PROBE], capture_output=True, check=False)
    if probe.returncode:
        missing.append("python3-gi and gir1.2-gtk-3.0")
    if not os.path.exists("/usr/share/dbus-1/services/org.a11y.Bus.service"):  # noqa: PTH110
        missing.append("at-spi2-core")
    return ", ".join(missing)


pytestmark = pytest.mark.skipif(bool(lacking()), reason=f"this host lacks {lacking()}")


class Program:
    """The window, told what to do."""

    def __init__(self, session, many, name):
        self.process = subprocess.Popen(
            [PYTHON, "-c", PROGRAM, str(many), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **session},
            text=True,
        )
        first = self.process.stdout.readline()
        assert first == "ready\n", self.process.communicate()

    def do(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self):
        """End it and return what it complained of."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.close()
            self.process.wait(20)
        return self.process.stderr.read()


@contextmanager
def graphical_session(home):
    """Run an X server and a session bus; give the environment for their programs."""
    home.chmod(0o700)
    reading, writing = os.pipe()
    x = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x1024x24", "-noreset"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as answer:
        display = answer.readline().strip()
    environment = {
        "DISPLAY": f":{display}",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "XDG_CONFIG_HOME": str(home),
        "GTK_MODULES": "",
        "NO_AT_BRIDGE": "0",
        "GSETTINGS_BACKEND": "memory",
    }
    bus = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    environment["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().strip()
    try:
        yield environment
    finally:
        for process in (bus, x):
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with graphical_session(tmp_path_factory.mktemp("session")) as environment:
        yield environment


@pytest.fixture(scope="module")
def channel(session, tmp_path_factory):
    channel = LocalChannel(tmp_path_factory.mktemp("guest"), env=session)
    yield channel
    channel.close()


@pytest.fixture(scope="module")
def tree(channel):
    with AccessibilityTree(channel, user="amnesia", default_deadline=10) as tree:
        yield tree


@pytest.fixture
def make(session, tree):
    """Return a function that shows a window."""
    made = []

    def program(many=0, name="welcome"):
        made.append(Program(session, many, name))
        tree.wait_for(Query("Start", "button", app=name))
        return made[-1]

    yield program
    for one in made:
        assert "CRITICAL" not in one.end()
    tree.wait_for(Query(role="window"), "gone")


def test_finds_by_name_label_role_and_application(make, tree):
    make()
    assert "welcome" in tree.applications()
    start = tree.find(Query("Start", "button", app="welcome"))
    assert start.role == "push button" and "click" in start.actions and start.text is None
    assert start.place.width > 10 and 0 <= start.place.x < 1280
    assert tree.find(Query(label="User")).role == "text"
    assert tree.find(Query(label="Password", role="entry")).role == "password text"
    assert tree.find(Query(label="Language")).role == "combo box"
    assert tree.find(Query(any_of_names=("Démarrer", "Start"))).handle == start.handle
    assert tree.find(Query(name_regex="^St.rt$")).handle == start.handle
    assert tree.find(Query("Welcome", "window")).role == "frame"
    assert [node.name for node in tree.find_all(Query(role="tab"))] == ["First", "Second", "Third"]
    with pytest.raises(NodeMissing, match="no button “Strat”; there are: “Start”"):
        tree.find(Query("Strat", "button"))


def test_c45_two_of_one_name_are_told_apart_by_their_windows(make, tree):
    program = make()
    program.do("other = Gtk.Dialog(title='Are you sure?'); again = Gtk.Button(label='Start')")
    program.do("other.get_content_area().add(again); other.show_all(); other.move(700, 600)")
    program.do("again.connect('clicked', lambda _: status.set_text('sure'))")
    tree.wait_for(Query("Start", window="sure"))
    with pytest.raises(UsageError, match="button “Start” is on the desktop 2 times"):
        tree.wait_for_one(Query("Start", "button"), "sensitive")
    tree.act(tree.wait_for_one(Query("Start", "button", window="sure"), "sensitive"))
    tree.wait_for(Query("sure", "label", window="Welcome"))
    assert not tree.exists(Query("sure", "label", window="Are you sure?"))
    with pytest.raises(NodeMissing, match=r"no such window; there are: .*“Welcome”"):
        tree.find(Query("Start", "button", window="Farewell"))
    program.do("again.set_sensitive(False)")
    tree.act(tree.wait_for_one(Query("Start", "button"), "sensitive"))
    tree.wait_for(Query(name_regex="^started in"))
    program.do("other.set_title('Welcome back')")
    tree.wait_for(Query("Start", window="Welcome back"), "present")
    assert not tree.exists(Query("Start", window="sure"))


def test_operates(make, tree):
    program = make()
    tree.select(tree.find(Query(label="Language")), "Deutsch")
    tree.act(tree.find(Query("Start", "button")))
    assert tree.wait_for(Query("started in Deutsch", "label")).text == "started in Deutsch"
    user = tree.find(Query(label="User"))
    tree.set_text(user, "näme 😀")
    assert tree.text(user) == "näme 😀" == tree.refresh(user).text
    tree.focus(user)
    tree.wait_for(Query(label="User"), "focused")
    tree.act(tree.find(Query("Remember")))
    assert tree.wait_for(Query("Remember"), "checked").role == "check box"
    program.do("volume.set_value(7)")
    volume = tree.find(Query(role="slider"))
    assert tree.value(volume) == 7.0
    tree.select(tree.find(Query(role="page tab list")), "Third")
    assert tree.wait_for(Query("Cell 3", "table cell")).place is not None
    for refused in (lambda: tree.value(user), lambda: tree.select(user, "x")):
        with pytest.raises(NodeRefused):
            refused()
    with pytest.raises(NodeRefused, match="it offers no EditableText"):
        tree.set_text(tree.find(Query("Third", "tab")), "x")
    with pytest.raises(NodeRefused, match="these actions: click"):
        tree.select(tree.find(Query(role="page tab list")), "First")
        tree.act(tree.wait_for(Query("Start", "button")), "explode")


def test_never_tells_what_was_true_before(make, tree):
    program = make()
    query = Query("Late", "button")
    for turn in range(20):
        assert not tree.exists(query)
        program.do('late = Gtk.Button(label="Late"); grid.attach(late, 0, 9, 1, 1); show(late)')
        assert tree.find(query).sensitive
        program.do("late.set_sensitive(False)")
        assert not tree.find(query).sensitive
        program.do(f'late.set_label("Later {turn}")')
        assert not tree.exists(query)
        late = tree.find(Query(f"Later {turn}"))
        program.do("late.hide()")
        assert not tree.exists(Query(f"Later {turn}"))
        assert not tree.find(Query(f"Later {turn}", showing_only=False)).showing
        program.do("grid.remove(late); late.destroy(); late = None")
        assert not tree.exists(Query(f"Later {turn}", showing_only=False))
        with pytest.raises(NodeGone, match=f"“Later {turn}” is not there any more"):
            tree.act(late)


def test_says_why_a_button_cannot_be_used(make, tree):
    program = make()
    start = tree.find(Query("Start", "button"))
    program.do("start.set_sensitive(False)")
    with pytest.raises(NodeRefused, match="“Start”: it is there but not sensitive"):
        tree.act(start)
    with pytest.raises(NodeMissing, match="“Start” is there but not sensitive after"):
        tree.wait_for(Query("Start", "button"), "sensitive", within=0.3)
    program.do("start.hide()")
    with pytest.raises(NodeRefused, match="not showing"):
        tree.act(start)
    with pytest.raises(NodeMissing, match="“Start” is there but not showing"):
        tree.find(Query("Start", "button"))
    program.do("start.show(); start.set_sensitive(True)")
    tree.act(start)
    program.end()
    with pytest.raises(NodeGone):
        tree.act(start)
    with pytest.raises(NodeMissing, match="no button “Start”: no program of the session"):
        tree.wait_for(Query("Start", "button"), "gone")
        tree.find(Query("Start", "button"))


def test_hostile_names_are_bounded_and_whole(make, tree):
    program = make()
    name = "x" * 5000 + "'\"\\"
    program.do(f"status.set_text({name!r})")
    node = tree.find(Query(name, "label"))
    assert node.name == "x" * 1000
    for name in ("'", '"', "\\", "a\n'b\"\\n\t", "), ((':1", "\u202e\x07é😀", "[1, 2])"):
        program.do(f"status.set_text({name!r})")
        assert tree.find(Query(name, "label")).text == name


def test_a_program_that_hangs_does_not_hide_the_others(make, tree, monkeypatch):
    monkeypatch.setattr(helper, "ANSWER_WITHIN", 9.0)
    make(name="lively")
    hung = make(name="hung")
    hung.process.send_signal(signal.SIGSTOP)
    for _ in range(3):
        started = time.monotonic()
        assert tree.find(Query("Start", "button")).sensitive
    # It is known by then, and not waited for.
    assert time.monotonic() - started < helper.ANSWER_WITHIN / 2
    hung.process.send_signal(signal.SIGCONT)
    tree.wait_for(Query("Start", "button", app="hung"))


def test_dump(make, tree):
    make(many=50)
    text = tree.dump("welcome")
    assert text.startswith("application “welcome”\n  frame “Welcome”\n")
    assert "push button “Start”\n" in text
    assert tree.dump(limit=3).endswith("[... more was left out ...]\n")


def test_a_new_helper_takes_over(make, tree, channel):
    make()
    start = tree.find(Query("Start", "button"))
    channel.started[-1].process.kill()
    assert tree.refresh(start).name == "Start"


def test_the_next_session_gets_a_new_helper(tmp_path):
    channel = LocalChannel(tmp_path)
    tree = AccessibilityTree(channel, user="amnesia", default_deadline=10)
    start = Query("Start", "button")
    for number in range(2):
        home = tmp_path / str(number)
        home.mkdir()
        with graphical_session(home) as channel.env:
            program = Program(channel.env, 0, "welcome")
            tree.act(tree.wait_for(start))
            assert len(channel.started) == number + 1
        program.process.kill()
    channel.close()


def test_a_session_without_a_bus(session, tmp_path):
    none = {**session, "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/none"}
    channel = LocalChannel(tmp_path, env=none)
    with pytest.raises(TreeUnavailable, match="at-spi2-core"):
        AccessibilityTree(channel, user="amnesia").applications()
    channel.close()


def test_a_python_without_gi(session, tmp_path):
    channel = LocalChannel(tmp_path, env={**session, "PYTHONPATH": str(tmp_path)})
    (tmp_path / "gi.py").write_text('raise ImportError("No module named gi")')
    with pytest.raises(Exception, match="the image lacks python3-gi") as caught:
        AccessibilityTree(channel, user="amnesia").applications()
    assert caught.value.exit_status == 2
    assert not isinstance(caught.value, TreeHelperFailed)
    channel.close()


def test_a_look_into_300_nodes_is_fast(make, tree):
    program = make(many=280)
    program.do("notebook.set_current_page(1)")
    query = Query("Second label 150", "label")
    tree.wait_for(query)
    assert tree.dump().count("\n") > 300
    times, trivial = [], []
    for _ in range(30):
        started = time.monotonic()
        assert tree.find(query).showing
        between = time.monotonic()
        assert tree.applications()
        times.append(between - started)
        trivial.append(time.monotonic() - between)
    print(f"one look into more than 300 nodes: {min(times) * 1000:.1f} ms")
    print(f"the list of applications: {min(trivial) * 1000:.1f} ms")
    # The test only has to notice a way of asking that is ten times as slow, and not a slow host.
    assert min(times) < MOST_AGAINST_TRIVIAL * min(trivial)
