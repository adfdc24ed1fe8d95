"""Files to and from the guest."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from tailstest.core.deadline import Deadline
from tailstest.core.errors import InfrastructureError
from tailstest.guest.answers import Answer
from tailstest.guest.errors import GuestProtocolError, GuestUsageError, quoted
from tailstest.guest.exchange import ByteStore, FileStore
from tailstest.guest.frames import CHUNK, Kind
from tailstest.guest.line import ANSWER_WITHIN, Line, finish, too_late


def checked_path(path: str) -> str:
    """Return a path of the guest if it can be one.

    Raises:
        GuestUsageError: it is not absolute, or holds a NUL.
    """
    if not path.startswith("/") or "\0" in path:
        raise GuestUsageError(f"a path in the guest must be absolute: {quoted(path)}")
    return path


def chunks_of(file: IO[bytes], seen: Callable[[bytes], object] | None = None) -> Iterator[bytes]:
    """Yield the rest of a file in chunks of a frame; `seen` is called with each."""
    while data := file.read(CHUNK):
        if seen is not None:
            seen(data)
        yield data


def put_file(
    line: Line,
    data: bytes | Path,
    target: str,
    *,
    mode: int,
    owner: str | None,
    parents: bool,
    within: float,
) -> None:
    """Write a file in the guest; see `GuestChannel.put`."""
    try:
        file: IO[bytes] = io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
    except OSError as error:
        raise GuestUsageError(f"cannot read {data!s} to put it into the guest: {error}") from None
    body = {"op": "put", "path": checked_path(target), "mode": mode & 0o7777, "owner": owner}
    deadline = line.deadline(within)
    digest = hashlib.blake2b()
    with file:
        call = line.begin({**body, "parents": parents}, line.deadline(ANSWER_WITHIN))
        try:
            if not call.exchange.send_stream(chunks_of(file, digest.update), deadline):
                raise too_late(f"take {quoted(target)}", deadline)
            end = json.dumps({"digest": digest.hexdigest()}).encode()
            call.exchange.send(Kind.END, end, deadline)
        except BaseException:
            call.give_up()
            raise
        finish(call, deadline)


def read_file(line: Line, source: str, *, limit: int, within: float) -> bytes:
    """Return the content of a file of the guest; see `GuestChannel.read`."""
    store = ByteStore(limit)
    answer = _get(line, source, store, limit, line.deadline(within))
    _compare(answer, len(store.data), hashlib.blake2b(store.data).hexdigest(), source)
    return bytes(store.data)


def get_file(line: Line, source: str, target: Path, *, limit: int, within: float) -> None:
    """Copy a file of the guest to the host; see `GuestChannel.get`."""
    checked_path(source)
    with temporary_beside(target) as (file, keep):
        store = FileStore(file, limit)
        answer = _get(line, source, store, limit, line.deadline(within))
        _compare(answer, store.size, store.digest.hexdigest(), source)
        keep()


class temporary_beside:  # noqa: N801 (a context manager, used like a function)
    """A new file beside `target`; it takes the target's place when `keep` is called, else goes."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._kept = False

    def __enter__(self) -> tuple[IO[bytes], Callable[[], None]]:
        try:
            self._file = tempfile.NamedTemporaryFile(
                dir=self._target.parent, prefix=".tailstest-", suffix=".part", delete=False
            )
        except OSError as error:
            raise GuestUsageError(f"cannot write {self._target}: {error}") from None
        self._path = Path(self._file.name)
        return self._file, self._keep

    def _keep(self) -> None:
        self._kept = True

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()
            if self._kept:
                self._path.chmod(0o644)
                self._path.replace(self._target)
        except OSError as error:
            raise InfrastructureError(f"cannot write {self._target}: {error}") from None
        finally:
            self._path.unlink(missing_ok=True)


def _get(
    line: Line, source: str, store: ByteStore | FileStore, limit: int, deadline: Deadline
) -> Answer:
    body = {"op": "get", "path": checked_path(source), "limit": limit}
    call = line.begin(body, line.deadline(ANSWER_WITHIN), {Kind.CONTENT: store})
    return Answer(finish(call, deadline))


def _compare(answer: Answer, size: int, digest: str, source: str) -> None:
    if (answer.integer("size"), answer.text("digest", 128)) != (size, digest):
        raise GuestProtocolError(f"what arrived of {quoted(source)} is not what the guest sent")
