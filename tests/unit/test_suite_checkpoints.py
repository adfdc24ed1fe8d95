"""Scenarios that go on from where others got: which steps run, and what happens in trouble."""

import hashlib
import time
from xml.etree.ElementTree import ParseError

import pytest
from suite_tools import Keeper, feature, make_suite, scenario

from tailstest.core.errors import (
    CheckFailed,
    InfrastructureError,
    MachineStopped,
    SetupError,
    UsageError,
)
from tailstest.core.events import Events
from tailstest.core.verdict import Verdict
from tailstest.guest.errors import GuestRefused, GuestUnreachable
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.saved_machine import MachineLost, MachineRefused, SavedMachine
from tailstest.suite.checkpoints.at_hand import AtHand
from tailstest.suite.checkpoints.checkpoints import Checkpoints
from tailstest.suite.checkpoints.keys import keys_of
from tailstest.suite.checkpoints.savings import Costs
from tailstest.suite.checkpoints.state import CheckpointStale, SessionState
from tailstest.suite.checkpoints.store import CheckpointStore
from tailstest.suite.plan import make_plan
from tailstest.suite.repeating import Repeating
from tailstest.suite.runner import SuiteRunner
from tailstest.suite.spread.turns import turns_elsewhere

STATE = SessionState(
    wanted=None,
    image="x.iso",
    image_digest="1",
    changes={},
    layout="us",
    inside=None,
)
MACHINE = SavedMachine(
    definition=MachineDefinition(),
    xml="<domain/>",
    folder="/f",
    serial_log="/s",
    disks={},
    serial_text="",
    serial_begin=0,
    failure_texts=[],
    has_agent=False,
    is_installed=False,
)


@pytest.fixture(autouse=True)
def nothing_costs_anything(monkeypatch):
    """Measured times are tiny here, and chance."""
    for measured in ("saw_saving", "saw_waking"):
        monkeypatch.setattr(Costs, measured, lambda _costs, _seconds: None)
    monkeypatch.setattr(Costs, "are_small_beside", lambda _costs, _seconds: False)


@pytest.fixture
def long_beginnings(monkeypatch):
    """Let each beginning take so long that saving it costs next to nothing."""
    monkeypatch.setattr(Costs, "are_small_beside", lambda _costs, _seconds: True)


class Session(Keeper):
    """Stands for the session: what is said in a scenario is its machine's memory."""

    def __init__(self):
        super().__init__()
        self.what_is_set_up = STATE
        self.state_trouble = None
        self.resting, self.waking = [], []
        self.rest_trouble = None
        self.wake_troubles = []
        self.dropped = 0
        self.owned = []
        self.is_bare = True

    def begin_scenario(self, scenario_id, name):
        super().begin_scenario(scenario_id, name)
        self.is_bare = True
        self.words.append(f"[{name}]")

    @property
    def state(self):
        if self.state_trouble:
            raise self.state_trouble
        return self.what_is_set_up

    def own(self, folder):
        self.owned.append(folder.name)

    def rest(self, folder):
        if self.rest_trouble:
            raise self.rest_trouble
        self.resting.append(self.name)
        (folder / "memory").write_text("memory")
        return MACHINE

    def wake(self, state, rest):
        if self.wake_troubles and (trouble := self.wake_troubles.pop(0)):
            raise trouble
        assert state == STATE
        assert (rest.folder / "memory").read_text() == "memory"
        self.waking.append(self.name)

    def drop(self):
        self.dropped += 1


