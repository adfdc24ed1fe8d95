"""A folder that is written beside the old one and takes its place in one step."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tailstest.core.errors import InfrastructureError, UsageError

#: Says that a folder is a site of ours, which may be replaced.
MARKER = "tailstest-site.json"
#: What the top of a site holds; anything else was put there by somebody.
OWN = frozenset(
    {MARKER, "index.html", "trends.html", "style.css", "run", "list", "matrix", "scenario"}
)
# From <linux/fs.h>; renameat2(2) of Linux 3.15, in glibc since 2.28.
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


@contextmanager
def exchanged(output: Path) -> Iterator[Path]:
    """Give a new, private folder; when the block ends well it is at `output`, else nothing changed.

    What an interrupted one left beside is removed; one that is being written now is not.

    Raises:
        UsageError: `output` is something else than a site; it is left alone.
        InfrastructureError: it cannot be written.
    """
    output = check_output(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(output)
        fresh = output.with_name(f".{output.name}.new-{secrets.token_hex(6)}")
        fresh.mkdir(mode=0o700)
        held = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InfrastructureError(
            f"cannot write a site to {output}: {error.strerror}",
            hint="make the folder writable, or choose another one with --output",
        ) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield fresh
        check_output(output)  # somebody may have put something there meanwhile
        _put_in_place(fresh, output)
    except OSError as error:
        raise InfrastructureError(
            f"cannot write the site {output}: {error.strerror}; an older one is as it was",
            hint="free some space, then write it again",
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)  # the old one by now, or what is unfinished
        os.close(held)


def check_output(output: Path) -> Path:
    """Return where a site is to be, links followed.

    Raises:
        UsageError: there is something else than a site, or something in it that is not ours.
    """
    output = output.resolve()
    if not output.exists():
        return output
    if not output.is_dir():
        raise UsageError(f"{output} is not a folder", hint="name a folder for the site")
    names = sorted(each.name for each in output.iterdir())
    if names and MARKER not in names:
        raise UsageError(
            f"{output} holds something that is not a site, for example {names[0]!r}",
            hint="name a new or empty folder: the site's folder is replaced as a whole",
        )
    foreign = [name for name in names if name not in OWN]
    if foreign:
        raise UsageError(
            f"{output} holds {foreign[0]!r}, which is no part of the site and would be lost",
            hint="move it away: the site's folder is replaced as a whole",
        )
    return output


def _put_in_place(fresh: Path, output: Path) -> None:
    if not output.exists():
        fresh.rename(output)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    exchange = getattr(libc, "renameat2", None)
    paths = (os.fsencode(fresh), os.fsencode(output))
    if exchange is not None:
        if exchange(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(code, os.strerror(code))
    # A file system that cannot exchange, as NFS: for a moment there is no site.
    old = fresh.with_name(f"{fresh.name}-old")
    output.rename(old)
    try:
        fresh.rename(output)
    except OSError:
        old.rename(output)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove_leftovers(output: Path) -> None:
    for left in output.parent.glob(f".{_literal(output.name)}.new-*"):
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)


def _literal(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)
