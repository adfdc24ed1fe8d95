"""Recipes of live images: a folder with recipe.toml and the files that go into the image."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tailstest.core.errors import UsageError
from tailstest.core.settings import Strict, read_toml, validated

FILE_NAME = "recipe.toml"

#: Debian package names (Debian policy 5.6.7), which go onto a command line.
PackageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
#: Names of variants and layers become names of files.
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]


class Edit(Strict):
    """One change of a file of the recipe's folder base/.

    Attributes:
        file: its path in the image.
        replace: text that stands in it exactly once.
        by: what stands there afterwards.
    """

    file: str
    replace: Annotated[str, Field(min_length=1)]
    by: str


class LayerChange(Strict):
    """What a layer changes besides the files in the recipe's folder layers/NAME/.

    Attributes:
        edits: changes of files of the base.
        remove: paths that are gone in the image.
    """

    edits: tuple[Edit, ...] = ()
    remove: tuple[str, ...] = ()


class Variant(Strict):
    """Another image over the same base.

    Attributes:
        description: what is different.
        layers: lowest first.
        parameters: of the kernel; None: those of the usual image.
    """

    description: str
    layers: tuple[Slug, ...]
    parameters: str | None = None


class LiveRecipe(Strict):
    """Everything that decides what is in a live image.

    Attributes:
        folder: with setup/ (files that are there before packages are unpacked), base/ (files
            copied in afterwards), customize.sh (runs inside at the end), layers/NAME/, grub.cfg.
        title: first entry of the boot menu and name of the medium.
        version: of the image.
        date: SOURCE_DATE_EPOCH unless the environment has one; no file is younger.
        suite: Debian release.
        mirrors: lines of sources.list.
        packages: to install, without recommended ones.
        parameters: of the kernel, in every entry of the menu; a variant may have its own.
        layers: of the usual image, lowest first.
        agent: where the layer "agent" has our agent.
        layer: what layers change.
        variants: other images over the same base.
    """

    folder: Path
    title: Annotated[str, Field(pattern=r"^[A-Za-z0-9 ._-]{1,32}$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9.~+-]{1,32}$")]
    date: datetime.date
    suite: Slug
    mirrors: Annotated[tuple[str, ...], Field(min_length=1)]
    packages: Annotated[tuple[PackageName, ...], Field(min_length=1)]
    parameters: str
    layers: tuple[Slug, ...] = ()
    agent: str = "usr/lib/tailstest/tailstest_agent.py"
    layer: dict[Slug, LayerChange] = Field(default_factory=dict)
    variants: dict[Slug, Variant] = Field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """SOURCE_DATE_EPOCH: seconds since 1970 of midnight (UTC) of the recipe's date."""
        midnight = datetime.datetime.combine(self.date, datetime.time(), datetime.UTC)
        return int(midnight.timestamp())

    def layers_of(self, variant: str) -> tuple[str, ...]:
        """Return the layers of a variant, each once, lowest first.

        Args:
            variant: "" is the usual image; "one+other" is an image with what is different in both.

        Raises:
            UsageError: there is no such variant, with the names of those that are; or two of them
                change one file.
        """
        if not variant:
            return self.layers
        chosen = self._chosen(variant)
        # That a variant has not what the usual image has, is a difference, too.
        missing = {name for name in self.layers for one in chosen if name not in one.layers}
        names = dict.fromkeys(name for one in chosen for name in one.layers)
        layers = tuple(name for name in names if name not in missing)
        if len(chosen) > 1:
            self._check_apart(layers, chosen, variant)
        return layers

    def parameters_of(self, variant: str) -> str:
        """Return the kernel's parameters of a variant.

        Args:
            variant: as for `layers_of`.

        Raises:
            UsageError: there is no such variant, or several have parameters of their own.
        """
        if not variant:
            return self.parameters
        own = {one.parameters for one in self._chosen(variant) if one.parameters is not None}
        if len(own) > 1:
            raise UsageError(
                f"{self.folder / FILE_NAME}: more than one of {variant!r} has kernel parameters "
                "of its own",
                hint="choose one of them",
            )
        return own.pop() if own else self.parameters

    def _chosen(self, variant: str) -> list[Variant]:
        names = variant.split("+")
        if unknown := [name for name in names if name not in self.variants]:
            raise UsageError(
                f"{self.folder / FILE_NAME}: there is no variant {unknown[0]!r}; "
                f"there are: {', '.join(self.variants) or 'none'}"
            )
        return [self.variants[name] for name in names]

    def _check_apart(self, layers: tuple[str, ...], chosen: list[Variant], variant: str) -> None:
        """Raise a UsageError if layers of different variants change one file.

        Within one variant a layer may lie over another one's file: whoever wrote it meant that.
        """
        changed_by: dict[str, str] = {}
        for layer in layers:
            for path in self._changed(layer):
                other = changed_by.setdefault(path, layer)
                if not any({other, layer} <= set(one.layers) for one in chosen):
                    raise UsageError(
                        f"{self.folder / FILE_NAME}: the layers {other!r} and {layer!r} of "
                        f"{variant!r} both change {path}",
                        hint="a layer lies over all of another one's file; choose one of them",
                    )

    def _changed(self, layer: str) -> set[str]:
        """Return the paths in the image that a layer adds, changes or removes."""
        change = self.layer.get(layer, LayerChange())
        own = self.folder / "layers" / layer
        return {
            *(edit.file for edit in change.edits),
            *change.remove,
            *(str(file.relative_to(own)) for file in files_below(own)),
        }

    def base_digest(self) -> str:
        """Return a digest of all that decides the base, as far as this recipe does."""
        values = (self.version, self.suite, self.mirrors, self.packages)
        state = hashlib.sha256(repr(values).encode())
        for part in ("setup", "base"):
            state.update(tree_digest(self.folder / part).encode())
        state.update(_content(self.folder / "customize.sh"))
        return state.hexdigest()


