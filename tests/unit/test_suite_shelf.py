"""Media by name: made, plugged in and pulled out, and taken up again from a checkpoint."""

import dataclasses
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.evidence import EvidenceFolder
from tailstest.machine.definition import MachineDefinition
from tailstest.media.image_file import Digests
from tailstest.media.media_folder import MediaFolder
from tailstest.media.stick_content.volume import Volume
from tailstest.suite.checkpoints.state import CheckpointStale, ShelfState
from tailstest.suite.image_guard import ImageGuard
from tailstest.suite.parameter_types import PARAMETER_TYPES
from tailstest.suite.shelf import Shelf
from tailstest.suite.sockets import Sockets
from tailstest.suite.suite_files import SuiteFiles

MIB = 1 << 20


class Bay:
    def __init__(self):
        self.files, self.first = [], None

    def holds(self, file):
        return file in self.files

    def plug_in(self, disk):
        self.files.append(disk.source)

    def pull_out(self, file, _name):
        self.files.remove(file)

    def boot_from(self, file):
        self.first = file


class Machine:
    def __init__(self):
        self.bay, self.is_on, self.state, self.definition = (
            Bay(),
            True,
            "running",
            MachineDefinition(),
        )

    def power_on(self):
        self.is_on = True


@pytest.fixture
def place(tmp_path):
    found = SimpleNamespace(machine=None)
    found.owned = []
    media, digests = MediaFolder(EvidenceFolder(tmp_path), found.owned.append), Digests()
    guard = ImageGuard(digests)
    found.files = SuiteFiles(tmp_path, digests)
    found.others = []

    def machines():
        return [*found.others, *([found.machine] if found.machine else [])]

    found.shelf = Shelf(media, machines, digests, guard, found.files)
    found.sockets = Sockets(found.shelf, media, lambda: found.machine)
    found.image = tmp_path / "an.img"
    found.image.write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 512)
    return found


def test_sizes_are_written_as_on_a_stick_or_as_a_program_shows_them():
    size = PARAMETER_TYPES["Size"]
    assert size("2 GiB") == 2 << 30
    assert size("8 GB") == 8_000_000_000
    assert size("512 MiB") == 512 * MIB


def test_a_name_is_used_once_and_must_be_one(place):
    place.shelf.add_blank("a", MIB)
    with pytest.raises(UsageError, match='"a" already'):
        place.shelf.add_blank("a", MIB)
    with pytest.raises(UsageError, match=r'there is no USB stick "b".*there are: "a"'):
        place.sockets.plug_in("b")
    with pytest.raises(UsageError, match="1 to 100 characters"):
        place.shelf.add_blank("x" * 101, MIB)


@pytest.mark.parametrize("name", ["../../etc/passwd", 'x" y', "ключ", "a,b", "json:{}"])
def test_names_are_only_names(place, name, tmp_path):
    place.shelf.add_blank(name, MIB)
    file = place.shelf.stick(name).overlay
    assert place.owned == [file.parent]
    assert file.parent.parent == tmp_path
    assert file.is_file()


def test_what_waits_is_there_when_the_machine_starts(place):
    for name in "abc":
        place.shelf.add_blank(name, MIB)
    place.sockets.plug_in("a")
    place.sockets.plug_in("b")
    place.sockets.plug_in("c")
    place.sockets.pull_out("b")
    with pytest.raises(UsageError, match="plugged in already"):
        place.sockets.plug_in("a")
    with pytest.raises(UsageError, match="not plugged in"):
        place.sockets.pull_out("b")
    parts = MachineDefinition(medium="usb")
    disks = place.sockets.disks_to_start(parts, place.image, "c", "m")
    assert [disk.source for disk in disks] == [place.shelf.stick(name).overlay for name in "ca"]


def started_from_a_stick(place):
    """Start a machine from a stick that has no name, and return that stick's file."""
    place.image.write_bytes(b"\xeb" + place.image.read_bytes()[1:])
    parts = MachineDefinition(medium="usb")
    (disk,) = place.sockets.disks_to_start(parts, place.image, None, "m")
    place.machine = Machine()
    place.machine.bay.plug_in(disk)
    return disk.source


def write_to(file, text):
    subprocess.run(["qemu-io", "-c", f"write -s {text} 512 512", str(file)], check=True)


