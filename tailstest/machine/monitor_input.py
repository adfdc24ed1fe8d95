"""Keys and pointer of a domain, through QEMU's monitor.

libvirt's own sendKey presses and releases in one go and knows no pointer; QEMU's command
input-send-event does all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import InfrastructureError, MachineStopped
from tailstest.input.sinks import KeyStroke
from tailstest.machine.qemu_monitor import NotAnswered, QemuMonitor, Refused

#: Largest coordinate of QEMU's absolute pointer (INPUT_EVENT_ABS_MAX).
ABSOLUTE_MAX = 0x7FFF

#: Seconds between QEMU's last answer and libvirt's knowing that the machine is off, at most;
#: usually milliseconds, but the host may be busy.
GOING = 30.0

#: Linux input event codes (linux/input-event-codes.h) of extended keys to QEMU's key numbers:
#: PC set 1 scan codes, with 0x80 added where the keyboard sends 0xE0 first.
EXTENDED_KEYS = {
    89: 0x73,  # the key beside right shift on Brazilian and Japanese keyboards
    96: 0x9C,  # keypad enter
    97: 0x9D,  # right ctrl
    98: 0xB5,  # keypad slash
    99: 0xB7,  # print
    100: 0xB8,  # right alt
    102: 0xC7,  # home
    103: 0xC8,  # up
    104: 0xC9,  # page up
    105: 0xCB,  # left
    106: 0xCD,  # right
    107: 0xCF,  # end
    108: 0xD0,  # down
    109: 0xD1,  # page down
    110: 0xD2,  # insert
    111: 0xD3,  # delete
    113: 0xA0,  # mute
    114: 0xAE,  # volume down
    115: 0xB0,  # volume up
    116: 0xDE,  # power
    119: 0xC6,  # pause
    124: 0x7D,  # yen
    125: 0xDB,  # left super
    126: 0xDC,  # right super
    127: 0xDD,  # menu
    142: 0xDF,  # sleep
    143: 0xE3,  # wake up
}
#: Codes up to this one are PC set 1 scan codes as they are (Linux took them from there).
LAST_PLAIN_CODE = 88


def key_number(code: int) -> int:
    """Return QEMU's number of the key with the Linux code `code`.

    Raises:
        InfrastructureError: a PC keyboard has no such key.
    """
    if code in EXTENDED_KEYS:
        return EXTENDED_KEYS[code]
    if 0 < code <= LAST_PLAIN_CODE:
        return code
    raise InfrastructureError(f"the emulated keyboard has no key with the Linux code {code}")


class MonitorInput:
    """Keyboard and absolute pointer of one domain (a KeySink and a PointerSink).

    Args:
        libvirt: the module.
        domain: the `virDomain`.
        monitor: of the same domain.
        screen_size: returns width and height of the screen in pixels, for the pointer.
        check_on: raises what there is to say when the machine is off or dead.
    """

    def __init__(
        self,
        libvirt: Any,
        domain: Any,
        monitor: QemuMonitor,
        screen_size: Callable[[], tuple[int, int]],
        check_on: Callable[[], None] = lambda: None,
    ) -> None:
        self._libvirt = libvirt
        self._domain = domain
        self._monitor = monitor
        self._screen_size = screen_size
        self._check_on = check_on

    def send_keys(self, strokes: Sequence[KeyStroke]) -> None:
        """Press and release keys in this order, at once."""
        events = [
            _event("key", down=down, key={"type": "number", "data": key_number(code)})
            for code, down in strokes
        ]
        only_releases = not any(down for _code, down in strokes)
        try:
            self._send(events)
        except MachineStopped:
            # A key may switch the machine off when it goes down; then nothing is left to release.
            if not only_releases:
                raise
        except InfrastructureError:
            # The same, but libvirt does not know yet why QEMU answers no more.
            if not (only_releases and poll(lambda: self._is_off() or None, Deadline.after(GOING))):
                raise

    def move_to(self, x: int, y: int) -> None:
        """Move the pointer to a pixel."""
        width, height = self._screen_size()
        self._send(
            [
                _event("abs", axis=axis, value=round(place * ABSOLUTE_MAX / max(1, size - 1)))
                for axis, place, size in (("x", x, width), ("y", y, height))
            ]
        )

    def set_button(self, button: str, down: bool) -> None:
        """Press or release "left", "middle" or "right"."""
        self._send([_event("btn", button=button, down=down)])

    def scroll(self, steps: int) -> None:
        """Turn the wheel, down for positive steps."""
        button = "wheel-down" if steps > 0 else "wheel-up"
        for _ in range(abs(steps)):
            self._send([_event("btn", button=button, down=True)])
            self._send([_event("btn", button=button, down=False)])

    def _is_off(self) -> bool:
        try:
            return not self._domain.isActive()
        except self._libvirt.libvirtError:
            return True

    def _send(self, events: list[dict[str, Any]]) -> None:
        try:
            self._monitor.ask("input-send-event", events=events)
        except NotAnswered as error:
            self._check_on()
            raise InfrastructureError(
                f"the machine takes no input: {error.message}", hint="is it switched on?"
            ) from error
        except Refused as error:
            raise InfrastructureError(f"QEMU refused input: {error.message}") from error


def _event(kind: str, **data: Any) -> dict[str, Any]:
    return {"type": kind, "data": data}
