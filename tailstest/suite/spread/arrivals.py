"""Files that came to a worker's host from clients: by digest, each once, whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from tailstest.core.errors import InfrastructureError
from tailstest.core.paths import cache_folder
from tailstest.suite.spread.suite_archive import unpack_suite

#: Bytes of files that are kept for later runs.
LIMIT = 16 * 1024 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")
#: End of the names of what is not whole yet.
_PART = ".part"
_READ = 4 * 1024 * 1024


class Arrivals:
    """The files of one host, which all its workers share.

    Args:
        folder: made if it is missing; a part of the user's cache by default.
        limit: bytes; the least recently used files go when there are more.

    Raises:
        InfrastructureError: the folder cannot be made.
    """

    def __init__(self, folder: Path | None = None, limit: int = LIMIT) -> None:
        self.folder = folder or cache_folder() / "arrived"
        self._limit = limit
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InfrastructureError(f"cannot make {self.folder}: {error.strerror}") from error

    @property
    def host(self) -> str:
        """A name that is the same for all who share this folder, and for nobody else."""
        file = self.folder / "host"
        with contextlib.suppress(OSError):
            fresh = self.folder / f".host-{uuid.uuid4().hex}"
            fresh.write_text(uuid.uuid4().hex, encoding="ascii")
            with contextlib.suppress(FileExistsError):
                os.link(fresh, file)
            fresh.unlink()
        try:
            return file.read_text(encoding="ascii")
        except OSError as error:
            raise InfrastructureError(f"cannot read {file}: {error.strerror}") from error

    def path_of(self, digest: str) -> Path:
        """Return where a file is, or would be.

        Raises:
            InfrastructureError: that is no digest.
        """
        if not _DIGEST.fullmatch(digest):
            raise InfrastructureError("a worker was told of a file without a digest")
        return self.folder / digest

    def __contains__(self, digest: str) -> bool:
        return self.path_of(digest).is_file()

    def suite(self, digest: str) -> Path:
        """Return the folder of a suite whose archive has arrived, unpacked once.

        Raises:
            InfrastructureError: there is no such archive, or it cannot be unpacked.
        """
        folder = self._suite_of(digest)
        if folder.is_dir():
            return folder
        with self.locked(digest, wait=True, purpose="unpack"):
            if not folder.is_dir():
                fresh = _in_part(folder)
                shutil.rmtree(fresh, ignore_errors=True)  # somebody was killed
                unpack_suite(self.path_of(digest), fresh)
                fresh.rename(folder)
        return folder

    @contextlib.contextmanager
    def locked(
        self, digest: str, *, wait: bool, shared: bool = False, purpose: str = "file"
    ) -> Iterator[None]:
        """Hold one of a file's locks, which ends with this process at the latest.

        Raises:
            BlockingIOError: somebody else has it, and we shall not wait.
        """
        lock_file = self.folder / f"{self.path_of(digest).name}.{purpose}.lock"
        lock = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(lock, how if wait else how | fcntl.LOCK_NB)
            yield
        finally:
            os.close(lock)

    def use(self, digest: str, held: contextlib.ExitStack) -> Path:
        """Return a file that stays until the stack is closed.

        Raises:
            InfrastructureError: it is not there.
        """
        held.enter_context(self.locked(digest, wait=True, shared=True))
        path = self.path_of(digest)
        try:
            os.utime(path)
        except OSError as error:
            raise InfrastructureError(
                f"a file of this run is not on the host {os.uname().nodename}: {digest[:12]}"
            ) from error
        return path

    def use_named(self, digest: str, name: str, held: contextlib.ExitStack) -> Path:
        """Return a file that stays until the stack is closed, with a name of its own.

        The path is the same for all workers of the host and for all runs: checkpoints depend on it.

        Args:
            name: of the file where it came from; folders in it are left out.

        Raises:
            InfrastructureError: it is not there, or cannot get the name.
        """
        path = self.use(digest, held)
        folder = self._names_of(digest)
        own = PurePosixPath(name).name
        named = folder / (digest if own in ("", "..") else own)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                named.symlink_to(Path("..", path.name))
        except OSError as error:
            raise _cannot_keep(self.folder, error) from error
        return named

    def _suite_of(self, digest: str) -> Path:
        return self.folder / f"{self.path_of(digest).name}.suite"

    def _names_of(self, digest: str) -> Path:
        return self.folder / f"{self.path_of(digest).name}.named"

    def prune(self, room: int = 0) -> None:
        """Remove the least recently used files that nobody uses, until the rest is small enough.

        Args:
            room: bytes that are about to come.
        """
        files = [
            each
            for each in self.folder.iterdir()
            if _DIGEST.fullmatch(each.name.removesuffix(_PART))
        ]
        known = []
        for file in files:
            with contextlib.suppress(OSError):
                told = file.stat()
                known.append((told.st_mtime, told.st_size, file))
        total = room + sum(size for _, size, _ in known)
        for _, size, file in sorted(known):
            if total <= self._limit:
                return
            digest = file.name.removesuffix(_PART)
            with contextlib.suppress(OSError), self.locked(digest, wait=False):
                file.unlink()
                total -= size
                if file.name == digest:
                    suite = self._suite_of(digest)
                    for of_it in (suite, _in_part(suite), self._names_of(digest)):
                        shutil.rmtree(of_it, ignore_errors=True)


def _in_part(path: Path) -> Path:
    """Return what a file or folder is called that is not whole yet."""
    return path.with_name(f"{path.name}{_PART}")


class Arriving:
    """A file that is just coming, piece by piece.

    What has come stays when the sender goes away, and the next sender goes on behind it. Only a
    file that is whole and has the right digest gets its name.

    Args:
        arrivals: where it goes.
        digest: SHA-256 of the whole file.
        size: bytes of the whole file.
    """

    def __init__(self, arrivals: Arrivals, digest: str, size: int) -> None:
        self._arrivals = arrivals
        self._digest = digest
        self._size = size
        self._final = arrivals.path_of(digest)
        self._part = _in_part(self._final)
        self._held = contextlib.ExitStack()
        self._file: Any = None
        self._sum = hashlib.sha256()
        self.have = 0

    def begin(self) -> bool:
        """Get ready for pieces; tell whether somebody else's file is not coming just now.

        `have` is how much there is already; all of it if the file is there.

        Raises:
            InfrastructureError: no space.
        """
        if self._is_there():
            return True
        try:
            self._held.enter_context(self._arrivals.locked(self._digest, wait=False))
        except BlockingIOError:
            return False
        if self._is_there():  # it came just now
            self.close()
            return True
        self._arrivals.prune(room=self._size)
        try:
            self._file = self._held.enter_context(self._part.open("a+b"))
            self._file.seek(0)
            while piece := self._file.read(_READ):
                self._sum.update(piece)
            self.have = self._file.tell()
            if self.have > self._size:
                self._start_anew()
            if shutil.disk_usage(self._arrivals.folder).free < self._size - self.have:
                raise OSError(28, "no space left on device")
        except OSError as error:
            self.close()
            raise _cannot_keep(self._arrivals.folder, error) from error
        if self.have == self._size:
            self._finish()
        return True

    def take(self, offset: int, piece: bytes) -> int:
        """Take a piece; return how much there is now.

        Raises:
            InfrastructureError: no space, or the whole file is not the one that was promised.
        """
        if self._file is None or offset != self.have:
            return self.have
        try:
            self._file.write(piece)
            self._file.flush()
        except OSError as error:
            self.close()
            raise _cannot_keep(self._arrivals.folder, error) from error
        self._sum.update(piece)
        self.have += len(piece)
        if self.have >= self._size:
            self._finish()
        return self.have

    def close(self) -> None:
        """Stop taking; what there is stays for the next sender."""
        self._file = None
        self._held.close()

    def _is_there(self) -> bool:
        if self._final.is_file():
            self.have = self._size
            return True
        return False

    def _start_anew(self) -> None:
        self._file.truncate(0)
        self._file.seek(0)
        self._sum, self.have = hashlib.sha256(), 0

    def _finish(self) -> None:
        if self._sum.hexdigest() != self._digest:
            self._start_anew()
            self.close()
            raise InfrastructureError(
                "a file that was sent to a worker did not arrive as it was",
                hint="start the run again; the file is then sent anew",
            )
        try:
            os.fsync(self._file.fileno())
            self._part.chmod(0o400)
            self._part.rename(self._final)
        except OSError as error:
            raise _cannot_keep(self._arrivals.folder, error) from error
        finally:
            self.close()


def _cannot_keep(folder: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"the host {os.uname().nodename} cannot keep a file in {folder}: {error.strerror}",
        hint="free some space there",
    )
