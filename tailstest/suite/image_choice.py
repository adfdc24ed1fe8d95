"""Which image a scenario boots, and what is known about its family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.machine.profile import Profile, Times, find_image, load_profiles
from tailstest.media.image_file import Digests


@dataclass(frozen=True)
class GivenImage:
    """The file that stands for an image, whatever there is on this host.

    Attributes:
        profile: name of its family's profile; "" without one.
    """

    path: Path
    profile: str


class ImageChoice:
    """The image of the present scenario, chosen by a step or with `--image`.

    Args:
        suite: folder of the suite; files named by steps are relative to it.
        folders: with profiles.
        under_test: what `--image` said; None if it was not given.
        given: what a step or `--image` says, to the file that stands for it.

    Attributes:
        digests: of images, each read once.
        wanted: what a step asked for; None is the image under test.
    """

    def __init__(
        self,
        suite: Path,
        folders: Sequence[Path],
        under_test: str | None,
        given: Mapping[str, GivenImage] | None = None,
    ) -> None:
        self._given = dict(given or {})
        self._suite = suite
        self._folders = list(folders)
        self._under_test = under_test
        self._profiles = load_profiles(self._folders)
        self._chosen: tuple[Path, Profile | None] | None = None
        self._built: dict[str, tuple[Path, Profile]] = {}
        self.digests = Digests()
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
        if wanted is None and self._under_test is None:
            raise UsageError(
                "this scenario needs an image under test, and none was given",
                hint="run it with: tailstest run --image FILE_OR_NAME",
            )
        self._chosen = self.find(wanted)
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

    def forget(self) -> None:
        """Go back to where nothing is chosen."""
        self._chosen, self.wanted = None, None

    def find(self, wanted: str | None) -> tuple[Path, Profile | None]:
        """Return an image without choosing it; one that is built here is asked for once in a run.

        Each time would ask the mirrors for newer packages, and could change the image in between.

        Raises:
            UsageError, SetupError: there is none, or it cannot be used.
        """
        name = wanted or self._under_test or ""
        if name in self._given:
            found = self._given[name]
            return found.path, self._profiles.get(found.profile)
        if name not in self._built:
            path, profile = find_image(name, self._profiles, self._suite)
            if profile is None or not profile.image.recipe:
                return path, profile
            self._built[name] = path, profile
        return self._built[name]

    def describe(self) -> dict[str, str]:
        """Return what the report says about the image under test; {} without one.

        Raises:
            UsageError, SetupError: it cannot be used.
        """
        if self._under_test is None:
            return {}
        path, profile = self.find(None)
        return {
            "name": profile.name if profile else path.name,
            "path": str(path),
            "sha256": self.digests.of(path),
        }

    def read_profiles_again(self) -> None:
        """Take up what profiles say now.

        Raises:
            UsageError: one is wrong; nothing has changed then.
        """
        profiles = load_profiles(self._folders)
        self._profiles = profiles
        for name, (path, profile) in list(self._built.items()):
            self._built[name] = path, profiles.get(profile.name, profile)
        if self._chosen is not None and self.profile is not None:
            self._chosen = self._chosen[0], profiles.get(self.profile.name, self.profile)
