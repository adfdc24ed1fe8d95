"""How the system in a machine is: units, journal, processes, memory."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from tailstest.core.errors import CheckFailed, SetupError, UsageError
from tailstest.core.text import printable, shortened
from tailstest.guest.results import Completed
from tailstest.machine.inside import Inside

#: Lines of the journal that a message quotes, of each failed unit and in all.
_UNIT_LINES, _JOURNAL_LINES = 8, 20

#: Priorities of journalctl, the worst first (systemd.journal-fields(7)).
PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

#: Bytes of its name that the kernel keeps of a process (TASK_COMM_LEN less the end); all of a
#: thread of its own.
_KEPT = 15

#: Exit statuses of pgrep (its manual): none was found; and those that end every attempt: it was
#: called wrongly, or the shell did not find it or may not run it.
_NONE, _UNUSABLE = 1, (2, 126, 127)

#: In a row of /proc/net/tcp: the column of the state, and the state TCP_LISTEN (tcp_states.h).
_STATE, _LISTEN = 3, "0A"

#: What a unit or a process may be called in a step; the text goes to a shell, quoted.
_NAME = re.compile(r"^[\w@:.\\-]{1,255}$")


class SystemState:
    """Checks on a system that runs systemd.

    Args:
        inside: the machine's inside.
    """

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    def wait_started(self, within: float | None = None) -> None:
        """Wait until everything that starts by itself has started or failed.

        Args:
            within: seconds before scaling; as long as a start may take if None.

        Raises:
            CheckFailed: something is still starting at the deadline; says what.
        """
        command = "case $(systemctl is-system-running) in running|degraded) ;; *) "
        command += "systemctl list-jobs --no-legend --no-pager; false;; esac"
        self._inside.wait_until_succeeds(
            command,
            "the system to have started completely; still starting",
            within=self._inside.boot_limit if within is None else within,
        )

    def check_no_failed_unit(self) -> None:
        """Raise if a unit failed; quotes the journal of each."""
        listed = self._ask("systemctl --failed --plain --no-legend --no-pager")
        units = [line.split()[0] for line in listed.out.splitlines() if line.split()]
        if units:
            told = "".join(self._journal_of(unit) for unit in units[:5])
            raise CheckFailed(f"expected no failed unit; {len(units)} failed:{told}")

    def wait_unit(self, unit: str) -> None:
        """Wait until a unit is active.

        Raises:
            CheckFailed: it is not; says what it is instead.
        """
        command = f"systemctl is-active {_quoted_name(unit)}"
        self._inside.wait_until_succeeds(command, f"the unit {unit} to be active")

    def wait_process(self, name: str) -> None:
        """Wait until a process of this name runs.

        Raises:
            CheckFailed: none does.
            SetupError: the image has no pgrep that could tell.
        """
        done = self._look_for_process(name, lambda done: done.ok)
        if not done.ok:
            # What pgrep says of a long name would mislead: it was cut as the kernel cuts it.
            why = "none of this name runs" if _is_none(done) else done.explain()
            raise CheckFailed(f"waited in vain for a process {name}: {why}")

    def check_no_process(self, name: str) -> None:
        """Wait until no process of this name runs.

        Of a name of more than 15 bytes the kernel keeps no more, so others that begin like it
        count, too.

        Raises:
            CheckFailed: one still runs, or nobody knows.
            SetupError: the image has no pgrep that could tell.
        """
        done = self._look_for_process(name, _is_none)
        if not _is_none(done):
            raise CheckFailed(f"waited in vain for the process {name} to end. {done.explain()}")

    def _look_for_process(self, name: str, holds: Callable[[Completed], bool]) -> Completed:
        def can_tell_and_holds(done: Completed) -> bool:
            if done.status in _UNUSABLE:
                raise SetupError(
                    f"the image cannot tell which processes run. {done.explain()}",
                    hint="this step needs pgrep in the image; Debian has it in the package procps",
                )
            return holds(done)

        # In this locale a name is bytes, even if it was cut within a character.
        command = f"LC_ALL=C pgrep -a -x -- {_process_pattern(name)}"
        return self._inside.run_until(command, can_tell_and_holds)

    def wait_port(self, port: int, *, within: float | None = None) -> None:
        """Wait until a program listens on a TCP port, on whatever address.

        Args:
            within: seconds before scaling; the default deadline if None.

        Raises:
            UsageError: there is no such port.
            CheckFailed: none does; says which ports are open instead.
        """
        if not 0 < port < 65536:
            raise UsageError(f"there is no port {port}; ports are from 1 to 65535")
        command = "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; true"
        done = self._inside.run_until(command, lambda done: port in _listening(done), within=within)
        open_ports = _listening(done)
        if port not in open_ports:
            seen = ", ".join(map(str, sorted(open_ports))) or "none"
            raise CheckFailed(
                f"waited in vain for the TCP port {port} to be open; open are: {seen}"
            )

    def check_journal(self, priority: str, allowed: list[str]) -> None:
        """Raise if the journal of this start has messages of a priority or a worse one.

        Args:
            priority: one of `PRIORITIES`.
            allowed: texts; a message with one of them in it does not count.

        Raises:
            UsageError: there is no such priority, or an allowed text is empty: that stands in
                every message.
        """
        if not all(text.strip() for text in allowed):
            raise UsageError(
                "an empty text would allow every message of the journal",
                hint="take the empty row out of the step's table, or write a part of the message",
            )
        if priority not in PRIORITIES:
            raise UsageError(
                f'there is no priority "{priority}"; there are {", ".join(PRIORITIES)}'
            )
        command = f"journalctl -b -q -p {priority} -o short-monotonic --no-pager"
        lines = [line for line in self._ask(command).out.splitlines() if line.strip()]
        left = [line for line in lines if not any(text in line for text in allowed)]
        if left:
            quoted = "\n  ".join(shortened(printable(line), 300) for line in left[:_JOURNAL_LINES])
            raise CheckFailed(
                f'expected no message of priority "{priority}" or worse in the journal; '
                f"there are {len(left)}:\n  {quoted}",
                hint="if one of them is harmless, allow a part of its text in the step's table",
            )

    def check_memory(self, most: int) -> None:
        """Raise if more than `most` MiB of memory are in use (total less available)."""
        values = dict(
            re.findall(r"^(\w+):\s+(\d+) kB", self._ask("cat /proc/meminfo").out, re.MULTILINE)
        )
        if not {"MemTotal", "MemAvailable"} <= values.keys():
            raise CheckFailed("the guest's /proc/meminfo does not tell how much memory is in use")
        used = (int(values["MemTotal"]) - int(values["MemAvailable"])) // 1024
        if used > most:
            raise CheckFailed(f"expected at most {most} MiB of memory in use; it is {used} MiB")

    def _journal_of(self, unit: str) -> str:
        command = f"journalctl -b -q -u {shlex.quote(unit)} -n {_UNIT_LINES} -o cat --no-pager"
        lines = self._ask(command).out.splitlines()
        quoted = "".join(f"\n    {shortened(printable(line), 300)}" for line in lines)
        return f"\n  {shortened(printable(unit), 100)}{quoted}"

    def _ask(self, command: str) -> Completed:
        done = self._inside.channel.run(command)
        if not done.ok:
            raise CheckFailed(f"the system could not be asked. {done.explain()}")
        return done


def _listening(done: Completed) -> set[int]:
    """Return the TCP ports that somebody listens on, from the kernel's tables (proc(5))."""
    rows = (line.split() for line in done.out.splitlines())
    local = (row[1] for row in rows if len(row) > _STATE and row[_STATE] == _LISTEN)
    found = (re.fullmatch(r"[0-9A-F]+:([0-9A-F]{4})", address) for address in local)
    return {int(each[1], 16) for each in found if each}


def _quoted_name(name: str) -> str:
    if not _NAME.match(name):
        raise UsageError(f'"{name}" cannot be the name of a unit or a process')
    return shlex.quote(name)


def _process_pattern(name: str) -> str:
    """Return the extended regular expression of a process's name, quoted for the shell."""
    _quoted_name(name)
    encoded = name.encode()
    ways = [encoded, encoded[:_KEPT]] if len(encoded) > _KEPT else [encoded]
    return shlex.quote("|".join(map(_literal, ways)))


def _literal(name: bytes) -> str:
    """Return the expression that means only this name; any byte stands for what is not ASCII.

    There are versions of pgrep that see a question mark for each such byte.
    """
    text = re.sub(rb"[.\\]", rb"\\\g<0>", name)
    return re.sub(rb"[^\x20-\x7e]", b".", text).decode("ascii")


def _is_none(done: Completed) -> bool:
    """Whether pgrep has looked, and found nothing."""
    return done.status == _NONE and not done.timed_out and not done.truncated
