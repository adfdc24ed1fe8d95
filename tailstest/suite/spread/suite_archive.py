"""A suite as one file: the same bytes for the same content, so that its digest names it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.suite.git import ask_git

#: Bytes and files of a suite that is sent; larger ones hold what is no part of it.
MAX_BYTES = 256 * 1024 * 1024
MAX_FILES = 20_000
#: Largest files that are named when a suite is too large.
_NAMED = 3
#: Seconds that git may take.
_GIT_LIMIT = 30.0
#: Folders that are never part of a suite.
_FOREIGN = frozenset({"__pycache__", "runs", "node_modules"})


def pack_suite(root: Path, target: Path, leave_out: Iterable[Path] = ()) -> None:
    """Write a suite's files into a tar archive.

    In a clone of git these are the files that it knows or does not ignore; elsewhere all of them
    but hidden ones and those of earlier runs. A link becomes the file that it leads to.

    Args:
        root: the suite.
        target: file to write.
        leave_out: files and folders that are there already or arrive in another way.

    Raises:
        UsageError: it is too large; names the largest files.
        InfrastructureError: it cannot be read or written.
    """
    others = {each.resolve() for each in leave_out}
    try:
        files = [
            each
            for each in _files_of(root)
            if others.isdisjoint([(root / each).resolve(), *(root / each).resolve().parents])
        ]
        sizes = {each: (root / each).stat().st_size for each in files}
        _check_size(root, sizes)
        with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
            for name in sorted(files):
                _add(archive, root / name, name)
    except OSError as error:
        raise InfrastructureError(
            f"cannot pack the suite {root}: {error.filename or target}: {error.strerror}"
        ) from error


def unpack_suite(archive: Path, target: Path) -> None:
    """Unpack what `pack_suite` wrote into a new folder.

    Raises:
        InfrastructureError: it is no such archive, or cannot be written; nothing is left.
    """
    try:
        target.mkdir(mode=0o700, parents=True)
        with tarfile.open(archive, "r:") as opened:
            total = 0
            for count, member in enumerate(opened, 1):
                total += member.size
                name = PurePosixPath(member.name)
                if (
                    not member.isreg()
                    or name.is_absolute()
                    or ".." in name.parts
                    or total > MAX_BYTES
                    or count > MAX_FILES
                ):
                    raise InfrastructureError(f"{archive}: not the archive of a suite")
                _write(opened, member, target / name)
    except (OSError, tarfile.TarError) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise InfrastructureError(f"cannot unpack a suite into {target}: {error}") from error
    except InfrastructureError:
        shutil.rmtree(target, ignore_errors=True)
        raise


def paths_in_suite(paths: Iterable[str], root: Path) -> tuple[str, ...]:
    """Return paths of features (files, folders, file:line) relative to the suite.

    Raises:
        UsageError: one lies elsewhere, through a link for example.
    """
    found = []
    for path in paths:
        file, colon, line = path, "", ""
        if not Path(path).exists():
            file, colon, line = path.rpartition(":")
        try:
            inside = Path(file).resolve().relative_to(root.resolve())
        except ValueError as error:
            raise UsageError(f"{path} is not in the suite {root}, so it cannot be sent") from error
        found.append(f"{inside.as_posix()}{colon}{line}")
    return tuple(found)


def _files_of(root: Path) -> list[str]:
    """Return the names of a suite's files, relative to it."""
    told = _told_by_git(root)
    names = told if told is not None else list(_walked(root))
    return [each for each in names if (root / each).is_file()]


def _told_by_git(root: Path) -> list[str] | None:
    words = ("ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", ".")
    try:
        done = ask_git(root, *words, limit=_GIT_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    return sorted({os.fsdecode(each) for each in done.stdout.split(b"\0") if each})


def _walked(root: Path) -> Iterable[str]:
    for place, folders, files in os.walk(root):
        folders[:] = sorted(
            each for each in folders if each not in _FOREIGN and not each.startswith(".")
        )
        for name in files:
            if not name.startswith(".") and not name.endswith(".pyc"):
                yield Path(place, name).relative_to(root).as_posix()


def _check_size(root: Path, sizes: dict[str, int]) -> None:
    total = sum(sizes.values())
    if total <= MAX_BYTES and len(sizes) <= MAX_FILES:
        return
    largest = sorted(sizes, key=lambda each: -sizes[each])[:_NAMED]
    named = ", ".join(f"{each} ({sizes[each] // 2**20} MiB)" for each in largest)
    raise UsageError(
        f"the suite {root} has {len(sizes)} files and {total // 2**20} MiB, too much to be sent to"
        f" workers ({MAX_FILES} files, {MAX_BYTES // 2**20} MiB); the largest ones: {named}",
        hint="keep images and results elsewhere, or let git ignore them",
    )


def _add(archive: tarfile.TarFile, file: Path, name: str) -> None:
    data = file.read_bytes()
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o700 if os.access(file, os.X_OK) else 0o600
    archive.addfile(member, io.BytesIO(data))


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = archive.extractfile(member)
    assert source is not None  # it is a regular file
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o700 | 0o600)
    with source, os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(source, file)
