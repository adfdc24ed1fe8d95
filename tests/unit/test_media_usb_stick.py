"""Files of USB sticks: how large they are, what is on them, and what they cost."""

import json
import subprocess

import pytest

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.media.image_file import digest_of
from tailstest.media.usb_stick import UsbStick

GIB = 1 << 30


@pytest.fixture
def image(tmp_path):
    file = tmp_path / "some image's.iso"
    file.write_bytes(b"content" * 1000)
    return file


def virtual_size(stick):
    told = subprocess.run(
        ["qemu-img", "info", "--output=json", str(stick.overlay)], capture_output=True, check=True
    )
    return json.loads(told.stdout)["virtual-size"]


def head(stick, count=7000):
    command = ["qemu-img", "dd", "-O", "raw", f"bs={count}", "count=1"]
    raw = stick.overlay.with_suffix(".raw")
    subprocess.run([*command, f"if={stick.overlay}", f"of={raw}"], check=True)
    return raw.read_bytes()[:count]


def test_a_blank_stick_has_its_size_and_takes_no_room(tmp_path):
    stick = UsbStick.blank(tmp_path / "s.qcow2", 8 * GIB)
    assert virtual_size(stick) == 8 * GIB
    assert stick.overlay.stat().st_blocks * 512 < 1_000_000
    assert set(head(stick)) == {0}
    assert virtual_size(UsbStick.blank(tmp_path / "odd.qcow2", 10**9 + 1)) == 10**9 + 512


def test_a_stick_with_an_image_is_larger_than_it(tmp_path, image):
    before = digest_of(image)
    stick = UsbStick.of_image(image, tmp_path / "s.qcow2", 2 * GIB)
    assert virtual_size(stick) == 2 * GIB
    assert head(stick) == image.read_bytes()
    write = ["qemu-io", "-c", "write -P 1 0 512", str(stick.overlay)]
    subprocess.run(write, check=True, capture_output=True)
    assert digest_of(image) == before


def test_an_image_that_does_not_fit_is_refused(tmp_path):
    image = tmp_path / "large.iso"
    image.touch()
    import os

    os.truncate(image, 3 << 20)
    with pytest.raises(UsageError, match=r"has 3145728 bytes, the USB stick only 2097152"):
        UsbStick.of_image(image, tmp_path / "s.qcow2", 2 << 20)
    assert not (tmp_path / "s.qcow2").exists()


@pytest.mark.parametrize("size", [0, 512, 3 << 40])
def test_a_size_that_no_stick_has_is_refused(tmp_path, size):
    with pytest.raises(UsageError, match="cannot have"):
        UsbStick.blank(tmp_path / "s.qcow2", size)


def test_a_copy_has_the_content_and_goes_its_own_way(tmp_path, image):
    first = UsbStick.of_image(image, tmp_path / "a.qcow2", 2 * GIB)
    write = ["qemu-io", "-c", "write -P 65 0 512"]
    subprocess.run([*write, str(first.overlay)], check=True, capture_output=True)
    second = first.copy_to(tmp_path / "b.qcow2")
    assert second.image == image
    assert head(second) == head(first) == b"A" * 512 + image.read_bytes()[512:]
    write[-1] = "write -P 66 0 512"
    subprocess.run([*write, str(second.overlay)], check=True, capture_output=True)
    assert head(first)[:512] == b"A" * 512
    assert head(second)[:512] == b"B" * 512


def test_a_file_that_cannot_be_made_leaves_nothing(tmp_path, image):
    missing = tmp_path / "nowhere" / "s.qcow2"
    for make in (
        lambda: UsbStick.blank(missing, GIB),
        lambda: UsbStick.of_image(image, missing),
        lambda: UsbStick.blank(tmp_path / "a.qcow2", GIB).copy_to(missing),
    ):
        with pytest.raises(InfrastructureError):
            make()
