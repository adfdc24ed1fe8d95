"""Which image a machine boots, and what is known about its family."""

from __future__ import annotations

from pathlib import Path

from tailstest.machine.profile import Profile, Times
from tailstest.suite.image_catalogue import ImageCatalogue


class ImageChoice:
    """The image of one machine of the present scenario, chosen by a step or with `--image`.

    Args:
        catalogue: finds images.

    Attributes:
        wanted: what a step asked for; None is the image under test.
    """

    def __init__(self, catalogue: ImageCatalogue) -> None:
        self._catalogue = catalogue
        self._chosen: tuple[Path, Profile | None] | None = None
        self.wanted: str | None = None

    @property
    def path(self) -> Path | None:
        """The file; None before one was chosen."""
        return self._chosen[0] if self._chosen else None

    @property
    def profile(self) -> Profile | None:
        """What is known about its family; None if it has no profile."""
        return self._chosen[1] if self._chosen else None

    @property
    def times(self) -> Times:
        """How long things may take in it."""
        return self.profile.times if self.profile else Times()

    def choose(self, wanted: str | None) -> None:
        """Choose an image.

        Args:
            wanted: name of a profile or a file; None is the image under test.

        Raises:
            UsageError, SetupError: there is none, or it cannot be used.
        """
        self._chosen = self._catalogue.find(wanted)
        self.wanted = wanted

    def chosen(self) -> Path:
        """Return the file of what steps chose, or else of the image under test.

        Raises:
            UsageError, SetupError: there is none, or it cannot be used.
        """
        if self._chosen is None:
            self.choose(None)
        assert self._chosen is not None
        return self._chosen[0]

    def find(self, wanted: str | None) -> tuple[Path, Profile | None]:
        """Return an image without choosing it; see `ImageCatalogue.find`."""
        return self._catalogue.find(wanted)

    def read_profile_again(self) -> None:
        """Take up what its profile says now, as the catalogue has read it."""
        if self._chosen is not None and self._chosen[1] is not None:
            self._chosen = self._chosen[0], self._catalogue.known_now(self._chosen[1])
