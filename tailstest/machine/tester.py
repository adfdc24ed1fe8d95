"""What a tester does with eyes and hands together: look, then click or press, then look again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tailstest.core.deadline import Deadline
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.geometry import Point, Region
from tailstest.input.keyboard import Keyboard
from tailstest.input.pointer import Pointer
from tailstest.input.typing_check import TypingReport, fold_for_ocr
from tailstest.machine.prompt_line import text_behind
from tailstest.screen.frame import Frame
from tailstest.screen.screen import Screen
from tailstest.screen.text_look import TextLook

#: Seconds to watch the screen after one key or wheel step before trying the next one. A person
#: gives a menu about this long to react before pressing again.
REACTION = 1.0


#: Seconds until what was typed must be on the screen before it counts as lost.
ARRIVAL = 5.0


class Tester:
    """Combines the screen, the keyboard and the pointer of one machine.

    Args:
        screen: where to look.
        keyboard: what to type on.
        pointer: what to click with; it is parked after every click.
        deadline_scale: factor of the host's slowness on every deadline.
        default_deadline: seconds a wait may take when the caller does not say, before scaling.
    """

    def __init__(
        self,
        screen: Screen,
        keyboard: Keyboard,
        pointer: Pointer,
        *,
        deadline_scale: float,
        default_deadline: float,
    ) -> None:
        self._screen = screen
        self._keyboard = keyboard
        self._pointer = pointer
        self._scale = deadline_scale
        self._default = default_deadline
        self._remembered: Frame | None = None

    def see_all(self, texts: Sequence[str]) -> None:
        """Wait until each of `texts` can be read.

        Raises:
            CheckFailed: the first one that could not be read by its deadline.
            UsageError: there is none, or one is empty, so nothing would be looked for.
        """
        if not texts:
            raise UsageError(
                "no text to look for was given", hint="the first row of a table is its heading"
            )
        for text in texts:
            self._screen.wait_text(text)

    def check_text_absent(self, text: str) -> None:
        """Look once.

        Raises:
            CheckFailed: `text` can be read; says where.
        """
        look = self._screen.look_text(text)
        if look.found:
            raise CheckFailed(
                f'expected not to see "{text}", but it stands at {_place(look)}',
                hint=f'if it only needs time to go away, use: Then "{text}" disappears',
            )

    @property
    def remembers(self) -> bool:
        """Whether a frame is kept for `wait_changed`."""
        return self._remembered is not None

    def remember(self) -> None:
        """Keep the present frame for `wait_changed`."""
        self._remembered = self._screen.frame()

    def wait_changed(self) -> None:
        """Wait until the screen differs from the remembered frame.

        Raises:
            UsageError: nothing was remembered.
            CheckFailed: nothing changed.
        """
        if self._remembered is None:
            raise UsageError(
                "no screen was remembered to compare with",
                hint='put the step "When I remember the screen" before the action',
            )
        self._screen.wait_change(since=self._remembered)

    def click_text(self, text: str, *, button: str = "left", count: int = 1) -> None:
        """Wait for `text`, click its middle, park the pointer."""
        self._click(_place(self._screen.wait_text(text)).centre, button, count)

    def click_picture(
        self, reference: str, *, point: str = "", button: str = "left", count: int = 1
    ) -> None:
        """Wait for a reference, click one of its click points, park the pointer.

        Args:
            point: id of the click point; "" is the default one.

        Raises:
            UsageError: the reference has no click point of that id.
        """
        look = self._screen.wait_for(reference)
        if point not in look.click_points:
            known = ", ".join(sorted(name for name in look.click_points if name)) or "none"
            raise UsageError(
                f'the reference "{look.reference}" has no click point "{point}"; it has: {known}',
                hint="add it to the reference's JSON file, or use a name from the list",
            )
        self._click(look.click_points[point], button, count)

    def _click(self, point: Point, button: str, count: int) -> None:
        self._pointer.click(point, button=button, count=count)
        self._pointer.park()

    def press_and_wait_change(self, keys: str) -> None:
        """Press `keys` and wait until the screen reacts.

        Raises:
            CheckFailed: the screen stayed as it was.
        """
        before = self._screen.frame()
        self._keyboard.press(keys)
        self._screen.wait_change(since=before)

    def type_behind(self, prompt: str, text: str) -> TypingReport:
        """Type one line behind a prompt, read it from the screen, and repair what was lost.

        Args:
            prompt: text that stands before the place where typing goes, such as "grub>".

        Raises:
            UsageError: `text` has a line end or a tab.
            CheckFailed: there is no such prompt, or the line is still wrong after all repairs.
        """
        self._screen.wait_text(prompt)
        return self._keyboard.type_checked(
            text,
            lambda: text_behind(prompt, self._screen.read(), text),
            fold=fold_for_ocr,
            within=ARRIVAL * self._scale,
        )

    def press_until_text(self, keys: str, text: str, *, within: float | None = None) -> TextLook:
        """Press `keys`, look, and press again until `text` can be read.

        Raises:
            CheckFailed: the deadline passed; lists what was read instead.
        """
        return self._repeat_until_text(lambda: self._keyboard.press(keys), text, within)

    def scroll_until_text(
        self, at: str, wanted: str, direction: int, *, within: float | None = None
    ) -> TextLook:
        """Scroll with the pointer on the text `at` until `wanted` can be read.

        Args:
            direction: 1 scrolls down, -1 up.
        """
        self._pointer.move(_place(self._screen.wait_text(at)).centre)
        try:
            return self._repeat_until_text(
                lambda: self._pointer.scroll(3 * direction), wanted, within
            )
        finally:
            self._pointer.park()

    def _repeat_until_text(
        self, act: Callable[[], None], text: str, within: float | None
    ) -> TextLook:
        seconds = self._default if within is None else within
        deadline = Deadline.after(seconds, scale=self._scale)
        while not (look := self._screen.look_text(text)).found:
            if deadline.expired:
                raise _not_reached(text, look, deadline)
            before = self._screen.frame()
            act()
            self._screen.reacts(before, within=REACTION)
        return look


def _not_reached(text: str, look: TextLook, deadline: Deadline) -> CheckFailed:
    return CheckFailed(
        f"tried for {deadline.elapsed:.0f} s until “{text}” can be read: {look.explain()}\n"
        f"  All that was read by {look.engine}:\n{look.transcript()}",
        hint="the last frame shows where it ended",
    )


def _place(look: TextLook) -> Region:
    if look.place is None:
        raise CheckFailed(f'"{look.text}" was read, but its place is unknown')
    return look.place
