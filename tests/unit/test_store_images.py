"""What a real ISO image is made of, for comparing two."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from tailstest.core.errors import UsageError
from tailstest.results.store.image_reading import read_contents


def made_image(folder: Path, listed: str | None) -> Path:
    """Return an ISO image with a kernel, maybe a list of packages, and a link."""
    source = folder / "source"
    (source / "live").mkdir(parents=True)
    kernel = bytearray(0x1000)
    kernel[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", kernel, 0x20E, 0x600)
    kernel[0x800:0x810] = b"6.1.0-9 (x@y) #1"
    (source / "live" / "vmlinuz-6.1.0-9").write_bytes(kernel)
    (source / "live" / "filesystem.squashfs").write_bytes(b"hsqs" * 1000)
    (source / "grub.cfg").symlink_to("live/vmlinuz-6.1.0-9")
    if listed is not None:
        (source / "live" / "filesystem.packages").write_text(listed, encoding="utf-8")
    image = folder / "demo.iso"
    command = ["xorriso", "-outdev", image, "-map", source, "/", "-commit"]
    subprocess.run(command, check=True, capture_output=True)
    return image


def test_kernel_packages_and_files_are_read(tmp_path: Path) -> None:
    found = read_contents(made_image(tmp_path, "tor 0.4.8-1\nbash 5.2\n"))
    assert found.kernel == "6.1.0-9"
    assert found.packages == {"tor": "0.4.8-1", "bash": "5.2"}
    assert found.packages_from == "/live/filesystem.packages"
    assert sorted(found.files) == [
        "/live/filesystem.packages",
        "/live/filesystem.squashfs",
        "/live/vmlinuz-6.1.0-9",
    ]
    assert found.files["/live/filesystem.squashfs"][0] == 4000
    assert len(found.files["/live/filesystem.squashfs"][1]) == 64


def test_a_list_beside_the_image_will_do(tmp_path: Path) -> None:
    image = made_image(tmp_path, None)
    assert read_contents(image).packages == {}
    (tmp_path / "demo.packages").write_text("tor 0.4.8-1\n", encoding="utf-8")
    found = read_contents(image)
    assert (found.packages, found.packages_from) == ({"tor": "0.4.8-1"}, "demo.packages")


def test_what_is_no_iso_image_is_an_error_and_not_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "x.img").write_bytes(b"\0" * 510 + b"\x55\xaa" + b"\0" * 100_000)
    with pytest.raises(UsageError):
        read_contents(tmp_path / "x.img")
