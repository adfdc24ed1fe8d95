"""Keys of beginnings: the same for what is the same, another one for anything else."""

import os
from pathlib import Path

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


def test_the_kind_of_a_step_is_a_part_of_its_key(tmp_path):
    one, two = scenarios(
        tmp_path,
        feature("Background:\n    Given I pass\n    And I print\n", scenario("x", "Then I pass")),
        feature("Background:\n    Given I pass\n    When I print\n", scenario("y", "Then I pass")),
    )
    first, second = key_chain(one, "base"), key_chain(two, "base")
    assert first[0] == second[0]
    assert first[1] != second[1]


def test_cells_and_lines_of_a_text_do_not_run_together(tmp_path):
    texts = (
        ("Given I have a table", "| a |", "| b |", "| c |"),
        ("Given I have a table", "| a | b |", "| c | d |"),
        ("Given I have a table", "| a,b |", "| c |"),
        ("Given I have a table", '"""', "a", "b", '"""'),
    )
    models = scenarios(tmp_path, feature(*(scenario(f"s{n}", *t) for n, t in enumerate(texts))))
    assert len({key_chain(model, "base")[0] for model in models}) == len(texts)


def test_a_file_whose_name_is_no_text_and_a_linked_folder_count(tmp_path):
    folder, elsewhere = tmp_path / "steps", tmp_path / "shared"
    folder.mkdir()
    elsewhere.mkdir()
    bases = [base_of({}, [folder])]
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).touch()
    bases.append(base_of({}, [folder]))
    (folder / "linked").symlink_to(elsewhere)
    (folder / "linked" / "itself").symlink_to(folder)
    (elsewhere / "a.py").write_text("one")
    bases.append(base_of({}, [folder]))
    (elsewhere / "a.py").write_text("two")
    bases.append(base_of({}, [folder]))
    assert len(set(bases)) == len(bases)


def test_a_folder_that_is_missing_is_not_one_with_files(tmp_path):
    missing = base_of({}, [tmp_path / "steps", tmp_path / "images"])
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "a.py").touch()
    one = base_of({}, [tmp_path / "steps", tmp_path / "images"])
    (tmp_path / "steps").rename(tmp_path / "images")
    assert len({missing, one, base_of({}, [tmp_path / "steps", tmp_path / "images"])}) == 3
