"""The accessibility tree against helpers that behave and helpers that do not."""

import json
import re
import time

import pytest
from accessibility_tools import LocalChannel

from tailstest.core.errors import CheckFailed, InfrastructureError, SetupError, UsageError
from tailstest.core.geometry import Region
from tailstest.guest.accessibility import helper as helper_module
from tailstest.guest.accessibility.errors import (
    NodeGone,
    NodeMissing,
    NodeRefused,
    TreeHelperFailed,
    TreeUnavailable,
)
from tailstest.guest.accessibility.node import Node
from tailstest.guest.accessibility.query import Query
from tailstest.guest.accessibility.roles import PLAIN_WORDS, roles_of
from tailstest.guest.accessibility.tree import AccessibilityTree
from tailstest.guest.accessibility.tree_helper import ROLES, STATES, VERSION
from tailstest.guest.errors import GuestPathMissing, GuestRefused, GuestUnreachable

HELLO = {"hello": "tailstest-tree", "version": VERSION, "pid": 1}
START = {
    "handle": ":1.5/org/a11y/atspi/accessible/7",
    "role": "push button",
    "name": "Start",
    "description": "",
    "text": None,
    "states": ["sensitive", "showing"],
    "place": [10, 20, 30, 40],
    "actions": ["click"],
}
NEAR = {
    "hidden": [],
    "names": [["push button", "Start"], ["push button", "Shut down"]],
    "windows": ["Welcome", "About"],
    "applications": ["welcome", "panel"],
}


def found(*nodes, cut=False, problems=()):
    return {"nodes": list(nodes), "cut": cut, "problems": list(problems)}


def program(answers, hello=HELLO, counter=None):
    """Return a helper that answers each op with a fixed text; the n-th time with the n-th one.

    A list holds answers in turn, the last one for ever; {"exit": 1} ends the helper instead, and
    {"raw": text} is written as it is. With a file `counter`, turns go on in the next helper.
    """
    return f"""
import json, os, sys
answers, counter = json.loads({json.dumps(json.dumps(answers))}), {counter and str(counter)!r}
print({json.dumps(json.dumps(hello))}, flush=True)
turns = json.load(open(counter)) if counter and os.path.exists(counter) else {{}}
for line in sys.stdin:
    request = json.loads(line)
    op = request["op"]
    turn = turns.get(op, 0)
    turns[op] = turn + 1
    if counter:
        json.dump(turns, open(counter, "w"))
    answer = answers[op]
    if isinstance(answer, list):
        answer = answer[min(turn, len(answer) - 1)]
    if "exit" in answer:
        sys.stderr.write("the helper's last words")
        sys.exit(answer["exit"])
    print(answer["raw"] if "raw" in answer else json.dumps({{"id": request["id"], **answer}}))
    sys.stdout.flush()
"""


@pytest.fixture
def tree_of(tmp_path):
    """Return a function that makes a tree over a helper made of answers."""
    channels = []

    def make(answers, piece=1 << 16, **more):
        source = answers if isinstance(answers, str) else program(answers, **more)
        channels.append(LocalChannel(tmp_path, source, piece))
        tree = AccessibilityTree(channels[-1], user="amnesia", default_deadline=0.5)
        tree.channel = channels[-1]
        return tree

    yield make
    for channel in channels:
        channel.close()


def test_finds_a_node_however_the_answer_is_cut(tree_of):
    node = tree_of({"find": {"result": found(START)}}, piece=3).find(Query("Start", "button"))
    assert node.place == Region(10, 20, 30, 40)
    assert (node.name, node.role, node.text, node.actions) == (
        "Start",
        "push button",
        None,
        ("click",),
    )
    assert node.showing and node.sensitive
    assert str(node) == "push button “Start”"


def test_one_helper_answers_everything(tree_of):
    tree = tree_of(
        {
            "find": {"result": found(START)},
            "applications": {"result": ["welcome"]},
            "act": {"result": True},
            "set_text": {"result": True},
            "select": {"result": True},
            "focus": {"result": True},
            "text": {"result": "héllo"},
            "value": {"result": [2, 0, 10.5]},
            "node": {"result": START},
        }
    )
    node = tree.find(Query("Start"))
    assert tree.applications() == ["welcome"]
    assert tree.exists(Query("Start"))
    assert tree.find_all(Query(role="button")) == [node]
    tree.act(node)
    tree.set_text(node, "x")
    tree.select(node, "Deutsch")
    tree.focus(node)
    assert tree.text(node) == "héllo"
    assert tree.value(node) == 2.0
    assert tree.refresh(node) == node
    assert len(tree.channel.started) == 1
    tree.close()
    tree.find(Query("Start"))
    assert len(tree.channel.started) == 2


