"""States of commits and notes on requests, against servers here that play the three forges."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from forge_tools import COMMIT, KINDS, ME, SOMEBODY, TOKEN, Played
from store_tools import made_run, open_store
from telling_tools import WebServer, free_port, web_server

from tailstest.cli.main import tailstest
from tailstest.core.errors import InfrastructureError, SetupError, TailstestError, UsageError
from tailstest.results.forges.forge import MAX_NOTE, marker_of, put_note
from tailstest.results.forges.place import Place, find_place
from tailstest.results.store.adding import add_run


class Setting:
    """A played forge, a store with two runs and a policy."""

    def __init__(self, played: Played, server: WebServer, folder: Path) -> None:
        self.played, self.server, self.folder = played, server, folder
        self.policy = folder / "policy.toml"
        self.policy.write_text("[baseline]\nrequired = false\n", encoding="utf-8")
        with open_store(folder) as store:
            add_run(store, made_run(1, {"a": "passed", "b": ["failed", "passed"]}, image="a"))
            add_run(store, made_run(2, {"a": "passed", "b": "passed"}, image="a"))

    @property
    def project(self) -> str:
        return "42" if self.played.kind == "gitlab" else "org/suite"

    def publish(self, *words: str, token: str = TOKEN) -> Result:
        where = ["--forge", self.played.kind, "--url", self.server.url, "--project", self.project]
        result = CliRunner().invoke(
            tailstest,
            ["publish", words[0], *where, *words[1:]],
            env={
                "TAILSTEST_STORE": str(self.folder / "store.sqlite3"),
                "GITLAB_TOKEN": token,
                "GITHUB_TOKEN": token,
                "GITEA_TOKEN": token,
                "NO_PROXY": "*",
            },
            standalone_mode=False,
        )
        if result.exception is not None:
            raise result.exception
        return result


@pytest.fixture(params=KINDS)
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setting]:
    played = Played(request.param)
    with web_server(played) as server:
        yield Setting(played, server, tmp_path)


def test_a_commit_is_marked_pending_then_with_what_came_of_it(setting: Setting) -> None:
    mark = ["status", "--commit", COMMIT]
    setting.publish(*mark, "--pending")
    setting.publish(*mark, "run-1", "--link", "https://ci.example/1")
    setting.publish(*mark, "run-2", "--context", "nightly/uefi")
    failure = "failed" if setting.played.kind == "gitlab" else "failure"
    key = "name" if setting.played.kind == "gitlab" else "context"
    told = setting.played.statuses
    assert [each["state"] for each in told] == ["pending", failure, "success"]
    assert [each[key] for each in told] == ["tailstest", "tailstest", "nightly/uefi"]
    assert told[1]["description"] == "1 flaky, 1 passed"
    assert told[1]["target_url"] == "https://ci.example/1"
    assert told[2]["description"] == "2 passed"


def test_the_gate_may_decide_about_the_commit(setting: Setting) -> None:
    policy = ["--policy", str(setting.policy)]
    setting.publish("status", "--commit", COMMIT, "run-1", *policy)
    setting.publish("status", "--commit", COMMIT, "run-2", *policy)
    first, second = setting.played.statuses
    assert first["description"].startswith("Must not be released")
    assert second["state"] == "success" and "May be released" in second["description"]


def test_a_second_note_replaces_the_first_and_no_other(setting: Setting) -> None:
    marker = marker_of("tailstest")
    setting.played.notes = [
        setting.played.written(1, "hello"),
        setting.played.written(2, f"{marker}\nforged by somebody", author=SOMEBODY),
    ]
    note = ["note", "--request", "5", "--policy", str(setting.policy)]
    first = setting.publish(*note, "run-1", "--link", "https://ci.example/1")
    assert first.output == "note on request 5: added\n"
    assert len(setting.played.notes) == 3
    text = setting.played.notes[2]["body"]
    assert text.startswith(f"{marker}\n## ❌ Must not be released")
    assert "[The whole report](https://ci.example/1)" in text
    assert setting.publish(*note, "run-2").output == "note on request 5: changed\n"
    assert len(setting.played.notes) == 3
    assert setting.played.notes[2]["body"].startswith(f"{marker}\n## ✅ May be released")
    assert setting.publish(*note, "run-2").output == "note on request 5: unchanged\n"
    other = setting.publish(*note, "run-2", "--context", "other")
    assert other.output.endswith("added\n") and len(setting.played.notes) == 4
    assert setting.played.notes[0]["body"] == "hello"
    assert "forged by somebody" in setting.played.notes[1]["body"]


def test_what_a_forge_refuses_is_one_clear_error_without_the_token(setting: Setting) -> None:
    mark = ["status", "--commit", COMMIT, "--pending"]
    with pytest.raises(UsageError, match="does not let this token mark commit aaaa") as refused:
        setting.publish(*mark, token="wrong-token")
    assert "wrong-token" not in str(refused.value)
    setting.played.trouble = (404, {"message": "404 Project Not Found"})
    with pytest.raises(UsageError, match="cannot mark commit"):
        setting.publish(*mark)
    setting.played.trouble = (500, {"message": "oops"})
    with pytest.raises(InfrastructureError, match="answered with status 500"):
        setting.publish("note", "--request", "5", "--policy", str(setting.policy))
    assert len(setting.server.requests) < 30, "tried again in bounds"


@pytest.mark.parametrize(
    "answer",
    [b"<html>Log in</html>", b"", {}, [], "text", [1], [{"id": 1}], [{"id": 1, "body": None}]],
    ids=str,
)
def test_answers_that_no_forge_gives_are_errors_and_no_crash(answer: Any, setting: Setting) -> None:
    setting.played.trouble = (200, answer)
    for words in (
        ("note", "--request", "5", "--policy", str(setting.policy)),
        ("status", "--commit", COMMIT, "--pending"),
    ):
        try:
            setting.publish(*words)
        except TailstestError as error:
            assert TOKEN not in str(error)


def test_a_forge_that_is_down_is_one_clear_error(tmp_path: Path) -> None:
    for kind in KINDS:
        place = Place(kind, f"http://127.0.0.1:{free_port()}", "42/x", COMMIT, 5, TOKEN)
        with pytest.raises(InfrastructureError, match="gave no answer") as caught:
            put_note(place.open(), 5, "text", "tailstest")
        assert TOKEN not in str(caught.value)


def test_the_token_of_a_github_workflow_knows_its_notes_by_the_robot(tmp_path: Path) -> None:
    played = Played("github")
    played.tells_user = False
    with web_server(played) as server:
        setting = Setting(played, server, tmp_path)
        marker = marker_of("tailstest")
        played.notes = [played.written(1, f"{marker}\nforged", author=SOMEBODY)]
        note = ["note", "--request", "5", "--policy", str(setting.policy)]
        assert setting.publish(*note, "run-1").output.endswith("added\n")
        played.notes[1]["user"] = {**played.person(ME), "type": "Bot"}
        assert setting.publish(*note, "run-2").output.endswith("changed\n")
    assert "forged" in played.notes[0]["body"]


def test_gitlab_which_has_that_state_already_is_no_error(tmp_path: Path) -> None:
    played = Played("gitlab")
    with web_server(played) as server:
        setting = Setting(played, server, tmp_path)
        said = "Cannot transition status via :enqueue from :pending"
        played.trouble = (400, {"message": said})
        setting.publish("status", "--commit", COMMIT, "--pending")
        played.trouble = (400, {"message": "something else"})
        with pytest.raises(UsageError, match="something else"):
            setting.publish("status", "--commit", COMMIT, "--pending")


def test_a_note_is_cut_to_what_every_forge_takes() -> None:
    class Kept:
        text = ""

        def own_notes(self, _request: int, _marker: str) -> list[Any]:
            return []

        def add_note(self, _request: int, text: str) -> None:
            self.text = text

    kept = Kept()
    put_note(kept, 5, "a line of text\n" * 10_000, "tailstest")  # type: ignore[arg-type]
    assert len(kept.text) <= MAX_NOTE
    assert kept.text.endswith("a line of text\n\n… shortened; the report has all of it\n")


GITLAB = {
    "GITLAB_CI": "true",
    "CI_SERVER_URL": "https://gitlab.example",
    "CI_PROJECT_ID": "42",
    "CI_COMMIT_SHA": COMMIT,
    "CI_MERGE_REQUEST_IID": "5",
    "GITLAB_TOKEN": TOKEN,
}
GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "org/suite",
    "GITHUB_SHA": "m" * 40,
    "GITHUB_SERVER_URL": "https://forge.example",
    "GITHUB_TOKEN": TOKEN,
}


def test_ci_says_which_place_is_meant(tmp_path: Path) -> None:
    gitlab = find_place(environment=GITLAB)
    assert gitlab == Place("gitlab", "https://gitlab.example", "42", COMMIT, 5, TOKEN)
    merged = {**GITLAB, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "b" * 40}
    assert find_place(environment=merged).commit == "b" * 40
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 5, "head": {"sha": COMMIT}}}))
    github = find_place(environment={**GITHUB, "GITHUB_EVENT_PATH": str(event)})
    assert github == Place("github", "https://api.github.com", "org/suite", COMMIT, 5, TOKEN)
    assert find_place(environment=GITHUB).commit == "m" * 40
    gitea = find_place(environment={**GITHUB, "GITEA_ACTIONS": "true"})
    assert (gitea.kind, gitea.url) == ("gitea", "https://forge.example")
    assert TOKEN not in repr(gitea)


@pytest.mark.parametrize("event", ["", "no json", "[]", '{"pull_request": 3}', "[" * 100_000])
def test_an_event_of_any_form_is_survived(event: str, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text(event)
    found = find_place(environment={**GITHUB, "GITHUB_EVENT_PATH": str(file)})
    assert (found.commit, found.request) == ("m" * 40, 0)


@pytest.mark.parametrize(
    ("options", "environment", "complaint"),
    [
        ({}, {}, "which forge is not known"),
        ({"kind": "gitlab"}, {}, "which gitlab server is not known"),
        ({"kind": "gitlab", "url": "gitlab.example"}, {}, "no address of a server"),
        ({"kind": "gitlab", "url": "https://u:p@gitlab.example"}, {}, "no address of a server"),
        ({"kind": "gitlab", "url": "https://x"}, {}, "which project is not known"),
        ({"kind": "gitea", "url": "https://x", "project": "a/b"}, {}, "no token for gitea"),
    ],
)
def test_what_is_missing_is_named(
    options: dict[str, str], environment: dict[str, str], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        find_place(environment=environment, **options)  # type: ignore[arg-type]


def test_a_token_file_must_be_private(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0o644)
    values = {name: value for name, value in GITLAB.items() if name != "GITLAB_TOKEN"}
    with pytest.raises(UsageError, match="others may read it"):
        find_place(token_file=file, environment=values)
    file.chmod(0o600)
    assert find_place(token_file=file, environment=values).token == TOKEN


def test_a_missing_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, package in (("gitlab", "gitlab"), ("gitea", "gitea"), ("github", "github")):
        for name in list(sys.modules):
            if name.partition(".")[0] == package or name.endswith(f"{kind}_forge"):
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(SetupError, match=r"tailstest\[notify\]"):
            Place(kind, "https://x", "a/b", COMMIT, 5, TOKEN).open()


def test_names_and_links_that_would_break_a_note_are_refused(setting: Setting) -> None:
    mark = ["status", "--commit", COMMIT, "--pending"]
    with pytest.raises(UsageError, match="name of a check"):
        setting.publish(*mark, "--context", "x --> <b>")
    with pytest.raises(UsageError, match="no address of a page"):
        setting.publish(*mark, "--link", "javascript:alert(1)")
    assert setting.server.requests == []
