"""The conversations of a capture for a person and as JSON values."""

from __future__ import annotations

from typing import Any

from tailstest.lab.conversations import Conversation, Conversations
from tailstest.lab.packet import link_name
from tailstest.lab.seen import address_text, mac_text
from tailstest.lab.wording import SECOND, count_text, end_text, size_text, time_text

MOST_SENDERS_SHOWN = 20


def conversations_text(talk: Conversations, name: str, width: int, most: int) -> str:
    """Return the table.

    Args:
        name: of the capture, safe to print.
        width: columns of the terminal; if a row does not fit, its ends go on a line of their own.
        most: conversations shown.
    """
    links = ", ".join(link_name(link) for link in sorted(talk.links))
    lines = [f"{name}: {count_text(talk.packets, 'packet')}{f' of {links}' if links else ''}"]
    if talk.span:
        seconds = (talk.span[1] - talk.span[0]) / SECOND
        lines.append(f"  from {time_text(talk.span[0])}, {seconds:.3f} s long")
    lines += [*_sender_lines(talk), *_table(talk, width, most)]
    left_out = len(talk.found) - most
    if left_out > 0:
        lines.append(f"{left_out} more conversations; --all shows them.")
    if talk.unlisted:
        many = count_text(talk.unlisted, "packet")
        lines.append(f"{many} in further conversations, which are not listed.")
    return "\n".join(lines)


def _sender_lines(talk: Conversations) -> list[str]:
    senders = sorted(talk.senders.items(), key=lambda each: -each[1].packets)
    lines = ["", "Senders:"] if senders else []
    for mac, sender in senders[:MOST_SENDERS_SHOWN]:
        addresses = ", ".join(address_text(each) for each in sender.addresses)
        who = mac_text(mac) or "no MAC address"
        lines.append(
            f"  {who:17}  {count_text(sender.packets, 'packet'):>12}  {addresses}".rstrip()
        )
    if len(senders) > MOST_SENDERS_SHOWN:
        lines.append(f"  and {len(senders) - MOST_SENDERS_SHOWN} more")
    return lines


def _table(talk: Conversations, width: int, most: int) -> list[str]:
    shown = talk.found[:most]
    if not shown:
        return []
    start = talk.span[0] if talk.span else None
    ends = [(end_text(each.source), end_text(each.destination, each.port)) for each in shown]
    first = max(len("protocol"), *(len(each.protocol) for each in shown))
    second = max(len("from"), *(len(end[0]) for end in ends))
    third = max(len("to"), *(len(end[1]) for end in ends))
    fits = 10 + first + second + third + 28 <= width
    middle = f"  {'from':{second}}  {'to':{third}}" if fits else ""
    lines = [
        "",
        f"{'seconds':>9}  {'protocol':{first}}{middle}  {'sent':>6} {'back':>6} {'size':>8}",
    ]
    indent = " " * 11
    for each, (source, destination) in zip(shown, ends, strict=True):
        when = "-"
        if each.first is not None and start is not None:
            when = f"{(each.first - start) / SECOND:.3f}"
        middle = f"  {source:{second}}  {destination:{third}}" if fits else ""
        lines.append(
            f"{when:>9}  {each.protocol:{first}}{middle}"
            f"  {each.there:>6} {each.back:>6} {size_text(each.bytes):>8}"
        )
        if not fits:
            lines.append(f"{indent}{source} to {destination}")
        if each.names:
            lines.append(f"{indent}name: {', '.join(each.names)}")
        if each.trouble:
            lines.append(f"{indent}not understood: {each.trouble}")
    return lines


def conversations_json(talk: Conversations, path: str) -> dict[str, Any]:
    """Return all of it as JSON values."""
    return {
        "file": path,
        "packets": talk.packets,
        "links": [link_name(link) for link in sorted(talk.links)],
        "first": time_text(talk.span[0]) if talk.span else None,
        "last": time_text(talk.span[1]) if talk.span else None,
        "senders": {
            mac_text(mac): {
                "packets": sender.packets,
                "addresses": [address_text(each) for each in sender.addresses],
            }
            for mac, sender in talk.senders.items()
        },
        "conversations": [_conversation_json(each) for each in talk.found],
        "packets_not_listed": talk.unlisted,
    }


def _conversation_json(each: Conversation) -> dict[str, Any]:
    return {
        "protocol": each.protocol,
        "packet": each.number,
        "time": None if each.first is None else time_text(each.first),
        "from": end_text(each.source),
        "to": end_text(each.destination),
        "port": each.port,
        "sent": each.there,
        "back": each.back,
        "bytes": each.bytes,
        "names": each.names,
        "not_understood": each.trouble,
    }