def test_a_miss_names_what_is_there_most_similar_first(tree_of):
    tree = tree_of({"find": {"result": found()}, "near": {"result": NEAR}})
    with pytest.raises(
        NodeMissing, match=re.escape("no push button “Strat”; there are: “Start”, ")
    ):
        tree.find(Query("Strat", "push button"))
    with pytest.raises(CheckFailed, match="no such application; there are: “welcome”, “panel”"):
        tree.find(Query("Start", app="welcom"))


def test_a_session_without_programs(tree_of):
    near = {"hidden": [], "names": [], "windows": [], "applications": []}
    tree = tree_of({"find": {"result": found()}, "near": {"result": near}})
    with pytest.raises(NodeMissing, match="no program of the session offers"):
        tree.find(Query("Start"))


def test_a_miss_tells_of_a_node_that_is_hidden(tree_of):
    hidden = {**START, "states": [], "place": None}
    tree = tree_of({"find": {"result": found()}, "near": {"result": {**NEAR, "hidden": [hidden]}}})
    with pytest.raises(NodeMissing, match="is there but not showing, and not sensitive"):
        tree.find(Query("Start"))


def test_a_miss_shows_no_control_characters(tree_of):
    near = {**NEAR, "names": [["push button", "\x1b[31mSta\u202ert\n\ud800"]]}
    tree = tree_of({"find": {"result": found()}, "near": {"result": near}})
    with pytest.raises(NodeMissing) as caught:
        tree.find(Query("Start", "button"))
    assert "Sta\\u202ert \\ud800" in str(caught.value)
    str(caught.value).encode()


def test_a_node_that_is_gone(tree_of):
    tree = tree_of(
        {
            "find": {"result": found(START)},
            "act": {"error": {"code": "stale", "message": "it is gone"}},
        }
    )
    with pytest.raises(NodeGone, match="push button “Start” is not there any more"):
        tree.act(tree.find(Query("Start")))
    assert len(tree.channel.started) == 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("not_sensitive", "there but not sensitive"),
        ("not_showing", "there but not showing"),
        ("no_child", "no child of this name"),
        ("no_action", "no such action; it has these"),
        ("unable", "cannot do this: it has these"),
    ],
)
def test_a_node_that_refuses(tree_of, code, text):
    answer = {"error": {"code": code, "message": "it has these"}}
    tree = tree_of({"find": {"result": found(START)}, "select": answer})
    with pytest.raises(NodeRefused, match=f"“Start”: it.*{text}"):
        tree.select(tree.find(Query("Start")), "x")


def test_an_action_that_is_not_done(tree_of):
    tree = tree_of({"find": {"result": found(START)}, "act": {"result": False}})
    with pytest.raises(NodeRefused, match="would not do 'click'"):
        tree.act(tree.find(Query("Start")))


LIES = [
    "",
    "not json",
    "[" * 100_000,
    "null",
    "[]",
    '{"id": true, "result": {}}',
    '{"id": 99, "result": {}}',
    '{"id": "1", "result": {}}',
    '{"id": 1}',
    '{"id": 1, "error": "x"}',
    '{"id": 1, "error": {"code": 5, "message": ""}}',
    '{"id": 1, "error": {"code": "odd", "message": "x"}}',
    '{"id": 1, "result": {"nodes": 3}}',
    '{"id": 1, "result": {"nodes": [3]}}',
    '{"id": 1, "result": {"nodes": [{}, {}]}}',
    *(
        json.dumps({"id": 1, "result": {"nodes": [{**START, **lie}]}})
        for lie in (
            {"handle": 1},
            {"role": None},
            {"name": "x" * 1001},
            {"text": "x" * 10_001},
            {"text": False},
            {"states": "showing"},
            {"states": ["x"] * 100},
            {"states": [1]},
            {"place": [1, 2, 3]},
            {"place": [1, 2, 3, 4.5]},
            {"place": [1, 2, 3, 2**40]},
            {"place": "x"},
            {"actions": [["click"]]},
            {"actions": ["x"] * 1000},
        )
    ),
    '{"id": 1, "result": {"nodes": [{"place": [' + "9" * 5000 + "]}]}}",
]


