"""What steps want of a lab: done again after a checkpoint, and mail that is waited for."""

from email.message import EmailMessage
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.events import Events
from tailstest.media.image_file import Digests
from tailstest.suite.scenario_network import ScenarioNetwork
from tailstest.suite.scenario_services import CHANGES
from tailstest.suite.suite_files import SuiteFiles


@pytest.fixture
def labs():
    return MagicMock()


@pytest.fixture
def network(labs, tmp_path):
    machine = SimpleNamespace(check=lambda: None, deadline_scale=0.001, is_on=False)
    files = SuiteFiles(tmp_path, Digests())
    return ScenarioNetwork(lambda: machine, lambda: labs, Events(), files=files)


def calls(labs):
    """Return what the lab was told, without what was only asked."""
    return [call for call in labs.mock_calls if not call[0].startswith(("network", "__"))]


def test_everything_that_was_changed_is_done_again_in_a_new_lab(network, labs):
    services = network.services
    services.answer("deb.example.org", ["203.0.113.66"])
    services.show_folder("www.example.org", "/srv")
    services.ask_for_login()
    services.set_clock(60)
    services.start_tor()
    services.start_tor_bridge()
    services.start_proxy()
    services.add_mailbox("anna@lab.test", "secret")
    services.put_mail("anna@lab.test", "bob@example.org", "Hi", "text")
    labs.internet.repositories = {"deb.lab.test": labs.internet.repository.return_value}
    services.add_packages("deb.lab.test", [("hello-lab", "1.0")])
    services.damage_package("deb.lab.test", "hello-lab")
    services.sign_with_another_key("deb.lab.test")
    services.offer_upgrade("demo", "1.0", "1.1")
    services.offer_file_as_upgrade("demo", "1.0", "1.2", "/srv/new.img")
    services.damage_upgrade("demo")
    services.sign_upgrade_with_another_key("demo")
    services.offer_no_upgrade("demo", "1.0")
    network.block_port("tcp", 80)
    network.shape(delay=0.2)
    network.neighbours.add_neighbour("isolated")
    assert CHANGES | {"block_port", "shape", "add_neighbour"} == {
        name for name, _ in network.state.changes
    }
    before, state = calls(labs), network.state
    network.clear()
    labs.reset_mock()
    network.take_up(state)
    assert calls(labs) == before
    assert network.state == state


def test_a_checkpoint_cannot_call_what_is_no_change(network):
    network.services.add_mailbox("anna@lab.test", "secret")
    state = network.state
    state.changes.append(("wait_mail", ["a", "b"]))
    with pytest.raises(UsageError, match="wants to wait_mail"):
        network.take_up(state)


def mail(subject, text):
    message = EmailMessage()
    message["Subject"] = subject
    message.set_content(text)
    return message


def test_a_mail_has_come_when_subject_and_text_are_right(network, labs):
    labs.internet.mail.mails.return_value = [mail("Hi", "Nothing."), mail("Hi", "At noon.")]
    network.services.wait_mail("anna@lab.test", "Hi", "noon")
    with pytest.raises(CheckFailed, match=r'"Hi" that holds "night" .*what came: "Hi", "Hi"'):
        network.services.wait_mail("anna@lab.test", "Hi", "night")


def test_a_mail_that_did_not_come_is_told_with_those_that_did(network, labs):
    hostile = mail("x", "y")
    hostile.replace_header("Subject", "Ho\x1b[31m" + "o" * 500)
    labs.internet.mail.mails.return_value = [hostile] * 30
    with pytest.raises(CheckFailed) as caught:
        network.services.wait_mail("anna@lab.test", "Hi")
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 1500
    labs.internet.mail.mails.return_value = []
    with pytest.raises(CheckFailed, match="what came: nothing"):
        network.services.wait_mail("anna@lab.test", "Hi")


def test_a_mail_in_an_unknown_character_set_is_no_match_and_no_crash(network, labs):
    odd = mail("Hi", "text")
    odd.replace_header("Content-Type", 'text/plain; charset="nobody-knows"')
    labs.internet.mail.mails.return_value = [odd]
    with pytest.raises(CheckFailed):
        network.services.wait_mail("anna@lab.test", "Hi", "text")


def test_a_repository_of_no_package_proves_nothing(network, labs):
    with pytest.raises(UsageError, match="no package") as caught:
        network.services.add_packages("deb.lab.test", [])
    assert "heading" in caught.value.hint
    assert calls(labs) == []


def test_a_repository_that_is_not_there_is_told_with_those_that_are(network, labs):
    labs.internet.repositories = {"deb.lab.test": MagicMock()}
    with pytest.raises(UsageError, match=r'no APT repository "x"; known: deb\.lab\.test'):
        network.services.repository("x")
