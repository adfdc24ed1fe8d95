"""Images: what is wrong with a file, and what it can boot from (without starting it)."""

import gzip
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailstest.core.errors import SetupError, UsageError
from tailstest.core.paths import cache_folder
from tailstest.hypervisor.domain_template import DiskValues
from tailstest.machine.profile import find_image, load_profile, load_profiles
from tailstest.media.boot_iso import BootIso
from tailstest.media.boot_report import inspect_image
from tailstest.media.dvd import Dvd
from tailstest.media.image_file import check_image, digest_of
from tailstest.media.shell_linux import shell_iso
from tailstest.media.usb_stick import UsbStick

RESCUE = Path("/usr/lib/grub-rescue/grub-rescue-cdrom.iso")
MEMTEST = Path("/usr/lib/memtest86+/memtest86+x64.iso")


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "tree"
    (folder / "live").mkdir(parents=True)
    (folder / "live" / "filesystem.squashfs").write_bytes(b"x" * 5000)
    return folder


def xorriso(output, tree, *options):
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-o", str(output), *options, str(tree)]
    subprocess.run(command, check=True, capture_output=True)
    return output


def ways(image):
    return {way: verdict.possible for way, verdict in inspect_image(image).ways.items()}


def test_bad_files_are_named_with_their_reason(tmp_path, tree):
    empty = tmp_path / "empty.iso"
    empty.touch()
    text = tmp_path / "text.iso"
    text.write_text("not an image" * 5000)
    whole = xorriso(tmp_path / "whole.iso", tree)
    cut = tmp_path / "cut.iso"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for path, reason in (
        (tmp_path / "none.iso", "no such image"),
        (empty / "x.iso", "no such image"),
        (tmp_path / ("n" * 300), "cannot be read"),
        (Path("nul\0.iso"), "no such image"),
        (tmp_path, "a folder, not a file"),
        (Path("/dev/null"), "not a file"),
        (empty, "empty"),
        (text, "neither an ISO"),
        (cut, "cut off"),
    ):
        with pytest.raises(UsageError, match=reason) as error:
            check_image(path)
        assert str(path).split("\0")[0] in str(error.value)
    assert check_image(whole) == whole


def test_c51_an_image_without_boot_entries_boots_nowhere(tmp_path, tree):
    assert not any(ways(xorriso(tmp_path / "plain.iso", tree)).values())


def test_c51_el_torito_alone_boots_as_dvd_only(tmp_path, tree):
    (tree / "boot.img").write_bytes(b"\xfa" * 2048)
    image = xorriso(
        tmp_path / "dvd.iso", tree, "-b", "boot.img", "-no-emul-boot", "-boot-load-size", "4"
    )
    assert ways(image) == {
        ("dvd", "bios"): True,
        ("dvd", "uefi"): False,
        ("usb", "bios"): False,
        ("usb", "uefi"): False,
    }


@pytest.fixture
def hybrid(tmp_path):
    return Path(shutil.copy(MEMTEST, tmp_path / "hybrid.iso"))


def test_c51_a_hybrid_image_boots_everywhere(hybrid):
    assert all(ways(hybrid).values())


def test_c51_without_the_boot_mark_a_stick_does_not_boot(hybrid):
    with hybrid.open("r+b") as file:
        file.seek(510)
        file.write(b"\0\0")
    report = inspect_image(hybrid)
    assert not report.ways["usb", "bios"].possible
    assert "boot mark" in report.ways["usb", "bios"].reason
    assert report.ways["dvd", "bios"].possible


def test_c51_a_partition_beyond_the_end_is_a_finding(hybrid):
    with hybrid.open("r+b") as file:
        file.seek(446 + 16 + 12)
        file.write(struct.pack("<I", 10_000_000))
    report = inspect_image(hybrid)
    assert [part.fits for part in report.partitions] == [False]
    assert not report.ways["usb", "uefi"].possible
    assert "BEYOND" in report.to_text()


def test_c51_an_efi_partition_without_a_loader_does_not_boot(hybrid):
    (part,) = inspect_image(hybrid).partitions
    with hybrid.open("r+b") as file:
        file.seek(part.offset)
        file.write(bytes(part.size))
    assert "BOOTX64.EFI" in inspect_image(hybrid).ways["usb", "uefi"].reason


