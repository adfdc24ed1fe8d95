"""Features in, verdicts and events out; the cases C01 to C19 of Gherkin in practice."""

import os

import pytest
from suite_tools import Ran, feature, make_suite, scenario

from tailstest.core.errors import UsageError
from tailstest.core.verdict import Verdict
from tailstest.suite.plan import make_plan


def test_c01_escapes_in_table_cells_are_decoded(tmp_path):
    text = feature(
        scenario(
            "s",
            "Given I have a table",
            r"| a | b |",
            r"| x\|y | line\nbreak |",
            r"| back\\slash |  |",
        )
    )
    ran = Ran([make_suite(tmp_path, x=text)])
    assert ran.keeper.words == ["x|y", "line\nbreak", "back\\slash", ""]
    (started,) = ran.of("StepStarted")
    assert started.table[1] == ["x|y", "line\nbreak"]


def test_c01_escapes_in_examples_reach_the_step(tmp_path):
    text = feature(
        "Scenario Outline: o", '  Given I say "<w>"', "  Examples:", "  | w |", r"  | a\|b\\n |"
    )
    assert Ran([make_suite(tmp_path, x=text)]).keeper.words == ["a|b\\n"]


def test_c03_a_broken_file_is_named_and_the_others_run(tmp_path):
    suite = make_suite(
        tmp_path,
        good=feature(scenario("good", "Given I pass")),
        martian="# language: martian\nFeature: f\n",
        german="  #  language  :   de\nFunktionalität: f\n"
        "  Szenario: deutsch\n    Angenommen I pass\n",
        empty="",
        broken="Feature: f\n  Scenario: s\n    | a table | without a step |\n",
    )
    ran = Ran([suite])
    assert ran.verdicts == {"deutsch": Verdict.PASSED, "good": Verdict.PASSED, "s": Verdict.ERRORED}
    problems = "\n".join(ran.plan.problems)
    assert 'features/martian.feature:1: there is no Gherkin language "martian"' in problems
    assert "features/empty.feature:1" in problems
    assert "features/broken.feature:2: the scenario has no steps" in problems
    assert ran.result.exit_status == 2


def test_c03_other_encodings_are_named_with_their_byte_and_a_bom_is_accepted(tmp_path):
    suite = make_suite(tmp_path, good=feature(scenario("good", "Given I pass")))
    latin = suite / "features" / "latin.feature"
    latin.write_bytes("Feature: Müsli\n".encode("latin-1"))
    bom = suite / "features" / "bom.feature"
    bom.write_bytes(b"\xef\xbb\xbf" + feature(scenario("with bom", "Given I pass")).encode())
    ran = Ran([suite])
    assert set(ran.verdicts) == {"good", "with bom"}
    assert "features/latin.feature:1: not UTF-8 (byte 10 is 0xfc)" in ran.plan.problems[0]


def test_c04_a_comment_after_a_tag_is_no_tag(tmp_path):
    suite = make_suite(
        tmp_path,
        x="Feature: f\n  @fragile # waits for ticket 123\n  Scenario: a\n    Given I pass\n"
        "  Scenario: b\n    Given I pass\n",
    )
    assert set(Ran([suite], tags="@fragile").verdicts) == {"a"}
    ran = Ran([suite], tags="not @fragile")
    assert set(ran.verdicts) == {"b"}
    assert [(each.name, bool(why)) for each, why in ran.plan.excluded] == [("a", True)]
    assert make_plan([str(suite)]).scenarios[0].tags == ["fragile"]


OUTLINE = feature(
    "Scenario Outline: speaks <language>",
    '  Given I say "<language>"',
    "  Examples: languages",
    "  | language |",
    "  | German   |",
    "  # | Hindi  |",
    "  # is left out for now",
    "  | Turkish  |",
)


