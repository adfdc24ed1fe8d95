"""Results of other tools into the store."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2s
from pathlib import Path
from typing import NamedTuple

from tailstest.core.errors import UsageError
from tailstest.results.run_record import Run
from tailstest.results.store.adding import add_run
from tailstest.results.store.cucumber_reader import read_cucumber
from tailstest.results.store.engine import Store
from tailstest.results.store.junit_reader import read_junit


class Imported(NamedTuple):
    """What was imported; `was_there` says that the run was in the store and is written anew."""

    run: Run
    was_there: bool


def import_files(
    store: Store,
    files: Sequence[Path],
    *,
    run_id: str = "",
    image_digest: str = "",
    image_name: str = "",
) -> Imported:
    """Write JUnit XML or Cucumber JSON files into the store as one run.

    The same files again are the same run, so importing twice changes nothing.

    Args:
        run_id: name of the run; by default one that follows from what is in the files.
        image_digest, image_name: of the image that was tested, when that is known.

    Raises:
        UsageError: a file cannot be read, is of another form, or the files are of two kinds.
        InfrastructureError: the store fails; it is as it was.
    """
    if not files:
        raise UsageError("there is nothing to import", hint="name JUnit XML or Cucumber JSON files")
    kinds = {file.suffix.lower() for file in files}
    if kinds == {".xml"}:
        kind, read = "junit", read_junit
    elif kinds == {".json"}:
        kind, read = "cucumber", read_cucumber
    else:
        raise UsageError(
            "files to import are either all .xml (JUnit) or all .json (Cucumber)",
            hint="import them one kind after the other",
        )
    run = Run(command=[f"imported from {len(files)} files" if len(files) > 1 else str(files[0])])
    read(run, files)
    run.run_id = run_id or f"{kind}-{_digest(files)}"
    run.is_finished = True
    if image_digest:
        image = {"sha256": image_digest, "name": image_name}
        run.environment = {**run.environment, "image": image}
    return Imported(run, add_run(store, run, source=kind))


def _digest(files: Sequence[Path]) -> str:
    """Return a digest of what is in the files, whatever their order."""
    parts = sorted(blake2s(file.read_bytes(), digest_size=8).digest() for file in files)
    return blake2s(b"".join(parts), digest_size=6).hexdigest()
