"""A server of upgrades, made for one lab: what is new, said under a signature, and the file itself.

For each version of a product that somebody may have there are, in `upgrades/PRODUCT/VERSION/`:
`description.json`, its signature `description.json.asc`, and the upgrade if there is one.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.lab.network.signing_key import SigningKey

#: Host name that it is shown under.
HOST = "upgrade.lab.test"
#: Bytes of an upgrade if nobody says how many: many packets, and yet soon fetched through Tor by a
#: machine that is emulated.
USUAL_SIZE = 200 << 10
#: Bytes of the largest upgrade; it lies in the folder of the run.
LARGEST = 1 << 30
#: Bytes that are made or copied at a time.
_PIECE = 1 << 20

#: What a product and a version are made of; they become names of files. An ID of os-release(5)
#: fits, and so does a version of a Debian package without an epoch.
_PRODUCT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~-]{0,99}")


@dataclass(frozen=True)
class Answer:
    """What is said to those who have a version of a product.

    Attributes:
        product: that is asked about.
        installed: the version that they have.
        version: of the upgrade; None if that one is the newest.
        size: of the upgrade, in bytes.
        sha256: of the upgrade, in hexadecimal.
    """

    product: str
    installed: str
    version: str | None = None
    size: int = 0
    sha256: str = ""

    @property
    def folder(self) -> str:
        """Where it is, in what is shown."""
        return f"upgrades/{self.product}/{self.installed}"

    @property
    def file(self) -> str:
        """Where the upgrade is, in what is shown."""
        return f"{self.folder}/{self.product}-{self.version}"

    @property
    def description(self) -> bytes:
        """What is signed (JSON)."""
        values: dict[str, Any] = {
            "product": self.product,
            "installed": self.installed,
            "version": self.version,
        }
        if self.version is not None:
            values |= {"size": self.size, "sha256": self.sha256}
            values |= {"url": f"https://{HOST}/{self.file}"}
        return (json.dumps(values, indent=2) + "\n").encode("ascii")


class UpgradeServer:
    """What is behind `https://upgrade.lab.test`.

    Args:
        folder: private, new; `site` in it is what is to be shown.
        key: private file that keeps the key; made if it is not there.

    Raises:
        SetupError: a program is missing that signs.
    """

    def __init__(self, folder: Path, key: Path) -> None:
        self._key = SigningKey(key)
        self._folder = folder
        #: Folder that a web server shows.
        self.site = folder / "site"
        self.site.mkdir(mode=0o700, parents=True)
        self._answers: dict[tuple[str, str], Answer] = {}

    @property
    def public_key(self) -> str:
        """What a machine must have to trust what is said here, as text."""
        return self._key.certificate

    def offer(self, product: str, installed: str, version: str, size: int = USUAL_SIZE) -> None:
        """Offer an upgrade that holds nothing of use; it has the same bytes each time.

        Args:
            installed: version for which it is.
            version: of the upgrade.
            size: in bytes.

        Raises:
            UsageError: this cannot be offered; says why.
            InfrastructureError: it cannot be written.
        """
        _check_size(size)
        self._offer(product, installed, version, _noise(f"{product} {version}", size))

    def offer_file(self, product: str, installed: str, version: str, file: Path) -> None:
        """Offer what is in a file now as an upgrade; see `offer`."""
        if not file.is_file():
            raise UsageError(f"there is no file {file} to be offered as an upgrade")
        _check_size(file.stat().st_size)
        self._offer(product, installed, version, _read(file))

    def offer_nothing(self, product: str, installed: str) -> None:
        """Say that a version is the newest one, under a signature.

        No answer would not do: anybody who is in the way of an upgrade can give none.

        Raises:
            UsageError: there can be no such product, or no such version.
        """
        self._begin(product, installed)
        self._say(Answer(product, installed))

    def damage(self, product: str) -> None:
        """Change one byte in each upgrade of a product; one that is damaged stays as it is.

        Raises:
            UsageError: none is offered.
        """
        offered = [each for each in self._about(product) if each.version is not None]
        if not offered:
            raise UsageError(
                f'the lab offers no upgrade of "{product}" that could be damaged',
                hint='put "Given the lab offers the upgrade ..." before it',
            )
        for answer in offered:
            with (self.site / answer.file).open("r+b") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == answer.sha256:
                    _change_byte(file, answer.size // 2)

    def sign_with_another_key(self, product: str) -> None:
        """Sign what is said about a product now with a key that no machine has been given.

        Raises:
            UsageError: nothing is said about it.
        """
        key = SigningKey(self._folder / "key")
        for answer in self._about(product):
            self._sign(answer, key)

    def _about(self, product: str) -> list[Answer]:
        found = [each for each in self._answers.values() if each.product == product]
        if not found:
            known = sorted({each.product for each in self._answers.values()})
            raise UsageError(
                f'the lab\'s upgrade server knows no "{product}"; known: '
                f"{', '.join(known) or 'none'}",
                hint='put "Given the lab offers the upgrade ..." before it',
            )
        return found

    def _offer(self, product: str, installed: str, version: str, content: Iterable[bytes]) -> None:
        _check_version(version)
        self._begin(product, installed)
        digest, size = hashlib.sha256(), 0
        try:
            with (self.site / Answer(product, installed, version).file).open("wb") as file:
                for piece in content:
                    digest.update(piece)
                    size += file.write(piece)
        except OSError as error:
            raise InfrastructureError(
                f"an upgrade of the lab cannot be written: {error.strerror}",
                hint="is the disk full?",
            ) from error
        self._say(Answer(product, installed, version, size, digest.hexdigest()))

    def _begin(self, product: str, installed: str) -> None:
        """Make an empty folder for what is said to those who have a version."""
        if not _PRODUCT.fullmatch(product):
            raise UsageError(
                f'"{product}" is no product that the lab has upgrades of',
                hint="a name has letters, digits and . _ - in it, such as the ID in os-release",
            )
        _check_version(installed)
        folder = self.site / Answer(product, installed).folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def _say(self, answer: Answer) -> None:
        (self.site / answer.folder / "description.json").write_bytes(answer.description)
        self._sign(answer, self._key)
        self._answers[answer.product, answer.installed] = answer

    def _sign(self, answer: Answer, key: SigningKey) -> None:
        file = self.site / answer.folder / "description.json.asc"
        file.write_bytes(key.signature(answer.description))


def _check_version(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise UsageError(
            f'"{version}" is no version that the lab has upgrades of',
            hint="a version begins with a digit, such as 1.1 or 6.0~rc1",
        )


def _check_size(size: int) -> None:
    if not 0 < size <= LARGEST:
        raise UsageError(
            f"the lab cannot offer an upgrade of {size} bytes",
            hint=f"an upgrade has 1 to {LARGEST} bytes",
        )


def _noise(seed: str, size: int) -> Iterator[bytes]:
    source = random.Random(seed)
    for start in range(0, size, _PIECE):
        yield source.randbytes(min(_PIECE, size - start))


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE):
            yield piece


def _change_byte(file: BinaryIO, position: int) -> None:
    file.seek(position)
    byte = file.read(1)[0]
    file.seek(position)
    file.write(bytes([byte ^ 1]))
