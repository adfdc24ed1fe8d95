"""Boot menus: GRUB on BIOS and UEFI, and isolinux, with more kernel parameters or at once."""

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tailstest.core.errors import UsageError
from tailstest.core.settings import Settings
from tailstest.machine.boot_menu import GRUB_MENU, boot_default_entry, boot_with_parameters
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.machine import Machine
from tailstest.media.boot_iso import installer_iso
from tailstest.media.dvd import Dvd

pytestmark = pytest.mark.vm

MODULES = Path("/usr/lib/syslinux/modules/bios")
#: In both menus the second entry is the default one, and boots after a short time.
ISOLINUX_MENU = """UI menu.c32
MENU TITLE Menu of a test
TIMEOUT 20
LABEL first
  MENU LABEL First
  KERNEL /linux
  APPEND first
LABEL second
  MENU LABEL Second
  MENU DEFAULT
  KERNEL /linux
  APPEND second norandmaps mitigations=off
"""
#: As live-build writes them (share/bootloaders of live-build 20230502): isolinux's graphical menu,
#: which words its help in its own way and waits for ever.
LIVE_BUILD_ISOLINUX = """default vesamenu.c32
prompt 0
timeout 0
menu hshift 0
menu width 82
menu title Boot menu
menu vshift 12
menu rows 10
menu helpmsgrow 15
menu cmdlinerow 16
menu timeoutrow 16
menu tabmsgrow 18
menu color title * #FFFFFFFF *
menu color border * #00000000 #00000000 none
menu color tabmsg * #ffffffff #00000000 *
menu tabmsg Press ENTER to boot or TAB to edit a menu entry
label first
  menu label First
  linux /linux
  append first
label second
  menu label Second
  menu default
  linux /linux
  append second norandmaps mitigations=off
"""
#: And GRUB with a theme, which has the short help only.
THEME = """desktop-color: "#1b3a5c"
title-text: "Live Boot Menu with GRUB"
+ label {
  top = 100%-50
  left = 0
  width = 100%
  height = 20
  text = "@KEYMAP_SHORT@"
  align = "center"
  color = "#ffffff"
}
+ boot_menu {
  left = 10%
  width = 80%
  top = 52%
  height = 48%-80
  item_color = "#a8a8a8"
  selected_item_color = "#ffffff"
  icon_width = 0
}
"""
THEMED_START = """loadfont $prefix/fonts/unicode.pf2
set gfxmode=800x600
insmod all_video
insmod gfxterm
set theme=/boot/grub/theme.txt
terminal_output gfxterm
"""
GRUB_CONFIGURATION = """set timeout=1
set default=1
menuentry "First" {
  linux /linux first
}
menuentry "Second" {
  echo "Loading"
  linux /linux second norandmaps mitigations=off a.parameter.so.long.that.the.line=is.wrapped
}
"""
#: Long enough for another line of its own, and with a word that stands there already.
PARAMETERS = "mitigations=off systemd.debug_shell=ttyS0 console=ttyS0,115200n8"
#: What the kernel says first.
COMMAND_LINE = re.compile(rf"Command line: .*\bsecond .*{re.escape(PARAMETERS)}\r?\n")


def write_isolinux_iso(folder: Path, menu: str) -> Path:
    tree = folder / "tree"
    (tree / "isolinux").mkdir(parents=True)
    shutil.copy("/usr/lib/ISOLINUX/isolinux.bin", tree / "isolinux")
    for name in ("ldlinux", "menu", "vesamenu", "libutil", "libcom32"):
        shutil.copy(MODULES / f"{name}.c32", tree / "isolinux")
    (tree / "isolinux" / "isolinux.cfg").write_text(menu)
    shutil.copy(installer_iso("text").kernel, tree / "linux")
    iso = folder / "menu.iso"
    boot = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot"]
    table = ["-boot-load-size", "4", "-boot-info-table"]
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-o", str(iso), *boot, *table, str(tree)]
    subprocess.run(command, check=True, capture_output=True)
    return iso