def test_c05_commented_rows_do_not_run_and_lines_stay_right(tmp_path):
    suite = make_suite(tmp_path, x=OUTLINE)
    plan = make_plan([str(suite)])
    assert [(each.name, each.line) for each in plan.scenarios] == [
        ("speaks German", 6),
        ("speaks Turkish", 9),
    ]
    ran = Ran([f"{suite / 'features' / 'x.feature'}:9"])
    assert ran.keeper.words == ["Turkish"]


def test_c06_an_empty_cell_reaches_the_step_as_empty_text(tmp_path):
    text = feature(
        "Scenario Outline: o",
        '  Given I say "<pw>"',
        "  Examples:",
        "  | pw |",
        "  |    |",
        "  | asdf ! |",
    )
    ran = Ran([make_suite(tmp_path, x=text)])
    assert ran.keeper.words == ["", "asdf !"]
    assert set(ran.verdicts.values()) == {Verdict.PASSED}


def test_c06_an_empty_cell_at_the_end_of_an_undefined_step_is_named(tmp_path):
    text = feature(
        "Scenario Outline: o",
        "  Given I say <pw>",
        "  Examples:",
        "  | pw |",
        "  |    |",
    )
    plan = make_plan([str(make_suite(tmp_path, x=text))])
    assert "(<pw> is empty in the row at line 6)" in plan.problems[0]


def test_c06_an_empty_cell_between_other_words_reaches_the_step(tmp_path):
    text = feature(
        "Scenario Outline: o",
        "  Given I say '<a>' and <b> too",
        "  Examples:",
        "  | a | b |",
        "  |   | x |",
        "  | y |   |",
    )
    suite = make_suite(tmp_path, x=text)
    (suite / "steps" / "two.py").write_text(
        "from behave import step\n@step(\"I say '{a}' and {b} too\")\n"
        "def say_two(context, a, b):\n    context.test.words += [a, b]\n"
    )
    assert Ran([suite]).keeper.words == ["", "x", "y", ""]


def test_an_examples_column_that_stands_twice_is_a_problem(tmp_path):
    text = feature(
        "Scenario Outline: o", '  Given I say "<a>"', "  Examples: e", "  | a | a |", "  | 1 | 2 |"
    )
    plan = make_plan([str(make_suite(tmp_path, x=text))])
    assert plan.problems == [
        'features/x.feature:5: the Examples "e" have the column "a" more than once'
    ]


def test_a_feature_without_scenarios_is_a_problem_that_counts(tmp_path):
    suite = make_suite(tmp_path, x=feature(scenario("s", "Given I pass")), y="Feature: empty\n")
    ran = Ran([suite])
    assert ran.plan.problems == ["features/y.feature:1: the feature has no scenario"]
    assert ran.result.exit_status == 2


def test_what_is_tagged_skip_runs_only_when_asked_for(tmp_path):
    text = feature("@skip", scenario("broken", "Given I fail"), scenario("fine", "Given I pass"))
    suite = make_suite(tmp_path, x=text)
    ran = Ran([suite])
    assert ran.verdicts == {"fine": Verdict.PASSED}
    assert [reason for _, reason in ran.plan.excluded] == ["tagged @skip"]
    assert Ran([suite], tags="@skip").verdicts == {"broken": Verdict.FAILED}
    with pytest.raises(UsageError, match="to run what is tagged @skip"):
        make_plan([str(suite)], name="broken")


def test_a_testers_own_private_characters_stay(tmp_path):
    words = "\ue000 \ue001 \ue002"
    text = feature("Scenario: s", "  Given I have a table", f"    | {words} |", f"    | {words} |")
    assert Ran([make_suite(tmp_path, x=text)]).keeper.words == [words]


def test_c06_examples_without_rows_are_a_problem_that_counts(tmp_path):
    text = feature(
        scenario("s", "Given I pass"), "Scenario Outline: o", "  Given I pass", "  Examples: later"
    )
    ran = Ran([make_suite(tmp_path, x=text)])
    assert 'the Examples "later" have no rows' in ran.plan.problems[0]
    assert ran.result.exit_status == 2