class Followed:
    """A run of a tiny suite with checkpoints; saving always pays when somebody is spared."""

    def __init__(self, suite, folder, session=None, base="base", for_later=True, **options):
        self.plan = make_plan([str(suite)])
        self.session = session or Session()
        self.events = []
        events = Events()
        events.subscribe(self.events.append)
        self.store = CheckpointStore(folder / "store", 10**9)
        self.checkpoints = Checkpoints(
            self.plan,
            self.session,
            self.store,
            events,
            base=base,
            slowness=0,
            work=folder / "work",
            for_later=for_later,
        )
        runner = SuiteRunner(
            self.plan, events, self.session, checkpoints=self.checkpoints, **options
        )
        self.result = runner.run()
        self.checkpoints.close()
        assert not (folder / "work").exists()

    @property
    def verdicts(self):
        return [self.result.verdicts[each.id] for each in self.plan.scenarios]

    def of(self, kind):
        return [event for event in self.events if type(event).__name__ == kind]

    @property
    def warnings(self):
        return [note.text for note in self.of("Noted") if note.level == "warning"]


def three(*leading, tags="", first="When I pass"):
    background = "Background:\n" + "".join(f"    {step}\n" for step in leading)
    return feature(
        background,
        tags,
        scenario("a", first, 'Then I say "A"'),
        scenario("b", 'When I say "B"'),
        scenario("c", 'When I say "C"'),
    )


LEADING = ("Given I pass", 'When I say "start"')


def test_no_step_from_another_machine_on_has_a_key(tmp_path):
    leading = ("Given I pass", 'Given another machine called "other"', "Given I pass")
    suite = make_suite(tmp_path / "suite", f=three(*leading))
    plan = make_plan([str(suite)])
    assert [len(keys_of(each, plan, "base")) for each in plan.scenarios] == [1, 1, 1]
    assert [turn.after for turn in turns_elsewhere(plan, {})][1:] == [plan.scenarios[0].id] * 2


def test_a_machine_whose_memory_is_searched_is_another_one(tmp_path):
    leading, search = "Given I pass", "Then the memory of the machine holds every secret"
    suite = make_suite(
        tmp_path / "suite",
        f=feature(
            f"Background:\n    {leading}\n",
            "",
            scenario("a", 'When I say "A"'),
            scenario("b", 'When I say "B"', search),
            scenario("c", search),
        ),
    )
    plan = make_plan([str(suite)])
    plain, searched, also = (keys_of(each, plan, "base") for each in plan.scenarios)
    assert searched == also != plain


