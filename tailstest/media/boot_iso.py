"""Making a bootable ISO of a kernel and an initial RAM disk, such as the Debian installer's."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.core.paths import cache_folder
from tailstest.media.boot_report import inspect_image

#: Seconds for grub-mkrescue; it copies some tens of megabytes.
BUILD_LIMIT = 300

#: Beginning of the names of folders in which an image is being made.
BUILDING = "building-"

#: Debian's installer images, as packages debian-installer-NN-netboot-amd64 lay them out.
INSTALLER_ROOT = Path("/usr/lib/debian-installer/images")


@dataclass(frozen=True)
class BootIso:
    """What goes onto the ISO.

    Attributes:
        label: first entry of the menu.
        kernel, initrd: files.
        parameters: of the kernel.
        timeout: seconds until the menu boots its first entry by itself.
    """

    label: str
    kernel: Path
    initrd: Path
    parameters: str
    timeout: int = 15

    @property
    def menu(self) -> str:
        """GRUB's configuration; a plain text menu, the same on BIOS and UEFI."""
        entries = [(self.label, self.parameters), ("Rescue mode", f"{self.parameters} rescue")]
        lines = [f"set timeout={self.timeout}", "set default=0", "set gfxpayload=1024x768x32,keep"]
        for title, parameters in entries:
            lines += [
                f'menuentry "{title}" {{',
                f"  linux /boot/linux {parameters}",
                "  initrd /boot/initrd.gz",
                "}",
            ]
        return "\n".join(lines) + "\n"

    def build(self) -> Path:
        """Return the ISO, made once for the same content.

        Raises:
            SetupError: grub-mkrescue or a part of it is missing.
            InfrastructureError: it takes too long, or the image cannot be written.
        """
        tool = shutil.which("grub-mkrescue")
        if tool is None or shutil.which("xorriso") is None or shutil.which("mformat") is None:
            raise SetupError(
                "grub-mkrescue, xorriso or mtools is missing; they make the installer's ISO",
                hint="run: sudo apt install grub-common grub-pc-bin grub-efi-amd64-bin xorriso "
                "mtools",
            )
        folder = cache_folder() / "images"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            finished = folder / f"{self._digest()}.iso"
            with (folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # two runs must not build the same image at once
                if not finished.is_file():
                    # Nobody else builds now, so these were left by a run that was killed.
                    for left in folder.glob(f"{BUILDING}*"):
                        shutil.rmtree(left, ignore_errors=True)
                    self._build(Path(tool), finished)
        except OSError as error:
            raise InfrastructureError(
                f"cannot write the image in {folder}: {error.strerror}",
                hint="free some space, or set XDG_CACHE_HOME to a folder that has some",
            ) from error
        return finished

    def _build(self, tool: Path, finished: Path) -> None:
        with tempfile.TemporaryDirectory(dir=finished.parent, prefix=BUILDING) as temporary:
            tree, iso = Path(temporary) / "tree", Path(temporary) / "new.iso"
            (tree / "boot/grub").mkdir(parents=True)
            shutil.copyfile(self.kernel, tree / "boot/linux")
            shutil.copyfile(self.initrd, tree / "boot/initrd.gz")
            (tree / "boot/grub/grub.cfg").write_text(self.menu, encoding="utf-8")
            try:
                done = subprocess.run(
                    [str(tool), "--output", str(iso), str(tree)],
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=BUILD_LIMIT,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise InfrastructureError(
                    f"grub-mkrescue did not end within {BUILD_LIMIT} s",
                    hint="is the disk very slow, or the host overloaded?",
                ) from error
            if done.returncode != 0 or not iso.is_file():
                raise InfrastructureError(
                    f"grub-mkrescue failed: {done.stderr.strip()[-500:]}",
                    hint="is there free space where the cache is?",
                )
            check_complete(iso)
            iso.chmod(0o400)
            iso.rename(finished)

    def _digest(self) -> str:
        state = hashlib.sha256(self.menu.encode())
        for file in (self.kernel, self.initrd):
            with file.open("rb") as opened:
                state.update(hashlib.file_digest(opened, "sha256").digest())
        return state.hexdigest()[:32]


def check_complete(iso: Path) -> None:
    """Refuse an image that cannot be booted in every way; grub-mkrescue omits what it lacks.

    Raises:
        SetupError: says what is missing and which package has it.
    """
    for (medium, firmware), way in inspect_image(iso).ways.items():
        if not way.possible:
            package = "grub-pc-bin" if firmware == "bios" else "grub-efi-amd64-bin"
            raise SetupError(
                f"grub-mkrescue made an image that does not boot from {medium.upper()} on "
                f"{firmware.upper()}: {way.reason}",
                hint=f"run: sudo apt install {package} mtools",
            )


def installer_iso(flavour: str) -> BootIso:
    """Return the recipe of the newest Debian installer's ISO.

    Args:
        flavour: "gtk" (graphical) or "text".

    Raises:
        SetupError: no installer package is there.
    """
    found = sorted(
        INSTALLER_ROOT.glob(f"*/amd64/{flavour}/debian-installer/amd64/linux"),
        key=lambda file: (len(file.parts[5]), file.parts[5]),
    )
    if not found:
        raise SetupError(
            f"the Debian installer ({flavour}) was not found below {INSTALLER_ROOT}",
            hint="run: sudo apt install debian-installer-12-netboot-amd64",
        )
    kernel = found[-1]
    # 788 is 800x600 in VESA's numbers. The rest makes emulation bearable: without it the welcome
    # screen takes two and a half times as long. It is our own image, so nothing under test changes.
    parameters = "vga=788 norandmaps mitigations=off --- quiet"
    label = "Graphical install" if flavour == "gtk" else "Install"
    return BootIso(label, kernel, kernel.with_name("initrd.gz"), parameters)