def test_c51_an_entry_that_is_cut_off_does_not_boot(hybrid):
    entry = next(each for each in inspect_image(hybrid).entries if each.platform == "UEFI")
    with hybrid.open("r+b") as file:
        file.seek(17 * 2048 + 71)
        (catalogue,) = struct.unpack("<I", file.read(4))
        file.seek(catalogue * 2048)
        content = bytearray(file.read(2048))
        at = content.index(struct.pack("<I", entry.offset // 2048))
        struct.pack_into("<I", content, at, hybrid.stat().st_size // 2048 - 1)
        file.seek(catalogue * 2048)
        file.write(content)
    report = inspect_image(hybrid)
    assert "outside the file" in report.ways["dvd", "uefi"].reason
    assert report.ways["dvd", "bios"].possible


def test_c51_a_dvd_whose_efi_image_has_no_loader_does_not_boot(hybrid):
    entry = next(each for each in inspect_image(hybrid).entries if each.platform == "UEFI")
    with hybrid.open("r+b") as file:
        file.seek(entry.offset)
        file.write(bytes(entry.size))
    way = inspect_image(hybrid).ways["dvd", "uefi"]
    assert not way.possible
    assert "BOOTX64.EFI" in way.reason


def test_without_mtools_a_good_image_is_not_called_bad(hybrid, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    report = inspect_image(hybrid)
    assert report.efi_loader is None
    for medium in ("dvd", "usb"):
        way = report.ways[medium, "uefi"]
        assert way.possible
        assert "mtools" in way.reason


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_image_gives_a_report_or_one_clear_error(hybrid, data):
    gpt = b"EFI PART" + bytes(64) + struct.pack("<QII", 2**63, 128, 128)
    with MEMTEST.open("rb") as file:
        head = file.read(80 * 1024)
    with hybrid.open("r+b") as file:
        file.write(head)
        if data.draw(st.booleans()):
            file.seek(512)
            file.write(gpt)
        for _ in range(data.draw(st.integers(1, 6))):
            file.seek(data.draw(st.sampled_from([0, 440, 512, 580, 32768, 34816, 34880, 36864])))
            file.seek(data.draw(st.integers(0, 70)), 1)
            file.write(data.draw(st.binary(min_size=1, max_size=16)))
    try:
        assert len(inspect_image(hybrid).ways) == 4
    except UsageError as error:
        assert str(hybrid) in str(error)


def test_a_dvd_is_read_only_and_a_stick_writes_to_an_overlay(tmp_path):
    disk = Dvd(RESCUE).disk()
    assert (disk.device, disk.readonly, disk.source) == ("cdrom", True, RESCUE)
    before = digest_of(RESCUE)
    stick = UsbStick.of_image(RESCUE, tmp_path / "stick.qcow2").disk()
    assert isinstance(stick, DiskValues)
    assert (stick.bus, stick.format, stick.source) == ("usb", "qcow2", tmp_path / "stick.qcow2")
    subprocess.run(
        ["qemu-io", "-c", "write -P 7 0 4096", str(stick.source)], check=True, capture_output=True
    )
    assert digest_of(RESCUE) == before


def test_a_file_belongs_to_the_family_whose_names_it_has(tmp_path):
    for name, patterns in (("one", '["one-*.iso", "*-beta.iso"]'), ("two", '["two-?.iso"]')):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        (folder / "profile.toml").write_text(f'title = "x"\n[image]\nfiles = {patterns}\n')
    for name in ("one-7.0.iso", "two-beta.iso", "ONE-7.0.iso", "one-beta.iso", "two-1.iso"):
        shutil.copy(RESCUE, tmp_path / name)
    profiles = load_profiles([tmp_path / "images"])

    def family(name):
        path, profile = find_image(name, profiles, tmp_path)
        assert path == tmp_path / name
        return profile and profile.name

    assert family("one-7.0.iso") == "one"
    assert family(str(tmp_path / "two-1.iso")) == "two"
    assert family("ONE-7.0.iso") is None
    # The patterns of two profiles may fit, but not the same file.
    assert family("one-beta.iso") == family("two-beta.iso") == "one"
    (tmp_path / "images" / "two" / "profile.toml").write_text(
        'title = "x"\n[image]\nfiles = ["*-beta.iso"]\n'
    )
    profiles = load_profiles([tmp_path / "images"])
    with pytest.raises(UsageError, match=r"one-beta\.iso could be an image of one or two"):
        family("one-beta.iso")


def test_profiles_are_found_by_name_and_name_similar_ones(tmp_path):
    folder = tmp_path / "images" / "my-live"
    folder.mkdir(parents=True)
    shutil.copy(RESCUE, folder / "my.iso")
    (folder / "profile.toml").write_text(
        'title = "Mine"\n[image]\nfile = "my.iso"\n[machine]\nmemory_mib = 300\n'
    )
    profiles = load_profiles([tmp_path / "images"])
    path, profile = find_image("my-live", profiles, tmp_path)
    assert path == folder / "my.iso"
    assert profile.definition(firmware="uefi").memory_mib == 300
    with pytest.raises(UsageError, match="did you mean my-live"):
        find_image("my-liv", profiles, tmp_path)
    with pytest.raises(UsageError, match="no such image"):
        find_image("other.iso", profiles, tmp_path)
    with pytest.raises(UsageError, match="firmware"):
        profile.definition(firmware="coreboot")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("titel = 'x'\ntitle = 'x'\n", "titel"),
        ("title = 5\n", "title"),
        ("title = 'x'\n[machine]\nmemory_mib = 'much'\n", "memory_mib"),
        ("title = 'x'\n[image]\nfile = 1\n", "image.file"),
        ("title = \n", "not valid TOML"),
        ("title = 'x'\nname = 'y'\n", "name"),
    ],
)
def test_a_wrong_profile_is_named_with_file_and_key(tmp_path, text, named):
    file = tmp_path / "profile.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as error:
        load_profile(file)
    assert str(file) in str(error.value)
    assert named in str(error.value)


def test_a_missing_packaged_image_names_the_package(tmp_path):
    file = tmp_path / "profile.toml"
    file.write_text('title = "x"\n[image]\nfile = "/nowhere/x.iso"\npackage = "some-package"\n')
    with pytest.raises(SetupError, match="apt install some-package"):
        load_profile(file).image_path()


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Return a recipe of a small ISO, and a cache folder of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("kernel", "initrd"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    return BootIso("Try it", tmp_path / "kernel", tmp_path / "initrd", "quiet")


def test_an_iso_is_made_once_for_the_same_content_and_boots_everywhere(recipe):
    left = cache_folder() / "images" / "building-of-a-killed-run"
    left.mkdir(parents=True)
    iso = recipe.build()
    assert all(ways(iso).values())
    assert not left.exists()
    assert [file.name for file in iso.parent.iterdir() if file.suffix == ".iso"] == [iso.name]
    made = iso.stat().st_mtime_ns
    assert recipe.build() == iso
    assert iso.stat().st_mtime_ns == made
    recipe.initrd.write_bytes(b"other")
    assert recipe.build() != iso


def test_an_iso_without_uefi_is_not_kept(recipe, monkeypatch, tmp_path):
    """grub-mkrescue makes what it can; here it has no GRUB for UEFI."""
    real = shutil.which("grub-mkrescue")
    tools = tmp_path / "tools"
    tools.mkdir()
    fake = tools / "grub-mkrescue"
    fake.write_text(f'#!/bin/sh\nexec {real} --directory=/usr/lib/grub/i386-pc "$@"\n')
    fake.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    with pytest.raises(SetupError, match="grub-efi-amd64-bin"):
        recipe.build()
    assert list((cache_folder() / "images").glob("*.iso")) == []


def test_a_linux_of_nothing_but_a_shell_is_made_once_and_boots_everywhere(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = shell_iso()
    made = first.initrd.stat().st_mtime_ns
    assert shell_iso().initrd.stat().st_mtime_ns == made
    assert first.initrd.stat().st_size < 8 << 20
    names = subprocess.run(
        ["cpio", "--list", "--quiet"],
        input=gzip.decompress(first.initrd.read_bytes()),
        capture_output=True,
        check=True,
    ).stdout.split()
    assert {b"init", b"bin/busybox", b"bin/eject"} <= set(names)
    assert any(name.endswith(b"/usb-storage.ko") for name in names)


def test_without_the_installer_or_cpio_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with monkeypatch.context() as changed:
        changed.setattr("tailstest.media.host_tool.ADMIN_PATH", "")
        changed.setenv("PATH", str(tmp_path))
        with pytest.raises(SetupError, match="cpio was not found"):
            shell_iso()
    assert list((tmp_path / "tailstest" / "images").glob("*.gz")) == []
