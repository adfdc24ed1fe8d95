"""Booting from a boot menu as a person would, with more parameters for the kernel or at once.

Nothing is typed blindly: each key is followed by a look at what it did. Where parameters are added,
the countdown is kept from expiring by a key that means nothing, and a menu that was missed gets
another chance: the machine is switched off and on, and the keys are struck more slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.text import printable
from tailstest.machine.machine import Machine
from tailstest.screen.text_line import TextLine

#: What GRUB shows below its menu (grub-core/normal/menu_text.c), or in a theme that has the short
#: help (@KEYMAP_SHORT@ of grub-core/gfxmenu/view.c, as the one of live-build), and in its editor.
GRUB_MENU = "Use the"
GRUB_MENUS = (GRUB_MENU, "cmd-line")
GRUB_EDITOR = "Minimum Emacs-like screen editing"

#: What isolinux shows below its menu (com32/menu/readconfig.c of syslinux), or where live-build
#: wrote its configuration.
ISOLINUX_MENUS = ("Press [Tab] to edit options", "or TAB to edit a menu entry")

#: Means nothing to GRUB and isolinux, but ends GRUB's countdown and lets isolinux's begin anew. An
#: arrow would choose another entry where the first is not the default one.
HARMLESS_KEY = "F12"

#: What GRUB draws around and at the end of a line that goes on below.
DECORATION = str.maketrans("", "", "\\|│┃ \t")

#: Seconds for a menu to react to one key, before scaling.
REACTION = 5.0

#: How often Enter is pressed at a menu that stays: one that draws slowly looks for keys only in
#: between, and misses some.
ENTERS = 3

#: Typed to see where the cursor is, and taken back; letters that no engine misreads.
MARK = "XZXZ"

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


def boot_with_parameters(
    machine: Machine, parameters: str, menu: str, *, within: float, shows: str = ""
) -> None:
    """Add `parameters` to the kernel command line of the chosen entry, and boot it.

    Args:
        menu: "grub" or "isolinux".
        within: seconds for all of it, tries included, before scaling.
        shows: a text that stands on the screen while the menu does, in place of those that most
            menus show.

    Raises:
        UsageError: the kind of boot menu is not known, or the parameters cannot be typed there.
        CheckFailed: the menu never came, or did not take the parameters; quotes what was read.
    """
    texts = _texts_of(menu, shows)
    if not parameters.strip() or not parameters.isprintable():
        raise UsageError(
            f'"{printable(parameters)}" cannot be added to a kernel command line',
            hint='give words in one line, for example "debug console=ttyS0"',
        )
    parameters = " ".join(parameters.split())
    edit = _EDITS[menu]
    deadline = Deadline.after(within, scale=machine.deadline_scale)
    usual_pace = machine.keyboard.pace
    try:
        while True:
            try:
                edit(machine, parameters, texts)
                return
            except CheckFailed:
                if deadline.expired:
                    raise
                machine.check()
                # A menu that draws slowly loses keys: it looks for them only in between.
                machine.keyboard.pace = machine.keyboard.pace.slower
                # Not the reset button: its screen still shows the old menu for a moment.
                machine.power_off()
                machine.power_on()
    finally:
        machine.keyboard.pace = usual_pace


def boot_default_entry(machine: Machine, menu: str, *, shows: str = "") -> None:
    """Boot the entry that is chosen when the menu appears, without waiting for its countdown.

    Args:
        menu: "grub" or "isolinux".
        shows: as for `boot_with_parameters`.

    Raises:
        UsageError: the kind of boot menu is not known.
        CheckFailed: the menu never came, or stayed; quotes what was read.
    """
    found = _wait_menu(machine, _texts_of(menu, shows))
    for left in reversed(range(ENTERS)):
        machine.keyboard.press("Enter")
        try:
            machine.screen.wait_text_gone(found, within=REACTION)
            return
        except CheckFailed:
            if not left:
                raise
            machine.check()


def _texts_of(menu: str, shows: str) -> Sequence[str]:
    """Return texts of which one stands on the screen while a menu of this kind does."""
    if menu not in _MENUS:
        raise UsageError(
            "the boot menu of this image is not known",
            hint='say boot_menu = "grub" (or "isolinux") in its profile.toml',
        )
    return [shows] if shows else _MENUS[menu]


def _edit_grub(machine: Machine, parameters: str, shows: Sequence[str]) -> None:
    _hold_countdown(machine, shows)
    machine.keyboard.press("e")
    machine.screen.wait_text(GRUB_EDITOR, within=REACTION)
    _go_to_kernel_line(machine)
    _type_and_see(machine, parameters)
    machine.keyboard.press("Ctrl+X")
    machine.screen.wait_text_gone(GRUB_EDITOR, within=REACTION)


def _edit_isolinux(machine: Machine, parameters: str, shows: Sequence[str]) -> None:
    menu = _hold_countdown(machine, shows)
    before = machine.screen.frame()
    machine.keyboard.press("Tab")
    machine.screen.wait_change(since=before, within=REACTION)
    _type_and_see(machine, parameters)
    machine.keyboard.press("Enter")
    machine.screen.wait_text_gone(menu, within=REACTION)


def _hold_countdown(machine: Machine, shows: Sequence[str]) -> str:
    """Wait for a menu, and end its countdown as soon as it is there; return which text it shows."""
    found = _wait_menu(machine, shows)
    machine.keyboard.press(HARMLESS_KEY)
    return found


def _wait_menu(machine: Machine, shows: Sequence[str]) -> str:
    """Wait for a menu, and return which text it shows.

    No key may be pressed before: one that is pressed while OVMF prepares the keyboard leaves the
    machine without a keyboard, even after a reset.
    """

    def look() -> str | None:
        read = machine.screen.look_text
        return next((text for text in shows if read(text, patient=False).found), None)

    deadline = Deadline.after(machine.default_deadline, scale=machine.deadline_scale)
    found = poll(look, deadline, watches=machine.screen.watches)
    # A menu that stands there for ever can be read with more patience.
    found = found or next((text for text in shows if machine.screen.look_text(text).found), None)
    if found is None:
        seen = "\n".join(printable(line.text) for line in machine.screen.read())
        wanted = " or ".join(f"“{printable(text)}”" for text in shows)
        raise CheckFailed(
            f"no boot menu was seen in {deadline.seconds:.0f} seconds: {wanted} is not on the "
            f"screen, which shows now:\n{seen or '(no text)'}",
            hint="if its boot menu is there, say in its profile.toml what kind it is (boot_menu) "
            "and a text that it shows (boot_menu_text); `tailstest boot IMAGE` shows what is read",
        )
    return found


#: For each kind of menu what is done to add parameters, and what it shows.
_EDITS: dict[str, Callable[[Machine, str, Sequence[str]], None]] = {
    "grub": _edit_grub,
    "isolinux": _edit_isolinux,
}
_MENUS: dict[str, Sequence[str]] = {"grub": GRUB_MENUS, "isolinux": ISOLINUX_MENUS}


def _type_and_see(machine: Machine, text: str, *, exactly: bool = False) -> None:
    """Type a text behind what stands there, and see all of it arrive.

    Args:
        exactly: letter by letter, as only a menu in the console's own font is read.

    Raises:
        CheckFailed: it did not appear; quotes what was read.
    """
    words = text.split()
    before = times_written(text, machine.screen.read())
    # A graphical menu is not read letter by letter; then words that were not there before must be
    # there more or less.
    are_new = not exactly and not any(
        machine.screen.look_text(word, patient=False).found for word in words
    )
    machine.keyboard.type(f" {text}")

    def look() -> bool | None:
        if times_written(text, machine.screen.read()) > before:
            return True
        found = are_new and all(machine.screen.look_text(word).found for word in words)
        return found or None

    if _poll_reaction(machine, look) is None:
        for word in words:
            machine.screen.wait_text(word, within=0)


def _poll_reaction(machine: Machine, look: Callable[[], bool | None]) -> bool | None:
    deadline = Deadline.after(REACTION, scale=machine.deadline_scale)
    return poll(look, deadline, watches=machine.screen.watches)


def times_written(text: str, lines: Sequence[TextLine]) -> int:
    """Return how often a text stands in lines of a screen, even where a line ends in its middle.

    In the font of a graphical menu, S and s are hard to tell apart, so case does not count.
    """
    ordered = sorted(lines, key=lambda each: (each.place.y, each.place.x))
    squeezed = "".join(line.text.translate(DECORATION) for line in ordered)
    return squeezed.casefold().count(text.translate(DECORATION).casefold())


def _go_to_kernel_line(machine: Machine) -> None:
    """Move GRUB's cursor to the end of the kernel line.

    The cursor itself cannot be read, so a mark is typed at the end of each line and looked for:
    when it stands behind "linux", and before the next command, the line is the right one.

    Raises:
        CheckFailed: there is no such line; quotes what was read.
    """
    for _ in range(MOST_LINES):
        machine.keyboard.press("End")
        _type_and_see(machine, MARK, exactly=True)
        is_there = _mark_is_on_kernel_line(machine.screen.read())
        machine.keyboard.press(*["BackSpace"] * (len(MARK) + 1))
        if _poll_reaction(machine, lambda: _is_gone(machine, MARK)) is None:
            machine.screen.wait_text_gone(MARK, within=0)
        if is_there:
            return
        machine.keyboard.press("Down")
    shown = "\n".join(line.text for line in machine.screen.read())
    raise CheckFailed(f'GRUB\'s editor shows no line that begins with "linux":\n{shown}')


def _is_gone(machine: Machine, text: str) -> bool | None:
    return True if times_written(text, machine.screen.read()) == 0 else None


def _mark_is_on_kernel_line(lines: Sequence[TextLine]) -> bool:
    is_kernel = False
    before = ""
    for line in sorted(lines, key=lambda each: each.place.y):
        words = line.text.lstrip("|│ ").split()
        if words and words[0] in GRUB_COMMANDS:
            is_kernel = words[0].startswith("linux")
        # The mark itself may have been wrapped.
        squeezed = before + line.text.translate(DECORATION)
        if MARK in squeezed:
            return is_kernel
        before = squeezed[1 - len(MARK) :]
    return False
