"""One compiled xkb keymap: which keysym each key gives under which modifiers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xkbcommon import xkb

from tailstest.core.errors import SetupError, UsageError
from tailstest.input.layout_names import known_layouts, similar_layouts, split_name
from tailstest.input.sinks import Chord

#: xkb key codes are Linux input codes plus 8, a heritage of X11 (xkeyboard-config, keycodes/evdev).
XKB_OFFSET = 8

#: A 105-key PC keyboard; keys of others are reached through the same rules.
_RULES, _MODEL = "evdev", "pc105"

#: Keys that type characters, by xkb's names for their places (row E to A, from the left). The
#: keypad is left out: what it gives depends on Num Lock.
TYPING_KEYS = (
    "TLDE",
    *(f"AE{n:02}" for n in range(1, 14)),
    *(f"AD{n:02}" for n in range(1, 13)),
    *(f"AC{n:02}" for n in range(1, 13)),
    "BKSL",
    "LSGT",
    *(f"AB{n:02}" for n in range(1, 12)),
    "SPCE",
)

#: What a key costs beyond one that every PC keyboard has: the key between left Shift and Z is
#: missing on US keyboards, and boot loaders read it differently; the last two exist only on
#: Japanese and Brazilian keyboards.
_RARE_KEYS = {"LSGT": 6, "AB11": 8, "AE13": 8}

#: Modifier kinds in the order in which they are pressed, with the keysyms that mean them, the
#: keys to look at (best first) and their cost. Ctrl, Alt and Super give no characters.
_MODIFIERS = (
    ("level5", ("ISO_Level5_Shift",), ("RCTL", "LSGT", "RALT", "BKSL", "CAPS"), 4),
    ("level3", ("ISO_Level3_Shift",), ("RALT", "LALT", "CAPS", "BKSL", "RWIN", "RCTL"), 3),
    ("shift", ("Shift_L", "Shift_R"), ("LFSH", "RTSH"), 2),
)

_LEVEL_KEYSYMS = {xkb.keysym_from_name(name) for _, names, _, _ in _MODIFIERS for name in names}

#: Cost of striking any key: no modifier may make one key dearer than two.
_STRIKE_COST = 10


@dataclass(frozen=True)
class SymbolKey:
    """A keysym (number) that `chord` gives; a lower `cost` is easier and safer to type."""

    keysym: int
    chord: Chord
    cost: int


class Keymap:
    """A layout compiled by libxkbcommon.

    Args:
        name: "de" or "de(nodeadkeys)", as in the xkb rules.

    Raises:
        UsageError: there is no such layout; names the ones that look alike.
        SetupError: the xkb data is not installed.
    """

    def __init__(self, name: str) -> None:
        self.name = name.strip()
        # Variables such as XKB_DEFAULT_LAYOUT must not change what a name means.
        self.context: Any = xkb.Context(no_environment_names=True)
        self.context.set_log_level(0)  # only critical: we say ourselves what is wrong
        parts = split_name(self.name)
        if parts is None or (compiled := self._compile(*parts)) is None:
            raise self._unknown()
        self.compiled: Any = compiled

    @property
    def xkb_root(self) -> Path:
        """The folder of the xkb data in use; the user's own folders come before it."""
        folders = [Path(folder) for folder in self.context.include_path()]
        if not folders:
            raise SetupError(
                "no xkb data for keyboard layouts found", hint="install the package xkb-data"
            )
        return folders[-1]

    def _compile(self, layout: str, variant: str) -> Any:
        try:
            return self.context.keymap_new_from_names(
                rules=_RULES, model=_MODEL, layout=layout, variant=variant
            )
        except xkb.XKBKeymapCreationFailure:
            return None

    def _unknown(self) -> UsageError:
        known = known_layouts(self.xkb_root)
        near = [f"{name} ({known[name]})" for name in similar_layouts(self.name, known)]
        return UsageError(
            f"there is no keyboard layout {self.name!r}",
            hint=f"did you mean {' or '.join(near)}?"
            if near
            else 'use a name such as "us", "de" or "de(nodeadkeys)"; '
            f"{self.xkb_root / 'rules' / 'evdev.lst'} lists them all",
        )

    def code(self, key: str) -> int | None:
        """Return the Linux input code of a key by xkb's name for its place ("AC01", "RTRN")."""
        try:
            return int(self.compiled.key_by_name(key)) - XKB_OFFSET
        except xkb.XKBKeyDoesNotExist:
            return None

    def symbols(self) -> Iterator[SymbolKey]:
        """Yield what each typing key gives, without and with every set of level modifiers.

        The keys are really pressed in a state of libxkbcommon, in the order in which they will
        be sent, so that whatever the layout makes of them is what is yielded.
        """
        keys = [(key, code) for key in TYPING_KEYS if (code := self.code(key)) is not None]
        modifiers = self._modifier_keys()
        for size in range(len(modifiers) + 1):
            for chosen in itertools.combinations(modifiers, size):
                held = self._held_in_order([code for code, _ in chosen])
                if held is None:
                    continue
                state = self._state_with(held)
                effort = _STRIKE_COST + sum(cost for _, cost in chosen)
                for key, code in keys:
                    keysyms = state.key_get_syms(code + XKB_OFFSET)
                    if code not in held and len(keysyms) == 1 and keysyms[0]:
                        cost = effort + _RARE_KEYS.get(key, 0)
                        yield SymbolKey(int(keysyms[0]), Chord(held, code), cost)

    def _held_in_order(self, codes: Sequence[int]) -> tuple[int, ...] | None:
        """Return the modifier keys in an order in which each acts as a modifier; None without one.

        In some layouts (Neo) a modifier key pressed while another is down starts a Compose
        sequence instead.
        """
        for order in itertools.permutations(codes):
            pressed = [
                self._keysyms(code, order[:index]) & _LEVEL_KEYSYMS
                for index, code in enumerate(order)
            ]
            if all(pressed):
                return order
        return None

    def _modifier_keys(self) -> list[tuple[int, int]]:
        """Return code and cost of one key for each kind of modifier that the layout has."""
        found = []
        for _, names, candidates, cost in _MODIFIERS:
            wanted = {xkb.keysym_from_name(name) for name in names}
            codes = (self.code(key) for key in candidates)
            for code in codes:
                if code is not None and self._keysyms(code) & wanted:
                    found.append((code, cost))
                    break
        return found

    def _keysyms(self, code: int, held: Sequence[int] = ()) -> set[int]:
        return set(self._state_with(held).key_get_syms(code + XKB_OFFSET))

    def _state_with(self, held: Sequence[int]) -> Any:
        state = self.compiled.state_new()
        for code in held:
            state.update_key(code + XKB_OFFSET, xkb.XKB_KEY_DOWN)
        return state
