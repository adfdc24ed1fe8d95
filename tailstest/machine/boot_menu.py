"""Adding parameters to the kernel command line at a boot menu, as a person would.

Nothing is typed blindly: each key is followed by a look at what it did, the countdown is kept from
expiring by keys that mean nothing, and a menu that was missed gets another chance after a reset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.machine.machine import Machine
from tailstest.screen.text_line import TextLine

#: What GRUB shows below its menu, and in its editor (grub-core/normal/menu_text.c).
GRUB_MENU = "Use the"
GRUB_EDITOR = "Minimum Emacs-like screen editing"

#: What isolinux shows while a line is edited; its menu asks for Tab.
ISOLINUX_MENU = "Press [Tab] to edit options"

#: Seconds for a menu to react to one key, before scaling.
REACTION = 5.0

#: Typed to see where the cursor is, and taken back; letters that no engine misreads, a blank before
#: them so that they stand apart.
MARK = " XZXZ"

#: What a line of a menu entry may begin with.
GRUB_COMMANDS = frozenset(
    [
        "setparams",
        "insmod",
        "set",
        "search",
        "load_video",
        "gfxmode",
        "echo",
        "linux",
        "linuxefi",
        "initrd",
        "initrdefi",
        "if",
        "fi",
        "else",
        "recordfail",
        "savedefault",
        "chainloader",
    ]
)

#: Lines that an entry may have before its kernel line.
MOST_LINES = 30


def boot_with_parameters(machine: Machine, parameters: str, menu: str, *, within: float) -> None:
    """Add `parameters` to the kernel command line of the chosen entry, and boot it.

    Args:
        menu: "grub" or "isolinux".
        within: seconds for all of it, tries included, before scaling.

    Raises:
        UsageError: the kind of boot menu is not known.
        CheckFailed: the menu never came, or did not take the parameters; quotes what was read.
    """
    edits: dict[str, Callable[[Machine, str], None]] = {
        "grub": _edit_grub,
        "isolinux": _edit_isolinux,
    }
    if menu not in edits:
        raise UsageError(
            "the boot menu of this image is not known",
            hint='say boot_menu = "grub" (or "isolinux") in its profile.toml',
        )
    deadline = Deadline.after(within, scale=machine.deadline_scale)
    while True:
        try:
            edits[menu](machine, parameters)
            return
        except CheckFailed:
            if deadline.expired:
                raise
            machine.check()
            machine.reset()


def _edit_grub(machine: Machine, parameters: str) -> None:
    _hold_countdown(machine, GRUB_MENU)
    machine.keyboard.press("e")
    machine.screen.wait_text(GRUB_EDITOR, within=REACTION)
    _go_to_kernel_line(machine)
    machine.keyboard.type(f" {parameters}")
    machine.screen.wait_text(parameters.split()[-1], within=REACTION)
    machine.keyboard.press("Ctrl+X")
    machine.screen.wait_text_gone(GRUB_EDITOR, within=REACTION)


def _edit_isolinux(machine: Machine, parameters: str) -> None:
    _hold_countdown(machine, ISOLINUX_MENU)
    before = machine.screen.frame()
    machine.keyboard.press("Tab")
    machine.screen.wait_change(since=before, within=REACTION)
    machine.keyboard.type(f" {parameters}")
    machine.screen.wait_text(parameters.split()[-1], within=REACTION)
    machine.keyboard.press("Enter")
    machine.screen.wait_text_gone(ISOLINUX_MENU, within=REACTION)


def _hold_countdown(machine: Machine, text: str) -> None:
    """Wait for a menu; from then on a key has been pressed, which ends its countdown.

    The arrow up means nothing on the first entry, and it is pressed from the beginning, because a
    menu that boots after a second is gone before it could be read.
    """

    def look() -> bool | None:
        machine.keyboard.press("Up")
        return True if machine.screen.look_text(text, patient=False).found else None

    deadline = Deadline.after(machine.default_deadline, scale=machine.deadline_scale)
    if poll(look, deadline, watches=machine.screen.watches) is None:
        machine.screen.wait_text(text, within=0)


def _go_to_kernel_line(machine: Machine) -> None:
    """Move GRUB's cursor to the end of the kernel line.

    The cursor itself cannot be read, so a mark is typed at the end of each line and looked for:
    when it stands behind "linux", and before the next command, the line is the right one.

    Raises:
        CheckFailed: there is no such line; quotes what was read.
    """
    for _ in range(MOST_LINES):
        machine.keyboard.press("End")
        machine.keyboard.type(MARK)
        machine.screen.wait_text(MARK, within=REACTION)
        is_there = _mark_is_on_kernel_line(machine.screen.read())
        machine.keyboard.press(*["BackSpace"] * len(MARK))
        machine.screen.wait_text_gone(MARK, within=REACTION)
        if is_there:
            return
        machine.keyboard.press("Down")
    shown = "\n".join(line.text for line in machine.screen.read())
    raise CheckFailed(f'GRUB\'s editor shows no line that begins with "linux":\n{shown}')


def _mark_is_on_kernel_line(lines: Sequence[TextLine]) -> bool:
    is_kernel = False
    for line in sorted(lines, key=lambda each: each.place.y):
        words = line.text.lstrip("|│ ").split()
        if words and words[0] in GRUB_COMMANDS:
            is_kernel = words[0].startswith("linux")
        if MARK.strip() in line.text:
            return is_kernel
    return False
