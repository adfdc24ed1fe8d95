"""The files of a reference image in a suite, and replacing them by a candidate's."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailstest.core.errors import InfrastructureError, UsageError

#: Keys of an area that say where it is; all others are settings that a person made.
_PLACE = ("xpos", "ypos", "width", "height")
#: Bytes of the largest definition read.
MAX_DEFINITION = 4 * 1024 * 1024


@dataclass(frozen=True)
class ReferenceFiles:
    """Picture and definition of a reference; `definition` is None for a picture alone."""

    picture: Path
    definition: Path | None


def find_reference(name: str, folders: Sequence[Path]) -> ReferenceFiles:
    """Return the files of the reference called `name` below one of the images folders.

    Args:
        name: the file name without its suffix, or its path below the folder ("boot/menu").
        folders: images folders of the suite; nothing outside them is ever returned.

    Raises:
        UsageError: there is none, there are several, or a link leads out of the folders.
    """
    found: dict[Path, Path] = {}
    for folder in folders:
        for file in _pictures(folder):
            inner = file.relative_to(folder).with_suffix("").as_posix()
            if name in (file.stem, inner):
                found[file.resolve()] = file
    if not found:
        looked = ", ".join(map(str, folders)) or "no images folder"
        raise UsageError(
            f"the reference {name!r} is not (or no longer) in the suite; looked in: {looked}",
            hint="was it renamed since that run? Refuse the candidate, or run the scenario again",
        )
    if len(found) > 1:
        files = ", ".join(sorted(map(str, found.values())))
        raise UsageError(
            f"the reference {name!r} could be any of these files: {files}",
            hint="give them different names",
        )
    resolved, plain = next(iter(found.items()))
    if not any(resolved.is_relative_to(folder.resolve()) for folder in folders):
        raise UsageError(
            f"{plain} is a link to {resolved}, outside of the suite's images",
            hint="replace the link by a file, then accept again",
        )
    definition = plain.with_suffix(".json")
    if not definition.is_file():
        return ReferenceFiles(resolved, None)
    if not any(definition.resolve().is_relative_to(folder.resolve()) for folder in folders):
        raise UsageError(f"{definition} is a link that leads out of the suite's images")
    return ReferenceFiles(resolved, definition.resolve())


def merged_definition(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return `old` with the places of the areas of `new`; all that a person set stays.

    Tags, properties, unknown keys and, area by area, type, match, margin and click points are the
    old ones. With another number of areas the new areas are taken as they are.
    """
    old_areas, new_areas = _areas(old), _areas(new)
    merged = dict(old)
    if len(old_areas) == len(new_areas):
        merged["area"] = [
            {**before, **{key: after[key] for key in _PLACE if key in after}}
            for before, after in zip(old_areas, new_areas, strict=True)
        ]
    elif new_areas:
        merged["area"] = new_areas
    return merged


def read_definition(file: Path) -> dict[str, Any]:
    """Read a reference's JSON.

    Raises:
        UsageError: it cannot be read or is no JSON object.
    """
    try:
        if file.stat().st_size > MAX_DEFINITION:
            raise UsageError(f"{file}: too large for the definition of a reference")
        value = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{file}: not a JSON object")
    return value


def replace_files(changes: Sequence[tuple[Path, bytes]]) -> None:
    """Write several files so that each is either the old or the new one, never a part.

    All new contents are on the disk before the first file is replaced.

    Raises:
        InfrastructureError: one cannot be written.
    """
    fresh: list[tuple[Path, Path]] = []
    try:
        for target, data in changes:
            temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
            fresh.append((temporary, target))
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            if target.exists():
                temporary.chmod(target.stat().st_mode & 0o777)
        for temporary, target in fresh:
            temporary.replace(target)
    except OSError as error:
        for temporary, _ in fresh:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise InfrastructureError(
            f"cannot replace {error.filename or 'a reference'}: {error.strerror}",
            hint="make the images folder writable and free some space",
        ) from error


def _pictures(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*.png")):
        if file.is_file():
            yield file


def _areas(definition: Mapping[str, Any]) -> list[dict[str, Any]]:
    areas = definition.get("area")
    if not isinstance(areas, list):
        return []
    return [dict(area) for area in areas if isinstance(area, Mapping)]
