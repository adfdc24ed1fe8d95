"""Files in the formats of other tools, written into the folder of a run when they are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailstest.results.outputs.ctrf import ctrf_report
from tailstest.results.outputs.cucumber import cucumber_features
from tailstest.results.run_folder import RunFolder
from tailstest.results.run_record import Run
from tailstest.results.whole_file import write_whole

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
    file = folder.path / name
    write_whole(file, json.dumps(make(run, folder), indent=1) + "\n", private=False)
    return file
