"""Files in the formats of other tools, written into the folder of a run when they are asked for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailstest.core.errors import InfrastructureError
from tailstest.results.outputs.ctrf import ctrf_report
from tailstest.results.outputs.cucumber import cucumber_features
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import Run

CUCUMBER_FILE = "cucumber.json"
CTRF_FILE = "ctrf.json"
#: Name of a format to its file and what makes it.
FORMATS: dict[str, tuple[str, Callable[[Run, RunFolder], Any]]] = {
    "cucumber": (CUCUMBER_FILE, cucumber_features),
    "ctrf": (CTRF_FILE, ctrf_report),
}


def write_output(form: str, run: Run, folder: RunFolder) -> Path:
    """Write a run in one of `FORMATS` into its folder, replacing an older file in one step.

    Returns:
        The file.

    Raises:
        InfrastructureError: it cannot be written; an older one stays as it was.
    """
    name, make = FORMATS[form]
    return write_text(folder.path / name, json.dumps(make(run, folder), indent=1) + "\n")


def write_text(file: Path, text: str) -> Path:
    """Write a text file in one step, so that a reader never sees half of it.

    Raises:
        InfrastructureError: it cannot be written; an older one stays as it was.
    """
    fresh = file.with_name(file.name + ".new")
    try:
        fresh.write_text(text, encoding="utf-8", errors="replace")
        fresh.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise InfrastructureError(
            f"cannot write {file}: {error.strerror}",
            hint="make its folder, or free some space on its disk",
        ) from error
    return file
