"""GRUB for a live image, made so that the same input gives the same bytes.

grub-mkrescue would do all of it in one go, but writes the time of day into the loader, the
partition table and every directory.
"""

from __future__ import annotations

from pathlib import Path

from tailstest.core.errors import SetupError
from tailstest.media.live_image.tool import run_tool

#: First sector of a USB stick for a BIOS; finds the loader in the ISO.
HYBRID = Path("/usr/lib/grub/i386-pc/boot_hybrid.img")

#: Everything that the menu uses is inside the loader, so that no module has to be found.
_MODULES = (
    *("normal", "configfile", "linux", "iso9660", "fat", "part_gpt", "part_msdos", "search"),
    *(
        "search_label",
        "test",
        "echo",
        "ls",
        "cat",
        "minicmd",
        "halt",
        "reboot",
        "serial",
        "terminal",
    ),
    *("all_video", "gfxterm", "loadenv", "regexp", "sleep", "gzio"),
)

#: Size of the FAT file system for UEFI in KiB: that of the largest floppy disk mformat knows.
_EFI_SIZE = 2880


def bios_loader(target: Path, volume: str, *, work: Path, epoch: int) -> None:
    """Write GRUB as a BIOS starts it from a DVD (and `HYBRID` from a stick)."""
    _grub("i386-pc", "i386-pc-eltorito", target, ("biosdisk",), volume, work, epoch)


def efi_partition(target: Path, volume: str, *, work: Path, epoch: int) -> None:
    """Write a FAT file system with GRUB where UEFI looks for it."""
    loader = work / "BOOTX64.EFI"
    _grub("x86_64-efi", "x86_64-efi", loader, ("efi_gop", "efi_uga"), volume, work, epoch)
    environment = {"SOURCE_DATE_EPOCH": str(epoch), "TZ": "UTC"}
    image = str(target)
    # The serial number is random otherwise; any fixed one will do.
    for command in (
        ["mformat", "-C", "-f", str(_EFI_SIZE), "-N", "7a115e57", "-i", image, "::"],
        ["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"],
        ["mcopy", "-i", image, str(loader), "::/EFI/BOOT/BOOTX64.EFI"],
    ):
        run_tool(command, environment=environment)


def _grub(
    platform: str,
    output_format: str,
    target: Path,
    modules: tuple[str, ...],
    volume: str,
    work: Path,
    epoch: int,
) -> None:
    if not Path("/usr/lib/grub", platform).is_dir():
        package = "grub-pc-bin" if platform == "i386-pc" else "grub-efi-amd64-bin"
        raise SetupError(
            f"GRUB for {platform} is not installed, and needed to build a live image",
            hint=f"run: sudo apt install {package}",
        )
    start = work / "start.cfg"
    # UEFI starts the loader from the FAT file system; the menu is on the ISO around it.
    start.write_text(
        f"search --no-floppy --set=root --label {volume}\nset prefix=($root)/boot/grub\n",
        encoding="ascii",
    )
    run_tool(
        [
            *("grub-mkimage", "-O", output_format, "-o", str(target), "-p", "/boot/grub"),
            *("-c", str(start), *_MODULES, *modules),
        ],
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
    )