TAGGED = """Feature: f
  @slow
  Scenario: slow
    Given I pass
  @file-test_1
  Scenario: one
    Given I pass
  @file-test_2 @slow
  Scenario: two
    Given I pass
  @network
  Rule: r
    Scenario: ruled
      Given I pass
"""


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        ("not @slow", {"one", "ruled"}),
        ("@file-test*", {"one", "two"}),
        ("@network and not @slow", {"ruled"}),
        ("@slow or @network", {"slow", "two", "ruled"}),
    ],
)
def test_c08_tag_expressions_select(tmp_path, tags, names):
    suite = make_suite(tmp_path, x=TAGGED)
    ran = Ran([suite], tags=tags)
    assert set(ran.verdicts) == names
    assert tags in ran.plan.event().selection


@pytest.mark.parametrize(
    "tags", ["-slow", "~@slow", "@a,@b", "@a and -b", "not", "(@a", "@a @b", "a b"]
)
def test_c08_old_and_wrong_expressions_are_refused(tmp_path, tags):
    suite = make_suite(tmp_path, x=TAGGED)
    with pytest.raises(UsageError, match="tag expression"):
        make_plan([str(suite)], tags=tags)


@pytest.mark.parametrize("name", ["Démarrage", "キー", "Přihlášení", "ends 🙂"])
def test_c09_names_in_any_script_select_exactly(tmp_path, name):
    names = ["Démarrage", "キー", "Přihlášení", "ends 🙂", "ends 🙃"]
    text = feature(*(scenario(each, "Given I pass") for each in names))
    ran = Ran([make_suite(tmp_path, x=text)], name=name)
    assert set(ran.verdicts) == {name}
    assert ran.of("ScenarioStarted")[0].name == name


@pytest.mark.parametrize(
    ("steps", "verdict", "status"),
    [
        (["I pass"], Verdict.PASSED, 0),
        (["I fail"], Verdict.FAILED, 1),
        (["I break"], Verdict.ERRORED, 2),
        (["I lose the host"], Verdict.INCOMPLETE, 3),
        (["I nest a failure"], Verdict.FAILED, 1),
        (["I nest a lost host"], Verdict.INCOMPLETE, 3),
        (["I am undefined"], Verdict.ERRORED, 2),
    ],
)
def test_c12_the_exit_status_follows_from_the_verdicts(tmp_path, steps, verdict, status):
    text = feature(scenario("s", *(f"Given {step}" for step in steps), "And I pass"))
    ran = Ran([make_suite(tmp_path, x=text)])
    assert ran.verdicts == {"s": verdict}
    assert ran.result.exit_status == status
    (finished,) = ran.of("RunFinished")
    assert (finished.counts, finished.exit_status) == ({verdict.value: 1}, status)
    steps_seen = [event.verdict for event in ran.of("StepFinished")]
    assert len(steps_seen) == 2
    assert steps_seen[1] == ("passed" if verdict is Verdict.PASSED else "skipped")
    assert ran.keeper.ended == [("s", verdict)]


def test_c12_a_failing_background_fails_the_scenario(tmp_path):
    text = "Feature: f\n  Background:\n    Given I fail\n  Scenario: s\n    Given I pass\n"
    assert Ran([make_suite(tmp_path, x=text)]).verdicts == {"s": Verdict.FAILED}


def test_c12_a_failing_hook_counts(tmp_path):
    suite = make_suite(tmp_path, x=feature(scenario("s", "Given I pass")))
    (suite / "environment.py").write_text("def after_scenario(context, scenario):\n    1 / 0\n")
    ran = Ran([suite])
    assert ran.verdicts == {"s": Verdict.ERRORED}
    assert ran.result.exit_status == 2


def test_c13_ids_of_rows_do_not_depend_on_other_rows(tmp_path):
    one = make_plan([str(make_suite(tmp_path / "a", x=OUTLINE))]).scenarios
    longer = OUTLINE.replace("  | German   |\n", "  | Dutch |\n    | German   |\n")
    two = make_plan([str(make_suite(tmp_path / "b", x=longer))]).scenarios
    assert {each.id for each in one} < {each.id for each in two}
    assert len({each.id for each in two}) == 3


