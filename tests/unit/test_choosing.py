"""Which scenarios a change needs to have run: the pure function, case by case."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tailstest.core.errors import UsageError
from tailstest.suite.choosing.choice import Change, Chosen, ScenarioFacts, SuiteFacts, choose
from tailstest.suite.choosing.policy import ChoicePolicy, load_choice_policy


def facts(name: str, feature: str, *tags: str, **more: frozenset[str]) -> ScenarioFacts:
    own = more or {"profiles": frozenset({"demo"})}
    return ScenarioFacts(
        id=f"{feature}#{name}",
        name=name,
        location=f"{feature}:3",
        feature=feature,
        place=feature,
        tags=frozenset(tags),
        **{"step_files": frozenset({"steps/common.py"}), **own},
    )


BOOT = facts("boots", "features/boot/boot.feature", "trusted")
WIFI = facts(
    "wifi",
    "features/net/wifi.feature",
    step_files=frozenset({"steps/common.py", "steps/net.py"}),
    references=frozenset({"wifi-icon"}),
    profiles=frozenset({"demo"}),
)
HELP = facts("help", "features/help.feature", profiles=frozenset({"other"}))
SUITE = SuiteFacts(
    (BOOT, WIFI, HELP), step_files=frozenset({"steps/common.py", "steps/net.py", "steps/idle.py"})
)
ALL = {"boots", "wifi", "help"}


def policy(**tables: Any) -> ChoicePolicy:
    return ChoicePolicy.model_validate(tables)


def names(found: Chosen) -> set[str]:
    assert set(found.reasons) | set(found.against) == {each.id for each in SUITE.scenarios}
    assert not set(found.reasons) & set(found.against)
    assert all(found.reasons.values())
    assert all(found.against.values())
    return {key.partition("#")[2] for key in found.reasons}


def topic(*files: str, **tables: Any) -> set[str]:
    return names(choose(Change("wip", "", files), policy(**tables), SUITE))


DOCS = {"concern": [{"files": ["docs/help/*"], "features": ["features/help.feature"]}]}


@pytest.mark.parametrize(
    ("change", "tables", "chosen"),
    [
        # a release
        (Change("", "6.2", ()), {}, ALL),
        (Change("wip", "6.2", ("README.md",)), {"everything": {"tags": ["6.*"]}}, ALL),
        (Change("wip", "beta", ("README.md",)), {"everything": {"tags": ["6.*"]}}, {"boots"}),
        # a branch for everything
        (Change("main", "", ("README.md",)), {}, ALL),
        (Change("stable/6", "", ()), {"everything": {"branches": ["stable/*"]}}, ALL),
        # nobody knows
        (Change("wip", "", None), {}, ALL),
        (Change(), {}, ALL),
        # a topic branch
        (Change("wip", "", ()), {}, {"boots"}),
        (Change("wip", "", ("features/net/wifi.feature",)), {}, {"boots", "wifi"}),
        (Change("wip", "", ("features/gone.feature",)), {}, {"boots"}),
        # documentation
        (Change("wip", "", ("docs/help/a.md", "README.md")), DOCS, {"help"}),
        (Change("wip", "", ("docs/help/a.md", "features/net/wifi.feature")), DOCS, ALL),
        (Change("main", "", ("docs/help/a.md",)), DOCS, ALL),
    ],
)
def test_branches_tags_and_documentation(
    change: Change, tables: dict[str, Any], chosen: set[str]
) -> None:
    assert names(choose(change, policy(**tables), SUITE)) == chosen


@pytest.mark.parametrize(
    ("file", "chosen"),
    [
        ("steps/net.py", {"boots", "wifi"}),
        ("steps/common.py", ALL),
        ("steps/idle.py", {"boots"}),  # defines steps that nobody uses
        ("steps/helper.py", ALL),  # defines none, so any may use it
        ("images/demo/wifi-icon.png", {"boots", "wifi"}),
        ("images/demo/wifi-icon.json", {"boots", "wifi"}),
        ("images/demo/unnamed.png", {"boots", "wifi"}),  # used by code: all on that image
        ("images/demo/profile.toml", {"boots", "wifi"}),
        ("images/other/recipe/packages", {"boots", "help"}),
        ("images/nobody/profile.toml", {"boots"}),
        ("environment.py", ALL),
        ("tailstest.toml", ALL),
        ("vm-templates/pc.xml.j2", ALL),
        ("tailstest/core/text.py", ALL),
        ("something/else", ALL),
        ("steps", ALL),
        ("images/readme", ALL),
    ],
)
def test_files_of_a_suite_concern_what_uses_them(file: str, chosen: set[str]) -> None:
    assert topic(file) == chosen


def test_a_scenario_whose_image_nobody_named_may_be_on_any() -> None:
    suite = replace(SUITE, scenarios=(BOOT, replace(HELP, profiles=frozenset({""}))))
    found = choose(Change("wip", "", ("images/demo/profile.toml",)), policy(), suite)
    assert HELP.id in found.reasons


def test_the_policy_goes_before_what_is_known_anyway() -> None:
    concern = {"files": ["steps/common.py", "src/*"], "scenarios": ["help"]}
    assert topic("steps/common.py", concern=[concern]) == {"boots", "help"}
    assert topic("src/a/b.c", "steps/net.py", concern=[concern]) == ALL
    assert topic("src/x", concern=[concern], everything={"files": ["src/*"]}) == ALL


def test_concerns_add_up() -> None:
    concerns = [
        {"files": ["src/*"], "features": ["features/net/*"]},
        {"files": ["*.c"], "tags": ["@trusted"], "scenarios": ["features/help.feature#help"]},
    ]
    assert topic("src/a.c", concern=concerns) == ALL


def test_files_of_a_suite_below_the_top() -> None:
    below = [
        replace(each, feature=f"qa/{each.feature}", step_files=frozenset({"qa/steps/net.py"}))
        for each in SUITE.scenarios
    ]
    suite = SuiteFacts(tuple(below), step_files=frozenset({"qa/steps/net.py"}), root="qa")

    def chosen(file: str) -> set[str]:
        found = choose(Change("wip", "", (file,)), policy(), suite)
        return {key.partition("#")[2] for key in found.reasons}

    assert chosen("qa/features/net/wifi.feature") == {"boots", "wifi"}
    assert chosen("qa/images/other/x.png") == {"boots", "help"}
    assert chosen("features/net/wifi.feature") == ALL  # of another suite, or of nobody
    assert chosen("steps/net.py") == ALL


def test_never_nothing_and_never_silently() -> None:
    found = choose(Change("wip", "", ("README.md",)), policy(), SUITE)
    assert names(found) == {"boots"}
    assert "trusted, because nothing that changed concerns any scenario" in str(found.reasons)
    assert "instead of nothing" in found.notes[-1]
    nobody = policy(topic={"trusted": ["help"]})
    suite = replace(SUITE, is_whole=False)
    found = choose(Change("wip", "", ("README.md",)), nobody, suite)
    assert names(found) == ALL
    assert found.headline.startswith("everything: nothing that changed concerns any scenario")
    assert found.notes
    with pytest.raises(UsageError, match="no scenario to choose from"):
        choose(Change(), policy(), SuiteFacts(()))


def test_each_reason_names_the_file_and_why() -> None:
    concern = {"files": ["src/*"], "features": ["features/net/*"]}
    found = choose(Change("wip", "", ("src/a", "docs/x")), policy(concern=[concern]), SUITE)
    assert found.reasons[WIFI.id] == "src/a changed: by the policy it concerns features/net/*"
    assert found.reasons[BOOT.id] == "trusted: @trusted"
    assert "nothing that changed concerns it" in found.against[HELP.id]
    assert found.notes == ("docs/x changed: documentation that no scenario depends on",)
    found = choose(Change("wip", "", ("x", "features/help.feature")), policy(), SUITE)
    assert found.headline == "everything: x changed, and nothing says what it concerns"


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"concern": [{"files": ["a"], "scenarios": ["wify"]}]}, 'scenario "wify".*similar: wifi'),
        ({"concern": [{"files": ["a"], "features": ["feature/*"]}]}, 'feature "feature/\\*"'),
        ({"concern": [{"files": ["a"], "tags": ["@trustd"]}]}, 'tag "@trustd".*@trusted'),
        ({"topic": {"trusted": ["reliable"]}}, 'tag "reliable"'),
    ],
)
def test_what_no_scenario_has_is_an_error(tables: dict[str, Any], words: str) -> None:
    for change in (Change("main", "1.0", ()), Change("wip", "", ("README.md",))):
        with pytest.raises(UsageError) as error:
            choose(change, policy(**tables), SUITE)
        assert re.search(words, str(error.value), re.DOTALL), str(error.value)
    part = replace(SUITE, is_whole=False)
    assert choose(Change("main"), policy(**tables), part).reasons  # it may be in the other part
    other = replace(
        HELP, id="x", name="wify", place="feature/x", tags=frozenset({"trustd", "reliable"})
    )
    assert choose(Change("main"), policy(**tables), replace(SUITE, others=(other,))).reasons


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[everything]\nbranch = ['main']", "everything.branch: unknown key"),
        ("[[concern]]\nfiles = ['a']", "give features, tags or scenarios"),
        ("[[concern]]\nfeatures = ['a']", "files"),
        ("[[concern]]\nfiles = []\nfeatures = ['a']", "files"),
        ("[topic]\ntrusted = [1]", "trusted"),
        ("[topic\n", "not valid TOML"),
        (2 * "[[concern]]\nfiles = ['a']\ntags = ['b']\n", "written twice"),
    ],
)
def test_policies_that_mean_nothing(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=words) as error:
        load_choice_policy(file)
    assert str(file) in error.value.message
