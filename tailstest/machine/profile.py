"""Profiles: what one family of images looks like, in images/NAME/profile.toml."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from tailstest.core.errors import SetupError, UsageError
from tailstest.core.paths import bundled
from tailstest.core.settings import Strict, read_toml, validated
from tailstest.guest.agent import AGENT_FILE
from tailstest.machine.definition import MachineDefinition
from tailstest.machine.inside import BOOT_LIMIT
from tailstest.media.boot_iso import installer_iso
from tailstest.media.image_file import check_image
from tailstest.media.live_image.builder import LiveImageBuilder
from tailstest.media.live_image.recipe import load_recipe
from tailstest.media.shell_linux import shell_iso

FILE_NAME = "profile.toml"

BootMenu = Literal["none", "grub", "isolinux"]
Seconds = Annotated[float, Field(gt=0, le=86_400)]

#: A language as glibc names it: "de", "pt_BR", "sr@latin".
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?(@[a-z]+)?$")]

#: A tag as it stands in a feature, and why it does not fit.
Tag = Annotated[str, StringConstraints(pattern=r"^@[^\s@]+$")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class ImageSource(Strict):
    """Where the image of a profile comes from: a file, or one that is made here.

    Attributes:
        file: absolute, or relative to the profile's folder.
        files: patterns of file names, such as "tails-amd64-*.iso": a file of such a name, wherever
            it is, is an image of this family.
        debian_installer: make an ISO of the Debian installer of this flavour; "shell" is a Linux
            of its parts that shows a root shell and nothing else.
        recipe: folder, relative to the profile's, after which a live image is built.
        package: Debian package that has the file, for the message when it is missing.
    """

    file: str = ""
    files: tuple[str, ...] = ()
    debian_installer: Literal["", "gtk", "text", "shell"] = ""
    recipe: str = ""
    package: str = ""


class DesktopFacts(Strict):
    """Who has a desktop in an image, and how a step finds what it names there.

    Attributes:
        users: who may have a session on the screen; the later one in a start stands first.
        find: ways that are tried in this order: the accessibility tree, a reference image of that
            name, reading the screen.
    """

    users: tuple[str, ...] = ()
    find: tuple[Literal["tree", "picture", "text"], ...] = ("tree", "picture", "text")


class Times(Strict):
    """How long things may take on a normal host, in seconds; a slow host stretches them.

    Attributes:
        boot: from switching on until somebody inside answers, and until all of it has started.
        desktop: from then on until somebody has a session on the screen.
    """

    boot: Seconds = BOOT_LIMIT
    desktop: Seconds = BOOT_LIMIT


class Features(Strict):
    """Which scenarios fit a family of images.

    Attributes:
        skip_tags: tag of scenarios that do not fit, to the reason.
    """

    skip_tags: dict[Tag, Reason] = Field(default_factory=dict)


class AfterCheckpoint(Strict):
    """What an image needs when a machine runs on from a checkpoint.

    Attributes:
        after: command of the guest's shell, as root, behind the setting of the clock; it is for
            checkpoints of machines that somebody inside had answered for.
    """

    after: Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)] = ""


class BootMenus(Strict):
    """The boot menus of an image that shows another one on each firmware."""

    bios: BootMenu = "none"
    uefi: BootMenu = "none"


class Profile(Strict):
    """One profile.

    Attributes:
        name: of its folder.
        folder: with the reference images.
        title, description: for people.
        boot_menu: what shows the boot menu, for adding kernel parameters or booting at once; one
            for each firmware if they differ.
        boot_menu_text: what can be read while the boot menu is shown, where it has not the usual
            words.
        languages: that a person can choose; for people and for a suite's own steps.
        times: how long things may take.
        features: which scenarios fit.
        checkpoints: what the image needs when it runs on from one.
        image: where the image comes from.
        desktop: who has one, and how to find things there.
        machine: what differs from the usual machine.
    """

    name: str
    folder: Path
    title: str
    description: str = ""
    boot_menu: BootMenu | BootMenus = "none"
    boot_menu_text: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = ""
    languages: tuple[Language, ...] = ()
    times: Times = Times()
    features: Features = Features()
    checkpoints: AfterCheckpoint = AfterCheckpoint()
    image: ImageSource = ImageSource()
    desktop: DesktopFacts = DesktopFacts()
    machine: dict[str, Any] = Field(default_factory=dict)

    def definition(self, **changes: Any) -> MachineDefinition:
        """Return the usual machine for this image with some changes.

        Raises:
            UsageError: a change is not possible; names the field.
        """
        origin = f"{self.folder / FILE_NAME}: machine"
        return validated(MachineDefinition, {**self.machine, **changes}, lambda _key: origin)

    def boot_menu_on(self, firmware: Literal["bios", "uefi"]) -> BootMenu:
        """Return what shows the boot menu on a firmware."""
        if isinstance(self.boot_menu, BootMenus):
            return self.boot_menu.bios if firmware == "bios" else self.boot_menu.uefi
        return self.boot_menu

    def reason_against(self, tags: Iterable[str]) -> str:
        """Return why a scenario with these tags does not fit this family; "" if it does.

        Args:
            tags: without the at sign.
        """
        own = {f"@{tag}" for tag in tags}
        return "; ".join(
            f"{tag}: {reason}" for tag, reason in self.features.skip_tags.items() if tag in own
        )

    def image_path(self, variant: str = "") -> Path:
        """Return the image, made first if that is needed.

        Args:
            variant: of an image that is built after a recipe.

        Raises:
            UsageError, SetupError: it is missing, or cannot be made.
        """
        if variant and not self.image.recipe:
            raise UsageError(f'the image "{self.name}" has no variants, so no "{variant}"')
        if self.image.debian_installer:
            flavour = self.image.debian_installer
            return (shell_iso() if flavour == "shell" else installer_iso(flavour)).build()
        if self.image.recipe:
            return live_builder(self.folder / self.image.recipe).build(variant)
        if not self.image.file:
            raise UsageError(
                f"{self.folder / FILE_NAME}: image: the profile names no file",
                hint="give the image itself: tailstest run --image FILE",
            )
        path = self.folder / self.image.file
        if not path.exists() and self.image.package:
            raise SetupError(
                f"the image {path} of the profile {self.name} is not installed",
                hint=f"run: sudo apt install {self.image.package}",
            )
        return check_image(path)


def live_builder(folder: Path, say: Callable[[str], None] = lambda _text: None) -> LiveImageBuilder:
    """Return what builds the live images of the recipe in `folder`.

    Raises:
        UsageError: the recipe is wrong; names file and key.
    """
    return LiveImageBuilder(load_recipe(folder), AGENT_FILE, say=say)


def load_profile(file: Path) -> Profile:
    """Read one profile.

    Raises:
        UsageError: names the file, the key and what is wrong with it.
    """
    folder = file.parent.absolute()  # QEMU, for one, does not know where we are
    raw = read_toml(file)
    for reserved in ("name", "folder"):
        if reserved in raw:
            raise UsageError(f"{file}: {reserved}: unknown key; the folder's name is the name")
    values = {**raw, "name": folder.name, "folder": folder}
    profile = validated(Profile, values, lambda _key: str(file))
    profile.definition()
    return profile


def load_profiles(folders: Sequence[Path]) -> dict[str, Profile]:
    """Read all profiles in some images folders; a later folder's profile replaces an earlier's."""
    profiles: dict[str, Profile] = {}
    for folder in folders:
        for file in sorted(folder.glob(f"*/{FILE_NAME}")):
            profile = load_profile(file)
            profiles[profile.name] = profile
    return profiles


def profiles_here() -> dict[str, Profile]:
    """Read the bundled profiles and those of the suite in the present folder."""
    own = Path("images")
    return load_profiles([bundled("images"), *([own] if own.is_dir() else [])])


def find_image(
    wanted: str, profiles: Mapping[str, Profile], folder: Path
) -> tuple[Path, Profile | None]:
    """Return the image of a name or file, and its profile if it has one.

    Args:
        wanted: name of a profile, or NAME:VARIANT (NAME:ONE+OTHER has what is different in both),
            or a file.
        folder: what relative files are relative to.

    Raises:
        UsageError: neither a profile nor a usable file; names similar profiles. Or two profiles
            claim the file.
    """
    name, _, variant = wanted.partition(":")
    if name in profiles:
        return profiles[name].image_path(variant), profiles[name]
    path = folder / wanted
    if "/" not in wanted and "." not in wanted and not path.exists():
        near = difflib.get_close_matches(wanted, profiles, n=3)
        known = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(profiles)}"
        raise UsageError(
            f'there is no image called "{wanted}"; {known}',
            hint="`tailstest image list` shows all names; a file needs its path",
        )
    image = check_image(path)
    return image, _family(image, list(profiles.values()))


def _family(image: Path, profiles: Sequence[Profile]) -> Profile | None:
    for profile in profiles:
        if profile.image.file and (profile.folder / profile.image.file) == image:
            return profile
    fitting = [
        profile
        for profile in profiles
        if any(fnmatchcase(image.name, pattern) for pattern in profile.image.files)
    ]
    if len(fitting) > 1:
        raise UsageError(
            f"{image.name} could be an image of {' or '.join(each.name for each in fitting)}",
            hint="make the patterns of [image] files in their profiles stricter",
        )
    return fitting[0] if fitting else None
