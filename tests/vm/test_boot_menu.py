"""Adding kernel parameters at isolinux's menu; GRUB's is tried by the installer's features."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tailstest.core.errors import UsageError
from tailstest.machine.boot_menu import boot_with_parameters
from tailstest.media.boot_iso import installer_iso
from tailstest.media.dvd import Dvd

pytestmark = pytest.mark.vm

MODULES = Path("/usr/lib/syslinux/modules/bios")
MENU = """UI menu.c32
MENU TITLE Menu of a test
TIMEOUT 50
LABEL install
  MENU LABEL Install
  KERNEL /linux
  APPEND initrd=/initrd.gz vga=788 norandmaps mitigations=off --- quiet
LABEL other
  MENU LABEL Other
  KERNEL /linux
  APPEND initrd=/initrd.gz rescue
"""


@pytest.fixture(scope="module")
def isolinux_iso(tmp_path_factory):
    folder = tmp_path_factory.mktemp("isolinux")
    tree = folder / "tree"
    (tree / "isolinux").mkdir(parents=True)
    shutil.copy("/usr/lib/ISOLINUX/isolinux.bin", tree / "isolinux")
    for name in ("ldlinux", "menu", "libutil", "libcom32"):
        shutil.copy(MODULES / f"{name}.c32", tree / "isolinux")
    (tree / "isolinux" / "isolinux.cfg").write_text(MENU)
    recipe = installer_iso("text")
    shutil.copy(recipe.kernel, tree / "linux")
    shutil.copy(recipe.initrd, tree / "initrd.gz")
    iso = folder / "menu.iso"
    boot = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot"]
    table = ["-boot-load-size", "4", "-boot-info-table"]
    command = ["xorriso", "-as", "mkisofs", "-quiet", "-o", str(iso), *boot, *table, str(tree)]
    subprocess.run(command, check=True, capture_output=True)
    return iso


def test_parameters_are_added_at_isolinuxs_menu(make, isolinux_iso):
    machine = make(Dvd(isolinux_iso).disk(), memory_mib=1024)
    boot_with_parameters(machine, "console=ttyS0", "isolinux", within=120)
    machine.wait_serial("Select a language", within=120)


def test_a_menu_that_nobody_named_is_not_guessed(make):
    machine = make(memory_mib=256)
    with pytest.raises(UsageError, match=r"profile\.toml"):
        boot_with_parameters(machine, "quiet", "none", within=10)
