"""UEFI firmware that is installed, found by QEMU's own descriptions of it.

The files are specified in QEMU's docs/interop/firmware.json: one JSON object a file; a file in
/etc or the user's folder replaces one of the same name in /usr/share.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from tailstest.core.errors import SetupError

#: A description has about 1 kB; larger files are not read.
MAX_DESCRIPTION_BYTES = 256 * 1024


@dataclass(frozen=True)
class FirmwarePair:
    """UEFI code and the variable store that goes with it.

    Attributes:
        code: read-only image for the first flash chip.
        variables: template of the variable store; every machine gets a copy of its own.
        description: from the file that describes it.
        machines: patterns of machine types it is made for, as in "pc-q35-*".
        secure_boot: whether it can enforce signatures.
        needs_smm: whether the machine must emulate system management mode.
    """

    code: Path
    variables: Path
    description: str
    machines: tuple[str, ...]
    secure_boot: bool
    needs_smm: bool

    def fits(self, machine: str) -> bool:
        """Tell whether it is made for the chipset "pc" or "q35"."""
        sample = {"pc": "pc-i440fx-0", "q35": "pc-q35-0"}[machine]
        return any(fnmatch.fnmatchcase(sample, pattern) for pattern in self.machines)


def description_folders() -> list[Path]:
    """Return where descriptions are kept, the least important folder first."""
    return [
        Path("/usr/share/qemu/firmware"),
        Path("/etc/qemu/firmware"),
        Path(platformdirs.user_config_dir("qemu")) / "firmware",
    ]


def find_firmware(folders: Sequence[Path] | None = None) -> list[FirmwarePair]:
    """Return the usable UEFI pairs for x86_64, the plainest first.

    Plain means: no Secure Boot, no system management mode (slow under emulation). Among equals
    the order of the files' names decides, which is how distributions express their preference.
    Descriptions that cannot be read or name missing files are passed over.
    """
    files: dict[str, Path] = {}
    for folder in description_folders() if folders is None else folders:
        files |= {file.name: file for file in sorted(folder.glob("*.json"))}
    pairs = [pair for _, file in sorted(files.items()) if (pair := _read(file)) is not None]
    return sorted(pairs, key=lambda pair: (pair.needs_smm, pair.secure_boot))


def choose_firmware(pairs: Sequence[FirmwarePair], machine: str) -> FirmwarePair:
    """Return the plainest pair that is made for the chipset `machine`.

    Raises:
        SetupError: there is none.
    """
    for pair in pairs:
        if pair.fits(machine) and not pair.needs_smm:
            return pair
    raise SetupError(
        f"no UEFI firmware for machines of type {machine!r} is installed",
        hint="run: sudo apt install ovmf",
    )


def _read(file: Path) -> FirmwarePair | None:
    try:
        with file.open("rb") as stream:
            content = json.loads(stream.read(MAX_DESCRIPTION_BYTES))
        mapping = content["mapping"]
        targets = [each for each in content["targets"] if each["architecture"] == "x86_64"]
        if "uefi" not in content["interface-types"] or mapping["device"] != "flash" or not targets:
            return None
        if not _is_split(mapping):
            return None
        pair = FirmwarePair(
            code=Path(mapping["executable"]["filename"]),
            variables=Path(mapping["nvram-template"]["filename"]),
            description=str(content.get("description", "")),
            machines=tuple(str(name) for each in targets for name in each["machines"]),
            secure_boot="secure-boot" in content["features"],
            needs_smm="requires-smm" in content["features"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pair if pair.code.is_file() and pair.variables.is_file() else None


def _is_split(mapping: dict[str, Any]) -> bool:
    """Tell whether code and variables are two raw files; other forms need other domain XML."""
    formats = {mapping["executable"]["format"], mapping["nvram-template"]["format"]}
    return mapping.get("mode", "split") == "split" and formats == {"raw"}
