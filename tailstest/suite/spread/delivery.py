"""Files on their way between client and workers, through Dask, in pieces."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import distributed

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, TailstestError
from tailstest.suite.spread.calls import BUSY, begin_arrival, read_piece, take_piece
from tailstest.suite.spread.workplace import FOLDER

#: Bytes of a piece: what scheduler and workers hold at once of a file for each host.
PIECE = 4 * 1024 * 1024
#: Largest file that is brought from a worker: a film of an hour has some 100 MiB.
MAX_FILE = 2 * 1024 * 1024 * 1024
#: Seconds to wait while another client sends the same file to the same host.
_BUSY = 3600.0


class FileLost(Exception):
    """A worker does not have a file that it told of."""


class WorkerLost(FileLost):
    """A worker cannot be asked for any file: it is gone, or the scheduler is."""


def send_files(
    client: distributed.Client, plugin: str, files: Mapping[str, Path], workers: Sequence[str]
) -> list[str]:
    """Send files to some hosts; what is there already is not sent.

    Args:
        plugin: name of the run's plugin in each worker.
        files: SHA-256 to file.
        workers: one Dask address for each host.

    Returns:
        The workers that have all of them; the others are gone.

    Raises:
        InfrastructureError: a host cannot keep a file, or a file was changed meanwhile.
    """
    remaining = list(workers)
    for digest, path in files.items():
        supplied: list[str] = []
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                for have, addresses in _begun(client, plugin, digest, size, remaining).items():
                    offset = have
                    while offset < size and addresses:
                        file.seek(offset)
                        piece = file.read(PIECE)
                        if not piece:
                            raise InfrastructureError(f"{path} was changed while it was sent")
                        answers = _asked(
                            client, take_piece, plugin, digest, offset, piece, workers=addresses
                        )
                        addresses = list(answers)  # those that are still there
                        offset += len(piece)
                    supplied += addresses
        except OSError as error:
            raise InfrastructureError(f"cannot send {path}: {error.strerror or error}") from error
        remaining = supplied
    return remaining


def _begun(
    client: distributed.Client, plugin: str, digest: str, size: int, workers: Sequence[str]
) -> dict[int, list[str]]:
    """Return how much of a file is there, to the workers that have as much."""
    found: dict[int, list[str]] = defaultdict(list)
    waiting = list(workers)

    def look() -> bool | None:
        nonlocal waiting
        answers = _asked(client, begin_arrival, plugin, digest, size, workers=waiting)
        for address, have in answers.items():
            if have != BUSY:
                found[have].append(address)
        waiting = [address for address, have in answers.items() if have == BUSY]
        return True if not waiting else None

    if poll(look, Deadline.after(_BUSY), interval=1.0) is None:
        raise InfrastructureError(
            f"another run has been sending the same file to {', '.join(waiting)} for too long"
        )
    return found


def _asked(
    client: distributed.Client, call: object, *arguments: object, workers: Sequence[str]
) -> dict[str, int]:
    """Ask workers; those that are gone are left out.

    Raises:
        TailstestError: one of them raised it.
    """
    answers = client.run(call, *arguments, workers=list(workers), on_error="return")
    for answer in answers.values():
        if isinstance(answer, TailstestError):
            raise answer
    return {address: each for address, each in answers.items() if isinstance(each, int)}


def fetch_file(
    client: distributed.Client, plugin: str, worker: str, name: str, folder: Path
) -> None:
    """Bring a file that a worker has kept into the run's folder.

    Args:
        worker: Dask's address.
        name: relative to the folder, as an event names it.
        folder: of the run.

    Raises:
        FileLost: the worker does not have it.
        WorkerLost: the worker is gone, which may have taken long to find out.
        InfrastructureError: it cannot be kept; nothing of it is left.
    """
    parts = PurePosixPath(name).parts
    if len(parts) < 2 or ".." in parts or "\0" in name or not parts[0].startswith(FOLDER):
        raise FileLost(name)  # not a name of ours
    target = folder.joinpath(*parts)
    if target.exists():
        return
    fresh = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            while True:
                offset = file.tell()
                piece = _piece(client, plugin, worker, name, offset)
                file.write(piece)
                if len(piece) < PIECE:
                    break
                if offset > MAX_FILE:
                    raise FileLost(f"{name} has more than {MAX_FILE // 2**20} MiB")
        fresh.rename(target)
    except OSError as error:
        raise InfrastructureError(f"cannot keep {target}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _piece(client: distributed.Client, plugin: str, worker: str, name: str, offset: int) -> bytes:
    try:
        answers = client.run(
            read_piece, plugin, name, offset, PIECE, workers=[worker], on_error="return"
        )
    except Exception as error:  # of the connection to the scheduler, of any class
        raise WorkerLost(name) from error
    piece = answers.get(worker)
    if piece is None or isinstance(piece, OSError):  # of the connection to the worker
        raise WorkerLost(name)
    if not isinstance(piece, bytes):
        raise FileLost(name)
    return piece
