"""Tables of the bundled steps: a row that was taken for the heading is not passed over."""

from types import SimpleNamespace

import pytest
from behave.model import Step, Table

from tailstest.core.errors import UsageError
from tailstest.core.paths import bundled
from tailstest.machine import tester
from tailstest.screen.screen import Screen
from tailstest.suite.step_loader import load_steps


@pytest.fixture
def looked_for():
    return []


@pytest.fixture
def doing(looked_for):
    """Return what steps use, with a screen that shows every text and knows no picture."""
    seen = SimpleNamespace(wait_text=looked_for.append)
    person = tester.Tester(seen, None, None, deadline_scale=1.0, default_deadline=0.1)
    return SimpleNamespace(tester=person, screen=object.__new__(Screen))


def run(doing, text, table):
    match = load_steps([bundled("steps")]).find_match(Step("x.feature", 1, "Then", "then", text))
    match.func(SimpleNamespace(test=doing, table=table))


@pytest.mark.parametrize("table", [None, Table(["Welcome"])], ids=["no table", "only a heading"])
@pytest.mark.parametrize("text", ["I see all of these texts", "I see one of these pictures"])
def test_a_table_without_rows_is_a_mistake_of_the_scenario(doing, text, table):
    with pytest.raises(UsageError, match="was given") as caught:
        run(doing, text, table)
    assert "the first row of a table is its heading" in caught.value.hint


def test_every_cell_of_a_table_of_texts_is_looked_for(doing, looked_for):
    table = Table(["a", "b"], rows=[["Welcome", "Start"], ["Language", "Help"]])
    run(doing, "I see all of these texts", table)
    assert looked_for == ["Welcome", "Start", "Language", "Help"]
