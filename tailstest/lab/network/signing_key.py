"""An OpenPGP key of the lab: what it shows is signed with it, and machines get its other half.

sqop signs without a folder of keys and without a daemon that would have to be ended, as gpg has.
"""

from __future__ import annotations

from pathlib import Path

from tailstest.lab.network.kept_keys import kept
from tailstest.lab.network.programs import output_of, program


class SigningKey:
    """Signs in somebody's name.

    Args:
        file: private; keeps the key, which is made if it is not there.

    Raises:
        SetupError: sqop is not installed.
    """

    def __init__(self, file: Path) -> None:
        program("sqop", "sqop", "a signature of the lab")
        kept(file, _new)
        self._file = file

    @property
    def certificate(self) -> str:
        """What a machine must have to trust what is signed with this key, as text."""
        return _sqop(["extract-cert"], self._file.read_bytes()).decode("ascii")

    def signed(self, text: bytes) -> bytes:
        """Return a text with a signature around it that leaves it readable."""
        return _sqop(["inline-sign", "--as", "clearsigned", str(self._file)], text)

    def signature(self, content: bytes) -> bytes:
        """Return a signature by itself, to lie beside what it is for."""
        return _sqop(["sign", str(self._file)], content)


def _new() -> bytes:
    return _sqop(["generate-key", "lab <lab@lab.test>"])


def _sqop(arguments: list[str], given: bytes = b"") -> bytes:
    return output_of(["sqop", *arguments], "sign what the lab shows", given)
