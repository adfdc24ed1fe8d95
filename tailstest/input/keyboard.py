"""The keyboard of a machine: text, key combinations and held keys, at a pace that loses nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from tailstest.core.deadline import pause
from tailstest.core.errors import InfrastructureError, UsageError
from tailstest.core.events import Events, Noted, Typed
from tailstest.core.text import shortened
from tailstest.input.key_names import combination
from tailstest.input.layout import Layout, UntypableCharacter
from tailstest.input.pace import Pace, Pacer
from tailstest.input.sinks import Chord, KeySink, KeyStroke
from tailstest.input.typing_check import TypingReport, unchanged
from tailstest.input.typing_check import type_checked as run_checked

#: Characters of typed text that an event keeps.
_EVENT_TEXT = 500

#: Seconds after which guests may repeat a held key (the shortest delay of Linux and X is 250 ms).
_REPEAT_DELAY = 0.25


class Keyboard:
    """Types at a machine.

    Args:
        sink: takes the key strokes.
        layout: the layout that the guest uses.
        pace: how long keys are held, and the gap between them.
        events: hears what was typed.
    """

    def __init__(self, sink: KeySink, layout: Layout, pace: Pace, events: Events) -> None:
        self.layout = layout
        self.pace = pace
        self._sink = sink
        self._events = events
        self._pacer = Pacer()
        self._held: list[int] = []

    @property
    def held(self) -> tuple[int, ...]:
        """Codes of the keys that are down now, in the order in which they went down."""
        return tuple(self._held)

    def type(self, text: str, *, secret: bool = False, pace: Pace | None = None) -> None:
        """Type `text`; a line end is Enter, a tab is Tab.

        Nothing is typed unless the layout has all of it.

        Args:
            secret: keeps the text out of events, reports and error messages.
            pace: for this text only.

        Raises:
            UntypableCharacter: the layout has no keys for a character.
            InfrastructureError: the machine takes no keys.
        """
        try:
            chords = self.layout.text_to_chords(text)
        except UntypableCharacter as error:
            if not secret:
                raise
            raise UntypableCharacter(
                f"the keyboard layout {self.layout.name!r} cannot type character "
                f"{error.position + 1} of the secret text",
                position=error.position,
                hint="use a layout that has it, or change the secret",
            ) from None
        self._strike_all(chords, pace or self.pace)
        shown = "(secret)" if secret else shortened(text, _EVENT_TEXT)
        self._events.publish(Typed(text=shown, keys=0 if secret else len(chords)))

    def press(self, *combinations: str, pace: Pace | None = None) -> None:
        """Press keys or key combinations by their usual names, one after the other.

        Examples: "Enter", "F10", "Page Down", "Ctrl+Alt+T", "Ctrl++", "AltGr+q".

        Raises:
            UsageError: a name is unknown; nothing is pressed then.
            InfrastructureError: the machine takes no keys.
        """
        chords = [combination(text, self.layout) for text in combinations]
        self._strike_all(chords, pace or self.pace)
        text = shortened(" ".join(combinations), _EVENT_TEXT)
        self._events.publish(Typed(text=text, keys=len(chords)))

    @contextmanager
    def hold(self, keys: str) -> Iterator[None]:
        """Hold a key or keys ("Shift", "Ctrl+Alt") while the body of the `with` runs.

        They are released in reverse order, whatever happens inside.

        Raises:
            UsageError: a name is unknown.
            InfrastructureError: the machine takes no keys.
        """
        codes = [code for code in combination(keys, self.layout).keys if code not in self._held]
        self._pacer.wait_turn()
        try:
            for code in codes:
                self._down([code])
            pause(self.pace.hold)
            yield
        except BaseException:
            # What went wrong inside is what counts, not that a dead machine takes no keys.
            with suppress(InfrastructureError):
                self._up(codes)
            raise
        self._up(codes)
        self._pacer.released(self.pace.gap)
        self._events.publish(Typed(text=f"held {keys}", keys=len(codes)))

    def release_all(self) -> None:
        """Release every key that is down, the last one first."""
        self._up(self.held)

    def type_checked(
        self,
        text: str,
        read_back: Callable[[], str | None],
        *,
        fold: Callable[[str], str] = unchanged,
        within: float = 5.0,
        repairs: int = 5,
    ) -> TypingReport:
        """Type one line, look at what arrived, and repair what was lost or doubled.

        See `tailstest.input.typing_check.type_checked`, which says what the arguments mean.
        """
        backspace = combination("Backspace", self.layout)
        report = run_checked(
            text,
            read_back,
            send=lambda part, pace: self._strike_all(self.layout.text_to_chords(part), pace),
            take_back=lambda count, pace: self._strike_all([backspace] * count, pace),
            pace=self.pace,
            fold=fold,
            within=within,
            repairs=repairs,
        )
        shown = shortened(text, _EVENT_TEXT)
        self._events.publish(Typed(text=shown, keys=report.typed, repaired=report.repaired))
        if report.repaired:
            self._events.publish(
                Noted(
                    text=f"typing was repaired: {report.lost} characters lost, {report.doubled} "
                    f"doubled, {report.wrong} wrong; the pace went down to {report.pace}",
                    level="warning",
                )
            )
        return report

    def _strike_all(self, chords: Sequence[Chord], pace: Pace) -> None:
        longest = max((self._strike(chord, pace) for chord in chords), default=0.0)
        if longest > max(_REPEAT_DELAY, pace.hold * 2):
            self._events.publish(
                Noted(
                    text=f"the host stalled while typing: a key stayed down for {longest:.2f} s, "
                    "so the machine may have repeated it",
                    level="warning",
                )
            )

    def _strike(self, chord: Chord, pace: Pace) -> float:
        """Press and release one chord; return the seconds that its key was down."""
        if chord.code in self._held:
            raise UsageError(
                f"key code {chord.code} is to be struck while it is held",
                hint="release the held key before",
            )
        modifiers = [code for code in chord.modifiers if code not in self._held]
        self._pacer.wait_turn()
        pressed = time.monotonic()
        try:
            # All in one go: modifiers reach the machine before the key, with nothing between.
            self._down([*modifiers, chord.code])
            pause(pace.hold)
        except BaseException:
            with suppress(InfrastructureError):
                self._up([*modifiers, chord.code])
            raise
        self._up([*modifiers, chord.code])
        self._pacer.released(pace.gap)
        return time.monotonic() - pressed

    def _down(self, codes: Sequence[int]) -> None:
        # Noted as held first: after an error nobody knows which of them went down.
        self._held += codes
        self._sink.send_keys([KeyStroke(code, True) for code in codes])

    def _up(self, codes: Sequence[int]) -> None:
        released = [code for code in reversed(codes) if code in self._held]
        self._held = [code for code in self._held if code not in released]
        if released:
            self._sink.send_keys([KeyStroke(code, False) for code in released])
