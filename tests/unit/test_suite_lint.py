"""Lint: steps that cannot fail, references, and the generated step reference."""

import ast
import textwrap
from pathlib import Path

import pytest
from suite_tools import feature, make_suite, scenario

from tailstest.core.paths import bundled
from tailstest.suite.lint import lint, reason_it_cannot_fail
from tailstest.suite.step_reference import describe_steps, to_markdown

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("assert context.value == 3", ""),
        ("raise ValueError", ""),
        ("context.test.screen.wait_text(text)", ""),
        ("context.test.machine.check_running()", ""),
        ("context.content == text", "dropped"),
        ("context.test.screen.look_text(text)", "dropped"),
        ("context.seen = context.test.screen.look_text(text)", "nothing it calls raises"),
        ("pass", "nothing it calls raises"),
    ],
)
def test_a_then_step_that_cannot_fail_is_found(body, reason):
    found = reason_it_cannot_fail(ast.parse(textwrap.dedent(body)).body)
    assert (reason in found) if reason else found == ""


def test_lint_names_undefined_steps_unknown_references_and_vacuous_steps(tmp_path):
    suite = make_suite(
        tmp_path,
        x=feature(scenario("s", "Given I pass", "And I pas", 'Then I see the picture "nothing"')),
    )
    (suite / "steps" / "vacuous.py").write_text(
        "from behave import then\n\n@then('the file has {text}')\ndef has(context, text):\n"
        '    """Compare and forget."""\n    context.content == text\n'
    )
    texts = [str(finding) for finding in lint([str(suite)])]
    assert any("x.feature:4: error: no step is defined" in text for text in texts)
    assert any("x.feature:5: error: there is no reference image" in text for text in texts)
    assert any("steps/vacuous.py:3: error" in text and "dropped" in text for text in texts)


def test_a_misspelt_placeholder_is_a_warning_with_the_likely_name(tmp_path):
    text = feature(
        "Scenario Outline: o",
        '  Given I say "<wrod> <b>"',
        '  And I say "<word>"',
        "  Examples:",
        "  | word |",
        "  | <b>  |",
    )
    texts = [str(finding) for finding in lint([str(make_suite(tmp_path, x=text))])]
    assert [text for text in texts if "stays as it is" in text] == [
        "features/x.feature:3: warning: <wrod> stays as it is: no column of the Examples has that"
        " name; did you mean <word>?"
    ]


def test_the_bundled_suite_is_clean():
    assert [str(finding) for finding in lint([str(ROOT / "features")])] == []


def test_every_bundled_step_says_what_it_does():
    for step in describe_steps([bundled("steps")]):
        assert step.summary.endswith("."), step


def test_the_step_reference_is_current():
    current = to_markdown(describe_steps([bundled("steps")]))
    written = (ROOT / "docs" / "steps.md").read_text(encoding="utf-8")
    assert written == current, "run: tailstest steps --markdown > docs/steps.md"