def test_c13_values_and_names_of_examples_tell_rows_apart(tmp_path):
    text = feature(
        "Scenario Outline: o",
        '  Given I say "<a>"',
        "  Examples: few",
        "  | a     | b |",
        "  | 1, b=2 |   |",
        "  | 1     | 2 |",
        "  Examples: many",
        "  | a | b |",
        "  | 1 | 2 |",
    )
    plan = make_plan([str(make_suite(tmp_path, x=text))])
    assert [each.id for each in plan.scenarios] == [
        'features/x.feature#o few{"a": "1, b=2", "b": ""}',
        'features/x.feature#o few{"a": "1", "b": "2"}',
        'features/x.feature#o many{"a": "1", "b": "2"}',
    ]


def test_c13_true_duplicates_are_told_apart(tmp_path):
    text = feature(scenario("same", "Given I pass"), scenario("same", "Given I fail"))
    ran = Ran([make_suite(tmp_path, x=text)])
    assert sorted(ran.result.verdicts.values()) == [Verdict.FAILED, Verdict.PASSED]
    assert len({each.name for each in ran.plan.scenarios}) == 2


def test_c19_equal_file_names_and_every_way_to_start_give_the_same_ids(tmp_path, monkeypatch):
    suite = make_suite(
        tmp_path / "suite",
        a__x=feature(scenario("s", "Given I fail")),
        b__x=feature(scenario("s", "Given I pass")),
    )
    link = tmp_path / "link"
    link.symlink_to(suite)
    ids = []
    for start, path in (
        (tmp_path, suite), (suite, "features"), (suite / "features" / "a", suite), (tmp_path, link)
    ):  # fmt: skip
        monkeypatch.chdir(start)
        ids.append([each.id for each in make_plan([str(path)]).scenarios])
    assert ids[0] == ["features/a/x.feature#s", "features/b/x.feature#s"]
    assert all(each == ids[0] for each in ids)


def test_an_undefined_step_is_found_before_anything_runs_and_others_run(tmp_path):
    text = feature(scenario("bad", "Given I pass", "And I pas"), scenario("good", "Given I pass"))
    ran = Ran([make_suite(tmp_path, x=text)])
    assert ran.verdicts == {"bad": Verdict.ERRORED, "good": Verdict.PASSED}
    assert "similar: I pass" in ran.plan.problems[0]


def test_a_skipped_scenario_is_neither_passed_nor_failed(tmp_path):
    text = feature(scenario("s", "Given I skip", "And I fail"), scenario("t", "Given I pass"))
    ran = Ran([make_suite(tmp_path, x=text)])
    assert ran.verdicts == {"s": Verdict.SKIPPED, "t": Verdict.PASSED}
    assert ran.result.exit_status == 0


def test_stop_leaves_the_rest_not_run(tmp_path):
    text = feature(scenario("a", "Given I fail"), scenario("b", "Given I pass"))
    ran = Ran([make_suite(tmp_path, x=text)], stop=True)
    assert ran.verdicts == {"a": Verdict.FAILED, "b": Verdict.NOT_RUN}


def test_an_interruption_ends_the_run_as_incomplete_and_cleans_up(tmp_path):
    text = feature(
        scenario("a", "Given I pass"),
        scenario("b", "Given I am interrupted"),
        scenario("c", "Given I pass"),
    )
    ran = Ran([make_suite(tmp_path, x=text)])
    assert ran.verdicts["a"] is Verdict.PASSED
    assert ran.verdicts["b"] is Verdict.INCOMPLETE
    assert ran.verdicts["c"] is Verdict.NOT_RUN
    assert ran.result.exit_status == 3
    assert ran.result.interrupted
    assert [name for name, _verdict in ran.keeper.ended] == ["a", "b"]