def test_the_stick_that_was_started_from_is_a_medium_of_the_scenario(place, tmp_path):
    assert place.shelf.look_at_boot_stick() is None
    file = started_from_a_stick(place)
    with pytest.raises(UsageError, match="started from cannot be looked at while it is plugged"):
        place.shelf.look_at_boot_stick()
    place.machine.is_on = False
    (tmp_path / "text").write_bytes(b"correct horse".ljust(512))
    needles = {"horse": b"correct horse"}
    assert not place.shelf.look_at_boot_stick().search(needles).found
    write_to(file, tmp_path / "text")
    assert place.shelf.look_at_boot_stick().search(needles).found
    assert place.shelf.names == []
    place.shelf.clear()
    assert place.shelf.look_at_boot_stick() is None


@pytest.mark.parametrize("is_pulled", [False, True])
def test_a_checkpoint_keeps_the_stick_that_was_started_from(place, tmp_path, is_pulled):
    file = started_from_a_stick(place)
    (tmp_path / "text").write_bytes(b"correct horse".ljust(512))
    write_to(file, tmp_path / "text")
    if is_pulled:
        place.machine.bay.files.clear()
    rest = tmp_path / "rest"
    rest.mkdir()
    state = ShelfState.model_validate_json(place.shelf.state.model_dump_json())
    place.shelf.rest(rest)
    moved = {}
    if not is_pulled:  # the machine keeps it
        moved = {str(file): tmp_path / "moved.qcow2"}
        shutil.copy(file, tmp_path / "moved.qcow2")
    file.unlink()
    place.machine = None
    place.shelf.take_up(state, rest, moved)
    assert place.shelf.look_at_boot_stick().search({"horse": b"correct horse"}).found


def test_an_image_that_cannot_boot_is_the_products_fault(place):
    place.shelf.add_with_image("a", MIB, place.image)
    parts = MachineDefinition(medium="usb", firmware="uefi")
    with pytest.raises(CheckFailed, match="cannot boot from a USB stick on a UEFI machine"):
        place.sockets.disks_to_start(parts, place.image, "a", "m")


def test_a_stick_in_a_running_machine_is_not_copied(place):
    place.shelf.add_blank("a", MIB)
    place.machine = Machine()
    place.sockets.plug_in("a")
    with pytest.raises(UsageError, match="cannot be copied while it is plugged into"):
        place.shelf.add_copy("b", "a")
    place.machine.is_on = False
    place.shelf.add_copy("b", "a")
    place.machine.is_on = True
    place.sockets.pull_out("a")
    place.shelf.add_copy("c", "a")


def test_a_machine_that_is_off_starts_from_another_stick(place):
    place.shelf.add_blank("a", MIB)
    place.machine = Machine()
    with pytest.raises(UsageError, match="on already"):
        place.sockets.start_again_from("a")
    place.machine.is_on = False
    place.sockets.start_again_from("a")
    assert place.machine.is_on
    assert place.machine.bay.first == place.shelf.stick("a").overlay


def test_media_are_taken_up_from_a_checkpoint(place, tmp_path):
    place.machine = Machine()
    place.shelf.add_with_image("in", MIB, place.image)
    place.shelf.add_blank("out", MIB)
    place.sockets.plug_in("in")
    state = place.shelf.state
    rest = tmp_path / "rest"
    rest.mkdir()
    place.shelf.rest(rest)
    assert [file.name for file in rest.iterdir()] == [state.sticks["out"].copy_name]
    old_in, old_out = place.shelf.stick("in"), place.shelf.stick("out")
    place.shelf.clear()
    now = tmp_path / "now.qcow2"
    place.shelf.take_up(state, rest, {str(old_in.overlay): now})
    assert place.shelf.stick("in") == dataclasses.replace(old_in, overlay=now)
    new_out = place.shelf.stick("out")
    assert new_out.overlay != old_out.overlay
    assert new_out.overlay.read_bytes() == old_out.overlay.read_bytes()


def test_what_is_particular_about_a_stick_is_kept(place, tmp_path):
    place.shelf.add_blank("a", MIB)
    place.shelf.set_traits("a", serial="0001", is_write_protected=True, bytes_per_second=1000)
    disk = place.shelf.stick("a").disk()
    assert (disk.serial, disk.readonly, disk.bytes_per_second) == ("0001", True, 1000)
    rest = tmp_path / "rest"
    rest.mkdir()
    state = place.shelf.state
    place.shelf.rest(rest)
    place.shelf.take_up(state, rest, {})
    assert place.shelf.stick("a").disk() == dataclasses.replace(
        disk, source=place.shelf.stick("a").overlay
    )
    with pytest.raises(UsageError, match="no serial number"):
        place.shelf.set_traits("a", serial="x" * 21)
    place.machine = Machine()
    place.sockets.plug_in("a")
    with pytest.raises(UsageError, match="is plugged in"):
        place.shelf.set_traits("a", serial="2")


