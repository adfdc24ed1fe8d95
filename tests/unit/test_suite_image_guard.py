"""Images that change while they are tested."""

import os

import pytest

from tailstest.core.errors import InfrastructureError
from tailstest.media import image_file
from tailstest.media.image_file import Digests
from tailstest.suite.image_guard import ImageChanged, ImageGuard


@pytest.fixture
def image(tmp_path):
    file = tmp_path / "a\x1b[31m.iso"
    file.write_bytes(b"content")
    return file


@pytest.fixture
def read(monkeypatch):
    """Return a list of the files that were read as a whole."""
    files, real = [], image_file.digest_of
    monkeypatch.setattr(image_file, "digest_of", lambda path: files.append(path) or real(path))
    return files


def test_an_image_that_stays_is_read_once(image, read):
    guard = ImageGuard(Digests())
    for _ in range(3):
        guard.watch(image)
        guard.end_scenario()
    assert read == [image]


def test_one_that_was_only_touched_is_the_same(image, read):
    guard = ImageGuard(Digests())
    guard.watch(image)
    os.utime(image)
    guard.end_scenario()
    assert len(read) == 2


def test_one_that_changed_is_named_even_if_its_time_was_set_back(image):
    guard = ImageGuard(Digests())
    guard.watch(image)
    told = image.stat()
    image.write_bytes(b"CONTENT")
    os.utime(image, ns=(told.st_atime_ns, told.st_mtime_ns))
    with pytest.raises(ImageChanged, match=r"/a.*\.iso has changed since") as caught:
        guard.end_scenario()
    assert "\x1b" not in caught.value.message
    assert isinstance(caught.value, InfrastructureError)
    guard.end_scenario()  # the next scenario does not use it
    with pytest.raises(ImageChanged):
        guard.watch(image)
    image.write_bytes(b"content")
    guard.watch(image)


def test_one_that_is_gone_is_named(image):
    guard = ImageGuard(Digests())
    guard.watch(image)
    image.unlink()
    with pytest.raises(ImageChanged, match=r"cannot be read any more \(No such file"):
        guard.end_scenario()
    with pytest.raises(InfrastructureError):
        ImageGuard(Digests()).watch(image)
