"""What is written onto a stick is found there by other tools: tables, file systems, LUKS, files."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tailstest.core.errors import CheckFailed, InfrastructureError, UsageError
from tailstest.media.faults import Faults
from tailstest.media.host_tool import HostTool
from tailstest.media.pattern_search import forms_of
from tailstest.media.stick_content import inspection
from tailstest.media.stick_content.inspection import StickInspection, same_content
from tailstest.media.stick_content.volume import Volume, places
from tailstest.media.stick_content.writing import written_stick
from tailstest.media.usb_stick import QEMU_IMG, UsbStick

GIB = 1 << 30
MIB = 1 << 20
STRANGE = "two words \"and\" 'quotes' $HOME ü ключ"


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "hello.txt").write_text("Grüße\n", encoding="utf-8")
    return folder


def stick(tmp_path, table, *volumes, size=8 * GIB):
    began = time.monotonic()
    made = written_stick(tmp_path / f"{time.monotonic_ns()}.qcow2", size, table, list(volumes))
    print(f"{table} {volumes}: {time.monotonic() - began:.2f} s")
    return made


@pytest.mark.parametrize("kind", ["FAT32", "exFAT", "NTFS", "ext4", "btrfs"])
@pytest.mark.parametrize("table", ["GPT", "MBR", "no"])
def test_every_file_system_is_found_in_every_table(tmp_path, kind, table):
    made = stick(tmp_path, table, Volume(kind, label="MY STICK"))
    assert made.overlay.stat().st_blocks * 512 < 80 * MIB
    with StickInspection.of(made) as seen:
        assert seen.table.kind == table
        assert seen.file_system(1).kind == kind
        assert seen.file_system(1).label == "MY STICK"
        with pytest.raises(CheckFailed, match="no partition 2"):
            seen.file_system(2)
    assert [file.name for file in tmp_path.iterdir()] == [made.overlay.name]


@pytest.mark.parametrize("kind", ["FAT32", "NTFS", "ext4"])
def test_files_are_copied_in_and_read_again(tmp_path, kind, files):
    made = stick(tmp_path, "GPT", Volume(kind, files=files))
    with StickInspection.of(made) as seen:
        assert seen.read(1, "/hello.txt").decode() == "Grüße\n"
        with pytest.raises(CheckFailed, match=r"no file '/bye\.txt' on partition 1"):
            seen.read(1, "/bye.txt")


@pytest.mark.parametrize("kind", ["FAT32", "ext4"])
@pytest.mark.parametrize("encryption", ["LUKS1", "LUKS2"])
def test_an_encrypted_file_system_is_opened_by_its_passphrase_only(
    tmp_path, kind, encryption, files
):
    volume = Volume(kind, "in luks", encryption, STRANGE, files)
    made = stick(tmp_path, "GPT", Volume("FAT32", "open", size=100 * MIB), volume)
    with StickInspection.of(made) as seen:
        assert seen.file_system(1).kind == "FAT32"
        assert seen.file_system(2).kind == encryption
        assert seen.opens(2, STRANGE)
        assert not seen.opens(2, STRANGE + " ")
        assert seen.file_system(2, STRANGE).kind == kind
        assert seen.read(2, "hello.txt", STRANGE).decode() == "Grüße\n"
        with pytest.raises(CheckFailed, match="does not open partition 2"):
            seen.read(2, "hello.txt", "wrong")
        with pytest.raises(CheckFailed, match="partition 1 is not encrypted"):
            seen.opens(1, STRANGE)


def test_qemu_decrypts_what_was_encrypted_here(tmp_path, files):
    made = stick(tmp_path, "no", Volume("FAT32", "MINE", "LUKS1", STRANGE, files), size=64 * MIB)
    raw, inner, secret = (str(tmp_path / name) for name in ("raw", "inner", "secret"))
    (tmp_path / "secret").write_text(STRANGE, encoding="utf-8")
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(made.overlay), raw], check=True)
    opened = f"driver=luks,key-secret=s,file.filename={raw}"
    convert = ["qemu-img", "convert", "--object", f"secret,id=s,file={secret}", "--image-opts"]
    subprocess.run([*convert, opened, "-O", "raw", inner], check=True)
    shown = subprocess.run(["mtype", "-i", inner, "::/hello.txt"], capture_output=True, check=True)
    assert shown.stdout.decode() == "Grüße\n"


def test_the_header_of_luks2_says_how_the_content_is_encrypted(tmp_path):
    made = stick(tmp_path, "no", Volume("ext4", "", "LUKS2", STRANGE), size=64 * MIB)
    raw = str(tmp_path / "raw")
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(made.overlay), raw], check=True)
    dump = ["/usr/sbin/cryptsetup", "luksDump", "--dump-json-metadata", raw]
    (segment,) = json.loads(subprocess.run(dump, capture_output=True, check=True).stdout)[
        "segments"
    ].values()
    assert segment["offset"] == str(16 * MIB)
    assert segment["encryption"] == "aes-xts-plain64"
    assert (segment["iv_tweak"], segment["sector_size"]) == ("0", 512)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_all_bytes_of_a_stick_are_searched_and_no_passphrase_is_asked_for(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    (files / "letter").write_bytes("correct horse".encode("utf-16-be") + b"correct horse\n")
    open_one, locked = (
        Volume("ext4", files=files),
        Volume("ext4", files=files, encryption="LUKS2", passphrase="word"),
    )
    needles = forms_of("correct horse")
    with StickInspection.of(stick(tmp_path, "GPT", open_one)) as seen:
        found = seen.search(needles)
        assert {name: each.count for name, each in found.copies.items()} == {"raw": 1, "UTF-16": 1}
        assert found.size == 8 * GIB
        assert 0 < found.searched < 100 * MIB
    with StickInspection.of(stick(tmp_path, "GPT", locked)) as seen:
        assert not seen.search(needles).found


def test_no_root_is_needed():
    code = (
        "import os,sys,pathlib;os.setgid(65534);os.setuid(65534);"
        "from tailstest.media.stick_content.writing import written_stick;"
        "from tailstest.media.stick_content.inspection import StickInspection as S;"
        "from tailstest.media.stick_content.volume import Volume as V;"
        "m=written_stick(pathlib.Path(sys.argv[1])/'s.qcow2',1<<28,'GPT',"
        "[V('ext4',encryption='LUKS2',passphrase='x y',size=1<<26),V('FAT32')]);"
        "\nwith S.of(m) as s: print(s.file_system(1,'x y').kind, s.file_system(2).kind)"
    )
    with tempfile.TemporaryDirectory() as folder:  # pytest's own belong to root
        Path(folder).chmod(0o777)
        command = [sys.executable, "-c", code, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["ext4", "FAT32"], done.stderr


@pytest.mark.parametrize("kind", ["FAT32", "NTFS", "ext4"])
def test_no_more_of_a_large_file_is_taken_out_than_is_read(tmp_path, kind, files, monkeypatch):
    monkeypatch.setattr(inspection, "READ_LIMIT", MIB)
    with (files / "large").open("wb") as large:
        large.truncate(32 * MIB)
    (files / "most").write_bytes(b"x" * MIB)
    with StickInspection.of(stick(tmp_path, "no", Volume(kind, files=files), size=GIB)) as seen:
        with pytest.raises(InfrastructureError, match=f"large has more than {MIB} bytes"):
            seen.read(1, "large")
        (written,) = tmp_path.glob("look-*/file")
        assert written.stat().st_size == MIB + 1
        assert seen.read(1, "most") == b"x" * MIB


def test_a_file_that_is_said_to_be_huge_takes_no_room(tmp_path, files, monkeypatch):
    monkeypatch.setattr(inspection, "READ_LIMIT", MIB)
    (files / "hole").touch()
    raw = tmp_path / "raw"
    made = stick(tmp_path, "no", Volume("ext4", files=files), size=GIB)
    QEMU_IMG.run("convert", "-O", "raw", str(made.overlay), str(raw))
    inspection.DEBUGFS.run("-w", "-R", f"sif /hole size {GIB}", str(raw))
    with StickInspection.of(UsbStick.of_image(raw, tmp_path / "s.qcow2")) as seen:
        with pytest.raises(InfrastructureError, match="hole has more than"):
            seen.read(1, "hole")
        (written,) = tmp_path.glob("look-*/file")
        assert written.stat().st_size == MIB + 1


def test_a_program_that_never_stops_writing_is_ended(tmp_path):
    yes = HostTool("yes", package="coreutils")
    assert yes.attempt_into(tmp_path / "out", most=5000, within=20) != 0
    assert (tmp_path / "out").stat().st_size == 5000
    echo = HostTool("echo", package="coreutils")
    assert echo.attempt_into(tmp_path / "out", "a b", most=5000) == 0
    assert (tmp_path / "out").read_bytes() == b"a b\n"


@pytest.mark.parametrize("kind", ["FAT32", "NTFS", "ext4"])
def test_the_folder_of_a_run_may_have_any_name(tmp_path, kind, files):
    folder = tmp_path / 'my "new" runs'
    folder.mkdir()
    made = stick(folder, "GPT", Volume(kind, files=files))
    with StickInspection.of(made) as seen:
        assert seen.read(1, "hello.txt").decode() == "Grüße\n"


@pytest.mark.parametrize("table", ["MBR", "no"])
def test_a_partition_with_two_file_systems_does_not_hold_nothing(tmp_path, table):
    raw, other = tmp_path / "raw", tmp_path / "other"
    for kind, file in (("ext4", raw), ("FAT32", other)):
        made = stick(tmp_path, "no", Volume(kind), size=64 * MIB)
        QEMU_IMG.run("convert", "-O", "raw", str(made.overlay), str(file))
    # ext4 begins behind the first 1024 bytes, where FAT32 has its boot sector.
    with raw.open("r+b") as file:
        file.write(other.read_bytes()[:1024])
    if table == "MBR":
        raw.write_bytes(mbr(64 * MIB) + b"\0" * (MIB - 512) + raw.read_bytes())
    with StickInspection.of(UsbStick.of_image(raw, tmp_path / "s.qcow2")) as seen:
        assert seen.table.kind == table
        assert seen.file_system(1).kind == "several"
        with pytest.raises(CheckFailed, match="holds several"):
            seen.opens(1, "x")


def test_what_blkid_cannot_read_is_not_nothing(tmp_path, monkeypatch):
    made = UsbStick.blank(tmp_path / "a.qcow2", MIB)

    class Broken:
        @staticmethod
        def attempt(*_words):
            return 4, b"", b"blkid: input/output error"

    with StickInspection.of(made) as seen:
        monkeypatch.setattr(inspection, "BLKID", Broken)
        with pytest.raises(InfrastructureError, match=r"status 4\): blkid: input/output error"):
            seen.file_system(1)


def mbr(size):
    """Return a boot sector with one partition, which begins at 1 MiB."""
    places = (MIB // 512).to_bytes(4, "little") + (size // 512).to_bytes(4, "little")
    entry = bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + places
    return b"\0" * 446 + entry + b"\0" * 48 + b"\x55\xaa"


def test_a_table_within_a_partition_is_not_nothing(tmp_path):
    raw = tmp_path / "raw"
    table = mbr(MIB)
    raw.write_bytes(table + b"\0" * (MIB - 512) + table + b"\0" * (2 * MIB - 512))
    with StickInspection.of(UsbStick.of_image(raw, tmp_path / "s.qcow2")) as seen:
        assert seen.table.kind == "MBR"
        assert seen.file_system(1).kind == "a partition table"


def test_a_blank_stick_has_nothing_and_two_of_them_are_the_same(tmp_path):
    first = UsbStick.blank(tmp_path / "a.qcow2", 64 * MIB)
    second = first.copy_to(tmp_path / "b.qcow2")
    with StickInspection.of(first) as seen:
        assert seen.table.kind == "no"
        assert seen.file_system(1).kind == "none"
        # Of 64 MiB of zeros, by sha256sum of coreutils.
        assert seen.sha256().startswith("3b6a07d0d404fab4")
    assert same_content(first, second) == ""
    other = stick(tmp_path, "MBR", Volume("FAT32"), size=64 * MIB)
    assert "mismatch" in same_content(first, other)
    larger = UsbStick.blank(tmp_path / "c.qcow2", 65 * MIB)
    assert same_content(first, larger) == "67108864 bytes, the other one 68157440"


def test_zeros_that_were_written_are_the_zeros_of_a_blank_stick(tmp_path):
    blank = UsbStick.blank(tmp_path / "a.qcow2", 4 * MIB)
    wiped = blank.copy_to(tmp_path / "b.qcow2")
    write = HostTool("qemu-io", package="qemu-utils")
    write.run("-f", "qcow2", "-c", "write -P 0 1M 1M", str(wiped.overlay))
    assert same_content(blank, wiped) == ""
    liar = blank.copy_to(tmp_path / "c.qcow2").with_faults(Faults(kept=MIB), tmp_path / "c.raw")
    assert same_content(blank, liar) == ""
    write.run("-f", "qcow2", "-c", "write -P 1 1M 512", str(wiped.overlay))
    assert "offset 1048576" in same_content(blank, wiped)


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        (Volume("FAT64"), "no file system 'FAT64'"),
        (Volume("FAT32", label="TWELVE BYTES"), "too long for FAT32"),
        (Volume("ext4", encryption="LUKS3", passphrase="x"), "no encryption 'LUKS3'"),
        (Volume("ext4", encryption="LUKS2"), "go together"),
        (Volume("ext4", passphrase="x"), "go together"),
        (Volume("ext4", encryption="LUKS2", passphrase="x" * 513), "at most 512 bytes"),
        (Volume("btrfs", size=2 * MIB), "cannot be made"),
        (Volume("ext4", encryption="LUKS2", passphrase="x", size=8 * MIB), "larger than 16 MiB"),
        (Volume("ext4", size=9 * GIB), "do not fit"),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(tmp_path, volume, said):
    with pytest.raises(UsageError, match=said):
        stick(tmp_path, "GPT", volume)
    assert list(tmp_path.iterdir()) == []


#: Runs a program of Python where `$1` is a disk of 64 KiB, which nobody else sees.
SMALL = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
SCRIPT = 'mount -t tmpfs -o size=64k small "$1"; exec "$0" -c "$3" "$1" "$2"'

WRITING = """
import os, pathlib, sys
from tailstest.core.errors import InfrastructureError
from tailstest.media.stick_content.volume import Volume
from tailstest.media.stick_content.writing import written_stick

