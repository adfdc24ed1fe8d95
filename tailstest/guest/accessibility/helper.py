"""Our helper in a session of the guest: starting it, and asking it one thing after the other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tailstest.core.deadline import Deadline, Watch
from tailstest.core.errors import TailstestError, UsageError
from tailstest.core.text import printable, shortened
from tailstest.guest.accessibility.errors import (
    ImageLacksTree,
    NodeGone,
    NodeRefused,
    TreeHelperFailed,
    TreeUnavailable,
)
from tailstest.guest.accessibility.told import Told
from tailstest.guest.accessibility.tree_helper import VERSION
from tailstest.guest.channel import GuestChannel
from tailstest.guest.errors import GuestPathMissing, GuestRefused, GuestUnreachable
from tailstest.guest.running import RunningCommand

HELPER_FILE = Path(__file__).with_name("tree_helper.py")

#: The guest's own Python: it is the one that has the guest's python3-gi.
PYTHON = "/usr/bin/python3"

#: Bytes of one answer, and of all answers of one helper; a new one is started before that.
MAX_LINE = 8 << 20
MAX_OUTPUT = 64 << 20

#: Seconds, before stretching: for the first line, for an answer, and how much earlier than us the
#: helper gives up, so that it can say why.
START_WITHIN = 60.0
ANSWER_WITHIN = 20.0
EARLIER = 5.0

#: Seconds that a helper lives: longer than any run.
LIFETIME = 24 * 3600.0

#: Seconds between two calls of the watches while an answer is awaited.
_WATCH_INTERVAL = 0.25


class HelperEnded(TreeHelperFailed):
    """The helper is not there any more; a new one may well work."""


class Helper:
    """A helper that was started and has greeted us.

    Args:
        scale: the slowness of the host; stretches every limit.
        watches: called while an answer is awaited; one that raises ends it.
    """

    def __init__(self, command: RunningCommand, scale: float, watches: Sequence[Watch]) -> None:
        self._command = command
        self._scale = scale
        self._watches = watches
        self._buffer = bytearray()
        self._received = 0
        self._number = 0
        self._greet()

    @classmethod
    def start_for_first(
        cls,
        channel: GuestChannel,
        users: Sequence[str],
        *,
        scale: float,
        watches: Sequence[Watch],
        environment: Mapping[str, str],
    ) -> Helper:
        """Start the helper for the first of some users who has a session now; see `start`.

        Raises:
            What `start` raises for the last one. A session that cannot be looked into tells more
            than one that is not there.
        """
        trouble: GuestRefused | TreeUnavailable | None = None
        for user in users:
            try:
                return cls.start(
                    channel, user, scale=scale, watches=watches, environment=environment
                )
            except (GuestRefused, TreeUnavailable) as error:
                if trouble is None or isinstance(error, TreeUnavailable):
                    trouble = error
        raise trouble or UsageError("no user is known whose session could be looked into")

    @classmethod
    def start(
        cls,
        channel: GuestChannel,
        user: str,
        *,
        scale: float,
        watches: Sequence[Watch],
        environment: Mapping[str, str],
    ) -> Helper:
        """Copy the helper into the guest and start it in the user's session.

        Raises:
            ImageLacksTree: the image has no Python, or no python3-gi.
            TreeUnavailable: the session has no accessibility bus.
            GuestRefused: there is no such user, or no session.
        """
        content = HELPER_FILE.read_bytes()
        # A folder of its own: the one of an installed agent is closed to the user of a session.
        # The name tells the version, so that a guest restored with an older one gets ours.
        target = f"/run/tailstest-tree/helper-{hashlib.sha256(content).hexdigest()[:8]}.py"
        channel.put(content, target, 0o644, parents=True)
        try:
            command = channel.start(
                [PYTHON, "-u", target],
                user=user,
                session=True,
                env=environment,
                within=LIFETIME,
                limit=MAX_OUTPUT,
            )
        except GuestPathMissing:
            raise ImageLacksTree(
                f"the image has no {PYTHON}, which looking into its programs needs",
                hint="Install the packages python3 and python3-gi in the image.",
            ) from None
        try:
            return cls(command, scale, watches)
        except BaseException:
            _kill(command)
            raise

    @property
    def usable(self) -> bool:
        """Whether it still runs, as far as we know, and may send another answer."""
        return self._command.running and self._received + MAX_LINE < MAX_OUTPUT

    def ask(self, op: str, values: Mapping[str, object]) -> Told:
        """Ask one thing and return the result.

        Raises:
            HelperEnded: it is gone.
            TreeHelperFailed: it does not answer in time, or nonsense.
            NodeGone, NodeRefused, TreeUnavailable: what it answered.
        """
        self._number += 1
        request = {
            "id": self._number,
            "op": op,
            "within": (ANSWER_WITHIN - EARLIER) * self._scale,
            **values,
        }
        try:
            self._command.send(json.dumps(request).encode("ascii") + b"\n")
        except GuestUnreachable as error:
            raise HelperEnded(f"the accessibility helper in the guest: {error.message}") from error
        answer = self._read(ANSWER_WITHIN)
        if answer.field("id").integer(0) != self._number:
            raise TreeHelperFailed(
                "the accessibility helper in the guest answered another question than ours"
            )
        if answer.has("error"):
            raise _error_of(answer.field("error"))
        return answer.field("result")

    def close(self) -> None:
        """End it."""
        _kill(self._command)

    def _greet(self) -> None:
        hello = self._read(START_WITHIN)
        if hello.has("error"):
            raise _error_of(hello.field("error"))
        if hello.field("hello").text(100) != "tailstest-tree":
            raise TreeHelperFailed("what started in the guest is not our accessibility helper")
        version = hello.field("version").integer(0)
        if version != VERSION:
            raise TreeHelperFailed(
                f"the accessibility helper in the guest is of version {version}, not {VERSION}"
            )

    def _read(self, within: float) -> Told:
        """Return the next line, however it is cut into pieces."""
        deadline = Deadline.after(within, scale=self._scale)
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return Told.parse(line)
            searched = len(self._buffer)
            if searched > MAX_LINE:
                raise TreeHelperFailed(
                    f"the accessibility helper in the guest sent a line above {MAX_LINE} bytes"
                )
            expired = deadline.expired
            new = self._receive(min(_WATCH_INTERVAL, deadline.remaining))
            for watch in self._watches:
                watch()
            if not new and not self._command.running:
                raise HelperEnded(
                    f"the accessibility helper in the guest ended\n{self._last_words()}"
                )
            if not new and expired:
                raise TreeHelperFailed(
                    "the accessibility helper in the guest did not answer within "
                    f"{deadline.seconds:.0f} seconds"
                )
            self._buffer += new

    def _receive(self, timeout: float) -> bytes:
        running = self._command.running
        try:
            new = self._command.read_stdout(timeout)
            if not new and running and not self._command.running:
                new = self._command.read_stdout(0)  # it came between the two
        except GuestUnreachable as error:
            raise HelperEnded(f"the accessibility helper in the guest: {error.message}") from error
        self._received += len(new)
        return new

    def _last_words(self) -> str:
        try:
            return shortened(self._command.wait(5).explain(), 2000)
        except TailstestError as error:
            return error.message


def _kill(command: RunningCommand) -> None:
    try:
        command.close_stdin()
        command.kill()
    except TailstestError:
        pass  # the guest does not answer any more, so nobody is left to be ended


def _error_of(told: Told) -> TailstestError:
    """Return what the helper reported as an error."""
    code, said = told.field("code").text(40), printable(told.field("message").text(1000))
    if code == "no_gi":
        return ImageLacksTree(
            f"the image lacks python3-gi, which looking into its programs needs: {said}",
            hint="Install the packages python3-gi and at-spi2-core in the image.",
        )
    if code == "no_bus":
        return TreeUnavailable(
            f"the session in the guest has no accessibility bus: {said}",
            hint="The image needs the package at-spi2-core, and a session with a D-Bus of its own.",
        )
    if code == "bus":
        return HelperEnded(f"the session's accessibility bus has ended: {said}")
    if code == "stale":
        return NodeGone(said)
    if code in _REFUSALS:
        return NodeRefused(_REFUSALS[code].format(said=said))
    if code in ("slow", "program"):
        return TreeUnavailable(f"the programs of the session in the guest do not answer: {said}")
    return TreeHelperFailed(f"the accessibility helper in the guest failed: {code}: {said}")


_REFUSALS = {
    "not_showing": "it is there but not showing",
    "not_sensitive": "it is there but not sensitive (greyed out)",
    "no_action": "it has no such action; {said}",
    "no_child": "it has no child of this name",
    "unable": "it cannot do this: {said}",
}
