"""The documentation can be read as it is meant, and its examples can be run."""

import re
from pathlib import Path

import pytest
from suite_tools import make_suite

from tailstest.lab.policy import load_policy
from tailstest.suite.plan import make_plan

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
NETWORK = (ROOT / "docs" / "network.md").read_text(encoding="utf-8")


def text_of(page):
    """Return a page without what is quoted in it."""
    return re.sub(r"^( *)```.*?^\1```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def blocks(kind, heading):
    """Return what is quoted as of a kind in a part of the page about networks."""
    part = re.split(r"^## ", NETWORK, flags=re.M)
    (text,) = [each for each in part if each.startswith(f"{heading}\n")]
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.S | re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_table_begins_with_a_heading_and_a_line_below_it(page):
    tables = re.findall(r"(?:^\|.*\n)+", text_of(page), flags=re.M)
    for rows in (table.splitlines() for table in tables):
        assert re.fullmatch(r"\|[-| :]+\|", rows[min(1, len(rows) - 1)]), rows[0]


def test_the_example_of_an_image_with_tor_has_steps_that_exist(tmp_path):
    (example,) = blocks("gherkin", "Testing an image")
    suite = make_suite(tmp_path, tor=example)
    plan = make_plan([str(suite)])
    assert (plan.undefined, plan.problems) == ({}, [])
    assert [each.name for each in plan.scenarios] == [
        "A page comes through Tor, and nothing goes around it"
    ]


def test_the_example_of_a_policy_is_one(tmp_path):
    (example,) = blocks("toml", "What was sent")
    file = tmp_path / "policy.toml"
    file.write_text(example, encoding="utf-8")
    assert [rule.title for rule in load_policy(file).allow] == ["names", "pages"]
