"""Checking a whole capture file by a policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tailstest.core.errors import UsageError
from tailstest.lab.capture_file import CaptureFile
from tailstest.lab.leak import LeakReport
from tailstest.lab.leak_finder import LeakFinder
from tailstest.lab.policy import Policy


def check_capture(path: Path, policy: Policy) -> LeakReport:
    """Check a whole capture file.

    Raises:
        UsageError: it is no capture, or damaged; `LeaksUntilThen` if it is damaged behind leaks;
            or it proves nothing, because it has fewer packets of the machine than the policy
            expects, or because the recording program lost packets.
    """
    return check_captures([path], policy)


def check_captures(paths: Sequence[Path], policy: Policy) -> LeakReport:
    """Check capture files of the same machine, one after the other; see `check_capture`.

    Args:
        paths: at least one.
    """
    finder = LeakFinder(policy)
    lost = 0
    for path in paths:
        capture = CaptureFile(path)
        try:
            for packet in capture:
                finder.feed(packet)
        except UsageError as error:
            if finder.found:
                raise LeaksUntilThen(error, finder.report(lost=lost + capture.lost)) from error
            raise
        lost += capture.lost
    report = finder.report(lost=lost)
    if report.clean:
        _check_proof(paths[-1], policy, report)
    return report


class LeaksUntilThen(UsageError):
    """A capture file is damaged, and leaks were found in front of the damage (`report`)."""

    def __init__(self, error: UsageError, report: LeakReport) -> None:
        super().__init__(error.message, hint=error.hint)
        self.report = report


def _check_proof(path: Path, policy: Policy, report: LeakReport) -> None:
    # What is ignored may be none of its own: QEMU announces a machine that was restored (RARP).
    ignored = sum(report.ignored.values())
    counted = report.of_machine - ignored
    if counted < policy.expect_packets:
        seen = f"none of the {report.packets} packets is" if report.packets else "no packets at all"
        if counted:
            seen = f"only {counted} of the {report.packets} packets are"
        what = f"{seen} of the machine" if report.packets else seen
        if ignored:
            what += f" (not counting {ignored} ignored: {', '.join(sorted(report.ignored))})"
        raise UsageError(
            f"{path}: {what}, but the policy expects at least {policy.expect_packets}; "
            "so this capture proves nothing",
            hint="was it recorded at the right place, and does [others] name only the others? "
            "A machine that must be silent has expect_packets = 0",
        )
    if report.lost:
        raise UsageError(
            f"{path}: the recording program lost {report.lost} packets, so nobody knows what "
            "was in them",
            hint="record again with a larger buffer (tcpdump: -B) or on an idle host",
        )