def load_recipe(folder: Path) -> LiveRecipe:
    """Read a recipe.

    Raises:
        UsageError: names the file, the key and what is wrong with it.
    """
    file = folder / FILE_NAME
    if not file.is_file():
        raise UsageError(
            f"{folder} has no {FILE_NAME}", hint="give the folder of a recipe: --recipe DIR"
        )
    recipe = validated(LiveRecipe, {**read_toml(file), "folder": folder}, lambda _key: str(file))
    for name in ("customize.sh", "grub.cfg"):
        if not (folder / name).is_file():
            raise UsageError(f"{folder}: the recipe has no file {name}")
    for variant in ("", *recipe.variants):
        for layer in recipe.layers_of(variant):
            if layer not in recipe.layer and not (folder / "layers" / layer).is_dir():
                raise UsageError(
                    f"{file}: the layer {layer!r} of {variant or 'the image'} changes nothing",
                    hint=f"make a folder layers/{layer} or a table [layer.{layer}]",
                )
    return recipe


def tree_digest(folder: Path) -> str:
    """Return a digest of all files below a folder: paths, content, and whether they can be run."""
    state = hashlib.sha256()
    for file in files_below(folder):
        name = str(file.relative_to(folder)).encode()
        mode = "link" if file.is_symlink() else "run" if is_executable(file) else "file"
        state.update(b"%d:%b%b" % (len(name), name, mode.encode()))
        state.update(_content(file))
    return state.hexdigest()


def files_below(folder: Path) -> Iterator[Path]:
    """Yield files and links below a folder, which need not exist, in a fixed order."""
    for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if (file.is_symlink() or not file.is_dir()) and file.suffix != ".pyc":
            yield file


def is_executable(file: Path) -> bool:
    """Tell whether the owner may run it; the rest of the mode depends on the umask."""
    return bool(file.stat().st_mode & 0o100)


def _content(file: Path) -> bytes:
    data = str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()
    return hashlib.sha256(data).digest()
