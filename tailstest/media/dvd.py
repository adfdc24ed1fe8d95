"""A DVD with an image on it, in a drive."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tailstest.hypervisor.domain_template import DiskValues


@dataclass(frozen=True)
class Dvd:
    """A DVD made of an image; DVDs cannot be written to, so neither can the image."""

    image: Path

    def disk(self, *, boot_order: int | None = 1) -> DiskValues:
        """Return the drive with the DVD in it, for a machine."""
        return DiskValues(
            source=self.image,
            device="cdrom",
            bus="sata",
            target="sda",
            readonly=True,
            boot_order=boot_order,
        )
