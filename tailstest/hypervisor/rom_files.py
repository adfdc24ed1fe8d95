"""The files of firmware that machines get: BIOS, UEFI, and the ROMs of cards."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tailstest.hypervisor.capabilities import ask_emulator


def rom_files(emulator: Path, more: Iterable[Path] = ()) -> list[tuple[str, int, int]]:
    """Return the path of each such file, its size, and when it was changed last (nanoseconds).

    They are packages of their own (SeaBIOS, iPXE, OVMF in Debian), so the version of QEMU does not
    tell them, and a machine that was saved has them in its memory. What is in them is not read:
    size and time tell one package from another, as they do for QEMU in `ProbeKey`.

    Args:
        emulator: QEMU; its folders are looked through.
        more: files that are in none of them, UEFI for example. Missing ones are left out.

    Raises:
        InfrastructureError: QEMU does not name its folders.
    """
    folders = ask_emulator(emulator, "-L", "help").splitlines()
    found = {file for folder in folders for file in Path(folder).glob("*")}
    states = [(str(file), file.stat()) for file in sorted(found | set(more)) if file.is_file()]
    return [(path, state.st_size, state.st_mtime_ns) for path, state in states]
