"""The images that the scenarios of a run can name, each found and built once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.machine.profile import Profile, find_image, load_profiles
from tailstest.media.image_file import Digests


@dataclass(frozen=True)
class GivenImage:
    """The file that stands for an image, whatever there is on this host.

    Attributes:
        profile: name of its family's profile; "" without one.
    """

    path: Path
    profile: str


class ImageCatalogue:
    """Finds images by what steps or `--image` say.

    Args:
        suite: folder of the suite; files named by steps are relative to it.
        folders: with profiles.
        under_test: what `--image` said; None if it was not given.
        given: what a step or `--image` says, to the file that stands for it.

    Attributes:
        digests: of images, each read once.
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
        self._built: dict[str, tuple[Path, Profile]] = {}
        self.digests = Digests()

    def find(self, wanted: str | None) -> tuple[Path, Profile | None]:
        """Return an image and what is known of its family; one that is built is asked for once.

        Each time would ask the mirrors for newer packages, and could change the image in between.

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

    def known_now(self, profile: Profile) -> Profile:
        """Return a profile as it was read last."""
        return self._profiles.get(profile.name, profile)