def test_an_error_keeps_message_hint_and_details_apart(tmp_path):
    text = feature(scenario("a", "Given I fail"), scenario("b", "Given I break"))
    ran = Ran([make_suite(tmp_path, x=text)])
    failed, broken = ran.of("StepFinished")
    assert (failed.error, failed.hint) == ("expected a, seen b", "look at b")
    assert "Traceback" not in broken.error
    assert "KeyError" in broken.error
    assert "Traceback" in broken.details


def test_what_a_step_prints_goes_into_the_report(tmp_path, capsys):
    text = feature(scenario("s", "Given I print", "And I fail"))
    ran = Ran([make_suite(tmp_path, x=text)])
    assert [event.text for event in ran.of("Noted")] == ["printed by a step"]
    assert "printed by a step" not in capsys.readouterr().out


def test_nothing_selected_names_what_there_is(tmp_path):
    suite = make_suite(tmp_path, x=feature(scenario("boots to the desktop", "Given I pass")))
    with pytest.raises(UsageError, match="boots to the desktop"):
        make_plan([str(suite)], name="boots to desktop")
    with pytest.raises(UsageError, match="none"):
        make_plan([str(suite)], tags="@nowhere")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("steps/bad.py", "def broken(:\n", "steps/bad.py:1"),
        ("steps/bad.py", "import no_such_module\n", "bad.py:1"),
        ("environment.py", "1 / 0\n", "environment.py"),
    ],
)
def test_a_broken_python_file_of_the_suite_is_named(tmp_path, file, content, said):
    suite = make_suite(tmp_path, x=feature(scenario("s", "Given I pass")))
    (suite / file).write_text(content)
    with pytest.raises(UsageError) as error:
        Ran([suite])
    assert said in str(error.value)


def test_a_step_defined_twice_names_both_places(tmp_path):
    suite = make_suite(tmp_path, x=feature(scenario("s", "Given I pass")))
    (suite / "steps" / "zwei.py").write_text(
        'from behave import step\n@step("I pass")\ndef again(context):\n    """Pass."""\n'
    )
    with pytest.raises(UsageError, match=r"zwei\.py:2.*tiny\.py"):
        make_plan([str(suite)])


def test_a_step_defined_for_two_keywords_names_both_places(tmp_path):
    suite = make_suite(tmp_path, x=feature(scenario("s", "Given I pass")))
    own = suite / "steps" / "zwei.py"
    own.write_text('from behave import when\n@when("I pass")\ndef again(context):\n    pass\n')
    with pytest.raises(UsageError, match="two steps have the same text") as error:
        make_plan([str(suite)])
    assert "zwei.py:2" in error.value.message
    assert "tiny.py:5" in error.value.message
    own.write_text(
        "from behave import given, then\n"
        '@given("I wait")\n@then("I wait")\ndef both(context):\n    pass\n'
    )
    assert make_plan([str(suite)]).problems == []


def test_step_texts_with_quotes_unicode_and_regex_characters_arrive(tmp_path):
    words = ['a "quoted" word', "ünïcödé 日本", r"a.*b(c)[d]{e}\d+$"]
    text = feature(scenario("s", *(f'Given I say "{word}"' for word in words)))
    assert Ran([make_suite(tmp_path, x=text)]).keeper.words == words


def test_paths_that_are_wrong_are_named(tmp_path):
    suite = make_suite(tmp_path, x=feature(scenario("s", "Given I pass")))
    for path, said in (
        (suite / "features" / "none.feature", "no such file"),
        (suite / "steps" / "tiny.py", "not a .feature file"),
        (suite / "steps", "no .feature file"),
    ):
        with pytest.raises(UsageError, match=said):
            make_plan([str(path)])
    other = make_suite(tmp_path / "other", x=feature(scenario("s", "Given I pass")))
    with pytest.raises(UsageError, match="two suites"):
        make_plan([str(suite / "features"), str(other)])
    outside = tmp_path.parent / f"outside-{os.getpid()}"
    outside.mkdir(exist_ok=True)
    with pytest.raises(UsageError, match="no suite"):
        make_plan([str(outside)])
