"""What GitLab's pipeline does after the scenarios, line by line in a real shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from forge_tools import COMMIT, TOKEN, Played
from results_sample import Sample
from telling_tools import WebServer, web_server

from tailstest.core.events import Events
from tailstest.core.settings import Settings
from tailstest.results.recorder import attach
from tailstest.results.run_folder import RunFolder

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
PIPELINES = ROOT / "docs" / "pipelines"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout in which two jobs have left their parts."""
    for name in ("notify.toml", "policy.toml"):
        (tmp_path / name).write_text((PIPELINES / name).read_text(encoding="utf-8"))
    notify = tmp_path / "notify.toml"
    notify.write_text("pause = 0\n" + notify.read_text(encoding="utf-8"), encoding="utf-8")
    for part in ("1", "2"):
        folder = RunFolder.create(tmp_path, output=tmp_path / "shards" / part)
        events = Events()
        with attach(events, folder, settings=Settings()):
            Sample(folder, events).whole()
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "tailstest"
    command.write_text(
        "#!/bin/sh\n"
        f"exec {sys.executable} -P -c 'from tailstest.cli.main import main; main()' \"$@\"\n"
    )
    command.chmod(0o755)
    return tmp_path


def judged(project: Path, forge: WebServer, hook: WebServer) -> subprocess.CompletedProcess[str]:
    document = yaml.safe_load((PIPELINES / "gitlab-ci.yml").read_text(encoding="utf-8"))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TAILSTEST_")},
        "PATH": f"{project / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TAILSTEST_STORE": str(project / "store.sqlite3"),
        "REPORT": "https://gitlab.example/pipelines/1",
        "MATRIX_URL": hook.hook,
        "GITLAB_CI": "true",
        "GITLAB_TOKEN": TOKEN,
        "CI_SERVER_URL": forge.url,
        "CI_PROJECT_ID": "42",
        "CI_COMMIT_SHA": COMMIT,
        "CI_MERGE_REQUEST_IID": "5",
        "NO_PROXY": "*",
    }
    return subprocess.run(
        ["sh", "-e", "-c", "\n".join(document["judge"]["script"])],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_parts_are_judged_told_and_shown(project: Path) -> None:
    played = Played("gitlab")
    with web_server(played) as forge, web_server() as hook:
        done = judged(project, forge, hook)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "Must not be released" in done.stdout
    assert "see above" not in said and TOKEN not in said and "Traceback" not in said
    whole = project / "whole"
    for name in ("junit.xml", "report.html", "cucumber.json", "ctrf.json"):
        assert (whole / name).stat().st_size > 1000, name
    assert json.loads((whole / "ctrf.json").read_text())["results"]["summary"]["tests"] == 8
    (message,) = hook.requests
    assert message.json["title"].startswith("demo image: ")
    assert "https://gitlab.example/pipelines/1" in message.json["message"]
    assert len(message.json["attachments"]) == 2
    (status,) = played.statuses
    assert status["state"] == "failed" and status["target_url"].endswith("/pipelines/1")
    (note,) = played.notes
    assert "❌ Must not be released" in note["body"]
    assert "Must not be released" in (project / "gate.html").read_text(encoding="utf-8")


def test_nobody_who_is_down_makes_the_pipeline_pass_or_hides_the_gate(project: Path) -> None:
    played = Played("gitlab")
    played.trouble = (500, {"message": "down"})
    with web_server(played) as forge, web_server(lambda _request: (500, {})) as hook:
        done = judged(project, forge, hook)
    assert done.returncode == 1
    for text in ("not everybody was told", "the commit is not marked", "there is no note"):
        assert f"{text}, see above" in done.stdout
    assert "Must not be released" in done.stdout
