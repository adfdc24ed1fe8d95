"""Messages through a real mail server and a real webhook on this host."""

from __future__ import annotations

import base64
import io
import json
import socket
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner, Result
from PIL import Image
from results_sample import Sample
from store_tools import made_run, open_store
from telling_tools import free_port, mail_server, web_server

from tailstest.cli.main import tailstest
from tailstest.core.errors import InfrastructureError, SetupError, TailstestError, UsageError
from tailstest.core.events import Events
from tailstest.core.settings import Settings
from tailstest.results.recorder import attach
from tailstest.results.run_builder import load_run
from tailstest.results.run_folder import RunFolder
from tailstest.results.store.adding import add_run
from tailstest.results.telling.config import Service, address_of, load_notify_config

SECRET = "s3cret/&pass wörd"


class Suite:
    """A store with one recorded run, and a configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "notify.toml"

    def configure(self, text: str) -> None:
        self.config.write_text("attempts = 2\npause = 0\n" + text, encoding="utf-8")

    def notify(self, *words: str, **environment: str) -> Result:
        result = CliRunner().invoke(
            tailstest,
            ["notify", "--config", str(self.config), *words],
            env={"TAILSTEST_STORE": str(self.folder / "store.sqlite3"), **environment},
            standalone_mode=False,
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    folder = RunFolder.create(tmp_path / "runs")
    events = Events()
    attach(events, folder, settings=Settings())
    Sample(folder, events).whole()
    with open_store(tmp_path) as store:
        add_run(store, load_run(folder), folder.path)
    return Suite(tmp_path)


def test_a_mail_has_the_news_the_picture_and_the_link(suite: Suite) -> None:
    with mail_server() as box:
        suite.configure(
            'link = "https://ci.example/{run}/report.html"\n'
            '[[service]]\nname = "mail"\npictures = 1\n'
            f'url = "mailto://127.0.0.1:{box.port}?from=ci@example.org&to=qa@example.org"\n'
        )
        done = suite.notify()
        assert done.output == "mail: sent\n"
        (mail,) = box.mails
    assert "3 newly failing" not in mail["Subject"] and "4 newly failing" in mail["Subject"]
    assert "qa@example.org" in mail["To"]
    text = mail.get_body(("html", "plain")).get_content()  # type: ignore[union-attr]
    assert "The language can be confirmed" in text
    assert "https://ci.example/" in text and "/report.html" in text
    assert "<script>" not in text
    (picture,) = mail.iter_attachments()
    assert picture.get_content_type() == "image/jpeg"
    data = picture.get_content()
    assert len(data) < 300_000
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (1024, 768)


def test_nothing_is_sent_when_nothing_changed_unless_asked(suite: Suite, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        for number in (100, 101):
            add_run(store, made_run(number, {"a": "failed", "b": "passed"}, image="a"))
    with web_server() as hook:
        suite.configure(f'[[service]]\nname = "hook"\nurl = "{hook.hook}/x"\n')
        assert "nothing sent" in suite.notify("run-101").output
        assert hook.requests == []
        assert suite.notify("run-101", "--always").output == "hook: sent\n"
        (request,) = hook.requests
    assert "nothing changed" in request.json["title"]


def test_a_service_that_is_down_is_told_of_and_does_not_lose_the_others(suite: Suite) -> None:
    with mail_server() as box, web_server(lambda _request: (503, {})) as broken:
        suite.configure(
            f'[[service]]\nname = "down"\nurl = "json://user:${{PASS}}@127.0.0.1:{free_port()}"\n'
            f'[[service]]\nname = "broken"\nurl = "{broken.hook}/${{PASS}}"\n'
            '[[service]]\nname = "mail"\n'
            f'url = "mailto://127.0.0.1:{box.port}?from=ci@example.org&to=qa@example.org"\n'
        )
        with pytest.raises(InfrastructureError) as caught:
            suite.notify(PASS=SECRET)
        assert len(box.mails) == 1
        assert len(broken.requests) == 2, "tried again, as often as the configuration says"
    assert "down, broken" in str(caught.value) and "mail" not in str(caught.value)


def test_what_services_say_is_shown_without_secrets(
    suite: Suite, capfd: pytest.CaptureFixture[str]
) -> None:
    runner = CliRunner()
    with web_server(lambda _request: (401, {"error": SECRET})) as broken:
        suite.configure(
            '[[service]]\nname = "down"\n'
            f'url = "json://u:${{PASS}}@127.0.0.1:{free_port()}/${{PASS}}"\n'
            f'[[service]]\nname = "broken"\nurl = "{broken.hook}/${{PASS}}"\n'
        )
        done = runner.invoke(
            tailstest,
            ["notify", "--config", str(suite.config)],
            env={"TAILSTEST_STORE": str(suite.folder / "store.sqlite3"), "PASS": SECRET},
        )
    assert isinstance(done.exception, TailstestError) and done.exception.exit_status == 3
    printed = done.output + str(done.exception) + "".join(capfd.readouterr())
    assert "down: NOT sent in 2 attempts" in printed and "broken: NOT sent" in printed
    for form in (SECRET, "s3cret", "s3cret%2F", "pass%20w"):
        assert form not in printed
    assert unquote(broken.requests[0].path) == f"/{SECRET}"


def test_a_service_that_never_answers_is_left_after_its_time(suite: Suite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, web_server() as hook:
        port = silent.getsockname()[1]
        suite.configure(
            f'timeout = 0.5\n[[service]]\nname = "silent"\nurl = "json://127.0.0.1:{port}?rto=1"\n'
            f'[[service]]\nname = "hook"\nurl = "{hook.hook}"\n'
        )
        with pytest.raises(InfrastructureError, match="silent"):
            suite.notify()
        assert len(hook.requests) == 1


def test_only_wanted_news_are_sent_and_kinds_are_counted(suite: Suite, tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        add_run(store, made_run(100, {"a": "failed", "b": "passed"}, image="a"))
        add_run(store, made_run(101, {"a": "passed", "b": "passed"}, image="a"))
    with web_server() as hook:
        address = f'url = "{hook.hook}"\n'
        suite.configure(
            f'[[service]]\nname = "bad"\n{address}changes = ["failing", "flaky", "incomplete"]\n'
            f'[[service]]\nname = "all"\n{address}'
        )
        output = suite.notify("run-101").output
    assert output.splitlines()[0].startswith("bad: nothing changed that it wants to know")
    assert output.splitlines()[1] == "all: sent"
    assert hook.requests[0].json["type"] == "success"
    assert "1 passing again" in hook.requests[0].json["title"]


def test_the_webhook_gets_the_pictures_within_bounds(suite: Suite) -> None:
    with web_server() as hook:
        suite.configure(f'[[service]]\nname = "hook"\npictures = 2\nurl = "{hook.hook}"\n')
        suite.notify()
        told = hook.requests[0].json
    assert len(told["attachments"]) == 2
    for each in told["attachments"]:
        assert each["mimetype"] == "image/jpeg"
        assert base64.b64decode(each["base64"]).startswith(b"\xff\xd8")
        assert "/" not in each["filename"]


def test_a_run_is_found_by_its_folder_whatever_that_is_called_now(suite: Suite) -> None:
    (folder,) = (each for each in (suite.folder / "runs").iterdir() if not each.is_symlink())
    moved = folder.rename(suite.folder / "whole")
    with web_server() as hook:
        suite.configure(f'[[service]]\nname = "hook"\nurl = "{hook.hook}"\n')
        assert suite.notify(str(moved)).output == "hook: sent\n"
    assert len(hook.requests[0].json["attachments"]) == 2, "pictures are where the folder is now"


@pytest.mark.parametrize("first", ["", "no json", "[]", '{"run_id": 3}', '{"run_id": "gone"}'])
def test_a_folder_that_says_no_run_of_the_store_is_an_error(
    first: str, suite: Suite, tmp_path: Path
) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "events.jsonl").write_text(first)
    suite.configure('[[service]]\nname = "x"\nurl = "json://127.0.0.1"\n')
    with pytest.raises(UsageError, match="no run or release"):
        suite.notify(str(tmp_path / "odd"))


def test_a_dry_run_prints_the_message_and_needs_no_secret(suite: Suite) -> None:
    suite.configure('[[service]]\nname = "x"\nurl = "mailto://${NOT_SET}@example.org"\n')
    done = suite.notify("--dry-run")
    assert "newly failing" in done.output and "The language can be confirmed" in done.output
    told = json.loads(suite.notify("--dry-run", "--json").output)
    assert told["changed"] and told["previous"] is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "service: Field required"),
        ("service = []", "service"),
        ('[[service]]\nname = "x"', "needs url or url_file"),
        ('[[service]]\nname = "x"\nurl = "json://x"\nurl_file = "y"', "needs url or url_file"),
        ('[[service]]\nname = "x"\nurl = "json://x"\ncolour = "red"', "unknown key"),
        ('attempts = 99\n[[service]]\nname = "x"\nurl = "json://x"', "attempts"),
        ('[[service]]\nname = "x"\nurl = "json://x"\nchanges = ["dying"]', "changes"),
        (2 * '[[service]]\nname = "x"\nurl = "json://x"\n', "same name"),
        ("[[service]", "not valid TOML"),
    ],
)
def test_a_wrong_configuration_is_an_error_that_names_the_place(
    text: str, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "notify.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=complaint) as caught:
        load_notify_config(file)
    assert str(file) in str(caught.value)


def test_secrets_come_from_variables_and_private_files_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs the variable MAIL_PASSWORD, which is not set"):
        address_of(Service(name="m", url="mailtos://u:${MAIL_PASSWORD}@h"), tmp_path, {})
    with pytest.raises(UsageError, match="has its password in the configuration"):
        address_of(Service(name="m", url="mailtos://u:hunter2@h"), tmp_path, {})
    file = tmp_path / "address"
    file.write_text("slack://TokenA/TokenB/TokenC\n", encoding="utf-8")
    service = Service(name="s", url_file="address")
    file.chmod(0o640)
    with pytest.raises(UsageError, match="others may read it") as caught:
        address_of(service, tmp_path, {})
    assert "TokenA" not in str(caught.value)
    file.chmod(0o600)
    address = address_of(service, tmp_path, {})
    assert address.url == "slack://TokenA/TokenB/TokenC"
    assert "TokenB" not in address.masked(f"failed: {address.url}, TokenB")
    assert "TokenA" not in repr(address)
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(UsageError, match="is empty"):
        address_of(service, tmp_path, {})
    with pytest.raises(UsageError, match="cannot be read"):
        address_of(Service(name="s", url_file="gone"), tmp_path, {})


def test_a_secret_cannot_change_the_address(tmp_path: Path) -> None:
    service = Service(name="m", url="mailtos://u:${P}@mail.example.org")
    address = address_of(service, tmp_path, {"P": "x@evil.example/?to=a&"})
    assert address.url == "mailtos://u:x%40evil.example%2F%3Fto%3Da%26@mail.example.org"
    whole = address_of(Service(name="m", url="${ALL}"), tmp_path, {"ALL": "json://host/token1"})
    assert whole.url == "json://host/token1"
    assert "token1" not in whole.masked("no token1")


def test_without_apprise_the_extra_is_named(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    suite.configure('[[service]]\nname = "x"\nurl = "json://127.0.0.1"\n')
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SetupError, match=r"tailstest\[notify\]"):
        suite.notify()


def test_an_address_that_apprise_does_not_know_is_an_error_before_anything_is_sent(
    suite: Suite,
) -> None:
    with web_server() as hook:
        suite.configure(
            f'[[service]]\nname = "hook"\nurl = "{hook.hook}"\n'
            '[[service]]\nname = "odd"\nurl = "nosuchthing://x"\n'
        )
        with pytest.raises(UsageError, match='"odd" is none that apprise knows'):
            suite.notify()
        assert hook.requests == []
