"""A repository of Debian packages, made for one lab: what APT in a machine installs from."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.lab.network.programs import output_of, program
from tailstest.lab.network.signing_key import SigningKey

#: Programs that a repository is made with, and the Debian packages that have them.
PROGRAMS = {"dpkg-deb": "dpkg", "apt-ftparchive": "apt-utils"}

#: What names and versions of packages are made of (Debian Policy, 5.6.1 and 5.6.12).
_NAME, _VERSION = re.compile(r"[a-z0-9][a-z0-9+.-]+"), re.compile(r"[0-9][A-Za-z0-9.+~-]*")

_CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: Lab <lab@lab.test>
Description: made by tailstest
 Has a program of the same name that writes its name and version.
"""


class AptRepository:
    """Packages, an index of them, and a signature on it.

    A flat one: `deb [signed-by=KEY] http://HOST ./`.

    Args:
        folder: private, new; `site` in it is what is to be shown.
        key: private file that keeps the key; made if it is not there.

    Raises:
        SetupError: a program is missing.
    """

    def __init__(self, folder: Path, key: Path) -> None:
        for name, package in PROGRAMS.items():
            program(name, package, "an APT repository of the lab")
        folder.mkdir(mode=0o700)
        #: Folder that a web server shows.
        self.site = folder / "site"
        self.site.mkdir()
        self._key = SigningKey(key)

    @property
    def public_key(self) -> str:
        """What a machine must have to trust this repository, as text."""
        return self._key.certificate

    def change_key(self) -> None:
        """Sign with another key from the next `publish` on: whoever trusts the old one must not."""
        self._key = SigningKey(self.site.parent / "key")

    def add(self, name: str, version: str) -> None:
        """Add a package; `publish` comes after it.

        Raises:
            UsageError: this is no name, or no version, of a package.
        """
        if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
            raise UsageError(
                f'"{name}" "{version}" is no package of a lab\'s APT repository',
                hint="a name is like hello-lab, a version is like 1.0-1",
            )
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "root"
            program = root / "usr" / "bin" / name
            program.parent.mkdir(parents=True)
            program.write_text(f"#!/bin/sh\necho {name} {version}\n")
            program.chmod(0o755)
            (root / "DEBIAN").mkdir()
            (root / "DEBIAN" / "control").write_text(_CONTROL.format(name=name, version=version))
            root.chmod(0o755)
            _run(["dpkg-deb", "--root-owner-group", "--build", str(root), str(self.site)])

    def publish(self) -> None:
        """Make the index of the packages that are there now, and sign it."""
        index = _run(["apt-ftparchive", "packages", "."], folder=self.site)
        (self.site / "Packages").write_bytes(index)
        for old in ("Release", "InRelease"):
            (self.site / old).unlink(missing_ok=True)
        release = _run(["apt-ftparchive", "release", "."], folder=self.site)
        (self.site / "InRelease").write_bytes(self._key.signed(release))

    def damage(self, name: str) -> None:
        """Change one byte in every version of a package, as a bad mirror would; the index stays.

        Raises:
            UsageError: there is no such package.
        """
        files = list(self.site.glob(f"{name}_*.deb")) if _NAME.fullmatch(name) else []
        if not files:
            raise UsageError(
                f'the lab\'s APT repository has no package "{name}"',
                hint="name one of the step that made the repository",
            )
        for file in files:
            content = bytearray(file.read_bytes())
            content[-1] ^= 1
            file.write_bytes(content)


def _run(argv: list[str], *, folder: Path | None = None) -> bytes:
    return output_of(argv, "make the lab's APT repository", folder=folder)
