"""Building a live image once for the same recipe and packages."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.paths import cache_folder
from tailstest.media.live_image.base_system import build_base
from tailstest.media.live_image.layer import build_layer
from tailstest.media.live_image.live_iso import assemble, menu
from tailstest.media.live_image.packages import package_versions
from tailstest.media.live_image.recipe import LiveRecipe, tree_digest
from tailstest.media.live_image.tool import need

#: Beginning of the names of folders in which something is being made.
BUILDING = "building-"

#: Counts up when the way of building changes what is built, so that no older image is taken.
FORMAT = 4

#: Bases kept in the cache; each has about 250 MB, and an older one is of use only when going back.
KEPT_BASES = 2


class LiveImageBuilder:
    """Builds the images of one recipe, in a cache.

    Args:
        recipe: what to build.
        agent: file of our agent, for the layer that has it.
        say: told in a few words what is going on.
        cache: folder; the user's cache by default.
    """

    def __init__(
        self,
        recipe: LiveRecipe,
        agent: Path,
        *,
        say: Callable[[str], None] = lambda _text: None,
        cache: Path | None = None,
    ) -> None:
        self._recipe = recipe
        self._agent = agent
        self._say = say
        self._cache = cache or cache_folder() / "live"
        self._epoch = _epoch(recipe)

    def build(self, variant: str = "") -> Path:
        """Return the ISO of a variant ("" is the usual image), made only if something changed.

        Raises:
            UsageError: the recipe is wrong; names file and key.
            SetupError: a program is missing; names its package.
            InfrastructureError: network, disk or a program failed. Nothing half-made is used.
        """
        layers = self._recipe.layers_of(variant)
        need("mmdebstrap", "mksquashfs", "grub-mkimage", "xorriso", "mformat")
        try:
            with self._locked():
                versions = package_versions(self._recipe, self._cache, self._say)
                base = self._base(versions)
                finished = self._cache / f"{self._digest(base, layers, variant)}.iso"
                if not finished.is_file():
                    self._assemble(base, layers, variant, finished)
                finished.touch()
                self._tidy(base)
        except OSError as error:
            raise InfrastructureError(
                f"cannot write the image in {self._cache}: {error.strerror or error}",
                hint="free some space (an image needs about 2 GB while it is built), or set "
                "XDG_CACHE_HOME to a folder that has some",
            ) from error
        return finished

    def _base(self, versions: list[str]) -> Path:
        state = hashlib.sha256(self._recipe.base_digest().encode())
        state.update("\n".join([f"{FORMAT} {self._epoch}", *versions]).encode())
        finished = self._cache / f"base-{state.hexdigest()[:32]}"
        if not finished.is_dir():
            with self._building() as work:
                build_base(
                    self._recipe,
                    work,
                    self._cache / "packages",
                    versions,
                    epoch=self._epoch,
                    say=self._say,
                )
                work.rename(finished)
        return finished

    def _assemble(self, base: Path, layers: tuple[str, ...], variant: str, finished: Path) -> None:
        self._say("putting the image together")
        with self._building() as work:
            files = [work / f"{name}.squashfs" for name in layers]
            for name, file in zip(layers, files, strict=True):
                build_layer(self._recipe, name, self._agent, file, self._epoch)
            made = work / "new.iso"
            assemble(
                self._recipe,
                base,
                files,
                variant=variant,
                work=work,
                target=made,
                epoch=self._epoch,
            )
            made.chmod(0o400)
            made.rename(finished)

    def _digest(self, base: Path, layers: tuple[str, ...], variant: str) -> str:
        content = menu(self._recipe, variant)
        state = hashlib.sha256(f"{FORMAT}\n{base.name}\n{content}".encode())
        state.update(hashlib.sha256(self._agent.read_bytes()).digest())
        for name in layers:
            state.update(f"{name} {self._recipe.layer.get(name)!r}\n".encode())
            state.update(tree_digest(self._recipe.folder / "layers" / name).encode())
        return state.hexdigest()[:32]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Others may enter: the user that apt downloads as has to reach the packages below.
        self._cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self._cache / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two runs must not build the same image at once
            # Nobody else builds now, so these were left by a build that was killed.
            for left in self._cache.glob(f"{BUILDING}*"):
                shutil.rmtree(left, ignore_errors=True)
            yield

    @contextmanager
    def _building(self) -> Iterator[Path]:
        work = Path(tempfile.mkdtemp(dir=self._cache, prefix=BUILDING))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _tidy(self, base: Path) -> None:
        """Drop bases and images that were not used for longest."""
        base.touch()
        bases = sorted(self._cache.glob("base-*"), key=lambda path: -path.stat().st_mtime)
        for old in bases[KEPT_BASES:]:
            shutil.rmtree(old, ignore_errors=True)
        keep = (len(self._recipe.variants) + 1) * KEPT_BASES
        isos = sorted(self._cache.glob("*.iso"), key=lambda path: -path.stat().st_mtime)
        for image in isos[keep:]:
            image.unlink()


def _epoch(recipe: LiveRecipe) -> int:
    """Return SOURCE_DATE_EPOCH, or the recipe's date.

    See https://reproducible-builds.org/specs/source-date-epoch/.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not given:
        return recipe.epoch
    if not given.isdecimal():
        raise UsageError(
            f"the variable SOURCE_DATE_EPOCH is {given!r}, not a number of seconds",
            hint="unset it, or set it to seconds since 1970",
        )
    return int(given)
