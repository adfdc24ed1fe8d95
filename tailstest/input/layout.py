"""A keyboard layout: which keys type which text."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cached_property, lru_cache

from tailstest.core.errors import UsageError
from tailstest.core.text import shortened
from tailstest.input.dead_keys import DeadKeys
from tailstest.input.keymap import Keymap, SymbolKey
from tailstest.input.sinks import Chord, KeyStroke

#: Layouts that are tried to tell a user which one could type a character.
COMMON_LAYOUTS = (
    *("us", "us(intl)", "us(altgr-intl)", "gb", "de", "fr", "es", "it", "pt", "pl", "cz", "tr"),
    *("se", "ru", "ua", "gr", "il", "ara", "ir", "in"),
)

#: Keys that type no character of their own in xkb terms but stand for one in a text.
_NAMED_KEYS = {"\n": "RTRN", "\t": "TAB"}


class UntypableCharacter(UsageError):
    """The layout cannot produce a character; `position` counts from 0 in the text."""

    def __init__(self, message: str, *, position: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.position = position


class Layout:
    """A layout from the host's xkb data; Caps Lock and Num Lock are taken to be off.

    The guest must be set to the same layout: a machine gets keys, not characters.

    Args:
        keymap: the compiled layout.
    """

    def __init__(self, keymap: Keymap) -> None:
        self.name = keymap.name
        self.keymap = keymap

    @classmethod
    def named(cls, name: str) -> Layout:
        """Return the layout of this xkb name, such as "us", "de(nodeadkeys)" or "us(intl)".

        Raises:
            UsageError: there is no such layout; the hint names those that look alike.
        """
        return _named(name.strip())

    @cached_property
    def _dead_keys(self) -> DeadKeys:
        return DeadKeys(self.keymap.context)

    @cached_property
    def _sequences(self) -> Mapping[str, tuple[Chord, ...]]:
        """The easiest way to type each character."""
        best: dict[int, SymbolKey] = {}
        inside: dict[int, SymbolKey] = {}  # the ones that may follow a dead key
        for symbol in self.keymap.symbols():
            for table in (best,) if symbol.ends_sequence else (best, inside):
                known = table.get(symbol.keysym)
                if known is None or symbol.cost < known.cost:
                    table[symbol.keysym] = symbol
        found: dict[str, tuple[int, tuple[Chord, ...]]] = {}
        for keysyms, text in self._dead_keys.sequences(best, inside):
            if len(text) != 1 or unicodedata.category(text) == "Cc":
                continue
            symbols = [best[keysyms[0]], *(inside[keysym] for keysym in keysyms[1:])]
            cost = sum(symbol.cost for symbol in symbols)
            if text not in found or cost < found[text][0]:
                found[text] = (cost, tuple(symbol.chord for symbol in symbols))
        sequences = {text: chords for text, (_, chords) in found.items()}
        for text, key in _NAMED_KEYS.items():
            sequences[text] = (Chord((), self.key_code(key)),)
        return sequences

    @property
    def characters(self) -> frozenset[str]:
        """Every character that this layout types, Enter ("\\n") and Tab ("\\t") included."""
        return frozenset(self._sequences)

    def key_code(self, key: str) -> int:
        """Return the Linux input code of a key by xkb's name for its place ("RTRN", "FK10").

        Raises:
            UsageError: the keyboard has no such key.
        """
        code = self.keymap.code(key)
        if code is None:
            raise UsageError(f"the keyboard of layout {self.name!r} has no key {key!r}")
        return code

    def single_chord(self, character: str) -> Chord | None:
        """Return the one key (with modifiers) that types `character`; None if it needs more."""
        chords = self._sequences.get(character, ())
        return chords[0] if len(chords) == 1 else None

    def text_to_chords(self, text: str) -> list[Chord]:
        """Return the keys to strike one after the other to type `text`.

        A line end is Enter ("\\r\\n" is one), a tab is Tab. A letter followed by combining marks
        is typed as the composed letter where the layout has no keys for the marks.

        Raises:
            UntypableCharacter: names the character, its position and layouts that have it.
        """
        text = text.replace("\r\n", "\n")
        chords: list[Chord] = []
        position = 0
        while position < len(text):
            end = position + 1
            while end < len(text) and unicodedata.combining(text[end]):
                end += 1
            chords += self._cluster(text, position, end)
            position = end
        return chords

    def _cluster(self, text: str, start: int, end: int) -> list[Chord]:
        """Return the chords for one character with the combining marks after it."""
        as_is = [self._sequences.get(character) for character in text[start:end]]
        if None in as_is:
            composed = unicodedata.normalize("NFC", text[start:end])
            if any(character not in self._sequences for character in composed):
                raise self._untypable(text, start + as_is.index(None))
            as_is = [self._sequences[character] for character in composed]
        return [chord for chords in as_is for chord in chords or ()]

    def text_to_strokes(self, text: str) -> list[KeyStroke]:
        """Return `text` as presses and releases; each key is up again before the next goes down.

        Raises:
            UntypableCharacter: as for `text_to_chords`.
        """
        strokes = []
        for chord in self.text_to_chords(text):
            strokes += [KeyStroke(code, True) for code in chord.keys]
            strokes += [KeyStroke(code, False) for code in reversed(chord.keys)]
        return strokes

    def _untypable(self, text: str, position: int) -> UntypableCharacter:
        character = text[position]
        name = unicodedata.name(character, "control character")
        others = [
            other
            for other in COMMON_LAYOUTS
            if other != self.name and character in Layout.named(other).characters
        ]
        hint = "of the common layouts none has it; leave it out of the text"
        if others:
            hint = f"these layouts can: {', '.join(others)}; the guest must use the same one"
        elif not self._dead_keys.available:
            hint = "dead keys are unknown: install the package libx11-data"
        return UntypableCharacter(
            f"the keyboard layout {self.name!r} cannot type {character!r} "
            f"(U+{ord(character):04X} {name}), character {position + 1} of "
            f"{shortened(text, 60)!r}",
            position=position,
            hint=hint,
        )


@lru_cache(maxsize=64)
def _named(name: str) -> Layout:
    return Layout(Keymap(name))
