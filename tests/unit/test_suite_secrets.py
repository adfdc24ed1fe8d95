"""Secrets: planted without being told, and gone only if a search that sees says so."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.core.events import Events
from tailstest.guest import secret_keeper
from tailstest.media.pattern_search import search
from tailstest.suite.secrets import LINUX, Secrets


class Guest:
    """A machine whose memory is what the test puts there, and commands that really run here."""

    def __init__(self):
        self.memory = LINUX
        self.sticks = {}
        self.boot_stick = None
        self.requests = []
        self.started = []

    def search_memory(self, needles):
        return searched(self.memory, needles)

    @property
    def names(self):
        return list(self.sticks)

    def look_at(self, name):
        return SimpleNamespace(search=lambda needles: searched(self.sticks[name], needles))

    def look_at_boot_stick(self):
        if self.boot_stick is None:
            return None
        return SimpleNamespace(search=lambda needles: searched(self.boot_stick, needles))

    @property
    def channel(self):
        return self

    def run(self, command, **_options):
        self.requests.append(command)
        shell = isinstance(command, str)
        words = command if shell else [sys.executable, *command[1:]]
        done = subprocess.run(words, shell=shell, capture_output=True, text=True, timeout=20)
        return SimpleNamespace(
            ok=done.returncode == 0,
            out=done.stdout,
            err=done.stderr,
            explain=lambda: done.stderr,
        )

    def wait_until_succeeds(self, command, _expected):
        assert (
            subprocess.run(
                ["bash", "-c", f"for i in {{1..50}}; do {command} && exit; sleep 0.1; done; exit 1"]
            ).returncode
            == 0
        )


def searched(data, needles):
    return search(iter([(0, len(data))]), lambda at, most: data[at : at + most], len(data), needles)


@pytest.fixture
def guest():
    return Guest()


@pytest.fixture
def told():
    return []


@pytest.fixture
def secrets(guest, told):
    events = Events()
    events.subscribe(lambda event: told.append(event.text))
    return Secrets(events, inside=lambda: guest, machine=lambda: guest, shelf=guest)


def test_a_file_holds_it_in_every_form_and_no_request_does(secrets, guest, tmp_path):
    secrets.plant_in_file("letter", str(tmp_path / "letter"))
    guest.memory += (tmp_path / "letter").read_bytes()
    secrets.check_memory(["letter"], held=True)
    text = secrets.state.known["letter"].text
    content = (tmp_path / "letter").read_bytes()
    for encoding in ("ascii", "utf-16-le", "utf-16-be"):
        assert content.count(text.encode(encoding)) > 1000
    assert all(text not in word for request in guest.requests for word in request)


def test_a_program_holds_it_until_it_is_killed(secrets, guest):
    secrets.plant_in_program("letter")
    process = secrets.state.known["letter"].process
    assert text_in_memory_of(process, secrets.state.known["letter"].text)
    secrets.kill_program("letter")
    assert (
        not Path(f"/proc/{process}/maps").exists() or not Path(f"/proc/{process}/maps").read_text()
    )
    with pytest.raises(CheckFailed, match="had ended before"):
        secrets.kill_program("letter")


def text_in_memory_of(process, text):
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if end - begin < secret_keeper.IN_PROGRAM:
                continue
            memory.seek(begin)
            if memory.read(1 << 20).count(text.encode()) > 1000:
                return True
    return False


def test_what_was_never_found_cannot_be_gone(secrets, guest, tmp_path):
    secrets.plant_in_file("letter", str(tmp_path / "letter"))
    with pytest.raises(UsageError, match='"letter" was never found'):
        secrets.check_memory(None, held=False)
    with pytest.raises(CheckFailed, match=r"expected to be there.*no copy \(raw, UTF-16\)"):
        secrets.check_memory(["letter"], held=True)
    with pytest.raises(UsageError, match="was never found"):
        secrets.check_memory(["letter"], held=False)


def test_what_is_still_there_is_counted_and_placed(secrets, guest, told):
    secrets.know_text("correct horse")
    guest.memory += "correct horse".encode("utf-16-be")
    secrets.check_memory(["correct horse"], held=True)
    assert "1 copy (UTF-16) at 0xf" in told[0]
    with pytest.raises(CheckFailed, match=r"not to be there any more.*1 copy \(UTF-16\) at 0xf"):
        secrets.check_memory(["correct horse"], held=False)
    guest.memory = LINUX + bytes(100)
    secrets.check_memory(["correct horse"], held=False)


def test_a_search_that_has_become_blind_is_trouble(secrets, guest):
    secrets.know_text("correct horse")
    guest.memory += b"correct horse"
    secrets.check_memory(None, held=True)
    guest.memory = bytes(1 << 20)
    with pytest.raises(InfrastructureError, match="not even the kernel"):
        secrets.check_memory(None, held=False)


def test_every_medium_is_searched(secrets, guest):
    secrets.know_text("correct horse")
    guest.memory += b"correct horse"
    secrets.check_memory(None, held=True)
    with pytest.raises(UsageError, match="no medium that could keep anything"):
        secrets.check_media()
    guest.sticks = {"mine": bytes(1000), "other": bytes(500) + "correct horse".encode("utf-16-le")}
    with pytest.raises(CheckFailed, match=r'in the USB stick "other": 1 copy \(UTF-16\) at 0x1f4'):
        secrets.check_media()
    guest.sticks["other"] = b""
    secrets.check_media()


def test_the_stick_that_was_started_from_is_searched_without_a_name(secrets, guest, told):
    secrets.know_text("correct horse")
    guest.memory += b"correct horse"
    secrets.check_memory(None, held=True)
    guest.boot_stick = bytes(500) + b"correct horse"
    guest.sticks = {"mine": bytes(1000)}
    where = r"in the USB stick the machine was started from: 1 copy \(raw\) at 0x1f4"
    with pytest.raises(CheckFailed, match=where):
        secrets.check_media()
    guest.sticks, guest.boot_stick = {}, bytes(500)
    secrets.check_media()
    assert '"correct horse" in the USB stick the machine was started from: no copy' in told[-1]


def test_names_are_those_of_this_scenario(secrets, tmp_path):
    with pytest.raises(UsageError, match="no secret was planted"):
        secrets.check_memory(None, held=True)
    secrets.plant_in_file("letter", str(tmp_path / "letter"))
    with pytest.raises(UsageError, match=r'no secret "note".*there are: "letter"'):
        secrets.check_memory(["note"], held=True)
    with pytest.raises(UsageError, match='a secret "letter" already'):
        secrets.plant_in_program("letter")
    with pytest.raises(UsageError, match='no program holds the secret "letter"'):
        secrets.kill_program("letter")
    with pytest.raises(CheckFailed, match="could not be planted"):
        secrets.plant_in_file("other", str(tmp_path / "no" / "folder"))
    assert list(secrets.state.known) == ["letter"]


def test_one_name_may_begin_like_another(secrets, guest, tmp_path):
    secrets.plant_in_file("a", str(tmp_path / "a"))
    secrets.plant_in_file("a: raw", str(tmp_path / "b"))
    guest.memory += (tmp_path / "a").read_bytes()
    with pytest.raises(CheckFailed, match='"a: raw" in the memory of the machine: no copy'):
        secrets.check_memory(None, held=True)


def test_a_checkpoint_keeps_what_is_known(secrets, guest, tmp_path):
    secrets.plant_in_file("letter", str(tmp_path / "letter"))
    guest.memory += (tmp_path / "letter").read_bytes()
    secrets.check_memory(None, held=True)
    state = type(secrets.state).model_validate(secrets.state.model_dump(mode="json"))
    other = Secrets(Events(), inside=lambda: guest, machine=lambda: guest, shelf=guest)
    other.take_up(state)
    guest.memory = LINUX
    other.check_memory(["letter"], held=False)
