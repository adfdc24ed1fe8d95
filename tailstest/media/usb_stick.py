"""A USB stick that an image was written to, as `dd` does it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import InfrastructureError, SetupError
from tailstest.hypervisor.domain_template import DiskValues

#: Seconds for making an overlay; it writes some kilobytes.
CREATE_LIMIT = 60


@dataclass(frozen=True)
class UsbStick:
    """A stick whose writes go to an overlay; the image below it is never changed.

    Attributes:
        overlay: qcow2 file over the image; make one with `of_image`.
    """

    overlay: Path

    @classmethod
    def of_image(cls, image: Path, overlay: Path) -> UsbStick:
        """Make a stick with `image` on it.

        Args:
            overlay: file that will be created for what is written to the stick.

        Raises:
            SetupError: qemu-img is not installed.
            InfrastructureError: the overlay cannot be written.
        """
        tool = shutil.which("qemu-img")
        if tool is None:
            raise SetupError("qemu-img was not found", hint="run: sudo apt install qemu-utils")
        command = [tool, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.resolve())]
        try:
            done = subprocess.run(
                [*command, str(overlay)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=CREATE_LIMIT,
                check=False,
            )
            said = done.stderr.strip()[-300:] if done.returncode != 0 else ""
            is_made = done.returncode == 0
        except subprocess.TimeoutExpired:
            said, is_made = f"qemu-img did not end within {CREATE_LIMIT} s", False
        if not is_made:
            overlay.unlink(missing_ok=True)
            raise InfrastructureError(
                f"cannot make a USB stick of {image}: {said}",
                hint="is there free space in the run's folder?",
            )
        return cls(overlay)

    def disk(self, *, boot_order: int | None = 1) -> DiskValues:
        """Return the stick as a drive, for a machine."""
        return DiskValues(
            source=self.overlay,
            device="disk",
            bus="usb",
            target="sda",
            format="qcow2",
            removable=True,
            boot_order=boot_order,
        )
