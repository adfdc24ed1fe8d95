"""Requests to a shell on a serial port, each repeated until its answer has come undamaged.

A request is one short line: a checksum, a number and words of letters, digits
and `+/=`. The functions of serial_helper.sh do it only when the checksum is right, and answer with
`<TT-number answer checksum>`. That text is never in what we send, so an echo cannot be taken for
an answer, and a message of the kernel in the middle of either only makes us ask again.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from tailstest.core.deadline import Deadline
from tailstest.core.errors import SetupError
from tailstest.guest.errors import GuestUnreachable
from tailstest.guest.serial_line import SerialLine

HELPER_FILE = Path(__file__).with_name("serial_helper.sh")

#: Bytes of base64 in one line; with the rest of the line it stays below what every line editor
#: takes (busybox: 1024). Bash and dash leave the line to the terminal, which takes 4095 bytes
#: (N_TTY_BUF_SIZE in the kernel's drivers/tty/n_tty.c); twice a line of this fits, because each may
#: be repeated.
PIECE, LONG_PIECE = 600, 1800

#: Seconds before a request is repeated, at first and at most; before stretching.
PATIENCE = (1.0, 16.0)

#: The most of it while nobody has answered at all, as the shell may start at any time. It is
#: stretched, too: Ctrl+C and the next try would come before the answer of a slow guest.
PATIENCE_BEFORE = 3.0

#: How often something is sent before we also press Ctrl+C and send slowly.
TRIES_BEFORE_GENTLE = 2

#: Ctrl+U: whatever stands on the line already is not part of it.
KILL_LINE = b"\x15\n"

#: Ctrl+C: ends what runs in the foreground, or a text whose quote was never closed.
INTERRUPT = b"\x03\n"

_PYTHON = "python3 -c 'import sys,{0};i=sys.stdin.buffer.read();sys.stdout.buffer.write({1})'"
_WITH_COREUTILS = ("tt_sum() { sha256sum; }", "tt_enc() { base64; }", "tt_dec() { base64 -d; }")
_WITH_PYTHON = (
    f"tt_sum() {{ {_PYTHON.format('hashlib', 'hashlib.sha256(i).hexdigest().encode()')}; }}",
    f"tt_enc() {{ {_PYTHON.format('base64', 'base64.b64encode(i)')}; }}",
    f"tt_dec() {{ {_PYTHON.format('base64', 'base64.b64decode(i)')}; }}",
)

#: Makes any shell one that we know: POSIX, without prompts, line editor, history and echo.
_TIDY = (
    "exec /bin/sh",
    "PS1= PS2= PROMPT_COMMAND= ; unset HISTFILE ENV MAIL MAILPATH TMOUT",
    "(set +o emacs +o vi) 2>/dev/null && set +o emacs +o vi",
    "stty sane -echo 2>/dev/null; set +m",
)

_WHICH = (
    "for tt_t in base64 sha256sum python3; "
    "do command -v $tt_t >/dev/null 2>&1 && printf %s, $tt_t; done; "
    "case $(readlink -f /bin/sh) in */bash|*/dash) printf long,; esac; printf ."
)
_SAMPLE = b"tailstest"


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()


class Requests:
    """Asks the shell at the other end of a line.

    Args:
        folders: folders of the guest; the first one that can be written keeps files for a moment.
    """

    def __init__(self, line: SerialLine, folders: Sequence[str]) -> None:
        self.line = line
        self._folders = tuple(folders)
        self._gently = False  # once it helped to send slowly, we go on so
        self._heard = False  # whether a shell has answered since we began to wait for one
        #: Bytes of base64 that one line may carry to this shell.
        self.piece = PIECE

    # -- a shell of any kind

    def wait_marker(self, deadline: Deadline) -> None:
        """Wait until a shell answers, of whatever kind.

        Raises:
            GuestUnreachable: none did before the deadline.
        """
        self._heard = False
        self._probe("", re.compile(rb""), deadline)
        self._heard = True

    def prepare(self, deadline: Deadline) -> bool:
        """Turn the shell that answers into one that does requests.

        Returns:
            False if it is one of the initrd, which will be gone when the image has started.

        Raises:
            GuestUnreachable: it did not answer before the deadline.
            SetupError: the image lacks the programs for it, or a folder that can be written.
        """
        while not self._make_plain(deadline):
            if deadline.expired:
                raise self._no_answer(deadline)
        self._define_helpers(deadline)
        state = self.ask("ping", deadline=deadline)
        if state == "readonly":
            raise SetupError(
                f"the guest has no folder that can be written: {', '.join(self._folders)}",
                hint="The shell on the serial port must be root's.",
            )
        return state == "ok"

    def _make_plain(self, deadline: Deadline) -> bool:
        """Start a plain shell and define its coders; False when something of it was lost."""
        for command in _TIDY:
            self._tell(command, deadline)
        tools = self._probe(_WHICH, re.compile(rb"[a-z0-9,]*\."), deadline).strip(".").split(",")
        if "base64" in tools and "sha256sum" in tools:
            coders = _WITH_COREUTILS
        elif "python3" in tools:
            coders = _WITH_PYTHON
        else:
            raise SetupError(
                "the image lacks base64 with sha256sum, and python3: its shell on the serial port "
                "cannot be used",
                hint="Use an image that has one of them.",
            )
        for command in coders:
            self._tell(command, deadline)
        self.piece = LONG_PIECE if "long" in tools else PIECE
        check = f"printf %s {_SAMPLE.decode()} | tt_enc | tt_dec | tt_sum"
        wanted = re.compile(digest(_SAMPLE).encode() + rb"|.*", re.DOTALL)
        return self._probe(check, wanted, deadline)[:64] == digest(_SAMPLE)

    def _define_helpers(self, deadline: Deadline) -> None:
        lines = [text for text in HELPER_FILE.read_text().splitlines() if text[:1] != "#"]
        lines[:0] = [f"tt_n={secrets.token_hex(8)}", f"tt_dirs='{' '.join(self._folders)}'"]
        code = base64.b64encode("\n".join(lines).encode()).decode()
        names = ""
        for start in range(0, len(code), self.piece):
            name, piece = f"tt_{start}", code[start : start + self.piece]
            wanted = re.compile(digest(piece.encode()).encode() + rb"[ -]*")
            self._probe(f"printf %s ${name} | tt_sum", wanted, deadline, f"{name}={piece}; ")
            names += f"${name}"
        define = f'eval "$(printf %s {names} | tt_dec)"; '
        self._probe("command -v tt_where", re.compile(rb"tt_where"), deadline, define)

    def _tell(self, command: str, deadline: Deadline) -> None:
        """Send a command and wait until a shell answers behind it."""
        self.line.send(command.encode() + b"\n", deadline)
        self._probe("", re.compile(rb""), deadline)

    def _probe(
        self, script: str, wanted: re.Pattern[bytes], deadline: Deadline, before: str = ""
    ) -> str:
        """Return what a script writes when all of it is what is wanted; until then ask again.

        Only the shell puts the parts of its answer together, so what we send never matches.
        """
        number = secrets.token_hex(4)
        answer = f' "$({script})"' if script else ""
        text = f"{before}printf '<%s-%s %s>\\n' TT {number}{answer}\n".encode()
        pattern = re.compile(rb"<TT-" + number.encode() + rb" ([^>]*)>")
        attempt = 0
        while True:
            found = self._attempt(text, pattern, attempt, deadline)
            if found is not None and wanted.fullmatch(found[1]):
                return found[1].decode("ascii", "replace")
            if deadline.expired:
                raise self._no_answer(deadline)
            attempt += 1

    # -- a prepared shell

    def ask(self, *words: object, deadline: Deadline) -> str:
        """Return the answer to a request, which is repeated until its answer came undamaged.

        Raises:
            GuestUnreachable: none did before the deadline, or the port was closed.
        """
        number = secrets.token_hex(4)
        attempt = 0
        while True:
            answer = self.ask_once(*words, deadline=deadline, number=number, attempt=attempt)
            if answer is not None:
                return answer
            if deadline.expired:
                raise self._no_answer(deadline)
            attempt += 1

    def ask_once(
        self, *words: object, deadline: Deadline, number: str = "", attempt: int = 0
    ) -> str | None:
        """Return the answer to a request, or None when it did not come in time or undamaged.

        Args:
            attempt: how often it was asked before with this number; more patience each time.
        """
        number = number or secrets.token_hex(4)
        request = " ".join([number, *map(str, words)])
        text = f"tt {digest(request.encode())[:16]} {request}\n".encode()
        assert len(text) < self.piece + 400, "a request is one short line"
        pattern = re.compile(rb"<TT-damaged>|<TT-(" + number.encode() + rb" [^>]*)>")
        found = self._attempt(text, pattern, attempt, deadline)
        if found is None or found[1] is None:
            return None
        said, _, checksum = found[1].rpartition(b" ")
        if digest(said)[:16].encode() != checksum:
            return None
        return said.decode("ascii", "replace").partition(" ")[2]

    # -- one attempt at either

    def _attempt(
        self, text: bytes, pattern: re.Pattern[bytes], attempt: int, deadline: Deadline
    ) -> re.Match[bytes] | None:
        if attempt == 0:
            self.line.discard()
        stuck = attempt >= TRIES_BEFORE_GENTLE
        if stuck:
            self.line.send(INTERRUPT, deadline)
        if attempt:
            self.line.send(KILL_LINE, deadline)
        seconds = min(PATIENCE[0] * 2 ** min(attempt, 8), PATIENCE[1]) * self.line.scale
        if not self._heard:
            seconds = min(seconds, PATIENCE_BEFORE * self.line.scale)
        patience = Deadline.after(min(seconds, deadline.remaining))
        self.line.send(text, deadline, gently=stuck or self._gently)
        found = self.line.expect(pattern, patience)
        # A shell that has just started missed what came before, however it was sent.
        self._gently |= stuck and self._heard and found is not None
        return found

    def _no_answer(self, deadline: Deadline) -> GuestUnreachable:
        seen = self.line.seen()
        hint = "Is the shell there? Start the image with systemd.debug_shell=ttyS0, for example."
        if re.search(r"login:\s*\S*$", seen):
            hint = "A login prompt is there: log in first."
        return GuestUnreachable(
            f"no shell answered on the guest's serial port, in {deadline.seconds:.0f} seconds; "
            f"{self.line.describe_seen()}",
            hint=hint,
        )
