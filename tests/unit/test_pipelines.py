"""The pipelines that people copy: valid for their systems, and commands that our parser takes."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml
from pygments.lexers import GroovyLexer
from pygments.token import Comment, Error, String

from tailstest.cli.main import tailstest
from tailstest.results.gate.policy import load_policy
from tailstest.results.telling.config import load_notify_config

DOCS = Path(__file__).resolve().parents[2] / "docs"
PIPELINES = DOCS / "pipelines"
GITLAB = PIPELINES / "gitlab-ci.yml"
GITHUB = PIPELINES / "github-actions.yml"
JENKINS = PIPELINES / "Jenkinsfile"
PAGES = (DOCS / "pipelines.md", DOCS / "notifications.md")
ALL_PAGES = [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"]
#: What each pipeline must do, in this order.
NEEDED = ("run", "merge", "store add", "report", "notify", "publish", "publish", "gate")


class Loader(yaml.SafeLoader):
    """YAML 1.2 as the services read it: "on" is a word."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in each if tag != "tag:yaml.org,2002:bool"]
    for first, each in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(  # type: ignore[no-untyped-call]
    "tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf")
)


def loaded(file: Path) -> Any:
    return yaml.load(file.read_text(encoding="utf-8"), Loader)


def schema(name: str) -> Any:
    """A schema that the package check-jsonschema carries."""
    vendored = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{name}.json"
    return json.loads(vendored.read_text(encoding="utf-8"))


def validate(document: Any, name: str) -> None:
    # Patterns of the schema are JavaScript's; Python reads all that matter here.
    jsonschema.Draft7Validator(schema(name)).validate(document)


def scripts(value: Any) -> Iterator[str]:
    """Yield the shell scripts in a parsed pipeline, in their order."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in ("script", "before_script", "run"):
                yield from [each] if isinstance(each, str) else each
            else:
                yield from scripts(each)
    elif isinstance(value, list):
        for each in value:
            yield from scripts(each)


def jenkins_scripts() -> list[str]:
    return re.findall(r"'''(.*?)'''", JENKINS.read_text(encoding="utf-8"), re.DOTALL)


def commands(script: str) -> Iterator[list[str]]:
    """Yield the `tailstest` commands of a shell script, as the shell would hand them over."""
    joined = script.replace("\\\n", " ").replace("||\n", "|| ")
    for line in joined.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if not set(word) <= set(";&|()<>"):
                words.append(word)
                continue
            while words and words[0] in ("if", "then", "else", "!", "do"):
                words = words[1:]
            if words and words[0] == "tailstest":
                yield words[1:]
            words = []


def accepted(words: list[str]) -> str:
    """Let our own parser take a command, without running it; return its name."""
    # What a variable holds is not known here; a number fits everywhere.
    words = [re.sub(r"\$\{?\w+(?::-)?\}?", "7", word) for word in words]
    command: click.Command = tailstest
    context = click.Context(command, info_name="tailstest")
    names: list[str] = []
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None and name is not None
        command = found
        context = click.Context(command, info_name=name, parent=context)
        names.append(name)
    command.make_context(names[-1], words)
    return " ".join(names)


def test_the_gitlab_file_is_valid_and_a_wrong_one_is_not() -> None:
    document = loaded(GITLAB)
    validate(document, "gitlab-ci")
    document["judge"]["when"] = "sometimes"
    with pytest.raises(jsonschema.ValidationError):
        validate(document, "gitlab-ci")


def test_the_github_file_is_valid_and_a_wrong_one_is_not() -> None:
    document = loaded(GITHUB)
    validate(document, "github-workflows")
    document["jobs"]["judge"]["needz"] = "scenarios"
    with pytest.raises(jsonschema.ValidationError):
        validate(document, "github-workflows")


def test_the_jenkinsfile_is_groovy_with_all_brackets_closed() -> None:
    text = JENKINS.read_text(encoding="utf-8")
    tokens = list(GroovyLexer().get_tokens(text))
    assert [value for kind, value in tokens if kind in Error] == []
    code = "".join(v for kind, v in tokens if kind not in Comment and kind not in String)
    open_ones = []
    pairs = {")": "(", "]": "[", "}": "{"}
    for character in code:
        if character in "([{":
            open_ones.append(character)
        elif character in pairs:
            assert open_ones and open_ones.pop() == pairs[character]
    assert open_ones == []


@pytest.mark.parametrize("file", [GITLAB, GITHUB, JENKINS], ids=lambda file: file.name)
def test_every_command_of_a_pipeline_is_one_and_none_is_missing(file: Path) -> None:
    found = jenkins_scripts() if file == JENKINS else scripts(loaded(file))
    called = [accepted(words) for script in found for words in commands(script)]
    rest = iter(called)
    missing = [name for name in NEEDED if not any(each.startswith(name) for each in rest)]
    assert missing == [], f"in {called}"
    assert "./run setup" in file.read_text(encoding="utf-8")
    assert "junit.xml" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", [GITLAB, GITHUB, JENKINS], ids=lambda file: file.name)
def test_a_shell_reads_every_script_of_a_pipeline(file: Path) -> None:
    found = jenkins_scripts() if file == JENKINS else list(scripts(loaded(file)))
    assert len(found) >= 2
    for script in found:
        read = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert (read.returncode, read.stderr) == (0, ""), script


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_one(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^\$ (tailstest .*)$", text, re.MULTILINE)
    inline = [each for each in re.findall(r"`(tailstest [^`]+)`", text) if "pip" not in each]
    called = [accepted(words) for line in [*blocks, *inline] for words in commands(line)]
    assert len(called) >= 6


def shown_commands(page: Path) -> list[list[str]]:
    """Return our commands behind the prompts of a page, in whatever shell line they stand."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in re.findall(r"^\$ (.*)$", block, re.MULTILINE)]
    return [words for line in lines for words in commands(line)]


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.name)
def test_every_command_behind_a_prompt_is_one(page: Path) -> None:
    for words in shown_commands(page):
        assert accepted(words)


def test_commands_of_the_pages_are_found() -> None:
    counts = {page.name: len(shown_commands(page)) for page in ALL_PAGES}
    assert sum(counts.values()) >= 70
    assert min(counts[name] for name in ("ci.md", "gate.md", "README.md", "checkpoints.md")) >= 3


def test_a_command_that_does_not_exist_is_found() -> None:
    with pytest.raises(click.UsageError):
        accepted(["gate", "whole", "--polizy", "policy.toml"])
    with pytest.raises(click.UsageError):
        accepted(["publish", "nothing"])
    (only,) = commands('if [ -n "$X" ]; then tailstest gate a --policy b || echo no; fi')
    assert only == ["gate", "a", "--policy", "b"]


def test_the_files_beside_them_are_read_as_they_are() -> None:
    assert load_notify_config(PIPELINES / "notify.toml").service[0].name == "the team's room"
    assert load_policy(PIPELINES / "policy.toml").title == "Every night"
    shown = re.findall(r"```toml\n(.*?)```", PAGES[1].read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown) == 1


def test_the_configuration_in_the_page_is_right(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```toml\n(.*?)```", PAGES[1].read_text(encoding="utf-8"), re.DOTALL)
    file = tmp_path / "notify.toml"
    file.write_text(shown, encoding="utf-8")
    config = load_notify_config(file)
    assert (config.attempts, config.pause, config.timeout, config.listed) == (3, 5, 120, 20)
    assert [each.name for each in config.service] == ["mail", "room"]
