"""The power fails while a medium is written to: once, or on copies at many moments."""

from __future__ import annotations

import re
from collections.abc import Callable

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.events import Events, Noted
from tailstest.core.text import printable
from tailstest.guest import note_writer
from tailstest.guest.own_programs import run_module
from tailstest.machine.inside import Inside
from tailstest.machine.machine import Machine
from tailstest.media.stick_content.inspection import READ_LIMIT
from tailstest.suite.checkpoints.state import CutCopy
from tailstest.suite.shelf import Shelf

#: Seconds, before scaling, in which a machine must write what a moment waits for.
WRITE_LIMIT = 120.0

#: Most copies of one stick; each takes as much room as was written to it.
MOST_COPIES = 50

#: First serial port of a Linux guest; what it writes there stands on the host at once.
PORT = "/dev/ttyS0"

#: Most notes that can be compared: so many fit into the largest file that is read from a medium.
MOST_NOTES = READ_LIMIT // (len(note_writer.note(1)) + 1)

_CONFIRMED = re.compile(rf"{note_writer.CONFIRMED} ([0-9]{{1,18}})\r*\n")


class PowerCuts:
    """Lets the power fail, and knows what was confirmed before.

    Args:
        events: told about each moment.
        inside: returns the inside of the machine.
        machine: returns the machine.
        shelf: the media of the scenario.
    """

    def __init__(
        self,
        events: Events,
        *,
        inside: Callable[[], Inside],
        machine: Callable[[], Machine],
        shelf: Shelf,
    ) -> None:
        self._events = events
        self._inside = inside
        self._machine = machine
        self._shelf = shelf
        #: Name of a stick to its copies.
        self.copies: dict[str, list[CutCopy]] = {}

    def start_notes(self, path: str) -> None:
        """Start a program inside that writes notes, and confirms each that is safe.

        Args:
            path: of the file of the notes, inside.

        Raises:
            CheckFailed: it cannot be started.
        """
        channel = self._inside().channel
        done = run_module(channel, note_writer, [path, PORT], within=WRITE_LIMIT)
        if not done.ok:
            raise CheckFailed(f"no notes can be written. {printable(done.err[-300:])}")

    def fail_after(self, stick: str, size: int) -> None:
        """Let the power fail when a machine has written another `size` bytes to a stick.

        Raises:
            UsageError: there is no such stick, or it is not plugged in.
            CheckFailed: the machine does not write that much.
        """
        machine, file = self._machine(), self._shelf.stick(stick).overlay
        self._wait_written(stick, machine.bay.written(file) + size)
        machine.fail_power()

    def copy_at_moments(self, stick: str, count: int, size: int) -> None:
        """Copy a stick as it would be if the power failed, each time after more was written to it.

        The machine goes on in between. The copies are sticks of their own, called "..., cut 1" and
        so on.

        Args:
            count: of copies.
            size: bytes that must be written before each.

        Raises:
            UsageError: no such stick, it is not plugged in, too many copies, or too many notes.
            CheckFailed: the machine does not write that much.
            InfrastructureError: no space.
        """
        if not 0 < count <= MOST_COPIES:
            raise UsageError(f"a stick can be copied 1 to {MOST_COPIES} times, not {count}")
        machine, source = self._machine(), self._shelf.stick(stick)
        made = self.copies.setdefault(stick, [])
        begin = machine.bay.written(source.overlay)
        for number in range(1, count + 1):
            written = self._wait_written(stick, begin + number * size)
            name = f"{stick}, cut {len(made) + 1}"
            with machine.frozen():
                # Read before the copy is made: what is confirmed now must be on it.
                confirmed = _last_confirmed(machine.serial.text())
                self._shelf.add_frozen_copy(name, stick)
            made.append(CutCopy(name=name, written=written, confirmed=confirmed))
            said = f"{confirmed} notes confirmed" if confirmed else "no note confirmed"
            text = f'"{printable(name)}": after {written} bytes, {said}'
            self._events.publish(Noted(text=text))

    def check_notes(self, stick: str, number: int, path: str, passphrase: str) -> None:
        """Check that no copy of a stick has lost a note that was confirmed.

        Args:
            number: of the partition with the notes.
            path: of their file on the partition.
            passphrase: of the partition; "" if it is not encrypted.

        Raises:
            UsageError: there is no copy, or nothing had been confirmed on any: that proves nothing.
            CheckFailed: a copy has lost notes; says which.
        """
        copies = self.copies.get(stick, [])
        if not any(copy.confirmed for copy in copies):
            raise UsageError(
                f'no note was confirmed on any copy of "{printable(stick)}"',
                hint="let a program write notes, and copy the stick meanwhile, in steps before",
            )
        lost = [
            said
            for copy in copies
            if copy.confirmed and (said := self._lost_on(copy, number, path, passphrase))
        ]
        if lost:
            raise CheckFailed(f"notes were confirmed and are lost: {'; '.join(lost)}")

    def _lost_on(self, copy: CutCopy, number: int, path: str, passphrase: str) -> str:
        """Return in words what a copy has lost; "" if nothing."""
        name = printable(copy.name)
        try:
            content = self._shelf.look_at(copy.name).read(number, path, passphrase)
        except CheckFailed as error:
            return f'"{name}" has lost all {copy.confirmed}: {error.message}'
        missing = missing_notes(content, copy.confirmed)
        if not missing:
            return ""
        numbers = ", ".join(map(str, missing[:5])) + (", ..." if missing[5:] else "")
        return f'"{name}" has lost {len(missing)} of {copy.confirmed} (number {numbers})'

    def _wait_written(self, stick: str, size: int) -> int:
        machine, file = self._machine(), self._shelf.stick(stick).overlay
        written = 0

        def look() -> bool | None:
            nonlocal written
            written = machine.bay.written(file)
            return True if written >= size else None

        deadline = Deadline.after(WRITE_LIMIT, scale=machine.deadline_scale)
        if poll(look, deadline, interval=0.01, watches=[machine.check]) is None:
            raise CheckFailed(
                f'waited {deadline.elapsed:.0f} s for {size} bytes on "{printable(stick)}", '
                f"but only {written} were written"
            )
        return written


def missing_notes(content: bytes, confirmed: int) -> list[int]:
    """Return the numbers of the confirmed notes that are missing or damaged.

    Args:
        content: of the file of the notes.
        confirmed: number of the last one that was confirmed.
    """
    there = set(content.decode("utf-8", "replace").split("\n"))
    numbers = range(1, confirmed + 1)
    return [number for number in numbers if note_writer.note(number) not in there]


def _last_confirmed(printed: str) -> int:
    last = max((int(number) for number in _CONFIRMED.findall(printed)), default=0)
    if last > MOST_NOTES:
        raise UsageError(
            f"the machine says on its serial port that {last} notes are confirmed; no more than "
            f"{MOST_NOTES} can be read from a stick and compared",
            hint="copy the stick earlier; or does something else inside write such lines?",
        )
    return last