def write_grub_iso(folder: Path, configuration: str) -> Path:
    tree = folder / "tree"
    (tree / "boot" / "grub").mkdir(parents=True)
    (tree / "boot" / "grub" / "grub.cfg").write_text(configuration)
    (tree / "boot" / "grub" / "theme.txt").write_text(THEME)
    shutil.copy(installer_iso("text").kernel, tree / "linux")
    iso = folder / "menu.iso"
    subprocess.run(["grub-mkrescue", "-o", iso, tree], check=True, capture_output=True)
    return iso


@pytest.fixture(scope="module")
def isolinux_iso(tmp_path_factory):
    return write_isolinux_iso(tmp_path_factory.mktemp("isolinux"), ISOLINUX_MENU)


@pytest.fixture(scope="module")
def grub_iso(tmp_path_factory):
    return write_grub_iso(tmp_path_factory.mktemp("grub"), GRUB_CONFIGURATION)


def test_parameters_are_added_at_isolinuxs_menu(make, isolinux_iso):
    machine = make(Dvd(isolinux_iso).disk(), memory_mib=512)
    boot_with_parameters(machine, PARAMETERS, "isolinux", within=120)
    machine.wait_serial(COMMAND_LINE)


def test_parameters_are_added_at_the_isolinux_menu_of_live_build(make, tmp_path):
    iso = write_isolinux_iso(tmp_path, LIVE_BUILD_ISOLINUX)
    machine = make(Dvd(iso).disk(), memory_mib=512)
    boot_with_parameters(machine, PARAMETERS, "isolinux", within=60)
    machine.wait_serial(COMMAND_LINE)


def test_parameters_are_added_at_a_grub_menu_with_a_theme(make, tmp_path):
    iso = write_grub_iso(tmp_path, THEMED_START + GRUB_CONFIGURATION.replace("=1\n", "=5\n", 1))
    machine = make(Dvd(iso).disk(), memory_mib=512)
    boot_with_parameters(machine, PARAMETERS, "grub", within=60)
    machine.wait_serial(COMMAND_LINE)


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_parameters_are_added_at_grubs_menu(make, grub_iso, firmware):
    machine = make(Dvd(grub_iso).disk(), memory_mib=512, firmware=firmware)
    boot_with_parameters(machine, PARAMETERS, "grub", within=120)
    machine.wait_serial(COMMAND_LINE)


def test_a_menu_that_was_missed_gets_another_chance(bench, tmp_path):
    short = dataclasses.replace(bench, settings=Settings(default_deadline=3))
    # Long enough to be read once also by who is busy with an earlier picture.
    disk = Dvd(write_grub_iso(tmp_path, GRUB_CONFIGURATION.replace("=1\n", "=10\n", 1))).disk()
    machine = Machine("missed", MachineDefinition(memory_mib=512), [disk], short)
    try:
        machine.power_on()
        machine.screen.wait_text(GRUB_MENU, within=60)
        machine.screen.wait_text_gone(GRUB_MENU, within=60)
        boot_with_parameters(machine, PARAMETERS, "grub", within=120)
        machine.wait_serial(COMMAND_LINE, within=60)
    finally:
        machine.close()


@pytest.mark.parametrize(
    ("menu", "write", "configuration"),
    [
        ("isolinux", write_isolinux_iso, LIVE_BUILD_ISOLINUX),
        ("grub", write_grub_iso, GRUB_CONFIGURATION.replace("timeout=1\n", "timeout=-1\n")),
        ("grub", write_grub_iso, THEMED_START + GRUB_CONFIGURATION.replace("=1\n", "=-1\n", 1)),
    ],
)
def test_the_default_entry_is_booted_though_the_menu_would_wait_for_ever(
    make, tmp_path, menu, write, configuration
):
    assert "timeout=-1\n" in configuration or "timeout 0\n" in configuration
    serial = re.sub(r"(append|/linux) second", r"\g<0> console=ttyS0", configuration)
    iso = write(tmp_path, serial)
    machine = make(Dvd(iso).disk(), memory_mib=512)
    boot_default_entry(machine, menu)
    machine.wait_serial(re.compile(r"Command line: .*\bsecond "))


def test_a_menu_that_nobody_named_is_not_guessed(make):
    machine = make(memory_mib=256)
    with pytest.raises(UsageError, match=r"profile\.toml"):
        boot_with_parameters(machine, "quiet", "none", within=10)
    with pytest.raises(UsageError, match=r"profile\.toml"):
        boot_default_entry(machine, "none")
