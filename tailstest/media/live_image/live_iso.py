"""Putting a live image together: one hybrid ISO for DVD and USB stick, BIOS and UEFI."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from tailstest.media.boot_iso import check_complete
from tailstest.media.live_image.base_system import INITRD, KERNEL, MANIFEST, SQUASHFS
from tailstest.media.live_image.boot_loader import HYBRID, bios_loader, efi_partition
from tailstest.media.live_image.recipe import LiveRecipe
from tailstest.media.live_image.tool import run_tool


def assemble(
    recipe: LiveRecipe,
    base: Path,
    layers: Sequence[Path],
    *,
    variant: str = "",
    work: Path,
    target: Path,
    epoch: int,
) -> None:
    """Write the ISO `target`; the same input gives the same bytes.

    Args:
        base: folder of `build_base`.
        layers: squashfs files, lowest first.
        variant: whose boot menu it gets; "" is the usual image.
        work: an empty folder, to be thrown away by the caller.
        epoch: SOURCE_DATE_EPOCH.

    Raises:
        InfrastructureError, SetupError: a program failed, or made an image that lacks a way
            to boot.
    """
    tree = work / "tree"
    live, grub = tree / "live", tree / "boot/grub"
    live.mkdir(parents=True)
    grub.mkdir(parents=True)
    for source, name in ((KERNEL, "vmlinuz"), (INITRD, "initrd.img"), (MANIFEST, MANIFEST)):
        shutil.copyfile(base / source, live / name)
    # live-boot stacks all squashfs files in the order of their names, the first one lowest.
    shutil.copyfile(base / SQUASHFS, live / "10-base.squashfs")
    for number, layer in enumerate(layers, 2):
        shutil.copyfile(layer, live / f"{number}0-{layer.stem}.squashfs")
    (live / "version").write_text(f"{recipe.version}\n", encoding="utf-8")
    (grub / "grub.cfg").write_text(menu(recipe, variant), encoding="utf-8")
    bios_loader(grub / "bios.img", volume_name(recipe), work=work, epoch=epoch)
    efi_partition(tree / "boot/efi.img", volume_name(recipe), work=work, epoch=epoch)
    for path in (tree, *sorted(tree.rglob("*"))):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (epoch, epoch))
    run_tool(
        [
            *("xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", volume_name(recipe)),
            *("-b", "boot/grub/bios.img", "-no-emul-boot", "-boot-load-size", "4"),
            *("-boot-info-table", "--grub2-boot-info", "--grub2-mbr", str(HYBRID)),
            *("--efi-boot", "boot/efi.img", "-efi-boot-part", "--efi-boot-image"),
            *("--protective-msdos-label", "-o", str(target), str(tree)),
        ],
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
    )
    check_complete(target)


def menu(recipe: LiveRecipe, variant: str = "") -> str:
    """Return GRUB's configuration for a variant; "" is the usual image."""
    template = (recipe.folder / "grub.cfg").read_text(encoding="utf-8")
    parameters = recipe.parameters_of(variant)
    return template.replace("@TITLE@", recipe.title).replace("@PARAMETERS@", parameters)


def volume_name(recipe: LiveRecipe) -> str:
    """Return the ISO's volume id (ECMA-119: capitals, digits, underscores, at most 32)."""
    letters = (c if c.isalnum() else "_" for c in f"{recipe.title} {recipe.version}".upper())
    return "".join(letters)[:32]
