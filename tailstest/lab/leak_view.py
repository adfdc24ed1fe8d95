"""A leak report for a person and as JSON values."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

from tailstest.lab.leak import Leak, LeakReport
from tailstest.lab.seen import address_text, mac_text
from tailstest.lab.wording import SECOND, bytes_text, count_text, end_text, time_text

#: Leaks written out for a person; JSON has all of them.
MOST_SHOWN = 50
MOST_SENDERS_SHOWN = 10
COLUMNS = 79


def report_text(
    report: LeakReport,
    name: str,
    step_at: Callable[[int | None], str] | None = None,
    process_of: Callable[[Leak], str] | None = None,
) -> str:
    """Return the report for a person, at most 80 columns wide unless an address is longer.

    Args:
        name: of the capture, safe to print.
        step_at: says during which step of a scenario something happened, if it was one.
        process_of: says which program sent it, safe to print; "" if nobody knows.
    """
    looked = f"{count_text(report.packets, 'packet')}, {report.of_machine} of the machine"
    if report.clean:
        lines = [f"{name}: clean", f"  {looked}: all allowed"]
    else:
        more = " and more" if report.unlisted else ""
        leaked = sum(leak.packets for leak in report.leaks) + report.unlisted
        lines = [
            f"{name}: LEAK",
            f"  {looked}; {leaked} leaked, in "
            f"{count_text(len(report.leaks), 'conversation')}{more}",
        ]
    start = report.span[0] if report.span else None
    for number, leak in enumerate(report.leaks[:MOST_SHOWN], 1):
        lines += ["", *_leak_lines(number, leak, start)]
        if step_at is not None:
            lines.append(f"   step      {step_at(leak.time)}")
        if process_of is not None and (process := process_of(leak)):
            lines.append(f"   sent by   {process}")
    left_out = len(report.leaks) - MOST_SHOWN
    if left_out > 0:
        lines += ["", f"{left_out} more are not shown; --json has all of them."]
    if report.unlisted:
        lines += [
            "",
            f"{count_text(report.unlisted, 'packet')} leaked in conversations beyond the first "
            f"{len(report.leaks)}, which are not listed.",
        ]
    rest = _rest_lines(report)
    return "\n".join([*lines, *(["", *rest] if rest else [])])


def _leak_lines(number: int, leak: Leak, start: int | None) -> list[str]:
    when = time_text(leak.time)
    if leak.time is not None and start is not None:
        when += f" ({(leak.time - start) / SECOND:+.3f} s)"
    lines = [
        f"{number}. {leak.protocol}: {leak.reason}",
        f"   when      {when}, packet {leak.number}",
    ]
    if leak.source:
        lines += [
            f"   from      {end_text(leak.source, leak.source_port)}",
            f"   to        {end_text(leak.destination, leak.destination_port)}",
        ]
    if leak.sender or leak.receiver:
        macs = f"{mac_text(leak.sender) or '?'} to {mac_text(leak.receiver) or '?'}"
        lines.append(f"   hardware  {macs}")
    if leak.names:
        more = " and others" if leak.more_names else ""
        shown = [repr(name) if not name.strip() else name for name in leak.names]
        lines += textwrap.wrap(
            f"   name      {', '.join(shown)}{more}", COLUMNS, subsequent_indent=" " * 13
        )
    lines.append(f"   size      {count_text(leak.packets, 'packet')}, {leak.bytes} bytes")
    for place in range(0, len(leak.first_bytes), 16):
        digits, letters = bytes_text(leak.first_bytes[place : place + 16])
        title = "bytes" if not place else ""
        lines.append(f"   {title:8}  {digits:47}  {letters}")
    return lines


def _rest_lines(report: LeakReport) -> list[str]:
    lines = []
    if report.usual:
        lines.append(f"Usual: {_counts(report.usual)}")
    if report.ignored:
        lines.append(f"Ignored: {_counts(report.ignored)}")
    for rule in report.rules:
        if rule.packets:
            text = f"Allowed: {rule.title} ({rule.packets}): {rule.what}"
        else:
            text = f"Warning: no packet needed the rule {rule.title}: {rule.what}"
        lines += textwrap.wrap(text, COLUMNS, subsequent_indent="  ", break_on_hyphens=False)
    if report.lost:
        lines.append(f"Warning: the recording program lost {count_text(report.lost, 'packet')}")
    senders = sorted(report.senders.items(), key=lambda each: -each[1])
    if not report.clean and senders:
        lines.append("Counted as the machine (is one of them the lab? It belongs in [others]):")
        lines += [
            f"  {mac_text(mac) or 'no MAC address':17}  {count_text(count, 'packet')}"
            for mac, count in senders[:MOST_SENDERS_SHOWN]
        ]
        if len(senders) > MOST_SENDERS_SHOWN:
            lines.append(f"  and {len(senders) - MOST_SENDERS_SHOWN} more")
    return lines


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{what} ({count})" for what, count in sorted(counts.items()))


def report_json(report: LeakReport, path: str) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        "file": path,
        "clean": report.clean,
        "packets": report.packets,
        "packets_of_machine": report.of_machine,
        "first": time_text(report.span[0]) if report.span else None,
        "last": time_text(report.span[1]) if report.span else None,
        "leaks": [_leak_json(leak) for leak in report.leaks],
        "leaked_packets_not_listed": report.unlisted,
        "usual": report.usual,
        "ignored": report.ignored,
        "rules": [
            {"title": rule.title, "allows": rule.what, "packets": rule.packets}
            for rule in report.rules
        ],
        "senders": {mac_text(mac): count for mac, count in report.senders.items()},
        "lost": report.lost,
    }


def _leak_json(leak: Leak) -> dict[str, Any]:
    return {
        "reason": leak.reason,
        "protocol": leak.protocol,
        "packet": leak.number,
        "time": None if leak.time is None else time_text(leak.time),
        "sender": mac_text(leak.sender),
        "receiver": mac_text(leak.receiver),
        "source": address_text(leak.source),
        "destination": address_text(leak.destination),
        "source_port": leak.source_port,
        "destination_port": leak.destination_port,
        "names": leak.names,
        "more_names": leak.more_names,
        "packets": leak.packets,
        "bytes": leak.bytes,
        "first_bytes": leak.first_bytes.hex(),
    }
