"""Wi-Fi frames in captures from elsewhere: recognised, named, never understood as harmless.

IEEE 802.11-2020, 9.2.4 (frame format) and 9.4.2.2 (SSID); https://www.radiotap.org.
"""

from __future__ import annotations

from tailstest.lab.seen import NotUnderstood, Seen
from tailstest.lab.wording import name_text

MANAGEMENT, CONTROL, DATA = 0, 1, 2
MANAGEMENT_NAMES = {
    0: "association request",
    1: "association response",
    2: "reassociation request",
    4: "probe request",
    5: "probe response",
    8: "beacon",
    10: "disassociation",
    11: "authentication",
    12: "deauthentication",
    13: "action",
}
#: Clear to send, acknowledgement: they name only their receiver.
WITHOUT_SENDER = {12: "clear to send", 13: "acknowledgement"}
#: Where the named elements begin in the frames that can tell a network's name.
ELEMENTS = {0: 28, 2: 34, 4: 24, 5: 36, 8: 36}


def read_wifi(seen: Seen, data: bytes, *, radiotap: bool) -> None:
    """Fill in who sent a Wi-Fi frame and which network it names.

    Raises:
        NotUnderstood: always; its text says what kind of frame it is.
    """
    seen.protocol = "Wi-Fi"
    at = int.from_bytes(data[2:4], "little") if radiotap else 0
    if radiotap and (len(data) < 8 or data[0] != 0 or at < 8):
        raise NotUnderstood("a Wi-Fi frame with a broken radiotap header")
    frame = data[at:]
    seen.start = at
    if len(frame) < 10:
        raise NotUnderstood("too short for its Wi-Fi header")
    kind, subtype = frame[0] >> 2 & 3, frame[0] >> 4
    seen.receiver = frame[4:10]
    if len(frame) >= 16 and not (kind == CONTROL and subtype in WITHOUT_SENDER):
        seen.sender = frame[10:16]
    if kind == MANAGEMENT:
        name = MANAGEMENT_NAMES.get(subtype, f"management frame {subtype}")
        ssid = _ssid(frame[ELEMENTS[subtype] :]) if subtype in ELEMENTS else ""
        seen.names = (ssid,) if ssid else ()
    elif kind == CONTROL:
        name = WITHOUT_SENDER.get(subtype, f"control frame {subtype}")
    else:
        name = "data frame" if kind == DATA else "extension frame"
    seen.protocol = f"Wi-Fi {name}"
    raise NotUnderstood(f"a Wi-Fi {name}")


def _ssid(elements: bytes) -> str:
    """Return the network's name in the first element with one; "" if it is empty or not there."""
    while len(elements) >= 2:
        number, size = elements[0], elements[1]
        if number == 0:
            return name_text(elements[2 : 2 + min(size, 32)])
        elements = elements[2 + size :]
    return ""
