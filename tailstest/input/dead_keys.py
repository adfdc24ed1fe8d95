"""Dead keys and Compose sequences: characters that need more than one key."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from xkbcommon import xkb

#: The table that X11, GTK and Qt use in every UTF-8 locale but a few; part of libX11's data.
_COMPOSE_FILE = Path("/usr/share/X11/locale/en_US.UTF-8/Compose")
_LOCALE = "en_US.UTF-8"

#: Longest sequence looked at: two dead keys and a letter, as Vietnamese and Greek need.
_LONGEST = 3


class DeadKeys:
    """What sequences of keysyms turn into, asked of libxkbcommon's own compose state.

    Args:
        context: the xkb context in which the table is read. The user's own ~/.XCompose is not
            read: what the guest composes does not depend on the host.
        file: the compose table.

    Attributes:
        available: False when the table is missing; then no sequence is known.
    """

    def __init__(self, context: Any, file: Path = _COMPOSE_FILE) -> None:
        self._state: Any = None
        try:
            table = context.compose_table_new_from_buffer(file.read_bytes(), _LOCALE)
            self._state = table.compose_state_new()
        except (OSError, xkb.XKBComposeTableCreationFailure, xkb.XKBComposeStateCreationFailure):
            pass  # layouts without dead keys work as before; Layout says what is missing

    @property
    def available(self) -> bool:
        """Whether the compose table could be read."""
        return self._state is not None

    def text(self, keysyms: tuple[int, ...]) -> str | None:
        """Return the text that this sequence gives; None while it waits for more keys.

        A sequence that composes nothing gives "".
        """
        if self._state is None:
            return str(xkb.keysym_to_string(keysyms[0]) or "") if len(keysyms) == 1 else ""
        self._state.reset()
        for keysym in keysyms:
            self._state.feed(keysym)
        status = self._state.get_status()
        if status == xkb.XKB_COMPOSE_COMPOSING:
            return None
        if status == xkb.XKB_COMPOSE_COMPOSED:
            return str(self._state.get_utf8())
        if status == xkb.XKB_COMPOSE_NOTHING and len(keysyms) == 1:
            return str(xkb.keysym_to_string(keysyms[0]) or "")
        return ""

    def sequences(
        self, first: Collection[int], later: Collection[int]
    ) -> Iterator[tuple[tuple[int, ...], str]]:
        """Yield every sequence of keysyms that gives text, shorter ones first.

        Args:
            first: keysyms that a sequence may begin with.
            later: keysyms that may stand further on.
        """
        waiting: list[tuple[int, ...]] = [()]
        for length in range(_LONGEST):
            prefixes, waiting = waiting, []
            for prefix in prefixes:
                for keysym in later if length else first:
                    sequence = (*prefix, keysym)
                    text = self.text(sequence)
                    if text is None:
                        waiting.append(sequence)
                    elif text:
                        yield sequence, text
