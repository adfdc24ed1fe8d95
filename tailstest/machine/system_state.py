"""How the system in a machine is: units, journal, processes, memory."""

from __future__ import annotations

import re
import shlex

from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.text import printable, shortened
from tailstest.guest.results import Completed
from tailstest.machine.inside import Inside

#: Lines of the journal that a message quotes, of each failed unit and in all.
_UNIT_LINES, _JOURNAL_LINES = 8, 20

#: Priorities of journalctl, the worst first (systemd.journal-fields(7)).
PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

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
        """Wait until a process of this name runs."""
        command = f"pgrep -x -- {_quoted_name(name)}"
        self._inside.wait_until_succeeds(command, f"a process {name}")

    def check_no_process(self, name: str) -> None:
        """Wait until no process of this name runs."""
        command = f"! pgrep -a -x -- {_quoted_name(name)}"
        self._inside.wait_until_succeeds(command, f"the process {name} to end")

    def check_journal(self, priority: str, allowed: list[str]) -> None:
        """Raise if the journal of this start has messages of a priority or a worse one.

        Args:
            priority: one of `PRIORITIES`.
            allowed: texts; a message with one of them in it does not count.

        Raises:
            UsageError: there is no such priority.
        """
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


def _quoted_name(name: str) -> str:
    if not _NAME.match(name):
        raise UsageError(f'"{name}" cannot be the name of a unit or a process')
    return shlex.quote(name)
