"""Where a suite is, and what belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.core.paths import bundled


@dataclass(frozen=True)
class SuiteFolder:
    """A suite: the folder that has steps/ (or features/), as behave finds it.

    Attributes:
        root: paths in reports are relative to it.
    """

    root: Path

    @classmethod
    def of(cls, paths: Sequence[Path]) -> SuiteFolder:
        """Find the suite of some features: walk up from each until there are steps.

        Raises:
            UsageError: there is none above one of them, or they belong to several suites.
        """
        roots = {_root_above(path): path for path in paths}
        if len(roots) > 1:
            (root, path), (other_root, other_path) = list(roots.items())[:2]
            raise UsageError(
                f"{path} and {other_path} belong to two suites ({root} and {other_root}), which"
                " may give the same step two meanings",
                hint="run one suite after the other",
            )
        return cls(next(iter(roots)))

    @property
    def step_folders(self) -> list[Path]:
        """Folders with step definitions: the bundled ones, then the suite's own."""
        own = self.root / "steps"
        folders = [bundled("steps")]
        if own.is_dir() and own.resolve() != folders[0].resolve():
            folders.append(own)
        return folders

    @property
    def images_folders(self) -> list[Path]:
        """Folders with profiles and references: the bundled ones, then the suite's own."""
        folders = [bundled("images")]
        folders += [each for each in self.own_images if each.resolve() != folders[0].resolve()]
        return folders

    @property
    def own_images(self) -> list[Path]:
        """The suite's own images folder, if it has one; accepted references go there."""
        return [self.root / "images"] if (self.root / "images").is_dir() else []

    @property
    def environment_file(self) -> Path | None:
        """The suite's hooks for behave, if it has any."""
        file = self.root / "environment.py"
        return file if file.is_file() else None


def _root_above(path: Path) -> Path:
    start = path.resolve()
    for folder in (start, *start.parents):
        if (folder / "steps").is_dir() or (folder / "features").is_dir():
            return folder
    raise UsageError(
        f"{path}: no suite is here: neither steps/ nor features/ in it or above it",
        hint="make one with: tailstest init FOLDER",
    )
