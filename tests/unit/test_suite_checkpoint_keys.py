"""Keys of beginnings: the same for what is the same, another one for anything else."""

import pytest
from suite_tools import feature, make_suite, scenario

from tailstest.suite.checkpoints.keys import base_of, key_chain, leading_steps
from tailstest.suite.plan import make_plan

BACKGROUND = "Background:\n    Given I pass\n    When I print\n"


def scenarios(folder, *texts):
    suite = make_suite(folder, **{f"f{n}": text for n, text in enumerate(texts)})
    return [each.model for each in make_plan([str(suite)]).scenarios]


def test_the_background_and_what_is_given_lead(tmp_path):
    steps = ('Given I say "a"', 'And I say "b"', "When I print", "Given I pass")
    (model,) = scenarios(tmp_path, feature(BACKGROUND, scenario("s", *steps)))
    names = [step.name for step in leading_steps(model)]
    assert names == ["I pass", "I print", 'I say "a"', 'I say "b"']
    assert len(key_chain(model, "base")) == 4


def test_a_scenario_that_begins_with_an_action_leads_with_nothing(tmp_path):
    (model,) = scenarios(tmp_path, feature(scenario("s", "When I print", "Then I pass")))
    assert key_chain(model, "base") == []


def test_features_that_begin_alike_share_keys_up_to_where_they_part(tmp_path):
    one, two = scenarios(
        tmp_path,
        feature(scenario("x", "Given I pass", 'And I say "a"', 'And I say "b"')),
        feature("Background:\n    Given I pass\n", scenario("y", 'Given I say "a"', "And I print")),
    )
    first, second = key_chain(one, "base"), key_chain(two, "base")
    assert first[:2] == second[:2]
    assert first[2] != second[2]
    assert len(set(first + second)) == 4


@pytest.mark.parametrize(
    "other",
    [
        ('Given I say "B"', "And I pass"),
        ("Given I have a table", "| a |", "| 2 |", "And I pass"),
        ("Given I pass", '"""', "text", '"""', "And I pass"),
    ],
)
def test_another_text_table_or_docstring_changes_this_key_and_all_later_ones(tmp_path, other):
    first = ("Given I have a table", "| a |", "| 1 |", "And I pass")
    one, two = scenarios(tmp_path, feature(scenario("x", *first)), feature(scenario("y", *other)))
    assert not set(key_chain(one, "base")) & set(key_chain(two, "base"))


def test_the_base_is_a_part_of_every_key(tmp_path):
    (model,) = scenarios(tmp_path, feature(scenario("s", "Given I pass")))
    assert key_chain(model, "base") != key_chain(model, "other")
    assert key_chain(model, "base") == key_chain(model, "base")


def test_the_base_changes_with_facts_and_with_every_file(tmp_path):
    folder = tmp_path / "steps"
    (folder / "deep").mkdir(parents=True)
    file = folder / "deep" / "a.py"
    file.write_text("one")
    bases = [base_of({"image": "x"}, [folder]), base_of({"image": "y"}, [folder])]
    file.write_text("two")
    bases.append(base_of({"image": "x"}, [folder]))
    file.rename(folder / "deep" / "b.py")
    bases.append(base_of({"image": "x"}, [folder]))
    (folder / "new.py").touch()
    bases.append(base_of({"image": "x"}, [folder]))
    assert len(set(bases)) == len(bases)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "new.pyc").write_text("compiled")
    assert base_of({"image": "x"}, [folder]) == bases[-1]
