"""Watching that no image changes while it is tested."""

from __future__ import annotations

from pathlib import Path

from tailstest.core.errors import InfrastructureError
from tailstest.core.text import printable
from tailstest.media.image_file import Digests


class ImageChanged(InfrastructureError):
    """An image is not what it was when a machine first got it: what was seen proves nothing."""


class ImageGuard:
    """The images that machines of one run got.

    An image is read when it is used first. Later its size, its times and its place on the disk are
    compared, which costs nothing; it is read once more only if one of them is another.

    Args:
        digests: of images.
    """

    def __init__(self, digests: Digests) -> None:
        self._digests = digests
        self._first: dict[Path, str] = {}
        self._in_use: set[Path] = set()

    def watch(self, image: Path) -> None:
        """Note that a machine gets an image.

        Raises:
            ImageChanged: it is not what another machine of this run got.
            InfrastructureError: it cannot be read.
        """
        try:
            self._first.setdefault(image, self._digests.of(image))
        except OSError as error:
            raise InfrastructureError(
                f"{printable(str(image))} cannot be read: {error.strerror}"
            ) from error
        self._in_use.add(image)
        self._compare(image)

    def end_scenario(self) -> None:
        """Compare the images of this scenario with what they were; the next one uses others.

        Raises:
            ImageChanged: names one that is another now, or gone.
        """
        images, self._in_use = sorted(self._in_use), set()
        for image in images:
            self._compare(image)

    def _compare(self, image: Path) -> None:
        try:
            is_same = self._digests.of(image) == self._first[image]
            how = "has changed"
        except OSError as error:
            is_same, how = False, f"cannot be read any more ({error.strerror})"
        if not is_same:
            raise ImageChanged(
                f"the image {printable(str(image))} {how} since this run began to use it",
                hint="leave images alone while they are tested; copy new ones to another name",
            )
