"""Finding what must be installed: libvirt's Python module, its QEMU driver, QEMU itself."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

from tailstest.core.errors import SetupError

#: What a Debian or Ubuntu system needs for this room.
APT_COMMAND = "sudo apt install qemu-system-x86 libvirt-daemon-system libvirt-clients ovmf"

EMULATOR_NAME = "qemu-system-x86_64"


def load_libvirt() -> Any:
    """Return the module `libvirt`, with its habit of printing errors switched off.

    Raises:
        SetupError: the module or the C library below it is not installed.
    """
    try:
        module = importlib.import_module("libvirt")
    except ImportError as error:
        raise SetupError(
            f"the Python module libvirt cannot be loaded: {error}",
            hint="install it: sudo apt install libvirt0, then pip install libvirt-python",
        ) from error
    # Every libvirt error is raised as an exception as well, so the print is only noise.
    module.registerErrorHandler(_ignore_error, None)
    return module


def _ignore_error(_context: object, _error: object) -> None:
    """Take an error report of libvirt and say nothing."""


def find_emulator() -> Path:
    """Return the path of QEMU for x86_64 guests.

    Raises:
        SetupError: it is not installed.
    """
    found = shutil.which(EMULATOR_NAME)
    if found is None:
        raise SetupError(
            f"{EMULATOR_NAME} is not installed or not in PATH", hint=f"run: {APT_COMMAND}"
        )
    return Path(found)