def test_steps_behind_a_checkpoint_do_not_run_and_have_passed(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    ran = Followed(suite, tmp_path)
    assert ran.session.words == ["[a]", "start", "A", "[b]", "B", "[c]", "C"]
    assert ran.verdicts == [Verdict.PASSED] * 3
    assert ran.session.resting == ["a"]
    assert ran.session.waking == ["a", "b", "c"]
    assert ran.session.owned == ["work"]  # also if the run is killed
    assert [event.verdict for event in ran.of("StepFinished")] == ["passed"] * 10


def test_a_later_run_goes_on_from_an_earlier_ones(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    Followed(suite, tmp_path)
    again = Followed(suite, tmp_path)
    assert again.session.words == ["[a]", "A", "[b]", "B", "[c]", "C"]
    assert again.session.resting == []
    other = Followed(suite, tmp_path, base="another image")
    assert other.session.words[:3] == ["[a]", "start", "A"]


def test_what_is_damaged_is_reported_removed_and_made_anew(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    first = Followed(suite, tmp_path)
    (entry,) = first.store.entries()
    packed = first.store.folder / entry.key / "memory.zst"
    packed.write_bytes(packed.read_bytes()[:-1])
    again = Followed(suite, tmp_path)
    assert again.verdicts == [Verdict.PASSED] * 3
    assert again.session.words == ["[a]", "start", "A", "[b]", "B", "[c]", "C"]
    assert len(again.warnings) == 1
    assert "memory.zst" in again.warnings[0]
    first.store.verify(entry.key)


def test_a_bit_of_a_manifest_that_is_another_one_is_damage_too(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    first = Followed(suite, tmp_path)
    (entry,) = first.store.entries()
    file = first.store.folder / entry.key / "manifest.json"
    file.write_text(file.read_text().replace('"<domain/>"', '"=domain/>"'))
    again = Followed(suite, tmp_path)
    assert again.verdicts == [Verdict.PASSED] * 3
    assert again.session.words == ["[a]", "start", "A", "[b]", "B", "[c]", "C"]
    assert ["manifest.json" in text for text in again.warnings] == [True]
    first.store.verify(entry.key)


@pytest.mark.parametrize(
    "trouble",
    [
        CheckpointStale("old"),
        InfrastructureError("no wake"),
        MachineStopped("the machine crashed"),
        GuestRefused("no such user"),
        SetupError("nothing to copy with"),
        ParseError("not well-formed"),
    ],
)
def test_a_checkpoint_that_is_of_no_use_lets_the_scenario_start_anew(tmp_path, trouble):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    Followed(suite, tmp_path)
    session = Session()
    session.wake_troubles = [trouble]
    again = Followed(suite, tmp_path, session)
    assert again.verdicts == [Verdict.PASSED] * 3
    assert session.words[:3] == ["[a]", "start", "A"]
    assert session.dropped == 1
    assert str(trouble) in again.warnings[0]


@pytest.mark.parametrize(
    ("trouble", "stays"),
    [
        (InfrastructureError("the host is busy"), True),
        (SetupError("nothing to copy with"), True),
        (CheckpointStale("old"), False),
        (CheckFailed("what was saved cannot go on"), False),
        (ParseError("not well-formed"), False),
    ],
)
def test_a_checkpoint_whose_machine_does_not_run_on_is_not_tried_for_ever(tmp_path, trouble, stays):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    first = Followed(suite, tmp_path)
    (entry,) = first.store.entries()
    session = Session()
    session.wake_troubles = [trouble] * 2
    session.rest_trouble = InfrastructureError("disk full")
    Followed(suite, tmp_path, session)
    assert (entry.key in first.store) is stays


def test_a_machine_that_cannot_be_saved_runs_on_and_is_not_asked_again(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    session = Session()
    session.rest_trouble = InfrastructureError("disk full")
    ran = Followed(suite, tmp_path, session)
    assert ran.verdicts == [Verdict.PASSED] * 3
    assert session.words.count("start") == 3
    assert len(ran.warnings) == 1
    assert "disk full" in ran.warnings[0]


REFUSALS = [
    MachineRefused("cannot run on: error while loading state"),
    GuestUnreachable("nobody answers"),
]


@pytest.mark.parametrize("trouble", REFUSALS)
def test_a_checkpoint_that_is_refused_in_one_run_after_the_other_is_made_anew(tmp_path, trouble):
    suite = lonely(tmp_path / "suite", *ALONE, tags="@checkpoint")
    first = Followed(suite, tmp_path)
    (entry,) = first.store.entries()
    made = entry.manifest.made
    for stays in (True, False):
        session = Session()
        session.wake_troubles = [trouble]
        assert Followed(suite, tmp_path, session).verdicts == [Verdict.PASSED]
        assert session.words == ["[a]", "start"]
        (entry,) = first.store.entries()
        assert (entry.manifest.made == made) is stays
    assert Followed(suite, tmp_path).session.words == ["[a]"]


@pytest.mark.parametrize("trouble", REFUSALS)
def test_a_checkpoint_that_is_refused_now_and_then_stays(tmp_path, trouble):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    first = Followed(suite, tmp_path)
    (entry,) = first.store.entries()
    session = Session()
    session.wake_troubles = [trouble, None, trouble]
    again = Followed(suite, tmp_path, session)
    assert again.verdicts == [Verdict.PASSED] * 3
    assert len(again.warnings) == 2
    assert first.store.entries()[0].manifest == entry.manifest


class Unsavable(Session):
    """A session in which machines of some scenarios cannot be saved."""

    def __init__(self, beginning, trouble="blocked by non-migratable device 'nvme'"):
        super().__init__()
        self.beginning, self.trouble = beginning, trouble
        self.tried = []

    def rest(self, folder):
        if self.name.startswith(self.beginning):
            self.tried.append(self.name)
            raise InfrastructureError(self.trouble)
        return super().rest(folder)


def pairs(*words):
    """Return a feature with two scenarios for each of these beginnings."""
    return feature(
        *(
            scenario(f"{word} {n}", f'Given I say "{word}"', 'When I say "end"')
            for n in (1, 2)
            for word in words
        )
    )


def test_one_machine_that_cannot_be_saved_ends_it_for_what_begins_like_it_alone(tmp_path):
    suite = make_suite(tmp_path / "suite", f=pairs("nvme", "stick"))
    ran = Followed(suite, tmp_path, Unsavable("nvme"))
    assert ran.verdicts == [Verdict.PASSED] * 4
    assert ran.session.tried == ["nvme 1"]
    assert ran.session.resting == ["stick 1"]
    assert ran.session.waking == ["stick 1", "stick 2"]
    assert ["scenarios that begin like this start anew" in text for text in ran.warnings] == [True]


def test_behind_a_beginning_that_cannot_be_saved_nothing_is_tried(tmp_path):
    suite = make_suite(
        tmp_path / "suite",
        f=feature(
            scenario("nvme 1", "Given I pass", 'And I say "a"', "And I print", "When I pass"),
            scenario("nvme 2", "Given I pass", 'And I say "a"', "And I print", "When I pass"),
            scenario("nvme 3", "Given I pass", 'And I say "a"', "When I pass"),
        ),
    )
    assert Followed(suite, tmp_path, Unsavable("nvme")).session.tried == ["nvme 1"]


def test_a_host_on_which_three_machines_could_not_be_saved_is_not_asked_again(tmp_path):
    suite = make_suite(tmp_path / "suite", f=pairs(*"abcde"))
    ran = Followed(suite, tmp_path, Unsavable(""))
    assert ran.verdicts == [Verdict.PASSED] * 10
    assert ran.session.tried == ["a 1", "b 1", "c 1"]
    assert ["none will be" in text for text in ran.warnings] == [False, False, True]


def test_a_full_disk_is_not_tried_again(tmp_path):
    suite = make_suite(tmp_path / "suite", f=pairs(*"abc"))
    session = Unsavable("", "cannot be saved: Unable to write /x: No space left on device")
    ran = Followed(suite, tmp_path, session)
    assert session.tried == ["a 1"]
    assert ["none will be" in text for text in ran.warnings] == [True]


@pytest.mark.parametrize("of", ["rest_trouble", "state_trouble"])
@pytest.mark.parametrize(
    "trouble",
    [
        InfrastructureError("the clock inside cannot be read"),
        MachineStopped("the machine restarted by itself"),
        GuestRefused("no such user"),
        UsageError("the machine is switched off"),
    ],
)
def test_trouble_while_saving_is_no_verdict(tmp_path, of, trouble):
    session = Session()
    setattr(session, of, trouble)
    ran = Followed(make_suite(tmp_path / "suite", f=three(*LEADING)), tmp_path, session)
    assert ran.verdicts == [Verdict.PASSED] * 3
    assert session.words.count("start") == 3
    assert [trouble.message in text for text in ran.warnings] == [True]
    assert ran.store.entries() == []


@pytest.mark.parametrize(
    "trouble", [InfrastructureError("gone"), MachineStopped("gone"), KeyError("gone")]
)
def test_a_machine_that_was_saved_and_does_not_run_on_is_the_hosts_fault_and_once(
    tmp_path, trouble
):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    session = Session()
    session.wake_troubles = [trouble] * 9
    ran = Followed(suite, tmp_path, session)
    assert ran.verdicts == [Verdict.INCOMPLETE, Verdict.PASSED, Verdict.PASSED]
    assert ran.result.exit_status == 3
    assert session.resting == ["a"]
    assert len(session.wake_troubles) == 8
    assert session.words[-6:] == ["[b]", "start", "B", "[c]", "start", "C"]
    assert ran.store.entries() == []
    error = ran.of("ScenarioFinished")[0].error
    assert error.startswith("the machine was saved for a checkpoint and does not run on: ")
    assert "gone" in error


def test_a_machine_that_is_lost_while_it_is_saved_is_the_last_one_to_be_saved(tmp_path):
    session = Session()
    session.rest_trouble = MachineLost("no space for the stick")
    ran = Followed(make_suite(tmp_path / "suite", f=three(*LEADING)), tmp_path, session)
    assert ran.verdicts == [Verdict.INCOMPLETE, Verdict.PASSED, Verdict.PASSED]


def test_what_a_lost_machine_brings_about_later_is_still_the_hosts_fault(tmp_path):
    session = Session()
    session.rest_trouble = MachineLost("no space for the stick")
    suite = make_suite(tmp_path / "suite", f=three(*LEADING, first="When I miss the machine"))
    (suite / "steps" / "own.py").write_text(
        "from behave import when\n"
        "from tailstest.core.errors import UsageError\n"
        '@when("I miss the machine")\n'
        "def miss(context):\n"
        '    """Miss it."""\n'
        '    raise UsageError("the machine is switched off")\n'
    )
    ran = Followed(suite, tmp_path, session)
    assert ran.verdicts[0] is Verdict.INCOMPLETE
    assert ran.of("ScenarioFinished")[0].error == "no space for the stick"
    assert ran.result.exit_status == 3


def test_a_machine_that_was_stopped_and_not_saved_is_the_hosts_fault(tmp_path):
    session = Session()
    session.rest_trouble = MachineLost("no space for the stick")
    ran = Followed(make_suite(tmp_path / "suite", f=three(*LEADING)), tmp_path, session)
    assert ran.verdicts[0] is Verdict.INCOMPLETE
    assert "no space for the stick" in ran.of("ScenarioFinished")[0].error


def test_a_leading_step_that_fails_saves_nothing(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three("Given I pass", "And I fail"))
    ran = Followed(suite, tmp_path)
    assert ran.verdicts == [Verdict.FAILED] * 3


def test_what_steps_keep_for_themselves_cannot_be_saved(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three("Given I keep a thing", 'And I say "start"'))
    (suite / "steps" / "own.py").write_text(
        "from behave import given\n"
        '@given("I keep a thing")\n'
        "def keep(context):\n"
        '    """Keep."""\n'
        "    context.thing = 1\n"
    )
    ran = Followed(suite, tmp_path)
    assert ran.session.resting == []
    assert ran.session.words.count("start") == 3


def test_a_clean_up_that_a_step_registers_cannot_be_saved(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three("Given I clean up", 'And I say "start"'))
    (suite / "steps" / "own.py").write_text(
        "from behave import given\n"
        '@given("I clean up")\n'
        "def clean(context):\n"
        '    """Clean."""\n'
        "    context.add_cleanup(lambda: None)\n"
    )
    ran = Followed(suite, tmp_path)
    assert ran.session.resting == []


def test_a_session_whose_state_cannot_be_kept_saves_nothing(tmp_path):
    session = Session()
    session.what_is_set_up = None
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    assert Followed(suite, tmp_path, session).session.resting == []


def test_a_tag_forbids_and_a_tag_forces(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING, tags="@no-checkpoint"))
    ran = Followed(suite, tmp_path)
    assert ran.session.resting == ["b"]
    assert ran.session.waking == ["b", "c"]
    lonely = feature(
        "@checkpoint", scenario("a", "Given I pass", 'And I say "start"', "When I pass")
    )
    forced = Followed(make_suite(tmp_path / "lonely", f=lonely), tmp_path / "other")
    assert forced.session.resting == ["a"]


def lonely(folder, *leading, tags="", then=("When I pass",)):
    """Make a suite with one scenario."""
    return make_suite(folder, f=feature(tags, scenario("a", *leading, *then)))


ALONE = ("Given I pass", 'And I say "start"')


@pytest.mark.usefixtures("long_beginnings")
def test_a_long_beginning_that_nobody_shares_is_saved_for_later_runs(tmp_path):
    suite = lonely(tmp_path / "suite", *ALONE)
    first = Followed(suite, tmp_path)
    assert first.session.resting == ["a"]
    (entry,) = first.store.entries()
    assert entry.manifest.steps == list(ALONE)  # the last one alone
    again = Followed(suite, tmp_path)
    assert again.session.words == ["[a]"]
    assert again.session.resting == []


def test_a_short_one_is_not(tmp_path):
    assert Followed(lonely(tmp_path / "suite", *ALONE), tmp_path).session.resting == []


@pytest.mark.usefixtures("long_beginnings")
def test_a_tag_forbids_that(tmp_path):
    suite = lonely(tmp_path / "suite", *ALONE, tags="@no-checkpoint")
    assert Followed(suite, tmp_path).session.resting == []


@pytest.mark.usefixtures("long_beginnings")
def test_attempts_that_shall_prove_something_begin_anew_each_time(tmp_path):
    suite = lonely(tmp_path / "suite", *ALONE)
    three_times = Repeating(times=3)
    assert three_times.proves
    run = Followed(suite, tmp_path, for_later=False, repeating=three_times)
    assert run.session.resting == [] and run.session.words.count("start") == 3


@pytest.mark.usefixtures("long_beginnings")
def test_what_only_later_runs_need_takes_no_room_in_this_one(tmp_path, monkeypatch):
    forgotten = []
    monkeypatch.setattr(AtHand, "forget", lambda _hand, key: forgotten.append(key))
    Followed(lonely(tmp_path / "alone", *ALONE), tmp_path)
    assert len(forgotten) == 1
    Followed(make_suite(tmp_path / "suite", f=three(*LEADING)), tmp_path)
    assert len(forgotten) == 1


@pytest.mark.usefixtures("long_beginnings")
def test_where_the_store_has_vanished_nothing_is_saved_and_the_scenario_goes_on(
    tmp_path, monkeypatch
):
    def vanished(_store):
        raise FileNotFoundError("gone")

    monkeypatch.setattr(CheckpointStore, "entries", vanished)
    run = Followed(lonely(tmp_path / "suite", *ALONE), tmp_path)
    assert run.verdicts == [Verdict.PASSED] and run.session.resting == []


@pytest.mark.usefixtures("long_beginnings")
def test_a_scenario_that_is_nothing_but_its_beginning_still_does_something_in_later_runs(tmp_path):
    suite = lonely(tmp_path / "suite", *ALONE, then=())
    assert Followed(suite, tmp_path).session.resting == []


@pytest.mark.usefixtures("long_beginnings")
def test_what_only_later_runs_need_pushes_out_nothing_that_this_one_used(tmp_path, monkeypatch):
    asked = []

    def full(_store, since):
        asked.append(since)
        return False

    monkeypatch.setattr(CheckpointStore, "has_room", full)
    began = time.time()
    suite = lonely(tmp_path / "suite", *ALONE)
    assert Followed(suite, tmp_path).session.resting == []
    assert began <= asked[0] <= time.time()


OWN_STEPS = """
from behave import given

@given("I keep a list")
def keep(context):
    \"\"\"Change what a hook has made.\"\"\"
    context.things = [1]

@given("I clean up after the feature")
def clean(context):
    \"\"\"Clean.\"\"\"
    context.add_cleanup(lambda: None, layer="feature")
"""


@pytest.mark.parametrize("step", ["I keep a list", "I clean up after the feature"])
def test_what_steps_change_of_a_hooks_or_leave_for_later_cannot_be_saved(tmp_path, step):
    suite = make_suite(tmp_path / "suite", f=three(f"Given {step}", 'And I say "start"'))
    (suite / "steps" / "own.py").write_text(OWN_STEPS)
    (suite / "environment.py").write_text(
        "def before_scenario(context, scenario):\n    context.things = []\n"
    )
    ran = Followed(suite, tmp_path)
    assert ran.verdicts == [Verdict.PASSED] * 3
    assert ran.session.resting == []
    assert ran.session.words.count("start") == 3


def test_what_only_hooks_set_up_is_there_again_and_no_obstacle(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    (suite / "environment.py").write_text(
        "def before_scenario(context, scenario):\n"
        "    context.things = []\n"
        "    context.add_cleanup(lambda: None)\n"
    )
    assert Followed(suite, tmp_path).session.waking == ["a", "b", "c"]


def test_where_a_person_had_a_hand_in_it_nothing_is_saved_or_taken_up(tmp_path):
    suite = make_suite(
        tmp_path / "suite", f=three("Given I pass", 'And I say "start"', "And I fail")
    )
    ran = Followed(suite, tmp_path, on_failed_step=lambda _context, _step: True)
    assert ran.verdicts == [Verdict.PASSED] * 3
    assert ran.session.resting == []
    assert ran.store.entries() == []
    assert ran.session.words.count("start") == 3


def test_scenarios_that_part_go_on_from_where_they_part(tmp_path):
    text = feature(
        scenario("a", "Given I pass", 'And I say "start"', 'And I say "left"', "When I pass"),
        scenario("b", "Given I pass", 'And I say "start"', 'And I say "right"', "When I pass"),
        scenario("c", "Given I pass", 'And I say "start"', 'And I say "left"', 'When I say "C"'),
        scenario("d", "Given I pass", 'And I say "start"', 'And I say "right"', 'When I say "D"'),
    )
    ran = Followed(make_suite(tmp_path / "suite", f=text), tmp_path)
    words = " ".join(ran.session.words)
    assert words == "[a] start left [b] right [c] C [d] D"
    assert ran.verdicts == [Verdict.PASSED] * 4


def test_what_is_no_longer_at_hand_comes_from_the_store_again(tmp_path):
    pairs = [
        scenario(f"{time}{n}", f'Given I say "{n}"', 'And I say "start"', "When I pass")
        for time in ("first", "second")
        for n in range(5)
    ]
    ran = Followed(make_suite(tmp_path / "suite", f=feature(*pairs)), tmp_path)
    assert ran.verdicts == [Verdict.PASSED] * 10
    assert ran.session.words.count("start") == 5
    assert len(ran.session.waking) == 10


def test_a_store_that_is_full_lets_the_run_go_on_with_what_it_has(tmp_path, monkeypatch):
    def full(*_arguments):
        raise InfrastructureError("cannot store a checkpoint: No space left on device")

    monkeypatch.setattr(CheckpointStore, "publish", full)
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    ran = Followed(suite, tmp_path)
    assert ran.verdicts == [Verdict.PASSED] * 3
    assert ran.session.waking == ["a", "b", "c"]
    assert ["No space left" in text for text in ran.warnings] == [True]


def test_one_that_cannot_even_be_opened_lets_the_scenarios_start_anew(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    first = Followed(suite, tmp_path)
    (entry,) = first.store.entries()
    lock = first.store.folder / entry.key / "lock"
    lock.unlink()
    lock.mkdir()
    again = Followed(suite, tmp_path)
    assert again.verdicts == [Verdict.PASSED] * 3
    assert again.session.words.count("start") == 3
    assert all("of no use" in text for text in again.warnings)


def test_a_checkpoint_of_another_version_is_removed_and_made_anew(tmp_path):
    suite = make_suite(tmp_path / "suite", f=three(*LEADING))
    first = Followed(suite, tmp_path)
    (entry,) = first.store.entries()
    file = first.store.folder / entry.key / "manifest.json"
    data = file.read_bytes().replace(b'"inside"', b'"what_is_inside"')
    file.write_bytes(data)
    file.with_suffix(".sha256").write_text(f"{hashlib.sha256(data).hexdigest()}  {file.name}\n")
    again = Followed(suite, tmp_path)
    assert again.verdicts == [Verdict.PASSED] * 3
    assert again.session.resting == ["a"]
    assert ["cannot be understood" in text for text in again.warnings] == [True]


def hooked(folder, hook, *leading, tags="", own=""):
    """Make a suite with a hook before each scenario, of which the second has tags."""
    text = feature(
        "Background:\n" + "".join(f"    {step}\n" for step in leading),
        scenario("a", 'When I say "A"'),
        tags,
        scenario("b", 'When I say "B"'),
        scenario("c", 'When I say "C"'),
        scenario("d", 'When I say "D"'),
    )
    suite = make_suite(folder, f=text)
    (suite / "environment.py").write_text(hook)
    (suite / "steps" / "own.py").write_text(own)
    return suite


SET_UP = """
def before_scenario(context, scenario):
    if "uefi" in scenario.effective_tags:
        context.test.is_bare = False
"""


def test_where_a_hook_sets_something_up_a_checkpoint_would_not_have_it(tmp_path):
    ran = Followed(hooked(tmp_path / "suite", SET_UP, *LEADING, tags="@uefi"), tmp_path)
    assert ran.session.words == ["[a]", "start", "A", "[b]", "start", "B", "[c]", "C", "[d]", "D"]
    assert ran.session.waking == ["a", "c", "d"]
    assert ran.session.dropped == 0


def test_what_a_hook_sets_up_is_in_no_checkpoint_and_is_told_once(tmp_path):
    always = SET_UP.replace('"uefi" in', '"uefi" not in')
    ran = Followed(hooked(tmp_path / "suite", always, *LEADING), tmp_path)
    assert ran.session.resting == ran.session.waking == []
    assert ran.session.words.count("start") == 4
    told = [note.text for note in ran.of("Noted") if "before the first step" in note.text]
    assert len(told) == 1


def test_what_is_set_up_where_no_step_leads_is_not_worth_a_word(tmp_path):
    suite = make_suite(tmp_path / "suite", f=feature(scenario("a", "When I pass")))
    (suite / "environment.py").write_text(SET_UP.replace('"uefi" in', '"uefi" not in'))
    assert Followed(suite, tmp_path).of("Noted") == []


CHANGE = """
from behave import given

@given("I change what the hook made")
def change(context):
    \"\"\"Change it.\"\"\"
    {change}
"""


@pytest.mark.parametrize(
    ("made", "change"),
    [
        ("[]", "context.things.append(1)"),
        ("[1, 2]", "context.things[0] = 2"),
        ("{}", "context.things['a'] = 1"),
        ("{'a': 1}", "context.things['a'] = 2"),
        ("set()", "context.things.add(1)"),
        ("{'a': [{}]}", "context.things['a'][0]['b'] = 1"),
        ("([],)", "context.things[0].append(1)"),
    ],
)
@pytest.mark.parametrize("hook", ["before_scenario", "before_feature", "before_all"])
def test_what_a_step_puts_into_what_a_hook_made_cannot_be_saved(tmp_path, hook, made, change):
    suite = hooked(
        tmp_path / "suite",
        f"def {hook}(context, *_which):\n    context.things = {made}\n",
        "Given I change what the hook made",
        'And I say "start"',
        own=CHANGE.format(change=change),
    )
    ran = Followed(suite, tmp_path)
    assert ran.verdicts == [Verdict.PASSED] * 4
    assert ran.session.resting == []
    assert ran.session.words.count("start") == 4


def test_what_a_hook_made_and_no_step_changed_is_no_obstacle_whatever_it_is(tmp_path):
    hook = """
class Odd:
    def __eq__(self, other):
        raise ValueError("the truth of this is not known")
    def __repr__(self):
        raise ValueError("nor what it looks like")
    def __deepcopy__(self, memo):
        raise ValueError("and there is one only")
    __hash__ = object.__hash__

def before_scenario(context, scenario):
    context.things = [Odd(), {"odd": Odd()}, {Odd(), Odd()}, list(range(1_000_000))]
    context.things.append(context.things)
"""
    ran = Followed(hooked(tmp_path / "suite", hook, *LEADING), tmp_path)
    assert ran.verdicts == [Verdict.PASSED] * 4
    assert ran.session.waking == ["a", "b", "c", "d"]