def test_an_image_that_changed_makes_a_checkpoint_stale(place, tmp_path):
    place.shelf.add_with_image("a", MIB, place.image)
    state = place.shelf.state
    place.image.write_bytes(place.image.read_bytes() + b"\0" * 512)
    with pytest.raises(CheckpointStale, match="is not the image that it was"):
        place.shelf.take_up(state, tmp_path, {})
    place.image.unlink()
    with pytest.raises(CheckpointStale):
        place.shelf.take_up(state, tmp_path, {})


def test_a_folder_that_is_copied_onto_a_stick_is_a_file_that_was_used(place, tmp_path):
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "letter.txt").write_text("dear")
    place.shelf.add_written("a", 64 * MIB, "no", [Volume("FAT32", files=tmp_path / "papers")])
    assert list(place.files.used) == ["papers"]
    assert place.files.are_as_used
    (tmp_path / "papers" / "letter.txt").write_text("dear friend")
    assert not place.files.are_as_used


def test_faults_are_given_before_a_stick_is_plugged_in(place):
    place.shelf.add_blank("a", 64 * MIB)
    place.shelf.add_bad_place("a", "unreadable", 16 * MIB, 17 * MIB)
    place.shelf.keep_only("a", 32 * MIB, "wraps")
    stick = place.shelf.stick("a")
    assert stick.faults.unreadable == ((16 * MIB, 17 * MIB),)
    assert (stick.faults.kept, stick.faults.beyond, stick.format) == (32 * MIB, "wraps", "raw")
    for wrong in (
        lambda: place.shelf.add_bad_place("a", "unwritable", MIB, MIB),
        lambda: place.shelf.add_bad_place("a", "unwritable", 0, 65 * MIB),
        lambda: place.shelf.keep_only("a", 64 * MIB, "lost"),
        lambda: place.shelf.keep_only("b", 32 * MIB, "lost"),
    ):
        with pytest.raises(UsageError):
            wrong()
        assert place.shelf.stick("a") == stick
    assert [file.name for file in place.owned[0].iterdir()] == [stick.overlay.name]
    place.machine = Machine()
    place.sockets.plug_in("a")
    with pytest.raises(UsageError, match="is plugged in"):
        place.shelf.add_bad_place("a", "unreadable", 0, MIB)


def test_faults_go_with_a_checkpoint(place, tmp_path):
    place.shelf.add_blank("a", 64 * MIB)
    place.shelf.keep_only("a", 32 * MIB, "wraps")
    before, rest = place.shelf.stick("a"), tmp_path / "rest"
    rest.mkdir()
    state = ShelfState.model_validate_json(place.shelf.state.model_dump_json())
    place.shelf.rest(rest)
    place.shelf.take_up(state, rest, {})
    now = place.shelf.stick("a")
    assert now == dataclasses.replace(before, overlay=now.overlay)
    assert place.shelf.look_at("a").check_table("no") is None


def test_an_sd_card_has_a_size_that_there_is_and_starts_no_uefi_machine(place):
    with pytest.raises(UsageError, match="SD card cannot have"):
        place.shelf.add_disk("odd", 3 * MIB, "sd")
    place.shelf.add_disk("card", 4 * MIB, "sd", place.image)
    assert place.shelf.stick("card").image == place.image
    parts = MachineDefinition(medium="usb", firmware="uefi")
    with pytest.raises(UsageError, match="cannot start from an SD card"):
        place.sockets.disks_to_start(parts, place.image, "card", "m")
    place.shelf.add_disk("fast", 4 * MIB, "nvme")
    with pytest.raises(UsageError, match="cannot be slowed down"):
        place.shelf.set_traits("fast", bytes_per_second=1000)


@pytest.mark.parametrize(
    ("kind", "text", "means"),
    [
        ("DiskKind", "an NVMe disk", "nvme"),
        ("DiskKind", "an SD card", "sd"),
        ("DiskKind", "a SATA disk", "sata"),
        ("Fault", "write errors", "unwritable"),
        ("ClockError", "365 days behind", -31_536_000),
        ("ClockError", "1 hour ahead", 3600),
        ("Beyond", "loses the rest", "lost"),
        ("Beyond", "writes the rest over it", "wraps"),
    ],
)
def test_words_of_steps(kind, text, means):
    assert PARAMETER_TYPES[kind](text) == means