folder = pathlib.Path(sys.argv[1])
try:
    written_stick(folder / "s.qcow2", 1 << 34, "GPT", [Volume(sys.argv[2])])
except InfrastructureError as error:
    print(error)
print(os.listdir(folder))
"""


@pytest.mark.parametrize("kind", ["FAT32", "exFAT", "NTFS", "ext4", "btrfs"])
def test_a_full_disk_is_no_mistake_of_the_test(tmp_path, kind):
    words = [*SMALL, SCRIPT, sys.executable, str(tmp_path), kind, WRITING]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr.strip()}")
    said = rf"{kind} .*cannot be made: the disk with {tmp_path} is full, \d+ KiB are free\n"
    assert re.search(said, done.stdout), done.stdout + done.stderr
    assert "What to do: free some space" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_partitions_fill_the_stick():
    some = [Volume("ext4", size=100 * MIB), Volume("ext4"), Volume("ext4", size=MIB + 1)]
    assert places(some, "GPT", GIB) == [
        (MIB, 100 * MIB),
        (101 * MIB, (1024 - 101 - 1 - 2) * MIB),
        ((1024 - 3) * MIB, 2 * MIB),
    ]
    with pytest.raises(UsageError, match="at most 4"):
        places([Volume("ext4", size=MIB)] * 5, "MBR", GIB)
    with pytest.raises(UsageError, match="one file system only"):
        places(some, "no", GIB)
