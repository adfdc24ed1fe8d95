"""Files of a suite that steps of a scenario used, and what was in them then."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.core.folder_digest import digest_of_folder
from tailstest.core.text import printable
from tailstest.media.image_file import Digests
from tailstest.suite.checkpoints.state import CheckpointStale


class SuiteFiles:
    """What a scenario has taken from its suite: a checkpoint holds for this content only.

    A file is called by its path relative to the suite, so that another copy of the suite knows it,
    too; one outside of the suite by its absolute path.

    Args:
        suite: its folder, an absolute path.
        digests: of files.
    """

    def __init__(self, suite: Path, digests: Digests) -> None:
        self._suite = suite
        self._digests = digests
        self._used: dict[str, str] = {}

    def clear(self) -> None:
        """Forget everything: another scenario begins."""
        self._used = {}

    def name_of(self, path: Path) -> str:
        """Return what a file or folder is called in a checkpoint."""
        with contextlib.suppress(ValueError):
            return path.relative_to(self._suite).as_posix()
        return str(path)

    def path_of(self, name: str) -> Path:
        """Return the file or folder of this copy of the suite that is called so."""
        return self._suite / name

    def places_of(self, paths: Iterable[Path]) -> dict[str, str]:
        """Return where files of the suite lie, also behind links: path to what each is called."""
        return {
            str(place): self.name_of(path)
            for path in paths
            if path.is_relative_to(self._suite)
            for place in (path, path.resolve())
        }

    def moved(self, places: Mapping[str, str]) -> dict[str, Path]:
        """Return which of these files lie elsewhere now: path of then to path of now.

        Args:
            places: as `places_of` told them in this copy of the suite or another one.
        """
        now = {place: self.path_of(name) for place, name in places.items()}
        return {
            place: path for place, path in now.items() if Path(place) not in {path, path.resolve()}
        }

    def use(self, path: Path) -> None:
        """Note that a step is about to use what is in a file or folder.

        Raises:
            UsageError: it cannot be read.
        """
        name = self.name_of(path)
        try:
            digest = self._digest(path)
        except OSError as error:
            raise UsageError(
                f"{printable(str(path))} cannot be read: {error.strerror}",
                hint="change its permissions",
            ) from error
        # Used twice, and changed in between: the machine has both, and no digest stands for that.
        self._used[name] = digest if self._used.get(name, digest) == digest else ""

    @property
    def used(self) -> dict[str, str]:
        """What steps used: name to digest."""
        return dict(self._used)

    @property
    def are_as_used(self) -> bool:
        """Whether all that steps used is still what it was."""
        return not self._first_other(self._used)

    def take_up(self, used: Mapping[str, str]) -> None:
        """Take up what the steps before a checkpoint used.

        Raises:
            CheckpointStale: something of it is not what it was.
        """
        other = self._first_other(used)
        if other:
            raise CheckpointStale(f"{printable(other)} is not what it was when a step used it")
        self._used = dict(used)

    def _first_other(self, used: Mapping[str, str]) -> str:
        for name, digest in used.items():
            try:
                is_same = self._digest(self.path_of(name)) == digest
            except OSError:
                is_same = False
            if not is_same:
                return name
        return ""

    def _digest(self, path: Path) -> str:
        return digest_of_folder(path) if path.is_dir() else self._digests.of(path)
