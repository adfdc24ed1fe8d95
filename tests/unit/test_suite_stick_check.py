"""Checks of sticks say what is there instead, and tables of steps say what is wrong in them."""

from types import SimpleNamespace

import pytest

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.media.stick_content.volume import Volume
from tailstest.media.stick_content.writing import written_stick
from tailstest.media.usb_stick import UsbStick
from tailstest.suite.stick_check import StickCheck, volumes_of

MIB = 1 << 20


class Rows(list):
    """Stands for behave's Table."""

    def __init__(self, headings, *rows):
        super().__init__(dict(zip(headings, row, strict=True)) for row in rows)
        self.headings = headings


def test_rows_become_volumes(tmp_path):
    table = Rows(
        ["size", "file system", "passphrase", "encryption", "files"],
        ["512 MiB", "ext4", "two words", "LUKS2", "some/files"],
        ["", "NTFS", "", "", ""],
    )
    assert volumes_of(table, tmp_path) == [
        Volume("ext4", "", "LUKS2", "two words", tmp_path / "some/files", 512 * MIB),
        Volume("NTFS"),
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (None, "needs a table"),
        (Rows(["file system", "colour"], ["ext4", "red"]), "no column 'colour'"),
        (Rows(["size"], ["1 GiB"]), "needs the column 'file system'"),
        (Rows(["file system", "size"], ["ext4", "large"]), "'large' is no size"),
        (Rows(["file system", "size"], ["ext4", "1 EiB"]), "'1 EiB' is no size"),
    ],
)
def test_what_is_wrong_in_a_table_is_said(table, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        volumes_of(table, tmp_path)


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stick")
    (folder / "files").mkdir()
    (folder / "files" / "a.txt").write_text("all \x1b[31mred\n")
    volumes = [
        Volume("ext4", "mine", "LUKS2", "right", folder / "files", 64 * MIB),
        Volume("FAT32", "FAT", files=folder / "files"),
    ]
    return StickCheck("s", written_stick(folder / "s.qcow2", 200 * MIB, "MBR", volumes))


def test_what_is_as_expected_passes(check):
    check.check_table("MBR")
    check.check_content(1, "LUKS2")
    check.check_label(2, "FAT")
    check.check_passphrase(1, "right", expected=True)
    check.check_passphrase(1, "wrong", expected=False)
    check.check_file(2, "a.txt", "red")
    check.check_file(1, "a.txt", "red", "right")
    check.check_same(check, expected=True)


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (lambda check: check.check_table("GPT"), 'stick "s": partition table GPT; it has: MBR'),
        (lambda check: check.check_content(2, "NTFS"), "NTFS on partition 2; it has: FAT32"),
        (lambda check: check.check_label(2, "X"), 'the label "X" on partition 2; it has: "FAT"'),
        (lambda check: check.check_passphrase(1, "wrong", expected=True), "it has: it does not"),
        (lambda check: check.check_passphrase(1, "right", expected=False), "it has: it opens it"),
        (lambda check: check.check_file(2, "a.txt", "blue"), '"blue" in a.txt; it has: \nall '),
        (lambda check: check.check_sha256("00"), "the SHA-256 00; it has: [0-9a-f]{64}$"),
        (lambda check: check.check_same(check, expected=False), "they are the same"),
        (
            lambda check: check.check_content(3, "ext4"),
            "no partition 3 on the stick; there are: 1, 2",
        ),
    ],
)
def test_what_is_not_is_told(check, look, said):
    with pytest.raises(CheckFailed, match=said) as error:
        look(check)
    assert "\x1b" not in str(error.value)


def test_what_a_guest_may_have_written_is_taken_for_data(tmp_path):
    stick = UsbStick.blank(tmp_path / "s.qcow2", 4 * MIB)
    check = StickCheck("s", stick)
    for path in ('a" -R "x', "a\nb", "*", "a\\b", ""):
        with pytest.raises(UsageError, match="no path"):
            check.check_file(1, path, "x")
    with pytest.raises(CheckFailed, match="is not encrypted: it holds none"):
        check.check_passphrase(1, "x", expected=True)


def test_a_partition_that_reaches_beyond_the_stick_is_not_followed(tmp_path):
    first = SimpleNamespace(path=tmp_path / "raw")
    # One MBR entry of 2 TiB in a stick of 4 MiB: type 83, start 2048, all sectors there are.
    entry = bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + b"\xff" * 4
    first.path.write_bytes(b"\0" * 446 + entry + b"\0" * 48 + b"\x55\xaa" + b"\0" * (4 * MIB - 512))
    check = StickCheck("s", UsbStick.of_image(first.path, tmp_path / "s.qcow2"))
    check.check_table("MBR")
    with pytest.raises(CheckFailed, match="reaches beyond the end"):
        check.check_content(1, "ext4")
