"""Power that fails while notes are written: what was confirmed must be on every copy."""

import contextlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tailstest.core.errors import CheckFailed, MachineStopped, UsageError
from tailstest.core.events import Events
from tailstest.guest import note_writer
from tailstest.suite.power_cuts import MOST_COPIES, MOST_NOTES, PowerCuts, missing_notes


class Machine:
    """A machine that writes a little more, and confirms a note more, at each look."""

    deadline_scale = 0.001

    def __init__(self):
        self.bay = self.serial = self
        self.total = 1000
        self.step = 100
        self.is_frozen = False
        self.failed_at = None

    def written(self, _file):
        assert not self.is_frozen
        self.total += self.step
        return self.total

    def text(self):
        assert self.is_frozen
        numbers = range(1, (self.total - 1000) // 100 + 1)
        return (
            "boot\r\n"
            + "".join(f"confirmed note {each}\r\r\n" for each in numbers)
            + "confirmed no"
        )

    @contextlib.contextmanager
    def frozen(self):
        self.is_frozen = True
        yield
        self.is_frozen = False

    def check(self):
        if self.total > 100_000:
            raise MachineStopped("the machine switched itself off")

    def fail_power(self):
        self.failed_at = self.total


class Shelf:
    """Sticks whose files the test decides on."""

    def __init__(self, machine):
        self.machine = machine
        self.files = {}

    def stick(self, name):
        return SimpleNamespace(overlay=name)

    def add_frozen_copy(self, name, _other):
        assert self.machine.is_frozen
        self.files[name] = notes(*range(1, (self.machine.total - 1000) // 100 + 1))

    def look_at(self, name):
        def read(number, path, passphrase):
            assert (number, path, passphrase) == (4, "notes", "word")
            if self.files[name] is None:
                raise CheckFailed("there is no file 'notes'")
            return self.files[name]

        return SimpleNamespace(read=read)


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def shelf(machine):
    return Shelf(machine)


@pytest.fixture
def cuts(machine, shelf):
    return PowerCuts(Events(), inside=lambda: None, machine=lambda: machine, shelf=shelf)


def test_the_power_fails_when_enough_is_written(cuts, machine):
    cuts.fail_after("mine", 500)
    assert machine.failed_at == 1600


def test_a_machine_that_writes_nothing_is_told(cuts, machine):
    machine.step = 0
    with pytest.raises(CheckFailed, match=r'for 1500 bytes on "mine", but only 1000 were written'):
        cuts.fail_after("mine", 500)
    assert machine.failed_at is None


def test_a_machine_that_ends_meanwhile_ends_the_wait(cuts, machine):
    machine.step = 60_000
    with pytest.raises(MachineStopped):
        cuts.fail_after("mine", 1 << 30)


def test_copies_are_made_one_after_another_and_go_on_counting(cuts, shelf):
    cuts.copy_at_moments("mine", 3, 300)
    cuts.copy_at_moments("mine", 1, 50)
    assert list(shelf.files) == [f"mine, cut {number}" for number in (1, 2, 3, 4)]
    assert [copy.confirmed for copy in cuts.copies["mine"]] == [4, 7, 10, 12]
    cuts.check_notes("mine", 4, "notes", "word")


@pytest.mark.parametrize("count", [0, MOST_COPIES + 1])
def test_the_number_of_copies_is_bounded(cuts, count):
    with pytest.raises(UsageError, match=f"not {count}"):
        cuts.copy_at_moments("mine", count, 300)


@pytest.mark.parametrize("number", [MOST_NOTES + 1, 999_999_999, 10**17])
def test_more_notes_than_a_file_may_hold_are_no_claim_to_check(cuts, machine, shelf, number):
    machine.text = lambda: f"confirmed note {number}\n"
    with pytest.raises(
        UsageError, match=rf"says .* that {number} notes are confirmed; .*{MOST_NOTES}"
    ):
        cuts.copy_at_moments("mine", 1, 100)
    assert shelf.files == {}
    machine.text = lambda: f"confirmed note {MOST_NOTES}\n"
    machine.is_frozen = False
    cuts.copy_at_moments("mine", 1, 100)
    assert cuts.copies["mine"][0].confirmed == MOST_NOTES == 16384


def test_what_is_lost_is_named_for_each_copy(cuts, shelf):
    cuts.copy_at_moments("mine", 3, 300)
    shelf.files["mine, cut 2"] = notes(1, 2, 4, 5)
    shelf.files["mine, cut 3"] = None
    with pytest.raises(CheckFailed) as raised:
        cuts.check_notes("mine", 4, "notes", "word")
    assert '"mine, cut 2" has lost 3 of 7 (number 3, 6, 7)' in raised.value.message
    assert '"mine, cut 3" has lost all 10: there is no file' in raised.value.message
    assert "cut 1" not in raised.value.message


def test_nothing_confirmed_proves_nothing(cuts, machine, shelf):
    with pytest.raises(UsageError, match="no note was confirmed"):
        cuts.check_notes("mine", 4, "notes", "word")
    machine.text = lambda: "booting"
    cuts.copy_at_moments("mine", 2, 100)
    with pytest.raises(UsageError, match="no note was confirmed"):
        cuts.check_notes("mine", 4, "notes", "word")


def notes(*numbers):
    return b"".join(f"{note_writer.note(number)}\n".encode() for number in numbers)


def test_notes_are_lines_of_one_size():
    assert {len(note_writer.note(number)) for number in (1, 99, 123456789)} == {4095}


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        (notes(1, 2, 3), []),
        (notes(1, 2, 3, 4), []),
        (notes(1, 3), [2]),
        (notes(1, 2) + notes(3)[:-2], [3]),
        (notes(1, 2) + notes(3).replace(b"a", b"b", 1), [3]),
        (notes(1) + bytes(4096) + notes(3), [2, 3]),
        (b"", [1, 2, 3]),
    ],
)
def test_a_note_that_is_missing_or_damaged_is_lost(content, missing):
    assert missing_notes(content, 3) == missing


def test_a_note_is_confirmed_when_it_is_written(tmp_path):
    port = tmp_path / "port"
    port.touch()
    words = [sys.executable, "-IS", note_writer.__file__, str(tmp_path / "notes"), str(port)]
    process = int(subprocess.run(words, capture_output=True, text=True, timeout=20).stdout)
    try:
        subprocess.run(
            ["bash", "-c", f"until grep -q 'note 20' {port}; do sleep 0.05; done"], timeout=20
        )
    finally:
        subprocess.run(["kill", "-KILL", str(process)], check=True)
    confirmed = port.read_text().splitlines()
    assert confirmed[0] == "confirmed note 1"
    assert missing_notes((tmp_path / "notes").read_bytes(), len(confirmed)) == []
