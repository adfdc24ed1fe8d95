"""What an image is made of as a file of a run folder, for stores that get the run later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import Connection, select

from tailstest.core.errors import TailstestError, UsageError
from tailstest.core.text import printable
from tailstest.media.image_file import check_image, digest_of
from tailstest.results.environment_view import image_digest
from tailstest.results.run_folder import CONTENTS_FILE
from tailstest.results.store.image_contents import ImageContents, write_contents
from tailstest.results.store.kept_texts import storable
from tailstest.results.store.tables import runs
from tailstest.results.whole_file import write_whole

#: Characters of a name of a package and of a path; PostgreSQL finds no longer ones.
MAX_PACKAGE, MAX_PATH = 300, 600
#: Bytes of the file. A desktop with 2,000 packages takes 0.1 MB, and what has as many files and
#: packages as are kept (`image_reading`) some 6 MB.
MAX_BYTES = 32 * 1024 * 1024

_Size = Annotated[int, Field(ge=0, lt=2**63)]
_Digest = Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]


class _Told(BaseModel):
    """What stands in the file; it may come from another host, or be damaged."""

    image: str
    kernel: str = ""
    packages: dict[str, str] = Field(default_factory=dict)
    packages_from: str = ""
    files: dict[str, tuple[_Size, _Digest]] = Field(default_factory=dict)


def keep_contents(folder: Path, environment: Mapping[str, Any]) -> str:
    """Write what the image under test is made of into a run folder; never spoils the run.

    It takes about as long as reading the kernel and the initial RAM disk: 0.1 s for a desktop of
    200 MB.

    Args:
        environment: of the run.

    Returns:
        Why that could not be done; "" when it was, or there is no image.
    """
    path = _path(environment)
    if path is None:
        return ""
    # It takes a library to load.
    from tailstest.results.store.image_reading import read_contents

    try:
        found = read_contents(path)
        told = {"image": image_digest(environment), **vars(found)}
        write_whole(folder / CONTENTS_FILE, json.dumps(told) + "\n", private=True)
    except TailstestError as error:
        said = error.message
    except Exception as error:  # noqa: BLE001 - no image and no mistake of ours must end the run
        said = f"{type(error).__name__}: {error}"
    else:
        return ""
    return printable(f"it cannot be told what the image is made of: {said}")


def kept_contents(folder: Path, digest: str) -> ImageContents | None:
    """Return what a run folder says that the image with a digest is made of.

    Returns:
        None if it says nothing that can be read, or tells of another image.
    """
    file = folder / CONTENTS_FILE
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        told = _Told.model_validate_json(data) if len(data) <= MAX_BYTES else None
    except (OSError, ValidationError):
        return None
    if told is None or told.image != digest:
        return None
    return ImageContents(
        kernel=storable(told.kernel, 100),
        packages={
            storable(name, MAX_PACKAGE)[:MAX_PACKAGE]: storable(version, MAX_PACKAGE)
            for name, version in told.packages.items()
        },
        packages_from=storable(told.packages_from),
        files={
            storable(path, MAX_PATH)[:MAX_PATH]: (size, digest)
            for path, (size, digest) in told.files.items()
        },
    )


def contents_for(folder: Path, environment: Mapping[str, Any]) -> ImageContents | None:
    """Return what the image of a run is made of, by its folder or else by the image itself.

    Folders of older versions do not say it; then the image is read, if it is still the same one.

    Returns:
        None if neither tells.
    """
    digest, path = image_digest(environment), _path(environment)
    found = kept_contents(folder, digest) if digest else None
    if found is not None or not digest or path is None:
        return found
    from tailstest.results.store.image_reading import read_contents

    try:
        check_image(path)  # before its digest: what stands at that place now may have no end
        return read_contents(path) if digest_of(path) == digest else None
    except (UsageError, OSError):
        return None


def store_contents(connection: Connection, run: int, contents: ImageContents) -> None:
    """Write what the image of a run (by its number) is made of, once."""
    wanted = select(runs.c.image_id).where(runs.c.id == run)
    image = connection.execute(wanted).scalar()
    if image is not None:
        write_contents(connection, image, contents)


def _path(environment: Mapping[str, Any]) -> Path | None:
    image = environment.get("image")
    path = image.get("path") if isinstance(image, Mapping) else None
    return Path(str(path)) if path else None
