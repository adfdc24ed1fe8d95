"""What a run packs for the hosts that run its scenarios."""

from pathlib import Path

import pytest

from tailstest.core.settings import Settings
from tailstest.suite.assembly import RunOrder
from tailstest.suite.plan import make_plan
from tailstest.suite.run_options import RunOptions
from tailstest.suite.run_plan import plan_run
from tailstest.suite.spread.supplies import packed

FEATURE = "Feature: f\n  Scenario: s\n    Given nothing\n"
STEP = 'from behave import given\n\n@given("nothing")\ndef nothing(context):\n    """Nothing."""\n'


def test_a_part_of_a_plan_can_be_sent_to_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "own.py").write_text(STEP, encoding="utf-8")
    (tmp_path / "f.feature").write_text(FEATURE, encoding="utf-8")
    durations = tmp_path / "durations.json"
    durations.write_text("{}", encoding="utf-8")
    feature = str(tmp_path / "f.feature")
    options = RunOptions(paths=(feature,), shard="1/2", durations=durations)
    order = RunOrder(options, Settings(), image=None, patches=(), folder=tmp_path)
    with packed(order, make_plan([feature])) as sent:
        there = sent.supplies.order.options
    monkeypatch.chdir(tmp_path)  # where the suite lies there
    assert [each.name for each in plan_run(there).scenarios] == ["s"]
