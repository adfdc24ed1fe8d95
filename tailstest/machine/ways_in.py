"""Which ways an image offers to get inside, seen from the host without a word to the guest."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Literal

from tailstest.core.deadline import Deadline, Watch, poll
from tailstest.core.text import printable, shortened
from tailstest.guest.errors import GuestUnreachable
from tailstest.guest.qemu_line import QEMU_AGENT_PORT

#: Name of our agent's port inside the guest: /dev/virtio-ports/NAME.
AGENT_PORT = "org.tailstest.agent.0"

WayIn = Literal["agent", "qemu-agent", "debug-shell", "serial-login"]

#: The best one first: ours needs nothing more; QEMU's loses no byte; what comes through a serial
#: port may, and a password may be refused.
BEST_FIRST: tuple[WayIn, ...] = ("agent", "qemu-agent", "debug-shell", "serial-login")

#: Seconds, before scaling, that a better way has to show itself once there is one. systemd opens
#: its debug shell early in a start, agents come at its end. A login comes last: a password that is
#: refused is in the guest's journal for ever.
PATIENCE: dict[WayIn, float] = {"qemu-agent": 10.0, "debug-shell": 10.0, "serial-login": 30.0}

#: Seconds between two looks.
INTERVAL = 0.5

#: Characters of the console that an error shows.
_SHOWN = 400

#: What terminals do instead of showing it (ECMA-48): control sequences, strings, other escapes.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])|\r"
)

#: Behind a prompt comes nothing; or a message of the kernel ("[   12.345678] usb 1-1: ..."), or one
#: of systemd ("[  OK  ] Started ...", "         Starting ..."), which know nothing of it.
_END = r"(?:$|(?=\[ *(?:\d|[A-Z]+ *\])| {8}))"
#: Root's prompt of dash ("# "), busybox ("/ # ", "localhost:~# "), bash ("sh-5.2# ",
#: "root@debian:/# ", "[root@box /]# ").
_SHELL = re.compile(
    r"^(?:[\w.-]{1,64}@[^\n#$]{1,120}|\[[^\n\]]{1,120}\]|(?:ba)?sh-[\d.]{1,10}"
    r"|(?:[\w.-]{1,64}:)?[/~][^\n#$ ]{0,120} ?)?# " + _END,
    re.MULTILINE,
)
#: agetty's and busybox's: the host's name, "(none)" if it has none, and "login:".
_LOGIN = re.compile(r"^(?:\(none\)|[\w.-]{1,64}) login: ?" + _END, re.MULTILINE)


class WaysIn:
    """Looks which ways into one machine are open.

    Args:
        opened: returns names of the virtio-serial ports that somebody inside has opened.
        console: returns what was printed on the first serial port since the system started.
        deadline_scale: how much slower than usual this host is (>= 1).
        check: called in every wait; one that raises ends it (the machine has stopped).
    """

    def __init__(
        self,
        opened: Callable[[], Collection[str]],
        console: Callable[[], str],
        *,
        deadline_scale: float,
        check: Watch,
    ) -> None:
        self._opened = opened
        self._console = console
        self._scale = deadline_scale
        self._check = check

    def seen(self) -> set[WayIn]:
        """Return those that are open now."""
        opened = self._opened()
        said = _ESCAPES.sub("", self._console())
        is_open: dict[WayIn, bool] = {
            "agent": AGENT_PORT in opened,
            "qemu-agent": QEMU_AGENT_PORT in opened,
            "debug-shell": _SHELL.search(said) is not None,
            "serial-login": _LOGIN.search(said) is not None,
        }
        return {way for way, is_there in is_open.items() if is_there}

    def best(self, deadline: Deadline, *, without: Collection[WayIn] = ()) -> WayIn:
        """Wait until one is open, and a little longer for a better one.

        Args:
            deadline: until which one must be there.
            without: those that were tried in vain.

        Raises:
            GuestUnreachable: an InfrastructureError; none was. It says what the console shows.
        """
        found: WayIn | None = None
        patience = deadline

        def look() -> WayIn | None:
            nonlocal found, patience
            last, seen = found, self.seen()
            found = next((way for way in BEST_FIRST if way in seen and way not in without), None)
            if found is not None and found != last:
                patience = Deadline.after(PATIENCE.get(found, 0.0), scale=self._scale)
            return found if patience.expired else None

        chosen: WayIn | None = poll(look, deadline, interval=INTERVAL, watches=[self._check])
        chosen = chosen or found
        if chosen is None:
            raise GuestUnreachable(self._nothing(deadline), hint=_HINT)
        return chosen

    def _nothing(self, deadline: Deadline) -> str:
        said = printable(_ESCAPES.sub("", self._console())).strip()[-_SHOWN:]
        return (
            f"no way into the guest showed itself in {deadline.seconds:.0f} seconds: no agent of "
            "ours or QEMU's has opened its port, and there is no prompt of root's shell or of a "
            "login on the serial port, which reads at its end: "
            f"{shortened(said, _SHOWN) or '(nothing)'}"
        )


_HINT = (
    'any systemd opens a shell there with: I add "systemd.debug_shell=ttyS0" to the kernel command '
    "line at the boot menu; see docs/adding-an-image.md, the inside"
)
