"""Whole folders to and from the guest, as tar archives that a command packs and unpacks there."""

from __future__ import annotations

import posixpath
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tailstest.core.errors import InfrastructureError
from tailstest.guest.errors import (
    GuestPathMissing,
    GuestProtocolError,
    GuestRefused,
    GuestUsageError,
    quoted,
)
from tailstest.guest.exchange import FileStore
from tailstest.guest.line import Line
from tailstest.guest.results import Completed
from tailstest.guest.running import DEFAULT_LIMIT, RunningCommand, start_command
from tailstest.guest.transfer import checked_path, chunks_of

#: Entries that an archive from a guest may hold.
MAX_ENTRIES = 50_000

_UNPACK = 'mkdir -p -- "$1" && exec tar -x -C "$1" --no-same-owner -f -'
_PACK = 'test -d "$1" || exit 44; exec tar -c -C "$1" -f - .'
_NO_FOLDER = 44

#: What GNU tar says when the disk is full; it does not say why it wrote less than it was to write.
_CUT_SHORT = re.compile(rb"Wrote only \d+ of \d+ bytes|No space left on device")
_FULL_HINT = "The disk of the guest is full: copy less, or to another place."


def put_folder(line: Line, source: Path, target: str, *, user: str | None, within: float) -> None:
    """Copy a folder into the guest; see `GuestChannel.put_folder`."""
    if not source.is_dir():
        raise GuestUsageError(f"{source} is not a folder of this host")
    argv = ["/bin/sh", "-c", _UNPACK, "sh", checked_path(target)]
    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w:", format=tarfile.PAX_FORMAT) as tar:
            tar.add(source, arcname=".")
        archive.seek(0)
        with _start(line, argv, user, within, None) as command:
            for chunk in chunks_of(archive):
                command.send(chunk)
            command.close_stdin()
            _check(command.wait(), target)


def get_folder(
    line: Line, source: str, target: Path, *, user: str | None, limit: int, within: float
) -> None:
    """Copy a folder from the guest; see `GuestChannel.get_folder`."""
    if target.exists() or target.is_symlink():
        raise GuestUsageError(f"{target} exists already")
    argv = ["/bin/sh", "-c", _PACK, "sh", checked_path(source)]
    with tempfile.TemporaryFile() as archive:
        with _start(line, argv, user, within, FileStore(archive, limit)) as command:
            command.close_stdin()
            completed = command.wait()
        if completed.status == _NO_FOLDER:
            raise GuestPathMissing(source)
        if completed.truncated:
            raise GuestRefused(f"{quoted(source)} is larger than the limit of {limit} bytes")
        if completed.status != 1:  # 1: a file changed while it was read, which a log may
            _check(completed, source)
        archive.seek(0)
        try:
            made = Path(tempfile.mkdtemp(dir=target.parent, prefix=".tailstest-"))
        except OSError as error:
            raise GuestUsageError(f"cannot write {target}: {error}") from None
        try:
            unpack(archive, made, limit)
            made.chmod(0o755)
            made.rename(target)
        except OSError as error:
            raise InfrastructureError(f"cannot write {target}: {error}") from None
        finally:
            shutil.rmtree(made, ignore_errors=True)


def unpack(archive: object, folder: Path, limit: int) -> None:
    """Unpack an archive from a guest into an empty folder; nothing gets out of it.

    Only files, folders and links are made, links last, so that no link leads a file elsewhere.

    Raises:
        GuestProtocolError: the archive is damaged, too large, or would write outside.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:  # type: ignore[call-overload]
            members = list(_members(tar, limit))
            _make(tar, members, folder)
    except GuestProtocolError:
        raise
    except OSError as error:
        raise GuestProtocolError(f"cannot unpack what the guest sent: {error}") from None
    except (tarfile.TarError, ValueError, ArithmeticError, LookupError, EOFError) as error:
        said = quoted(f"{type(error).__name__}: {error}")
        raise GuestProtocolError(f"the archive from the guest is damaged: {said}") from None


def _members(tar: tarfile.TarFile, limit: int) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """Yield the members that are all right, with their clean names."""
    size = 0
    for number, member in enumerate(tar):
        if number >= MAX_ENTRIES:
            raise GuestProtocolError(f"the archive from the guest has over {MAX_ENTRIES} entries")
        if ".." in PurePosixPath(member.name).parts:
            raise _bad(member.name, "leads outside")
        name = _inside(member.name, member.name)
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise _bad(member.name, "is neither a file, a folder nor a link")
        size += member.size if member.isreg() else 0
        if member.size < 0 or size > limit:
            raise GuestProtocolError(f"the archive from the guest unpacks to over {limit} bytes")
        if member.issym():
            if not member.linkname or member.linkname.startswith("/"):
                raise _bad(member.name, "is a link to outside")
            _inside(posixpath.join(posixpath.dirname(name), member.linkname), member.name)
        elif member.islnk():
            _inside(member.linkname, member.name)
        yield member, name


def _inside(path: str, member: str) -> str:
    """Return the path without dots; it must not lead out of the folder."""
    clean = posixpath.normpath(path) if path else ""
    if not clean or path.startswith("/") or clean.split("/")[0] == "..":
        raise _bad(member, "leads outside")
    if "\0" in path:
        raise _bad(member, "holds a NUL")
    return clean


def _bad(name: str, why: str) -> GuestProtocolError:
    return GuestProtocolError(f"the archive from the guest is refused: {quoted(name)} {why}")


def _make(tar: tarfile.TarFile, members: list[tuple[tarfile.TarInfo, str]], folder: Path) -> None:
    links = []
    for member, name in members:
        path = folder / name
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.isreg():
            content = tar.extractfile(member)
            assert content is not None
            with content, path.open("xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
            path.chmod(0o755 if member.mode & 0o100 else 0o644)
        elif member.islnk():
            # Links that point through other links are made below, so this is a plain file.
            path.hardlink_to(folder / posixpath.normpath(member.linkname))
        else:
            links.append((path, member.linkname))
    # A link may pass through another one ("a/../.."), so that only the real place counts.
    for path, destination in links:
        path.symlink_to(destination)
    root = folder.resolve()
    for path, destination in links:
        if not (path.parent / destination).resolve().is_relative_to(root):
            raise _bad(str(path.relative_to(folder)), "is a link to outside")


def _start(
    line: Line, argv: list[str], user: str | None, within: float, stdout: FileStore | None
) -> RunningCommand:
    return start_command(
        line,
        argv,
        user=user,
        session=False,
        stdin=True,
        env={"LC_ALL": "C"},
        cwd="/",
        within=within,
        limit=DEFAULT_LIMIT if stdout is None else stdout.limit,
        stdout=stdout,
    )


def _check(completed: Completed, path: str) -> None:
    if not completed.ok:
        is_full = _CUT_SHORT.search(completed.stderr) is not None
        raise GuestRefused(
            f"the guest could not copy the folder {quoted(path)}\n{completed.explain()}",
            hint=_FULL_HINT if is_full else "",
        )