@pytest.mark.parametrize("lie", LIES, ids=range(len(LIES)))
def test_a_lying_helper_gives_one_clear_error(tree_of, lie):
    tree = tree_of({"find": {"raw": lie}})
    with pytest.raises(TreeHelperFailed, match="accessibility helper") as caught:
        tree.find(Query("Start"))
    assert isinstance(caught.value, InfrastructureError)


@pytest.mark.parametrize(
    "hello", [{}, [], 3, {"hello": "x"}, {"hello": "tailstest-tree", "version": 1}, {"error": 1}]
)
def test_a_helper_that_greets_wrongly(tree_of, hello):
    with pytest.raises(TreeHelperFailed):
        tree_of({}, hello=hello).applications()


def test_a_line_without_end_is_refused(tree_of, monkeypatch):
    monkeypatch.setattr(helper_module, "MAX_LINE", 1 << 20)
    tree = tree_of("import sys\nwhile True: sys.stdout.write('x' * 65536)")
    with pytest.raises(TreeHelperFailed, match="a line above"):
        tree.applications()


def test_a_silent_helper_does_not_hang_us(tree_of, monkeypatch):
    monkeypatch.setattr(helper_module, "START_WITHIN", 0.5)
    tree = tree_of("import time; time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(TreeHelperFailed, match="did not answer within"):
        tree.applications()
    assert time.monotonic() - started < 40  # the helper would sleep longer
    assert tree.channel.started[0].process.wait(40) != 0


def test_after_nonsense_a_new_helper_is_asked(tree_of, tmp_path):
    answers = {"applications": [{"raw": "nonsense"}, {"result": ["welcome"]}]}
    tree = tree_of(answers, counter=tmp_path / "turns")
    with pytest.raises(TreeHelperFailed):
        tree.applications()
    assert tree.applications() == ["welcome"]
    assert len(tree.channel.started) == 2


def test_a_look_survives_the_death_of_the_helper(tree_of, tmp_path):
    answers = {"applications": [{"exit": 1}, {"result": ["welcome"]}]}
    tree = tree_of(answers, counter=tmp_path / "turns")
    assert tree.applications() == ["welcome"]
    assert len(tree.channel.started) == 2


def test_a_helper_that_died_between_two_questions_is_replaced(tree_of):
    tree = tree_of({"find": {"result": found(START)}, "act": {"result": True}})
    node = tree.find(Query("Start"))
    tree.channel.started[0].process.kill()
    tree.channel.started[0].ended = True
    tree.act(node)
    assert len(tree.channel.started) == 2


def test_a_guest_that_was_rebooted_gets_a_new_helper(tree_of):
    def unreachable(data):
        raise GuestUnreachable("the agent in the guest was restarted")

    tree = tree_of({"find": {"result": found(START)}})
    node = tree.find(Query("Start"))
    tree.channel.started[0].send = unreachable
    with pytest.raises(TreeHelperFailed, match="agent in the guest was restarted"):
        tree.act(node)
    tree.find(Query("Start"))
    tree.channel.started[1].send = unreachable
    assert tree.find(Query("Start")) == node
    assert len(tree.channel.started) == 3


def test_a_helper_that_always_dies_is_told_with_its_last_words(tree_of):
    tree = tree_of({"applications": {"exit": 3}})
    with pytest.raises(TreeHelperFailed, match=r"status 3[\s\S]*the helper's last words"):
        tree.applications()
    assert len(tree.channel.started) == 2


def test_an_action_is_never_done_twice(tree_of):
    tree = tree_of({"find": {"result": found(START)}, "act": {"exit": 1}})
    node = tree.find(Query("Start"))
    with pytest.raises(TreeHelperFailed):
        tree.act(node)
    assert len(tree.channel.started) == 1


def test_a_helper_is_replaced_before_it_has_said_too_much(tree_of, monkeypatch):
    monkeypatch.setattr(helper_module, "MAX_OUTPUT", helper_module.MAX_LINE + 500)
    tree = tree_of({"find": {"result": found(START)}})
    for _ in range(4):
        tree.find(Query("Start"))
    assert len(tree.channel.started) == 4 // 2


def test_what_the_image_lacks(tree_of, monkeypatch):
    tree = tree_of({}, hello={"error": {"code": "no_gi", "message": "No module named 'gi'"}})
    with pytest.raises(SetupError, match="python3-gi"):
        tree.applications()
    tree = tree_of({}, hello={"error": {"code": "no_bus", "message": "no org.a11y.Bus"}})
    with pytest.raises(TreeUnavailable, match="at-spi2-core"):
        tree.applications()
    tree.channel.refusal = GuestPathMissing("/usr/bin/python3")
    with pytest.raises(SetupError, match="has no /usr/bin/python3"):
        tree.applications()


def test_waits(tree_of):
    grey = {**START, "states": ["showing"]}
    turns = [found(), found(grey), found(grey), found(START)]
    tree = tree_of({"find": [{"result": turn} for turn in turns]})
    assert tree.wait_for(Query("Start"), "sensitive", within=60).sensitive
    turns = [found(START), found(START), found()]
    tree = tree_of({"find": [{"result": turn} for turn in turns]})
    assert tree.wait_for(Query("Start"), "gone", within=60) is None


def test_a_program_that_hangs_does_not_count_as_gone(tree_of):
    hung = {"result": found(problems=["Files", "pan\x1b[1mel"])}
    tree = tree_of({"find": hung})
    with pytest.raises(TreeUnavailable, match=r"no button “Start”.* “Files”, “panel”") as caught:
        tree.wait_for(Query("Start", "button"), "gone", within=0.2)
    assert isinstance(caught.value, CheckFailed)
    assert "screen" in caught.value.hint
    with pytest.raises(TreeUnavailable, match="“Files”"):
        tree.exists(Query("Start"))
    one = tree_of({"find": [{"result": found(problems=["Files"])}, {"result": found()}]})
    assert one.wait_for(Query("Start"), "gone", within=60) is None
    # What was found is there, whoever else hangs.
    assert tree_of({"find": {"result": found(START, problems=["x"])}}).exists(Query("Start"))
    assert not tree_of({"find": {"result": found()}}).exists(Query("Start"))


def test_a_tree_that_was_too_large_to_look_through_says_nothing_of_what_is_gone(tree_of):
    tree = tree_of({"find": {"result": found(cut=True)}})
    with pytest.raises(TreeUnavailable, match="more than 20000 nodes") as caught:
        tree.wait_for(Query("Start"), "gone", within=0.2)
    assert caught.value.hint == ""


def test_that_something_is_gone_is_never_said_from_memory(tree_of):
    source = program({"find": {"result": found()}}).replace(
        'op = request["op"]', 'op = request["op"]\n    if request["waiting"]: sys.exit(5)'
    )
    assert tree_of(source).wait_for(Query("Start"), "gone", within=60) is None


def test_waits_that_end_in_vain(tree_of):
    grey = {**START, "states": ["showing"]}
    tree = tree_of({"find": {"result": found(grey)}, "near": {"result": NEAR}})
    with pytest.raises(NodeMissing, match="push button “Start” is there but not sensitive after"):
        tree.wait_for(Query("Start"), "sensitive", within=0.2)
    with pytest.raises(NodeMissing, match="“Start” is still there"):
        tree.wait_for(Query("Start"), "gone", within=0.2)
    tree = tree_of({"find": {"result": found()}, "near": {"result": NEAR}})
    with pytest.raises(NodeMissing, match="after 0 seconds: no button “Strat”; there are: “Start”"):
        tree.wait_for(Query("Strat", "button"), within=0.2)


def twin(number, *, x=10, states=("sensitive", "showing")):
    return {**START, "handle": str(number), "place": [x, 20, 30, 40], "states": list(states)}


def test_c45_one_that_can_be_used_is_found_although_another_is_greyed_out(tree_of):
    both = found(twin(1, states=["showing"]), twin(2, x=90))
    tree = tree_of({"find": {"result": both}, "near": {"result": NEAR}})
    assert tree.wait_for_one(Query("Start"), "sensitive", within=60).handle == "2"


def test_c45_several_that_can_be_used_are_told_apart_by_the_author(tree_of):
    tree = tree_of({"find": {"result": found(twin(1), twin(2, x=90))}, "near": {"result": NEAR}})
    with pytest.raises(
        UsageError, match=r"button “Start” is on the desktop 2 times.*10.*90"
    ) as told:
        tree.wait_for_one(Query("Start", "button"), "sensitive", within=30)
    assert "in the window" in told.value.hint
    same = found(twin(1), twin(2))
    tree = tree_of({"find": {"result": same}, "near": {"result": NEAR}})
    assert tree.wait_for_one(Query("Start"), "sensitive", within=60)


def test_two_for_a_moment_while_one_window_follows_another_are_no_twins(tree_of):
    both, one = {"result": found(twin(1), twin(2, x=90))}, {"result": found(twin(2, x=90))}
    tree = tree_of({"find": [both, both, one], "near": {"result": NEAR}})
    assert tree.wait_for_one(Query("Start"), "sensitive", within=30).handle == "2"


def test_who_waits_for_one_in_vain_is_told_how_it_is(tree_of):
    grey = found(twin(1, states=["showing"]))
    tree = tree_of({"find": {"result": grey}, "near": {"result": NEAR}})
    with pytest.raises(NodeMissing, match="“Start” is there but not sensitive after"):
        tree.wait_for_one(Query("Start"), "sensitive", within=0.2)
    tree = tree_of({"find": {"result": found()}, "near": {"result": NEAR}})
    missing = "no button “Start” in the window “Wel”; there are: “Start”"
    with pytest.raises(NodeMissing, match=missing):
        tree.wait_for_one(Query("Start", "button", window="Wel"), "sensitive", within=0.2)
    with pytest.raises(NodeMissing, match="no such window; there are: “Welcome”, “About”"):
        tree.wait_for_one(Query("Start", "button", window="Welt"), "sensitive", within=0.2)
    with pytest.raises(UsageError, match="any window"):
        Query("Start", window="")


def test_a_wait_waits_for_the_session_and_then_tells_that_there_is_none(tree_of):
    tree = tree_of({"find": {"result": found(START)}})
    tree.channel.refusal = GuestRefused("user amnesia has no graphical session")
    with pytest.raises(GuestRefused, match="no graphical session"):
        tree.wait_for(Query("Start"), within=0.3)
    turn = iter([tree.channel.refusal, tree.channel.refusal, None])
    real = tree.channel.start

    def start(*args, **more):
        tree.channel.refusal = next(turn)
        return real(*args, **more)

    tree.channel.start = start
    assert tree.wait_for(Query("Start"), within=60).name == "Start"


def test_a_watch_ends_a_wait(tree_of):
    tree = tree_of({"find": {"result": found()}})
    stopped = AccessibilityTree(tree.channel, user="amnesia", watches=[lambda: 1 / 0])
    with pytest.raises(ZeroDivisionError):
        stopped.wait_for(Query("Start"), within=60)


def test_dump(tree_of):
    lines = [
        [0, "application", "welcome", "", []],
        [1, "frame", "Wel\x1b[1mcome\n", "about", ["showing", "sensitive"]],
        [2, "push button", "", "", ["focused"]],
    ]
    answer = {"lines": lines, "cut": True, "problems": ["hung"]}
    assert tree_of({"dump": {"result": answer}}).dump() == (
        "application “welcome”\n"
        "  frame “Welcome” (“about”)\n"
        "    push button [not showing] [not sensitive] [focused]\n"
        "[the application “hung” does not answer]\n"
        "[... more was left out ...]\n"
    )
    with pytest.raises(UsageError):
        tree_of({}).dump(limit=10**9)


def test_roles():
    assert "toggle button" in roles_of("button")
    assert roles_of("Push-Button") == ("push button",)
    assert set(roles_of("entry")) == {"text", "entry", "password text"}
    assert {"frame", "window", "dialog"} <= set(roles_of("window"))
    assert all(role in ROLES for roles in PLAIN_WORDS.values() for role in roles)
    with pytest.raises(UsageError, match="did you mean 'button'"):
        Query("Start", "buton")
    assert (ROLES[43], ROLES[75], ROLES[129]) == ("push button", "application", "push button menu")
    assert (STATES[24], STATES[25], STATES[43]) == ("sensitive", "showing", "read only")


def test_queries():
    query = Query(any_of_names=("Start", "Démarrer"), role="button", app="x", index=1)
    assert str(query) == "button “Start” or “Démarrer” of the application “x” (number 2)"
    assert query.to_request()["names"] == ["Start", "Démarrer"]
    for wrong in ({"name_regex": "("}, {"index": -1}, {"name": "a", "any_of_names": ("b",)}):
        with pytest.raises(UsageError):
            Query(**wrong)
    with pytest.raises(UsageError, match="did you mean 'sensitive'"):
        AccessibilityTree(None, user="x").wait_for(Query("x"), "sensitiv")


def test_a_node_without_a_name():
    node = Node("h", "panel", "", "", None, frozenset(), None, ())
    assert str(node) == "panel without a name"
