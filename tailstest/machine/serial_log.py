"""The serial console of a machine: a file that QEMU writes and we read, within a bound."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from pathlib import Path

from tailstest.core.errors import CheckFailed, InfrastructureError
from tailstest.core.text import printable

#: Texts after which waiting for anything else is pointless.
FAILURE_TEXTS = ("Kernel panic - not syncing", "Unable to mount root fs")

#: Characters of the console that an error message quotes.
QUOTED = 600

#: Bytes of the end of the console that are searched for a text.
SEARCHED = 1024 * 1024

#: Bytes read at once.
CHUNK = 1024 * 1024

#: Seconds between two looks at the file by the follower; an emulated port brings at most some
#: megabytes in that time.
FOLLOW_INTERVAL = 0.5


class SerialLog:
    """Reads what a guest printed on its first serial port; safe to use from several threads.

    QEMU appends to the file. When a guest has printed more than the limit, the file is cut to
    nothing after it was read, so that no guest can fill the host's disk. Of a long console the
    beginning and the end are kept.

    Args:
        path: file that QEMU appends to.
        limit: bytes kept.

    Raises:
        InfrastructureError: the file cannot be made.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self._limit = limit
        self._lock = threading.RLock()
        self._position = 0
        self._kept = bytearray()
        self._recent = bytearray()
        self._seen = 0
        self._begin = 0
        self._restart = 0
        self._stop = threading.Event()
        self._follower: threading.Thread | None = None
        #: `check` raises when one of these was printed; add what else means failure.
        self.failure_texts = list(FAILURE_TEXTS)
        #: Bytes that were left out between the beginning and the end.
        self.dropped = 0
        try:
            path.touch(mode=0o600)
        except OSError as error:
            raise InfrastructureError(
                f"cannot write the serial log {path}: {error.strerror}"
            ) from error

    @property
    def begin(self) -> int:
        """Bytes of `text` in UTF-8 that were printed before the last start or reset."""
        return self._before(self._begin)

    @property
    def restart(self) -> int:
        """Bytes of `text` in UTF-8 that were printed before the last restart that was noted."""
        return self._before(self._restart)

    def _before(self, place: int) -> int:
        with self._lock:
            before = self._kept[: max(0, place - self.dropped)]
            return len(before.decode("utf-8", "replace").encode())

    def resume(self, text: str, begin: int, restart: int = 0) -> None:
        """Go on after what a saved machine had printed; call it before anything is read.

        Args:
            text: printed until it was saved.
            begin, restart: see the attributes.

        Raises:
            InfrastructureError: the file cannot be written.
        """
        try:
            self.path.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise InfrastructureError(
                f"cannot write the serial log {self.path}: {error.strerror}"
            ) from error
        with self._lock:
            self.read_new()
            self._begin, self._restart = begin, restart

    def follow(self) -> None:
        """Keep the file bounded from now on, even while nobody looks at it; end with `close`."""
        self._follower = threading.Thread(target=self._follow, name="serial", daemon=True)
        self._follower.start()

    def discard(self) -> None:
        """Stop following and remove the file: another log goes on with its text."""
        self._end_following()
        self.path.unlink(missing_ok=True)

    def close(self) -> bool:
        """Stop following and leave a file with what is kept; tell whether there is one.

        Raises:
            InfrastructureError: the file cannot be read or written.
        """
        self._end_following()
        text = self.text()
        try:
            if not text:
                self.path.unlink(missing_ok=True)
            elif self.dropped:
                self.path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InfrastructureError(
                f"cannot write the serial log {self.path}: {error.strerror}"
            ) from error
        return bool(text)

    def text(self) -> str:
        """Return all that is kept so far; bytes that are not UTF-8 become replacement marks."""
        with self._lock:
            self.read_new()
            return self._kept.decode("utf-8", "replace")

    def text_since_start(self) -> str:
        """Return what was printed since the last start, reset or restart: its last mebibyte."""
        with self._lock:
            self.read_new()
            before = max(self._begin, self._restart) - (self._seen - len(self._recent))
            return self._recent[max(0, before) :].decode("utf-8", "replace")

    def contains(self, wanted: str | re.Pattern[str]) -> bool:
        """Tell whether `wanted` was printed since the machine was started or reset.

        Only the last mebibyte is searched. Line ends and spaces count as they are; a pattern
        searches the text as it is, its line ends being "\\r\\n" as a rule.
        """
        with self._lock:
            self.read_new()
            first = max(0, self._begin - (self._seen - len(self._recent)))
            if isinstance(wanted, str):
                return self._recent.find(wanted.encode("utf-8", "replace"), first) >= 0
            return wanted.search(self._recent[first:].decode("utf-8", "replace")) is not None

    def check(self) -> None:
        """Raise if one of the failure texts was printed since the machine was started or reset.

        Raises:
            CheckFailed: quotes the line.
        """
        for text in self.failure_texts:
            if self.contains(text):
                raise CheckFailed(
                    f"the serial console shows a failure: {self._line_with(text)}",
                    hint=f"the whole console is in {self.path}",
                )

    def tail(self) -> str:
        """Return the end of what was printed, for people."""
        return printable(self.text())[-QUOTED:] or "(nothing was printed)"

    def begin_anew(self) -> None:
        """Search only what comes from now on: the machine is about to start or to be reset."""
        with self._lock:
            self.read_new()
            self._begin = self._seen

    def note_restart(self) -> None:
        """Note that what runs in the machine restarts it just now; never raises."""
        # Trouble with the file is told to whoever reads it next.
        with self._lock, contextlib.suppress(InfrastructureError):
            self.read_new()
            self._restart = self._seen

    def begin_at_restart(self) -> None:
        """Search only what came after the last restart that was noted."""
        with self._lock:
            self._begin = self._restart

    def read_new(self) -> None:
        """Take in what QEMU has appended since the last call, and keep the file bounded.

        Raises:
            InfrastructureError: the file cannot be read.
        """
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    file.seek(self._position)
                    while new := file.read(CHUNK):
                        self._position += len(new)
                        self._take(new)
                if self._position > self._limit:
                    os.truncate(self.path, 0)
                    self._position = 0
            except OSError as error:
                raise InfrastructureError(
                    f"cannot read the serial log {self.path}: {error.strerror}"
                ) from error

    def _line_with(self, text: str) -> str:
        with self._lock:
            searched = self._recent.decode("utf-8", "replace")
        before, _, after = searched.rpartition(text)
        start, end = before.rpartition("\n")[2], after.partition("\n")[0]
        # A line may be endless.
        return printable(f"{start}{text}"[-QUOTED:] + end[:QUOTED].rstrip("\r"))

    def _take(self, new: bytes) -> None:
        self._seen += len(new)
        self._recent += new
        del self._recent[:-SEARCHED]
        self._kept += new
        surplus = len(self._kept) - self._limit
        if surplus > 0:
            # The beginning tells how the boot went, the end how it ended; the middle goes.
            head = self._limit // 4
            del self._kept[head : head + surplus]
            self.dropped += surplus

    def _end_following(self) -> None:
        self._stop.set()
        if self._follower is not None:
            self._follower.join()

    def _follow(self) -> None:
        while not self._stop.wait(FOLLOW_INTERVAL):
            with contextlib.suppress(InfrastructureError):
                self.read_new()
