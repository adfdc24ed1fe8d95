"""Puts changed files into each guest as soon as its inside answers, and never hides it."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.events import Events, Noted
from tailstest.core.text import printable
from tailstest.guest.answers import AgentInfo, FileStatus
from tailstest.guest.channel import GuestChannel
from tailstest.guest.errors import GuestPathMissing
from tailstest.suite.patch_sources import FILES, Patch

#: Seconds, before scaling, that one file may take.
_WITHIN = 600.0


class LatePatch:
    """What was changed in the guests of one run.

    Args:
        patches: what to put in; without any, nothing here does anything.
        events: told each path that is not what the image has.
    """

    def __init__(self, patches: Sequence[Patch], events: Events) -> None:
        self._patches = list(patches)
        self._events = events
        self._done: set[str] = set()
        self._waiting: set[str] = set()  # machines

    def __bool__(self) -> bool:
        return bool(self._patches)

    def facts(self) -> list[str]:
        """Return each path that will be changed, for the report's list of what was tested."""
        return [printable(patch.target) for patch in self._patches]

    def announce(self) -> None:
        """Tell once, before anything runs, that not the image as it is will be tested."""
        if self._patches:
            count = len(self._patches)
            paths = "one path is" if count == 1 else f"{count} paths are"
            self._warn(
                "the image is not tested as it is: with --late-patch "
                f"{paths} changed in the guest after each start: {', '.join(self.facts())}"
            )

    def begin_machine(self, channel: str, name: str) -> None:
        """Note that a machine starts.

        Args:
            channel: the way into its image, of its definition.
            name: of the machine.

        Raises:
            UsageError: there is no way in.
        """
        if self._patches and channel == "none":
            raise UsageError(
                f"{FILES}: nobody knows a way into this image, so nothing can be put into it",
                hint="say in its profile which channel it has: [machine] channel = ...",
            )
        if self._patches:
            self._waiting.add(name)

    def apply(self, channel: GuestChannel, info: AgentInfo, name: str) -> None:
        """Change a guest that answers, once after each start of it.

        Args:
            channel: to a guest that answers.
            info: who answers there.
            name: of its machine.

        Raises:
            UsageError: the guest does not take a file; names it.
            InfrastructureError: nobody answers any more.
        """
        if not self._patches or info.boot_id in self._done:
            return
        for patch in self._patches:
            try:
                done = _apply(channel, patch)
            except (CheckFailed, UsageError) as error:
                # Not a failure of the image: it was never asked to take this file.
                raise UsageError(
                    f"{FILES}: {printable(patch.target)} cannot be changed in the guest "
                    f"(from {printable(patch.origin)}): {error.message}",
                    hint=error.hint,
                ) from error
            self._warn(
                f"late patch: {printable(patch.target)} {done} ({printable(patch.origin)}); "
                "the guest is not what the image has"
            )
        self._done.add(info.boot_id)
        self._waiting.discard(name)

    def end_machine(self, name: str) -> None:
        """Tell if a machine ended without the patch: what it showed is the image as it is."""
        if name in self._waiting:
            self._waiting.remove(name)
            self._warn(
                "late patch: nothing was changed in this guest, "
                "because no step used its inside; this was the image as it is"
            )

    def _warn(self, text: str) -> None:
        self._events.publish(Noted(text=text, level="warning"))


def _apply(channel: GuestChannel, patch: Patch) -> str:
    """Change one path; return what was done, in words."""
    before = _status(channel, patch.target)
    if patch.content is None and not patch.link:
        _run(channel, "rm", "-f", "--", patch.target)
        return "is removed" if before is not None else "is removed, but was not there"
    done = "is new" if before is None else "is replaced"
    if before is not None and before.kind == "folder":
        raise UsageError("it is a folder there")
    if patch.link:
        _run(channel, "mkdir", "-p", "--", posixpath.dirname(patch.target))
        _run(channel, "ln", "-sfn", "--", patch.link, patch.target)
        return f"{done} by a link to {printable(patch.link)}" if before else f"{done}, a link"
    assert patch.content is not None
    old = before if before is not None and before.kind == "file" else None
    _put(channel, patch.target, patch.content, _mode(patch, old))
    if old is not None and (old.uid or old.gid):
        _run(channel, "chown", "-h", "--", f"{old.uid}:{old.gid}", patch.target)
    return done


def _put(channel: GuestChannel, target: str, content: bytes | Path, mode: int) -> None:
    channel.put(content, target, mode, parents=True, within=_WITHIN)


def _mode(patch: Patch, old: FileStatus | None) -> int:
    """Return the mode of a file: as strict as it was, and executable as the new one is."""
    mode = (old.mode if old is not None else 0o644) & 0o777
    readable = (mode & 0o444) >> 2
    return mode | readable if patch.is_executable else mode & ~0o111


def _status(channel: GuestChannel, path: str) -> FileStatus | None:
    with suppress(GuestPathMissing):
        return channel.stat(path)
    return None


def _run(channel: GuestChannel, *words: str) -> None:
    done = channel.run(list(words), within=_WITHIN)
    if not done.ok:
        raise UsageError(done.explain())
